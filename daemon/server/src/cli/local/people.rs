//! While a local run waits for people, and what they keep of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use standfast_proto::MAX_ANSWER_BYTES;
use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::{GetReportRequest, GetRunRequest, ListRunsRequest, Run};

use crate::cli::client::Client;
use crate::cli::exit::{Exit, Failure};

/// How often a run that waits is looked at.
const EVERY: Duration = Duration::from_millis(300);

/// The newest run.
pub(super) async fn newest(here: &mut Client) -> Result<String, Failure> {
    let request = ListRunsRequest { page_size: 1, ..ListRunsRequest::default() };
    let runs = here
        .call(request, |channel, request| async move {
            RunsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).list_runs(request).await
        })
        .await?;
    let newest = runs.runs.into_iter().next().map(|run| run.id);
    newest.ok_or_else(|| Failure::new(Exit::Failed, "the run is not there"))
}

/// Waits until somebody has done something to it.
pub(super) async fn decided(here: &mut Client, id: &str) -> Result<(), Failure> {
    let seen = get(here, id).await?.etag;
    while get(here, id).await?.etag == seen {
        tokio::time::sleep(EVERY).await;
    }
    Ok(())
}

async fn get(here: &mut Client, id: &str) -> Result<Run, Failure> {
    let request = GetRunRequest { id: id.to_owned() };
    here.call(request, |channel, request| async move {
        RunsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).get_run(request).await
    })
    .await
}

/// Writes its report beside the journal: nobody answers for it until it is merged.
pub(super) async fn report(here: &mut Client, id: &str, journal: &Path) -> Result<PathBuf, Failure> {
    let request = GetReportRequest { id: id.to_owned() };
    let report = here
        .call(request, |channel, request| async move {
            RunsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).get_report(request).await
        })
        .await?;
    let file = journal.join(format!("{id}.md"));
    std::fs::write(&file, report.markdown)
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", file.display())))?;
    Ok(file)
}
