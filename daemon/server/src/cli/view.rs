//! A run as a watcher sees it: the snapshot, and every event after it.
//!
//! Pure, so that a line, a live table and an exit code are three readings of one thing.

use standfast_proto::v1::{
    JournalEvent, JournalEventKind, Run, RunState, Step, StepState, WatchRunResponse,
    watch_run_response::Item,
};

use super::exit::Exit;
use super::human;
use super::output::one_line;

/// A run, followed.
#[derive(Debug, Default)]
pub struct RunView {
    run: Option<Run>,
    /// Revision of the last event or SYNC.
    revision: u64,
    /// Sequence of the last event.
    sequence: u64,
    synced: bool,
}

impl RunView {
    /// The run as it is known now; none before the snapshot.
    pub fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// Where to go on after a broken stream. One revision back, because several events may share
    /// one and the stream may have broken in their middle; `apply` drops what came before.
    pub fn resume_from(&self) -> u64 {
        if self.synced { self.revision.saturating_sub(1) } else { 0 }
    }

    /// Takes a message in; false when there was nothing new in it.
    pub fn apply(&mut self, message: &WatchRunResponse) -> bool {
        match &message.item {
            Some(Item::Snapshot(run)) => {
                self.run = Some(run.clone());
                true
            }
            Some(Item::Sync(sync)) => {
                self.revision = self.revision.max(sync.revision);
                !std::mem::replace(&mut self.synced, true)
            }
            Some(Item::Event(event)) if event.sequence > self.sequence => {
                self.sequence = event.sequence;
                self.revision = self.revision.max(event.revision);
                if let Some(run) = &mut self.run {
                    note(run, event);
                }
                true
            }
            Some(Item::Event(_)) | None => false,
        }
    }

    /// How it ended, or that it waits for people; none while it goes on.
    pub fn verdict(&self) -> Option<Exit> {
        self.run.as_ref().filter(|_| self.synced).and_then(exit_of)
    }
}

/// What a run's state means for a script; none while it goes on.
pub fn exit_of(run: &Run) -> Option<Exit> {
    match run.state() {
        RunState::Succeeded => Some(Exit::Done),
        RunState::Partial
        | RunState::RolledBack
        | RunState::Stuck
        | RunState::Aborted
        | RunState::Cancelled => Some(Exit::Failed),
        RunState::Proposed | RunState::Paused | RunState::Blocked => Some(Exit::Waiting),
        RunState::Running if only_people_can_go_on(run) => Some(Exit::Waiting),
        RunState::Running | RunState::RollingBack | RunState::Unspecified => None,
    }
}

/// A step asks a person, and no other step is at work.
fn only_people_can_go_on(run: &Run) -> bool {
    let busy = |step: &&Step| {
        matches!(
            step.state(),
            StepState::Inspecting
                | StepState::Started
                | StepState::Verifying
                | StepState::Unknown
                | StepState::Undoing
        )
    };
    let asking = run.steps.iter().any(|step| step.waits_for_approval);
    asking && run.steps.iter().filter(busy).all(|step| step.waits_for_approval)
}

/// Whether nothing more will happen.
pub fn has_ended(run: &Run) -> bool {
    !matches!(exit_of(run), None | Some(Exit::Waiting))
}

fn note(run: &mut Run, event: &JournalEvent) {
    if event.run_state() != RunState::Unspecified && event.run_state != run.state {
        run.state = event.run_state;
        run.state_since = event.at;
        run.state_reason.clone_from(&event.message);
        if has_ended(run) {
            run.ended_at = event.at;
        }
    }
    run.epoch = event.epoch;
    run.member.clone_from(&event.member);
    if let Some(step) = run.steps.iter_mut().find(|step| step.id == event.step) {
        note_step(step, event);
        run.past_point_of_no_return |= step.point_of_no_return && event.step_state() == StepState::Started;
    }
    run.steps_done = count(run.steps.iter().filter(|step| ended_well(step.state())));
}

fn note_step(step: &mut Step, event: &JournalEvent) {
    step.detail.clone_from(&event.message);
    step.attempt = step.attempt.max(event.attempt);
    step.evidence.extend(event.evidence.iter().cloned());
    match event.kind() {
        JournalEventKind::ApprovalAsked => step.waits_for_approval = true,
        JournalEventKind::Approved | JournalEventKind::Rejected => step.waits_for_approval = false,
        _ => {}
    }
    if event.step_state() != StepState::Unspecified && event.step_state != step.state {
        if step.started_at.is_none() {
            step.started_at = event.at;
        }
        step.state = event.step_state;
        step.state_since = event.at;
        step.ended_at = if is_end(step.state()) { event.at } else { None };
        step.waits_for_approval &= !is_end(step.state());
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// Whether a step will not change any more by itself.
pub fn is_end(state: StepState) -> bool {
    ended_well(state) || matches!(state, StepState::Failed | StepState::Undone | StepState::UndoFailed)
}

fn ended_well(state: StepState) -> bool {
    matches!(state, StepState::Succeeded | StepState::AlreadyDone | StepState::Skipped)
}

/// An event as one line.
pub fn line(event: &JournalEvent) -> String {
    let at = human::clock(event.at.as_ref());
    let (what, state) = if event.step.is_empty() {
        ("run", human::camel(event.run_state().as_str_name(), "RUN_STATE_"))
    } else {
        (event.step.as_str(), human::camel(event.step_state().as_str_name(), "STEP_STATE_"))
    };
    let attempt = if event.attempt > 1 { format!(" #{}", event.attempt) } else { String::new() };
    let text = format!("{at}  {what:<16} {state:<12}{attempt} {}", event.message);
    one_line(text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use standfast_proto::v1::Sync;

    fn snapshot(state: RunState) -> WatchRunResponse {
        let step = |id: &str| Step { id: id.into(), ..Step::default() };
        let run = Run {
            id: "shop-1".into(),
            state: state.into(),
            steps: vec![step("tools"), Step { point_of_no_return: true, ..step("promote") }],
            ..Run::default()
        };
        WatchRunResponse { item: Some(Item::Snapshot(run)) }
    }

    fn sync(revision: u64) -> WatchRunResponse {
        WatchRunResponse { item: Some(Item::Sync(Sync { revision })) }
    }

    fn event(sequence: u64, fill: impl FnOnce(&mut JournalEvent)) -> WatchRunResponse {
        let mut event = JournalEvent {
            sequence,
            revision: 40 + sequence,
            run_state: RunState::Running.into(),
            ..JournalEvent::default()
        };
        fill(&mut event);
        WatchRunResponse { item: Some(Item::Event(event)) }
    }

    fn view(messages: &[WatchRunResponse]) -> RunView {
        let mut view = RunView::default();
        for message in messages {
            view.apply(message);
        }
        view
    }

    #[test]
    fn before_sync_a_broken_stream_begins_again() {
        assert_eq!(view(&[snapshot(RunState::Running)]).resume_from(), 0);
        assert_eq!(view(&[snapshot(RunState::Running), sync(41)]).resume_from(), 40);
    }

    #[test]
    fn events_that_come_twice_count_once() {
        let mut view = view(&[snapshot(RunState::Running), sync(40)]);
        let started = event(2, |e| {
            e.step = "promote".into();
            e.step_state = StepState::Started.into();
        });
        assert!(view.apply(&started));
        assert!(!view.apply(&started));
        assert!(!view.apply(&event(1, |_| ())));
        assert_eq!(view.resume_from(), 41);
        let run = view.run().expect("a run");
        assert_eq!(run.steps[1].state(), StepState::Started);
        assert!(run.past_point_of_no_return);
    }

    #[test]
    fn an_approval_holds_the_run_only_while_nothing_else_is_at_work() {
        let busy = event(1, |e| {
            e.step = "tools".into();
            e.step_state = StepState::Started.into();
        });
        let asked = event(2, |e| {
            e.step = "promote".into();
            e.step_state = StepState::Started.into();
            e.kind = JournalEventKind::ApprovalAsked.into();
        });
        let done = event(3, |e| {
            e.step = "tools".into();
            e.step_state = StepState::Succeeded.into();
        });
        let approved = event(4, |e| {
            e.step = "promote".into();
            e.kind = JournalEventKind::Approved.into();
        });
        let mut view = view(&[snapshot(RunState::Running), sync(40), busy, asked]);
        assert_eq!(view.verdict(), None);
        view.apply(&done);
        assert_eq!(view.verdict(), Some(Exit::Waiting));
        view.apply(&approved);
        assert_eq!(view.verdict(), None);
    }

    #[test]
    fn the_last_event_ends_the_run() {
        let mut view = view(&[snapshot(RunState::Running), sync(40)]);
        view.apply(&event(1, |e| e.run_state = RunState::Partial.into()));
        assert_eq!(view.verdict(), Some(Exit::Failed));
        assert!(has_ended(view.run().expect("a run")));
    }

    #[test]
    fn a_run_that_had_ended_is_judged_after_sync() {
        let mut view = view(&[snapshot(RunState::Succeeded)]);
        assert_eq!(view.verdict(), None);
        view.apply(&sync(9));
        assert_eq!(view.verdict(), Some(Exit::Done));
    }
}
