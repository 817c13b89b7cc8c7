//! The leader, lost at every single entry of the journal: right before it is durable, and right
//! after.

use super::outcome::{Finish, Outcome};
use super::report::{Broken, Quantiles, Waiting};
use super::{Breach, Case, Loss, Wait};
use crate::simulate::story::Story;
use serde::Serialize;
use standfast_core::ids::StepId;
use std::collections::BTreeMap;

/// One place in the journal, and what comes of losing the leader there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// The entry, from 1.
    pub entry: u64,
    /// Whether it is durable.
    pub durable: bool,
    /// What the entry says in a run in which nothing goes wrong.
    pub event: String,
    /// The step that it is about there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// How the runs ended.
    pub ends: BTreeMap<String, u64>,
    /// What they wait for.
    pub waiting: Vec<Waiting>,
    /// How long they took to a good end.
    #[serde(rename = "rto")]
    pub quantiles: Quantiles,
    /// Invariants that were broken.
    pub broken: Vec<Broken>,
}

impl Case {
    /// Every place at which the leader may be lost, in the order of the journal, and what the
    /// entry says.
    pub fn places(&self) -> Vec<(Loss, String, Option<StepId>)> {
        let (_, story) = self.live(0, self.calm_fate(), &super::Faults::NONE, Story::told());
        let entries = story.lines().into_iter().filter_map(|line| Some((line.event?, line.step)));
        let places = (1..).zip(entries).skip(1);
        places
            .flat_map(|(entry, (event, step))| {
                [false, true].map(|durable| (Loss { entry, durable }, event.clone(), step.clone()))
            })
            .collect()
    }

    /// Loses the leader at one place, in each of these seeds.
    pub fn point(
        &self,
        (loss, event, step): (Loss, String, Option<StepId>),
        seeds: std::ops::Range<u64>,
    ) -> Point {
        let mut ends: BTreeMap<String, u64> = BTreeMap::new();
        let mut waits: BTreeMap<Wait, u64> = BTreeMap::new();
        let mut broken: BTreeMap<&'static str, Broken> = BTreeMap::new();
        let mut done = Vec::new();
        let count = seeds.end.saturating_sub(seeds.start);
        for outcome in seeds.map(|seed| self.seed_with_loss(seed, loss)) {
            *ends.entry(end(&outcome)).or_default() += 1;
            if let Finish::Waits(list) = &outcome.finish {
                list.iter().for_each(|wait| *waits.entry(wait.clone()).or_default() += 1);
            }
            let took = outcome.done().map(|took| (self.detection + took).as_millis());
            done.extend(took.map(|took| u32::try_from(took).unwrap_or(u32::MAX)));
            if let Some(breach) = &outcome.breach {
                let invariant = Breach::invariant(breach);
                let first = || Broken { invariant, seeds: 0, first: outcome.seed, what: breach.to_string() };
                broken.entry(invariant).or_insert_with(first).seeds += 1;
            }
        }
        let waiting = |(wait, seeds): (Wait, u64)| Waiting { step: wait.step, why: wait.why, seeds };
        Point {
            entry: loss.entry,
            durable: loss.durable,
            event,
            step,
            ends,
            waiting: waits.into_iter().map(waiting).collect(),
            quantiles: Quantiles::of(&done, count),
            broken: broken.into_values().collect(),
        }
    }
}

fn end(outcome: &Outcome) -> String {
    match &outcome.finish {
        Finish::Ended(end) => end.to_string(),
        Finish::Waits(_) => "Waiting".into(),
        Finish::Broken => "Broken".into(),
    }
}
