//! One running program under its guard, with its log.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::process::{Process, descendants, kill_trees, pid_file};
use super::{Error, LogEnd, Result, poll, program, site_program};

/// How long a program may take to be started, or to be gone once killed.
const PROMPT: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Debug)]
pub struct Spec {
    site: PathBuf,
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    user: Option<u32>,
}

impl Spec {
    /// A part of the site in `site`, called `name` (its log is `NAME.log` there), that runs
    /// the program: a path, or a name to be found on `PATH`. It runs in the site's folder.
    pub fn new(site: &Path, name: &str, program_name: impl AsRef<Path>) -> Result<Spec> {
        let given = program_name.as_ref();
        let program = match given.is_absolute() {
            true => given.to_path_buf(),
            false => program(&given.to_string_lossy())?,
        };
        Ok(Spec {
            site: site.to_path_buf(),
            name: name.into(),
            program,
            args: Vec::new(),
            env: Vec::new(),
            user: None,
        })
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Spec {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Spec {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Runs it as another user, by number; only root can.
    pub fn user(mut self, user: Option<u32>) -> Spec {
        self.user = user;
        self
    }

    fn log(&self) -> PathBuf {
        self.site.join(format!("{}.log", self.name))
    }

    fn spawn(&self) -> Result<Child> {
        let open = || -> std::io::Result<(File, File)> {
            fs::create_dir_all(&self.site)?;
            // A record of an earlier part of this name would be taken for this one's.
            let _ = fs::remove_file(pid_file(&self.site, &self.name));
            let log = OpenOptions::new().create(true).append(true).open(self.log())?;
            Ok((log.try_clone()?, log))
        };
        let (out, err) = open().map_err(Error::io(format!("opening {}", self.log().display())))?;
        let mut guard = Command::new(site_program()?);
        guard.arg("guard").arg("--site").arg(&self.site).arg("--part").arg(&self.name);
        if let Some(user) = self.user {
            guard.arg("--user").arg(user.to_string());
        }
        guard
            .arg("--")
            .arg(&self.program)
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.site)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .process_group(0) // Ctrl-C ends us; the guard then ends its program
            .spawn()
            .map_err(Error::io(format!("starting the guard of {}", self.name)))
    }

    /// Starts it, and returns as soon as it exists; see [`Part::until`] for more.
    pub async fn start(self) -> Result<Part> {
        let guard = self.spawn()?;
        let own = Process::of(guard.id().cast_signed());
        let log = self.log();
        let mut part = Part { name: self.name, log, guard, own, program: None };
        let file = pid_file(&self.site, &part.name);
        let program = part
            .until("its start", PROMPT, || async {
                let text = fs::read_to_string(&file).unwrap_or_default();
                let second = text.lines().nth(1).and_then(|line| line.parse().ok());
                second.ok_or_else(|| "not recorded".to_string())
            })
            .await?;
        part.program = Some(program);
        Ok(part)
    }

    /// Runs it to its end, which must be a good one.
    pub async fn finish(self, within: Duration) -> Result<()> {
        let log = self.log();
        let mut part = Part { guard: self.spawn()?, name: self.name, log, own: None, program: None };
        let ended = poll(within, || {
            let status = part.guard.try_wait();
            async move { status.ok().flatten().ok_or_else(|| "still running".to_string()) }
        })
        .await;
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(part.ended(status.to_string())),
            Err(last) => Err(part.late("its end", within, last)),
        }
    }
}

/// A running program. Dropping it kills it, and all that it has started.
#[derive(Debug)]
pub struct Part {
    name: String,
    log: PathBuf,
    guard: Child,
    own: Option<Process>,
    program: Option<Process>,
}

impl Part {
    /// Its name within its site.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The program itself (not its guard); `None` once it was gone too fast to be seen.
    pub fn process(&self) -> Option<Process> {
        self.program
    }

    /// Whether the program still runs.
    pub fn is_alive(&self) -> bool {
        self.program.is_some_and(Process::is_alive)
    }

    /// Waits until `probe` says yes; fails at once when the program ends, and with the end of
    /// its log when time is up.
    pub async fn until<T, F, Fut>(&mut self, awaited: &str, within: Duration, mut probe: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = std::result::Result<T, String>>,
    {
        let guard = &mut self.guard;
        let outcome = poll(within, || {
            let answer = probe();
            let status = guard.try_wait().ok().flatten();
            async move {
                match (answer.await, status) {
                    (Ok(value), _) => Ok(Ok(value)),
                    (Err(_), Some(status)) => Ok(Err(status)),
                    (Err(last), None) => Err(last),
                }
            }
        })
        .await;
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(status)) => Err(self.ended(status.to_string())),
            Err(last) => Err(self.late(awaited, within, last)),
        }
    }

    /// Waits until a TCP address accepts connections.
    pub async fn until_listening(&mut self, address: std::net::SocketAddr, within: Duration) -> Result<()> {
        self.until(&format!("an answer on {address}"), within, || async move {
            let connection = tokio::net::TcpStream::connect(address).await;
            connection.map(drop).map_err(|e| e.to_string())
        })
        .await
    }

    /// Asks the program to end with a signal, and waits for its end.
    pub async fn stop(&mut self, signal: Signal, within: Duration) -> Result<()> {
        if let Some(program) = self.program {
            program.signal(signal);
        }
        let ended = poll(within, || {
            let status = self.guard.try_wait();
            async move { status.ok().flatten().ok_or_else(|| "still running".to_string()) }
        })
        .await;
        ended.map(drop).map_err(|last| self.late("its end", within, last))
    }

    /// Kills the program and all that it has started, and waits until they are dead.
    pub fn kill(&mut self) {
        if let Some(own) = self.own {
            kill_trees(&[own], PROMPT);
        }
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }

    /// Stops the program and all that it has started in its tracks (SIGSTOP): connections
    /// stay open, and nobody answers.
    pub fn pause(&self) {
        self.signal_all(Signal::STOP);
        // A thread that is just running hears of it a little later.
        let until = std::time::Instant::now() + PROMPT;
        let processes = || self.own.iter().flat_map(|own| descendants(&[*own]));
        while !processes().all(|process| process.is_stopped()) && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
    }

    /// Lets a paused program go on.
    pub fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, signal: Signal) {
        for process in self.own.iter().flat_map(|own| descendants(&[*own])) {
            process.signal(signal);
        }
    }

    fn ended(&self, status: String) -> Error {
        Error::Ended { part: self.name.clone(), status, log: LogEnd::of(&self.log) }
    }

    fn late(&self, awaited: &str, within: Duration, last: String) -> Error {
        let (part, awaited) = (self.name.clone(), awaited.into());
        Error::Late { part, awaited, within, last, log: LogEnd::of(&self.log) }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.kill();
    }
}
