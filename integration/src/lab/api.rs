//! Calls to the cluster, answered by whichever member lives.

use std::future::Future;
use std::time::Duration;

use standfast::cli::client::{Client, Tls};
use standfast::cli::exit::Failure;
use standfast_proto::MAX_ANSWER_BYTES;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::plans_client::PlansClient;
use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::*;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::member::Pki;
use crate::parts::{Error, Result, poll};

/// For one call to one member; an inspection of dead targets takes the longest.
const ANSWER: Duration = Duration::from_secs(10);

/// A client of a cluster.
pub struct Api {
    client: Client,
    addresses: Vec<String>,
    pki: Option<Pki>,
}

impl Api {
    /// A client of these members, under the name `lab` where there are certificates.
    pub fn new(addresses: &[String], pki: Option<&Pki>) -> Result<Api> {
        let client = Client::new(addresses, &tls(pki), ANSWER).map_err(said)?;
        Ok(Api { client, addresses: addresses.to_vec(), pki: pki.cloned() })
    }

    /// Another client of the same members.
    pub fn another(&self) -> Result<Api> {
        Api::new(&self.addresses, self.pki.as_ref())
    }

    /// A call that may be refused; the error says how.
    pub async fn call<Q, A, F>(
        &mut self,
        request: Q,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, Failure>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.client.call(request, send).await
    }

    /// The client itself, for streams.
    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// What a person sees first.
    pub async fn status(&mut self) -> Result<ClusterStatus> {
        let send = async |channel, request| ClusterClient::new(channel).get_status(request).await;
        self.call(GetStatusRequest {}, send).await.map_err(said)
    }

    /// A site with its votes and evidence.
    pub async fn site(&mut self, name: &str) -> Result<Site> {
        let send = async |channel, request| SitesClient::new(channel).get_site(request).await;
        self.call(GetSiteRequest { name: name.into() }, send).await.map_err(said)
    }

    /// Every guard, for an automatic failover of a site now.
    pub async fn why_not(&mut self, site: &str) -> Result<WhyNotResponse> {
        let send = async |channel, request| SitesClient::new(channel).why_not(request).await;
        self.call(WhyNotRequest { site: site.into() }, send).await.map_err(said)
    }

    /// A run.
    pub async fn run(&mut self, id: &str) -> Result<Run> {
        let send = async |channel, request| {
            RunsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).get_run(request).await
        };
        self.call(GetRunRequest { id: id.into() }, send).await.map_err(said)
    }

    /// All runs, newest first.
    pub async fn runs(&mut self) -> Result<Vec<Run>> {
        let send = async |channel, request| {
            RunsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).list_runs(request).await
        };
        Ok(self.call(ListRunsRequest::default(), send).await.map_err(said)?.runs)
    }

    /// The report of a run.
    pub async fn report(&mut self, id: &str) -> Result<Report> {
        let send = async |channel, request| {
            RunsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).get_report(request).await
        };
        self.call(GetReportRequest { id: id.into() }, send).await.map_err(said)
    }

    /// What a run of the playbook would do, inspected live.
    pub async fn plan(&mut self, mode: Mode) -> Result<Plan> {
        self.plan_of("shop", "a", "b", mode).await
    }

    /// The same for another playbook and other sites.
    pub async fn plan_of(&mut self, playbook: &str, from: &str, to: &str, mode: Mode) -> Result<Plan> {
        let request = CreatePlanRequest {
            playbook: playbook.into(),
            from: from.into(),
            to: to.into(),
            mode: mode.into(),
            inputs: Default::default(),
            inspect: true,
        };
        let send = async |channel, request| {
            PlansClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).create_plan(request).await
        };
        self.call(request, send).await.map_err(said)
    }

    /// Asks for a run by hand; the error says how it was refused.
    pub async fn create_run(&mut self, request: CreateRunRequest) -> Result<CreateRunResponse, Failure> {
        let send = async |channel, request| {
            RunsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).create_run(request).await
        };
        self.call(request, send).await
    }

    /// Says no to a run that is proposed.
    pub async fn reject(&mut self, id: &str, reason: &str) -> Result<Run> {
        let request = RejectRunRequest {
            id: id.into(),
            request_id: request_id(),
            reason: reason.into(),
            ..RejectRunRequest::default()
        };
        let send = async |channel, request| {
            RunsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).reject_run(request).await
        };
        self.call(request, send).await.map_err(said)
    }

    /// Asks the leader to hand over, and waits for another epoch.
    pub async fn step_down(&mut self, leader: &Leader, reason: &str) -> Result<Leader> {
        let request = StepDownRequest {
            member: leader.member.clone(),
            request_id: request_id(),
            reason: reason.into(),
            epoch: leader.epoch,
        };
        let send = async |channel, request| ClusterClient::new(channel).step_down(request).await;
        self.call(request, send).await.map_err(said)?;
        let before = leader.epoch;
        self.until(Duration::from_secs(15), "another leader", async |api| {
            let now = api.status().await.map_err(|e| e.to_string())?.leader;
            now.clone().filter(|now| now.epoch > before).ok_or_else(|| format!("{now:?}"))
        })
        .await
    }

    /// Waits for a leader.
    pub async fn until_leader(&mut self, within: Duration) -> Result<Leader> {
        self.until(within, "a leader", async |api| {
            let leader = api.status().await.map_err(|e| e.to_string())?.leader;
            leader.filter(|leader| !leader.member.is_empty()).ok_or_else(|| "nobody leads".into())
        })
        .await
    }

    /// Waits for a run that has not been cancelled, whoever starts it.
    pub async fn until_run(&mut self, within: Duration) -> Result<Run> {
        self.until(within, "a run", async |api| {
            let runs = api.runs().await.map_err(|e| e.to_string())?;
            runs.into_iter().next().ok_or_else(|| "there is no run".into())
        })
        .await
    }

    /// Waits until a run is as `wanted` says.
    pub async fn until_run_is(
        &mut self,
        id: &str,
        within: Duration,
        awaited: &str,
        wanted: impl Fn(&Run) -> bool,
    ) -> Result<Run> {
        self.until(within, &format!("run {id} {awaited}"), async |api| {
            let run = api.run(id).await.map_err(|e| e.to_string())?;
            if wanted(&run) { Ok(run) } else { Err(short(&run)) }
        })
        .await
    }

    /// Asks until the answer is there.
    pub async fn until<T>(
        &mut self,
        within: Duration,
        awaited: &str,
        ask: impl AsyncFn(&mut Api) -> Result<T, String>,
    ) -> Result<T> {
        let api = tokio::sync::Mutex::new(self);
        let asked = poll(within, || async { ask(&mut *api.lock().await).await });
        let problem = |last| format!("{awaited} did not come within {within:?} (last: {last})");
        asked.await.map_err(|last| Error::answer("standfast", problem(last)))
    }
}

/// A request id that nobody else has.
pub fn request_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// A run in one line, with the steps that have begun.
pub fn short(run: &Run) -> String {
    let begun = run.steps.iter().filter(|step| step.state() != StepState::Pending);
    let steps: Vec<String> = begun
        .map(|step| {
            let detail = if step.detail.is_empty() { String::new() } else { format!(" ({})", step.detail) };
            let state = standfast::cli::human::camel(step.state().as_str_name(), "STEP_STATE_");
            format!("{} {state}{detail}", step.id)
        })
        .collect();
    let state = standfast::cli::human::camel(run.state().as_str_name(), "RUN_STATE_");
    format!("{} {state} {}; {}", run.id, run.state_reason, steps.join(", "))
}

fn tls(pki: Option<&Pki>) -> Tls {
    let file = |name: &str| pki.map(|pki| pki.file(name));
    Tls { ca: file("ca.pem"), cert: file("lab.pem"), key: file("lab.key") }
}

fn said(failure: Failure) -> Error {
    Error::answer("standfast", failure)
}
