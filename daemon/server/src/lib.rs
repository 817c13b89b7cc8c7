//! The daemon: effects around the core, and the command line.
// Nothing here may die of what it did not expect: an error says so, or `expect` says why it cannot be.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::todo, clippy::unimplemented))]

pub mod action;
pub mod api;
pub mod app;
pub mod bundles;
pub mod cli;
pub mod client;
pub mod clock;
pub mod condition;
pub mod guarded;
pub mod health;
pub mod http;
pub mod lead;
pub mod ledger;
pub mod look;
pub mod metrics;
pub mod observer;
pub mod pki;
pub mod pulse;
pub mod readiness;
pub mod records;
pub mod runner;
pub mod secrets;
pub mod sentry;
pub mod settings;
pub mod shutdown;
pub mod site_lease;
pub mod socket;
pub mod store;
pub mod supervise;
pub mod survival;
pub mod telemetry;
pub mod term;
pub mod tls;
pub mod trouble;
pub mod watermark;
