//! One seed: a run from its begin until it ends or waits for people.

mod act;
mod close;

use super::check::{Breach, Checker};
use super::fault::{Fate, Faults};
use super::outcome::Outcome;
use super::people::{People, Wish};
use super::story::{Story, Teller};
use super::{Case, Loss, Sabotage};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::world::{Came, World};
use standfast_core::action::{Action, FailureKind};
use standfast_core::controller::{Ask, Controller, Effect, Input};
use standfast_core::engine;
use standfast_core::ids::{Epoch, Identity, MemberId, RunId, StepId};
use standfast_core::journal::{Body, Event};
use standfast_core::time::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long writing entries takes.
const WRITE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(10));
/// The daemon ticks this often; a deadline that could not be kept is looked at again then.
const TICK: Duration = Duration::from_millis(100);
/// A person who finds no leader tries again.
const NOBODY_LEADS: Duration = Duration::from_secs(5);
/// More happenings than this for each step mean that it never ends. Twice in a run each step
/// happens some ten times; polling and people's tries multiply that.
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

    /// The next leader folds the journal and goes on.
    fn lead(&mut self) {
        if self.checker.end().is_some() {
            return;
        }
        self.epoch = Epoch(self.epoch.0 + 1);
        let mut run = self.case.run.clone();
        for event in &self.journal[1..] {
            if let Err(illegal) = run.apply(event) {
                self.checker.note(Breach::Journal(illegal.to_string()));
                return;
            }
        }
        let member = member(self.epoch);
        if self.epoch > Epoch(1) {
            self.say(Teller::Leader, None, || format!("{member} leads"));
        }
        let mut leader = Controller::new(member, self.case.plan().request.to.clone(), self.epoch);
        leader.on(Input::Bundle(self.case.bundle.clone()), self.clock.now());
        self.leader = Some(leader);
        self.give(Input::Loaded { runs: vec![run], holds: BTreeMap::new() });
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

    /// The leader is lost. What it has begun may still reach its target before the next one.
    fn lose(&mut self, loss: Loss) {
        self.lost = Some(loss);
        self.leader = None;
        self.ticking = None;
        let (member, when) = (member(self.epoch), if loss.durable { "after" } else { "before" });
        self.say(Teller::Leader, None, || {
            format!("{member} is lost right {when} entry {} is durable", loss.entry)
        });
        let timing = &self.case.bundle.fleet.timing;
        let least = timing.ttl.0.saturating_sub(timing.renew.0);
        let takes = self.dice.between(least, timing.ttl.0 + Duration::from_secs(1));
        let dice = self.dice.fork_named("stragglers");
        self.clock.keep(|left, what| match what {
            Happening::Heard(_) => false,
            // What is late is killed before the next leader begins.
            Happening::Reach { step, .. } => left < takes && dice.fork(*step as u64).below(2) == 1,
            Happening::Lead | Happening::Visit => true,
        });
        self.clock.after(takes, Happening::Lead);
    }

    /// Somebody is needed.
    fn call(&mut self) {
        let Some(delay) = self.case.options.people.filter(|_| !self.visiting) else { return };
        self.visiting = true;
        self.clock.after(delay.0, Happening::Visit);
    }

    fn visit(&mut self) {
        let id = self.id();
        let Some(leader) = &self.leader else {
            self.clock.after(NOBODY_LEADS, Happening::Visit);
            return;
        };
        self.visiting = false;
        let Some(run) = leader.run(&id) else { return };
        self.story.say(self.clock.elapsed(), Teller::Person, self.epoch, None, || "comes, and looks".into());
        for Wish { by, command, fences } in self.people.visit(run, &self.case.bundle.rules()) {
            if fences {
                self.world.fence_by_hand(self.case.from);
            }
            self.wishes(by, command);
        }
    }

    fn wishes(&mut self, by: Identity, command: engine::Command) {
        self.asked += 1;
        let request = format!("p{}", self.asked);
        self.give(Input::Asked { request, by, ask: Ask::Run { run: self.id(), command, seen: None } });
    }

    fn say(&mut self, teller: Teller, step: Option<&StepId>, text: impl FnOnce() -> String) {
        self.story.say(self.clock.elapsed(), teller, self.epoch, step, text);
    }
}
