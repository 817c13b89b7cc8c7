//! Three members on loopback, one cluster at a time.

use std::net::Ipv4Addr;
use std::time::Duration;

use standfast::store::{EtcdOptions, EtcdStore, KeyValue, Op, Range, Store, StoreError, Txn};
use standfast_integration::parts::etcd::{Etcd, Place, Tls};
use standfast_integration::parts::poll;
use standfast_integration::parts::scratch::Scratch;
use tokio::sync::{Mutex, MutexGuard};

/// Two clusters at once would disturb each other's elections on a small machine.
static TURN: Mutex<()> = Mutex::const_new(());

pub(crate) struct Cluster {
    pub(crate) etcd: Etcd,
    pub(crate) scratch: Scratch,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    pub(crate) async fn start() -> Cluster {
        Self::start_with(|_| None).await
    }

    /// With certificates made in the scratch folder.
    pub(crate) async fn start_with(tls: impl FnOnce(&Scratch) -> Option<Tls>) -> Cluster {
        let turn = TURN.lock().await;
        let scratch = Scratch::new().expect("a folder");
        let places: Vec<Place> = (1..=3)
            .map(|site| Place {
                name: format!("m{site}"),
                site: scratch.site(&site.to_string()).expect("a folder"),
                ip: Ipv4Addr::new(127, 77, 9, site).into(),
            })
            .collect();
        let tls = tls(&scratch);
        let etcd = Etcd::start(&places, tls).await.unwrap_or_else(|error| panic!("{error}"));
        Cluster { etcd, scratch, _turn: turn }
    }

    /// Options for these members, in this order.
    pub(crate) fn options(&self, members: &[usize], prefix: &str) -> EtcdOptions {
        EtcdOptions::new(members.iter().map(|member| self.etcd.endpoint(*member)), prefix)
    }

    /// A store on these members, in this order.
    pub(crate) async fn store(&self, members: &[usize]) -> EtcdStore {
        connect(self.options(members, "/test/")).await
    }

    /// The members, one that does not lead first.
    pub(crate) async fn followers_first(&self) -> [usize; 3] {
        let leader = self.etcd.leader().await.expect("a leader");
        [(leader + 1) % 3, (leader + 2) % 3, leader]
    }
}

pub(crate) async fn connect(options: EtcdOptions) -> EtcdStore {
    EtcdStore::connect(options).await.expect("a store")
}

pub(crate) async fn put(store: &dyn Store, key: &str, value: &str) -> Result<u64, StoreError> {
    Ok(store.txn(Txn::new().then(Op::put(key, value))).await?.revision)
}

pub(crate) async fn get(store: &dyn Store, key: &str) -> Result<Option<KeyValue>, StoreError> {
    Ok(store.range(Range::key(key)).await?.kvs.pop())
}

/// Puts until it works: after the loss of a member etcd may have to elect a leader.
pub(crate) async fn put_at_last(store: &dyn Store, key: &str, value: &str) -> u64 {
    poll(Duration::from_secs(20), || async {
        put(store, key, value).await.map_err(|error| error.to_string())
    })
    .await
    .expect("etcd recovers")
}
