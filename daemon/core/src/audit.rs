//! The audit: who decided what, and what was done, in an append-only chain.
//!
//! An entry is written in the transaction of what it tells, so neither is there without the other.
//! It is one line of JSON and names the SHA-256 of the line before it: whoever has kept one digest
//! can prove that nothing up to there was changed, left out or put in. What a run did stands in its
//! journal; the audit has the digest of every record of it.

pub mod chain;

use crate::controller::{Ask, Locked, Refused};
use crate::ids::{Digest, Epoch, Identity, MemberId, RunId, SiteId, StepId};
use crate::journal::{Body, Event, Trigger};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The form of entries written by this version.
pub const VERSION: u32 = 1;

/// Where the chain ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the last entry; 0 before the first.
    pub sequence: u64,
    /// The SHA-256 of its line; empty before the first.
    pub digest: Digest,
}

impl Head {
    /// Of the entry `sequence`, whose line is `line`.
    pub fn of(sequence: u64, line: &[u8]) -> Self {
        Self { sequence, digest: Digest::plain(line) }
    }
}

/// `1234:SHA-256`.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.digest)
    }
}

/// Not the number and digest of an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not NUMBER:SHA-256, as `standfast audit verify` prints it")]
pub struct BadHead(String);

impl std::str::FromStr for Head {
    type Err = BadHead;

    fn from_str(text: &str) -> Result<Self, BadHead> {
        let parsed = text.split_once(':').and_then(|(sequence, digest)| {
            let hex = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            let sequence = sequence.parse().ok().filter(|_| hex)?;
            Some(Self { sequence, digest: Digest::new(digest.to_ascii_lowercase()) })
        });
        parsed.ok_or_else(|| BadHead(text.to_owned()))
    }
}

/// One entry: what one transaction did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The form of this entry.
    pub version: u32,
    /// From 1, without gaps.
    pub sequence: u64,
    /// The SHA-256 of the line before; empty in the first.
    pub previous: Digest,
    /// Unix time in milliseconds on the writing member.
    pub wall_ms: i64,
    /// The fencing token; none when no leader wrote it.
    pub epoch: Option<Epoch>,
    /// Who wrote it; none before a member has its name.
    pub member: Option<MemberId>,
    /// What happened.
    pub facts: Vec<Fact>,
}

/// Something that was decided or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// A term began.
    Led {
        /// Where its leader is.
        site: SiteId,
    },
    /// A run's journal has this entry.
    Run {
        /// The run.
        run: RunId,
        /// The entry.
        entry: u64,
        /// The SHA-256 of its record.
        digest: Digest,
        /// The step, if it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        /// What it says; overrides by name, each with its reason.
        said: String,
    },
    /// Somebody asked for something that no run tells.
    Asked {
        /// The name in the certificate.
        by: Identity,
        /// What.
        ask: Box<Ask>,
        /// Why it was not done; none when it was.
        refused: Option<String>,
    },
    /// A failover was refused.
    Refused {
        /// The site.
        site: SiteId,
        /// The guard; none when it is what the playbook requires.
        guard: Option<String>,
        /// Its words.
        reason: String,
    },
    /// A site may serve no more.
    Fenced {
        /// The site.
        site: SiteId,
        /// For which run.
        run: RunId,
    },
    /// A site went down too often: nothing leaves it or goes there by itself.
    Locked {
        /// The site.
        site: SiteId,
        /// How often it went down.
        times: u64,
        /// Within which time.
        within: Span,
    },
    /// A freeze has run out.
    Thawed,
    /// A bundle became the current one.
    Applied {
        /// Who.
        by: Identity,
        /// The bundle.
        bundle: Digest,
        /// The one before; none if it was the first.
        previous: Option<Digest>,
        /// Why; may be empty.
        reason: String,
    },
    /// The journal of a run that ended long ago was let go.
    Forgotten {
        /// The run.
        run: RunId,
    },
    /// The store's epoch was raised, after it had gone back.
    Bumped {
        /// Who.
        by: Identity,
        /// From.
        from: Epoch,
        /// To.
        to: Epoch,
        /// Why.
        reason: String,
    },
    /// A run that was executed without the store came into it, with its journal.
    Merged {
        /// Who brought it.
        by: Identity,
        /// The run.
        run: RunId,
        /// Why.
        reason: String,
    },
    /// The oldest entries of the audit were let go, up to this one.
    Trimmed {
        /// The last of them.
        last: Head,
    },
}

impl Fact {
    /// Of an entry of a run's journal, whose record is `record`.
    pub fn of(run: &RunId, event: &Event, record: &[u8]) -> Self {
        let mut said = event.line();
        if let Body::Created { trigger: Trigger::Operator { overrides, .. }, .. } = &event.body {
            for over in overrides {
                said.push_str(&format!("; overrides {}: {}", over.rule, over.reason));
            }
        }
        let (entry, step) = (event.sequence, event.step().cloned());
        Self::Run { run: run.clone(), entry, digest: Digest::plain(record), step, said }
    }

    /// The run that it is about, if it is about one.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::Run { run, .. }
            | Self::Fenced { run, .. }
            | Self::Forgotten { run }
            | Self::Merged { run, .. } => Some(run),
            Self::Asked { ask, .. } => match &**ask {
                Ask::Run { run, .. } => Some(run),
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<&Refused> for Fact {
    fn from(refused: &Refused) -> Self {
        let guard = refused.guard.map(|guard| guard.id());
        Self::Refused { site: refused.site.clone(), guard, reason: refused.reason.clone() }
    }
}

impl From<&Locked> for Fact {
    fn from(Locked { site, times, within }: &Locked) -> Self {
        Self::Locked { site: site.clone(), times: *times, within: *within }
    }
}

/// One sentence.
impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Led { site } => write!(f, "leads, in {site}"),
            Self::Run { run, entry, step, said, .. } => {
                let step = step.as_ref().map(|step| format!(" {step}:")).unwrap_or_default();
                write!(f, "{run}/{entry}{step} {said}")
            }
            Self::Asked { by, ask, refused } => {
                let asked = serde_json::to_string(ask).map_err(|_| fmt::Error)?;
                match refused {
                    None => write!(f, "{by} asked for {asked}"),
                    Some(why) => write!(f, "{by} asked for {asked}, and was refused: {why}"),
                }
            }
            Self::Refused { site, guard, reason } => {
                let guard = guard.as_deref().unwrap_or("what is required");
                write!(f, "a failover from {site} was refused by {guard}: {reason}")
            }
            Self::Fenced { site, run } => write!(f, "{site} is fenced, for {run}"),
            Self::Locked { site, times, within } => {
                write!(f, "{site} went down {times} times within {within}, and is locked")
            }
            Self::Thawed => f.write_str("the freeze has run out"),
            Self::Applied { by, bundle, previous, reason } => {
                let instead = previous.as_ref().map(|old| format!(" instead of {}", old.short()));
                let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                write!(f, "{by} applied {}{}{why}", bundle.short(), instead.unwrap_or_default())
            }
            Self::Forgotten { run } => write!(f, "{run} ended long ago; its journal is let go"),
            Self::Bumped { by, from, to, reason } => {
                write!(f, "{by} raised the epoch from {from} to {to}: {reason}")
            }
            Self::Merged { by, run, reason } => {
                write!(f, "{by} brought {run}, which was run without the store: {reason}")
            }
            Self::Trimmed { last } => write!(f, "the entries up to {} are let go", last.sequence),
        }
    }
}
