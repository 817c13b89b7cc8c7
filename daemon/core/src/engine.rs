//! One run, executed: what to do next, given what has happened.
//!
//! The order is always inspect, journal, act, verify, journal. An effect starts only after the
//! entry that announces it is durable: `Append` is answered with `Appended`, and only that
//! moves the state. Entries that come up while one is being written share the next write.

use crate::action::{Action, Failure, FailureKind, Inspection};
use crate::check::{Answer, Check};
use crate::ids::{Epoch, Identity, MemberId, StepId};
use crate::journal::{Block, BlockKind, Body, End, Event, Evidence, VERSION};
use crate::plan::Step;
use crate::run::{Run, State, StepState};
use crate::time::{Mono, Now};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub mod command;
mod failure;
mod flight;
mod linger;
mod message;
mod undo;

pub use command::{Command, Refusal};
pub use message::{Effect, Input};

use flight::{Flight, Flights};

/// What a person asks, until it can be judged.
#[derive(Clone, Debug)]
struct Wish {
    request: String,
    by: Identity,
    roles: BTreeSet<String>,
    two: bool,
    command: Command,
    seen: Option<u64>,
}

/// The machine of one run.
#[derive(Clone, Debug)]
pub struct Engine {
    run: Run,
    me: MemberId,
    epoch: Epoch,
    /// The run's creation on our clock, as far as its journal tells.
    began: Mono,
    flights: Flights,
    /// How an act ended that is looked at again, because nobody knows with what success.
    unclear: BTreeMap<usize, Failure>,
    /// Until when the acts of earlier leaders may still take effect.
    lingers: BTreeMap<usize, Mono>,
    requiring: bool,
    writing: Option<Vec<Event>>,
    /// The run with what is being written, from when several entries were written at once: what
    /// comes second has to follow what comes first, and copying the run each time is dear.
    ahead: Option<Box<Run>>,
    queue: Vec<Body>,
    answers: Vec<String>,
    wishes: VecDeque<Wish>,
}

impl Engine {
    /// Takes a run up under `epoch`: freshly created, or left by an earlier leader.
    pub fn new(run: Run, me: MemberId, epoch: Epoch, now: Now) -> Self {
        // Between two leaders only the wall clock has gone on; it measures here, no more.
        let between = u64::try_from(now.wall_ms - run.wall_ms).unwrap_or(0).min(3_600_000);
        let began = now.mono - Duration::from_millis(run.elapsed_ms + between);
        let mut engine = Self {
            me,
            epoch,
            began,
            flights: Flights::none(run.steps.len()),
            unclear: BTreeMap::new(),
            lingers: BTreeMap::new(),
            requiring: false,
            writing: None,
            ahead: None,
            queue: Vec::new(),
            answers: Vec::new(),
            wishes: VecDeque::new(),
            run,
        };
        engine.flights.stir(engine.run.ready());
        if engine.run.epoch < epoch && !matches!(engine.run.state(), State::Ended(_)) {
            engine.queue.push(Body::TookOver);
        }
        engine
    }

    /// The fold so far.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// When the next deadline falls: until then ticks change nothing.
    pub fn due(&self) -> Option<Mono> {
        self.flights.next_deadline()
    }

    /// One input, all that follows from it.
    pub fn on(&mut self, input: Input, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Tick => self.tick(now, &mut effects),
            Input::Appended => self.appended(now, &mut effects),
            Input::Required(answers) => self.required(&answers),
            Input::Inspected { step, found } => self.inspected(step, found, now, &mut effects),
            Input::Acted { step, result } => self.acted(step, result, &mut effects),
            Input::Verified { step, evidence } => self.verified(step, evidence),
            Input::UndoInspected { step, found } => self.undo_inspected(step, found, now),
            Input::Undone { step, result } => self.undo_acted(step, result, &mut effects),
            Input::Command { request, by, roles, two, command, seen } => {
                self.wishes.push_back(Wish { request, by, roles, two, command, seen });
            }
            Input::Withdrawn(why) if self.run.state() == State::Proposed && !self.busy() => {
                self.queue.push(Body::Ended { end: End::Cancelled, why });
            }
            Input::Withdrawn(_) => {}
        }
        self.advance(now, &mut effects);
        effects
    }

    /// Whether what is being written may change what is judged.
    fn busy(&self) -> bool {
        self.writing.is_some() || !self.queue.is_empty()
    }

    fn step(&self, at: usize) -> &Step {
        &self.run.plan.steps[at]
    }

    fn id(&self, at: usize) -> StepId {
        self.step(at).id.clone()
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        // The approval that completes the quorum may be on its way to the journal.
        let busy = self.busy();
        let over = |flight: &Flight| !matches!(flight, Flight::Approving { .. }) || !busy;
        let over: Vec<_> =
            self.flights.due(now.mono).into_iter().filter(|(_, flight)| over(flight)).collect();
        for (at, flight) in over {
            self.flights.end(at);
            match flight {
                Flight::Approving { .. } => {
                    let message = "nobody approved in time".to_owned();
                    self.failed(at, Failure { kind: FailureKind::Failed, message });
                }
                Flight::Lingering { .. } => self.lingered(at, effects),
                _ => {}
            }
        }
    }

    fn appended(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for event in self.writing.take().unwrap_or_default() {
            self.run.apply(&event).expect("the engine only writes what can follow");
            match event.step().map(|step| self.index(step)) {
                Some(at) => self.step_appended(at, &event.body, now, effects),
                None if event.body == Body::TookOver => self.take_up(now, effects),
                None if matches!(event.body, Body::RollbackBegun { .. }) => self.linger(now),
                None => {}
            }
        }
    }

    fn step_appended(&mut self, at: usize, body: &Body, now: Now, effects: &mut Vec<Effect>) {
        if self.run.steps[at].state.ended() {
            self.flights.stir(self.run.dependents(at).iter().copied());
        }
        match body {
            Body::StepStarted { attempt, .. } => {
                if let Action::ApprovalAsk { .. } = self.step(at).action {
                    let until = now.mono + self.step(at).timeout.0;
                    self.flights.begin(at, Flight::Approving { until });
                    self.approved(at);
                } else {
                    self.flights.begin(at, Flight::Acting);
                    effects.push(Effect::Act { step: at, attempt: *attempt });
                }
            }
            Body::StepActed { step, .. } => {
                if self.step(at).verify.is_some() {
                    self.flights.begin(at, Flight::Verifying { already: false });
                    effects.push(Effect::Verify { step: at });
                } else {
                    let what = self.step(at).action.name().to_owned();
                    let answer = Answer::Holds(self.run.steps[at].detail.clone());
                    let evidence = vec![Evidence { what, answer }];
                    self.queue.push(Body::StepSucceeded { step: step.clone(), evidence });
                }
            }
            Body::AttemptFailed { retry_in, .. } => {
                self.flights.begin(at, Flight::Backoff { until: now.mono + retry_in.0 });
            }
            Body::ApprovalGiven { .. } => self.approved(at),
            Body::StepSucceeded { .. }
            | Body::StepAlreadyDone { .. }
            | Body::StepFailed { .. }
            | Body::StepSkipped { .. }
            | Body::Retried { .. }
            | Body::StepUndone { .. }
            | Body::UndoFailed { .. }
            | Body::Blocked(_) => self.flights.end(at),
            Body::UndoStarted { attempt, .. } => {
                self.flights.begin(at, Flight::Undoing);
                effects.push(Effect::Undo { step: at, attempt: *attempt });
            }
            Body::UndoAttemptFailed { retry_in, .. } => {
                self.flights.begin(at, Flight::UndoWaiting { until: now.mono + retry_in.0 });
            }
            _ => {}
        }
    }

    fn index(&self, step: &StepId) -> usize {
        self.run.step_index(step).expect("an applied entry names a step of the plan")
    }

    /// After a takeover: what was under way is looked at, at once.
    fn take_up(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.linger(now);
        if self.run.state() == State::RollingBack {
            // Nothing goes forward any more: what is unknown is taken back.
            return;
        }
        self.flights.stir(self.run.ready());
        let under_way: Vec<usize> = self.run.under_way().collect();
        for at in under_way {
            match self.run.steps[at].state {
                StepState::Unknown => {
                    self.flights.begin(at, Flight::Inspecting { unknown: true });
                    effects.push(Effect::Inspect { step: at });
                }
                // Only approvals stay Started; their time is counted anew.
                StepState::Started => {
                    let until = now.mono + self.step(at).timeout.0;
                    self.flights.begin(at, Flight::Approving { until });
                    self.approved(at);
                }
                _ => {}
            }
        }
    }

    fn required(&mut self, answers: &[Answer]) {
        self.requiring = false;
        let require = self.run.plan.require.clone();
        let mut waived = self.run.waived.clone();
        let mut against = Vec::new();
        let mut evidence = Vec::new();
        for (requirement, (spec, answer)) in require.iter().zip(answers).enumerate() {
            evidence.push(Evidence { what: spec.check.to_string(), answer: answer.clone() });
            if answer.holds() || waived.contains(&requirement) {
                continue;
            }
            let rule = rule(&spec.check);
            match self.run.overridden(rule).filter(|_| spec.override_by.is_some()) {
                Some(waiver) => {
                    let (by, reason) = (self.run.trigger.identity(), waiver.reason.clone());
                    self.queue.push(Body::Waived { requirement, by, reason });
                    waived.insert(requirement);
                }
                None => against.push(format!("{}: {}", spec.check, answer.detail())),
            }
        }
        self.queue.push(if against.is_empty() {
            Body::RequirementsMet { evidence }
        } else {
            Body::Blocked(Block { step: None, kind: BlockKind::Requirement, why: against.join("; ") })
        });
    }

    fn inspected(&mut self, at: usize, found: Inspection, now: Now, effects: &mut Vec<Effect>) {
        let Some(Flight::Inspecting { unknown }) = self.flights.of(at) else { return };
        self.flights.begin(at, Flight::Journaling);
        if unknown {
            return self.looked_again(at, found, now);
        }
        let step = self.id(at);
        match found {
            Inspection::Satisfied(_) if self.step(at).verify.is_some() => {
                self.flights.begin(at, Flight::Verifying { already: true });
                effects.push(Effect::Verify { step: at });
            }
            Inspection::Satisfied(seen) => {
                let what = self.step(at).action.name().to_owned();
                let evidence = vec![Evidence { what, answer: Answer::Holds(seen) }];
                self.queue.push(Body::StepAlreadyDone { step, evidence });
            }
            Inspection::Needed(inspected) => self.start(at, inspected, now),
            Inspection::Conflict(why) => {
                self.queue.push(Body::Blocked(Block { step: Some(step), kind: BlockKind::Conflict, why }));
            }
            Inspection::Unknown(why) if !self.step(at).action.previews() => self.start(at, why, now),
            Inspection::Unknown(message) => {
                self.failed(at, Failure { kind: FailureKind::Unreachable, message })
            }
        }
    }

    fn acted(&mut self, at: usize, result: Result<String, Failure>, effects: &mut Vec<Effect>) {
        if self.flights.of(at) != Some(Flight::Acting) {
            return;
        }
        self.flights.begin(at, Flight::Journaling);
        match result {
            Ok(evidence) => self.queue.push(Body::StepActed { step: self.id(at), evidence }),
            // It may have been done, and may not be done twice: look.
            Err(failure) if failure.kind == FailureKind::Ambiguous && !self.step(at).action.idempotent() => {
                self.unclear.insert(at, failure);
                self.flights.begin(at, Flight::Inspecting { unknown: true });
                effects.push(Effect::Inspect { step: at });
            }
            Err(failure) => self.failed(at, failure),
        }
    }

    fn verified(&mut self, at: usize, evidence: Vec<Evidence>) {
        let Some(Flight::Verifying { already }) = self.flights.of(at) else { return };
        self.flights.begin(at, Flight::Journaling);
        let against: Vec<String> = evidence
            .iter()
            .filter(|seen| !seen.answer.holds())
            .map(|seen| format!("{}: {}", seen.what, seen.answer.detail()))
            .collect();
        let step = self.id(at);
        if !against.is_empty() {
            let message = format!("not verified in time: {}", against.join("; "));
            self.failed(at, Failure { kind: FailureKind::Failed, message });
        } else if already {
            self.queue.push(Body::StepAlreadyDone { step, evidence });
        } else {
            self.queue.push(Body::StepSucceeded { step, evidence });
        }
    }

    fn approved(&mut self, at: usize) {
        let Action::ApprovalAsk { quorum, .. } = &self.step(at).action else { return };
        let approvals = &self.run.steps[at].approvals;
        if approvals.len() >= *quorum as usize {
            let names: Vec<&str> = approvals.iter().map(Identity::as_str).collect();
            let answer = Answer::Holds(format!("approved by {}", names.join(", ")));
            let evidence = vec![Evidence { what: "approval.ask".into(), answer }];
            self.flights.begin(at, Flight::Journaling);
            self.queue.push(Body::StepSucceeded { step: self.id(at), evidence });
        }
    }

    /// Starts whatever may start now.
    fn advance(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while !self.busy() {
            let Some(Wish { request, by, roles, two, command, seen }) = self.wishes.pop_front() else {
                break;
            };
            let person = command::Person { by: &by, roles: &roles, two };
            let judged =
                command::fresh(&self.run, seen).and_then(|()| command::judge(&self.run, &person, &command));
            match judged {
                Ok(bodies) => {
                    // Whatever is still asked about the step does not matter any more.
                    if let Command::Skip { step, .. } | Command::Retry { step: Some(step), .. } = &command {
                        self.flights.end(self.index(step));
                    }
                    self.queue.extend(bodies);
                    self.answers.push(request);
                }
                Err(refusal) => effects.push(Effect::Refuse { request, refusal }),
            }
        }
        if !self.busy() {
            self.next(now, effects);
        }
        if self.writing.is_none() && !self.queue.is_empty() {
            let events = self.entries(now);
            if !events.is_empty() {
                self.writing = Some(events.clone());
                effects.push(Effect::Append { events, answers: std::mem::take(&mut self.answers) });
            }
        }
    }

    /// What is queued, as entries. One that another has overtaken (the run was ended while its
    /// requirements were asked) cannot follow any more: it is dropped, its step looked at anew.
    fn entries(&mut self, now: Now) -> Vec<Event> {
        let bodies = std::mem::take(&mut self.queue);
        let elapsed_ms = (now.mono.since(self.began).as_millis() as u64).max(self.run.elapsed_ms);
        if bodies.len() > 1 && self.ahead.is_none() {
            self.ahead = Some(Box::new(self.run.clone()));
        }
        let mut events = Vec::with_capacity(bodies.len());
        for body in bodies {
            let event = Event {
                version: VERSION,
                sequence: self.run.sequence + events.len() as u64 + 1,
                wall_ms: now.wall_ms,
                elapsed_ms,
                epoch: self.epoch,
                member: self.me.clone(),
                body,
            };
            let follows = match &mut self.ahead {
                Some(ahead) => ahead.apply(&event),
                None => self.run.admits(&event).map(|_| ()),
            };
            if follows.is_ok() {
                events.push(event);
            } else if let Some(at) = event.body.step().and_then(|step| self.run.step_index(step)) {
                self.flights.end(at);
            }
        }
        events
    }

    fn next(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.run.abort_asked.is_none() && self.retreat() {
            return;
        }
        let ending = self.run.abort_asked.clone().or_else(|| self.aborting());
        match (self.run.state(), ending) {
            (State::Ended(_), _) => {}
            (State::Proposed, Some(why)) => self.queue.push(Body::Ended { end: End::Aborted, why }),
            (_, Some(why)) => {
                // Nothing is interrupted in mid-effect: what waits is dropped, what acts ends.
                self.flights.end_waiting(true);
                if self.flights.is_empty() {
                    self.queue.push(Body::Ended { end: End::Aborted, why });
                }
            }
            (State::RollingBack, None) => self.roll_back(now, effects),
            (State::Running, None) if !self.run.cleared => {
                if !std::mem::replace(&mut self.requiring, true) {
                    effects.push(Effect::Require);
                }
            }
            (State::Running, None) if self.run.open() == 0 => {
                let (end, why) = self.run.outcome();
                self.queue.push(Body::Ended { end, why });
            }
            (State::Running, None) => {
                for at in self.flights.stirred() {
                    if !self.run.is_ready(at) || self.flights.of(at).is_some() {
                        continue;
                    }
                    if let Action::ApprovalAsk { message, .. } = &self.step(at).action {
                        let inspected = message.clone();
                        let (step, attempt) = (self.id(at), self.run.steps[at].attempt + 1);
                        self.flights.begin(at, Flight::Journaling);
                        self.queue.push(Body::StepStarted { step, attempt, inspected });
                    } else {
                        self.flights.begin(at, Flight::Inspecting { unknown: false });
                        effects.push(Effect::Inspect { step: at });
                    }
                }
                debug_assert!(
                    self.run.ready().all(|at| self.flights.of(at).is_some()),
                    "a step was forgotten"
                );
            }
            (State::Paused | State::Blocked | State::Proposed, None) => {}
        }
    }

    /// A step failed whose policy is to end the run.
    fn aborting(&self) -> Option<String> {
        let at = self.run.aborting()?;
        Some(format!("step {} failed: {}", self.step(at).id, self.run.steps[at].detail))
    }
}

/// The name under which a requirement may be waived.
pub fn rule(check: &Check) -> &'static str {
    match check {
        Check::PostgresLag { .. } => "lag",
        Check::PostgresRole { .. } => "postgres.role",
        Check::PostgresWritable { .. } => "postgres.writable",
        Check::HttpGet { .. } => "http.get",
        Check::TcpConnect { .. } => "tcp.connect",
        Check::DnsAnswers { .. } => "dns.answers",
    }
}

#[cfg(test)]
#[path = "engine_test.rs"]
mod tests;
