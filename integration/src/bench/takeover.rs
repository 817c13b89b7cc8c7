//! How fast another member leads: after the leader's death, and after it handed over.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::post;
use rustix::process::Signal;
use standfast::records::{LEADER, Leader};
use standfast_core::timing::{Profile, Timing};
use standfast_proto::v1::{Run, StepState};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::figure::{Figure, Judged};
use super::overhead::start;
use super::sites::{Setup, Sites};
use crate::lab::api::Api;
use crate::lab::member::Member;
use crate::parts::{Error, Result, ports};

/// How often each is measured.
const TIMES: usize = 5;
/// What a takeover may take beyond the leader's lease.
const BEYOND: Duration = Duration::from_secs(2);
/// What a clean hand-over may take.
const HAND_OVER: Duration = Duration::from_millis(500);
/// For everything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before the store's keys in etcd, unless the settings say otherwise.
const PREFIX: &str = "/standfast/";

/// The first step waits at a gate, the second reports that it acts.
const STEPS: &str = "  - id: gate
    wait.until: {all: [{tcp.connect: {endpoint: gate, at: $to}}]}
  - id: act
    http.request: {endpoint: ear, at: $to, path: /act}
";

/// With etcd's leader alive: killed in the middle of a step, and idle but handing over.
pub async fn measure() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (profile, name) in [(Profile::Fast, "fast"), (Profile::Default, "default")] {
        let mut lab = Lab::start(profile).await?;
        let mut killed = Vec::new();
        for _ in 0..TIMES {
            killed.push(lab.kill_the_leader().await?);
        }
        let bound = Timing::of(profile).ttl.0 + BEYOND;
        let what = format!("leader killed in mid-step to the next step acting, profile {name}; TTL + 2 s");
        figures.push(Figure::new(&format!("takeover-{name}"), &what, Judged::Worst, bound, killed));
        if profile == Profile::Fast {
            let (mut asked, mut stopped) = (Vec::new(), Vec::new());
            for _ in 0..TIMES {
                lab.until_any_may_lead().await?;
                asked.push(lab.step_down().await?);
                lab.until_any_may_lead().await?;
                stopped.push(lab.terminate().await?);
            }
            let what = "a leader asked to step down to a new leader";
            figures.push(Figure::new("hand-over-asked", what, Judged::Worst, HAND_OVER, asked));
            let what = "SIGTERM to the leader to a new leader";
            figures.push(Figure::new("hand-over-stopped", what, Judged::Worst, HAND_OVER, stopped));
        }
    }
    Ok(figures)
}

/// Members with a run to drive, and where it reports.
struct Lab {
    sites: Sites,
    api: Api,
    ttl: Duration,
    gate: SocketAddr,
    acted: mpsc::UnboundedReceiver<Instant>,
}

impl Lab {
    async fn start(profile: Profile) -> Result<Lab> {
        let gate = ports::free(Ipv4Addr::LOCALHOST.into())?;
        let (ear, acted) = listen().await?;
        let endpoints = vec![("gate", gate), ("ear", ear)];
        let setup = Setup { endpoints, steps: STEPS.into(), ..Setup::idle(profile) };
        let sites = Sites::start(&setup).await?;
        let api = sites.cluster.api()?;
        Ok(Lab { sites, api, ttl: Timing::of(profile).ttl.0, gate, acted })
    }

    /// Waits until every member may lead at once: all are heard again, those too that were just
    /// started, and whoever handed over has left the field to the others for a TTL.
    async fn until_any_may_lead(&mut self) -> Result<()> {
        tokio::time::sleep(self.ttl).await;
        self.api
            .until(PATIENCE, "every member may lead", async |api| {
                let members = api.status().await.map_err(|e| e.to_string())?.members;
                match members.iter().find(|member| !member.live || !member.eligible) {
                    Some(member) => Err(format!("{}: {}", member.name, member.not_eligible_because)),
                    None if members.len() < 3 => Err(format!("{} members", members.len())),
                    None => Ok(()),
                }
            })
            .await
    }

    /// From the death of the leader while it waits at the gate, which opens then, to the act
    /// of the step behind it, by another leader.
    async fn kill_the_leader(&mut self) -> Result<Duration> {
        let run = start(&mut self.api).await?.id;
        self.api.until_run_is(&run, PATIENCE, "waits at the gate", at_the_gate).await?;
        let leader = self.leader().await?;
        let died = Instant::now();
        leader.part().kill();
        let opened = TcpListener::bind(self.gate).await;
        let gate = opened.map_err(Error::io(format!("listening on {}", self.gate)))?;
        let acted = tokio::time::timeout(PATIENCE, self.acted.recv()).await;
        let acted = acted.ok().flatten().ok_or_else(|| Error::answer("run", "the next step did not act"))?;
        drop(gate);
        let ended = |run: &Run| run.ended_at.is_some();
        self.api.until_run_is(&run, PATIENCE, "ended", ended).await?;
        self.silent()?.restart().await?;
        Ok(acted - died)
    }

    /// From the request to the record of another leader.
    async fn step_down(&mut self) -> Result<Duration> {
        let leader = self.api.until_leader(PATIENCE).await?;
        let mut news = self.watch().await?;
        let asked = Instant::now();
        self.api.step_down(&leader, "a measurement").await?;
        Ok(next(&mut news).await? - asked)
    }

    /// From the signal to the record of another leader.
    async fn terminate(&mut self) -> Result<Duration> {
        let mut news = self.watch().await?;
        let leader = self.leader().await?;
        let told = Instant::now();
        leader.part().stop(Signal::TERM, PATIENCE).await?;
        let seen = next(&mut news).await?;
        self.silent()?.restart().await?;
        Ok(seen - told)
    }

    /// The member that leads.
    async fn leader(&mut self) -> Result<&mut Member> {
        let name = self.api.until_leader(PATIENCE).await?.member;
        let found = self.sites.cluster.members.iter_mut().find(|member| member.name == name);
        found.ok_or_else(|| Error::answer("sites", format!("there is no member {name}")))
    }

    /// The member that does not run.
    fn silent(&mut self) -> Result<&mut Member> {
        let found = self.sites.cluster.members.iter_mut().find(|member| !member.part_ref().is_alive());
        found.ok_or_else(|| Error::answer("sites", "every member lives"))
    }

    /// Hears of every leader that takes over, as etcd has it.
    async fn watch(&self) -> Result<mpsc::UnboundedReceiver<Instant>> {
        let Some(etcd) = &self.sites.cluster.etcd else {
            return Err(Error::answer("sites", "there is no etcd"));
        };
        let failed = |e: etcd_client::Error| Error::answer("etcd", e);
        let mut client = etcd.client(etcd.leader().await?).await.map_err(failed)?;
        let mut stream = client.watch(format!("{PREFIX}{LEADER}"), None).await.map_err(failed)?;
        let (heard, news) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(batch)) = stream.message().await {
                let took_over = batch.events().iter().any(|event| {
                    let record = event.kv().map(|kv| kv.value());
                    record.is_some_and(|json| serde_json::from_slice::<Leader>(json).is_ok())
                });
                if took_over && heard.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
        Ok(news)
    }
}

fn at_the_gate(run: &Run) -> bool {
    run.steps.first().is_some_and(|step| step.state() == StepState::Started)
}

async fn next(news: &mut mpsc::UnboundedReceiver<Instant>) -> Result<Instant> {
    let heard = tokio::time::timeout(PATIENCE, news.recv()).await;
    heard.ok().flatten().ok_or_else(|| Error::answer("etcd", "no new leader"))
}

/// Where the second step reports; ends with what listens to it.
async fn listen() -> Result<(SocketAddr, mpsc::UnboundedReceiver<Instant>)> {
    let (heard, acted) = mpsc::unbounded_channel();
    let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listening.map_err(Error::io("listening"))?;
    let address = listener.local_addr().map_err(Error::io("listening"))?;
    let hear = |State(heard): State<mpsc::UnboundedSender<Instant>>| async move {
        let _ = heard.send(Instant::now()); // nobody listens any more: the measurement is over
        "heard\n"
    };
    let closed = heard.clone();
    let routes = axum::Router::new().route("/act", post(hear)).with_state(heard);
    tokio::spawn(async move {
        tokio::select! {
            _ = axum::serve(listener, routes) => {}
            () = closed.closed() => {}
        }
    });
    Ok((address, acted))
}
