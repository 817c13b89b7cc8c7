//! Server.

pub mod action;
pub mod cli;
pub mod client;
pub mod clock;
pub mod condition;
pub mod guarded;
pub mod health;
pub mod http;
pub mod metrics;
pub mod pki;
pub mod records;
pub mod secrets;
pub mod settings;
pub mod shutdown;
pub mod store;
pub mod supervise;
pub mod telemetry;
pub mod tls;
