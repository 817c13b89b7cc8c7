//! Members that answer, observe and lead, on a store that they share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use standfast::api;
use standfast::bundles;
use standfast::condition::Env;
use standfast::lead::{self, Me};
use standfast::look::{self, Looker};
use standfast::metrics::Metrics;
use standfast::observer::{self, Claim};
use standfast::readiness;
use standfast::records::LEADER;
use standfast::secrets::Secrets;
use standfast::site_lease::SiteLeases;
use standfast::store::{EmbeddedStore, Range, Store};
use standfast::term::retention::Retention;
use standfast::tls::Tls;
use standfast::watermark::Watermark;
use standfast_core::time::Mono;
use standfast_proto::v1::bundles_client::BundlesClient;
use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub(crate) use crate::files::{fleet, playbook};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A member. Dropped, it is gone like a process that is killed.
pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    /// Ends its interface as a shutdown does.
    pub(crate) stop: CancellationToken,
    /// Those of its leadership.
    pub(crate) metrics: Metrics,
    store: Arc<dyn Store>,
    me: Me,
    bundle: watch::Receiver<Option<Arc<standfast_core::bundle::Bundle>>>,
    confirmed: watch::Sender<Option<Mono>>,
    claim: watch::Sender<Claim>,
    env: Env,
    /// The highest epoch that it has seen.
    pub(crate) watermark: Watermark,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    _cache: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.cancel();
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// A store in memory.
pub(crate) async fn store() -> Arc<dyn Store> {
    Arc::new(EmbeddedStore::in_memory().await.unwrap())
}

impl Daemon {
    /// A member that answers.
    pub(crate) async fn answers(name: &str, site: &str, store: &Arc<dyn Store>) -> Self {
        Self::with_tls(name, site, store, None).await
    }

    pub(crate) async fn with_tls(name: &str, site: &str, store: &Arc<dyn Store>, tls: Option<Tls>) -> Self {
        Self::with(name, site, store, tls, Env::new(Secrets::new("."), None).unwrap()).await
    }

    /// A member that answers, and touches the world with what is in `env`.
    pub(crate) async fn with(
        name: &str,
        site: &str,
        store: &Arc<dyn Store>,
        tls: Option<Tls>,
        env: Env,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let me = Me {
            id: name.into(),
            site: site.into(),
            boot_id: format!("{name}-boot"),
            address: address.to_string(),
        };
        let (stop, cache) = (CancellationToken::new(), tempfile::tempdir().unwrap());
        let (sender, bundle) = watch::channel(None);
        let confirmed = watch::Sender::new(None);
        let follow = bundles::follow(store.clone(), cache.path().join("cache"), sender, stop.clone());
        let (leases, watermark) = (SiteLeases::new(), Watermark::default());
        let deps = api::Deps {
            me: me.clone(),
            store: store.clone(),
            bundle: bundle.clone(),
            confirmed: confirmed.subscribe(),
            leases: leases.clone(),
            watermark: watermark.clone(),
            env: env.clone(),
            stop: stop.clone(),
        };
        let serve = async move { api::serve(deps, listener, tls.as_ref()).await.unwrap() };
        let tasks = vec![tokio::spawn(follow), tokio::spawn(serve)];
        let metrics = Metrics::new();
        Self {
            address,
            stop,
            metrics,
            store: store.clone(),
            me,
            bundle,
            confirmed,
            claim: watch::Sender::new(Claim::default()),
            env,
            watermark,
            tasks,
            _cache: cache,
        }
    }

    /// It observes and looks too, so it has a lease.
    pub(crate) fn observing(mut self) -> Self {
        let deps = observer::Deps {
            me: self.me.clone(),
            store: self.store.clone(),
            env: self.env.clone(),
            metrics: Metrics::new(),
            at_once: Arc::new(Semaphore::new(16)),
            confirmed: self.confirmed.clone(),
            reaches: watch::channel(true).0,
            claim: self.claim.clone(),
        };
        // Not told to stop: a process that is killed does not give its lease back.
        let killed = CancellationToken::new();
        self.tasks.push(tokio::spawn(observer::run(deps, self.bundle.clone(), killed)));
        let (me, store) = (self.me.clone(), self.store.clone());
        let looker = Looker { me, store, env: self.env.clone(), bundle: self.bundle.clone() };
        self.tasks.push(tokio::spawn(look::follow(looker, self.stop.clone())));
        self
    }

    /// It leads too, once there is a bundle and nobody else does.
    pub(crate) fn leading(mut self) -> Self {
        let deps = lead::Deps {
            me: self.me.clone(),
            store: self.store.clone(),
            bundle: self.bundle.clone(),
            env: self.env.clone(),
            metrics: self.metrics.clone(),
            reaches: watch::channel(true).1,
            leads: watch::channel(false).0,
            drain: Duration::from_secs(5),
            retention: Retention::default(),
            leases: SiteLeases::new(),
            watermark: self.watermark.clone(),
        };
        self.tasks.push(tokio::spawn(lead::run(deps, CancellationToken::new())));
        self
    }

    /// What its readiness is made of.
    pub(crate) fn readiness(&self) -> readiness::Deps {
        readiness::Deps {
            site: self.me.site.clone(),
            store: self.store.clone(),
            bundle: self.bundle.clone(),
            confirmed: self.confirmed.subscribe(),
            claim: self.claim.subscribe(),
            watermark: self.watermark.clone(),
        }
    }

    /// Whether it has its name.
    pub(crate) fn claim(&self) -> watch::Receiver<Claim> {
        self.claim.subscribe()
    }

    /// Another process than those of this name before.
    pub(crate) fn booted(mut self, boot_id: &str) -> Self {
        self.me.boot_id = boot_id.to_owned();
        self
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn runs(&self) -> RunsClient<Channel> {
        RunsClient::new(self.channel().await)
    }

    /// Makes `files` the bundle, and waits until this member works by it.
    pub(crate) async fn apply(&mut self, files: &[(&str, String)]) -> String {
        let request = ApplyBundleRequest {
            files: bundle_files(files),
            request_id: "apply".into(),
            ..ApplyBundleRequest::default()
        };
        let mut client = BundlesClient::new(self.channel().await);
        let digest = client.apply_bundle(request).await.unwrap().into_inner().digest;
        self.knows(&digest).await;
        digest
    }

    /// Waits until this member works by a bundle.
    pub(crate) async fn knows(&mut self, digest: &str) {
        let known =
            self.bundle.wait_for(|bundle| bundle.as_ref().is_some_and(|b| b.digest.as_str() == digest));
        tokio::time::timeout(PATIENCE, known).await.expect("it follows the bundle").unwrap();
    }
}

pub(crate) fn bundle_files(files: &[(&str, String)]) -> Vec<BundleFile> {
    files.iter().map(|(name, text)| BundleFile { name: (*name).into(), text: text.clone() }).collect()
}

/// Asks a person, then waits for the tool.
pub(crate) const ASKS: &str = "steps:
  - id: word
    approval.ask: {role: commander, message: \"is a really gone?\"}
    timeout: 1m
  - id: tool
    wait.until: {all: [{tcp.connect: {endpoint: tool, at: $to}}]}
    timeout: 20s
";

/// The shop asks a person; `waits` only waits for the tool.
pub(crate) fn files(port: u16) -> Vec<(&'static str, String)> {
    let waits = "steps:
  - id: tool
    wait.until: {all: [{tcp.connect: {endpoint: tool, at: $to}}]}
    timeout: 20s
";
    vec![
        ("fleet.yaml", fleet(port)),
        ("shop.yaml", playbook("shop", ASKS)),
        ("waits.yaml", playbook("waits", waits)),
    ]
}

/// The port of a tool that is well.
pub(crate) async fn well() -> u16 {
    const WELL: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(WELL).await;
            });
        }
    });
    port
}

/// One member that leads, with the shop applied, and the tool.
pub(crate) async fn led() -> (Arc<dyn Store>, Daemon, TcpListener) {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    member.apply(&files(tool.local_addr().unwrap().port())).await;
    (store, member, tool)
}

/// A drill of `playbook` from a to b.
pub(crate) fn drill(playbook: &str, request_id: &str) -> CreateRunRequest {
    CreateRunRequest {
        playbook: playbook.into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Drill.into(),
        inputs: BTreeMap::new(),
        reason: "a test".into(),
        request_id: request_id.into(),
        ..CreateRunRequest::default()
    }
}

/// What a run of `request` is.
pub(crate) async fn start(member: &Daemon, request: CreateRunRequest) -> Run {
    let answer = member.runs().await.create_run(request).await.unwrap().into_inner();
    answer.run.expect("somebody leads")
}

pub(crate) async fn get(member: &Daemon, id: &str) -> Run {
    member.runs().await.get_run(GetRunRequest { id: id.into() }).await.unwrap().into_inner()
}

/// Waits until a run is as wanted.
pub(crate) async fn until(member: &Daemon, id: &str, wanted: impl Fn(&Run) -> bool) -> Run {
    let looking = async {
        loop {
            let run = get(member, id).await;
            if wanted(&run) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("the run comes that far")
}

/// The digest of the bundle that a member works by.
pub(crate) async fn get_digest(member: &Daemon) -> String {
    let mut client = bundles_client::BundlesClient::new(member.channel().await);
    client.get_bundle(GetBundleRequest::default()).await.unwrap().into_inner().digest
}

/// Waits until nobody leads: the lease of whoever did has run out.
pub(crate) async fn gone(store: &Arc<dyn Store>) {
    let free = async {
        while !store.range(Range::key(LEADER)).await.unwrap().kvs.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.expect("the lease runs out");
}

/// The code and the reason of a refusal.
pub(crate) fn why<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.expect_err("it is refused");
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no details: {status:?}"));
    assert_eq!(info.domain, "standfast");
    assert!(!status.message().is_empty());
    (status.code(), info.reason)
}

/// What a refusal is about.
pub(crate) fn about<T: std::fmt::Debug>(result: &Result<T, Status>, key: &str) -> String {
    let status = result.as_ref().expect_err("it is refused");
    status.get_details_error_info().expect("details").metadata.get(key).cloned().unwrap_or_default()
}

/// Waits for something to hold.
pub(crate) async fn soon(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("it never came: {what}"));
}
