//! Integration tests: one program, one cluster, one database a test.

mod append;
mod api;
mod harness;
mod import;
mod ledger;
mod outage;
mod crash;
mod private_postgres;
mod reference;
mod tidy;
