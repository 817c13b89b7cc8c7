//! `standfast freeze` and `thaw`: whether anything may begin by itself.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::{Freeze, FreezeRequest, ThawRequest};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::output::{Output, one_line};
use super::{human, request_id, uncertain};

/// `standfast freeze`
#[derive(Debug, Args)]
pub struct FreezeArgs {
    /// Why
    #[arg(long)]
    reason: String,
    /// For how long, as in 30m, 4h; without it until somebody thaws it
    #[arg(long = "for", value_name = "DURATION", value_parser = super::duration)]
    lasting: Option<Duration>,
    /// Until when, as in 2027-01-04T06:00:00Z or 2027-01-04T07:00:00+01:00
    #[arg(long, value_name = "TIME", conflicts_with = "lasting")]
    until: Option<Timestamp>,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// `standfast thaw`
#[derive(Debug, Args)]
pub struct ThawArgs {
    /// Why
    #[arg(long)]
    reason: String,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Freezes the cluster.
pub async fn freeze(args: FreezeArgs, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let request_id = args.request_id.unwrap_or_else(request_id);
    let lasting = args.lasting.map(pbjson_types::Duration::try_from).transpose();
    let request = FreezeRequest {
        request_id: request_id.clone(),
        reason: args.reason,
        lasting: lasting.map_err(|_| Failure::usage("--for is longer than can be written"))?,
        until: args.until.map(|until| pbjson_types::Timestamp {
            seconds: until.as_second(),
            nanos: until.subsec_nanosecond(),
        }),
    };
    let answer = client
        .call(request, |channel, request| async move { ClusterClient::new(channel).freeze(request).await })
        .await
        .map_err(|failure| uncertain(failure, &request_id))?;
    output.data(&answer, |answer, out| {
        out.line(match &answer.freeze {
            Some(freeze) => format!("{}; to end it: standfast thaw --reason ...", said(freeze)),
            None => "that was frozen, and is thawed again".to_owned(),
        })
    })?;
    Ok(Exit::Done)
}

/// Ends the freeze.
pub async fn thaw(args: ThawArgs, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let request_id = args.request_id.unwrap_or_else(request_id);
    let request = ThawRequest { request_id: request_id.clone(), reason: args.reason };
    let answer = client
        .call(request, |channel, request| async move { ClusterClient::new(channel).thaw(request).await })
        .await
        .map_err(|failure| uncertain(failure, &request_id))?;
    output.data(&answer, |_, out| {
        out.line("thawed: runs begin by themselves again, where the fleet says so")
    })?;
    Ok(Exit::Done)
}

/// `frozen by kim since 2026-11-22 11:00:00Z, for another 2h: the network is rebuilt`.
pub fn said(freeze: &Freeze) -> String {
    let ends = match &freeze.remaining {
        Some(left) => format!("for another {}", human::wire_duration(Some(left))),
        None => "until somebody thaws it".to_owned(),
    };
    let since = human::date(freeze.since.as_ref());
    format!("frozen by {} since {since}, {ends}: {}", freeze.by, one_line(&freeze.reason))
}
