//! What is said to the controller, and what it says.

use super::{Keep, Kept};
use crate::bundle::Bundle;
use crate::check::Answer;
use crate::engine::{self, Command, Refusal};
use crate::guard::{Guard, Ruling};
use crate::ids::{Digest, Epoch, Identity, MemberId, RunId, SiteId};
use crate::journal::{Event, Override};
use crate::plan::{Plan, Request};
use crate::readiness::Readiness;
use crate::run::Run;
use crate::time::{Mono, Span};
use crate::verdict::{Finding, Snapshot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a person may ask of the leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Start a run. Bypasses detection and hold-down, never a lock.
    Start {
        /// What is to be run.
        request: Request,
        /// Why.
        reason: String,
        /// What the person takes upon themselves, by name.
        overrides: Vec<Override>,
        /// The plan that the person has seen, if they insist on it.
        plan: Option<Digest>,
    },
    /// Something for a run.
    Run {
        /// Which.
        run: RunId,
        /// What.
        command: Command,
        /// The last entry of its journal that the person has seen, if they insist on it.
        #[serde(default)]
        seen: Option<u64>,
    },
    /// End the hold-down of a site, and its lock.
    Acknowledge {
        /// Which.
        site: SiteId,
        /// Why.
        reason: String,
        /// The [`site_etag`] that the person has read, if they insist on it.
        #[serde(default)]
        seen: Option<String>,
    },
    /// Let a fenced site come back: it has been made a standby again, or is empty.
    Rejoin {
        /// Which.
        site: SiteId,
        /// Why.
        reason: String,
    },
    /// Let nothing run by itself.
    Freeze {
        /// Why.
        reason: String,
        /// For how long; none: until somebody thaws it.
        left: Option<Span>,
    },
    /// Let runs begin by themselves again.
    Thaw {
        /// Why.
        reason: String,
    },
    /// Let nothing leave a site or go there by itself: somebody works on it.
    Maintain {
        /// Which.
        site: SiteId,
        /// Why.
        reason: String,
        /// For how long; none: until somebody releases it.
        left: Option<Span>,
    },
    /// End the maintenance of a site.
    Release {
        /// Which.
        site: SiteId,
        /// Why.
        reason: String,
    },
    /// Turn a switch of the fleet on or off.
    Switch {
        /// Which.
        name: String,
        /// Whether it is to be on.
        on: bool,
        /// Why.
        reason: String,
    },
    /// Hand the leadership over.
    StepDown {
        /// Why.
        reason: String,
    },
}

impl Ask {
    /// Whether it is about what may happen by itself, and none of the runs.
    pub fn is_order(&self) -> bool {
        matches!(
            self,
            Self::Freeze { .. }
                | Self::Thaw { .. }
                | Self::Maintain { .. }
                | Self::Release { .. }
                | Self::Switch { .. }
        )
    }
}

/// What is reported to the controller.
#[derive(Clone, Debug)]
pub enum Input {
    /// The state found in the store at the begin of the term.
    Loaded {
        /// Runs that have not ended.
        runs: Vec<Run>,
        /// Hold-downs and what is left of them.
        holds: BTreeMap<SiteId, Span>,
        /// What else is kept.
        kept: Kept,
    },
    /// What the leader before knew of the playbooks of `on_loss`.
    Known(BTreeMap<SiteId, Readiness>),
    /// What a look at one of them has found.
    Looked(Box<Readiness>),
    /// The current bundle.
    Bundle(Arc<Bundle>),
    /// A confirmed read.
    Snapshot {
        /// What was read.
        snapshot: Snapshot,
        /// When it was asked for, on our clock.
        sent: Mono,
    },
    /// Time passes.
    Tick,
    /// A person asks.
    Asked {
        /// Answered exactly once.
        request: String,
        /// The name in the certificate.
        by: Identity,
        /// What.
        ask: Ask,
    },
    /// What `Require` came to: the answers in plan order.
    Required {
        /// The request that it is for.
        request: String,
        /// One for each requirement.
        answers: Vec<Answer>,
    },
    /// The run of `Create` is durable.
    Created,
    /// It is not: a lock was taken.
    NotCreated {
        /// By which run, if that is known.
        holder: Option<RunId>,
    },
    /// The store will never take it: too large, say.
    Impossible {
        /// What it said.
        why: String,
    },
    /// Something for a run.
    Run(RunId, engine::Input),
}

/// What the daemon has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask what a plan requires, before a person gets a run of it.
    Require {
        /// The request of that person.
        request: String,
        /// The plan.
        plan: Arc<Plan>,
    },
    /// Make a run durable, all or nothing: its plan, its first entry, its locks.
    Create(Box<Creation>),
    /// Make entries of a run durable.
    Append {
        /// Which run.
        run: RunId,
        /// The entries.
        events: Vec<Event>,
        /// Requests that are thereby done.
        answers: Vec<String>,
        /// What is released with the last entry.
        ending: Option<Ending>,
    },
    /// An effect of a run that is not an append.
    Run(RunId, engine::Effect),
    /// Answer a request.
    Answer {
        /// Which.
        request: String,
        /// The run it concerns, if it concerns one, or why not.
        answer: Result<Option<Subject>, Refusal>,
    },
    /// Store that a failover, or a person, was refused.
    Refused(Box<Refused>),
    /// Store what is left of every hold-down.
    Holds(BTreeMap<SiteId, Span>),
    /// Store what is known of the playbooks of `on_loss`, each with its age.
    Readiness(BTreeMap<SiteId, Readiness>),
    /// Let a fenced site renew its lease again, and answer the request for it, in one write.
    Unfence {
        /// Which site.
        site: SiteId,
        /// Whose request.
        request: String,
    },
    /// Store what is kept, and answer the request for it, in one write. Such writes are made in the order
    /// in which they are given.
    Keep {
        /// Which.
        keep: Keep,
        /// Whose request, if it was anybody's.
        request: Option<String>,
    },
    /// Give the leadership up.
    HandOver {
        /// Why.
        why: &'static str,
    },
}

/// The run that an answer is about, as it stood then: whoever repeats the request is told the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its name.
    pub run: RunId,
    /// The last entry of its journal.
    pub sequence: u64,
    /// It was wanted anew, and is there already.
    pub existed: bool,
}

/// A run to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// Its name.
    pub run: RunId,
    /// What it executes.
    pub plan: Arc<Plan>,
    /// Its first entry.
    pub created: Event,
    /// What it locks: `site/NAME` and `service/NAME`.
    pub locks: Vec<String>,
    /// The request that asked for it.
    pub request: Option<String>,
}

/// What goes with the last entry of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Locks to be released.
    pub locks: Vec<String>,
    /// What is left of every hold-down then, those that begin included.
    pub holds: BTreeMap<SiteId, Span>,
}

/// A failover or a run of a person that was not begun, with everything that was known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The site.
    pub site: SiteId,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
    /// The guard that refused; none when it is what the playbook requires.
    pub guard: Option<Guard>,
    /// Its words.
    pub reason: String,
    /// The evidence.
    pub finding: Finding,
    /// What a person wanted; none when it was the automation.
    #[serde(default)]
    pub wanted: Option<Request>,
}

/// Changes when a site is held down, locked, or neither any more, and when a run takes or leaves it.
/// `held`: for a time after a run, or until it was healthy again; `locked`: because it came and went.
pub fn site_etag(held: bool, locked: bool, run: Option<&RunId>) -> String {
    let stands = match (held, locked) {
        (false, false) => "free",
        (true, false) => "held",
        (false, true) => "locked",
        (true, true) => "held-locked",
    };
    run.map_or_else(|| stands.to_owned(), |run| format!("{stands}-{run}"))
}

/// What the leader thinks of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The verdict with its evidence.
    pub finding: Finding,
    /// What every guard says of a failover from here now; empty if `on_loss` is silent.
    pub rulings: Vec<Ruling>,
}

/// What the leader thinks, published with every beat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Under which term.
    pub epoch: Epoch,
    /// By whom.
    pub member: MemberId,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
    /// By site, in order.
    pub sites: Vec<Judged>,
    /// What is left of the hold-downs.
    pub holds: BTreeMap<SiteId, Span>,
}
