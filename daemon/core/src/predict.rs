//! How long a run would take: by its timeouts, and by what runs of the same playbook have shown.
//!
//! The first is a bound. The second is a spread: what each step took is drawn from what was
//! measured of it, a thousand times, and put together along the plan. The draws are counted out
//! from the plan's digest, so that the same plan and the same history give the same figures.
//! A step that was never seen to go well counts with the timeouts of one attempt.

use crate::action::Action;
use crate::ids::StepId;
use crate::journal::{Body, Event};
use crate::look::{Found, Kind, Trouble};
use crate::plan::{Mode, Plan, Step};
use crate::time::Span;
use crate::timing::Timing;
use std::collections::BTreeMap;

/// How often all steps are drawn.
const DRAWS: u64 = 1_000;

/// What runs have shown: how long each step took when it went well at once, from its start to its
/// verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    runs: usize,
    steps: BTreeMap<StepId, Vec<Span>>,
}

impl History {
    /// Adds a run by its journal.
    pub fn add<'a>(&mut self, journal: impl IntoIterator<Item = &'a Event>) {
        let mut begun: BTreeMap<&StepId, u64> = BTreeMap::new();
        for event in journal {
            match &event.body {
                Body::StepStarted { step, .. } => drop(begun.insert(step, event.elapsed_ms)),
                Body::StepSucceeded { step, .. } => {
                    if let Some(began) = begun.remove(step) {
                        let took = Span::ms(event.elapsed_ms.saturating_sub(began));
                        self.steps.entry(step.clone()).or_default().push(took);
                    }
                }
                Body::StepActed { .. } => {}
                // It failed, or a person or another leader had a word in it.
                Body::TookOver => begun.clear(),
                body => drop(body.step().and_then(|step| begun.remove(step))),
            }
        }
        self.runs += 1;
    }
}

/// How long a run would take, from the loss of the site to the last customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Until the loss is seen, at most; nothing where both sites are there.
    pub detection: Span,
    /// Everything together at most, with every attempt and the pauses between them.
    pub bound: Span,
    /// What was promised.
    pub objective: Option<Span>,
    /// Runs of this playbook that were looked at.
    pub runs: usize,
    /// Steps that count with their timeouts because none of these runs shows how long they take.
    pub unseen: Vec<StepId>,
    /// What these runs make of it; none when they show nothing.
    pub spread: Option<Spread>,
}

/// How the time of a run is spread.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// Half of the draws take at most this.
    pub p50: Span,
    /// 95 of 100.
    pub p95: Span,
    /// The share of draws that keep what was promised, 0 to 1; none when nothing was.
    pub meets: Option<f64>,
}

/// The prediction for `plan`.
pub fn predict(plan: &Plan, history: &History, timing: &Timing) -> Prediction {
    let detection = match plan.request.mode {
        Mode::Emergency => timing.bounds().in_turn,
        Mode::Planned | Mode::Drill => Span::default(),
    };
    let longest = |of: fn(&Step) -> u64| -> Vec<u64> { plan.steps.iter().map(of).collect() };
    let bound = detection.as_ms().saturating_add(total(plan, &longest(Step::worst_ms)));
    let longest = longest(Step::once_ms);
    let seen: Vec<&[Span]> = plan
        .steps
        .iter()
        .map(|step| history.steps.get(&step.id).map(Vec::as_slice).unwrap_or_default())
        .collect();
    let unseen = plan.steps.iter().zip(&seen).filter(|(_, seen)| seen.is_empty());
    let unseen: Vec<StepId> = unseen.map(|(step, _)| step.id.clone()).collect();
    let spread = (unseen.len() < plan.steps.len()).then(|| spread(plan, &seen, &longest, detection));
    Prediction { detection, bound: Span::ms(bound), objective: plan.rto, runs: history.runs, unseen, spread }
}

/// From the first step until the last customer is there: resolvers keep a record for its TTL.
fn total(plan: &Plan, took: &[u64]) -> u64 {
    let mut ends: Vec<u64> = Vec::with_capacity(took.len());
    let mut last = 0;
    for (step, took) in plan.steps.iter().zip(took) {
        let start = step.needs.iter().map(|&need| ends[need]).max().unwrap_or(0);
        let end = start.saturating_add(*took);
        let kept = match &step.action {
            Action::DnsSet { ttl, .. } => ttl.as_ms(),
            _ => 0,
        };
        last = last.max(end.saturating_add(kept));
        ends.push(end);
    }
    last
}

fn spread(plan: &Plan, seen: &[&[Span]], longest: &[u64], detection: Span) -> Spread {
    let digest = plan.digest();
    let seed = u64::from_str_radix(digest.as_str().get(..16).unwrap_or_default(), 16).unwrap_or_default();
    let mut totals: Vec<u64> = (0..DRAWS)
        .map(|draw| {
            let took: Vec<u64> = (0u64..)
                .zip(seen.iter().zip(longest))
                .map(|(step, (seen, longest))| {
                    let chance = scatter(seed ^ scatter(draw.wrapping_mul(0x1_0000_0001) ^ (step << 40)));
                    let at = (chance % seen.len().max(1) as u64) as usize;
                    seen.get(at).map_or(*longest, |took| took.as_ms())
                })
                .collect();
            detection.as_ms().saturating_add(total(plan, &took))
        })
        .collect();
    totals.sort_unstable();
    let percentile = |percent: usize| Span::ms(totals[totals.len() * percent / 100 - 1]);
    let meets = plan.rto.map(|rto| {
        let kept = totals.partition_point(|total| *total <= rto.as_ms());
        kept as f64 / DRAWS as f64
    });
    Spread { p50: percentile(50), p95: percentile(95), meets }
}

/// Scatters every bit over all bits (SplitMix64): neighbours have nothing in common.
fn scatter(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Prediction {
    /// What of it stands against what was promised: only what runs have shown, as the timeouts are
    /// judged by lint.
    pub fn trouble(&self, playbook: &str) -> Option<Found> {
        let (spread, rto) = (self.spread.as_ref()?, self.objective?);
        if spread.p95 <= rto {
            return None;
        }
        let words = format!(
            "of {} runs, one of twenty would take {} or more with the time to see the loss, and {rto} was promised",
            self.runs, spread.p95
        );
        Some(Found { trouble: Trouble::warning(Kind::Rto, playbook, words), by: Vec::new() })
    }
}

#[cfg(test)]
#[path = "predict_test.rs"]
mod tests;
