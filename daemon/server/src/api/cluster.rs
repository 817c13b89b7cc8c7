//! Cluster: who is there, and what a person needs to see first.

pub(super) mod freeze;
mod switches;
mod waiting;

use super::asks::{Wish, reason};
use super::heard::Trace;
use super::plans::readiness;
use super::runs::Story;
use super::state::State;
use super::{Api, refuse, wire};
use crate::clock;
use crate::records::{LEADER, Leader};
use crate::store::{Compare, Health, Op, Range, Txn, WatchEvent};
use standfast_core::bundle::Bundle;
use standfast_core::controller::Ask;
use standfast_core::ids::MemberId;
use standfast_core::rules::Rules;
use standfast_core::time::Span;
use standfast_core::vote::ineligible;
use standfast_proto::v1::cluster_server::Cluster;
use standfast_proto::v1::{self, *};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

/// How long the store may take before the status goes without it.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the next leader is waited for after a hand-over.
const NEXT_LEADER: Duration = Duration::from_secs(3);
/// Runs of which all is told in a status.
const MAX_RUNS: usize = 50;

/// Who leads.
pub(super) fn leader(leader: &Leader) -> v1::Leader {
    v1::Leader {
        member: leader.member.to_string(),
        site: leader.site.to_string(),
        epoch: leader.epoch.0,
        since: wire::time(leader.since_ms),
    }
}

impl Api {
    /// All members with a lease, and those that lost theirs not long ago.
    fn members(&self, state: &State, rules: Option<&Rules>) -> Vec<v1::Member> {
        let traces = self.heard.members();
        let names: BTreeSet<&MemberId> = traces.keys().chain(state.members.keys()).collect();
        names.into_iter().map(|name| self.member(name, traces.get(name), state, rules)).collect()
    }

    pub(super) fn member(
        &self,
        name: &MemberId,
        trace: Option<&Trace>,
        state: &State,
        rules: Option<&Rules>,
    ) -> v1::Member {
        let record = state.members.get(name);
        let live = record.is_some();
        let age = self.heard.age(name);
        let observation = state.observations.get(name);
        let not_eligible = match (observation, rules) {
            _ if !live => Some("it holds no lease".to_owned()),
            (None, _) => Some("it has published nothing yet".to_owned()),
            (_, None) => Some("no bundle is applied".to_owned()),
            (Some(observation), Some(rules)) => ineligible(observation, age.unwrap_or_default(), rules),
        };
        let leads = state.leader.as_ref().is_some_and(|leader| leader.member == *name);
        let shown = record.or(trace.map(|trace| &trace.record));
        v1::Member {
            name: name.to_string(),
            site: shown.map(|member| member.site.to_string()).unwrap_or_default(),
            version: shown.map(|member| member.version.clone()).unwrap_or_default(),
            address: shown.map(|member| member.address.clone()).unwrap_or_default(),
            live,
            since: trace.filter(|trace| trace.live == live).and_then(|trace| wire::time(trace.since_ms)),
            eligible: not_eligible.is_none(),
            not_eligible_because: not_eligible.unwrap_or_default(),
            leader: leads,
            age: age.and_then(wire::duration),
        }
    }

    /// Whether writes go through, and how long one takes: a transaction that has a write in the
    /// branch that is not taken goes the way of one, and changes nothing. This member's own last
    /// write must be confirmed as well.
    pub(super) async fn store_health(&self) -> StoreHealth {
        let probe = Txn::new()
            .when(Compare::created(LEADER, crate::store::Revision::MAX))
            .then(Op::put("never", "written"))
            .or_else(Op::get(LEADER));
        let sent = clock::boot();
        let written = timeout(PATIENCE, self.store().txn(probe));
        let (written, health) = tokio::join!(written, timeout(PATIENCE, self.store().health()));
        let took = clock::boot().saturating_sub(sent);
        let problem = match &written {
            Ok(Ok(_)) => String::new(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer to a write within {} s: is there a quorum?", PATIENCE.as_secs()),
        };
        let reply = written.ok().and_then(Result::ok);
        // What the probe would write is little, and it is not what this member lives by.
        let age = self.deps.confirmed.borrow().map(|at| Span::from(clock::now().mono.since(at)));
        let stale = age.filter(|age| *age > self.timing().freshness);
        let problem = match stale {
            Some(age) if problem.is_empty() => {
                format!("of what this member writes, nothing was confirmed for {age}")
            }
            _ => problem,
        };
        let health = health.unwrap_or(Health { kind: "unknown", endpoints: Vec::new() });
        let endpoints = health.endpoints.into_iter().map(|endpoint| StoreEndpoint {
            address: endpoint.endpoint,
            answers: endpoint.status.is_ok(),
            error: endpoint.status.err().unwrap_or_default(),
        });
        StoreHealth {
            kind: health.kind.to_owned(),
            writable: reply.is_some() && stale.is_none(),
            revision: reply.as_ref().map_or(0, |reply| reply.revision),
            write_latency: reply.and_then(|_| wire::duration(took)),
            endpoints: endpoints.collect(),
            problem,
        }
    }

    /// Everything about the runs that have not ended, oldest first.
    async fn live(&self, state: &State) -> Vec<Story> {
        let mut stories = Vec::new();
        for id in state.live_runs().into_iter().take(MAX_RUNS) {
            // A run may end, or be forgotten, between two reads.
            match self.story(id.as_str()).await {
                Ok(story) => stories.push(story),
                Err(error) => tracing::debug!(run = %id, error = error.message(), "left out of the status"),
            }
        }
        stories.sort_by_key(|story| story.run.created_wall_ms);
        stories
    }

    /// Waits until somebody else leads, but not for long.
    async fn next_leader(&self, before: u64) -> Result<Option<v1::Leader>, Status> {
        let waiting = async {
            loop {
                let reply = self.store().range(Range::key(LEADER)).await.map_err(refuse::store)?;
                let records = reply.kvs.iter().map(crate::records::decode::<Leader>);
                let found = records.filter_map(Result::ok).find(|leader| leader.epoch.0 > before);
                if let Some(found) = found {
                    return Ok(found);
                }
                let mut changes = self.store().watch(LEADER, reply.revision + 1).await;
                while let Ok(batch) = changes.next().await {
                    if batch.events.iter().any(|event| matches!(event, WatchEvent::Put(_))) {
                        break;
                    }
                }
            }
        };
        match timeout(NEXT_LEADER, waiting).await {
            Ok(found) => found.map(|found| Some(leader(&found))),
            Err(_) => Ok(None),
        }
    }
}

/// What keeps the cluster from acting by itself, or what is special about how it does.
fn automation_note(bundle: &Bundle) -> String {
    let fleet = &bundle.fleet;
    let notes = [
        (fleet.lab, "laboratory: acts without anything that stops a site which is cut off"),
        (fleet.single_observer, "single observer: the view of one member decides"),
        (fleet.sites.len() < 3, "fewer than three sites: no majority can find one lost"),
        (
            fleet.canaries.as_ref().is_none_or(Vec::is_empty),
            "no canaries: a member does not notice that it is cut off",
        ),
    ];
    notes.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note).collect::<Vec<_>>().join("; ")
}

#[tonic::async_trait]
impl Cluster for Api {
    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<ClusterStatus>, Status> {
        let identity = Self::caller(&request)?;
        let bundle = self.deps.bundle.borrow().clone();
        let rules = bundle.as_ref().map(|bundle| bundle.rules());
        let (mut store, read) = tokio::join!(self.store_health(), timeout(PATIENCE, self.state()));
        let state = match read {
            Ok(Ok(state)) => Some(state),
            Ok(Err(error)) => {
                store.problem = error.to_string();
                None
            }
            Err(_) => None,
        };
        let known = state.is_some();
        let state = state.unwrap_or_default();
        let regressed = self.deps.watermark.regressed().filter(|_| state.leader.is_none());
        if let Some(regressed) = &regressed
            && store.problem.is_empty()
        {
            store.problem = regressed.to_string();
        }
        let stories = timeout(PATIENCE, self.live(&state)).await.unwrap_or_default();
        let sites = bundle.as_ref().map(|bundle| self.view(bundle, &state).sites()).unwrap_or_default();
        // Without the store there is nobody who could do what is typed.
        let (waiting, mut next_commands) = match known {
            true => waiting::list(&stories, &sites, rules.as_deref(), &identity, &state),
            false => Default::default(),
        };
        if known && regressed.is_some() {
            next_commands.insert(0, "standfast member bump-epoch --reason ...".to_owned());
        }
        Ok(Response::new(ClusterStatus {
            member: self.deps.me.id.to_string(),
            member_site: self.deps.me.site.to_string(),
            leader: state.leader.as_ref().map(leader),
            members: if known { self.members(&state, rules.as_deref()) } else { Vec::new() },
            store: Some(store),
            bundle_digest: bundle.as_ref().map(|b| b.digest.as_str().to_owned()).unwrap_or_default(),
            fleet: bundle.as_ref().map(|bundle| bundle.fleet.name.value.clone()).unwrap_or_default(),
            automation: bundle
                .as_ref()
                .map_or(AutomationLevel::Unspecified, |b| wire::automation(b.fleet.automation.value))
                .into(),
            automation_note: bundle.as_ref().map(|bundle| automation_note(bundle)).unwrap_or_default(),
            sites,
            active_runs: stories.iter().map(|story| story.to_run(false)).collect(),
            waiting,
            next_commands,
            at: wire::now(),
            identity: identity.to_string(),
            readiness: bundle.as_ref().map(|bundle| readiness::list(bundle, &state)).unwrap_or_default(),
            freeze: state.freeze.as_ref().map(wire::freeze),
            switches: switches::list(&state, rules.as_deref()),
        }))
    }

    async fn bump_epoch(
        &self,
        request: Request<BumpEpochRequest>,
    ) -> Result<Response<BumpEpochResponse>, Status> {
        self.bump(request).await.map(Response::new)
    }

    async fn list_members(
        &self,
        _: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let state = self.state().await?;
        let rules = self.deps.bundle.borrow().as_ref().map(|bundle| bundle.rules());
        Ok(Response::new(ListMembersResponse { members: self.members(&state, rules.as_deref()) }))
    }

    async fn step_down(
        &self,
        request: Request<StepDownRequest>,
    ) -> Result<Response<StepDownResponse>, Status> {
        let by = Self::caller(&request)?;
        let message = request.into_inner();
        let wish = Wish::new(&message.request_id, by, &message)?;
        let reason = reason(&message.reason, true)?;
        let state = self.state().await?;
        let epoch = state.leader.as_ref().map_or(0, |leader| leader.epoch.0);
        if self.known(&wish).await? {
            self.ask(&wish, Ask::StepDown { reason }, Vec::new()).await?;
            let now = state.leader.as_ref().map(leader);
            return Ok(Response::new(StepDownResponse { leader: now }));
        }
        let Some(found) = &state.leader else {
            return Err(refuse::wrong_state("nobody leads at the moment", "no leader"));
        };
        if !message.member.is_empty() && found.member.as_str() != message.member {
            let text = format!("{} does not lead: {} does", message.member, found.member);
            return Err(refuse::wrong_state(text, found.member.as_str()));
        }
        if message.epoch != 0 && message.epoch != epoch {
            return Err(refuse::stale(format!("epoch {epoch} has begun, not {}", message.epoch)));
        }
        if !state.members.keys().any(|member| *member != found.member) {
            let text = format!("no other member can take over from {}", found.member);
            return Err(refuse::wrong_state(text, "alone"));
        }
        // It is this very term that is to end.
        let key = self.store().range(Range::key(LEADER)).await.map_err(refuse::store)?;
        let created = key.kvs.first().map_or(0, |kv| kv.create_revision);
        let guards = vec![Compare::created(LEADER, created)];
        self.ask(&wish, Ask::StepDown { reason }, guards).await?;
        Ok(Response::new(StepDownResponse { leader: self.next_leader(epoch).await? }))
    }

    async fn freeze(&self, request: Request<FreezeRequest>) -> Result<Response<FreezeResponse>, Status> {
        freeze::freeze(self, request).await.map(Response::new)
    }

    async fn set_switch(
        &self,
        request: Request<SetSwitchRequest>,
    ) -> Result<Response<SetSwitchResponse>, Status> {
        Ok(Response::new(switches::set(self, request).await?))
    }

    async fn thaw(&self, request: Request<ThawRequest>) -> Result<Response<ThawResponse>, Status> {
        freeze::thaw(self, request).await.map(Response::new)
    }
}
