//! The daemon: effects around the core, and the command line.

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
pub mod look;
pub mod metrics;
pub mod observer;
pub mod pki;
pub mod records;
pub mod runner;
pub mod secrets;
pub mod settings;
pub mod shutdown;
pub mod store;
pub mod supervise;
pub mod telemetry;
pub mod term;
pub mod tls;
