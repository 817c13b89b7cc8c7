//! Acts and questions, as a world understands them: numbers are places in [`Targets`].
//!
//! [`Targets`]: super::Targets

use standfast_core::check::Role;

/// What an act does to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A standby becomes the primary.
    Promote {
        /// Which.
        database: usize,
    },
    /// A server goes into rotation or out of it.
    Rotate {
        /// Which.
        server: usize,
        /// Whether into it.
        ready: bool,
    },
    /// Weight moves to a server.
    Weigh {
        /// Which.
        server: usize,
        /// Those that share the rest.
        others: Vec<usize>,
        /// The last weight, in per cent.
        weight: u8,
    },
    /// A name gets other values.
    Name {
        /// Which.
        name: usize,
        /// Which values.
        values: usize,
        /// Where its name server stands.
        place: Option<usize>,
    },
    /// A site is proven to take no writes.
    Fence {
        /// Which.
        site: usize,
        /// Tried in order.
        proofs: Vec<Proof>,
    },
    /// Something is called that leaves no trace to look for: a request, a command.
    Call {
        /// Which.
        call: usize,
    },
    /// Conditions are waited for.
    Wait {
        /// All of them.
        questions: Vec<Question>,
    },
    /// People are asked.
    Ask,
}

/// A way to prove a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The site's lease ended, and its hosts enforced that.
    Lease,
    /// Its power was cut.
    Power,
    /// The old primary itself says that it is read-only.
    WritesRefused,
    /// A person's word.
    Word,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A database takes writes.
    Writable {
        /// Which.
        database: usize,
    },
    /// A database is what it should be.
    Role {
        /// Which.
        database: usize,
        /// What it should be.
        is: Role,
    },
    /// A replica is near enough to its primary.
    Lag {
        /// Which.
        database: usize,
    },
    /// A name has these values.
    Name {
        /// Which.
        name: usize,
        /// Which values.
        values: usize,
        /// Where its name server stands.
        place: Option<usize>,
    },
    /// Something answers.
    Reach {
        /// Where it stands.
        place: Option<usize>,
    },
}
