//! Leaders come and go, and people with them.

use super::{Happening, Life, member};
use crate::simulate::Loss;
use crate::simulate::check::Breach;
use crate::simulate::people::Wish;
use crate::simulate::story::Teller;
use standfast_core::controller::{Ask, Controller, Input, Kept};
use standfast_core::engine;
use standfast_core::ids::{Epoch, Identity};
use std::collections::BTreeMap;
use std::time::Duration;

/// A person who finds no leader tries again.
const NOBODY_LEADS: Duration = Duration::from_secs(5);

impl Life<'_> {
    /// The next leader folds the journal and goes on.
    pub(super) fn lead(&mut self) {
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
        self.give(Input::Loaded { runs: vec![run], holds: BTreeMap::new(), kept: Kept::default() });
    }

    /// The leader is lost. What it has begun may still reach its target before the next one.
    pub(super) fn lose(&mut self, loss: Loss) {
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
    pub(super) fn call(&mut self) {
        let Some(delay) = self.case.options.people.filter(|_| !self.visiting) else { return };
        self.visiting = true;
        self.clock.after(delay.0, Happening::Visit);
    }

    pub(super) fn visit(&mut self) {
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
}
