//! What is stored of hold-downs is stored in the order in which it was said, however slow the store is.

use super::*;
use async_trait::async_trait;
use standfast::records::HOLDS;
use standfast::store::{Layer, Result, TxnReply};
use standfast_core::ids::SiteId;
use standfast_core::time::Span;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// How long a transaction may be under way while another one overtakes it.
const SLOW: Duration = Duration::from_secs(1);

/// Which transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What is left of hold-downs, by itself.
    Left,
    /// The end of a run, with those that begin with it.
    End,
}

/// The kind of a transaction, if it stores hold-downs.
fn kind(txn: &Txn) -> Option<Kind> {
    let puts = |wanted: &dyn Fn(&str) -> bool| {
        txn.then.iter().any(|op| matches!(op, Op::Put { key, .. } if wanted(key)))
    };
    match (puts(&|key| key == HOLDS), puts(&|key| key.starts_with("journals/"))) {
        (true, true) => Some(Kind::End),
        (true, false) => Some(Kind::Left),
        (false, _) => None,
    }
}

/// A store on the way to which one kind of transaction is slow: whatever may overtake it does.
struct Slow {
    store: Arc<dyn Store>,
    slow: Kind,
    under_way: AtomicBool,
    done: watch::Sender<Vec<Kind>>,
}

#[async_trait]
impl Layer for Slow {
    fn below(&self) -> &dyn Store {
        &*self.store
    }
    async fn txn(&self, txn: Txn) -> Result<TxnReply> {
        let Some(kind) = kind(&txn) else { return self.store.txn(txn).await };
        if kind == self.slow {
            self.under_way.store(true, Ordering::SeqCst);
            let mut done = self.done.subscribe();
            let overtaken = done.wait_for(|done| done.iter().any(|done| *done != kind));
            let _ = tokio::time::timeout(SLOW, overtaken).await;
        }
        let reply = self.store.txn(txn).await;
        self.done.send_modify(|done| done.push(kind));
        reply
    }
}

/// Ends the hold-down of z and a run, in the order in which the one that is slow comes first: the sites
/// that are held down by what the store has in the end.
async fn held(slow: Kind) -> Vec<String> {
    let (closed, port) = listener().await;
    drop(closed);
    let real: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let z = BTreeMap::from([(SiteId::from("z"), Span::secs(1_000))]);
    real.txn(Txn::new().then(Op::put(HOLDS, records::encode(&z)))).await.unwrap();
    let done = watch::Sender::new(Vec::new());
    let way = Arc::new(Slow { store: real.clone(), slow, under_way: AtomicBool::new(false), done });
    let bundle = bundle(port, WAITS);
    let _member = member("m1", way.clone(), &bundle);
    ask(&*real, "start", start()).await;
    answer(&*real, "start").await.subject.expect("a run");
    let end = async || TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let acknowledge = async || {
        let reason = "a test".to_owned();
        ask(&*real, "ack", Ask::Acknowledge { site: "z".into(), reason, seen: None }).await;
    };
    let under_way = async || {
        until("the slow one", async || way.under_way.load(Ordering::SeqCst).then_some(())).await;
    };
    let _listener = match slow {
        Kind::Left => {
            acknowledge().await;
            under_way().await;
            end().await
        }
        Kind::End => {
            let listener = end().await;
            under_way().await;
            acknowledge().await;
            listener
        }
    };
    let both = |done: &Vec<Kind>| done.contains(&Kind::Left) && done.contains(&Kind::End);
    tokio::time::timeout(PATIENCE, way.done.subscribe().wait_for(both)).await.expect("both").unwrap();
    let holds = real.range(Range::key(HOLDS)).await.unwrap();
    let holds: BTreeMap<SiteId, Span> = records::decode(&holds.kvs[0]).unwrap();
    holds.keys().map(ToString::to_string).collect()
}

/// Situation: a person ends a hold-down, and what is left is slow on its way to the store; meanwhile a run
/// ends. Danger: what is left is written last and forgets the hold-downs that began with the end of the
/// run, so that the next leader may fail the same site over again at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_before_the_end_of_a_run_is_not_written_after_it() {
    assert_eq!(held(Kind::Left).await, ["a", "b"]);
}

/// Situation: the end of a run is slow on its way to the store; meanwhile a person ends the hold-down of
/// another site. Danger: either one undoes the other: z is held down again, or a and b are not.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_after_the_end_of_a_run_is_not_written_before_it() {
    assert_eq!(held(Kind::End).await, ["a", "b"]);
}
