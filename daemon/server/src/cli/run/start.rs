//! `standfast run start`: a run by hand, or what it would do.

use std::time::{Duration, Instant};

use standfast_proto::MAX_ANSWER_BYTES;
use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::{CreateRunRequest, CreateRunResponse, Override, Run};

use super::args::StartArgs;
use super::{next_commands, one_line, show};
use crate::cli::client::Client;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::screen::To;
use crate::cli::view::exit_of;
use crate::cli::watch;
use crate::cli::{freeze, human, plan, request_id, uncertain};

/// Before a request is repeated that nobody could answer yet.
const AGAIN: Duration = Duration::from_millis(200);

/// Starts a run, or shows what that would do.
pub(super) async fn run(args: StartArgs, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let reason = args.reason.unwrap_or_default();
    let overrides = args.overrides.iter().map(|given| waived(given, &reason));
    let overrides = overrides.collect::<Result<Vec<_>, _>>()?;
    let request_id = args.request_id.unwrap_or_else(request_id);
    let request = CreateRunRequest {
        mode: args.binding.mode(),
        inputs: args.binding.inputs(),
        playbook: args.binding.playbook,
        from: args.binding.from,
        to: args.binding.to.unwrap_or_default(),
        reason,
        request_id: request_id.clone(),
        validate_only: args.dry_run,
        plan_digest: args.plan_digest.unwrap_or_default(),
        overrides,
    };
    if args.dry_run {
        let plan = create(client, request).await?.plan.unwrap_or_default();
        plan::write(&plan, output)?;
        return Ok(if plan.would_be_refused { Exit::Found } else { Exit::Done });
    }
    let made = begun(request, client, output).await.map_err(|failure| uncertain(failure, &request_id))?;
    if made.existed {
        let id = made.run.as_ref().map(|run| run.id.as_str()).unwrap_or_default();
        output.err.line(format!("run {id} is that already: the same request began it"))?;
    }
    if let Some(frozen) = &made.freeze {
        output.err.line(format!("{}; a run that you start goes on all the same", freeze::said(frozen)))?;
    }
    started(made.run.unwrap_or_default(), args.watch, client, output).await
}

async fn create(client: &mut Client, request: CreateRunRequest) -> Result<CreateRunResponse, Failure> {
    client
        .call(request, |channel, request| async move {
            RunsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).create_run(request).await
        })
        .await
}

/// Asks for the run until a leader has answered: whoever leads next may also refuse it.
async fn begun(
    request: CreateRunRequest,
    client: &mut Client,
    output: &mut Output,
) -> Result<CreateRunResponse, Failure> {
    let asked = Instant::now();
    let mut told = false;
    loop {
        let made = create(client, request.clone()).await?;
        let Some(wait) = made.waits_for_leader.as_ref().filter(|_| made.run.is_none()) else {
            return Ok(made);
        };
        let within = human::wire_duration(Some(wait));
        if !std::mem::replace(&mut told, true) {
            output.err.line(format!("nobody leads now; somebody should within {within}: waiting"))?;
        }
        if asked.elapsed() >= Duration::try_from(*wait).unwrap_or_default() {
            let message = format!(
                "nobody has led for {within}; the request is stored, and whoever leads next acts on it"
            );
            return Err(Failure::new(Exit::Unreachable, message).hint("to see why: standfast status"));
        }
        // Members wait for a leader themselves before they say that there is none.
        tokio::time::sleep(AGAIN).await;
    }
}

async fn started(run: Run, watch: bool, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    if watch {
        let exit = watch::follow(client, output, &run.id, To::Progress).await?;
        let run = super::get(client, run.id).await?;
        output.data(&run, show)?;
        return Ok(exit);
    }
    output.data(&run, |run, out| out.line(one_line(run)))?;
    for command in next_commands(&run) {
        output.err.line(format!("next: {command}"))?;
    }
    Ok(exit_of(&run).filter(|exit| *exit == Exit::Waiting).unwrap_or(Exit::Done))
}

fn waived(given: &str, reason: &str) -> Result<Override, Failure> {
    let (name, why) = given.split_once('=').unwrap_or((given, reason));
    if name.is_empty() || why.is_empty() {
        return Err(Failure::usage(format!("`--override {given}` lacks a name or a reason"))
            .hint("as in --override lag='kim agreed to lose 5 s'"));
    }
    Ok(Override { name: name.to_owned(), reason: why.to_owned(), identity: String::new() })
}
