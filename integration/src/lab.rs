//! A whole Standfast on one machine: the shop, the fleet that describes it, and the members
//! that watch over it. The demo, the scenario tests and the benchmarks stand on it.
//!
//! - [`bundle`] renders the shop's own fleet for where the parts really are;
//! - [`member`] is one running daemon, [`cluster`] all of them and their store;
//! - [`api`] talks to whichever member lives, [`events`] follows what happens across their
//!   deaths;
//! - [`gate`] is a door in front of a part that one observer finds shut and another open;
//! - [`held`] is a way to a target on which the first effect is held up;
//! - [`relay`] is a wire to a store that loses an answer;
//! - [`net`] puts sites into namespaces of their own and cuts them off, [`far`] moves them away;
//! - [`sentry`] stops the database of a site that is cut off;
//! - [`timeline`] merges what all of them have logged;
//! - [`world`] is everything together, brought to a steady state;
//! - [`town`] is the same for the core of `playbooks/pangyo-2022/fixed`.

pub mod api;
pub mod bundle;
pub mod cluster;
pub mod events;
pub mod far;
pub mod gate;
pub mod held;
pub mod member;
pub mod net;
pub mod relay;
pub mod sentry;
pub mod timeline;
pub mod town;
pub mod world;
