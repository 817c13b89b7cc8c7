//! A look: what every member sees of a plan from where it stands, with nothing changed anywhere.
//!
//! One member asks, all look, and what they saw is joined here. The site that is left will be
//! gone, and the leader does not stay in it; so what counts is what those see who would act. The
//! others are shown: who fails to see the standby today fails to promote it tomorrow.

mod clock;
mod join;
mod troubles;

pub use clock::Skew;
pub use join::{DataSet, Found, Joined, Looked, Part, Seen, Vantage, join};

use crate::action::Inspection;
use crate::check::Answer;
use crate::ids::{Digest, MemberId, ResourceId, SiteId, StepId};
use crate::lag::Lag;
use crate::plan;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is to be looked at. It is small: every member has the bundle, and binds the plan itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub by: MemberId,
    /// The bundle that is meant.
    pub bundle: Digest,
    /// What is bound.
    pub request: plan::Request,
    /// What that comes to.
    pub plan: Digest,
    /// How long looking may take.
    pub within: Span,
}

/// What one member saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Who looked.
    pub member: MemberId,
    /// From where.
    pub site: SiteId,
    /// The bundle that it works by.
    pub bundle: Option<Digest>,
    /// Why it did not look; nothing was asked then, and the rest is empty.
    pub declined: Option<String>,
    /// Its wall clock when it heard the request, in Unix milliseconds.
    pub heard_ms: i64,
    /// Its wall clock when it answered.
    pub answered_ms: i64,
    /// What each requirement of the plan answered, in order.
    pub require: Vec<Answer>,
    /// What each step would do, in order.
    pub steps: Vec<StepView>,
    /// The databases that the plan touches.
    pub servers: Vec<Server>,
    /// What stands in the way and belongs to no step.
    pub troubles: Vec<Trouble>,
}

/// A step, as one member saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// What its inspection found.
    pub found: Inspection,
    /// What its verification answers now, before anything is done.
    pub verify: Vec<Answer>,
    /// What stands in its way.
    pub troubles: Vec<Trouble>,
}

/// A database server, as one member saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The cluster.
    pub cluster: ResourceId,
    /// The site it stands in.
    pub site: SiteId,
    /// What it says of itself.
    pub stands: Stands,
}

/// What a database server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Stands {
    /// Not in recovery.
    Primary,
    /// In recovery.
    Standby {
        /// Whether it is connected to a primary.
        streaming: bool,
        /// Whether a person has paused its replay.
        paused: bool,
        /// How far it is behind.
        lag: Lag,
    },
    /// Nothing, and why.
    Silent {
        /// What happened instead.
        why: String,
    },
}

/// How bad a trouble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Somebody should look.
    Warning,
    /// A run would be refused by it, or fail at it.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// The kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A target does not answer.
    Reachability,
    /// A secret is missing, or its target does not take it.
    Credentials,
    /// The target knows us, and does not let us do it.
    Privilege,
    /// A requirement does not hold.
    Requirement,
    /// The target is in a state from which the step would not act.
    Target,
    /// What the target says is not enough to tell.
    Unclear,
    /// A balancer lacks a backend or a server.
    Balancer,
    /// A replica does not stream, or is paused.
    Replication,
    /// More would be lost than was promised.
    Rpo,
    /// It would take longer than was promised.
    Rto,
    /// A cluster has two primaries.
    Primaries,
    /// A certificate ends soon, has ended, or nobody vouches for it.
    Certificate,
    /// A name is served with another time to live than the fleet says.
    Ttl,
    /// A member's clock goes wrong.
    Clock,
    /// A member works by another bundle.
    Bundle,
    /// What the files proved when they were applied, they prove no longer.
    Proof,
    /// A member did not look.
    Silent,
}

impl Kind {
    /// One word, for labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reachability => "reachability",
            Self::Credentials => "credentials",
            Self::Privilege => "privilege",
            Self::Requirement => "requirement",
            Self::Target => "target",
            Self::Unclear => "unclear",
            Self::Balancer => "balancer",
            Self::Replication => "replication",
            Self::Rpo => "rpo",
            Self::Rto => "rto",
            Self::Primaries => "primaries",
            Self::Certificate => "certificate",
            Self::Ttl => "ttl",
            Self::Clock => "clock",
            Self::Bundle => "bundle",
            Self::Proof => "proof",
            Self::Silent => "silent",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that stands in the way, seen now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Which kind.
    pub kind: Kind,
    /// How bad, for whoever sees it and would act.
    pub severity: Severity,
    /// What it is about, the same for all who see it: "orders in b", "10.1.0.5:443".
    pub about: String,
    /// The step, if it is about one.
    pub step: Option<StepId>,
    /// What was seen and what to do, in one sentence.
    pub words: String,
}

impl Trouble {
    /// One that a run would fail at.
    pub fn error(kind: Kind, about: impl Into<String>, words: impl Into<String>) -> Self {
        Self { kind, severity: Severity::Error, about: about.into(), step: None, words: words.into() }
    }

    /// One that somebody should look at.
    pub fn warning(kind: Kind, about: impl Into<String>, words: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(kind, about, words) }
    }

    /// The same, of a step.
    pub fn of(self, step: &StepId) -> Self {
        Self { step: Some(step.clone()), ..self }
    }
}

impl View {
    /// Of a member that did not look.
    pub fn declined(member: MemberId, site: SiteId, bundle: Option<Digest>, why: impl Into<String>) -> Self {
        Self {
            member,
            site,
            bundle,
            declined: Some(why.into()),
            heard_ms: 0,
            answered_ms: 0,
            require: Vec::new(),
            steps: Vec::new(),
            servers: Vec::new(),
            troubles: Vec::new(),
        }
    }

    /// Cuts every text to so many characters: a view is kept in the store, where room is short.
    pub fn shorten(&mut self, characters: usize) {
        let cut = |text: &mut String| {
            if let Some((end, _)) = text.char_indices().nth(characters) {
                text.truncate(end);
                text.push_str("...");
            }
        };
        let answer = |answer: &mut Answer| match answer {
            Answer::Holds(text) | Answer::Fails(text) | Answer::Unknown(text) => cut(text),
        };
        self.require.iter_mut().for_each(answer);
        for step in &mut self.steps {
            match &mut step.found {
                Inspection::Satisfied(text)
                | Inspection::Needed(text)
                | Inspection::Conflict(text)
                | Inspection::Unknown(text) => cut(text),
            }
            step.verify.iter_mut().for_each(answer);
        }
        for server in &mut self.servers {
            if let Stands::Silent { why } = &mut server.stands {
                cut(why);
            }
        }
        let of_steps = self.steps.iter_mut().flat_map(|step| &mut step.troubles);
        self.troubles.iter_mut().chain(of_steps).for_each(|trouble| cut(&mut trouble.words));
    }
}
