//! The decisions of Standfast, as pure functions.
//!
//! Everything here is `on(input, now) -> effects`: no clock, no I/O, no randomness, no hash
//! order. The daemon performs the effects and reports what came of them as the next input, so
//! that what is replayed, dry-run or simulated is what runs.
// Nothing here may die of what it did not expect: an error says so, or `expect` says why it cannot be.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::todo, clippy::unimplemented))]

pub mod action;
pub mod audit;
pub mod bind;
pub mod bundle;
pub mod check;
pub mod compose;
pub mod controller;
pub mod date;
pub mod decode;
pub mod engine;
pub mod explain;
pub mod finding;
pub mod fleet;
mod graph;
pub mod guard;
pub mod ids;
pub mod journal;
pub mod lag;
pub mod leadership;
pub mod limits;
mod lint;
pub mod look;
pub mod mermaid;
pub mod plan;
pub mod playbook;
pub mod predict;
pub mod proof;
pub mod readiness;
pub mod reference;
pub mod report;
pub mod residual;
pub mod rules;
pub mod run;
pub mod schema;
pub mod sentry;
pub mod site_lease;
pub mod source;
pub mod time;
pub mod timing;
pub mod verdict;
pub mod vote;
mod waiver;
pub mod window;
pub mod yaml;

#[cfg(test)]
mod fixture;
