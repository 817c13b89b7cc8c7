//! What a leader asks for, performed in the world of one seed.

use super::{Happening, Heard, How, Life};
use crate::simulate::fault::Mishap;
use crate::simulate::story::Teller;
use crate::simulate::{Asked, Sabotage};
use crate::world::{Came, Deed, Question, Seen, TakeBack};
use standfast_core::action::{Failure, FailureKind, Inspection};
use standfast_core::check::Answer;
use standfast_core::engine::{Effect, Input};
use standfast_core::ids::Epoch;
use standfast_core::journal::{Body, Event, Evidence};
use standfast_core::time::Mono;
use std::time::Duration;

/// The daemon's own limits: for one condition, for one inspection, for the other servers of a
/// cluster that is to be promoted.
const ASK: Duration = Duration::from_secs(5);
const INSPECT: Duration = Duration::from_secs(10);
const OTHERS: Duration = Duration::from_secs(1);
/// How long an answer takes.
const ANSWER: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(120));
/// What is waited for is asked again at least this often, and 64 times before its deadline.
const AGAIN: Duration = Duration::from_secs(1);

impl<'a> Life<'a> {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Require => {
                let dark = self.case.require.iter().any(|asked| self.is_dark(asked));
                let takes = if dark { ASK } else { self.dice.between(ANSWER.0, ANSWER.1) };
                self.hears(takes, Heard::Required);
            }
            Effect::Inspect { step } => {
                let model = &self.case.steps[step];
                let mut takes = self.dice.between(ANSWER.0, ANSWER.1);
                if model.beside.iter().any(|site| !self.world.answers(Some(*site))) {
                    takes += OTHERS;
                }
                // A fence is asked of what is dark by its nature, and does not wait for it here.
                let fence = matches!(model.deed, Deed::Fence { .. });
                let takes = match self.world.answers(model.place) || fence {
                    true => self.slowed(step, takes),
                    false => INSPECT,
                };
                self.hears(takes, Heard::Inspected { step });
            }
            Effect::Act { step, attempt } => self.act(step, attempt),
            Effect::Verify { step } => {
                let within =
                    self.case.plan().steps[step].verify.as_ref().map_or(Duration::ZERO, |v| v.within.0);
                let mut dice = self.rolls(step, "verify");
                let takes = self.case.steps[step].pace.draw(&mut dice).1;
                let takes = self.slowed(step, takes).min(within);
                let until = self.clock.now().mono + within;
                self.hears(takes, Heard::Verified { step, until });
            }
            Effect::InspectUndo { step } => {
                let takes = self.dice.between(ANSWER.0, ANSWER.1);
                self.hears(takes, Heard::UndoInspected { step });
            }
            Effect::Undo { step, attempt } => self.undo(step, attempt),
            // The controller answers these.
            Effect::Append { .. } | Effect::Refuse { .. } => {}
        }
    }

    /// The dice of this attempt at a step: the same whatever happens elsewhere.
    fn rolls(&self, step: usize, what: &str) -> crate::dice::Dice {
        self.dice.fork_named(what).fork(step as u64).fork(u64::from(self.acts[step].0))
    }

    /// At a destination that has degraded everything takes longer.
    fn slowed(&self, step: usize, takes: Duration) -> Duration {
        let here = self.case.steps[step].place.is_none_or(|place| place == self.case.to);
        match self.fate.slow {
            Some((since, percent)) if here && self.clock.elapsed() >= since => takes * percent / 100,
            _ => takes,
        }
    }

    pub(super) fn act(&mut self, step: usize, attempt: u32) {
        let epoch = self.acting_epoch();
        self.checker.acts(step, attempt, epoch);
        self.acts[step].0 += 1;
        let case = self.case;
        let spec = &case.plan().steps[step];
        let mut dice = self.rolls(step, "act");
        let mishap = Mishap::draw(self.faults, &mut dice);
        let takes = self.slowed(step, case.steps[step].pace.draw(&mut dice).0);
        let timeout = spec.timeout.0;
        let until = self.clock.now().mono + timeout;
        let name = &spec.id;
        // Whether what is cut short at its deadline gets through all the same.
        let through = dice.below(2) == 1;
        let (after, how, reaches) = match mishap {
            Mishap::Fails(kind, percent) => {
                self.say(Teller::World, Some(name), || {
                    format!("attempt {attempt} will fail: {}", word(kind))
                });
                (takes.min(timeout) * percent / 100, How::Fails(kind), None)
            }
            Mishap::Hangs => {
                self.say(Teller::World, Some(name), || format!("attempt {attempt} hangs"));
                (timeout, How::Silence, None)
            }
            Mishap::Silent => {
                self.say(Teller::World, Some(name), || {
                    format!("the answer to attempt {attempt} will be lost")
                });
                (timeout, How::Silence, Some(takes.min(timeout)))
            }
            Mishap::None if takes > timeout => {
                self.say(Teller::World, Some(name), || {
                    format!("attempt {attempt} takes longer than its timeout")
                });
                (timeout, How::Silence, through.then_some(timeout))
            }
            // A deadline is all that ends the wait for what does not answer.
            Mishap::None if !self.reachable(step) => (timeout, How::Answers, Some(timeout)),
            Mishap::None => (takes, How::Answers, Some(takes)),
        };
        if let Some(after) = reaches {
            self.clock.after(after, Happening::Reach { step, epoch });
        }
        self.hears(after, Heard::Acted { step, how, until });
    }

    fn acting_epoch(&self) -> Epoch {
        Epoch(self.epoch.0 - u64::from(self.case.breaks(Sabotage::OldEpoch)))
    }

    /// Only where that is broken on purpose.
    pub(super) fn act_early(&mut self, events: &[Event]) {
        for event in events {
            if let Body::StepStarted { step, attempt, .. } = &event.body {
                let place = self.case.run.step_index(step).expect("a step of the plan");
                self.act(place, *attempt);
            }
        }
    }

    /// A fence is no matter of reaching what is fenced.
    fn reachable(&self, step: usize) -> bool {
        let model = &self.case.steps[step];
        matches!(model.deed, Deed::Fence { .. }) || self.world.answers(model.place)
    }

    /// An act reaches its target.
    pub(super) fn reach(&mut self, step: usize, epoch: Epoch) {
        let deed = &self.case.steps[step].deed;
        let empty = match deed {
            Deed::Fence { .. } => self.case.breaks(Sabotage::EmptyFence),
            Deed::Promote { .. } => self.case.breaks(Sabotage::EmptyPromotion),
            _ => false,
        };
        let came = match empty {
            true => Came::Done,
            false => self.world.perform(&self.case.targets, deed, epoch),
        };
        self.acts[step].1 = came;
        if came == Came::Done {
            self.checker.touched(step);
        }
        if self.leader.is_none() && came == Came::Done {
            let id = &self.case.plan().steps[step].id;
            self.say(Teller::World, Some(id), || "it is done, after its leader was lost".into());
        }
        if let Some(wrong) = self.world.wrong() {
            self.checker.note(wrong.clone().into());
        }
    }

    /// What a leader hears, as an input; nothing when it has to wait on.
    pub(super) fn hear(&mut self, heard: Heard) -> Option<Input> {
        match heard {
            Heard::Required => {
                let answers = self.case.require.iter().map(|asked| self.answer(asked)).collect();
                Some(Input::Required(answers))
            }
            Heard::Inspected { step } => Some(Input::Inspected { step, found: self.found(step) }),
            Heard::Acted { step, how, until } => self.acted(step, how, until),
            Heard::UndoInspected { step } => {
                let undo = self.undo_of(step);
                let found = match self.world.is_done(&self.case.targets, &undo.deed).filter(|_| undo.previews)
                {
                    Some(true) => Inspection::Satisfied("it is as it was".into()),
                    Some(false) => Inspection::Needed("it is not as it was".into()),
                    None => Inspection::Unknown("nobody can tell".into()),
                };
                Some(Input::UndoInspected { step, found })
            }
            Heard::Undone { step, fails, epoch } => Some(self.undone(step, fails, epoch)),
            Heard::Verified { step, until } => self.verified(step, until),
            Heard::Durable | Heard::Tick => None,
        }
    }

    fn undo_of(&self, step: usize) -> &'a TakeBack {
        self.case.steps[step].undo.as_ref().expect("only what has an undo is taken back")
    }

    /// A step is taken back: it fails as steps do, or gets through.
    fn undo(&mut self, step: usize, attempt: u32) {
        let epoch = self.acting_epoch();
        self.checker.undoes(step, epoch);
        let mut dice = self.rolls(step, "undo").fork(attempt.into());
        let fails = match Mishap::draw(self.faults, &mut dice) {
            Mishap::Fails(kind, _) => Some(kind),
            Mishap::Hangs | Mishap::Silent => Some(FailureKind::Ambiguous),
            Mishap::None => None,
        };
        let takes = self.case.steps[step].pace.draw(&mut dice).0.min(self.case.plan().steps[step].timeout.0);
        self.hears(takes, Heard::Undone { step, fails, epoch });
    }

    fn undone(&mut self, step: usize, fails: Option<FailureKind>, epoch: Epoch) -> Input {
        let (case, undo) = (self.case, self.undo_of(step));
        let failure = |kind| Err(Failure { kind, message: word(kind).into() });
        let result = match fails {
            Some(kind) => failure(kind),
            None => match self.world.take_back(&case.targets, undo, epoch) {
                Came::Done => Ok("taken back".into()),
                Came::Unreached => failure(FailureKind::Unreachable),
                Came::Refused | Came::Stale => failure(FailureKind::Refused),
            },
        };
        Input::Undone { step, result }
    }

    fn is_dark(&self, asked: &Asked) -> bool {
        !self.world.answers(self.case.targets.place_of_question(&asked.question))
    }

    fn answer(&self, asked: &Asked) -> Answer {
        match self.world.ask(&self.case.targets, &asked.question) {
            Seen::Silent => Answer::Unknown("no answer".into()),
            Seen::Holds if self.fate.lag && matches!(asked.question, Question::Lag { .. }) => {
                Answer::Fails("further behind than is allowed".into())
            }
            Seen::Fails if self.case.breaks(Sabotage::EmptyPromotion) => Answer::Holds("it is not so".into()),
            Seen::Holds => Answer::Holds("it is so".into()),
            Seen::Fails => Answer::Fails("it is not so".into()),
        }
    }

    fn found(&self, step: usize) -> Inspection {
        let model = &self.case.steps[step];
        if !self.reachable(step) {
            return Inspection::Unknown("no answer".into());
        }
        if !model.previews {
            return Inspection::Unknown("nobody can tell beforehand".into());
        }
        // What has to come up by itself is not up before it was waited for.
        let comes_up = match &model.deed {
            Deed::Wait { questions } => questions.iter().any(|q| matches!(q, Question::Reach { .. })),
            _ => false,
        };
        match self.world.is_done(&self.case.targets, &model.deed) {
            Some(true) if !comes_up => Inspection::Satisfied("it is so already".into()),
            Some(_) => Inspection::Needed("it is not so yet".into()),
            None => Inspection::Unknown("nobody can tell".into()),
        }
    }

    fn acted(&mut self, step: usize, how: How, until: Mono) -> Option<Input> {
        let failure = |kind, message: &str| Err(Failure { kind, message: message.into() });
        if self.case.breaks(Sabotage::LostAnswer) {
            return None;
        }
        let result = match how {
            How::Silence if self.case.breaks(Sabotage::TakenForUntouched) => {
                failure(FailureKind::Unreachable, "no answer")
            }
            How::Fails(kind) => failure(kind, word(kind)),
            How::Silence => {
                failure(FailureKind::Ambiguous, "no answer by its deadline; it may have been done")
            }
            How::Answers if self.still_waits(step) => {
                if self.clock.now().mono < until {
                    let again = self.again(until, self.case.plan().steps[step].timeout.0);
                    self.hears(again, Heard::Acted { step, how, until });
                    return None;
                }
                failure(FailureKind::Failed, "waited in vain")
            }
            How::Answers => match self.acts[step].1 {
                Came::Done => Ok("done".into()),
                Came::Unreached => failure(FailureKind::Unreachable, "no answer"),
                Came::Refused => failure(FailureKind::Refused, "the target says no"),
                Came::Stale => failure(FailureKind::Refused, "the target has heard of a later epoch"),
            },
        };
        Some(Input::Acted { step, result })
    }

    fn still_waits(&self, step: usize) -> bool {
        let deed = &self.case.steps[step].deed;
        matches!(deed, Deed::Wait { .. }) && self.world.is_done(&self.case.targets, deed) != Some(true)
    }

    fn verified(&mut self, step: usize, until: Mono) -> Option<Input> {
        let model = &self.case.steps[step];
        let answers: Vec<Answer> = model.verify.iter().map(|asked| self.answer(asked)).collect();
        if !answers.iter().all(Answer::holds) && self.clock.now().mono < until {
            let within = self.case.plan().steps[step].verify.as_ref().map_or(Duration::ZERO, |v| v.within.0);
            let again = self.again(until, within);
            self.hears(again, Heard::Verified { step, until });
            return None;
        }
        let evidence = model.verify.iter().zip(answers);
        let evidence = evidence.map(|(asked, answer)| Evidence { what: asked.what.clone(), answer });
        Some(Input::Verified { step, evidence: evidence.collect() })
    }

    /// The next look at something that is waited for.
    fn again(&self, until: Mono, all: Duration) -> Duration {
        until.since(self.clock.now().mono).min(AGAIN.max(all / 64))
    }
}

fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Unreachable => "the target cannot be reached",
        FailureKind::Refused => "the target refuses it",
        FailureKind::Failed => "the target fails",
        FailureKind::Ambiguous => "no answer",
    }
}
