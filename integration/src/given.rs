//! What a condition or an action is given in a test, as the daemon would give it; and targets
//! that fail in the ways that targets fail.

use crate::parts::{Error, Result, sibling};
use rustix::fs::{Mode, OFlags};
use standfast::action::Context;
use standfast::client::ssh::Links;
use standfast::condition::Env;
use standfast::secrets::Secrets;
use standfast::supervise::Supervisor;
use standfast_core::action::{Attempt, Failure, FailureKind, Inspection};
use standfast_core::ids::Epoch;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// An environment with a folder of secrets of its own.
pub struct Given {
    /// What is handed to conditions and actions.
    pub env: Env,
    secrets: TempDir,
}

impl Given {
    /// With no secrets, nothing sampled, and the `standfast` of this build as the supervisor.
    pub fn new() -> Result<Given> {
        Given::from_source(None)
    }

    /// The same, with connections that leave from `source`.
    pub fn from_source(source: Option<IpAddr>) -> Result<Given> {
        let secrets = tempfile::tempdir().map_err(Error::io("making a temporary folder"))?;
        let env = Env::new(Secrets::new(secrets.path()), source);
        let mut env = env.map_err(|e| Error::answer("the environment of a test", e))?;
        env.supervisor = Supervisor::at(sibling("standfast")?);
        env.ssh = Links::new(secrets.path().join("links"));
        Ok(Given { env, secrets })
    }

    /// Puts a secret into the folder, closed to others.
    pub fn secret(&self, name: &str, value: &str) -> Result<()> {
        let path = self.secrets.path().join(name);
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY;
        let closed = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR);
        let written = closed
            .map_err(std::io::Error::from)
            .and_then(|fd| std::io::Write::write_all(&mut std::fs::File::from(fd), value.as_bytes()));
        written.map_err(Error::io(format!("writing the secret {name}")))
    }

    /// Where the secrets are.
    pub fn folder(&self) -> &Path {
        self.secrets.path()
    }

    /// The first attempt of the step `step` of the run `run-1`, under epoch 7.
    pub fn context(&self, within: Duration) -> Context {
        Context {
            attempt: Attempt {
                run: "run-1".into(),
                step: "step".into(),
                attempt: 1,
                epoch: Epoch(7),
                started_by: "kim".into(),
            },
            env: self.env.clone(),
            deadline: Instant::now() + within,
            mode: standfast_core::plan::Mode::Emergency,
            leash: None,
            validity: None,
            cancel: CancellationToken::new(),
            fences: None,
        }
    }
}

/// A target that takes connections and never answers, as long as it lives.
pub struct Silent {
    /// Where.
    pub address: SocketAddr,
    _listener: TcpListener,
}

impl Silent {
    /// On a free port. The kernel takes connections, and nobody takes them from it.
    pub fn new() -> Result<Silent> {
        let failed = || Error::io("opening a silent port");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        Ok(Silent { address, _listener: listener })
    }
}

/// A target whose packets are lost: to connect to it neither succeeds nor fails.
pub struct Deaf {
    /// Where.
    pub address: SocketAddr,
    _full: (tokio::net::TcpListener, Vec<TcpStream>),
}

impl Deaf {
    /// On a free port, whose queue is full: the kernel drops who else wants in.
    pub async fn new() -> Result<Deaf> {
        Deaf::open().await.map_err(Error::io("opening a deaf port"))
    }

    async fn open() -> std::io::Result<Deaf> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(1)?;
        let address = listener.local_addr()?;
        let mut queue = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            queue.push(stream?);
        }
        Ok(Deaf { address, _full: (listener, queue) })
    }
}

/// A failure of this kind whose message has all of these words, or a panic that shows it.
#[track_caller]
pub fn fails(result: std::result::Result<String, Failure>, kind: FailureKind, words: &[&str]) {
    let failure = result.expect_err("it should fail");
    assert_eq!(failure.kind, kind, "{}", failure.message);
    words.iter().for_each(|word| assert!(failure.message.contains(word), "no `{word}`: {}", failure.message));
}

/// The text of an inspection, which must be of the kind that `kind` makes.
#[track_caller]
pub fn finds(found: Inspection, kind: fn(String) -> Inspection, words: &[&str]) {
    let text = match &found {
        Inspection::Satisfied(text)
        | Inspection::Needed(text)
        | Inspection::Conflict(text)
        | Inspection::Unknown(text) => text.clone(),
    };
    assert_eq!(found, kind(text.clone()));
    words.iter().for_each(|word| assert!(text.contains(word), "no `{word}`: {text}"));
}
