//! What many seeds come to, as plain data.

use super::expect::Basis;
use serde::Serialize;
use standfast_core::ids::{Digest, PlaybookId, ServiceId, SiteId, StepId};
use standfast_core::journal::BlockKind;
use standfast_core::plan::Mode;
use standfast_core::time::Span;
use std::collections::BTreeMap;

/// What many seeds come to. Times are from the loss of the site, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was run.
    pub playbook: PlaybookId,
    /// The site that is left.
    pub from: SiteId,
    /// The site that takes over.
    pub to: SiteId,
    /// Why.
    pub mode: Mode,
    /// The bundle.
    pub bundle: Digest,
    /// The plan.
    pub plan: Digest,
    /// The first seed; the others follow it.
    pub first_seed: u64,
    /// How many.
    pub seeds: u64,
    /// What went wrong how often, as it is given to `--faults`.
    pub faults: String,
    /// When a person comes; none when nobody does.
    #[serde(rename = "people_ms")]
    pub people: Option<Span>,
    /// From the loss to the begin of the run; part of every time below.
    #[serde(rename = "detection_ms")]
    pub detection: Span,
    /// Of how many runs the history was known.
    pub history_runs: usize,
    /// Invariants that were broken: none, unless the program or the playbook has a fault.
    pub broken: Vec<Broken>,
    /// How the runs ended, `Waiting` for those that wait for people.
    pub ends: BTreeMap<String, u64>,
    /// What they wait for, most often first.
    pub waiting: Vec<Waiting>,
    /// Runs in which a person had to do something.
    pub attended: u64,
    /// What the 95th percentile was required to be.
    #[serde(rename = "required_p95_ms", skip_serializing_if = "Option::is_none")]
    pub required_p95: Option<Span>,
    /// How long runs took to a good end. One that came to none counts as longer than all others.
    #[serde(rename = "rto")]
    pub quantiles: Quantiles,
    /// The same as bars.
    pub histogram: Vec<Bucket>,
    /// The promises.
    pub objectives: Vec<Objective>,
    /// The steps that decide how long it takes.
    pub deciders: Vec<Decider>,
    /// The seed that took longest to a good end.
    pub slowest: Option<Seed>,
    /// The first seed that waits for people.
    pub stuck: Option<u64>,
}

/// An invariant that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which.
    pub invariant: &'static str,
    /// In how many seeds.
    pub seeds: u64,
    /// The first of them.
    #[serde(rename = "first_seed")]
    pub first: u64,
    /// What was seen there.
    pub what: String,
}

/// What runs wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The step; none for the requirements.
    pub step: Option<StepId>,
    /// Why; none for an approval that the playbook asks for.
    pub why: Option<BlockKind>,
    /// In how many seeds.
    pub seeds: u64,
}

/// So much of all runs takes at most so long; none when not so many come to an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half of them.
    #[serde(rename = "p50_ms")]
    pub p50: Option<Span>,
    /// 90 %.
    #[serde(rename = "p90_ms")]
    pub p90: Option<Span>,
    /// 95 %.
    #[serde(rename = "p95_ms")]
    pub p95: Option<Span>,
    /// 99 %.
    #[serde(rename = "p99_ms")]
    pub p99: Option<Span>,
    /// All of them.
    #[serde(rename = "max_ms")]
    pub max: Option<Span>,
}

impl Quantiles {
    /// Of `seeds` runs, of which these came to a good end: the nearest rank.
    pub(super) fn of(done: &[u32], seeds: u64) -> Self {
        let mut sorted = done.to_vec();
        sorted.sort_unstable();
        let at = |percent: u64| {
            let rank = (seeds * percent).div_ceil(100).max(1);
            usize::try_from(rank - 1)
                .ok()
                .and_then(|rank| sorted.get(rank))
                .map(|took| Span::ms(u64::from(*took)))
        };
        Self { p50: at(50), p90: at(90), p95: at(95), p99: at(99), max: at(100) }
    }
}

/// A bar of the histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// At least this long.
    #[serde(rename = "from_ms")]
    pub from: Span,
    /// Shorter than this.
    #[serde(rename = "below_ms")]
    pub below: Span,
    /// Runs.
    pub runs: u64,
}

/// A promise, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Objective {
    /// The service.
    pub service: ServiceId,
    /// The longest that it may be away.
    #[serde(rename = "rto_ms")]
    pub rto: Span,
    /// So long it is away at most in 95 % of all runs; none when it comes back in fewer.
    #[serde(rename = "p95_ms")]
    pub p95: Option<Span>,
    /// Runs in which it was back in time.
    pub met: u64,
    /// Whether that is so in 95 % of all runs.
    pub held: bool,
}

/// A step that decides how long it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decider {
    /// The step.
    pub step: StepId,
    /// Where its times come from.
    pub basis: Basis,
    /// Runs in which it was on the longest path.
    pub runs: u64,
    /// How long it took there on average, with everything that went wrong.
    #[serde(rename = "mean_ms")]
    pub mean: Span,
    /// How much shorter a run would be on average if it took no time.
    #[serde(rename = "saves_ms")]
    pub saves: Span,
}

/// A seed, and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seed {
    /// The seed.
    pub seed: u64,
    /// How long it took.
    #[serde(rename = "took_ms")]
    pub took: Span,
}

impl Report {
    /// What stands against the plan, a sentence each: broken invariants, promises that are not
    /// kept in 95 % of all runs, what was required.
    pub fn against(&self) -> Vec<String> {
        let broken = self.broken.iter().map(|broken| {
            let Broken { invariant, seeds, first, what } = broken;
            format!("broken: {invariant}, in {seeds} seeds, first in {first}: {what}")
        });
        let missed = self.objectives.iter().filter(|objective| !objective.held).map(|objective| {
            let Objective { service, rto, p95, .. } = objective;
            format!("{service} is promised back within {rto}, and is in 95 % of all runs {}", within(*p95))
        });
        let p95 = self.quantiles.p95;
        let slow = self.required_p95.filter(|required| p95.is_none_or(|p95| p95 > *required));
        let slow = slow.map(|required| {
            format!("95 % of all runs are required to take at most {required}, and end {}", within(p95))
        });
        broken.chain(missed).chain(slow).collect()
    }
}

fn within(p95: Option<Span>) -> String {
    p95.map_or_else(|| "not at all".into(), |p95| format!("within {p95}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_without_an_end_are_longer_than_all_others() {
        let done: Vec<u32> = (1..=94).map(|second| second * 1_000).collect();
        let quantiles = Quantiles::of(&done, 100);
        assert_eq!((quantiles.p50, quantiles.p90), (Some(Span::secs(50)), Some(Span::secs(90))));
        assert_eq!((quantiles.p95, quantiles.p99, quantiles.max), (None, None, None));
        let all = Quantiles::of(&done, 94);
        assert_eq!((all.p95, all.max), (Some(Span::secs(90)), Some(Span::secs(94))));
        assert_eq!(Quantiles::of(&[], 0), Quantiles::default());
    }
}
