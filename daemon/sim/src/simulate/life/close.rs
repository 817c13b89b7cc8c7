//! What a seed came to, once nothing more happens.

use super::Life;
use crate::simulate::check::Breach;
use crate::simulate::outcome::{Finish, Outcome, StepTime, Wait};
use crate::simulate::story::Story;
use standfast_core::action::Action;
use standfast_core::run::{Run, State, StepState};

impl Life<'_> {
    /// What it came to.
    pub(super) fn close(mut self) -> (Outcome, Story) {
        let run = self.leader.as_ref().and_then(|leader| leader.runs().next());
        let waits = run.map(waits).unwrap_or_default();
        if self.checker.end().is_none() && waits.is_empty() && self.checker.breach().is_none() {
            let state = run.map_or_else(|| "without a leader".into(), |run| run.state().to_string());
            self.checker.note(Breach::Wedged { state });
        }
        self.checker.finish(&self.case.targets, &self.world, &self.case.data);
        let breach = self.checker.breach().cloned();
        let (finish, took) = match (&breach, self.checker.end()) {
            (Some(_), _) => (Finish::Broken, self.clock.elapsed()),
            (None, Some((end, at))) => (Finish::Ended(end), at),
            (None, None) => (Finish::Waits(waits), self.clock.elapsed()),
        };
        let mut outcome = Outcome {
            seed: self.seed,
            finish,
            took,
            cleared: self.checker.cleared().unwrap_or_default(),
            steps: self.times(),
            back: Vec::new(),
            entries: self.journal.len() as u64,
            lost: self.lost,
            visits: self.people.visits,
            breach,
        };
        let (well, done) = (|step| self.checker.ended_well(step), outcome.done());
        outcome.back = self.case.returns.iter().map(|wait| wait.at(well, done)).collect();
        (outcome, self.story)
    }

    fn times(&self) -> Vec<Option<StepTime>> {
        let begin = self.checker.cleared().unwrap_or_default();
        let steps = self.case.plan().steps.iter().enumerate();
        steps
            .map(|(place, step)| {
                let ended = self.checker.released(place)?;
                let could = step.needs.iter().filter_map(|need| self.checker.released(*need)).max();
                let own = ended.saturating_sub(could.unwrap_or(begin));
                Some(StepTime { own, ended })
            })
            .collect()
    }
}

/// What a run waits for; nothing when it goes on by itself.
pub(super) fn waits(run: &Run) -> Vec<Wait> {
    let mut waits: Vec<Wait> =
        run.blocks.values().map(|block| Wait { step: block.step.clone(), why: Some(block.kind) }).collect();
    let steps = run.steps.iter().zip(&run.plan.steps);
    waits.extend(steps.filter_map(|(record, spec)| {
        let asks = matches!(spec.action, Action::ApprovalAsk { .. }) && record.state == StepState::Started;
        asks.then(|| Wait { step: Some(spec.id.clone()), why: None })
    }));
    if waits.is_empty() && matches!(run.state(), State::Paused | State::Proposed) {
        waits.push(Wait { step: None, why: None });
    }
    waits
}
