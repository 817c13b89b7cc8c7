//! How long it takes to know what a long run has come to: the fold of a long journal, and a member that
//! takes a run of many steps up.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use standfast::records::{self, LEADER, Leader};
use standfast_core::action::{Failure, FailureKind};
use standfast_core::bind::bind;
use standfast_core::bundle::Bundle;
use standfast_core::ids::{Epoch, RunId};
use standfast_core::journal::{Body, End, Event, Trigger, VERSION};
use standfast_core::plan::{Mode, Plan, Request};
use standfast_core::run::{Run as Fold, State};
use standfast_core::time::Span;
use standfast_core::timing::Profile;
use standfast_proto::v1::{Run, StepState};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::figure::{Figure, Judged};
use super::overhead::start;
use super::sites::{Setup, Sites};
use super::{playbook, processor};
use crate::parts::{Error, Result, ports};

/// For the whole journal.
const FOLD: Duration = Duration::from_secs(1);
/// From the record of a new leader to the next step's start.
const RESUME: Duration = Duration::from_secs(2);
/// The most that a playbook may have.
const STEPS: usize = 10_000;
/// Entries of each step in the journal that is folded: it is taken up by another leader, fails three
/// times, and succeeds.
const EACH: usize = 10;
const TIMES: usize = 5;
/// A run whose steps take longer is not measured.
const END: Duration = Duration::from_secs(300);
/// Between two looks at the run: each reads all of its journal.
const LOOK: Duration = Duration::from_secs(2);
/// For everything else that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before the store's keys in etcd, unless the settings say otherwise.
const PREFIX: &str = "/standfast/";

/// Both.
pub async fn measure() -> Result<Vec<Figure>> {
    let entries = STEPS * EACH;
    let what = format!("a journal of {entries} entries read and folded, processor time of one thread");
    let fold = Figure::new("journal-fold", &what, Judged::Worst, FOLD, folds()?);
    let what = format!("a run of {STEPS} steps taken up: new leader to its next step, store etcd");
    let resume = Figure::new("journal-resume", &what, Judged::Worst, RESUME, resumes().await?);
    Ok(vec![fold, resume])
}

fn folds() -> Result<Vec<Duration>> {
    let plan = Arc::new(plan(STEPS)?);
    let stored: Vec<Vec<u8>> = journal(&plan).iter().map(records::encode).collect();
    (0..TIMES)
        .map(|_| {
            let begun = processor();
            let read: std::result::Result<Vec<Event>, _> =
                stored.iter().map(|entry| serde_json::from_slice(entry)).collect();
            let read = read.map_err(|error| Error::answer("journal", error))?;
            let run = Fold::fold(RunId::new("r1-1"), plan.clone(), &read);
            let took = processor().saturating_sub(begun);
            let state = run.map_err(|illegal| Error::answer("journal", illegal))?.state();
            match state {
                State::Ended(End::Succeeded) => Ok(took),
                other => Err(Error::answer("journal", format!("it folds to {other}"))),
            }
        })
        .collect()
}

fn plan(steps: usize) -> Result<Plan> {
    let files = playbook::failover(steps);
    let (bundle, findings) = Bundle::load(files.clone());
    let bundle = bundle.ok_or_else(|| Error::answer("lint", findings.to_text(&files, false)))?;
    let request = Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency,
        inputs: BTreeMap::new(),
    };
    bind(&bundle, &request).map_err(|findings| Error::answer("plan", format!("{findings:?}")))
}

/// `EACH` entries for each step, the first and the last ones of the run among those of two steps.
fn journal(plan: &Plan) -> Vec<Event> {
    let trigger =
        Trigger::Operator { identity: "kim".into(), reason: "a measurement".into(), overrides: Vec::new() };
    let mut bodies = vec![
        Body::Created { trigger, plan: plan.digest(), proposed: false },
        Body::RequirementsMet { evidence: Vec::new() },
    ];
    for (at, spec) in plan.steps.iter().enumerate() {
        let step = || spec.id.clone();
        let started =
            |attempt| Body::StepStarted { step: step(), attempt, inspected: "it is not so yet".into() };
        // Three entries stand elsewhere: the two above, and the end.
        if !(1..4).contains(&at) {
            bodies.push(Body::TookOver);
        }
        for attempt in 1..=3 {
            let message = "the target answered 503 Service Unavailable after 1.2s".into();
            let failure = Failure { kind: FailureKind::Failed, message };
            bodies.push(started(attempt));
            bodies.push(Body::AttemptFailed { step: step(), attempt, failure, retry_in: Span::secs(1) });
        }
        bodies.push(started(4));
        bodies.push(Body::StepActed { step: step(), evidence: "the target answered 200".into() });
        bodies.push(Body::StepSucceeded { step: step(), evidence: Vec::new() });
    }
    bodies.push(Body::Ended { end: End::Succeeded, why: "every step succeeded".into() });
    let mut epoch = 1;
    let entry = |(at, body): (usize, Body)| {
        epoch += u64::from(body == Body::TookOver);
        Event {
            version: VERSION,
            sequence: at as u64 + 1,
            wall_ms: 1_800_000_000_000 + at as i64,
            elapsed_ms: at as u64,
            epoch: Epoch(epoch),
            member: "w1".into(),
            body,
        }
    };
    bodies.into_iter().enumerate().map(entry).collect()
}

/// Three members and a run whose last step waits at a gate; one leader after the other hands it over.
async fn resumes() -> Result<Vec<Duration>> {
    let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listening.map_err(Error::io("listening"))?;
    let there = listener.local_addr().map_err(Error::io("listening"))?;
    let accepting = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let gate = ports::free(Ipv4Addr::LOCALHOST.into())?;
    let sites = Sites::start(&setup(there, gate)).await?;
    let mut api = sites.cluster.api()?;
    let run = start(&mut api).await?.id;
    let begun = Instant::now();
    while !at_the_gate(&api.run(&run).await?) {
        if begun.elapsed() > END {
            return Err(Error::answer("run", format!("is not at its last step after {END:?}")));
        }
        tokio::time::sleep(LOOK).await;
    }
    let mut samples = Vec::new();
    for _ in 0..TIMES {
        let leader = api.until_leader(PATIENCE).await?;
        let mut news = watch(&sites, &run).await?;
        api.step_down(&leader, "a measurement").await?;
        let resumed = tokio::time::timeout(PATIENCE, news.recv()).await;
        let resumed = resumed.ok().flatten();
        samples.push(resumed.ok_or_else(|| Error::answer("run", "nobody has taken it up"))?);
    }
    accepting.abort();
    Ok(samples)
}

fn setup(there: SocketAddr, gate: SocketAddr) -> Setup {
    let step = |n: usize| {
        let endpoint = if n + 1 == STEPS { "gate" } else { "there" };
        format!(
            "  - id: step-{n:05}\n    wait.until: {{all: [{{tcp.connect: {{endpoint: {endpoint}, at: $to}}}}]}}\n"
        )
    };
    let steps = (0..STEPS).map(step).collect::<String>() + "    timeout: 30m\n";
    Setup { endpoints: vec![("there", there), ("gate", gate)], steps, ..Setup::idle(Profile::Fast) }
}

fn at_the_gate(run: &Run) -> bool {
    run.steps.last().is_some_and(|step| step.state() == StepState::Started)
}

/// Hears how long it takes from the record of the next leader to the next step that it starts, both as
/// etcd has them.
async fn watch(sites: &Sites, run: &str) -> Result<mpsc::UnboundedReceiver<Duration>> {
    let Some(etcd) = &sites.cluster.etcd else { return Err(Error::answer("sites", "there is no etcd")) };
    let failed = |e: etcd_client::Error| Error::answer("etcd", e);
    let mut client = etcd.client(etcd.leader().await?).await.map_err(failed)?;
    let options = etcd_client::WatchOptions::new().with_prefix();
    let mut stream = client.watch(PREFIX, Some(options)).await.map_err(failed)?;
    let (heard, news) = mpsc::unbounded_channel();
    let entries = format!("{PREFIX}{}", records::journal(&RunId::new(run)));
    tokio::spawn(async move {
        let mut led: Option<(Instant, Epoch)> = None;
        while let Ok(Some(batch)) = stream.message().await {
            for kv in batch.events().iter().filter_map(|event| event.kv()) {
                let key = kv.key_str().unwrap_or_default();
                if let Some(LEADER) = key.strip_prefix(PREFIX)
                    && let Ok(leader) = serde_json::from_slice::<Leader>(kv.value())
                {
                    led = Some((Instant::now(), leader.epoch));
                } else if key.starts_with(&entries)
                    && let Ok(event) = serde_json::from_slice::<Event>(kv.value())
                    && let (Some((at, epoch)), Body::StepStarted { .. }) = (led, &event.body)
                    && event.epoch == epoch
                {
                    let _ = heard.send(at.elapsed()); // nobody listens any more: the measurement is over
                    return;
                }
            }
        }
    });
    Ok(news)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_as_long_as_it_says_and_folds() {
        let plan = Arc::new(plan(STEPS).unwrap());
        let journal = journal(&plan);
        assert_eq!(journal.len(), STEPS * EACH);
        let run = Fold::fold(RunId::new("r1-1"), plan, &journal).unwrap();
        assert_eq!((run.state(), run.epoch), (State::Ended(End::Succeeded), Epoch(9_998)));
    }
}
