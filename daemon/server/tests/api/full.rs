//! A store that reads and takes no writes, as one on a full disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use standfast::health::Health as Ready;
use standfast::readiness;
use standfast::store::{Layer, LeaseId, Op, Result, Revision, Store, StoreError, Txn, TxnReply};
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::*;
use tokio_util::sync::CancellationToken;

use super::fixture::*;

/// Takes writes until its disk is full. Then what changes nothing is answered still, and no lease
/// ends, since that would be a write.
pub(super) struct Disk {
    store: Arc<dyn Store>,
    full: AtomicBool,
    ended: Mutex<Vec<LeaseId>>,
}

impl Disk {
    /// A disk with room.
    pub(super) async fn new() -> Arc<Self> {
        Arc::new(Self { store: store().await, full: AtomicBool::new(false), ended: Mutex::default() })
    }

    pub(super) fn fill(&self) {
        self.full.store(true, Ordering::Relaxed);
    }

    /// There is room again: leases end that had to end meanwhile.
    pub(super) async fn empty(&self) {
        self.full.store(false, Ordering::Relaxed);
        let ended = std::mem::take(&mut *self.ended.lock().unwrap());
        for lease in ended {
            self.store.lease_revoke(lease).await.unwrap();
        }
    }

    fn room(&self) -> Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(StoreError::NoSpace { at: "test".into(), why: "the disk is full".into() }),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Layer for Disk {
    fn below(&self) -> &dyn Store {
        &*self.store
    }
    async fn txn(&self, mut txn: Txn) -> Result<TxnReply> {
        let writes = |op: &Op| !matches!(op, Op::Range(_));
        if self.room().is_err() {
            let refused = txn.then.iter().any(writes);
            txn.then.retain(|op| !writes(op));
            let reply = self.store.txn(txn).await?;
            return if reply.succeeded && refused { self.room().map(|()| reply) } else { Ok(reply) };
        }
        self.store.txn(txn).await
    }
    async fn lease_grant(&self, _: Duration) -> Result<LeaseId> {
        self.room()?;
        self.store.lease_grant(Duration::from_secs(600)).await
    }
    async fn lease_revoke(&self, lease: LeaseId) -> Result<()> {
        self.room().inspect_err(|_| self.ended.lock().unwrap().push(lease))?;
        self.store.lease_revoke(lease).await
    }
    async fn compact(&self, revision: Revision) -> Result<()> {
        self.room()?;
        self.store.compact(revision).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_no_writes_shows_no_leader_and_no_verdict() {
    // Situation: the disk of the store fills up. Nothing can be written, so no lease can run out
    // either: the leader key and the last judgement read as well as ever. Danger: whoever asks is
    // shown a leader, a writable store and a healthy site, for ever. Expectation: after the time
    // of a lease nobody leads, nothing is judged, the store is not writable, and all of it says so.
    let disk = Disk::new().await;
    let store: Arc<dyn Store> = disk.clone();
    let tool = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    member.apply(&files(tool.local_addr().unwrap().port())).await;
    let ready = Ready::new([readiness::LEADERSHIP, readiness::STORE]);
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(readiness::keep(member.readiness(), ready.clone(), stop));
    let status = async || {
        let mut client = ClusterClient::new(member.channel().await);
        client.get_status(GetStatusRequest {}).await.unwrap().into_inner()
    };
    let judged = |status: &ClusterStatus| status.sites[0].verdict() == Verdict::Degraded;
    let well = async || {
        let status = status().await;
        let led = status.leader.is_some() && status.store.as_ref().unwrap().writable;
        led && judged(&status) && ready.readiness().values().all(|state| state.is_ok())
    };
    soon("all is well", well).await;

    disk.fill();
    soon("it says that it is not", async || {
        let status = status().await;
        status.leader.is_none() && !status.store.unwrap().writable
    })
    .await;
    let shown = status().await;
    assert!(shown.store.as_ref().unwrap().problem.contains("confirmed"), "{:?}", shown.store);
    for site in &shown.sites {
        assert_eq!(site.verdict(), Verdict::Unknown);
        assert!(site.verdict_reason.contains("w1 did, and has not beaten for"), "{}", site.verdict_reason);
    }
    let asked = WhyNotRequest { site: "a".into() };
    let why_not = SitesClient::new(member.channel().await).why_not(asked).await.unwrap().into_inner();
    assert_eq!(why_not.refused_by, "G01");
    assert_eq!(why_not.guards[0].outcome(), GuardOutcome::Refused);
    soon("readiness says it too", async || {
        let now = ready.readiness();
        now[readiness::LEADERSHIP].is_err() && now[readiness::STORE].is_err()
    })
    .await;

    disk.empty().await;
    soon("all is well again", well).await;
}
