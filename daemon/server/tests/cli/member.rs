//! A member that answers what a test says, and remembers what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::Stream;
use serde::Serialize;
use serde_json::Value;
use standfast_proto::v1::bundles_server::{Bundles, BundlesServer};
use standfast_proto::v1::cluster_server::{Cluster, ClusterServer};
use standfast_proto::v1::plans_server::{Plans, PlansServer};
use standfast_proto::v1::runs_server::{Runs, RunsServer};
use standfast_proto::v1::sites_server::{Sites, SitesServer};
use standfast_proto::v1::*;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::ServerTlsConfig;
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;

/// A stream as a test writes it: messages, then perhaps how it breaks.
pub(crate) type Script = Vec<Result<WatchRunResponse, Status>>;

/// What a member answers.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) run: Run,
    pub(crate) runs: ListRunsResponse,
    pub(crate) created: CreateRunResponse,
    pub(crate) plan: Plan,
    pub(crate) readiness: ListReadinessResponse,
    pub(crate) status: ClusterStatus,
    pub(crate) frozen: FreezeResponse,
    pub(crate) site: Site,
    pub(crate) why_not: WhyNotResponse,
    pub(crate) applied: ApplyBundleResponse,
    pub(crate) report: Report,
    /// Instead of any of them.
    pub(crate) refusal: Option<Status>,
    /// One for each watch, in turn.
    pub(crate) watches: Mutex<VecDeque<Script>>,
    pub(crate) not_serving: bool,
    pub(crate) tls: Option<ServerTlsConfig>,
}

/// Every request: the method and the message as JSON.
type Asked = Arc<Mutex<Vec<(&'static str, Value)>>>;

#[derive(Clone)]
struct Service {
    answers: Arc<Answers>,
    asked: Asked,
}

impl Service {
    fn answer<Q: Serialize, A: Clone>(
        &self,
        method: &'static str,
        request: Request<Q>,
        answer: &A,
    ) -> Result<Response<A>, Status> {
        let request = serde_json::to_value(request.into_inner()).expect("JSON");
        self.asked.lock().expect("no panic").push((method, request));
        match &self.answers.refusal {
            Some(status) => Err(status.clone()),
            None => Ok(Response::new(answer.clone())),
        }
    }
}

/// A member on a free port, until it is dropped.
pub(crate) struct Member {
    pub(crate) address: SocketAddr,
    asked: Asked,
    task: tokio::task::JoinHandle<()>,
}

impl Member {
    pub(crate) async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Asked::default();
        let (reporter, health) = tonic_health::server::health_reporter();
        if answers.not_serving {
            reporter.set_service_status("", ServingStatus::NotServing).await;
        }
        let mut server = tonic::transport::Server::builder();
        if let Some(tls) = &answers.tls {
            server = server.tls_config(tls.clone()).expect("TLS files that work");
        }
        let service = Service { answers: Arc::new(answers), asked: asked.clone() };
        let server = server
            .add_service(health)
            .add_service(BundlesServer::new(service.clone()))
            .add_service(ClusterServer::new(service.clone()))
            .add_service(PlansServer::new(service.clone()))
            .add_service(RunsServer::new(service.clone()))
            .add_service(SitesServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async move { server.await.expect("it serves") });
        Self { address, asked, task }
    }

    /// What it was asked: methods, and the messages as JSON.
    pub(crate) fn asked(&self) -> Vec<(&'static str, Value)> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What `tonic::async_trait` makes of an async method; it does not look into macros.
type Answering<'t, A> = Pin<Box<dyn Future<Output = Result<Response<A>, Status>> + Send + 't>>;

/// Methods of one request and one answer: name, request, answer, and where the answer is.
macro_rules! answers {
    ($($method:ident($request:ty) -> $answer:ty = $field:ident;)*) => {
        $(fn $method<'a, 't>(&'a self, request: Request<$request>) -> Answering<'t, $answer>
        where
            'a: 't,
            Self: 't,
        {
            Box::pin(async move { self.answer(stringify!($method), request, &self.answers.$field) })
        })*
    };
}

#[tonic::async_trait]
impl Runs for Service {
    type WatchRunStream = Pin<Box<dyn Stream<Item = Result<WatchRunResponse, Status>> + Send>>;

    async fn watch_run(
        &self,
        request: Request<WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        self.answer("watch_run", request, &())?;
        let script = self.answers.watches.lock().expect("no panic").pop_front();
        let script = script.ok_or_else(|| Status::unavailable("there is no other script"))?;
        Ok(Response::new(Box::pin(futures::stream::iter(script))))
    }

    answers! {
        create_run(CreateRunRequest) -> CreateRunResponse = created;
        get_run(GetRunRequest) -> Run = run;
        list_runs(ListRunsRequest) -> ListRunsResponse = runs;
        approve_run(ApproveRunRequest) -> Run = run;
        reject_run(RejectRunRequest) -> Run = run;
        retry_step(RetryStepRequest) -> Run = run;
        skip_step(SkipStepRequest) -> Run = run;
        pause_run(PauseRunRequest) -> Run = run;
        resume_run(ResumeRunRequest) -> Run = run;
        rollback_run(RollbackRunRequest) -> Run = run;
        abort_run(AbortRunRequest) -> Run = run;
        get_report(GetReportRequest) -> Report = report;
    }
}

#[tonic::async_trait]
impl Sites for Service {
    answers! {
        get_site(GetSiteRequest) -> Site = site;
        ack_site(AckSiteRequest) -> Site = site;
        rejoin_site(RejoinSiteRequest) -> Site = site;
        maintain_site(MaintainSiteRequest) -> Site = site;
        release_site(ReleaseSiteRequest) -> Site = site;
        why_not(WhyNotRequest) -> WhyNotResponse = why_not;
    }

    async fn list_sites(
        &self,
        request: Request<ListSitesRequest>,
    ) -> Result<Response<ListSitesResponse>, Status> {
        let sites = ListSitesResponse { sites: vec![self.answers.site.clone()] };
        self.answer("list_sites", request, &sites)
    }
}

#[tonic::async_trait]
impl Plans for Service {
    answers! {
        create_plan(CreatePlanRequest) -> Plan = plan;
        list_readiness(ListReadinessRequest) -> ListReadinessResponse = readiness;
    }
}

#[tonic::async_trait]
impl Bundles for Service {
    answers! { apply_bundle(ApplyBundleRequest) -> ApplyBundleResponse = applied; }

    async fn get_bundle(&self, _: Request<GetBundleRequest>) -> Result<Response<Bundle>, Status> {
        Err(Status::unimplemented("no command asks this"))
    }

    async fn list_bundles(
        &self,
        _: Request<ListBundlesRequest>,
    ) -> Result<Response<ListBundlesResponse>, Status> {
        Err(Status::unimplemented("no command asks this"))
    }
}

#[tonic::async_trait]
impl Cluster for Service {
    answers! {
        get_status(GetStatusRequest) -> ClusterStatus = status;
        freeze(FreezeRequest) -> FreezeResponse = frozen;
    }

    async fn set_switch(
        &self,
        request: Request<SetSwitchRequest>,
    ) -> Result<Response<SetSwitchResponse>, Status> {
        self.answer("set_switch", request, &SetSwitchResponse::default())
    }

    async fn bump_epoch(
        &self,
        request: Request<BumpEpochRequest>,
    ) -> Result<Response<BumpEpochResponse>, Status> {
        self.answer("bump_epoch", request, &BumpEpochResponse { epoch: 9 })
    }

    async fn thaw(&self, request: Request<ThawRequest>) -> Result<Response<ThawResponse>, Status> {
        self.answer("thaw", request, &ThawResponse {})
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let members = ListMembersResponse { members: self.answers.status.members.clone() };
        self.answer("list_members", request, &members)
    }

    async fn step_down(
        &self,
        request: Request<StepDownRequest>,
    ) -> Result<Response<StepDownResponse>, Status> {
        let answer = StepDownResponse { leader: self.answers.status.leader.clone() };
        self.answer("step_down", request, &answer)
    }
}
