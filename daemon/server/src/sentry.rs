//! `standfast sentry`: stops what writes on its host when the lease of its site is not renewed.
//!
//! It stands apart from the member, so that it acts when the member stops, hangs or is cut off. Its
//! steps come from files on its own disk, and they run under supervision on its own clock.

use crate::clock;
use crate::supervise::{Outcome, Spec, SuperviseError, Supervisor};
use serde::{Deserialize, Serialize};
use standfast_core::fleet::Sentry as Plan;
use standfast_core::fleet::sentry::LocalStep;
use standfast_core::ids::SentryId;
use standfast_core::sentry::{Effect, Input, Sentry, State, TICK};
use standfast_core::time::Span;
use standfast_core::timing::Timing;
use standfast_proto::v1::sentries_client::SentriesClient;
use standfast_proto::v1::{BeatRequest, SentryState};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// What a sentry needs.
pub struct Config {
    /// Its name in the fleet.
    pub name: SentryId,
    /// What the fleet says of it.
    pub plan: Plan,
    /// The windows of the fleet.
    pub timing: Timing,
    /// The members of its site, by address.
    pub members: Vec<(String, Channel)>,
    /// Where it keeps its state.
    pub folder: PathBuf,
    /// Runs its steps.
    pub supervisor: Supervisor,
}

/// What members are told.
#[derive(Clone, PartialEq, Eq)]
struct Told {
    state: State,
    failed: Option<String>,
}

/// Guards its host until `stop`. Nothing enforces the lease from then on.
///
/// # Errors
/// When its state cannot be written before it has begun.
pub async fn run(config: Config, stop: CancellationToken) -> io::Result<()> {
    std::fs::create_dir_all(&config.folder)?;
    let kept = Kept::read(&config.folder);
    let mut sentry = Sentry::new(config.timing.isolate, kept);
    Kept::write(&config.folder, sentry.state())?;
    let (answers, mut answered) = mpsc::unbounded_channel();
    let told = watch::Sender::new(Told { state: sentry.state(), failed: None });
    let every = asks_every(&config.timing);
    for (address, channel) in config.members {
        let (name, steps) = (config.name.clone(), config.plan.steps(config.timing.isolate));
        let asking = Asking { name, steps: steps.to_string(), address, channel, every };
        tokio::spawn(stop.clone().run_until_cancelled_owned(asking.run(told.subscribe(), answers.clone())));
    }
    tracing::info!(sentry = %config.name, state = ?sentry.state(), "guarding");
    let mut running: Pin<Box<dyn Future<Output = Result<(), String>> + Send>> =
        Box::pin(std::future::pending());
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if sentry.state() == State::Open {
        // Who served a moment ago is asked about before anything is stopped.
        let first = timeout(config.timing.isolate.0 / 2, answered.recv()).await;
        if let Ok(Some(input)) = first {
            sentry.on(input, clock::now());
        }
    }
    loop {
        let input = tokio::select! {
            _ = ticks.tick() => Input::Tick,
            Some(input) = answered.recv() => input,
            result = &mut running => {
                running = Box::pin(std::future::pending());
                Input::Ran(result)
            }
            () = stop.cancelled() => return Ok(()),
        };
        for effect in sentry.on(input, clock::now()) {
            match effect {
                Effect::Keep(state) => {
                    tracing::warn!(?state, "this host");
                    if let Err(error) = Kept::write(&config.folder, state) {
                        tracing::error!(%error, "the state is not on disk");
                    }
                }
                Effect::Isolate => {
                    running = Box::pin(isolate(config.supervisor.clone(), config.plan.on_isolation.clone()))
                }
                Effect::Rejoin => {
                    running = Box::pin(rejoin(config.supervisor.clone(), config.plan.on_rejoin.clone()))
                }
            }
        }
        told.send_if_modified(|told| {
            let now = Told { state: sentry.state(), failed: sentry.failed().map(str::to_owned) };
            if now.state != told.state {
                tracing::warn!(state = ?now.state, "this host");
            }
            if now.failed != told.failed
                && let Some(why) = &now.failed
            {
                tracing::error!(why, "a step failed; it is tried again");
            }
            let changed = now != *told;
            *told = now;
            changed
        });
    }
}

/// Often enough that one lost answer does not stop a host.
fn asks_every(timing: &Timing) -> Duration {
    (timing.isolate.0 / 10).clamp(TICK, Duration::from_secs(1))
}

/// Every step, also after one that failed: what can be stopped is stopped.
async fn isolate(by: Supervisor, steps: Vec<LocalStep>) -> Result<(), String> {
    let mut failed = Vec::new();
    for step in &steps {
        if let Err(why) = step_of(&by, step).await {
            failed.push(why);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// One step after the other, until one fails.
async fn rejoin(by: Supervisor, steps: Vec<LocalStep>) -> Result<(), String> {
    for step in &steps {
        step_of(&by, step).await?;
    }
    Ok(())
}

async fn step_of(by: &Supervisor, step: &LocalStep) -> Result<(), String> {
    let mut spec = Spec::new(step.run.iter().cloned(), step.timeout.0);
    // Its time is all that there is.
    spec.grace = Duration::ZERO;
    told(step, by.run(&spec, None).await)
}

fn told(step: &LocalStep, outcome: Result<Outcome, SuperviseError>) -> Result<(), String> {
    let command = step.run.join(" ");
    match outcome {
        Ok(outcome) if outcome.succeeded() => Ok(()),
        Ok(outcome) if outcome.timed_out() => Err(format!("{command}: not done within {}", step.timeout)),
        Ok(outcome) => {
            let code = outcome.code.map_or_else(|| "killed".to_owned(), |code| format!("exit {code}"));
            Err(format!("{command}: {code}: {}", outcome.stderr.text.trim()))
        }
        Err(error) => Err(format!("{command}: {error}")),
    }
}

/// Asks one member, again and again.
struct Asking {
    name: SentryId,
    steps: String,
    address: String,
    channel: Channel,
    every: Duration,
}

impl Asking {
    async fn run(self, told: watch::Receiver<Told>, answers: mpsc::UnboundedSender<Input>) {
        let mut client = SentriesClient::new(self.channel.clone());
        let mut well = true;
        loop {
            let Told { state, failed } = told.borrow().clone();
            let request = BeatRequest {
                sentry: self.name.to_string(),
                steps: self.steps.clone(),
                state: wire(state).into(),
                failed: failed.unwrap_or_default(),
            };
            let sent = clock::now().mono;
            let answer = timeout(2 * self.every, client.beat(request)).await;
            let problem = match answer {
                Ok(Ok(response)) => {
                    let response = response.into_inner();
                    let confirmed = response.confirmed.and_then(|ago| Duration::try_from(ago).ok()).map(Span);
                    let _ = answers.send(Input::Answered { sent, confirmed, fenced: response.fenced });
                    None
                }
                Ok(Err(status)) => Some(status.message().to_owned()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            match &problem {
                Some(why) if well => tracing::warn!(member = self.address, why, "a member does not answer"),
                None if !well => tracing::info!(member = self.address, "a member answers again"),
                _ => {}
            }
            well = problem.is_none();
            sleep(self.every.saturating_sub(clock::now().mono.since(sent))).await;
        }
    }
}

fn wire(state: State) -> SentryState {
    match state {
        State::Open => SentryState::Open,
        State::Isolating => SentryState::Isolating,
        State::Isolated => SentryState::Isolated,
        State::Rejoining => SentryState::Rejoining,
    }
}

/// What stands on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// This start of the machine.
    boot: String,
    state: State,
}

impl Kept {
    fn file(folder: &Path) -> PathBuf {
        folder.join("sentry.json")
    }

    fn boot() -> io::Result<String> {
        Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
    }

    /// What was kept in this start of the machine; none if it was in another one, or cannot be read.
    /// Where nothing was ever kept a sentry has just been set up, on a host that may serve.
    fn read(folder: &Path) -> Option<State> {
        let text = match std::fs::read(Self::file(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(State::Open),
            read => read.ok()?,
        };
        let kept: Self = serde_json::from_slice(&text).ok()?;
        (kept.boot == Self::boot().ok()?).then_some(kept.state)
    }

    fn write(folder: &Path, state: State) -> io::Result<()> {
        let (file, new) = (Self::file(folder), folder.join("sentry.json.new"));
        let kept = Self { boot: Self::boot()?, state };
        std::fs::write(&new, serde_json::to_vec(&kept).expect("plain data"))?;
        std::fs::File::open(&new)?.sync_all()?;
        std::fs::rename(&new, &file)?;
        std::fs::File::open(folder)?.sync_all()
    }
}
