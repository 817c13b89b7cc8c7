//! Runs: started, looked at, followed, and told what people want.

mod list;
pub(super) mod next;
mod story;
mod watch;

use super::asks::{Outcome, Wish, reason, until_led};
use super::{Answers, Api, plans, refuse, reports, wire};
use crate::records::{self, Head};
use crate::store::Range;
use standfast_core::controller::{Ask, Subject};
use standfast_core::engine::Command;
use standfast_core::ids::{Digest, Identity, RunId, StepId};
use standfast_core::run::StepState;
use standfast_proto::v1::runs_server::Runs;
use standfast_proto::v1::{self, *};
use tonic::{Request, Response, Status};

pub(super) use list::short;
pub(super) use story::{Story, entries, read};

/// The most people waive at once.
const MAX_OVERRIDES: usize = 16;

/// What every change of a run carries.
struct Change {
    wish: Wish,
    id: String,
    etag: String,
}

impl Api {
    /// The head of a run.
    pub(super) async fn head(&self, id: &str) -> Result<Head, Status> {
        let run = RunId::new(id);
        if records::begun(&run).is_none() {
            return Err(refuse::no_run(id));
        }
        let reply = self.store().range(Range::key(records::run(&run))).await.map_err(refuse::store)?;
        let kv = reply.kvs.first().ok_or_else(|| refuse::no_run(id))?;
        records::decode(kv).map_err(refuse::internal)
    }

    /// A run with all its journal.
    pub(super) async fn story(&self, id: &str) -> Result<Story, Status> {
        let head = self.head(id).await?;
        let (story, _) = read(self.store(), &head.id, &head.plan).await?;
        Ok(story)
    }

    /// A run as it stood when a request was carried out: the same however often that is repeated.
    async fn then(&self, subject: &Subject) -> Result<Story, Status> {
        let head = self.head(subject.run.as_str()).await?;
        let (story, _) = story::read_until(self.store(), &head.id, &head.plan, subject.sequence).await?;
        Ok(story)
    }

    async fn change(&self, change: Change, command: Command) -> Result<Response<v1::Run>, Status> {
        let Change { wish, id, etag } = change;
        let (run, seen) = (RunId::new(&id), story::seen(&etag)?);
        if !self.known(&wish).await? {
            let head = self.head(&id).await?;
            // The leader compares again. This one saves a wait for it.
            if seen.is_some_and(|seen| seen != head.sequence) {
                return Err(refuse::stale(format!("run {id} has changed since you read it")));
            }
        }
        let subject = self.ask(&wish, Ask::Run { run, command, seen }, Vec::new()).await?;
        let subject = subject.ok_or_else(|| refuse::internal("the leader's answer names no run"))?;
        Ok(Response::new(self.then(&subject).await?.to_run(true)))
    }

    /// The step that a retry without a name means: the one that blocks the run, none if it is
    /// its requirements.
    async fn blocking(&self, id: &str) -> Result<Option<StepId>, Status> {
        let story = self.story(id).await?;
        let run = &story.run;
        if run.blocks.contains_key(&None) {
            return Ok(None);
        }
        let blocked = run.blocks.keys().flatten().cloned();
        let failed = run.steps.iter().zip(&run.plan.steps);
        let failed =
            failed.filter(|(record, _)| record.state == StepState::Failed).map(|(_, step)| step.id.clone());
        let steps: std::collections::BTreeSet<StepId> = blocked.chain(failed).collect();
        let mut steps = steps.into_iter();
        match (steps.next(), steps.next()) {
            (None, _) => Err(refuse::wrong_state(
                format!("no step blocks the run: it is {}", run.state()),
                &run.state().to_string(),
            )),
            (Some(step), None) => Ok(Some(step)),
            (Some(first), Some(second)) => Err(refuse::bad_field(
                "step",
                format!("{first}, {second} and perhaps others block the run: name one"),
            )),
        }
    }

    async fn created(&self, wish: &Wish) -> Result<Response<CreateRunResponse>, Status> {
        let freeze = self.frozen().await?.as_ref().map(wire::freeze);
        match self.outcome(wish).await? {
            Outcome::Done(Some(subject)) => {
                let story = self.then(&subject).await?;
                Ok(Response::new(CreateRunResponse {
                    plan: Some(plans::plan(&story.run.plan)),
                    run: Some(story.to_run(true)),
                    existed: subject.existed,
                    waits_for_leader: None,
                    freeze,
                }))
            }
            Outcome::Done(None) => Err(refuse::internal("the leader's answer names no run")),
            Outcome::Waiting { led: true } => Err(self.unanswered(wish, true)),
            Outcome::Waiting { led: false } => Ok(Response::new(CreateRunResponse {
                waits_for_leader: wire::span(until_led(&self.timing())),
                freeze,
                ..CreateRunResponse::default()
            })),
        }
    }
}

fn step(name: &str) -> Option<StepId> {
    (!name.is_empty()).then(|| StepId::new(name))
}

/// What every change carries, from any of their messages.
macro_rules! change {
    ($request:expr) => {{
        let by: Identity = Api::caller(&$request)?;
        let message = $request.into_inner();
        let wish = Wish::new(&message.request_id, by, &message)?;
        let change = Change { wish, id: message.id.clone(), etag: message.etag.clone() };
        (change, message)
    }};
}

#[tonic::async_trait]
impl Runs for Api {
    type WatchRunStream = Answers<WatchRunResponse>;

    async fn create_run(
        &self,
        request: Request<CreateRunRequest>,
    ) -> Result<Response<CreateRunResponse>, Status> {
        let by = Self::caller(&request)?;
        let message = request.into_inner();
        if message.overrides.len() > MAX_OVERRIDES {
            return Err(refuse::bad_field("overrides", format!("at most {MAX_OVERRIDES} can be waived")));
        }
        if message.validate_only {
            let plan = plans::bound(&*self.bundle().await?, plans::Wanted::from(&message))?;
            let plan = self.inspected(plan, &by, &message.overrides).await?;
            return Ok(Response::new(CreateRunResponse { plan: Some(plan), ..CreateRunResponse::default() }));
        }
        let wish = Wish::new(&message.request_id, by, &message)?;
        let reason = reason(&message.reason, true)?;
        if self.known(&wish).await? {
            return self.created(&wish).await;
        }
        let plan = plans::bound(&*self.bundle().await?, plans::Wanted::from(&message))?;
        let overrides = plans::overrides(&plan, &message.overrides)?;
        let seen = (!message.plan_digest.is_empty()).then(|| Digest::from(message.plan_digest.as_str()));
        let ask = Ask::Start { request: plan.request.clone(), reason, overrides, plan: seen };
        self.place(&wish, ask, Vec::new()).await?;
        let mut answer = self.created(&wish).await?;
        if answer.get_ref().plan.is_none() {
            answer.get_mut().plan = Some(plans::plan(&plan));
        }
        Ok(answer)
    }

    async fn get_run(&self, request: Request<GetRunRequest>) -> Result<Response<v1::Run>, Status> {
        Ok(Response::new(self.story(&request.get_ref().id).await?.to_run(true)))
    }

    async fn list_runs(
        &self,
        request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        list::list(self.store(), request.get_ref()).await.map(Response::new)
    }

    async fn watch_run(
        &self,
        request: Request<WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let WatchRunRequest { id, from_revision } = request.into_inner();
        let head = self.head(&id).await?;
        watch::watch(self.deps.clone(), head, from_revision).await.map(Response::new)
    }

    async fn approve_run(&self, request: Request<ApproveRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (change, message) = change!(request);
        let reason = reason(&message.reason, false)?;
        self.change(change, Command::Approve { step: step(&message.step), reason }).await
    }

    async fn reject_run(&self, request: Request<RejectRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (change, message) = change!(request);
        let reason = reason(&message.reason, true)?;
        self.change(change, Command::Reject { reason }).await
    }

    async fn retry_step(&self, request: Request<RetryStepRequest>) -> Result<Response<v1::Run>, Status> {
        let (change, message) = change!(request);
        let reason = reason(&message.reason, false)?;
        let step = match (step(&message.step), self.known(&change.wish).await?) {
            (None, false) => self.blocking(&message.id).await?,
            (step, _) => step,
        };
        self.change(change, Command::Retry { step, reason }).await
    }

    async fn skip_step(&self, request: Request<SkipStepRequest>) -> Result<Response<v1::Run>, Status> {
        let (change, message) = change!(request);
        let reason = reason(&message.reason, true)?;
        let step = step(&message.step).ok_or_else(|| refuse::bad_field("step", "name the step"))?;
        self.change(change, Command::Skip { step, reason }).await
    }

    async fn pause_run(&self, request: Request<PauseRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (change, message) = change!(request);
        let reason = reason(&message.reason, false)?;
        self.change(change, Command::Pause { reason }).await
    }

    async fn resume_run(&self, request: Request<ResumeRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (change, message) = change!(request);
        let reason = reason(&message.reason, false)?;
        self.change(change, Command::Resume { reason }).await
    }

    async fn rollback_run(&self, request: Request<RollbackRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (change, message) = change!(request);
        let reason = reason(&message.reason, true)?;
        self.change(change, Command::Rollback { reason }).await
    }

    async fn abort_run(&self, request: Request<AbortRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (change, message) = change!(request);
        let reason = reason(&message.reason, true)?;
        self.change(change, Command::Abort { reason }).await
    }

    async fn get_report(&self, request: Request<GetReportRequest>) -> Result<Response<v1::Report>, Status> {
        reports::report(self, &request.get_ref().id).await.map(Response::new)
    }
}
