//! One seed: a run from its begin until it ends or waits for people.

mod act;
mod close;
mod leader;

use super::check::{Breach, Checker};
use super::fault::{Fate, Faults};
use super::outcome::Outcome;
use super::people::People;
use super::story::{Story, Teller};
use super::{Case, Loss, Sabotage};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::world::{Came, World};
use standfast_core::action::{Action, FailureKind};
use standfast_core::controller::{Controller, Effect, Input};
use standfast_core::engine;
use standfast_core::ids::{Epoch, MemberId, RunId, StepId};
use standfast_core::journal::{Body, Event};
use standfast_core::time::Mono;
use std::time::Duration;

/// How long writing entries takes.
const WRITE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(10));
/// The daemon ticks this often; a deadline that could not be kept is looked at again then.
const TICK: Duration = Duration::from_millis(100);
/// More happenings than this for each step mean that it never ends: an attempt is some ten of
/// them, what is waited for is asked a few hundred times, and attempts and people are few.
const ENDLESS: u64 = 20_000;

/// The leader of an epoch.
pub(super) fn member(epoch: Epoch) -> MemberId {
    MemberId::new(format!("m{epoch}"))
}

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    /// A leader takes the run up.
    Lead,
    /// A person comes.
    Visit,
    /// An act reaches its target.
    Reach { step: usize, epoch: Epoch },
    /// Something that only a leader hears.
    Heard(Heard),
}

/// What a leader hears; what was under way when it is lost, nobody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Durable,
    Tick,
    Required,
    Inspected { step: usize },
    Acted { step: usize, how: How, until: Mono },
    UndoInspected { step: usize },
    Undone { step: usize, fails: Option<FailureKind>, epoch: Epoch },
    Verified { step: usize, until: Mono },
}

/// What an act comes to, as far as its caller can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The target answers.
    Answers,
    /// It fails like this.
    Fails(FailureKind),
    /// Nobody answers until the timeout.
    Silence,
}

/// One seed.
pub(super) struct Life<'a> {
    case: &'a Case,
    seed: u64,
    fate: Fate,
    faults: &'a Faults,
    dice: Dice,
    clock: Clock<Happening>,
    world: World,
    leader: Option<Controller>,
    epoch: Epoch,
    /// What the leader is writing.
    writing: Vec<Event>,
    journal: Vec<Event>,
    checker: Checker,
    people: People,
    story: Story,
    /// By step: how often it was acted, and what came of it last.
    acts: Vec<(u32, Came)>,
    ticking: Option<Mono>,
    visiting: bool,
    /// Nothing was left but to tick.
    idle: bool,
    asked: u64,
    lost: Option<Loss>,
}

impl<'a> Life<'a> {
    pub(super) fn new(case: &'a Case, seed: u64, fate: Fate, faults: &'a Faults, story: Story) -> Self {
        Self {
            case,
            seed,
            world: case.world(&fate),
            dice: Dice::new(seed).fork_named("life"),
            fate,
            faults,
            clock: Clock::default(),
            leader: None,
            epoch: Epoch(0),
            writing: Vec::new(),
            journal: Vec::new(),
            checker: Checker::new(case.plan.clone()),
            people: People::default(),
            story,
            acts: vec![(0, Came::Unreached); case.steps.len()],
            ticking: None,
            visiting: false,
            idle: false,
            asked: 0,
            lost: None,
        }
    }

    /// Lets everything happen that will.
    pub(super) fn run(mut self) -> (Outcome, Story) {
        self.open();
        let most = ENDLESS * (self.case.steps.len() as u64 + 1);
        let mut happenings = 0;
        while self.checker.breach().is_none() {
            let Some(what) = self.clock.advance().or_else(|| self.last_tick()) else { break };
            happenings += 1;
            if happenings > most {
                self.checker.note(Breach::Endless { happenings: most });
                break;
            }
            self.happens(what);
            if self.checker.end().is_some() && self.leader.as_ref().is_none_or(|l| l.runs().next().is_none())
            {
                break;
            }
        }
        self.close()
    }

    /// Daemons tick for ever. When nothing else is left, one more tick shows whether that helps.
    fn last_tick(&mut self) -> Option<Happening> {
        let run = self.leader.as_ref()?.runs().next()?;
        let tick = !std::mem::replace(&mut self.idle, true) && close::waits(run).is_empty();
        tick.then_some(Happening::Heard(Heard::Tick))
    }

    /// Tells how everything stands, and lets the first leader begin.
    fn open(&mut self) {
        let from = &self.case.plan().request.from;
        let site = self.world.site(self.case.from);
        if site.dark {
            let how = if site.dead { "is gone" } else { "is cut off, and lives on" };
            self.say(Teller::World, None, || format!("{from} {how}; nothing in it answers"));
        }
        if let Some((since, percent)) = self.fate.slow {
            let to = &self.case.plan().request.to;
            let since = standfast_core::time::Span::from(since);
            let times = f64::from(percent) / 100.0;
            self.say(Teller::World, None, || format!("from {since} on {to} is {times} times as slow"));
        }
        let created = self.case.created.clone();
        self.durable(&created);
        self.journal.push(created);
        self.clock.after(Duration::ZERO, Happening::Lead);
    }

    fn happens(&mut self, what: Happening) {
        self.idle &= what == Happening::Heard(Heard::Tick);
        match what {
            Happening::Lead => self.lead(),
            Happening::Visit => self.visit(),
            Happening::Reach { step, epoch } => self.reach(step, epoch),
            Happening::Heard(Heard::Durable) => self.written(),
            Happening::Heard(Heard::Tick) => {
                self.ticking = None;
                self.give(Input::Tick);
            }
            Happening::Heard(heard) => {
                if let Some(input) = self.hear(heard) {
                    self.tell(input);
                }
            }
        }
    }

    fn id(&self) -> RunId {
        self.case.run.id.clone()
    }

    /// Tells the run something.
    fn tell(&mut self, input: engine::Input) {
        self.give(Input::Run(self.id(), input));
    }

    /// Tells the leader something, and performs what it asks for.
    fn give(&mut self, input: Input) {
        let Some(leader) = &mut self.leader else { return };
        let effects = leader.on(input, self.clock.now());
        for effect in effects {
            match effect {
                Effect::Append { events, .. } => {
                    if self.case.breaks(Sabotage::EarlyAct) {
                        self.act_early(&events);
                    }
                    self.writing = events;
                    let takes = self.dice.between(WRITE.0, WRITE.1);
                    self.hears(takes, Heard::Durable);
                }
                Effect::Run(_, effect) => self.perform(effect),
                // The rest is about runs to come, about hold-downs after this one, and answers that
                // nobody waits for.
                _ => {}
            }
        }
        self.tick();
    }

    /// Ticks at the next deadline, or soon if one could not be kept.
    fn tick(&mut self) {
        let Some(due) = self.leader.as_ref().and_then(Controller::due) else { return };
        let now = self.clock.now().mono;
        let due = if due > now { due } else { now + TICK };
        if self.ticking.is_none_or(|ticking| due < ticking) {
            self.ticking = Some(due);
            self.clock.at(due, Happening::Heard(Heard::Tick));
        }
    }

    fn hears(&mut self, after: Duration, heard: Heard) {
        self.clock.after(after, Happening::Heard(heard));
    }

    /// Entries are durable, unless this is where the leader is lost.
    fn written(&mut self) {
        let events = std::mem::take(&mut self.writing);
        let holds = |loss: &Loss| events.iter().any(|event| event.sequence == loss.entry);
        let loss = self.fate.loss.filter(|loss| self.lost.is_none() && holds(loss));
        if loss.is_none_or(|loss| loss.durable) {
            for event in events {
                self.durable(&event);
                if !(self.case.breaks(Sabotage::LostEntry) && event.sequence == 2) {
                    self.journal.push(event);
                }
            }
        }
        match loss {
            Some(loss) => self.lose(loss),
            None => self.tell(engine::Input::Appended),
        }
    }

    fn durable(&mut self, event: &Event) {
        let now = self.clock.elapsed();
        self.story.entry(event, now);
        let step = event.step().and_then(|step| self.case.run.step_index(step));
        self.checker.durable(event, step, now);
        let asks = |step: usize| matches!(self.case.plan().steps[step].action, Action::ApprovalAsk { .. });
        let needed = match &event.body {
            Body::Blocked(_) | Body::Paused { .. } => true,
            Body::StepStarted { .. } => step.is_some_and(asks),
            _ => false,
        };
        if needed {
            self.call();
        }
        if let (Body::StepSucceeded { .. }, Some(step)) = (&event.body, step)
            && self.case.breaks(Sabotage::ActTwice)
        {
            self.act(step, 1);
        }
    }

    fn say(&mut self, teller: Teller, step: Option<&StepId>, text: impl FnOnce() -> String) {
        self.story.say(self.clock.elapsed(), teller, self.epoch, step, text);
    }
}
