//! The rules, each family in a file of its own.

pub(crate) mod epochs;
pub(crate) mod rows;
pub(crate) mod runs;
pub(crate) mod steps;
