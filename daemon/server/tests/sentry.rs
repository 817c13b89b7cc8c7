//! A sentry against members that answer, are silent, or say that the site is fenced.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use standfast::sentry::{Config, run};
use standfast::supervise::Supervisor;
use standfast_core::fleet::Sentry;
use standfast_core::fleet::sentry::LocalStep;
use standfast_core::source::{Place, Spanned};
use standfast_core::time::Span;
use standfast_core::timing::{Profile, Timing};
use standfast_proto::v1::sentries_server::{Sentries, SentriesServer};
use standfast_proto::v1::*;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

const PATIENCE: Duration = Duration::from_secs(30);

/// What the member answers, and the last that it was told.
#[derive(Default)]
struct Member {
    answer: Option<BeatResponse>,
    told: Option<BeatRequest>,
}

#[derive(Clone, Default)]
struct Service(Arc<Mutex<Member>>);

#[tonic::async_trait]
impl Sentries for Service {
    async fn beat(&self, request: Request<BeatRequest>) -> Result<Response<BeatResponse>, Status> {
        let mut member = self.0.lock().unwrap();
        member.told = Some(request.into_inner());
        member.answer.map(Response::new).ok_or_else(|| Status::unavailable("cut off"))
    }

    async fn promise(&self, _: Request<PromiseRequest>) -> Result<Response<PromiseResponse>, Status> {
        Err(Status::unimplemented("no sentry asks for that"))
    }
}

const RENEWED: BeatResponse =
    BeatResponse { confirmed: Some(pbjson_types::Duration { seconds: 0, nanos: 1_000_000 }), fenced: false };
const FENCED: BeatResponse = BeatResponse { confirmed: None, fenced: true };

/// A sentry on a host of which a file says whether it serves.
struct Host {
    member: Service,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    sentry: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    address: std::net::SocketAddr,
}

impl Host {
    async fn new(answer: Option<BeatResponse>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let member = Service::default();
        member.0.lock().unwrap().answer = answer;
        let service = SentriesServer::new(member.clone());
        let serving = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("serves"), "").unwrap();
        Self { member, folder, stop: CancellationToken::new(), sentry: None, address }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the sentry; its isolation removes the file and then runs `and`.
    fn guard(&mut self, and: &[&str]) {
        let serves = self.path("serves").display().to_string();
        let step = |words: &[&str]| LocalStep {
            run: words.iter().map(|word| (*word).to_owned()).collect(),
            timeout: Span::secs(1),
        };
        let mut on_isolation = vec![step(and), step(&["rm", "-f", &serves])];
        on_isolation.retain(|step| !step.run.is_empty());
        let at = Place { file: 0, start: 0, end: 0 };
        let plan = Sentry {
            at,
            site: Spanned::new("a".into(), at),
            guards: vec![Spanned::new("shop".into(), at)],
            on_isolation,
            on_rejoin: vec![step(&["touch", &serves])],
        };
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        let config = Config {
            name: "db-a".into(),
            plan,
            timing: Timing::of(Profile::Fast),
            members: vec![(self.address.to_string(), endpoint.connect_lazy())],
            folder: self.path("state"),
            supervisor: Supervisor::at(env!("CARGO_BIN_EXE_standfast")),
        };
        self.stop = CancellationToken::new();
        self.sentry = Some(tokio::spawn(run(config, self.stop.clone())));
    }

    async fn end(&mut self) {
        self.stop.cancel();
        self.sentry.take().unwrap().await.unwrap().unwrap();
    }

    fn answer(&self, answer: Option<BeatResponse>) {
        self.member.0.lock().unwrap().answer = answer;
    }

    async fn until(&self, what: &str, is: impl Fn(&BeatRequest) -> bool) {
        let began = Instant::now();
        while !self.member.0.lock().unwrap().told.as_ref().is_some_and(&is) {
            assert!(began.elapsed() < PATIENCE, "{what}: {:?}", self.member.0.lock().unwrap().told);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until_is(&self, state: SentryState) {
        self.until(state.as_str_name(), |told| told.state() == state).await;
    }
}

fn serves(path: &Path) -> bool {
    path.join("serves").exists()
}

/// Situation: the member falls silent on a host that serves, and is heard again later. Danger: the
/// host serves on beside the one that took over; or stays down after a blip. Expectation: it is
/// stopped, and let go when the site's lease is renewed.
#[tokio::test]
async fn a_silent_member_stops_the_host_until_it_is_heard_again() {
    let mut host = Host::new(Some(RENEWED)).await;
    std::fs::write(host.path("serves"), "untouched").unwrap();
    host.guard(&[]);
    host.until_is(SentryState::Open).await;
    let text = std::fs::read_to_string(host.path("serves")).unwrap();
    assert_eq!(text, "untouched", "it is set up on a host that serves");
    assert!(serves(host.folder.path()));
    let last = Instant::now();
    host.answer(None);
    host.until_is(SentryState::Isolated).await;
    assert!(!serves(host.folder.path()));
    let window = Timing::of(Profile::Fast).isolate.0;
    assert!(last.elapsed() + Duration::from_millis(500) > window, "not before its window was over");
    host.answer(Some(RENEWED));
    host.until_is(SentryState::Open).await;
    assert!(serves(host.folder.path()));
    host.end().await;
}

/// Situation: the site is fenced; then its sentry is started anew. Danger: a new process has
/// forgotten, and lets the host go.
#[tokio::test]
async fn a_fenced_host_stays_stopped_over_restarts() {
    let mut host = Host::new(Some(RENEWED)).await;
    host.guard(&[]);
    host.until_is(SentryState::Open).await;
    host.answer(Some(FENCED));
    host.until_is(SentryState::Isolated).await;
    host.end().await;
    // Somebody started the service by hand.
    std::fs::write(host.path("serves"), "").unwrap();
    host.member.0.lock().unwrap().told = None;
    host.guard(&[]);
    host.until_is(SentryState::Isolated).await;
    assert!(!serves(host.folder.path()));
    host.end().await;
}

/// Situation: the sentry of a host that serves is updated. Danger: the update is an outage.
#[tokio::test]
async fn a_sentry_that_is_restarted_does_not_stop_a_healthy_host() {
    let mut host = Host::new(Some(RENEWED)).await;
    host.guard(&[]);
    host.until_is(SentryState::Open).await;
    host.end().await;
    host.member.0.lock().unwrap().told = None;
    // If it stopped the host, nothing would let it go again.
    std::fs::write(host.path("serves"), "untouched").unwrap();
    host.guard(&[]);
    host.until("it is there", |told| told.state() == SentryState::Open).await;
    host.member.0.lock().unwrap().told = None;
    host.until("it still is", |told| told.state() == SentryState::Open).await;
    assert_eq!(std::fs::read_to_string(host.path("serves")).unwrap(), "untouched");
    host.end().await;
}

/// Situation: one of its steps fails, the other works. Expectation: what can be stopped is
/// stopped; the members are told what failed, in words, and it is tried again.
#[tokio::test]
async fn a_step_that_fails_is_told_and_tried_again() {
    let mut host = Host::new(None).await;
    let works = host.path("works").display().to_string();
    host.guard(&["ls", &works]);
    host.until("it says why", |told| told.failed.contains("works: exit 2")).await;
    assert!(!serves(host.folder.path()));
    std::fs::write(&works, "").unwrap();
    host.until("all is done", |told| told.failed.is_empty() && told.state() == SentryState::Isolated).await;
    host.end().await;
}
