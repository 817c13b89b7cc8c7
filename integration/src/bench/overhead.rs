//! What the orchestration itself costs: a run of 1,000 steps that only wait for something that
//! holds already.

use std::net::Ipv4Addr;
use std::time::Duration;

use standfast_core::timing::Profile;
use standfast_proto::v1::{CreateRunRequest, Mode, Run, RunState};
use tokio::net::TcpListener;

use super::figure::{Figure, Judged};
use super::playbook::STEPS;
use super::sites::{Setup, Sites};
use crate::lab::api::{Api, request_id, short};
use crate::lab::cluster::Kind;
use crate::parts::{Error, Result};

/// How often each store is measured.
const TIMES: usize = 3;
/// A run that takes longer is not measured any more.
const END: Duration = Duration::from_secs(120);
/// Between two looks at the run: each reads all of its journal.
const LOOK: Duration = Duration::from_millis(500);

/// Per step, from the run's creation to its end as its journal has them.
pub async fn measure() -> Result<Vec<Figure>> {
    let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listening.map_err(Error::io("listening"))?;
    let address = listener.local_addr().map_err(Error::io("listening"))?;
    let accepting = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let steps = (0..STEPS)
        .map(|n| {
            format!("  - id: step-{n:04}\n    wait.until: {{all: [{{tcp.connect: {{endpoint: there, at: $to}}}}]}}\n")
        })
        .collect();
    let setup = Setup { endpoints: vec![("there", address)], steps, ..Setup::idle(Profile::Fast) };
    let mut figures = Vec::new();
    for (store, bound) in [(Kind::Embedded, 5), (Kind::Etcd, 15)] {
        let sites = Sites::start(&Setup { store, ..setup.clone() }).await?;
        let mut api = sites.cluster.api()?;
        let mut samples = Vec::new();
        for _ in 0..TIMES {
            samples.push(step(&mut api).await?);
        }
        let what =
            format!("a step of a run of 1,000 that only wait.until what holds, store {}", store.name());
        let bound = Duration::from_millis(bound);
        figures.push(Figure::new(&format!("step-{}", store.name()), &what, Judged::Median, bound, samples));
    }
    accepting.abort();
    Ok(figures)
}

/// A request for a run of the playbook by hand.
pub(super) fn request() -> CreateRunRequest {
    CreateRunRequest {
        playbook: "move".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Drill.into(),
        reason: "a measurement".into(),
        request_id: request_id(),
        ..CreateRunRequest::default()
    }
}

/// Starts a run by hand.
pub(super) async fn start(api: &mut Api) -> Result<Run> {
    let created = api.create_run(request()).await.map_err(|failure| Error::answer("standfast", failure))?;
    created.run.ok_or_else(|| Error::answer("standfast", "a run was created and is not shown"))
}

async fn step(api: &mut Api) -> Result<Duration> {
    let id = start(api).await?.id;
    let begun = std::time::Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let run = api.run(&id).await?;
        match run.state() {
            RunState::Running if begun.elapsed() < END => {}
            RunState::Succeeded => return took(&run).map(|took| took / STEPS as u32),
            _ => return Err(Error::answer("run", short(&run).chars().take(500).collect::<String>())),
        }
    }
}

fn took(run: &Run) -> Result<Duration> {
    let at = |at: &Option<_>| standfast::cli::human::timestamp(at.as_ref());
    let times = at(&run.created_at).zip(at(&run.ended_at));
    let took = times.and_then(|(begin, end)| Duration::try_from(end.duration_since(begin)).ok());
    took.ok_or_else(|| Error::answer("run", "it has no beginning or no end"))
}
