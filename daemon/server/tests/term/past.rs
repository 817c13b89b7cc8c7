//! A new leader reads what earlier terms left; a store may answer it from the past.

use super::*;
use async_trait::async_trait;
use standfast::store::{Layer, RangeReply, Result, Revision};
use std::sync::atomic::{AtomicU64, Ordering};

/// A store that answers some reads as of a revision of the past, once somebody leads through it: as an
/// etcd member that was paused, and does not know yet for how long.
struct Paused {
    store: Arc<dyn Store>,
    past: Revision,
    /// Answers of that kind that are left.
    left: AtomicU64,
}

#[async_trait]
impl Layer for Paused {
    fn below(&self) -> &dyn Store {
        &*self.store
    }
    async fn range(&self, range: Range) -> Result<RangeReply> {
        // Only a leader reads locks.
        let asked = range == Range::prefix(records::LOCKS).limit(range.limit.unwrap_or(usize::MAX));
        let stale = |left: u64| left.checked_sub(1).filter(|_| asked);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, stale).is_err() {
            return self.store.range(range).await;
        }
        let reply = self.store.range(range.at(self.past)).await?;
        Ok(RangeReply { revision: self.past, ..reply })
    }
}

/// Situation: a leader dies in the middle of a run, and the next one reads through a member of etcd that
/// was paused: the first answers are of before the run. Danger: it leads without knowing of the run, which
/// nobody goes on with, and may begin another one. Expectation: it asks until it is told of the present.
#[tokio::test(flavor = "multi_thread")]
async fn who_begins_to_lead_is_not_told_of_the_past() {
    let (closed, port) = listener().await;
    drop(closed);
    let real: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let past = real.txn(Txn::new().then(Op::put("other", "x"))).await.unwrap().revision;
    let bundle = bundle(port, WAITS);
    let mut first = member("m1", real.clone(), &bundle);
    first.leads.wait_for(|leads| *leads).await.unwrap();
    ask(&*real, "start", start()).await;
    let run = answer(&*real, "start").await.subject.unwrap().run;
    first.task.abort();

    let paused = Arc::new(Paused { store: real.clone(), past, left: AtomicU64::new(3) });
    let mut second = member("m2", paused.clone(), &bundle);
    second.leads.wait_for(|leads| *leads).await.unwrap();
    let _listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    until("the end", async || head(&*real).await.filter(|head| head.state == State::Ended(End::Succeeded)))
        .await;
    assert_eq!(paused.left.load(Ordering::SeqCst), 0, "it was told of the past, and asked again");
    assert_eq!(journal(&*real, &run).await.last().unwrap().member.as_str(), "m2");
}
