//! `ssh.run`: a program on a host, which itself refuses whoever is no leader any more.
//!
//! Killing ssh does not end what it started. So on the host everything runs under `timeout`, which
//! ends it in time whatever becomes of the connection, and under a lock beside a file that keeps the
//! highest epoch that was seen there:
//!
//! - A lower epoch is refused.
//! - Programs of one epoch hold the lock together. A higher epoch waits until all of them are
//!   gone, and only then raises the file: programs of two epochs never run side by side.
//!
//! The program itself does not hold the lock, only the shell that waits for it does: a service that it
//! leaves behind on purpose must not keep the next leader out for ever.

use super::command::{identity, last_line};
use super::values::Values;
use super::{Context, Driver, failure, refused, uninspected};
use crate::client::ssh::{Link, Means, SSH_FAILED, name, quoted};
use crate::client::{Error, clip, fenced};
use crate::supervise::{Ended, Outcome, SuperviseError};
use async_trait::async_trait;
use standfast_core::action::{Failure, FailureKind, Host, Inspection};
use standfast_core::time::Span;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time between SIGTERM and SIGKILL; a quarter of a short step's time.
const GRACE: Duration = Duration::from_secs(2);
/// For the host to tell what came of it before ssh is ended, and for that to be told before the
/// deadline; an eighth of a short step's time.
const TELL: Duration = Duration::from_millis(250);
/// For a look.
const LOOK: Duration = Duration::from_secs(5);

/// Exit codes of [`GUARD`]; believed with [`SAYS`] only.
const FENCED: i32 = 120;
const UNABLE: i32 = 122;
const SAYS: &str = "standfast: ";
/// Of `timeout`: ended at its time, with or without SIGKILL.
const ENDED: [i32; 2] = [124, 137];

/// $1 names the fleet, $2 is the epoch, the rest is run. One line, because shells differ in how they
/// quote line breaks. It waits for its child through SIGTERM, which `timeout` sends to both, so that
/// the lock is held as long as the child lives.
const GUARD: &str = r#"no() { echo "standfast: $2" >&2; exit "$1"; }; d=$HOME/.standfast; f=$d/$1.epoch; l=$d/$1.lock; me=$2; shift 2; trap : TERM; seen() { e=0; if [ -e "$f" ]; then e=$(cat "$f"); case $e in ""|*[!0-9]*) no 122 "$f holds no epoch" ;; esac; fi; [ "$e" -le "$me" ] || no 120 "fenced by epoch $e"; }; command -v flock >/dev/null || no 122 "there is no flock"; command -v "$1" >/dev/null || no 122 "there is no program $1"; (umask 077; mkdir -p "$d" && : >>"$l") || no 122 "$d cannot be written"; exec 9>>"$l"; lock() { flock "$1" 9 || no 122 "another leader's program is still running"; }; lock -s; seen; if [ "$e" -lt "$me" ]; then lock -x; seen; if [ "$e" -lt "$me" ]; then echo "$me" >"$f.new" && sync "$f.new" && mv "$f.new" "$f" || no 122 "$f cannot be written"; fi; lock -s; seen; fi; "$@" 9>&-"#;

/// Outlives `timeout`, which SIGKILL ends together with what it has started, to tell of it.
const TIMED: &str = r#"timeout "$@"; exit $?"#;

/// $1 names the fleet, $2 the program. Says the epoch, then what is missing.
const SEE: &str = r#"f=$HOME/.standfast/$1.epoch; if [ -e "$f" ]; then echo "epoch $(cat "$f")"; else echo "epoch 0"; fi; for p in flock timeout "$2"; do command -v "$p" >/dev/null || echo "lacks $p"; done"#;

pub(super) struct Run<'a> {
    pub(super) host: &'a Host,
    pub(super) run: &'a [String],
}

#[async_trait]
impl Driver for Run<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        let soon = cx.deadline.min(Instant::now() + LOOK);
        match self.see(cx, soon).await {
            Err(error) => uninspected(error),
            Ok((held, missing)) => match (cx.fenced_by(held), missing.as_slice()) {
                (Some(why), _) => Inspection::Conflict(format!("{}: {why}", self.what())),
                (None, []) => Inspection::Unknown(format!(
                    "would run {}; whether it is needed cannot be seen",
                    self.what()
                )),
                (None, missing) => Inspection::Conflict(format!(
                    "{}: the host has no {}",
                    self.what(),
                    missing.join(", no ")
                )),
            },
        }
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        let link = self.connect(cx, cx.deadline).await.map_err(failure)?;
        cx.may_act()?;
        let left = cx.deadline.saturating_duration_since(Instant::now());
        let (grace, tell) = (GRACE.min(left / 4), TELL.min(left / 8));
        let here = left.saturating_sub(grace + tell);
        let there = here.saturating_sub(grace + tell);
        match link.run(self.line(cx, there, grace), here, grace, cx.leash.clone()).await {
            Ok(outcome) => self.told(&outcome, cx),
            Err(error @ SuperviseError::Start { .. }) => Err(refused(format!("{}: {error}", self.what()))),
            Err(error) => {
                let message = format!("{}: {error}; it may have been done", self.what());
                Err(Failure { kind: FailureKind::Ambiguous, message })
            }
        }
    }
}

impl Run<'_> {
    fn what(&self) -> String {
        format!("{} on {}", clip(&self.run.join(" ")), name(self.host))
    }

    async fn connect(&self, cx: &Context, deadline: Instant) -> Result<Link, Error> {
        let env = &cx.env;
        let means = Means { secrets: &env.secrets, supervisor: &env.supervisor, source: env.source };
        env.ssh.connect(self.host, means, deadline).await
    }

    /// The epoch that the host keeps, and the programs that it lacks.
    async fn see(&self, cx: &Context, deadline: Instant) -> Result<(u64, Vec<String>), Error> {
        let link = self.connect(cx, deadline).await?;
        let program = self.run.first().map_or("", String::as_str);
        let line = words(["exec", "/bin/sh", "-c", SEE, "standfast", &self.host.fleet, program]);
        let left = deadline.saturating_duration_since(Instant::now());
        let outcome = link.run(line, left, Duration::ZERO, None).await;
        let host = name(self.host);
        let outcome = outcome.map_err(|error| Error::NoAnswer(format!("{host}: {error}")))?;
        // A login shell may say something of its own before.
        let lines = || outcome.stdout.text.lines();
        match (outcome.code, lines().find_map(|line| line.strip_prefix("epoch ")?.trim().parse().ok())) {
            (Some(_), Some(epoch)) => Ok((
                epoch,
                lines().filter_map(|line| Some(line.strip_prefix("lacks ")?.to_owned())).collect(),
            )),
            _ => {
                let said = last_line(&outcome.stderr, &Values::default());
                Err(Error::NoAnswer(format!("{host} does not tell the epoch that it keeps{said}")))
            }
        }
    }

    /// What the login shell of the host is given.
    fn line(&self, cx: &Context, within: Duration, grace: Duration) -> String {
        let secs = |span: Duration| format!("{}.{:03}", span.as_secs(), span.subsec_millis());
        let mut line = ["exec", "/bin/sh", "-c", TIMED, "standfast"].map(str::to_owned).to_vec();
        line.extend(["-k".into(), secs(grace), secs(within), "env".into()]);
        line.extend(identity(cx, within).map(|(name, value)| format!("{name}={value}")));
        line.extend(["/bin/sh", "-c", GUARD, "standfast", &self.host.fleet].map(str::to_owned));
        line.push(cx.attempt.epoch.to_string());
        line.extend_from_slice(self.run);
        words(line.iter().map(String::as_str))
    }

    fn told(&self, outcome: &Outcome, cx: &Context) -> Result<String, Failure> {
        let (what, ran, none) = (self.what(), Span::ms(outcome.ran_ms), Values::default());
        if outcome.succeeded() {
            return Ok(format!("{what} exits 0 after {ran}{}", last_line(&outcome.stdout, &none)));
        }
        let said = last_line(&outcome.stderr, &none);
        let own = outcome.stderr.text.lines().rev().find_map(|line| line.strip_prefix(SAYS));
        let (kind, how) = match (&outcome.ended, outcome.code, own) {
            (Ended::NotStarted { error, .. }, ..) => {
                return Err(refused(format!("{what}: ssh cannot be started on this member: {error}")));
            }
            (Ended::Itself, Some(FENCED), Some(own)) => {
                let held = own.rsplit(' ').next().and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
                return Err(refused(format!("{what}: {}", fenced(held, cx.attempt.epoch.0))));
            }
            (Ended::Itself, Some(UNABLE), Some(own)) => {
                return Err(refused(format!("{what}: {}", clip(own))));
            }
            (Ended::Itself, Some(SSH_FAILED), _) => {
                (FailureKind::Ambiguous, format!("may have been done: the connection ended after {ran}"))
            }
            // Only what comes before the program says so.
            (Ended::Itself, Some(code), Some(own)) if ENDED.contains(&code) => {
                (FailureKind::Failed, format!("was not begun in time: {}", clip(own)))
            }
            (Ended::Itself, Some(code), _) if ENDED.contains(&code) => {
                (FailureKind::Ambiguous, format!("was ended on the host, its time was over after {ran}"))
            }
            (Ended::Itself, Some(127), _) => (FailureKind::Refused, "cannot be run by its shell".to_owned()),
            (Ended::Itself, Some(code), _) => (FailureKind::Failed, format!("exits {code} after {ran}")),
            (Ended::Leash | Ended::Abandoned | Ended::Signalled, ..) => (
                FailureKind::Ambiguous,
                "is left to its time on the host: this member may not act any longer".to_owned(),
            ),
            _ => (FailureKind::Ambiguous, format!("may have been done: no answer after {ran}")),
        };
        Err(Failure { kind, message: format!("{what} {how}{said}") })
    }
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}
