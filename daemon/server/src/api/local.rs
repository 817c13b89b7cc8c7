//! Epochs that come from elsewhere: of a run without quorum, or from before a restore.

use super::asks::reason;
use super::{Api, refuse};
use crate::clock;
use crate::lead::stored_epoch;
use crate::ledger::{End, Writer};
use crate::records::{self, EPOCH, Head, LEADER, Leader};
use crate::store::{Compare, Op, Range, Store, StoreError, Txn, chunked};
use standfast_core::audit::Fact;
use standfast_core::ids::{Epoch, RunId};
use standfast_core::journal::Event;
use standfast_core::plan::{Mode, Plan};
use standfast_core::run::{Run, State};
use standfast_core::site_lease::Fenced;
use standfast_proto::v1::local_server::Local;
use standfast_proto::v1::*;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Entries of one transaction.
const BATCH: usize = 64;
/// How often a write that another one overtook is tried.
const TRIES: usize = 50;

#[tonic::async_trait]
impl Local for Api {
    async fn heed(&self, request: Request<HeedRequest>) -> Result<Response<HeedResponse>, Status> {
        let by = Self::caller(&request)?;
        let message = request.into_inner();
        let reason = reason(&message.reason, true)?;
        let watermark = &self.deps.watermark;
        if message.epoch > watermark.seen().0 {
            if self.store_health().await.writable {
                let why = "the store takes writes: standfast run start";
                return Err(refuse::wrong_state(why, "quorum"));
            }
            tracing::warn!(%by, epoch = message.epoch, reason, "a local run: this member leads under none below");
            watermark.raise(Epoch(message.epoch)).map_err(refuse::internal)?;
        }
        Ok(Response::new(HeedResponse { seen: watermark.seen().0 }))
    }

    async fn merge(&self, request: Request<MergeRequest>) -> Result<Response<MergeResponse>, Status> {
        let by = Self::caller(&request)?;
        let message = request.into_inner();
        let reason = reason(&message.reason, true)?;
        let brought = Brought::read(&message)?;
        let Brought { run, journal, .. } = &brought;
        let (id, store) = (&run.id, self.store());
        let plan = records::plan(&run.plan_digest);
        if chunked::get(store, &plan).await.map_err(refuse::store)?.is_none() {
            chunked::put(store, &plan, &message.plan, Vec::new()).await.map_err(refuse::store)?;
        }
        let mut facts = vec![Fact::Merged { by, run: id.clone(), reason }];
        // Without a head nobody reads them.
        for batch in journal.chunks(BATCH) {
            let mut txn = Txn::new().when(Compare::absent(records::run(id)));
            for (event, record) in batch {
                facts.push(Fact::of(id, event, record));
                txn = txn.then(Op::put(records::entry(id, event.sequence), record.clone()));
            }
            if !store.txn(txn).await.map_err(refuse::store)?.succeeded {
                let (stored, _) = stored_epoch(store).await.map_err(refuse::store)?;
                return Ok(Response::new(MergeResponse { epoch: stored.0 }));
            }
        }
        let epoch =
            self.raise(run.epoch.max(Epoch(message.epoch)), Some(&brought), |_| facts.clone()).await?;
        tracing::warn!(run = %id, epoch = epoch.0, "a run without the store is merged");
        Ok(Response::new(MergeResponse { epoch: epoch.0 }))
    }
}

/// A run that comes from elsewhere.
struct Brought {
    run: Run,
    journal: Vec<(Event, Vec<u8>)>,
}

impl Brought {
    fn read(message: &MergeRequest) -> Result<Self, Status> {
        let id = RunId::new(&message.id);
        if records::begun(&id).is_none() {
            return Err(refuse::bad_field("id", "it is none that a leader gives"));
        }
        let unreadable = |field| move |error: serde_json::Error| refuse::bad_field(field, error.to_string());
        let plan: Plan = serde_json::from_slice(&message.plan).map_err(unreadable("plan"))?;
        let journal = message
            .journal
            .iter()
            .map(|record| Ok((serde_json::from_slice(record)?, record.clone())))
            .collect::<Result<Vec<(Event, Vec<u8>)>, _>>()
            .map_err(unreadable("journal"))?;
        let events = journal.iter().map(|(event, _)| event);
        let run = Run::fold(id, Arc::new(plan), events)
            .map_err(|illegal| refuse::bad_field("journal", illegal.to_string()))?;
        if !matches!(run.state(), State::Ended(_)) {
            return Err(refuse::bad_field(
                "journal",
                "the run has not ended: standfast local run goes on with it",
            ));
        }
        Ok(Self { run, journal })
    }

    /// The head, and the fence that the run has put up.
    fn ops(&self) -> Vec<Op> {
        let Self { run, .. } = self;
        let mut ops = vec![Op::put(records::run(&run.id), records::encode(&Head::of(run, "merged")))];
        let request = &run.plan.request;
        if request.mode == Mode::Emergency && run.crossed {
            let fenced = Fenced { run: run.id.clone(), epoch: run.epoch, wall_ms: clock::wall_ms() };
            ops.push(Op::put(records::site_fenced(&request.from), records::encode(&fenced)));
        }
        ops
    }
}

impl Api {
    /// Raises the store's epoch to `to` if it is lower, and ends a term under a lower one; with what was
    /// brought, if anything was, and an entry of the audit.
    async fn raise(
        &self,
        to: Epoch,
        brought: Option<&Brought>,
        facts: impl Fn(Epoch) -> Vec<Fact>,
    ) -> Result<Epoch, Status> {
        let store = self.store();
        let writer = Writer { epoch: None, member: Some(self.deps.me.id.clone()) };
        for _ in 0..TRIES {
            let (stored, unchanged) = stored_epoch(store).await.map_err(refuse::store)?;
            let to = to.max(stored);
            let end = End::read(store).await.map_err(refuse::store)?;
            let leader = store.range(Range::key(LEADER)).await.map_err(refuse::store)?;
            let mut txn = Txn::new().when(unchanged).then(Op::put(EPOCH, to.to_string()));
            if let Some(kv) = leader.kvs.first()
                && records::decode::<Leader>(kv).is_ok_and(|leader| leader.epoch < to)
            {
                txn = txn.when(Compare::modified(LEADER, kv.mod_revision)).then(Op::delete(LEADER));
            }
            if let Some(brought) = brought {
                txn = txn.when(Compare::absent(records::run(&brought.run.id)));
                txn.then.extend(brought.ops());
            }
            let txn = end.chain(txn, &end.next(&writer, facts(stored)));
            match store.txn(txn).await {
                Ok(reply) if reply.succeeded => return Ok(to),
                // Somebody wrote to the audit, campaigned, or brought the same run.
                Ok(_) => {
                    if let Some(brought) = brought
                        && is_there(store, &brought.run.id).await.map_err(refuse::store)?
                    {
                        return Ok(to);
                    }
                }
                Err(error) => return Err(refuse::store(error)),
            }
        }
        Err(refuse::wrong_state("others write at the same time: try again", "contention"))
    }

    /// Raises the store's epoch to what this member has seen.
    pub(super) async fn bump(&self, request: Request<BumpEpochRequest>) -> Result<BumpEpochResponse, Status> {
        let by = Self::caller(&request)?;
        let reason = reason(&request.into_inner().reason, true)?;
        let (stored, _) = stored_epoch(self.store()).await.map_err(refuse::store)?;
        let seen = self.deps.watermark.seen();
        if stored >= seen {
            let why =
                format!("the store's epoch is {stored}, and this member has seen no higher one than {seen}");
            return Err(refuse::wrong_state(why, "epoch"));
        }
        let fact = |from| vec![Fact::Bumped { by: by.clone(), from, to: seen, reason: reason.clone() }];
        let epoch = self.raise(seen, None, fact).await?;
        tracing::warn!(%by, epoch = epoch.0, reason, "the epoch is raised");
        Ok(BumpEpochResponse { epoch: epoch.0 })
    }
}

async fn is_there(store: &dyn Store, run: &RunId) -> Result<bool, StoreError> {
    Ok(!store.range(Range::key(records::run(run))).await?.kvs.is_empty())
}
