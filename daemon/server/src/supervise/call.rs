//! The caller's side: a command under supervision, as a future.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, Command};
use tokio::sync::watch;

use super::Outcome;

/// What the supervisor may need beyond deadline and grace: SIGKILL, and a slow machine.
const SLACK: Duration = Duration::from_secs(15);

/// A command to run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Program and arguments; the program is looked for in this process's PATH.
    pub argv: Vec<String>,
    /// Its whole environment, but for PATH, which is this process's unless given.
    pub env: BTreeMap<String, String>,
    /// Its working directory; this process's if none.
    pub cwd: Option<PathBuf>,
    /// How long it may run.
    pub deadline: Duration,
    /// How long it has between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Bytes kept of stdout and of stderr each.
    pub output_limit: usize,
}

impl Spec {
    /// `argv` with an empty environment, 2 s of grace and 64 KiB of output.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>, deadline: Duration) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            cwd: None,
            deadline,
            grace: Duration::from_secs(2),
            output_limit: 64 * 1024,
        }
    }
}

/// Why there is no outcome. The command may have run, in part or whole.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The supervisor could not be started: nothing ran.
    #[error("the supervisor {program} cannot be started: {source}", program = program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The supervisor ended without an outcome (killed, out of memory).
    #[error("the supervisor ended ({status}) without saying what came of the command")]
    Lost {
        /// Its exit status, for people.
        status: String,
    },
    /// The supervisor is still there long after the deadline (stopped, or the machine hangs).
    #[error("the supervisor has not answered {after:?} after it was started")]
    Silent {
        /// How long was waited.
        after: Duration,
    },
}

/// The program that supervises: `standfast` itself.
#[derive(Clone, Debug)]
pub struct Supervisor {
    program: PathBuf,
}

impl Default for Supervisor {
    /// This very program, also if its file was replaced meanwhile.
    fn default() -> Self {
        Self { program: PathBuf::from("/proc/self/exe") }
    }
}

impl Supervisor {
    /// Another `standfast` program, for tests.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// Runs a command to its end. `leash` holds the point on the boot clock at which it is
    /// killed, wherever it is; it may be moved while the command runs.
    ///
    /// Dropping the future ends the command as well: SIGTERM, its grace, SIGKILL.
    pub async fn run(
        &self,
        spec: &Spec,
        mut leash: Option<watch::Receiver<Duration>>,
    ) -> Result<Outcome, SuperviseError> {
        let first = leash.as_mut().map(|leash| *leash.borrow_and_update());
        let mut child = self
            .command(spec, first)
            .spawn()
            .map_err(|source| SuperviseError::Start { program: self.program.clone(), source })?;
        let lifeline = child.stdin.take().expect("stdin is piped");
        let mut stdout = child.stdout.take().expect("stdout is piped");
        // Lossy text is at most three times its bytes, JSON's escapes at most twice that.
        let limit = 64 * 1024 + 12 * spec.output_limit as u64;
        let lost = |status: String| SuperviseError::Lost { status };
        let answer = async {
            let mut line = Vec::new();
            let read = (&mut stdout).take(limit).read_to_end(&mut line).await;
            let status = child.wait().await.map_err(|e| lost(e.to_string()))?;
            read.map_err(|e| lost(e.to_string()))?;
            serde_json::from_slice(&line).map_err(|_| lost(status.to_string()))
        };
        let after = spec.deadline.saturating_add(spec.grace).saturating_add(SLACK);
        tokio::select! {
            answer = answer => answer,
            never = hold(lifeline, leash) => match never {},
            () = tokio::time::sleep(after) => Err(SuperviseError::Silent { after }),
        }
    }

    fn command(&self, spec: &Spec, leash: Option<Duration>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("supervise").arg("--lifeline");
        command.arg(format!("--deadline-ms={}", spec.deadline.as_millis()));
        command.arg(format!("--grace-ms={}", spec.grace.as_millis()));
        command.arg(format!("--output-limit={}", spec.output_limit));
        if let Some(leash) = leash {
            command.arg(format!("--until={}", leash.as_millis()));
        }
        command.arg("--").args(&spec.argv);
        command.env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path))).envs(&spec.env);
        if let Some(cwd) = &spec.cwd {
            command.current_dir(cwd);
        }
        // A group of its own: Ctrl-C at a terminal is for the daemon, which then decides.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        command
    }
}

/// Holds the lifeline for ever, and tells the supervisor where the leash ends.
async fn hold(mut lifeline: ChildStdin, leash: Option<watch::Receiver<Duration>>) -> Infallible {
    if let Some(mut leash) = leash {
        // A leash that nobody moves any more stays where it is.
        while leash.changed().await.is_ok() {
            let until = leash.borrow_and_update().as_millis();
            if lifeline.write_all(format!("until {until}\n").as_bytes()).await.is_err() {
                break;
            }
        }
    }
    std::future::pending().await
}
