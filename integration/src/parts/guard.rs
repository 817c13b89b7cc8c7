//! The parent of every program that is started: it sees to it that the program, and all that
//! the program starts, ends when whoever asked for it ends.
//!
//! The guard holds the reading end of a pipe; the one who started it holds the other and
//! never writes. However that process ends, Ctrl-C and SIGKILL included, the kernel closes
//! the pipe, and the guard kills what it guards. (The kernel's parent-death signal would not
//! do: it follows the *thread* that started the child, and threads of a runtime come and go.)
//! The guard adopts orphans, so nothing below it gets away; and should the guard itself be
//! killed, its program gets a parent-death signal: the guard has one thread, which lives.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitOptions, set_child_subreaper, wait};

use super::process::{Process, descendants, pid_file};
use super::{Error, Result, program};

/// How long the kernel may take to end what was killed.
const DEATH: Duration = Duration::from_secs(10);

/// What a guard is to run.
#[derive(Debug, clap::Args)]
pub struct Guard {
    /// The folder of the site; the guard and the program are recorded in it
    #[arg(long)]
    pub site: PathBuf,
    /// The name of the part
    #[arg(long)]
    pub part: String,
    /// Run the program as this user and group (a number)
    #[arg(long)]
    pub user: Option<u32>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

impl Guard {
    /// Runs the program to its end; returns the exit code to end with.
    pub fn run(self) -> Result<u8> {
        let own = Process::of(rustix::process::getpid().as_raw_pid())
            .ok_or_else(|| Error::answer("guard", "cannot see itself in /proc"))?;
        set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|e| Error::io("adopting orphans")(e.into()))?;
        // Recorded before there is anything to guard: who reads the record misses nothing.
        self.record(&[own])?;
        std::thread::spawn(move || {
            let mut pipe = std::io::stdin().lock();
            let mut ignored = [0; 64];
            while matches!(pipe.read(&mut ignored), Ok(1..)) {}
            kill_below(own);
            std::process::exit(137);
        });
        let child = self.start()?;
        if let Some(process) = Process::of(child) {
            self.record(&[own, process])?;
        }
        let status = loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid.as_raw_pid() == child => {
                    break ExitStatus::from_raw(status.as_raw());
                }
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::io("waiting for the program")(e.into())),
            }
        };
        kill_below(own);
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Ok(u8::try_from(code).unwrap_or(u8::MAX))
    }

    fn start(&self) -> Result<i32> {
        super::ground::enter_of(&self.site)?;
        let mut command = Command::new(program("setpriv")?);
        command.arg("--pdeathsig=KILL");
        if let Some(user) = self.user {
            command.args([format!("--reuid={user}"), format!("--regid={user}")]);
            command.arg("--clear-groups");
        }
        let child = command
            .arg("--")
            .args(&self.command)
            .stdin(Stdio::null())
            .spawn()
            .map_err(Error::io(format!("starting {}", self.command[0])))?;
        Ok(child.id().cast_signed())
    }

    fn record(&self, processes: &[Process]) -> Result<()> {
        let file = pid_file(&self.site, &self.part);
        let write = |text: &str| {
            fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
            let unfinished = file.with_extension("new");
            fs::write(&unfinished, text)?;
            fs::rename(&unfinished, &file)
        };
        let lines: String = processes.iter().map(|p| format!("{p}\n")).collect();
        write(&lines).map_err(Error::io(format!("writing {}", file.display())))
    }
}

/// Kills everything below this process until nothing is left.
fn kill_below(own: Process) {
    let deadline = Instant::now() + DEATH;
    loop {
        let below = descendants(&[own]);
        if below.is_empty() || Instant::now() >= deadline {
            return;
        }
        for process in below {
            process.signal(Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
