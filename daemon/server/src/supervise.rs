//! `standfast supervise`: runs one command so that nothing of it outlives its deadline, its
//! caller or its leash.
//!
//! A command of a playbook acts on a site. A leader that lost its lease, hangs or is killed
//! must not go on acting through a child, so each command runs under a process of its own:
//!
//! - The **deadline** is reckoned on `CLOCK_BOOTTIME` by the supervisor itself. A caller
//!   that is stopped or frozen changes nothing about it.
//! - The **lifeline** is the supervisor's stdin, a pipe from the caller. Its end means that
//!   the caller is gone, or wants no more. A line `until N` on it moves the **leash**: the
//!   point on the boot clock, in milliseconds, at which everything is killed without grace
//!   because another leader may act from then on.
//! - When its parent dies, the kernel signals the supervisor (PR_SET_PDEATHSIG).
//! - The supervisor is a child subreaper: what daemonises itself becomes its child rather
//!   than init's, and is ended too. Also after a command that ended well: what a step
//!   starts and leaves behind, nobody would ever stop. Start services with the service
//!   manager of the host instead.
//!
//! The end is SIGTERM to the command's process group, a grace, then SIGKILL to whatever is
//! left. Only direct children are killed, never ids from a list: a child's id cannot be
//! reused before it is reaped here, and the children of what dies become children of ours.
//!
//! What it does not cover: SIGKILL of the supervisor itself, and commands that become
//! another user (sudo), which cannot be signalled; the latter are told as `survivors`.

mod call;
mod output;
mod processes;
mod timer;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use call::{Spec, SuperviseError, Supervisor};
pub use output::Captured;

/// `standfast supervise`
#[derive(Clone, Debug, clap::Args)]
pub struct SuperviseArgs {
    /// Milliseconds until the command is ended
    #[arg(long, value_name = "N")]
    deadline_ms: u64,
    /// Milliseconds between SIGTERM and SIGKILL
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    grace_ms: u64,
    /// Bytes kept of stdout and of stderr each: the first half and the last
    #[arg(long, value_name = "BYTES", default_value_t = 65_536)]
    output_limit: usize,
    /// End the command when stdin, a pipe, is closed; read `until BOOT_MS` lines from it
    #[arg(long)]
    lifeline: bool,
    /// The first leash: kill everything at this point of CLOCK_BOOTTIME, in milliseconds
    #[arg(long, value_name = "BOOT_MS", requires = "lifeline")]
    until: Option<u64>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<std::ffi::OsString>,
}

/// How a command came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Ended {
    /// By itself; see [`Outcome::code`] and [`Outcome::signal`].
    Itself,
    /// Its time was over.
    Deadline,
    /// The leash ran out: its leader may not be the leader any more.
    Leash,
    /// The caller is gone, or gave it up.
    Abandoned,
    /// The supervisor was sent SIGTERM, SIGINT or SIGHUP.
    Signalled,
    /// It could not be started.
    NotStarted {
        /// What the system said.
        error: String,
        /// Whether there is no such program (else it may not be run).
        not_found: bool,
    },
}

/// What came of a command: one line of JSON on the supervisor's stdout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that killed it, if one did.
    pub signal: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: Captured,
    /// What it wrote to stderr.
    pub stderr: Captured,
    /// How long it ran, all of it, in milliseconds of CLOCK_BOOTTIME.
    pub ran_ms: u64,
    /// Processes that were still there when the command itself had exited, and were ended.
    pub left_behind: usize,
    /// Processes that could not be ended, because they run as another user.
    pub survivors: usize,
}

impl Outcome {
    /// Whether the command ended by itself with code 0, and nothing survived it.
    pub fn succeeded(&self) -> bool {
        self.ended == Ended::Itself && self.code == Some(0) && self.survivors == 0
    }

    /// Whether its time was over.
    pub fn timed_out(&self) -> bool {
        self.ended == Ended::Deadline
    }

    /// As a shell would tell it: the command's own code, or 128 and the signal; 124 after
    /// the deadline or leash, 125 if given up, 126 and 127 if it could not be started.
    fn exit_code(&self) -> u8 {
        let own = self.code.or(self.signal.map(|signal| 128 + signal));
        match &self.ended {
            Ended::Itself => own.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED),
            Ended::Deadline | Ended::Leash => 124,
            Ended::Abandoned | Ended::Signalled => FAILED,
            Ended::NotStarted { not_found: false, .. } => 126,
            Ended::NotStarted { not_found: true, .. } => 127,
        }
    }
}

/// The supervisor's own failure, or a command that was given up.
const FAILED: u8 = 125;

impl SuperviseArgs {
    /// Runs the command and prints its [`Outcome`] as one line of JSON. Must be called
    /// outside of an async runtime, from a process that has no other children.
    pub fn run(self) -> ExitCode {
        let outcome = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .and_then(|runtime| runtime.block_on(watch::watch(&self)));
        match outcome {
            Ok(outcome) => {
                let line = serde_json::to_string(&outcome).expect("an outcome is plain data");
                // A caller that is gone does not read; there is nobody left to tell.
                let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("{line}\n").as_bytes());
                ExitCode::from(outcome.exit_code())
            }
            Err(error) => {
                eprintln!("standfast supervise: {error}");
                ExitCode::from(FAILED)
            }
        }
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}
