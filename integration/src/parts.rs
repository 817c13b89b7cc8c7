//! Starts real programs on loopback, and is sure that they are gone afterwards.
//!
//! The layers, from below:
//!
//! - [`process`] names a process so that it cannot be mistaken for a later one, and kills
//!   whole trees of them; [`guard`] is the small parent that every program gets, so that
//!   nothing outlives the program that started it, whatever way that one ends.
//! - [`part`] is one running program with its log; [`ports`] and [`scratch`] give it an
//!   address and a folder; [`ground`] is what the address is on; [`memory`] is what a killed
//!   PostgreSQL leaves outside of its folder.
//! - [`postgres`], [`haproxy`], [`bind`] and [`etcd`] are programs of other people, [`patroni`] is a peer;
//!   [`web`], [`deploy`], [`tools`] and [`ledger`] are our own small ones; [`client`] is the
//!   customer.
//! - [`site`] puts one of each together, and [`shop`] two sites and a name server.

pub mod bind;
pub mod client;
pub mod deploy;
pub mod etcd;
pub mod ground;
pub mod guard;
pub mod haproxy;
pub mod ledger;
pub mod memory;
pub mod part;
pub mod patroni;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod scratch;
pub mod shop;
pub mod site;
pub mod sshd;
pub mod tools;
pub mod web;

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Why a part did not do what it was started for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is neither on `PATH` nor, if it is ours, built.
    #[error("{program} is missing: run `make test`, which builds and fetches what it needs")]
    Missing {
        /// Its name.
        program: String,
    },
    /// A program ended that should run, or failed that should end well.
    #[error("{part} ended ({status}); {log}")]
    Ended {
        /// Which part.
        part: String,
        /// Its exit status, in words.
        status: String,
        /// What it said.
        log: Box<LogEnd>,
    },
    /// What was waited for did not come in time.
    #[error("{part}: {awaited} did not come within {within:?} (last: {last}); {log}")]
    Late {
        /// Which part.
        part: String,
        /// What was waited for.
        awaited: String,
        /// How long.
        within: Duration,
        /// What the last look at it said.
        last: String,
        /// What the part said.
        log: Box<LogEnd>,
    },
    /// A file, a folder or a process could not be handled.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, and on what.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A part answered, but not what it should.
    #[error("{part}: {problem}")]
    Answer {
        /// Which part.
        part: String,
        /// What it said, and what was expected.
        problem: String,
    },
}

impl Error {
    /// For `map_err`: says what was tried when the system refused.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }

    /// A part that answered something unexpected.
    pub fn answer(part: impl Into<String>, problem: impl ToString) -> Error {
        Error::Answer { part: part.into(), problem: problem.to_string() }
    }
}

/// The result of handling parts.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Asks `probe` every 20 ms until it says yes. `Err` holds what it said last when `within`
/// has passed.
pub async fn poll<T, F, Fut>(within: Duration, mut probe: F) -> std::result::Result<T, String>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = std::result::Result<T, String>>,
{
    let deadline = Instant::now() + within;
    loop {
        let last = match probe().await {
            Ok(value) => return Ok(value),
            Err(last) => last,
        };
        if Instant::now() >= deadline {
            return Err(last);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Finds a program on `PATH`.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| Error::Missing { program: name.into() })
}

/// The helper program `site` of this crate. It lies beside the programs of the workspace,
/// one folder above its tests.
pub fn site_program() -> Result<PathBuf> {
    sibling("site")
}

/// A program that the workspace built, found next to the running one.
pub fn sibling(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(Error::io("finding the running program"))?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| Error::Missing { program: name.into() })
}

/// The end of a part's log, for an error to show.
#[derive(Debug)]
pub struct LogEnd {
    /// The file.
    pub path: PathBuf,
    /// Its last lines, as they were when the error was made.
    pub lines: Vec<String>,
}

impl LogEnd {
    /// Reads it; a log that cannot be read has no lines.
    pub fn of(path: &Path) -> Box<LogEnd> {
        let text = std::fs::read(path).unwrap_or_default();
        let mut lines: Vec<String> =
            String::from_utf8_lossy(&text).lines().rev().take(15).map(String::from).collect();
        lines.reverse();
        Box::new(LogEnd { path: path.to_path_buf(), lines })
    }
}

impl fmt::Display for LogEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the end of {}:", self.path.display())?;
        self.lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}
