//! Integration tests: one program, one cluster, one database a test.

mod api;
mod append;
mod auth;
mod browser;
mod chaos;
mod chart;
mod crash;
mod economics;
mod facts;
mod harness;
mod headers;
mod import;
mod ledger;
mod misbehaviour;
mod outage;
mod pages;
mod private_postgres;
mod prometheus;
mod reference;
mod schema;
mod snippets;
mod spot;
mod sql;
mod tidy;
mod upstream;
mod worker;
