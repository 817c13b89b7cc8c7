//! The way home of a local run.

use standfast_core::run::State;
use standfast_proto::v1::MergeRequest;
use standfast_proto::v1::local_client::LocalClient;

use super::MergeArgs;
use super::journal::{TAKEN, heads, open, unusable};
use crate::cli::client::Client;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Output, Stream};
use crate::records;
use crate::store::{Range, chunked, pages};

/// Brings every run of the folder into the store.
pub(super) async fn merge(
    args: MergeArgs,
    client: &mut Client,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let store = open(&args.journal, false).await?;
    let heads = heads(&*store).await?;
    if heads.is_empty() {
        return Err(Failure::new(Exit::Found, format!("{} has no run", args.journal.display())));
    }
    let taken = store.range(Range::key(TAKEN)).await.map_err(unusable)?.kvs.into_iter().next();
    let taken = taken.and_then(|kv| String::from_utf8(kv.value).ok()?.parse().ok()).unwrap_or_default();
    for head in heads {
        if !matches!(head.state, State::Ended(_)) {
            return Err(Failure::new(
                Exit::Found,
                format!("the run {} has not ended: {}", head.id, head.state),
            )
            .hint("standfast local run goes on with it"));
        }
        let plan = chunked::get(&*store, &records::plan(&head.plan)).await.map_err(unusable)?;
        let entries = pages::range_all(&*store, &records::journal(&head.id)).await.map_err(unusable)?;
        let request = MergeRequest {
            id: head.id.to_string(),
            plan: plan.unwrap_or_default(),
            journal: entries.kvs.into_iter().map(|kv| kv.value).collect(),
            reason: args.reason.clone(),
            epoch: taken,
        };
        let answer = client
            .call(request, |channel, request| async move { LocalClient::new(channel).merge(request).await })
            .await?;
        output.data(&answer, |answer, out: &mut Stream| {
            out.line(format!("{} is in the store; its epoch is {} now", head.id, answer.epoch))
        })?;
    }
    Ok(Exit::Done)
}
