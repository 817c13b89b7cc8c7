//! A freeze: somebody wants nothing to run by itself, for a while or until they take it back.

use crate::ids::Identity;
use crate::time::{Mono, Now, Span};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How often what is left is stored.
const STORE_EVERY: Duration = Duration::from_secs(10);

/// Why nothing runs by itself. People start runs as ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Who wants it.
    pub by: Identity,
    /// Why.
    pub reason: String,
    /// Since when, in Unix milliseconds, for people.
    pub since_wall_ms: i64,
    /// How much of it is left, on the clock of whoever leads; none: it ends when somebody thaws it.
    pub left: Option<Span>,
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frozen by {} ", self.by)?;
        match self.left {
            Some(left) => write!(f, "for another {left}")?,
            None => write!(f, "until somebody thaws it")?,
        }
        write!(f, ": {}", self.reason)
    }
}

/// The freeze of this term, on this leader's clock.
#[derive(Debug, Default)]
pub(super) struct Frozen {
    freeze: Option<Freeze>,
    until: Option<Mono>,
    stored: Mono,
}

impl Frozen {
    /// Goes on with what the leader before had left, or begins.
    pub(super) fn from(freeze: Option<Freeze>, now: Now) -> Self {
        let until = freeze.as_ref().and_then(|freeze| freeze.left).map(|left| now.mono + left.0);
        Self { freeze, until, stored: now.mono }
    }

    /// The freeze with what is left of it.
    pub(super) fn is(&self, now: Now) -> Option<Freeze> {
        let left = self.until.map(|until| Span::from(until.since(now.mono)));
        let lasts = left != Some(Span::default());
        self.freeze.clone().filter(|_| lasts).map(|freeze| Freeze { left, ..freeze })
    }

    /// What is to be stored, when it is time: so that the next leader counts on, not anew.
    pub(super) fn due(&mut self, now: Now) -> Option<Option<Freeze>> {
        self.until?;
        let freeze = self.is(now);
        if freeze.is_some() && now.mono.since(self.stored) < STORE_EVERY {
            return None;
        }
        *self = Self::from(freeze.clone(), now);
        Some(freeze)
    }
}

/// Whether `new` may take the place of `old`: not when it ends before it.
pub(super) fn outlasts(new: &Freeze, old: &Freeze) -> bool {
    new.left.is_none_or(|new| old.left.is_some_and(|old| new >= old))
}
