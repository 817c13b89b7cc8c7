//! What the store says of the cluster, read as of one revision.

use super::{Api, refuse};
use crate::records::{
    self, FLAPS, FREEZE, HOLDS, JUDGEMENT, LEADER, LOCKS, Leader, MAINTENANCE, MEMBERS, MOVES, Member,
    OBSERVATIONS, READINESS, SITES, SWITCHES, Unreadable,
};
use crate::store::{KeyValue, Range, Revision, Store, StoreError};
use serde::de::DeserializeOwned;
use standfast_core::controller::{Flaps, Judgement, Order};
use standfast_core::ids::{MemberId, RunId, SiteId};
use standfast_core::limits::Moved;
use standfast_core::readiness::Readiness;
use standfast_core::site_lease::Leases;
use standfast_core::time::Span;
use standfast_core::vote::Observation;
use std::collections::{BTreeMap, BTreeSet};
use tonic::Status;

/// Keys of one page.
const PAGE_KEYS: usize = 256;

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl From<ReadError> for Status {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => refuse::store(error),
            ReadError::Unreadable(error) => refuse::internal(error),
        }
    }
}

/// The records about members and sites.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// As of which revision.
    pub(super) revision: Revision,
    pub(super) leader: Option<Leader>,
    /// The newest revision of leader key and judgement.
    pub(super) beat: Revision,
    /// Who holds the leader key and does not beat, so that nobody leads; and for how long.
    pub(super) silent: Option<(MemberId, Span)>,
    /// What the leader, or the last one, thought.
    pub(super) judgement: Option<Judgement>,
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) observations: BTreeMap<MemberId, Observation>,
    /// What the last looks at the playbooks of `on_loss` came to.
    pub(super) readiness: BTreeMap<SiteId, Readiness>,
    /// What was left of hold-downs when they were last written.
    pub(super) holds: BTreeMap<SiteId, Span>,
    /// Sites that came and went, as it was written last.
    pub(super) flaps: Flaps,
    /// Why nothing runs by itself, as it was written last.
    pub(super) freeze: Option<Order>,
    /// Sites in maintenance, as they were written last.
    pub(super) maintenance: BTreeMap<SiteId, Order>,
    /// What the runs of the last day have left, as it was written last.
    pub(super) moves: Vec<Moved>,
    /// What is switched on.
    pub(super) switches: BTreeMap<String, Order>,
    /// The live run that holds each lock, as `site/a`.
    pub(super) locks: BTreeMap<String, RunId>,
    /// The leases of sites.
    pub(super) leases: Leases,
}

impl State {
    /// Reads it, now or at an earlier revision.
    pub(super) async fn read(store: &dyn Store, at: Option<Revision>) -> Result<Self, ReadError> {
        let mut key = Range::key(LEADER);
        key.revision = at;
        let first = store.range(key).await?;
        let revision = at.unwrap_or(first.revision);
        let read = |prefix: &'static str| all(store, prefix, revision);
        let (
            judgement,
            members,
            observations,
            holds,
            flaps,
            freeze,
            maintenance,
            moves,
            switches,
            locks,
            readiness,
            sites,
        ) = tokio::try_join!(
            read(JUDGEMENT),
            read(MEMBERS),
            read(OBSERVATIONS),
            read(HOLDS),
            read(FLAPS),
            read(FREEZE),
            read(MAINTENANCE),
            read(MOVES),
            read(SWITCHES),
            read(LOCKS),
            read(READINESS),
            read(SITES)
        )?;
        let decoded: Vec<Member> = decode(&members)?;
        let seen: Vec<Observation> = decode(&observations)?;
        let lock = |kv: &KeyValue| {
            let run = RunId::new(String::from_utf8_lossy(&kv.value));
            Some((kv.key.strip_prefix(LOCKS)?.to_owned(), run))
        };
        let newest = first.kvs.iter().chain(exact(&judgement, JUDGEMENT)).map(|kv| kv.mod_revision);
        Ok(Self {
            revision,
            beat: newest.max().unwrap_or(0),
            silent: None,
            leader: first.kvs.first().map(records::decode).transpose()?,
            judgement: exact(&judgement, JUDGEMENT).map(records::decode).transpose()?,
            members: decoded.into_iter().map(|member| (member.id.clone(), member)).collect(),
            observations: seen.into_iter().map(|seen| (seen.member.clone(), seen)).collect(),
            readiness: exact(&readiness, READINESS).map(records::decode).transpose()?.unwrap_or_default(),
            holds: exact(&holds, HOLDS).map(records::decode).transpose()?.unwrap_or_default(),
            flaps: exact(&flaps, FLAPS).map(records::decode).transpose()?.unwrap_or_default(),
            freeze: exact(&freeze, FREEZE).map(records::decode).transpose()?,
            maintenance: exact(&maintenance, MAINTENANCE)
                .map(records::decode)
                .transpose()?
                .unwrap_or_default(),
            moves: exact(&moves, MOVES).map(records::decode).transpose()?.unwrap_or_default(),
            switches: exact(&switches, SWITCHES).map(records::decode).transpose()?.unwrap_or_default(),
            locks: locks.iter().filter_map(lock).collect(),
            leases: records::leases(&sites)?,
        })
    }

    /// Runs that have not ended.
    pub(super) fn live_runs(&self) -> BTreeSet<&RunId> {
        self.locks.values().collect()
    }

    /// The judgement, if its term is the present one.
    pub(super) fn judged(&self) -> Option<&Judgement> {
        let leader = self.leader.as_ref()?;
        self.judgement.as_ref().filter(|judgement| judgement.epoch == leader.epoch)
    }

    /// Why nobody judges, when nobody leads.
    pub(super) fn unjudged(&self) -> String {
        match &self.silent {
            Some((member, silence)) => {
                format!("nobody leads, so nobody judges: {member} did, and has not beaten for {silence}")
            }
            None => "nobody leads, so nobody judges".to_owned(),
        }
    }

    /// Whether nothing leaves a site by itself after a run: for a time, or until it was healthy again.
    pub(super) fn held(&self, site: &SiteId) -> bool {
        self.hold(site).is_some() || self.flaps.left.contains_key(site)
    }

    /// What is left of a site's hold-down.
    pub(super) fn hold(&self, site: &SiteId) -> Option<Span> {
        let holds = self.judged().map_or(&self.holds, |judgement| &judgement.holds);
        holds.get(site).copied().filter(|left| left.as_ms() > 0)
    }
}

impl Api {
    /// The state now. Whoever holds the leader key and does not beat leads no more: a store that
    /// takes no writes would show them for ever.
    pub(super) async fn state(&self) -> Result<State, ReadError> {
        let mut state = State::read(self.store(), None).await?;
        self.heard.beat(state.beat);
        if let Some(silence) = self.heard.silent(&self.timing()) {
            state.silent = state.leader.take().map(|leader| (leader.member, silence));
        }
        Ok(state)
    }
}

fn exact<'a>(kvs: &'a [KeyValue], key: &str) -> Option<&'a KeyValue> {
    kvs.iter().find(|kv| kv.key == key)
}

fn decode<T: DeserializeOwned>(kvs: &[KeyValue]) -> Result<Vec<T>, Unreadable> {
    kvs.iter().map(records::decode).collect()
}

/// All keys under `prefix` as of one revision, page by page.
pub(super) async fn all(store: &dyn Store, prefix: &str, at: Revision) -> Result<Vec<KeyValue>, StoreError> {
    let mut kvs: Vec<KeyValue> = Vec::new();
    let mut keys = PAGE_KEYS;
    loop {
        // The revision of an empty store cannot be read at.
        let mut page = Range::prefix(prefix).limit(keys);
        page.revision = (at > 0).then_some(at);
        page.after = kvs.last().map(|kv| kv.key.clone());
        match store.range(page).await {
            Ok(reply) => {
                kvs.extend(reply.kvs);
                if !reply.more {
                    return Ok(kvs);
                }
            }
            Err(StoreError::TooLarge { .. }) if keys > 1 => keys /= 2,
            Err(error) => return Err(error),
        }
    }
}
