//! A run as it is told: the fold over its journal, and what people ask besides.
//!
//! The core's fold keeps what decisions need. Since when a step stands where it stands, what
//! proved it, and who led, is kept here, by the same events in the same order.

use super::super::sites::evidence;
use super::super::state::all;
use super::super::{refuse, wire};
use crate::records;
use crate::store::{Range, Revision, Store};
use crate::term;
use standfast_core::action::Action;
use standfast_core::engine::rule;
use standfast_core::ids::{Digest, MemberId, RunId, StepId};
use standfast_core::journal::{Body, Event, Evidence, Trigger};
use standfast_core::plan::Plan;
use standfast_core::report::first_down;
use standfast_core::run::{Illegal, Run, State, StepState};
use standfast_core::verdict::Finding;
use standfast_proto::v1::{self, JournalEventKind as Kind};
use std::sync::Arc;
use tonic::Status;

/// What a step is told with.
#[derive(Clone, Debug, Default)]
struct Chapter {
    since_ms: i64,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    evidence: Vec<v1::Evidence>,
}

/// A run and all that is told of it.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    /// The fold.
    pub(crate) run: Run,
    /// The revision of the last entry.
    pub(crate) revision: Revision,
    /// The revision as of which it was read: there is no other entry up to it.
    pub(crate) read_at: Revision,
    member: MemberId,
    since_ms: i64,
    reason: String,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    overrides: Vec<v1::Override>,
    chapters: Vec<Chapter>,
}

/// Reads the plan and all entries of a run, each with its revision.
pub(crate) async fn entries(
    store: &dyn Store,
    id: &RunId,
    plan: &Digest,
) -> Result<(Arc<Plan>, Vec<(Event, Revision)>), Status> {
    let now = store.range(Range::key(records::run(id))).await.map_err(refuse::store)?.revision;
    entries_at(store, id, plan, now).await
}

async fn entries_at(
    store: &dyn Store,
    id: &RunId,
    plan: &Digest,
    at: Revision,
) -> Result<(Arc<Plan>, Vec<(Event, Revision)>), Status> {
    let plan = term::plan(store, plan).await.map_err(refuse::store)?;
    let plan = plan.ok_or_else(|| refuse::internal(format!("the plan of run {id} cannot be read")))?;
    let kvs = all(store, &records::journal(id), at).await.map_err(refuse::store)?;
    let entries = kvs.iter().map(|kv| records::decode::<Event>(kv).map(|event| (event, kv.mod_revision)));
    let entries = entries.collect::<Result<Vec<_>, _>>().map_err(refuse::internal)?;
    Ok((Arc::new(plan), entries))
}

/// Reads a run, with all its entries as they are told.
pub(crate) async fn read(
    store: &dyn Store,
    id: &RunId,
    plan: &Digest,
) -> Result<(Story, Vec<v1::JournalEvent>), Status> {
    read_until(store, id, plan, u64::MAX).await
}

/// Reads a run as it stood with entry `last`.
pub(crate) async fn read_until(
    store: &dyn Store,
    id: &RunId,
    plan: &Digest,
    last: u64,
) -> Result<(Story, Vec<v1::JournalEvent>), Status> {
    let head = store.range(Range::key(records::run(id))).await.map_err(refuse::store)?;
    // Forgotten since somebody saw it.
    if head.kvs.is_empty() {
        return Err(refuse::no_run(id.as_str()));
    }
    let now = head.revision;
    let (plan, entries) = entries_at(store, id, plan, now).await?;
    let damaged = |why: &dyn std::fmt::Display| refuse::internal(format!("run {id}: {why}"));
    let Some(((first, revision), rest)) = entries.split_first() else {
        return Err(damaged(&"its journal is empty"));
    };
    let begun = Story::begin(id.clone(), plan, first, *revision);
    let (mut story, told) = begun.map_err(|error| damaged(&error))?;
    let mut events = vec![told];
    for (event, revision) in rest.iter().take_while(|(event, _)| event.sequence <= last) {
        events.push(story.tell(event, *revision).map_err(|error| damaged(&error))?);
    }
    story.read_at = now;
    Ok((story, events))
}

/// An etag is the sequence number of the run's last entry: none when nobody insists on one.
pub(crate) fn seen(etag: &str) -> Result<Option<u64>, Status> {
    let not_ours = |_| refuse::bad_field("etag", "it is not one that was answered with a run");
    (!etag.is_empty()).then(|| etag.parse().map_err(not_ours)).transpose()
}

impl Story {
    /// From the first entry.
    pub(crate) fn begin(
        id: RunId,
        plan: Arc<Plan>,
        first: &Event,
        revision: Revision,
    ) -> Result<(Self, v1::JournalEvent), Illegal> {
        let run = Run::new(id, plan, first)?;
        let chapter = Chapter { since_ms: first.wall_ms, ..Chapter::default() };
        let overrides = match &run.trigger {
            Trigger::Operator { identity, overrides, .. } => overrides
                .iter()
                .map(|waiver| v1::Override {
                    name: waiver.rule.clone(),
                    reason: waiver.reason.clone(),
                    identity: identity.to_string(),
                })
                .collect(),
            Trigger::Automatic { .. } => Vec::new(),
        };
        let story = Self {
            chapters: vec![chapter; run.plan.steps.len()],
            revision,
            read_at: revision,
            member: first.member.clone(),
            since_ms: first.wall_ms,
            reason: String::new(),
            started_ms: None,
            ended_ms: None,
            overrides,
            run,
        };
        let told = story.event(first, revision);
        Ok((story, told))
    }

    /// Takes the next entry in, and tells it.
    pub(crate) fn tell(&mut self, event: &Event, revision: Revision) -> Result<v1::JournalEvent, Illegal> {
        let before = self.run.state();
        let steps = self.turning(event);
        self.run.apply(event)?;
        self.revision = revision;
        self.member = event.member.clone();
        let (_, text) = words(event);
        if self.run.state() != before {
            self.since_ms = event.wall_ms;
            self.reason.clone_from(&text);
            if let State::Ended(_) = self.run.state() {
                self.ended_ms = Some(event.wall_ms);
            }
        }
        for (at, before) in steps {
            self.turn(at, before, event);
        }
        if let Some(at) = event.step().and_then(|step| self.run.step_index(step)) {
            self.chapters[at].evidence.extend(proof(event));
        }
        if let Body::ApprovalGiven { step, by, reason } = &event.body
            && self.run.step_index(step).is_some_and(|at| self.proves_fence(at))
        {
            let (name, reason, identity) = ("fence".to_owned(), reason.clone(), by.to_string());
            self.overrides.push(v1::Override { name, reason, identity });
        }
        if let Body::Waived { requirement, by, reason } = &event.body {
            let check = &self.run.plan.require[*requirement].check;
            let (rule, identity) = (rule(check), by.to_string());
            // One that the run was made with is there already.
            if !self.overrides.iter().any(|known| known.name == rule && known.identity == identity) {
                let (name, reason) = (check.to_string(), reason.clone());
                self.overrides.push(v1::Override { name, reason, identity });
            }
        }
        Ok(self.event(event, revision))
    }

    /// The steps that an entry may turn, as they stand before it. Not all: a run of many steps has many
    /// entries.
    fn turning(&self, event: &Event) -> Vec<(usize, StepState)> {
        let stands = |at: usize| (at, self.run.steps[at].state);
        match (&event.body, event.step()) {
            (Body::TookOver, _) => self.run.under_way().map(stands).collect(),
            (_, step) => step.and_then(|step| self.run.step_index(step)).map(stands).into_iter().collect(),
        }
    }

    fn turn(&mut self, at: usize, before: StepState, event: &Event) {
        let after = self.run.steps[at].state;
        if after == before {
            return;
        }
        let chapter = &mut self.chapters[at];
        chapter.since_ms = event.wall_ms;
        if after == StepState::Started || after.ended() {
            chapter.started_ms.get_or_insert(event.wall_ms);
            self.started_ms.get_or_insert(event.wall_ms);
        }
        chapter.ended_ms = after.ended().then_some(event.wall_ms);
    }

    fn event(&self, event: &Event, revision: Revision) -> v1::JournalEvent {
        let (kind, message) = words(event);
        let step = event.step();
        let record = step.and_then(|step| self.run.step_index(step)).map(|at| (at, &self.run.steps[at]));
        let kind = match (&event.body, record) {
            (Body::StepStarted { .. }, Some((at, _))) if self.asks(at).is_some() => Kind::ApprovalAsked,
            // One of several approvals: the step goes on asking.
            (Body::ApprovalGiven { .. }, Some((at, record)))
                if self.asks(at).is_some_and(|(_, quorum)| record.approvals.len() < quorum) =>
            {
                Kind::StepProgress
            }
            _ => kind,
        };
        v1::JournalEvent {
            run_id: self.run.id.to_string(),
            sequence: event.sequence,
            revision,
            at: wire::time(event.wall_ms),
            epoch: event.epoch.0,
            member: event.member.to_string(),
            kind: kind.into(),
            step: step.map(ToString::to_string).unwrap_or_default(),
            attempt: record.map_or(0, |(_, record)| record.attempt),
            run_state: wire::run_state(self.run.state()).into(),
            step_state: record
                .map_or(v1::StepState::Unspecified, |(_, record)| wire::step_state(record.state))
                .into(),
            message,
            evidence: proof(event),
            identity: person(event),
        }
    }

    fn proves_fence(&self, at: usize) -> bool {
        matches!(self.run.plan.steps[at].action, Action::FenceProve { .. })
    }

    /// The role and the number of people that a step asks.
    fn asks(&self, at: usize) -> Option<(&str, usize)> {
        match &self.run.plan.steps[at].action {
            Action::ApprovalAsk { role, quorum, .. } => {
                Some((role, usize::try_from(*quorum).unwrap_or(usize::MAX)))
            }
            _ => None,
        }
    }

    /// Steps that ask people now: which, whom, and since when.
    pub(crate) fn asking(&self) -> impl Iterator<Item = (&StepId, &str, &str, i64)> {
        self.run.plan.steps.iter().enumerate().filter_map(|(at, step)| match &step.action {
            Action::ApprovalAsk { role, message, .. } if self.run.steps[at].state == StepState::Started => {
                Some((&step.id, role.as_str(), message.as_str(), self.chapters[at].since_ms))
            }
            _ => None,
        })
    }

    /// Since when the run stands where it stands, as Unix time in milliseconds.
    pub(crate) fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// The run on the wire, with or without its steps.
    pub(crate) fn to_run(&self, steps: bool) -> v1::Run {
        let run = &self.run;
        let request = &run.plan.request;
        let done = run.steps.iter().filter(|step| {
            matches!(step.state, StepState::Succeeded | StepState::AlreadyDone | StepState::Skipped)
        });
        v1::Run {
            id: run.id.to_string(),
            playbook: request.playbook.to_string(),
            from: request.from.to_string(),
            to: request.to.to_string(),
            mode: wire::mode(request.mode).into(),
            inputs: request.inputs.clone(),
            state: wire::run_state(run.state()).into(),
            state_since: wire::time(self.since_ms),
            state_reason: match run.state() {
                State::Blocked | State::Proposed => run.waits_for().join("; "),
                _ => self.reason.clone(),
            },
            trigger: Some(trigger(&run.trigger, &self.member, run.created_wall_ms)),
            reason: run.trigger.reason(),
            created_at: wire::time(run.created_wall_ms),
            started_at: self.started_ms.and_then(wire::time),
            ended_at: self.ended_ms.and_then(wire::time),
            epoch: run.epoch.0,
            member: self.member.to_string(),
            plan_digest: run.plan_digest.as_str().to_owned(),
            bundle_digest: run.plan.bundle.as_str().to_owned(),
            steps: if steps { (0..run.steps.len()).map(|at| self.step(at)).collect() } else { Vec::new() },
            overrides: self.overrides.clone(),
            past_point_of_no_return: run.crossed,
            services: run.plan.services.iter().map(ToString::to_string).collect(),
            etag: run.sequence.to_string(),
            revision: self.revision,
            steps_done: wire::count(done.count()),
            steps_total: wire::count(run.steps.len()),
            next_commands: if steps { super::next::commands(self) } else { Vec::new() },
        }
    }

    fn step(&self, at: usize) -> v1::Step {
        let (spec, record, chapter) = (&self.run.plan.steps[at], &self.run.steps[at], &self.chapters[at]);
        let needs = spec.needs.iter().map(|&need| self.run.plan.steps[need].id.to_string());
        let blocked = self.run.blocks.get(&Some(spec.id.clone()));
        v1::Step {
            id: spec.id.to_string(),
            action: spec.action.name().to_owned(),
            target: spec.action.target(),
            needs: needs.collect(),
            state: wire::step_state(record.state).into(),
            state_since: wire::time(chapter.since_ms),
            attempt: record.attempt,
            attempts: spec.attempts,
            detail: blocked.map_or_else(|| record.detail.clone(), |block| block.why.clone()),
            waits_for_approval: self.asks(at).is_some() && record.state == StepState::Started,
            started_at: chapter.started_ms.and_then(wire::time),
            ended_at: chapter.ended_ms.and_then(wire::time),
            point_of_no_return: spec.point_of_no_return,
            evidence: chapter.evidence.clone(),
        }
    }
}

fn trigger(trigger: &Trigger, member: &MemberId, created_ms: i64) -> v1::Trigger {
    let by = match trigger {
        Trigger::Operator { identity, .. } => {
            v1::trigger::By::Operator(v1::OperatorTrigger { identity: identity.to_string() })
        }
        Trigger::Automatic { evidence } => v1::trigger::By::Automatic(v1::AutomaticTrigger {
            member: member.to_string(),
            evidence: evidence_of(evidence, created_ms),
            first_down_at: first_down(evidence).and_then(|held| wire::time(wire::ago(created_ms, held))),
            lost_at: wire::time(wire::ago(created_ms, evidence.held_for)),
        }),
    };
    v1::Trigger { by: Some(by) }
}

fn evidence_of(finding: &Finding, wall_ms: i64) -> Vec<v1::Evidence> {
    evidence(&finding.site, &finding.votes, wall_ms)
}

/// What an entry stands on.
fn proof(event: &Event) -> Vec<v1::Evidence> {
    let list: &[Evidence] = match &event.body {
        Body::StepSucceeded { evidence, .. }
        | Body::StepAlreadyDone { evidence, .. }
        | Body::RequirementsMet { evidence } => evidence,
        Body::Created { trigger: Trigger::Automatic { evidence }, .. } => {
            return evidence_of(evidence, event.wall_ms);
        }
        _ => &[],
    };
    list.iter().map(|evidence| wire::evidence(evidence, event.wall_ms)).collect()
}

/// The person that an entry comes from.
fn person(event: &Event) -> String {
    match &event.body {
        Body::Created { trigger: Trigger::Operator { identity, .. }, .. } => identity.to_string(),
        Body::Approved { by, .. }
        | Body::Waived { by, .. }
        | Body::Retried { by, .. }
        | Body::OverrideAsked { by, .. }
        | Body::ApprovalGiven { by, .. }
        | Body::Paused { by, .. }
        | Body::Resumed { by, .. }
        | Body::AbortAsked { by, .. }
        | Body::RollbackBegun { by: Some(by), .. }
        | Body::StepSkipped { by: Some(by), .. } => by.to_string(),
        _ => String::new(),
    }
}

/// What an entry says: its kind, and a sentence that the core has for it.
fn words(event: &Event) -> (Kind, String) {
    let kind = match &event.body {
        Body::Created { .. } => Kind::RunCreated,
        Body::Approved { .. } | Body::ApprovalGiven { .. } => Kind::Approved,
        Body::TookOver => Kind::TakenOver,
        Body::Waived { .. } => Kind::Overridden,
        Body::StepStarted { .. }
        | Body::StepActed { .. }
        | Body::StepSucceeded { .. }
        | Body::StepAlreadyDone { .. }
        | Body::StepFailed { .. }
        | Body::StepSkipped { .. }
        | Body::UndoStarted { .. }
        | Body::StepUndone { .. }
        | Body::UndoFailed { .. } => Kind::StepStateChanged,
        Body::AttemptFailed { .. } | Body::UndoAttemptFailed { .. } => Kind::AttemptFailed,
        Body::Retried { .. }
        | Body::OverrideAsked { .. }
        | Body::Paused { .. }
        | Body::Resumed { .. }
        | Body::AbortAsked { .. } => Kind::OperatorRequested,
        Body::RequirementsMet { .. } | Body::Blocked(_) | Body::RollbackBegun { .. } | Body::Ended { .. } => {
            Kind::RunStateChanged
        }
    };
    (kind, event.sentence())
}
