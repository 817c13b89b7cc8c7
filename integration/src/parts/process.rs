//! Processes, named so that a later one with the same number is not mistaken for them.
//!
//! The kernel gives numbers out again. A number together with the moment of the start is
//! unique, and a signal sent through a process descriptor reaches exactly the process that
//! was looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Error, Result};

/// One process of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// The number that the kernel gave it.
    pub pid: i32,
    /// When it started, in the kernel's ticks since boot.
    pub started: u64,
}

/// What `/proc/PID/stat` says of a process.
struct Stat {
    process: Process,
    parent: i32,
    state: char,
}

impl Stat {
    fn read(pid: i32) -> Option<Stat> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in brackets and may hold anything, brackets included.
        let mut rest = text[text.rfind(')')? + 1..].split_ascii_whitespace();
        let state = rest.next()?.chars().next()?;
        let parent = rest.next()?.parse().ok()?;
        let started = rest.nth(17)?.parse().ok()?;
        Some(Stat { process: Process { pid, started }, parent, state })
    }

    /// A zombie has ended; only its number still waits to be collected.
    fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

impl Process {
    /// The process that has this number now, zombies included.
    pub fn of(pid: i32) -> Option<Process> {
        Stat::read(pid).map(|stat| stat.process)
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.process == self && stat.lives())
    }

    /// Whether it has come to a stop, with all its threads, or is gone.
    pub fn is_stopped(self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        threads
            .filter_map(|thread| Stat::read(thread.file_name().to_str()?.parse().ok()?))
            .all(|thread| matches!(thread.state, 'T' | 't' | 'Z' | 'X'))
    }

    /// Sends a signal. `false` if the process is gone, or is not ours to signal.
    pub fn signal(self, signal: Signal) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        // The descriptor holds whoever has the number now; only then look who that is.
        Process::of(self.pid) == Some(self) && pidfd_send_signal(descriptor, signal).is_ok()
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.started)
    }
}

impl FromStr for Process {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (pid, started) = text.trim().split_once(' ').ok_or(())?;
        Ok(Process { pid: pid.parse().map_err(|_| ())?, started: started.parse().map_err(|_| ())? })
    }
}

/// Every living process below the given ones, themselves left out.
pub fn descendants(roots: &[Process]) -> BTreeSet<Process> {
    let numbers = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let mut children: BTreeMap<i32, Vec<Stat>> = BTreeMap::new();
    for stat in numbers.filter_map(Stat::read) {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = BTreeSet::new();
    let mut todo: Vec<i32> = roots.iter().filter(|r| r.is_alive()).map(|r| r.pid).collect();
    while let Some(parent) = todo.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            todo.push(child.process.pid);
            if child.lives() {
                found.insert(child.process);
            }
        }
    }
    found
}

/// Kills everything below the guards at once, then the guards. A guard adopts what its
/// children leave behind, so it goes last: nothing can slip out from under it.
///
/// Returns whether all of it is dead within `within`.
pub fn kill_trees(guards: &[Process], within: Duration) -> bool {
    let deadline = Instant::now() + within;
    loop {
        let below = descendants(guards);
        for process in &below {
            process.signal(Signal::KILL);
        }
        if below.is_empty() {
            for guard in guards {
                guard.signal(Signal::KILL);
            }
            if guards.iter().all(|guard| !guard.is_alive()) {
                return true;
            }
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Where the guards of a site write who they are.
pub fn pid_file(site: &Path, part: &str) -> PathBuf {
    site.join("pids").join(part)
}

/// The processes that the guards of a site have written down: themselves and their programs.
pub fn recorded(site: &Path) -> Result<Vec<Process>> {
    let folder = site.join("pids");
    let failed = || format!("reading {}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(Error::io(failed()))? {
        let file = entry.map_err(Error::io(failed()))?.path();
        if file.extension().is_some() {
            continue; // being written; its guard has not started anything yet
        }
        let text = std::fs::read_to_string(&file).map_err(Error::io(failed()))?;
        found.extend(text.lines().filter_map(|line| line.parse::<Process>().ok()));
    }
    Ok(found)
}

/// What is done to the programs of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// They die.
    Kill,
    /// They stand still.
    Pause,
    /// They go on.
    Resume,
}

impl Way {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Way::Kill => "kill",
            Way::Pause => "pause",
            Way::Resume => "resume",
        }
    }
}

/// Waits until nobody else starts, stops or resumes something in a site, and keeps others from it for
/// as long as what it returns lives.
pub fn one_at_a_time(site: &Path) -> Result<File> {
    let path = site.join("treated");
    let failed = || Error::io(format!("locking {}", path.display()));
    let file = File::create(&path).map_err(failed())?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| failed()(error.into()))?;
    Ok(file)
}

/// Does it to everything that these parts of a site have started, and says so only when it is
/// seen of all of them.
pub fn treat(site: &Path, parts: &[String], way: Way, within: Duration) -> Result<usize> {
    let _held = one_at_a_time(site)?;
    let mut guards = Vec::new();
    for part in parts {
        let file = pid_file(site, part);
        let text =
            std::fs::read_to_string(&file).map_err(Error::io(format!("reading {}", file.display())))?;
        guards.extend(text.lines().filter_map(|line| line.parse::<Process>().ok()));
    }
    let deadline = Instant::now() + within;
    loop {
        let below = descendants(&guards);
        let left = below.iter().filter(|process| match way {
            Way::Kill => process.signal(Signal::KILL) || process.is_alive(),
            Way::Pause => {
                process.signal(Signal::STOP);
                process.is_alive() && !process.is_stopped()
            }
            Way::Resume => process.signal(Signal::CONT) && process.is_stopped(),
        });
        match left.count() {
            0 => return Ok(below.len()),
            left if Instant::now() >= deadline => {
                let problem = format!("{left} processes of {} not yet: {}", parts.join(", "), way.name());
                return Err(Error::answer(site.display().to_string(), problem));
            }
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Kills every process of a site at once, as a power cut would, and says so only when all
/// of them are dead. A site of which no process is known is an error: that nothing was found
/// proves nothing.
pub fn power_off(site: &Path, within: Duration) -> Result<usize> {
    let all = recorded(site)?;
    if all.is_empty() {
        let problem = "no process of this site is recorded, so nothing is proven";
        return Err(Error::answer(site.display().to_string(), problem));
    }
    // Programs that lost their guard are still killed, as roots of their own.
    if kill_trees(&all, within) {
        return Ok(all.len());
    }
    let living: Vec<String> = all.iter().filter(|p| p.is_alive()).map(|p| p.pid.to_string()).collect();
    let problem = format!("still alive after {within:?}: {}", living.join(" "));
    Err(Error::answer(site.display().to_string(), problem))
}
