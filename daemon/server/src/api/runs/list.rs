//! Runs in a list, newest first, from their heads alone.

use super::super::state::all;
use super::super::{refuse, wire};
use crate::records::{self, Head, LEADER, RUNS};
use crate::store::{Range, Revision, Store};
use standfast_core::run::State;
use standfast_proto::v1;
use tonic::Status;

/// Runs of a page when nobody says how many.
const PAGE: usize = 50;
/// The most runs of a page.
const MAX_PAGE: usize = 200;

/// A page of runs. A token is the revision at which the last run of the page before was made.
pub(super) async fn list(
    store: &dyn Store,
    request: &v1::ListRunsRequest,
) -> Result<v1::ListRunsResponse, Status> {
    let size = match usize::try_from(request.page_size).unwrap_or(usize::MAX) {
        0 => PAGE,
        size if size > MAX_PAGE => {
            return Err(refuse::bad_field("page_size", format!("at most {MAX_PAGE}")));
        }
        size => size,
    };
    let before: Revision = match request.page_token.as_str() {
        "" => Revision::MAX,
        token => token
            .parse()
            .map_err(|_| refuse::bad_field("page_token", "it is not one that was answered with a page"))?,
    };
    let now = store.range(Range::key(LEADER)).await.map_err(refuse::store)?.revision;
    let mut kvs = all(store, RUNS, now).await.map_err(refuse::store)?;
    kvs.retain(|kv| kv.create_revision < before);
    kvs.sort_by_key(|kv| std::cmp::Reverse(kv.create_revision));
    let mut runs = Vec::new();
    let mut last = 0;
    for kv in &kvs {
        let head: Head = records::decode(kv).map_err(refuse::internal)?;
        let state: i32 = wire::run_state(head.state).into();
        if !request.states.is_empty() && !request.states.contains(&state) {
            continue;
        }
        if runs.len() == size {
            return Ok(v1::ListRunsResponse { runs, next_page_token: last.to_string() });
        }
        last = kv.create_revision;
        runs.push(short(&head, kv.mod_revision));
    }
    Ok(v1::ListRunsResponse { runs, next_page_token: String::new() })
}

/// A run in short: what its head says.
pub(crate) fn short(head: &Head, revision: Revision) -> v1::Run {
    let ended = matches!(head.state, State::Ended(_));
    v1::Run {
        id: head.id.to_string(),
        playbook: head.playbook.to_string(),
        from: head.from.to_string(),
        to: head.to.to_string(),
        mode: wire::mode(head.mode).into(),
        state: wire::run_state(head.state).into(),
        state_reason: head.waits_for.join("; "),
        reason: head.reason.clone(),
        created_at: wire::time(head.created_wall_ms),
        ended_at: if ended { wire::time(head.wall_ms) } else { None },
        epoch: head.epoch.0,
        plan_digest: head.plan.as_str().to_owned(),
        bundle_digest: head.bundle.as_str().to_owned(),
        past_point_of_no_return: head.crossed,
        services: head.services.iter().map(ToString::to_string).collect(),
        etag: head.sequence.to_string(),
        revision,
        steps_done: wire::count(head.progress.0),
        steps_total: wire::count(head.progress.1),
        ..v1::Run::default()
    }
}
