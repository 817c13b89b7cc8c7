//! How long a step takes: what the playbook expects, what runs have shown, or a guess.
//!
//! A declared range is a triangle: nothing below `min` or above `max`, `likely` the most likely.
//! Its only function that is not exact arithmetic is the square root, which IEEE 754 rounds
//! correctly everywhere; a normal distribution would need logarithms, which it does not. What
//! runs have shown is drawn from as it is, with straight lines between neighbours.

use super::history::History;
use crate::dice::Dice;
use standfast_core::action::Action;
use standfast_core::plan::Step;
use standfast_core::playbook::Expected;
use standfast_core::time::Span;
use std::time::Duration;

/// A time that varies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Varying {
    /// A triangle.
    Range { min: Duration, likely: Duration, max: Duration },
    /// What was measured, shortest first; never empty.
    Seen(Vec<Duration>),
}

impl Varying {
    fn draw(&self, dice: &mut Dice) -> Duration {
        let unit = dice.unit();
        match self {
            Self::Range { min, likely, max } => {
                let [low, mode, high] = [min, likely, max].map(|time| time.as_micros() as f64);
                let width = high - low;
                let micros = if width <= 0.0 {
                    low
                } else if unit * width < mode - low {
                    low + (unit * width * (mode - low)).sqrt()
                } else {
                    high - ((1.0 - unit) * width * (high - mode)).sqrt()
                };
                Duration::from_micros(micros as u64)
            }
            Self::Seen(seen) => {
                let at = unit * (seen.len() - 1) as f64;
                let (below, part) = (at as usize, at - at.floor());
                let [left, right] =
                    [below, (below + 1).min(seen.len() - 1)].map(|at| seen[at].as_micros() as f64);
                Duration::from_micros((left + (right - left) * part) as u64)
            }
        }
    }
}

/// Where the numbers of a step come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The playbook says it.
    Declared,
    /// Runs have shown it.
    History,
    /// From its timeouts, by the kind of action.
    Guessed,
}

/// How long a step takes.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    pub(super) basis: Basis,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The act, and then its verification until it holds.
    Parts { act: Varying, verify: Varying },
    /// Both together, shared out as their deadlines are.
    Whole { all: Varying, timeout: Span, within: Span },
}

impl Pace {
    /// Declared before measured before guessed: who writes it down knows what has changed.
    pub(super) fn of(step: &Step, declared: Option<&Expected>, history: &History) -> Self {
        let within = step.verify.as_ref().map_or(Span::default(), |verify| verify.within);
        let whole = |all| Kind::Whole { all, timeout: step.timeout, within };
        if let Some(Expected { min, likely, max }) = declared {
            let all = Varying::Range { min: min.0, likely: likely.0, max: max.0 };
            return Self { basis: Basis::Declared, kind: whole(all) };
        }
        if let Some(seen) = history.of(&step.id) {
            return Self { basis: Basis::History, kind: whole(Varying::Seen(seen)) };
        }
        let (act, verify) = (guess(step), share_of(within, Duration::ZERO, VERIFY));
        Self { basis: Basis::Guessed, kind: Kind::Parts { act, verify } }
    }

    /// How long the act takes, and then the verification.
    pub(super) fn draw(&self, dice: &mut Dice) -> (Duration, Duration) {
        match &self.kind {
            Kind::Parts { act, verify } => (act.draw(dice), verify.draw(dice)),
            Kind::Whole { all, timeout, within } => {
                let all = all.draw(dice);
                let deadlines = timeout.0.as_micros() + within.0.as_micros();
                let act = (all.as_micros() * timeout.0.as_micros()).checked_div(deadlines);
                let act = Duration::from_micros(u64::try_from(act.unwrap_or(0)).unwrap_or(u64::MAX));
                (act, all.saturating_sub(act))
            }
        }
    }
}

/// Per cent of a deadline: least, likely, most.
type Percent = [u32; 3];

const VERIFY: Percent = [1, 10, 60];

/// Of the act's timeout, by what it does: a change in a table is quick, a program is slow.
fn guess(step: &Step) -> Varying {
    let percent: Percent = match &step.action {
        Action::TrafficDrain { .. } | Action::TrafficReady { .. } | Action::TrafficShift { .. } => [1, 3, 30],
        Action::DnsSet { .. } => [2, 5, 40],
        Action::PostgresPromote { .. } | Action::FenceProve { .. } => [2, 8, 50],
        Action::HttpRequest { .. } | Action::PostgresRun { .. } | Action::WaitUntil { .. } => [2, 10, 60],
        Action::CommandRun { .. } | Action::SshRun { .. } => [5, 25, 80],
        // People are drawn elsewhere.
        Action::ApprovalAsk { .. } => [0, 0, 0],
    };
    // What a shift holds on purpose it always takes.
    let holds = match &step.action {
        Action::TrafficShift { weights, hold, .. } => {
            hold.0 * u32::try_from(weights.len().saturating_sub(1)).unwrap_or(u32::MAX)
        }
        _ => Duration::ZERO,
    };
    share_of(step.timeout, holds, percent)
}

fn share_of(deadline: Span, holds: Duration, percent: Percent) -> Varying {
    let rest = deadline.0.saturating_sub(holds);
    let [min, likely, max] = percent.map(|percent| holds + rest * percent / 100);
    Varying::Range { min, likely, max }
}

#[cfg(test)]
#[path = "expect_test.rs"]
mod tests;
