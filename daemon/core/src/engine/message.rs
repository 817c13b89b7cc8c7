//! What is said to the machine of a run, and what it says.

use super::command::{Command, Refusal};
use crate::action::{Failure, Inspection};
use crate::check::Answer;
use crate::ids::Identity;
use crate::journal::{Event, Evidence};
use std::collections::BTreeSet;

/// What is reported to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passes, or the run is to be begun.
    Tick,
    /// The entries of the last `Append` are durable.
    Appended,
    /// The required conditions were asked, in plan order.
    Required(Vec<Answer>),
    /// A step was inspected.
    Inspected {
        /// Its place in the plan.
        step: usize,
        /// What was found.
        found: Inspection,
    },
    /// An act is over.
    Acted {
        /// Its place in the plan.
        step: usize,
        /// What it saw, or how it failed.
        result: Result<String, Failure>,
    },
    /// A verification is over: the last round of answers.
    Verified {
        /// Its place in the plan.
        step: usize,
        /// Each condition and its last answer.
        evidence: Vec<Evidence>,
    },
    /// It was looked whether a step has to be taken back.
    UndoInspected {
        /// Its place in the plan.
        step: usize,
        /// What was found, by the action that takes it back.
        found: Inspection,
    },
    /// An undo is over.
    Undone {
        /// Its place in the plan.
        step: usize,
        /// What it saw, or how it failed.
        result: Result<String, Failure>,
    },
    /// A person asks for something.
    Command {
        /// Answered exactly once.
        request: String,
        /// The name in the certificate.
        by: Identity,
        /// The roles of that name.
        roles: BTreeSet<String>,
        /// What they override takes another person too.
        two: bool,
        /// What.
        command: Command,
        /// The last entry that the person has seen, if they insist on it.
        seen: Option<u64>,
    },
    /// The evidence that a proposed run rests on is gone.
    Withdrawn(String),
}

/// What the daemon has to do for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make entries durable, and with them the answers of the requests they carry out.
    Append {
        /// The entries.
        events: Vec<Event>,
        /// Requests that are thereby done.
        answers: Vec<String>,
    },
    /// Ask all required conditions once.
    Require,
    /// Ask whether there is anything to do.
    Inspect {
        /// Its place in the plan.
        step: usize,
    },
    /// Do it.
    Act {
        /// Its place in the plan.
        step: usize,
        /// From 1.
        attempt: u32,
    },
    /// Ask the step's conditions until all hold, or until its deadline.
    Verify {
        /// Its place in the plan.
        step: usize,
    },
    /// Ask whether there is anything to take back.
    InspectUndo {
        /// Its place in the plan.
        step: usize,
    },
    /// Take it back: prove what the plan demands before that, then act.
    Undo {
        /// Its place in the plan.
        step: usize,
        /// From 1.
        attempt: u32,
    },
    /// Refuse a request.
    Refuse {
        /// Which.
        request: String,
        /// Why.
        refusal: Refusal,
    },
}
