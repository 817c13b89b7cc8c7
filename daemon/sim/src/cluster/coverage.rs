//! What the seeds have seen: which faults met a run in which state, and how runs ended.

use super::fault::Fault;
use standfast_core::journal::End;
use standfast_core::run::{Run, State, StepState};
use std::collections::BTreeMap;
use std::fmt;

/// Where a run can stand, as far as faults are concerned.
pub const STATES: [&str; 8] =
    ["proposed", "running", "started", "verifying", "unknown", "paused", "blocked", "back"];

/// Counts over seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Seeds.
    pub seeds: u64,
    /// Seeds in which a run was created.
    pub with_runs: u64,
    /// Runs.
    pub runs: u64,
    /// Runs that automation began or proposed.
    pub automatic: u64,
    /// Failovers that a guard refused.
    pub refused: u64,
    /// Terms.
    pub terms: u64,
    /// Acts under an old epoch at targets that cannot refuse it, after the store had wrongly taken a
    /// lease back.
    pub residual: u64,
    /// How runs ended.
    pub ends: BTreeMap<String, u64>,
    /// By kind of fault, then by state: the seeds in which they met.
    pub met: [[u64; STATES.len()]; Fault::KINDS.len()],
}

/// The place of a run's state among [`STATES`]; none when it has ended.
pub(super) fn state(run: &Run) -> Option<usize> {
    let has = |state: StepState| run.steps.iter().any(|step| step.state == state);
    Some(match run.state() {
        State::Proposed => 0,
        State::Paused => 5,
        State::Blocked => 6,
        State::RollingBack => 7,
        State::Running if has(StepState::Unknown) => 4,
        State::Running if has(StepState::Verifying) => 3,
        State::Running if has(StepState::Started) => 2,
        State::Running => 1,
        State::Ended(_) => return None,
    })
}

impl Coverage {
    /// A run ended.
    pub(super) fn ended(&mut self, end: End) {
        *self.ends.entry(end.to_string()).or_default() += 1;
    }

    /// Adds what another has seen.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.with_runs += other.with_runs;
        self.runs += other.runs;
        self.automatic += other.automatic;
        self.refused += other.refused;
        self.terms += other.terms;
        self.residual += other.residual;
        for (end, count) in &other.ends {
            *self.ends.entry(end.clone()).or_default() += count;
        }
        for (row, other) in self.met.iter_mut().zip(&other.met) {
            row.iter_mut().zip(other).for_each(|(cell, other)| *cell += other);
        }
    }

    /// Pairs of fault and state that never met.
    pub fn empty(&self) -> Vec<(&'static str, &'static str)> {
        let rows = Fault::KINDS.iter().zip(&self.met).take(Fault::DRAWN);
        let cells = rows.flat_map(|(fault, row)| {
            STATES.iter().zip(row).filter(|(_, count)| **count == 0).map(|(state, _)| (*fault, *state))
        });
        cells.collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<10}", "seeds")?;
        for state in STATES {
            write!(f, "{state:>11}")?;
        }
        writeln!(f)?;
        for (fault, row) in Fault::KINDS.iter().zip(&self.met).take(Fault::DRAWN) {
            write!(f, "{fault:<10}")?;
            for count in row {
                write!(f, "{count:>11}")?;
            }
            writeln!(f)?;
        }
        let ends: Vec<String> = self.ends.iter().map(|(end, count)| format!("{end} {count}")).collect();
        let percent = 100 * self.with_runs / self.seeds.max(1);
        writeln!(
            f,
            "{} runs in {percent} % of the seeds, {} automatic; {} refusals, {} terms, {} late acts at \
             targets that cannot refuse",
            self.runs, self.automatic, self.refused, self.terms, self.residual
        )?;
        write!(f, "ends: {}", ends.join(", "))
    }
}
