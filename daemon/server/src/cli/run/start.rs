//! `standfast run start`: a run by hand, or what it would do.

use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::{CreateRunRequest, CreateRunResponse, Override};

use super::args::StartArgs;
use super::{next_commands, one_line, show};
use crate::cli::client::Client;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::screen::To;
use crate::cli::view::exit_of;
use crate::cli::watch;
use crate::cli::{human, plan, request_id, uncertain};

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
    let made = client
        .call(request, |channel, request| async move { RunsClient::new(channel).create_run(request).await })
        .await
        .map_err(|failure| if args.dry_run { failure } else { uncertain(failure, &request_id) })?;
    if args.dry_run {
        let plan = made.plan.unwrap_or_default();
        plan::write(&plan, output)?;
        return Ok(if plan.would_be_refused { Exit::Found } else { Exit::Done });
    }
    started(made, args.watch, client, output).await
}

async fn started(
    made: CreateRunResponse,
    watch: bool,
    client: &mut Client,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let run = made.run.unwrap_or_default();
    if made.existed {
        output.err.line("the same trigger came before: this is its run")?;
    }
    if let Some(wait) = &made.waits_for_leader {
        let within = human::wire_duration(Some(wait));
        output.err.line(format!("there is no leader now; it begins within {within}"))?;
    }
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
