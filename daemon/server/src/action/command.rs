//! `command.run`: a program on the acting member, under supervision.
//!
//! What a program does cannot be seen beforehand, so it is never found Satisfied. It is told
//! who runs it in its environment:
//!
//! | variable | value |
//! |---|---|
//! | `STANDFAST_RUN`, `STANDFAST_STEP` | the run and the step |
//! | `STANDFAST_ATTEMPT` | from 1 |
//! | `STANDFAST_EPOCH` | the leader's fencing token: refuse a lower one than you have seen |
//! | `STANDFAST_IDEMPOTENCY_KEY` | the same for every attempt of this step of this run |
//! | `STANDFAST_DEADLINE_MS` | milliseconds, from its start, until it is ended |

use super::values::Values;
use super::{Context, Driver, refused};
use crate::client::clip;
use crate::supervise::{Captured, Ended, Outcome, Spec, SuperviseError};
use async_trait::async_trait;
use rustix::fs::Access;
use standfast_core::action::{Failure, FailureKind, Inspection, Value};
use standfast_core::time::Span;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time between SIGTERM and SIGKILL; a quarter of a short step's time.
const GRACE: Duration = Duration::from_secs(2);
/// For the supervisor to tell what came of it, before the deadline; an eighth of a short step's
/// time.
const TELL: Duration = Duration::from_millis(100);

pub(super) struct Run<'a> {
    pub(super) command: &'a [String],
    pub(super) env: &'a BTreeMap<String, Value>,
}

#[async_trait]
impl Driver for Run<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        let what = self.what();
        if let Err(failure) = Values::resolve(self.env, &cx.env.secrets) {
            return Inspection::Conflict(format!("{what}: {}", failure.message));
        }
        match self.command.first().and_then(|program| find(program)) {
            None => Inspection::Conflict(format!("{what}: there is no such program on this member")),
            Some(_) => Inspection::Unknown(format!("would run {what}; whether it is needed cannot be seen")),
        }
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        let values = Values::resolve(self.env, &cx.env.secrets)?;
        let left = cx.deadline.saturating_duration_since(Instant::now());
        let grace = GRACE.min(left / 4);
        let mut spec = Spec::new(self.command, left.saturating_sub(grace + TELL.min(left / 8)));
        spec.grace = grace;
        spec.env = values.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        spec.env.extend(identity(cx, spec.deadline));
        match cx.env.supervisor.run(&spec, cx.leash.clone()).await {
            Ok(outcome) => self.told(&outcome, &values),
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
        clip(&self.command.join(" "))
    }

    fn told(&self, outcome: &Outcome, values: &Values) -> Result<String, Failure> {
        let (what, ran) = (self.what(), Span::ms(outcome.ran_ms));
        if outcome.succeeded() {
            let left = match outcome.left_behind {
                0 => String::new(),
                some => format!(", {some} processes that it left behind were ended"),
            };
            return Ok(format!("{what} exits 0 after {ran}{left}{}", last_line(&outcome.stdout, values)));
        }
        let said = last_line(&outcome.stderr, values);
        let (kind, how) = match (&outcome.ended, outcome.code, outcome.signal) {
            (Ended::NotStarted { error, .. }, ..) => {
                (FailureKind::Refused, format!("cannot be started on this member: {error}"))
            }
            (Ended::Deadline, ..) => (
                FailureKind::Ambiguous,
                format!(
                    "was ended at its deadline, after {ran} (the rest of the step's time is for ending it)"
                ),
            ),
            (Ended::Leash | Ended::Abandoned | Ended::Signalled, ..) => {
                (FailureKind::Ambiguous, format!("was ended after {ran}: this member may not act any longer"))
            }
            (Ended::Itself, Some(0), _) => (
                FailureKind::Ambiguous,
                format!("exits 0 and leaves {} processes that cannot be ended", outcome.survivors),
            ),
            (Ended::Itself, Some(code), _) => (FailureKind::Failed, format!("exits {code} after {ran}")),
            (Ended::Itself, None, signal) => {
                (FailureKind::Failed, format!("was killed by signal {} after {ran}", signal.unwrap_or(0)))
            }
        };
        Err(Failure { kind, message: format!("{what} {how}{said}") })
    }
}

pub(super) fn identity(cx: &Context, deadline: Duration) -> [(String, String); 6] {
    let attempt = &cx.attempt;
    [
        ("STANDFAST_RUN".into(), attempt.run.to_string()),
        ("STANDFAST_STEP".into(), attempt.step.to_string()),
        ("STANDFAST_ATTEMPT".into(), attempt.attempt.to_string()),
        ("STANDFAST_EPOCH".into(), attempt.epoch.to_string()),
        ("STANDFAST_IDEMPOTENCY_KEY".into(), attempt.idempotency_key()),
        ("STANDFAST_DEADLINE_MS".into(), deadline.as_millis().to_string()),
    ]
}

/// What people look at first.
pub(super) fn last_line(output: &Captured, values: &Values) -> String {
    let last = output.text.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or(String::new(), |line| format!(": {}", values.clip(line)))
}

/// The program's file: as named, or in PATH.
fn find(program: &str) -> Option<PathBuf> {
    let runnable = |file: &PathBuf| file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(runnable);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(runnable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_the_shell_finds_them() {
        assert!(find("sh").is_some() && find("/bin/sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
        assert_eq!(find("/etc/passwd"), None, "not executable");
        assert_eq!(find("/etc"), None, "a folder");
    }
}
