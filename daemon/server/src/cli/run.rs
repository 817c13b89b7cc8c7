//! `standfast run`: start, look, and what people may do to a run.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use standfast_proto::MAX_ANSWER_BYTES;
use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::{
    AbortRunRequest, ApproveRunRequest, GetReportRequest, GetRunRequest, ListRunsRequest, PauseRunRequest,
    RejectRunRequest, ResumeRunRequest, RetryStepRequest, RollbackRunRequest, Run, RunState, SkipStepRequest,
    trigger,
};

pub mod args;
mod start;

use args::{
    ApproveArgs, ChangeArgs, IdArgs, ListArgs, RejectArgs, ResumeArgs, RetryArgs, RollbackArgs, RunCommand,
    SkipArgs,
};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::human;
use super::output::{Output, Rows, Stream, Tone, plain};
use super::screen::{self, To};
use super::view::{exit_of, has_ended};
use super::watch;
use super::{request_id, uncertain};

/// How long a run that was told to end is waited for.
const MOMENT: Duration = Duration::from_secs(2);
/// Before it is looked at again.
const AGAIN: Duration = Duration::from_millis(50);

/// Sends a request of the service Runs: its method, then the request.
macro_rules! send {
    ($client:expr, $method:ident, $request:expr) => {
        $client
            .call($request, |channel, request| async move {
                RunsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).$method(request).await
            })
            .await
    };
}

/// Sends a change: the message is made of the id, the reason, and what every change takes.
macro_rules! change {
    ($client:expr, $method:ident, $message:ident, $id:expr, $change:expr, $($field:ident: $value:expr),*) => {{
        let change: ChangeArgs = $change;
        let request_id = change.request_id.unwrap_or_else(request_id);
        let request = $message {
            id: $id.clone(),
            request_id: request_id.clone(),
            etag: change.etag.unwrap_or_default(),
            $($field: $value),*
        };
        send!($client, $method, request).map_err(|failure| uncertain(failure, &request_id))?
    }};
}

/// Runs a command.
pub async fn run(command: RunCommand, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let (changed, watch) = match command {
        RunCommand::Start(args) => return start::run(args, client, output).await,
        RunCommand::List(args) => return list(args, client, output).await,
        RunCommand::Get(IdArgs { id }) => {
            let run = get(client, id).await?;
            output.data(&run, show)?;
            return Ok(Exit::Done);
        }
        RunCommand::Watch(IdArgs { id }) => {
            return watch::follow(client, output, &id, To::Data).await;
        }
        RunCommand::Report(IdArgs { id }) => {
            let report = send!(client, get_report, GetReportRequest { id })?;
            output.data(&report, |report, out| out.line(report.markdown.trim_end()))?;
            return Ok(Exit::Done);
        }
        RunCommand::Approve(ApproveArgs { run: args, step, watch }) => (
            change!(client, approve_run, ApproveRunRequest, args.run.id, args.change,
                step: step.unwrap_or_default(), reason: args.reason.unwrap_or_default()),
            watch,
        ),
        RunCommand::Reject(RejectArgs { run: args, step }) => (
            change!(client, reject_run, RejectRunRequest, args.run.id, args.change,
                step: step.unwrap_or_default(), reason: args.reason),
            false,
        ),
        RunCommand::Retry(RetryArgs { run: args, step, watch }) => (
            change!(client, retry_step, RetryStepRequest, args.run.id, args.change,
                step: step.unwrap_or_default(), reason: args.reason.unwrap_or_default()),
            watch,
        ),
        RunCommand::Skip(SkipArgs { run: args, step, watch }) => (
            change!(client, skip_step, SkipStepRequest, args.run.id, args.change,
                step: step, reason: args.reason),
            watch,
        ),
        RunCommand::Pause(args) => (
            change!(client, pause_run, PauseRunRequest, args.run.id, args.change,
                reason: args.reason.unwrap_or_default()),
            false,
        ),
        RunCommand::Resume(ResumeArgs { run: args, watch }) => (
            change!(client, resume_run, ResumeRunRequest, args.run.id, args.change,
                reason: args.reason.unwrap_or_default()),
            watch,
        ),
        RunCommand::Rollback(RollbackArgs { run: args, watch }) => (
            change!(client, rollback_run, RollbackRunRequest, args.run.id, args.change,
                reason: args.reason),
            watch,
        ),
        RunCommand::Abort(args) => {
            let asked = change!(client, abort_run, AbortRunRequest, args.run.id, args.change,
                reason: args.reason);
            (ended(client, asked).await, false)
        }
    };
    if watch {
        let id = changed.id;
        let exit = watch::follow(client, output, &id, To::Progress).await?;
        let run = get(client, id).await?;
        output.data(&run, show)?;
        return Ok(exit);
    }
    output.data(&changed, |run, out| out.line(one_line(run)))?;
    Ok(Exit::Done)
}

/// A run that was told to end, as it is once it has: that takes a moment, or as long as a step acts.
/// The wish is granted, whether it can be seen or not.
async fn ended(client: &mut Client, mut run: Run) -> Run {
    let until = Instant::now() + MOMENT;
    while !has_ended(&run) && Instant::now() < until {
        tokio::time::sleep(AGAIN).await;
        let Ok(now) = get(client, run.id.clone()).await else { break };
        run = now;
    }
    run
}

/// One run.
pub(super) async fn get(client: &mut Client, id: String) -> Result<Run, Failure> {
    send!(client, get_run, GetRunRequest { id })
}

async fn list(args: ListArgs, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let active =
        [RunState::Proposed, RunState::Running, RunState::Paused, RunState::Blocked, RunState::RollingBack];
    let request = ListRunsRequest {
        states: active.into_iter().filter(|_| args.active).map(i32::from).collect(),
        page_size: args.page.limit,
        page_token: args.page.page.unwrap_or_default(),
    };
    let runs = send!(client, list_runs, request)?;
    output.data(&runs, |runs, out| {
        let now = Timestamp::now();
        let headings = ["RUN", "STATE", "SITES", "MODE", "STEPS", "AGE", "REASON"];
        let mut rows = Rows::new(out, &headings);
        for run in &runs.runs {
            rows.row(screen::run_row(run, now));
        }
        rows.write(out)
    })?;
    if !runs.next_page_token.is_empty() {
        let active = if args.active { " --active" } else { "" };
        output.err.line(format!("more: standfast run list{active} --page {}", runs.next_page_token))?;
    }
    Ok(Exit::Done)
}

/// What to type next: as a member says, or as far as can be told without one.
pub fn next_commands(run: &Run) -> Vec<String> {
    if !run.next_commands.is_empty() {
        return run.next_commands.clone();
    }
    let id = &run.id;
    let asking = run.steps.iter().filter(|step| step.waits_for_approval);
    let mut commands: Vec<String> =
        asking.map(|step| format!("standfast run approve {id} --step {} --reason ...", step.id)).collect();
    match run.state() {
        RunState::Proposed => {
            commands.push(format!("standfast run approve {id} --reason ..."));
            commands.push(format!("standfast run reject {id} --reason ..."));
        }
        RunState::Blocked => {
            commands.push(format!("standfast run get {id}"));
            commands.push(format!("standfast run retry {id}"));
        }
        RunState::Paused => commands.push(format!("standfast run resume {id}")),
        RunState::Running | RunState::RollingBack if commands.is_empty() => {
            commands.push(format!("standfast run watch {id}"));
        }
        _ if has_ended(run) => commands.push(format!("standfast run report {id}")),
        _ => {}
    }
    commands
}

/// A run's state as a cell.
pub fn state_cell(run: &Run) -> (Tone, String) {
    let tone = match exit_of(run) {
        Some(Exit::Done) => Tone::Good,
        Some(_) => Tone::Bad,
        None => Tone::Busy,
    };
    (tone, human::camel(run.state().as_str_name(), "RUN_STATE_"))
}

fn one_line(run: &Run) -> String {
    let state = human::camel(run.state().as_str_name(), "RUN_STATE_");
    let reason = human::or_dash(&run.state_reason);
    format!("{}  {state}  {} -> {}  {reason}", run.id, run.from, run.to)
}

/// A run for people.
pub fn show(run: &Run, out: &mut Stream) -> Result<(), Failure> {
    let now = Timestamp::now();
    let by = match run.trigger.as_ref().and_then(|trigger| trigger.by.as_ref()) {
        Some(trigger::By::Automatic(auto)) => format!("the cluster (leader {})", auto.member),
        Some(trigger::By::Operator(person)) => person.identity.clone(),
        None => "-".to_owned(),
    };
    out.line(one_line(run))?;
    out.line(format!(
        "{} ({}), made {} by {by}: {}",
        run.playbook,
        human::lower(run.mode().as_str_name(), "MODE_"),
        human::date(run.created_at.as_ref()),
        human::or_dash(&run.reason),
    ))?;
    out.line(format!(
        "plan {}  bundle {}  epoch {}  leader {}{}",
        human::digest(&run.plan_digest),
        human::digest(&run.bundle_digest),
        run.epoch,
        human::or_dash(&run.member),
        if run.past_point_of_no_return { "  past the point of no return" } else { "" },
    ))?;
    for waived in &run.overrides {
        out.line(format!("waived {} by {}: {}", waived.name, waived.identity, waived.reason))?;
    }
    out.line("")?;
    let headings = ["STEP", "STATE", "SINCE", "ATTEMPT", "ACTION", "TARGET", "DETAIL"];
    let mut rows = Rows::new(out, &headings);
    for step in &run.steps {
        rows.row([
            plain(step.id.clone()),
            screen::step_cell(step.state(), step.waits_for_approval),
            plain(human::ago(step.state_since.as_ref(), now)),
            plain(format!("{}/{}", step.attempt, step.attempts)),
            plain(step.action.clone()),
            plain(step.target.clone()),
            plain(step.detail.clone()),
        ]);
    }
    rows.write(out)
}
