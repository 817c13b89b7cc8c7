//! The supervisor itself: one loop over signals, the clock and the lifeline.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitStatus, getpid, getppid, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal,
};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use super::output::{Capture, Captured};
use super::timer::BootTimer;
use super::{Ended, Outcome, SuperviseArgs, processes};
use crate::clock;

/// After this long of SIGKILL, what is left cannot be killed.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// How often what is left is killed again.
const KILL_EVERY: Duration = Duration::from_millis(20);

/// Runs the command of `args` to its end, or ends it.
pub(super) async fn watch(args: &SuperviseArgs) -> io::Result<Outcome> {
    let started = clock::boot();
    let mut wakes = Wakes::new(args.lifeline)?;
    set_child_subreaper(Some(getpid()))?;
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(not_started(&error)),
    };
    let stdout = child.stdout.take().map(OwnedFd::from).expect("stdout is piped");
    let stderr = child.stderr.take().map(OwnedFd::from).expect("stderr is piped");
    let stdout = Capture::start(stdout, args.output_limit)?;
    let stderr = Capture::start(stderr, args.output_limit)?;
    let mut watched = Watched {
        child: Pid::from_child(&child),
        status: None,
        ended: None,
        deadline: started + Duration::from_millis(args.deadline_ms),
        leash: args.until.map_or(Duration::MAX, Duration::from_millis),
        grace: args.grace(),
        phase: Phase::Running,
        left_behind: 0,
    };
    let survivors = loop {
        match watched.advance() {
            Next::Done { survivors } => break survivors,
            Next::Wake { at } => wakes.timer.arm(at)?,
        }
        match wakes.next().await? {
            Wake::Look => {}
            Wake::Until(leash) => watched.leash = leash,
            Wake::End(why) => watched.end(why),
        }
    };
    Ok(Outcome {
        ended: watched.ended.unwrap_or(Ended::Itself),
        code: watched.status.and_then(WaitStatus::exit_status),
        signal: watched.status.and_then(WaitStatus::terminating_signal),
        stdout: stdout.finish().await,
        stderr: stderr.finish().await,
        ran_ms: (clock::boot() - started).as_millis().try_into().unwrap_or(u64::MAX),
        left_behind: watched.left_behind,
        survivors,
    })
}

fn not_started(error: &io::Error) -> Outcome {
    let not_found = error.kind() == io::ErrorKind::NotFound;
    Outcome {
        ended: Ended::NotStarted { error: error.to_string(), not_found },
        code: None,
        signal: None,
        stdout: Captured::default(),
        stderr: Captured::default(),
        ran_ms: 0,
        left_behind: 0,
        survivors: 0,
    }
}

struct Watched {
    child: Pid,
    status: Option<WaitStatus>,
    /// Why it is being ended; none if it ended by itself.
    ended: Option<Ended>,
    deadline: Duration,
    leash: Duration,
    grace: Duration,
    phase: Phase,
    left_behind: usize,
}

enum Phase {
    Running,
    /// SIGTERM was sent; at this time comes SIGKILL.
    Asked(Duration),
    /// SIGKILL is being sent; at this time that is given up.
    Killing(Duration),
}

enum Next {
    Done { survivors: usize },
    Wake { at: Duration },
}

impl Watched {
    /// Does what is due now, and says when to look again.
    fn advance(&mut self) -> Next {
        let reaped = processes::reap(self.child);
        self.status = self.status.or(reaped.status);
        if reaped.none_left {
            return Next::Done { survivors: 0 };
        }
        let now = clock::boot();
        if let Phase::Running = self.phase {
            if self.status.is_some() {
                self.left_behind = processes::children().len();
                self.ask(now);
            } else if now >= self.deadline {
                self.end(Ended::Deadline);
            }
        }
        if now >= self.leash && !matches!(self.phase, Phase::Killing(_)) {
            if self.status.is_none() {
                self.ended.get_or_insert(Ended::Leash);
            }
            self.phase = Phase::Killing(now + KILL_LIMIT);
        }
        match self.phase {
            Phase::Running => return Next::Wake { at: self.deadline.min(self.leash) },
            Phase::Asked(until) if now < until => return Next::Wake { at: until.min(self.leash) },
            Phase::Asked(_) => self.phase = Phase::Killing(now + KILL_LIMIT),
            Phase::Killing(until) if now >= until => {
                return Next::Done { survivors: processes::children().len() };
            }
            Phase::Killing(_) => {}
        }
        processes::signal_children(Signal::KILL);
        Next::Wake { at: now + KILL_EVERY }
    }

    /// Begins to end it for the reason `why`, unless that has begun.
    fn end(&mut self, why: Ended) {
        if let Phase::Running = self.phase {
            self.ended = Some(why);
            self.ask(clock::boot());
        }
    }

    fn ask(&mut self, now: Duration) {
        self.phase = Phase::Asked(now + self.grace);
        // What is stopped cannot hear SIGTERM.
        for signal in [Signal::TERM, Signal::CONT] {
            // Once the leader is reaped, its group's number may belong to others.
            if self.status.is_none() {
                let _ = kill_process_group(self.child, signal);
            }
            for orphan in processes::children().into_iter().filter(|pid| *pid != self.child) {
                let _ = rustix::process::kill_process(orphan, signal);
            }
        }
    }
}

/// Why the loop turns.
enum Wake {
    /// The clock, or a death: look.
    Look,
    Until(Duration),
    End(Ended),
}

struct Wakes {
    timer: BootTimer,
    child: Signals,
    stop: [Signals; 3],
    parent_died: Signals,
    parent: Option<Pid>,
    lifeline: Option<Lines<BufReader<pipe::Receiver>>>,
}

impl Wakes {
    fn new(lifeline: bool) -> io::Result<Self> {
        // The handler first: SIGUSR1 would end this process otherwise.
        let parent_died = signal(SignalKind::user_defined1())?;
        let parent = getppid();
        set_parent_process_death_signal(Some(Signal::USR1))?;
        let lifeline = if lifeline {
            let stdin = io::stdin().as_fd().try_clone_to_owned()?;
            Some(BufReader::new(pipe::Receiver::from_owned_fd(stdin)?).lines())
        } else {
            None
        };
        Ok(Self {
            timer: BootTimer::new()?,
            child: signal(SignalKind::child())?,
            stop: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::hangup())?,
            ],
            parent_died,
            parent,
            lifeline,
        })
    }

    async fn next(&mut self) -> io::Result<Wake> {
        // The parent may have died before the kernel was asked to tell.
        if getppid() != self.parent {
            return Ok(self.orphaned());
        }
        let [term, int, hup] = &mut self.stop;
        let wake = tokio::select! {
            fired = self.timer.fired() => { fired?; Wake::Look }
            _ = self.child.recv() => Wake::Look,
            _ = term.recv() => Wake::End(Ended::Signalled),
            _ = int.recv() => Wake::End(Ended::Signalled),
            _ = hup.recv() => Wake::End(Ended::Signalled),
            // Also sent when merely the thread that started us ends: the next turn asks
            // whether the parent is another.
            _ = self.parent_died.recv() => Wake::Look,
            line = line(&mut self.lifeline) => match line {
                Some(line) => until(&line).map_or(Wake::Look, Wake::Until),
                None => { self.lifeline = None; Wake::End(Ended::Abandoned) }
            },
        };
        Ok(wake)
    }

    fn orphaned(&mut self) -> Wake {
        // Told once; the new parent is nobody whose death matters.
        self.parent = getppid();
        Wake::End(Ended::Abandoned)
    }
}

/// The lifeline's next line, none at its end or if it is broken; for ever if there is none.
async fn line(lifeline: &mut Option<Lines<BufReader<pipe::Receiver>>>) -> Option<String> {
    match lifeline {
        Some(lines) => lines.next_line().await.ok().flatten(),
        None => std::future::pending().await,
    }
}

fn until(line: &str) -> Option<Duration> {
    line.strip_prefix("until ")?.parse().ok().map(Duration::from_millis)
}
