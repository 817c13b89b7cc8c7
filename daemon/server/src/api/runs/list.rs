//! Runs in a list, newest first, from their heads alone: no more of them are read than it takes.

use super::super::{refuse, wire};
use crate::records::{self, Head, LOCKS, RUNS};
use crate::store::{KeyValue, Range, Revision, Store, StoreError, pages};
use standfast_core::ids::RunId;
use standfast_core::run::State;
use standfast_proto::v1::{self, RunState};
use std::collections::BTreeSet;
use tonic::Status;

/// Runs of a page when nobody says how many.
const PAGE: usize = 50;
/// The most runs of a page.
const MAX_PAGE: usize = 200;
/// The most heads that are read for one page: of those that are filtered, few may be wanted.
const MAX_READ: usize = 1_000;
/// The states of a run that has not ended.
const LIVE: [RunState; 5] =
    [RunState::Proposed, RunState::Running, RunState::Paused, RunState::Blocked, RunState::RollingBack];

/// A page of runs. A token is the id of the last run that was looked at.
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
    let mut last = RunId::new(&request.page_token);
    let mut after = match request.page_token.as_str() {
        "" => None,
        _ if records::begun(&last).is_some() => Some(records::run(&last)),
        _ => return Err(refuse::bad_field("page_token", "it is not one that was answered with a page")),
    };
    let wanted: BTreeSet<i32> = request.states.iter().copied().collect();
    let live =
        !wanted.is_empty() && wanted.iter().all(|state| LIVE.iter().any(|live| *live as i32 == *state));
    let (mut runs, mut read) = (Vec::new(), 0);
    loop {
        let (heads, more) = match live {
            true => (live_heads(store, after.as_deref()).await.map_err(refuse::store)?, false),
            false => {
                let range = Range { after: after.clone(), ..Range::prefix(RUNS) };
                let page = pages::page(store, range, &mut (size + 1)).await.map_err(refuse::store)?;
                (page.kvs, page.more)
            }
        };
        for kv in heads {
            if runs.len() == size || read == MAX_READ {
                return Ok(v1::ListRunsResponse { runs, next_page_token: last.to_string() });
            }
            let head: Head = records::decode(&kv).map_err(refuse::internal)?;
            read += 1;
            let state: i32 = wire::run_state(head.state).into();
            if wanted.is_empty() || wanted.contains(&state) {
                runs.push(short(&head, kv.mod_revision));
            }
            (last, after) = (head.id, Some(kv.key));
        }
        if !more {
            return Ok(v1::ListRunsResponse { runs, next_page_token: String::new() });
        }
    }
}

/// The heads of the runs that hold a lock, in the order of their keys: all that have not ended.
async fn live_heads(store: &dyn Store, after: Option<&str>) -> Result<Vec<KeyValue>, StoreError> {
    let locks = pages::range_all(store, LOCKS).await?.kvs;
    let keys: BTreeSet<String> =
        locks.iter().map(|kv| records::run(&RunId::new(String::from_utf8_lossy(&kv.value)))).collect();
    let mut heads = Vec::new();
    for key in keys.into_iter().filter(|key| after.is_none_or(|after| key.as_str() > after)) {
        heads.extend(store.range(Range::key(key)).await?.kvs);
    }
    Ok(heads)
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
