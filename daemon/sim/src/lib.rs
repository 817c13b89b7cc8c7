//! The decisions of Standfast in virtual time, over a world that misbehaves.
//!
//! The crate is as pure as the core: what it does follows from its arguments and a seed, byte for
//! byte, on every machine. [`clock`] is time, [`dice`] is chance, [`world`] is
//! what playbooks touch; on them stand the fronts. [`simulate`] executes one plan many times with the
//! controller that the daemon runs, and says how long it takes and what goes wrong. [`cluster`] runs
//! whole members against each other, and looks for anything that may not be.

pub mod clock;
pub mod cluster;
pub mod dice;
pub mod simulate;
pub mod world;
