//! Leaders of flesh and blood on one store in memory: the real leadership and term loops, real
//! conditions on loopback, and a store whose answers get lost.

#[path = "shared/files.rs"]
mod files;
#[path = "shared/forgetful.rs"]
mod forgetful;
#[path = "term/holds.rs"]
mod holds;
#[path = "term/past.rs"]
mod past;

use forgetful::Forgetful;
use standfast::condition::Env;
use standfast::lead::{self, Me};
use standfast::metrics::Metrics;
use standfast::records::{self, Answered, Asked, Head, RUNS};
use standfast::secrets::Secrets;
use standfast::store::embedded::EmbeddedStore;
use standfast::store::{Op, Range, Store, Txn};
use standfast::term::retention::Retention;
use standfast::watermark::Watermark;
use standfast_core::audit::chain::Chain;
use standfast_core::bundle::Bundle;
use standfast_core::controller::Ask;
use standfast_core::engine::Command;
use standfast_core::ids::RunId;
use standfast_core::journal::{Body, End, Event};
use standfast_core::plan::{Mode, Request};
use standfast_core::run::State;
use standfast_core::source::SourceFile;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

/// A fleet whose only endpoint is `port`, and a playbook with `steps`.
fn bundle(port: u16, steps: &str) -> Arc<Bundle> {
    let playbook = files::playbook("shop", &format!("steps:\n{steps}"));
    let sources =
        vec![SourceFile::new("fleet.yaml", files::fleet(port)), SourceFile::new("shop.yaml", playbook)];
    let (bundle, findings) = Bundle::load(sources);
    let errors: Vec<_> = findings.iter().map(|finding| &finding.message).collect();
    Arc::new(bundle.unwrap_or_else(|| panic!("{errors:#?}")))
}

/// A member that leads when it may; aborted, it vanishes like a process that is killed.
struct Member {
    task: tokio::task::JoinHandle<()>,
    shutdown: CancellationToken,
    leads: watch::Receiver<bool>,
}

fn member(name: &str, store: Arc<dyn Store>, bundle: &Arc<Bundle>) -> Member {
    let (leads, leading) = watch::channel(false);
    let shutdown = CancellationToken::new();
    let (sender, bundle) = watch::channel(Some(bundle.clone()));
    let deps = lead::Deps {
        me: Me {
            id: name.into(),
            site: "w".into(),
            boot_id: format!("{name}-boot"),
            address: "127.0.0.1:1".into(),
        },
        store,
        bundle,
        env: Env::new(Secrets::new("."), None).unwrap(),
        metrics: Metrics::new(),
        reaches: watch::channel(true).1,
        leads,
        drain: Duration::from_secs(20),
        retention: Retention::default(),
        leases: standfast::site_lease::SiteLeases::new(),
        watermark: Watermark::default(),
    };
    let stop = shutdown.clone();
    let task = tokio::spawn(async move {
        let _kept = sender;
        lead::run(deps, stop).await;
    });
    Member { task, shutdown, leads: leading }
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

async fn ask(store: &dyn Store, request: &str, ask: Ask) {
    let asked = Asked { by: "kim".into(), ask, wall_ms: 0 };
    store.txn(Txn::new().then(Op::put(records::ask(request), records::encode(&asked)))).await.unwrap();
}

fn start() -> Ask {
    let request = Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Drill,
        inputs: Default::default(),
    };
    Ask::Start { request, reason: "a test".into(), overrides: vec![], plan: None }
}

async fn answer(store: &dyn Store, request: &str) -> Answered {
    until("an answer", async || {
        let reply = store.range(Range::key(records::answer(request))).await.ok()?;
        Some(records::decode(reply.kvs.first()?).unwrap())
    })
    .await
}

async fn head(store: &dyn Store) -> Option<Head> {
    let reply = store.range(Range::prefix(RUNS)).await.ok()?;
    reply.kvs.first().map(|kv| records::decode(kv).unwrap())
}

async fn journal(store: &dyn Store, run: &RunId) -> Vec<Event> {
    let reply = store.range(Range::prefix(records::journal(run))).await.unwrap();
    reply.kvs.iter().map(|kv| records::decode(kv).unwrap()).collect()
}

/// The audit is whole, and knows of every entry of the run's journal.
async fn audited(store: &dyn Store, run: &RunId, entries: u64) {
    let head = store.range(Range::key(records::AUDITED)).await.unwrap();
    let mut chain = Chain::knowing([records::decode(&head.kvs[0]).unwrap()]);
    for kv in store.range(Range::prefix(records::AUDIT)).await.unwrap().kvs {
        chain.take(&kv.value);
    }
    assert_eq!(chain.end(&[(run.clone(), entries)].into()).broken, []);
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

const WAITS: &str = "  - id: one
    wait.until: {all: [{tcp.connect: {endpoint: tool, at: $to}}]}
    timeout: 20s
  - id: two
    wait.until: {all: [{tcp.connect: {endpoint: tool, at: $to}}]}
    timeout: 20s
";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_asked_for_executed_and_answered() {
    let (_listener, port) = listener().await;
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let bundle = bundle(port, WAITS);
    let _member = member("m1", store.clone(), &bundle);
    ask(&*store, "first", start()).await;
    let run = answer(&*store, "first").await.subject.expect("the run is named").run;
    until("the end", async || head(&*store).await.filter(|head| head.state == State::Ended(End::Succeeded)))
        .await;
    let events = journal(&*store, &run).await;
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    for (prefix, left) in [(records::LOCKS, 0), (records::ASKS, 0), (records::HOLDS, 1)] {
        assert_eq!(store.range(Range::prefix(prefix)).await.unwrap().kvs.len(), left, "{prefix}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_followed_at_the_very_step() {
    // Situation: the leader vanishes while a step waits for something that is not there yet.
    // Danger: the run is lost, begun anew, or held for ever. Expectation: after the lease has
    // run out another member goes on at that step, under a higher epoch.
    let (closed, port) = listener().await;
    drop(closed);
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let bundle = bundle(port, WAITS);
    let mut first = member("m1", store.clone(), &bundle);
    first.leads.wait_for(|leads| *leads).await.unwrap();
    ask(&*store, "first", start()).await;
    let run = answer(&*store, "first").await.subject.unwrap().run;
    until("step one", async || {
        let events = journal(&*store, &run).await;
        events.iter().any(|event| matches!(event.body, Body::StepStarted { .. })).then_some(())
    })
    .await;
    let mut second = member("m2", store.clone(), &bundle);
    first.task.abort();
    second.leads.wait_for(|leads| *leads).await.unwrap();
    let _listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    until("the end", async || head(&*store).await.filter(|head| head.state == State::Ended(End::Succeeded)))
        .await;
    let events = journal(&*store, &run).await;
    let took_over = events.iter().position(|event| event.body == Body::TookOver).expect("it is journaled");
    assert!(events[took_over].epoch > events[took_over - 1].epoch);
    assert_eq!(events.last().unwrap().member.as_str(), "m2");
    audited(&*store, &run, events.len() as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_told_to_end_hands_over_at_once() {
    let (_listener, port) = listener().await;
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let bundle = bundle(port, WAITS);
    let mut first = member("m1", store.clone(), &bundle);
    first.leads.wait_for(|leads| *leads).await.unwrap();
    let mut second = member("m2", store.clone(), &bundle);
    first.shutdown.cancel();
    first.task.await.unwrap();
    // Well below the lease's time of 4 s: the lease was given back.
    let led = tokio::time::timeout(Duration::from_secs(2), second.leads.wait_for(|leads| *leads)).await;
    assert!(led.is_ok(), "the lease had to run out");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_to_hand_over_moves_the_lead_once() {
    // Situation: a leader is asked to step down. Danger: it goes before its answer is written, so
    // its successor finds the request and steps down as well, and so on until nobody may lead.
    // Expectation: the request is gone when the next leader comes, and that one stays.
    let (_listener, port) = listener().await;
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let bundle = bundle(port, WAITS);
    let mut first = member("m1", store.clone(), &bundle);
    first.leads.wait_for(|leads| *leads).await.unwrap();
    let mut second = member("m2", store.clone(), &bundle);
    ask(&*store, "go", Ask::StepDown { reason: "a test".into() }).await;
    second.leads.wait_for(|leads| *leads).await.unwrap();
    assert!(store.range(Range::prefix(records::ASKS)).await.unwrap().kvs.is_empty());
    assert_eq!(answer(&*store, "go").await.refusal, None);
    let more = tokio::time::timeout(Duration::from_secs(1), second.leads.wait_for(|leads| !*leads)).await;
    assert!(more.is_err(), "the second leader was asked, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_pause_resume_and_abort() {
    let (closed, port) = listener().await;
    drop(closed);
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let bundle = bundle(port, WAITS);
    let _member = member("m1", store.clone(), &bundle);
    ask(&*store, "start", start()).await;
    let run = answer(&*store, "start").await.subject.unwrap().run;
    let reason = || "a test".to_owned();
    for (request, command, accepted) in [
        ("pause", Command::Pause { reason: reason() }, true),
        ("again", Command::Pause { reason: reason() }, false),
        ("resume", Command::Resume { reason: reason() }, true),
        ("abort", Command::Abort { reason: reason() }, true),
    ] {
        ask(&*store, request, Ask::Run { run: run.clone(), command, seen: None }).await;
        assert_eq!(answer(&*store, request).await.refusal.is_none(), accepted, "{request}");
    }
    until("the end", async || head(&*store).await.filter(|head| head.state == State::Ended(End::Aborted)))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_lose_nothing_and_repeat_nothing() {
    // Situation: the store commits and its answer is lost, one time in three. Danger: an entry
    // is written twice, a campaign is thought lost and held for ever. Expectation: the run ends,
    // its journal has no gap and no repetition.
    let (_listener, port) = listener().await;
    let store: Arc<dyn Store> =
        Arc::new(Forgetful::new(Arc::new(EmbeddedStore::in_memory().await.unwrap()), 3));
    let bundle = bundle(port, WAITS);
    let _member = member("m1", store.clone(), &bundle);
    let asked = Asked { by: "kim".into(), ask: start(), wall_ms: 0 };
    let _ = store.txn(Txn::new().then(Op::put(records::ask("first"), records::encode(&asked)))).await;
    until("the end", async || head(&*store).await.filter(|head| head.state == State::Ended(End::Succeeded)))
        .await;
    let heads = store.range(Range::prefix(RUNS)).await.unwrap().kvs;
    assert_eq!(heads.len(), 1, "one wish, one run");
    let run: Head = records::decode(&heads[0]).unwrap();
    let events = journal(&*store, &run.id).await;
    assert!(events.iter().enumerate().all(|(at, event)| event.sequence == at as u64 + 1));
    assert_eq!(events.last().map(|event| event.sequence), Some(run.sequence));
    audited(&*store, &run.id, run.sequence).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_end_acts_on_under_a_lease_that_holds() {
    // Situation: the daemon is told to end while a step acts for longer than its lease lasts.
    // Danger: nobody renews any more, and the next leader acts beside it. Expectation: the step
    // ends under the epoch that began it, is journaled, and only then somebody else leads.
    let (closed, port) = listener().await;
    drop(closed);
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let bundle = bundle(port, WAITS);
    let mut first = member("m1", store.clone(), &bundle);
    first.leads.wait_for(|leads| *leads).await.unwrap();
    ask(&*store, "first", start()).await;
    let run = answer(&*store, "first").await.subject.unwrap().run;
    until("step one", async || {
        let events = journal(&*store, &run).await;
        events.iter().any(|event| matches!(event.body, Body::StepStarted { .. })).then_some(())
    })
    .await;
    let mut second = member("m2", store.clone(), &bundle);
    first.shutdown.cancel();
    // Beyond the lease's time of 4 s.
    let led = tokio::time::timeout(Duration::from_secs(6), second.leads.wait_for(|leads| *leads)).await;
    assert!(led.is_err(), "another leads while the first one acts");
    assert!(*first.leads.borrow());
    let _listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    first.task.await.unwrap();
    until("the end", async || head(&*store).await.filter(|head| head.state == State::Ended(End::Succeeded)))
        .await;
    let events = journal(&*store, &run).await;
    let one = events.iter().find(|event| matches!(event.body, Body::StepSucceeded { .. })).unwrap();
    assert_eq!(one.member.as_str(), "m1");
    assert_eq!(events.last().unwrap().member.as_str(), "m2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_read_is_answered() {
    let (_listener, port) = listener().await;
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let bundle = bundle(port, WAITS);
    let _member = member("m1", store.clone(), &bundle);
    store.txn(Txn::new().then(Op::put(records::ask("odd"), "{}"))).await.unwrap();
    let refusal = answer(&*store, "odd").await.refusal.expect("it is refused");
    assert!(refusal.message.contains("asks/odd"), "{}", refusal.message);
}
