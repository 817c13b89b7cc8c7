//! What tests break on purpose, one thing at a time, to show that the checker sees it.
//!
//! Each is a mistake that the engine, the performer of its effects, or the world could make. A
//! simulation outside of tests breaks nothing.

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    /// A fence is said to be proven, and nothing was fenced.
    EmptyFence,
    /// A promotion is said to be done and verified, and was not.
    EmptyPromotion,
    /// The answer to an act never comes, not even that it timed out.
    LostAnswer,
    /// What has succeeded is acted once more.
    ActTwice,
    /// An act starts while the entry that announces it is still being written.
    EarlyAct,
    /// What may have been done is taken for untouched.
    TakenForUntouched,
    /// Acts go on under the epoch of the leader before.
    OldEpoch,
    /// An entry that was said to be durable is gone.
    LostEntry,
}
