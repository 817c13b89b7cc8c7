//! The parent: starts workers, and keeps what they died of.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::{Result, Target, at, pool};

/// A worker that says nothing for so long stands still. It speaks after ten inputs.
pub const STILL: Duration = Duration::from_secs(20);

/// What to hunt with.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// What the files are thrown at.
    pub target: Target,
    /// Of the first worker; the next one has the next seed.
    pub seed: u64,
    /// For all workers together.
    pub time: Duration,
    /// Inputs of the one worker that is started then; without it there are workers, and inputs, for as
    /// long as there is time.
    pub count: Option<u64>,
    /// How long a worker may say nothing.
    pub still: Duration,
    /// A folder of further inputs to begin with.
    pub from: Option<PathBuf>,
    /// Where what breaks something is kept.
    pub keep: PathBuf,
}

/// What became of a hunt.
#[derive(Debug, Default)]
pub struct Bag {
    /// Inputs that were read.
    pub inputs: u64,
    /// Kinds of answers of the worker that got the most.
    pub kinds: u64,
    /// What broke something.
    pub crashes: Vec<Crash>,
}

/// Something that broke.
#[derive(Debug)]
pub struct Crash {
    /// The seed of the worker.
    pub seed: u64,
    /// How it ended, and its last words.
    pub how: String,
    /// The input.
    pub file: PathBuf,
}

impl Hunt {
    /// Hunts until the time is over. `program` is this program, which is started as the worker too.
    pub fn go(&self, program: &Path) -> Result<Bag> {
        let end = Instant::now() + self.time;
        let folder = tempfile::tempdir().map_err(at("making a temporary folder"))?;
        let current = folder.path().join("current");
        let mut bag = Bag::default();
        let mut seed = self.seed;
        while Instant::now() < end {
            let mut command = Command::new(program);
            command.arg("worker").arg(self.target.name()).arg("--seed").arg(seed.to_string());
            command.arg("--current").arg(&current);
            if let Some(count) = self.count {
                command.arg("--count").arg(count.to_string());
            }
            if let Some(from) = &self.from {
                command.arg("--from").arg(from);
            }
            let worker = Worker::start(command)?;
            match worker.wait(end, self.still, &mut bag)? {
                Ending::Over => {}
                Ending::Broken { how, still } => {
                    let mut input = fs::read(&current).map_err(at("reading what it died of"))?;
                    // Each try of one that stands still would stand still too.
                    if !still {
                        input = smaller(program, self.target, input, folder.path())?;
                    }
                    let file = pool::keep(&self.keep, &input)?;
                    bag.crashes.push(Crash { seed, how, file });
                }
            }
            if self.count.is_some() {
                break;
            }
            seed = seed.wrapping_add(1);
        }
        Ok(bag)
    }
}

enum Ending {
    Over,
    Broken {
        /// How it ended, and its last words.
        how: String,
        /// It had to be ended.
        still: bool,
    },
}

struct Worker {
    child: Child,
    lines: mpsc::Receiver<String>,
    words: std::thread::JoinHandle<String>,
}

impl Worker {
    fn start(mut command: Command) -> Result<Self> {
        command.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(at("starting a worker"))?;
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().expect("it is piped");
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(std::result::Result::ok);
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        let mut stderr = child.stderr.take().expect("it is piped");
        let words = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self { child, lines, words })
    }

    /// Until it ends, stands still, or the time is over.
    fn wait(mut self, end: Instant, still_after: Duration, bag: &mut Bag) -> Result<Ending> {
        let before = bag.inputs;
        let still = loop {
            let patience = still_after.min(end.saturating_duration_since(Instant::now()));
            match self.lines.recv_timeout(patience) {
                Ok(line) => {
                    let mut numbers = line.split(' ').filter_map(|number| number.parse::<u64>().ok());
                    bag.inputs = before + numbers.next().unwrap_or_default();
                    bag.kinds = bag.kinds.max(numbers.next().unwrap_or_default());
                }
                Err(mpsc::RecvTimeoutError::Timeout) => break true,
                Err(mpsc::RecvTimeoutError::Disconnected) => break false,
            }
        };
        let over = Instant::now() >= end;
        if still {
            self.child.kill().map_err(at("ending a worker"))?;
        }
        let status = self.child.wait().map_err(at("waiting for a worker"))?;
        let words = self.words.join().unwrap_or_default();
        Ok(match (still, over) {
            (true, true) => Ending::Over,
            (true, false) => Ending::Broken { how: format!("it stood still for {still_after:?}"), still },
            (false, _) if status.success() => Ending::Over,
            (false, _) => Ending::Broken { how: format!("{status}: {}", last_words(&words)), still },
        })
    }
}

fn last_words(words: &str) -> String {
    let said = words.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("note:"));
    said.take(3).collect::<Vec<_>>().join(" ")
}

/// How often, and for how long, smaller inputs are tried.
const TRIES: usize = 200;
const TRYING: Duration = Duration::from_secs(30);
/// For one try: whatever stands still, does so.
const TRY: Duration = Duration::from_secs(8);

/// Leaves out lines, then bytes, as long as what is left still breaks.
fn smaller(program: &Path, target: Target, mut input: Vec<u8>, folder: &Path) -> Result<Vec<u8>> {
    let (mut tries, end) = (0, Instant::now() + TRYING);
    let mut chunk = input.len() / 2;
    while chunk > 0 {
        let mut start = 0;
        while start < input.len() {
            if tries == TRIES || Instant::now() >= end {
                return Ok(input);
            }
            tries += 1;
            let mut less = input.clone();
            less.drain(start..(start + chunk).min(input.len()));
            if breaks(program, target, &less, folder)? {
                input = less;
            } else {
                start += chunk;
            }
        }
        chunk /= 2;
    }
    Ok(input)
}

fn breaks(program: &Path, target: Target, input: &[u8], folder: &Path) -> Result<bool> {
    let path = folder.join("smaller");
    fs::write(&path, input).map_err(at("writing a smaller input"))?;
    let mut child = Command::new(program)
        .arg("one")
        .arg(target.name())
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(at("starting a worker"))?;
    let end = Instant::now() + TRY;
    let status: Option<ExitStatus> = loop {
        match child.try_wait().map_err(at("waiting for a worker"))? {
            Some(status) => break Some(status),
            None if Instant::now() >= end => break None,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if status.is_none() {
        child.kill().and_then(|()| child.wait().map(drop)).map_err(at("ending a worker"))?;
    }
    Ok(!status.is_some_and(|status| status.success()))
}
