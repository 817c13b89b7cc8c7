//! `make chaos`: real members, etcd, PostgreSQL and sentries in sites of their own, broken at random
//! and judged by the [checker](standfast_checker).
//!
//! - [`schedule`] says what breaks and when, from a seed;
//! - [`inject`] breaks it and mends it, [`disk`] is what can be filled;
//! - [`keys`] reads what stands in etcd;
//! - [`round`] is one set of sites from its start to its verdict.

pub mod disk;
pub mod inject;
pub mod keys;
pub mod round;
pub mod schedule;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schedule::{Fault, Schedule};

use crate::parts::Result;

/// What came of all rounds.
#[derive(Debug, Default)]
pub struct Tally {
    /// Rounds.
    pub rounds: usize,
    /// Faults that were caused.
    pub faults: usize,
    /// Runs, takeovers, effects and those refused, rows and those lost, as the checker counts them.
    pub runs: usize,
    /// Runs that another leader went on with.
    pub takeovers: usize,
    /// What targets took.
    pub effects: usize,
    /// What they refused because of its epoch.
    pub refused: usize,
    /// Rows that were acknowledged.
    pub rows: usize,
    /// Those of them that are lost, as an emergency allows.
    pub lost: usize,
    /// Rounds in which something was not as it must be.
    pub bad: usize,
    /// How often each kind of fault has really hit each of its targets.
    pub hits: BTreeMap<(&'static str, String), usize>,
}

/// Plays rounds of a seed for so long, and tells of each.
pub async fn play(seed: u64, span: Duration, mut tell: impl FnMut(&str)) -> Result<Tally> {
    let begun = Instant::now();
    let mut tally = Tally::default();
    for round in 0.. {
        let schedule = Schedule::draw(seed, round);
        tell(&format!("seed {seed}, round {round}: {:?}\n{schedule}", schedule.scene));
        let outcome = round::play(&schedule).await?;
        tally.rounds += 1;
        tally.faults += schedule.faults.len();
        for hit in &outcome.hits {
            *tally.hits.entry((hit.kind(), hit.target())).or_default() += 1;
        }
        let verdict = &outcome.verdict;
        tally.runs += verdict.runs.0;
        tally.takeovers += verdict.takeovers;
        tally.effects += verdict.effects.0;
        tally.refused += verdict.effects.1;
        tally.rows += verdict.rows.0;
        tally.lost += verdict.rows.1;
        for run in &outcome.runs {
            tell(run);
        }
        tell(&verdict.to_string());
        if let Some(why) = &outcome.restless {
            tell(&format!("NOT AT REST {why}"));
        }
        if !outcome.holds() {
            tally.bad += 1;
            if let Some(folder) = &outcome.kept {
                tell(&format!("logs, timeline and history: {}", folder.display()));
            }
        }
        if begun.elapsed() >= span {
            break;
        }
    }
    Ok(tally)
}

impl Tally {
    /// A line for each kind of fault: how often it has hit each target, those that it spared included.
    pub fn table(&self) -> String {
        let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for fault in Fault::every() {
            let (kind, target) = (fault.kind(), fault.target());
            let times = self.hits.get(&(kind, target.clone())).unwrap_or(&0);
            lines.entry(kind).or_default().push(format!("{target} {times}"));
        }
        let wide = lines.keys().map(|kind| kind.len()).max().unwrap_or_default();
        lines.iter().map(|(kind, of)| format!("  {kind:wide$}  {}\n", of.join(", "))).collect()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { rounds, faults, runs, takeovers, effects, refused, rows, lost, bad, .. } = self;
        write!(
            f,
            "{rounds} rounds, {faults} faults, {runs} runs, {takeovers} takeovers, {effects} effects and \
             {refused} refused, {rows} rows acknowledged and {lost} lost as allowed, {bad} bad rounds"
        )
    }
}
