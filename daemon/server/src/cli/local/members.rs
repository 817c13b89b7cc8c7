//! Members that still answer, and are told of the run.

use std::time::Duration;

use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::local_client::LocalClient;
use standfast_proto::v1::{GetStatusRequest, HeedRequest};

use crate::cli::client::Client;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

/// How long one member may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tells every member that answers; the highest epoch that any has seen.
///
/// # Errors
/// When one has a store that takes writes: then nothing of this is needed.
pub(super) async fn told(client: &Client, request: HeedRequest, output: &mut Output) -> Result<u64, Failure> {
    let mut seen = 0;
    for (address, channel) in client.channels() {
        let mut cluster = ClusterClient::new(channel.clone());
        match tokio::time::timeout(PATIENCE, cluster.get_status(GetStatusRequest {})).await {
            Ok(Ok(status)) => {
                let status = status.into_inner();
                if status.store.is_some_and(|store| store.writable) {
                    return Err(Failure::new(
                        Exit::Found,
                        format!("{address} ({}) has a store that takes writes", status.member),
                    )
                    .hint("the cluster can do it, and knows of everything else: standfast run start"));
                }
            }
            // Who does not answer cannot be told.
            Ok(Err(_)) | Err(_) => {
                if request.epoch == 0 {
                    output.err.line(format!("{address} does not answer, and cannot be told"))?;
                }
                continue;
            }
        }
        let mut local = LocalClient::new(channel);
        match tokio::time::timeout(PATIENCE, local.heed(request.clone())).await {
            Ok(Ok(answer)) => seen = seen.max(answer.into_inner().seen),
            Ok(Err(status)) => return Err(status.into()),
            Err(_) => output.err.line(format!("{address} does not answer any more"))?,
        }
    }
    Ok(seen)
}
