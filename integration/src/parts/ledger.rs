//! Targets that write down every epoch they are given: an HTTP service and a command.
//!
//! Both are strict. What does not say who acts is refused, and so is an epoch lower than one that
//! was taken before: a leader that was stopped and goes on is found out here. What they write is
//! what the [checker](standfast_checker) reads: a line when something begins, and the same line with
//! its end. The file is locked for as long as it takes to look at it and add a line, so that it can
//! be shared by processes.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use rustix::fs::{FlockOperation, flock};
use standfast_checker::history::Effect;

use super::part::{Part, Spec};
use super::{Error, Result, site_program};

const READY: Duration = Duration::from_secs(10);
/// What a command ends with when it refuses an epoch.
pub const REFUSED: u8 = 3;

/// What both are told.
#[derive(Debug, Clone, clap::Args)]
pub struct Ledger {
    /// Where it is written down
    #[arg(long)]
    pub file: PathBuf,
    /// The name of the target
    #[arg(long)]
    pub target: String,
    /// How long it takes to do what is asked, in milliseconds
    #[arg(long, default_value_t = 300)]
    pub takes_ms: u64,
}

/// How to run the service: `site ear`.
#[derive(Debug, Clone, clap::Args)]
pub struct Ear {
    /// Where to listen
    #[arg(long)]
    pub listen: SocketAddr,
    /// What it writes
    #[command(flatten)]
    pub ledger: Ledger,
}

impl Ledger {
    /// Writes down that something begins; refuses it if a higher epoch was taken before.
    fn begin(&self, mut effect: Effect) -> std::io::Result<Effect> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(&self.file)?;
        flock(&file, FlockOperation::LockExclusive)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let highest = parse(&text).iter().filter(|known| known.accepted).map(|known| known.epoch).max();
        effect.accepted = highest.is_none_or(|highest| effect.epoch >= highest);
        effect.began_ms = now_ms();
        write(&mut file, &effect)?;
        Ok(effect)
    }

    fn end(&self, mut effect: Effect) -> std::io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(&self.file)?;
        flock(&file, FlockOperation::LockExclusive)?;
        effect.ended_ms = Some(now_ms());
        write(&mut file, &effect)
    }

    fn takes(&self) -> Duration {
        Duration::from_millis(self.takes_ms)
    }

    /// What a caller says of itself; `look` finds a value by the last word of its name.
    fn told(&self, look: impl Fn(&str) -> Option<String>) -> std::result::Result<Effect, String> {
        let text = |name: &str| look(name).filter(|value| !value.is_empty()).ok_or(format!("no {name}"));
        let number = |name: &str| text(name)?.parse::<u64>().map_err(|e| format!("{name}: {e}"));
        Ok(Effect {
            target: self.target.clone(),
            run: text("run")?,
            step: text("step")?,
            attempt: number("attempt")?.try_into().map_err(|e| format!("attempt: {e}"))?,
            epoch: number("epoch")?,
            key: text("key")?,
            accepted: false,
            began_ms: 0,
            ended_ms: None,
        })
    }

    /// The command as it is typed: program and arguments.
    pub fn command(&self) -> Result<Vec<String>> {
        let (program, file) = (site_program()?.display().to_string(), self.file.display().to_string());
        let takes = self.takes_ms.to_string();
        let words = [&program, "act", "--file", &file, "--target", &self.target, "--takes-ms", &takes];
        Ok(words.map(str::to_owned).to_vec())
    }

    /// The command, `site act`: reads who acts from its environment; returns what to end with.
    pub fn act(&self) -> Result<u8> {
        let variable = |name: &str| {
            let name = if name == "key" { "idempotency_key" } else { name };
            std::env::var(format!("STANDFAST_{}", name.to_uppercase())).ok()
        };
        let told = self.told(variable).map_err(|why| Error::answer("act", why))?;
        let failed = || Error::io(format!("writing {}", self.file.display()));
        let begun = self.begin(told).map_err(failed())?;
        if !begun.accepted {
            eprintln!("epoch {} is over", begun.epoch);
            return Ok(REFUSED);
        }
        std::thread::sleep(self.takes());
        self.end(begun).map_err(failed())?;
        Ok(0)
    }
}

impl Ear {
    /// Serves until the process is killed.
    pub async fn serve(self) -> Result<()> {
        let listening = tokio::net::TcpListener::bind(self.listen).await;
        let listener = listening.map_err(Error::io(format!("listening on {}", self.listen)))?;
        let routes = axum::Router::new()
            .route("/", get(|| async { "an ear\n" }))
            .route("/act", post(act))
            .with_state(Arc::new(self.ledger));
        axum::serve(listener, routes).await.map_err(Error::io("serving"))
    }
}

async fn act(
    State(ledger): State<Arc<Ledger>>,
    headers: HeaderMap,
) -> std::result::Result<StatusCode, (StatusCode, String)> {
    let header = |name: &str| {
        let name = if name == "key" { "idempotency-key".into() } else { format!("x-standfast-{name}") };
        headers.get(name)?.to_str().ok().map(str::to_owned)
    };
    let told = ledger.told(header).map_err(|why| (StatusCode::BAD_REQUEST, format!("{why}\n")))?;
    let failed = |e: std::io::Error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n"));
    let begun = ledger.begin(told).map_err(failed)?;
    if !begun.accepted {
        return Err((StatusCode::PRECONDITION_FAILED, format!("epoch {} is over\n", begun.epoch)));
    }
    tokio::time::sleep(ledger.takes()).await;
    ledger.end(begun).map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Starts the service as a part of a site, and returns when it listens.
pub async fn start(site: &Path, ear: &Ear) -> Result<Part> {
    let Ear { listen, ledger } = ear;
    let mut part = Spec::new(site, "ear", site_program()?)?
        .args(["ear", "--listen", &listen.to_string(), "--target", &ledger.target])
        .args(["--takes-ms".into(), ledger.takes_ms.to_string(), "--file".into()])
        .args([&ledger.file])
        .start()
        .await?;
    part.until_listening(*listen, READY).await?;
    Ok(part)
}

/// What such targets have written down, in the order in which it came; nothing if nothing came.
pub fn read(file: &Path) -> Result<Vec<Effect>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(format!("reading {}", file.display()))(error)),
    }
}

/// A line that was not finished, because its process was killed, is nothing.
fn parse(text: &str) -> Vec<Effect> {
    let mut effects: Vec<Effect> = Vec::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Effect>(line).ok()) {
        let begun = effects.iter_mut().find(|known| Effect { ended_ms: None, ..line.clone() } == **known);
        match begun.filter(|_| line.ended_ms.is_some()) {
            Some(begun) => *begun = line,
            None => effects.push(line),
        }
    }
    effects
}

/// In one go: who is killed meanwhile leaves all of it, or nothing.
fn write(file: &mut File, effect: &Effect) -> std::io::Result<()> {
    let line = serde_json::to_string(effect)?;
    file.write_all(format!("{line}\n").as_bytes())
}

/// Now, in milliseconds since 1970: what all that is judged together is measured by.
pub fn now_ms() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
