//! Integration tests: one program, one cluster, one database a test.

mod api;
mod append;
mod auth;
mod browser;
mod chaos;
mod chart;
mod crash;
mod harness;
mod import;
mod ledger;
mod misbehaviour;
mod outage;
mod pages;
mod private_postgres;
mod reference;
mod schema;
mod snippets;
mod spot;
mod tidy;
mod upstream;
mod worker;
