//! What a run asks for, performed in the world from where its leader stands.

use super::fence::Proving;
use super::member::Wake;
use super::term::Word;
use super::{Cluster, Happening, Mutant, setting};
use crate::dice::Share;
use crate::world::{Came, Deed, Question, Seen, Site};
use standfast_core::action::{Failure, FailureKind, Inspection};
use standfast_core::check::Answer;
use standfast_core::controller::Input as Ctl;
use standfast_core::engine::{Effect, Input};
use standfast_core::ids::{Digest, Epoch, RunId};
use standfast_core::journal::Evidence;
use standfast_core::plan::{Mode, Plan};
use standfast_core::time::Mono;
use std::time::Duration;

/// The daemon's own limits: for one condition, for one inspection.
const ASK: Duration = Duration::from_secs(5);
const INSPECT: Duration = Duration::from_secs(10);
/// How long an answer takes.
const ANSWER: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(120));
/// How long an act takes.
const ACT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(4));
/// How long what a leader has left behind may be under way.
const LATE: Duration = Duration::from_secs(15);
/// Between two rounds of a verification, and between two stages of an act that has several.
const AGAIN: Duration = Duration::from_millis(500);

/// Something that a run waits for.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) run: RunId,
    pub(super) epoch: Epoch,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Required,
    Inspected(usize),
    UndoInspected(usize),
    Verify(usize, Mono),
    /// An act goes on to its next stage.
    Stage(u64),
    Prove(Proving),
    Input(Input),
}

/// An act under way: it goes on when its leader is lost, unless somebody ends it.
#[derive(Debug)]
pub(super) struct Act {
    member: usize,
    life: u32,
    run: RunId,
    epoch: Epoch,
    step: usize,
    /// It takes the step back.
    undo: bool,
    deed: Deed,
    stages: u32,
    until: Duration,
    silent: bool,
    /// It has waited on its way.
    late: bool,
    /// How long it may take effect once another leads.
    linger: Duration,
    /// It waits for its leader to begin the next stage.
    staged: bool,
}

impl Cluster<'_> {
    /// Lets the world look as it does from a member.
    fn look_from(&mut self, member: usize) {
        for site in 0..super::net::SITES {
            let dark = !self.reaches(member, Some(site));
            let stands = Site { dark, ..self.world.site(site) };
            self.world.set_site(site, stands);
        }
    }

    pub(super) fn run_effect(&mut self, member: usize, run: RunId, effect: Effect) {
        if !self.may_act(member) {
            return self.say(member, Word::GuardLost);
        }
        let Some(leading) = &self.members[member].leading else { return };
        let epoch = leading.term.epoch;
        let Some(live) = leading.controller.run(&run) else { return };
        let (plan, digest) = (live.plan.clone(), live.plan_digest.clone());
        let now = self.now(member).mono;
        let (what, takes) = match effect {
            Effect::Require => (What::Required, self.asking(member, &digest, None)),
            Effect::Inspect { step } => (What::Inspected(step), self.asking(member, &digest, Some(step))),
            Effect::Verify { step } => {
                let within =
                    plan.steps[step].verify.as_ref().map_or(Duration::ZERO, |verify| verify.within.0);
                (What::Verify(step, now + within), self.dice.between(ANSWER.0, ANSWER.1))
            }
            Effect::Act { step, attempt } => {
                self.overlap(&run, step, epoch);
                self.judge.acts(&run, step, attempt, epoch, member, self.clock.elapsed());
                return self.act(member, (run, epoch, step, false), &plan, &digest);
            }
            Effect::InspectUndo { step } => {
                (What::UndoInspected(step), self.dice.between(ANSWER.0, ANSWER.1))
            }
            Effect::Undo { step, .. } => {
                self.overlap(&run, step, epoch);
                self.judge.undoes(&run, step, epoch, member, self.clock.elapsed());
                return self.act(member, (run, epoch, step, true), &plan, &digest);
            }
            Effect::Append { .. } | Effect::Refuse { .. } => return,
        };
        self.wake_after(member, takes, Wake::Heard(Box::new(Heard { run, epoch, what })));
    }

    /// How long asking takes: all of its time, if one does not answer.
    fn asking(&mut self, member: usize, digest: &Digest, step: Option<usize>) -> Duration {
        let model = setting::model(self.cases, digest);
        let targets = &self.case.targets;
        let reached = match step {
            Some(step) => {
                let deed = &model.deeds[step];
                matches!(deed, Deed::Fence { .. }) || self.reaches(member, targets.place_of(deed))
            }
            None => {
                model.require.iter().all(|asked| self.reaches(member, targets.place_of_question(&asked.1)))
            }
        };
        match (reached, step) {
            (true, _) => self.dice.between(ANSWER.0, ANSWER.1),
            (false, Some(_)) => INSPECT,
            (false, None) => ASK,
        }
    }

    /// What a plan requires is asked for a person's run.
    pub(super) fn require(&mut self, member: usize, request: String, plan: &Plan) {
        let answers = self.required(member, &plan.digest());
        self.control(member, Ctl::Required { request, answers });
    }

    fn required(&mut self, member: usize, digest: &Digest) -> Vec<Answer> {
        self.judge.asked(self.behind > 0);
        let asked = setting::model(self.cases, digest).require.iter();
        asked.map(|(_, question)| self.ask(member, question)).collect()
    }

    fn ask(&mut self, member: usize, question: &Question) -> Answer {
        self.look_from(member);
        match self.world.ask(&self.case.targets, question) {
            Seen::Silent => Answer::Unknown("no answer".into()),
            Seen::Holds
                if matches!(question, Question::Lag { .. })
                    && self.behind > 0
                    && !self.breaks(Mutant::NoLag) =>
            {
                Answer::Fails("further behind than is allowed".into())
            }
            Seen::Holds => Answer::Holds("it is so".into()),
            Seen::Fails => Answer::Fails("it is not so".into()),
        }
    }

    /// A run hears something; nobody does whose term has ended.
    pub(super) fn heard(&mut self, member: usize, heard: Heard) {
        let Heard { run, epoch, what } = heard;
        let Some(leading) =
            self.members[member].leading.as_ref().filter(|leading| leading.term.epoch == epoch)
        else {
            return;
        };
        let Some(digest) = leading.controller.run(&run).map(|live| live.plan_digest.clone()) else { return };
        let model = setting::model(self.cases, &digest);
        let input = match what {
            What::Required => Input::Required(self.required(member, &digest)),
            What::Inspected(step) => {
                let found = self.inspect(member, &model.deeds[step]);
                Input::Inspected { step, found }
            }
            What::UndoInspected(step) => {
                let (deed, _) = model.undos[step].as_ref().expect("the step has an undo");
                let found = self.inspect(member, deed);
                Input::UndoInspected { step, found }
            }
            What::Verify(step, until) => {
                let asked = &model.verify[step];
                let evidence: Vec<Evidence> = asked
                    .iter()
                    .map(|(what, question)| Evidence {
                        what: what.clone(),
                        answer: self.ask(member, question),
                    })
                    .collect();
                let all = evidence.iter().all(|seen| seen.answer.holds());
                if !all && self.now(member).mono < until {
                    let again = Heard { run, epoch, what: What::Verify(step, until) };
                    return self.wake_after(member, AGAIN, Wake::Heard(Box::new(again)));
                }
                Input::Verified { step, evidence }
            }
            What::Stage(id) => return self.stage(member, id),
            What::Prove(proving) => return self.prove(member, proving),
            What::Input(input) => input,
        };
        self.control(member, Ctl::Run(run, input));
    }

    fn inspect(&mut self, member: usize, deed: &Deed) -> Inspection {
        if let Deed::Fence { .. } = deed {
            return Inspection::Needed("it is to be proven".into());
        }
        self.look_from(member);
        match self.world.is_done(&self.case.targets, deed) {
            Some(true) => Inspection::Satisfied("it is so already".into()),
            Some(false) => Inspection::Needed("it is not so yet".into()),
            None => Inspection::Unknown("nobody can tell".into()),
        }
    }

    fn act(&mut self, member: usize, of: (RunId, Epoch, usize, bool), plan: &Plan, digest: &Digest) {
        let (run, epoch, step, undo) = of;
        let timeout = plan.steps[step].timeout.0;
        let now = self.now(member).mono;
        let model = setting::model(self.cases, digest);
        let (deed, linger) = match &model.undos[step] {
            Some((deed, linger)) if undo => (deed.clone(), *linger * 99 / 100),
            _ => (model.deeds[step].clone(), model.lingers[step] * 99 / 100),
        };
        if let Deed::Fence { site, proofs } = deed {
            let emergency = plan.request.mode == Mode::Emergency;
            // Each proof has its share of the time, and the lease comes first.
            let until = now + timeout / u32::try_from(proofs.len()).unwrap_or(1);
            let proving = Proving { run, epoch, step, site, proofs, emergency, until };
            return self.prove(member, proving);
        }
        let most = if self.failing > 0 { 3 * ACT.1 } else { ACT.1 };
        let takes = self.dice.between(ACT.0, most).min(timeout);
        let fails = if self.failing > 0 { Share::percent(25) } else { Share::percent(1) };
        if self.dice.happens(fails) {
            let kind = match self.dice.below(4) {
                0 => FailureKind::Unreachable,
                1 => FailureKind::Refused,
                _ => FailureKind::Failed,
            };
            let failure = Failure { kind, message: "it failed".into() };
            return self.acted(member, (run, epoch, step, undo), takes, Err(failure));
        }
        let silent = self.dice.happens(if self.failing > 0 { Share::percent(15) } else { Share::percent(1) });
        let stages = if matches!(deed, Deed::Weigh { .. }) { 3 } else { 1 };
        let until = self.clock.elapsed() + timeout;
        let life = self.members[member].life;
        self.numbered += 1;
        let (late, staged) = (false, false);
        let act =
            Act { member, life, run, epoch, step, undo, deed, stages, until, silent, late, linger, staged };
        self.acts.insert(self.numbered, act);
        self.clock.after(takes, Happening::Reach(self.numbered));
    }

    /// The leader hears what came of an act.
    fn acted(
        &mut self,
        member: usize,
        (run, epoch, step, undo): (RunId, Epoch, usize, bool),
        after: Duration,
        result: Result<String, Failure>,
    ) {
        let what = What::Input(match undo {
            true => Input::Undone { step, result },
            false => Input::Acted { step, result },
        });
        self.wake_after(member, after, Wake::Heard(Box::new(Heard { run, epoch, what })));
    }

    /// An act comes to its target.
    pub(super) fn reach(&mut self, id: u64) {
        let Some(mut act) = self.acts.remove(&id) else { return };
        let now = self.clock.elapsed();
        // No longer than it lingers: then it was ended, or is lost. A name server refuses what comes later.
        let refuses = matches!(act.deed, Deed::Name { .. });
        if !refuses && self.over_at(&act).is_some_and(|over| now >= over) {
            return;
        }
        let alive = self.members[act.member].life == act.life;
        if alive {
            self.look_from(act.member);
        }
        // What a leader has left behind may wait on its way, or in a target that is busy.
        let leads = |leading: &super::term::Leading| leading.term.epoch == act.epoch;
        let left = !self.members[act.member].leading.as_ref().is_some_and(leads);
        if left && !std::mem::replace(&mut act.late, true) && self.dice.below(2) == 0 {
            let late = self.dice.between(Duration::ZERO, LATE);
            self.acts.insert(id, act);
            return self.clock.after(late, Happening::Reach(id));
        }
        act.stages -= 1;
        let epoch = if refuses && self.breaks(Mutant::NoPrerequisite) { Epoch(u64::MAX) } else { act.epoch };
        let came = self.world.perform(&self.case.targets, &act.deed, epoch);
        if came == Came::Done {
            self.judge.named(&act.deed, act.epoch, now);
            if !act.undo {
                self.judge.done(&act.run, act.step, &act.deed, now);
            }
            let (name, epoch) = (self.case.targets.name_of(&act.deed), act.epoch);
            self.tell(|_| format!("{name} is acted upon under epoch {epoch}"));
        }
        self.judge.world(&self.case.targets, &mut self.world, self.clock.elapsed());
        if !alive {
            return;
        }
        let (member, of) = (act.member, (act.run.clone(), act.epoch, act.step, act.undo));
        if came == Came::Done && act.stages > 0 {
            self.numbered += 1;
            let heard = Heard { run: of.0, epoch: of.1, what: What::Stage(self.numbered) };
            act.staged = true;
            self.acts.insert(self.numbered, act);
            return self.wake_after(member, AGAIN, Wake::Heard(Box::new(heard)));
        }
        let back = self.reaches(member, self.case.targets.place_of(&act.deed));
        let failure = |kind, message: &str| Err(Failure { kind, message: message.into() });
        let result = match came {
            _ if act.silent || (!back && came != Came::Unreached) => {
                let left = act.until.saturating_sub(now);
                let result = failure(FailureKind::Ambiguous, "no answer by its deadline");
                return self.acted(member, of, left, result);
            }
            Came::Done => Ok("done".into()),
            Came::Unreached => failure(FailureKind::Unreachable, "no answer"),
            Came::Refused => failure(FailureKind::Refused, "the target says no"),
            Came::Stale => failure(FailureKind::Refused, "the target has heard of a later epoch"),
        };
        self.acted(member, of, Duration::from_millis(10), result);
    }

    /// When an act can no longer take effect; none while no other leader has begun.
    fn over_at(&self, act: &Act) -> Option<Duration> {
        self.judge.superseded(act.epoch).map(|at| at + act.linger)
    }

    /// A step begins to act under `epoch`: what an earlier leader began of it must be over.
    fn overlap(&mut self, run: &RunId, step: usize, epoch: Epoch) {
        let now = self.clock.elapsed();
        let refuses = |act: &Act| matches!(act.deed, Deed::Name { .. });
        let of = |act: &&Act| {
            let same = act.run == *run && act.step == step;
            same && act.epoch < epoch && !act.staged && !refuses(act)
        };
        let other = self.acts.values().filter(of).find(|act| self.over_at(act).is_none_or(|over| now < over));
        if let Some(other) = other.map(|act| act.epoch) {
            self.judge.overlaps(run, step, (other, epoch), now);
        }
    }

    /// The next stage of an act begins, if the term still allows it.
    fn stage(&mut self, member: usize, id: u64) {
        if !self.may_act(member) {
            self.acts.remove(&id);
            return;
        }
        let Some(act) = self.acts.get_mut(&id) else { return };
        act.staged = false;
        self.judge.acts_on(&act.run, act.epoch, member, self.clock.elapsed());
        self.clock.after(Duration::from_millis(20), Happening::Reach(id));
    }

    /// What a member has begun ends; what was on its way may get through all the same.
    pub(super) fn drop_acts(&mut self, member: usize) {
        let mine: Vec<u64> =
            self.acts.iter().filter(|(_, act)| act.member == member).map(|(id, _)| *id).collect();
        for id in mine {
            if self.dice.below(2) == 0 {
                self.acts.remove(&id);
            }
        }
    }
}
