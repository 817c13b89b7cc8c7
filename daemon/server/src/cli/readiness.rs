//! `standfast readiness`: whether the playbooks for the loss of a site could run.

use jiff::Timestamp;
use standfast_proto::v1::plans_client::PlansClient;
use standfast_proto::v1::{ListReadinessRequest, Readiness, ReadinessVerdict};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::human;
use super::output::{Output, Rows, Stream, Tone, plain};
use super::plan::troubles;

/// Shows what the last looks found; exit 3 when something would not run.
pub async fn run(client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let answer = client
        .call(ListReadinessRequest {}, |channel, request| async move {
            PlansClient::new(channel).list_readiness(request).await
        })
        .await?;
    output.data(&answer, |answer, out| {
        table(&answer.readiness, out)?;
        for one in answer.readiness.iter().filter(|one| !one.troubles.is_empty()) {
            out.line(format!("\n{} from {} to {}:", one.playbook, one.site, one.to))?;
            troubles(&one.troubles, out)?;
        }
        Ok(())
    })?;
    let well =
        |one: &Readiness| matches!(one.verdict(), ReadinessVerdict::Ready | ReadinessVerdict::Doubtful);
    Ok(if answer.readiness.iter().all(well) { Exit::Done } else { Exit::Found })
}

/// One row for each site.
pub fn table(readiness: &[Readiness], out: &mut Stream) -> Result<(), Failure> {
    let mut rows = Rows::new(out, &["IF LOST", "RUNS", "TO", "READY", "LOOKED", "REASON"]);
    let now = Timestamp::now();
    for one in readiness {
        let verdict = match one.verdict() {
            ReadinessVerdict::Unspecified => (Tone::Busy, "not looked"),
            ReadinessVerdict::Ready => (Tone::Good, "yes"),
            ReadinessVerdict::Doubtful => (Tone::Busy, "yes, but"),
            ReadinessVerdict::NotReady => (Tone::Bad, "no"),
            ReadinessVerdict::Expired => (Tone::Bad, "expired"),
        };
        rows.row([
            plain(one.site.clone()),
            plain(one.playbook.clone()),
            plain(one.to.clone()),
            (verdict.0, verdict.1.to_owned()),
            plain(human::ago(one.looked_at.as_ref(), now)),
            plain(one.reason.clone()),
        ]);
    }
    rows.write(out)
}
