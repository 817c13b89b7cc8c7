//! What can go wrong with the store, told apart by what a caller must do about it.

use super::{LeaseId, Revision};

/// Why a call to the store failed. Each says what, where, and what to do.
///
/// Only [`StoreError::Ambiguous`] leaves open whether a write happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No endpoint could be asked, or the one asked refused before doing anything.
    #[error("store unavailable: {why} ({at})")]
    Unavailable {
        /// The endpoint or endpoints.
        at: String,
        /// What each said, and what must be done.
        why: String,
    },
    /// The request was sent and no answer came: it may have been applied, or be applied
    /// yet. Read back with a transaction that rewrites the guarded key.
    #[error(
        "the outcome of a write to the store is unknown: {why} ({at}); it is read back before anything else is written"
    )]
    Ambiguous {
        /// The endpoint that was asked.
        at: String,
        /// What broke the exchange.
        why: String,
    },
    /// Over one of the [limits](super::limits).
    #[error("too large for the store: {what} is {size}, at most {limit} are allowed; split it")]
    TooLarge {
        /// What was counted, with its unit.
        what: String,
        /// How much it was.
        size: usize,
        /// How much it may be.
        limit: usize,
    },
    /// The store has no room left. Nothing was written.
    #[error("the store at {at} is out of space: {why}")]
    NoSpace {
        /// The endpoint or file.
        at: String,
        /// What it said, and what makes room there.
        why: String,
    },
    /// The revision asked for is no longer kept: list again, and go on from there.
    #[error("revision was compacted away; the store keeps history from {at} on: list again")]
    Compacted {
        /// The oldest revision that can still be read; 0 if the store did not say.
        at: Revision,
    },
    /// The lease is gone, and its keys with it.
    #[error("lease {0} has expired or was revoked: a new one must be granted")]
    LeaseExpired(LeaseId),
    /// The store knows us and says no, or does not know us.
    #[error("the store at {at} denied access: {why}")]
    Denied {
        /// The endpoint or file.
        at: String,
        /// What it said, and what to look at.
        why: String,
    },
    /// What is stored is not what was written.
    #[error(
        "the store at {at} is damaged: {why}; restore it from a backup, or remove this member and add it anew"
    )]
    Corrupt {
        /// The endpoint, file or key.
        at: String,
        /// What does not fit.
        why: String,
    },
    /// The request or the settings make no sense; a mistake in the caller.
    #[error("invalid request to the store: {0}")]
    Invalid(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Ambiguous { .. })
    }

    /// Whether a write that ended with this error may nevertheless have happened.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Ambiguous { .. })
    }
}
