//! The HTTP interface: from a socket to bytes.
//!
//! Reading order: [`router`] lists the routes; [`answer`] takes a request through parameters
//! ([`params`]), form ([`form`]), view ([`view`]) and cache to bytes ([`rendered`]); [`snapshot`]
//! is what all answers are made of, [`readings`] gives the rows of any metric in it and [`columns`]
//! keeps those of its newest view; [`v1`] has the endpoints. [`guard`] lets a request in by its key
//! ([`auth`]) and its client's allowance ([`limits`]); [`server`] puts limits and deadlines around it
//! all; [`problem`] is every error.
//! A request never calls an upstream.

pub mod answer;
pub mod auth;
pub mod chart;
pub mod columns;
pub mod connection;
pub mod cursor;
pub mod form;
pub mod guard;
pub mod health;
pub mod ledger;
pub mod limits;
pub mod number;
pub mod openapi;
mod openapi_common;
pub mod pages;
pub mod params;
pub mod problem;
mod process;
pub mod readings;
pub mod rendered;
pub mod request_id;
pub mod route;
pub mod router;
pub mod server;
pub mod snapshot;
pub mod state_answer;
pub mod time_format;
pub mod v1;
pub mod view;
