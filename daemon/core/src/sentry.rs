//! What a sentry does: it stops what writes on its host unless it is told in time that its site
//! may serve, and lets it go again when it is.
//!
//! It counts on its own clock, which runs while the machine sleeps, from before it asked. It needs
//! nobody to stop, and somebody to go on.

use crate::site_lease::serves;
use crate::time::{Mono, Now, Span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a sentry looks at its clock.
pub const TICK: Duration = Duration::from_millis(100);
/// After steps that did not work, until they are tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Where a sentry stands. Written to disk before anything is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The host may serve.
    Open,
    /// What writes is being stopped.
    Isolating,
    /// What writes is stopped.
    Isolated,
    /// What was stopped is being let go again.
    Rejoining,
}

/// What a sentry is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passes; at least every [`TICK`].
    Tick,
    /// A member of the site answered.
    Answered {
        /// When it was asked, on our clock.
        sent: Mono,
        /// How long ago, when it answered, the site was last allowed to serve; none if it is not.
        confirmed: Option<Span>,
        /// Whether the site is fenced.
        fenced: bool,
    },
    /// The steps that were to be run have ended: all well, or why not.
    Ran(Result<(), String>),
}

/// What a sentry has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write the state to disk, before anything that follows.
    Keep(State),
    /// Run `on_isolation`; what runs now is ended first.
    Isolate,
    /// Run `on_rejoin`.
    Rejoin,
}

/// One sentry.
#[derive(Clone, Debug)]
pub struct Sentry {
    isolate: Span,
    state: State,
    confirmed: Option<Mono>,
    fenced: bool,
    failed: Option<String>,
    again: Option<Mono>,
}

impl Sentry {
    /// A sentry that begins. `kept` is what its disk says of this same start of the machine: a
    /// machine that was started anew may have begun to serve by itself, so what writes is stopped
    /// at the first tick. A host that served goes on if a member answers before that.
    pub fn new(isolate: Span, kept: Option<State>) -> Self {
        let state = if kept == Some(State::Open) { State::Open } else { State::Isolating };
        let again = (state == State::Isolating).then(Mono::default);
        Self { isolate, state, confirmed: None, fenced: false, failed: None, again }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why what it tried last did not work, if it did not.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Until when the host may serve, on our clock.
    pub fn serves_until(&self) -> Option<Mono> {
        self.confirmed.map(|at| at + self.isolate.0)
    }

    /// One input, all that follows from it.
    pub fn on(&mut self, input: Input, now: Now) -> Vec<Effect> {
        match input {
            Input::Tick => {}
            Input::Answered { fenced: true, .. } => {
                self.fenced = true;
                self.confirmed = None;
            }
            Input::Answered { sent, confirmed, fenced: false } => {
                if let Some(ago) = confirmed {
                    let at = sent - ago.0;
                    // A fenced site has no renewal, so one that is told now is newer.
                    self.fenced = false;
                    self.confirmed = self.confirmed.max(Some(at));
                }
            }
            Input::Ran(result) => {
                let mut effects = self.ran(result, now);
                effects.extend(self.follow(now));
                return effects;
            }
        }
        self.follow(now)
    }

    fn ran(&mut self, result: Result<(), String>, now: Now) -> Vec<Effect> {
        match result {
            Ok(()) => {
                self.failed = None;
                self.again = None;
                self.state = match self.state {
                    State::Isolating | State::Isolated => State::Isolated,
                    State::Rejoining | State::Open => State::Open,
                };
                vec![Effect::Keep(self.state)]
            }
            Err(why) => {
                self.failed = Some(why);
                self.again = Some(now.mono + AGAIN);
                Vec::new()
            }
        }
    }

    fn follow(&mut self, now: Now) -> Vec<Effect> {
        let serves = !self.fenced && serves(self.confirmed, self.isolate, now);
        let again = self.again.is_some_and(|at| now.mono >= at);
        let (state, effect) = match self.state {
            State::Open | State::Rejoining if !serves => (State::Isolating, Effect::Isolate),
            // What was stopped in part is let go again too.
            State::Isolating if again && serves => (State::Rejoining, Effect::Rejoin),
            State::Isolating if again => (State::Isolating, Effect::Isolate),
            State::Isolated if serves => (State::Rejoining, Effect::Rejoin),
            State::Rejoining if again => (State::Rejoining, Effect::Rejoin),
            _ => return Vec::new(),
        };
        self.again = None;
        self.state = state;
        vec![Effect::Keep(state), effect]
    }
}

#[cfg(test)]
#[path = "sentry_test.rs"]
mod tests;
