//! An HAProxy in front of a site: a front door for each of its back ends, most often for one,
//! `web`, with a server a site.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::part::{Part, Spec};
use super::{Error, Result};

/// The name of the back end, where there is one.
pub const BACKEND: &str = "web";

const READY: Duration = Duration::from_secs(10);

/// A server of the back end.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its name, such as `web-a`.
    pub name: String,
    /// Where it listens; asked every 200 ms with the `GET` of its back end.
    pub address: SocketAddr,
    /// Its share of the traffic, 0 to 256.
    pub weight: u16,
}

/// A front door and the back end behind it.
#[derive(Debug, Clone)]
pub struct Front {
    /// Where customers come in.
    pub listen: SocketAddr,
    /// The name of the back end.
    pub backend: String,
    /// The path that says whether a server is well.
    pub check: String,
    /// Who serves.
    pub servers: Vec<Server>,
}

impl Front {
    /// The door to the back end `web`.
    pub fn web(listen: SocketAddr, servers: &[Server]) -> Front {
        Front { listen, backend: BACKEND.into(), check: "/".into(), servers: servers.to_vec() }
    }
}

/// A running balancer.
#[derive(Debug)]
pub struct Haproxy {
    /// Where customers come in, by the first door.
    pub front: SocketAddr,
    /// Its runtime interface over TCP.
    pub runtime: SocketAddr,
    /// Its runtime interface as a Unix socket.
    pub socket: PathBuf,
    /// The same for whoever may only look.
    pub looking: PathBuf,
    backend: String,
    part: Part,
}

impl Haproxy {
    /// Starts it with these front doors, at least one. What is asked of a server without the
    /// name of its back end is asked of the first.
    pub async fn start(site: &Path, runtime: SocketAddr, fronts: &[Front]) -> Result<Haproxy> {
        let Some(Front { listen: front, backend, .. }) = fronts.first().cloned() else {
            return Err(Error::answer("HAProxy", "it needs a front door"));
        };
        let file = site.join("haproxy.cfg");
        fs::write(&file, configuration(runtime, fronts))
            .map_err(Error::io(format!("writing {}", file.display())))?;
        let mut part =
            Spec::new(site, "haproxy", "haproxy")?.args(["-db", "-f", "haproxy.cfg"]).start().await?;
        part.until_listening(runtime, READY).await?;
        part.until_listening(front, READY).await?;
        let (socket, looking) = (site.join("haproxy.sock"), site.join("looking.sock"));
        Ok(Haproxy { front, runtime, socket, looking, backend, part })
    }

    /// Gives a command to the runtime interface over TCP; returns what it answers.
    pub async fn command(&self, command: &str) -> Result<String> {
        let talk = async { ask(TcpStream::connect(self.runtime).await?, command).await };
        talk.await.map_err(Error::io(format!("asking HAProxy on {}", self.runtime)))
    }

    /// The same over the Unix socket.
    pub async fn command_unix(&self, command: &str) -> Result<String> {
        let talk = async { ask(UnixStream::connect(&self.socket).await?, command).await };
        talk.await.map_err(Error::io(format!("asking HAProxy on {}", self.socket.display())))
    }

    /// The share of the traffic that a server gets.
    pub async fn weight(&self, server: &str) -> Result<u16> {
        self.weight_in(&self.backend, server).await
    }

    /// The same for a server of any back end.
    pub async fn weight_in(&self, backend: &str, server: &str) -> Result<u16> {
        let answer = self.command(&format!("get weight {backend}/{server}")).await?;
        let first = answer.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
        first.ok_or_else(|| Error::answer("HAProxy", format!("weight of {server}: {answer}")))
    }

    /// A field of `show stat` of a server, such as `status`.
    pub async fn statistic(&self, server: &str, field: &str) -> Result<String> {
        let answer = self.command("show stat").await?;
        let mut lines = answer.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let column = lines.next().and_then(|names| names.iter().position(|name| *name == field));
        let row = lines.find(|row| row.len() > 1 && row[0] == self.backend && row[1] == server);
        let value = column.zip(row).and_then(|(column, row)| row.get(column).map(|v| v.to_string()));
        value.ok_or_else(|| Error::answer("HAProxy", format!("no {field} of {}/{server}", self.backend)))
    }

    /// Waits until its health check finds a server `UP` or `DOWN`.
    pub async fn until_status(&mut self, server: &str, status: &str) -> Result<()> {
        let runtime = self.runtime;
        let question = format!("show servers state {}", self.backend);
        let awaited = format!("{server} {status}");
        // Operational state: 0 stopped, 2 running.
        let wanted = if status == "UP" { "2" } else { "0" };
        self.part
            .until(&awaited, READY, || async {
                let stream = TcpStream::connect(runtime).await.map_err(|e| e.to_string())?;
                let answer = ask(stream, &question).await.map_err(|e| e.to_string())?;
                let fields = answer
                    .lines()
                    .map(|line| line.split(' ').collect::<Vec<_>>())
                    .find(|fields| fields.get(3) == Some(&server));
                let state = fields.and_then(|f| f.get(5).map(|s| s.to_string()));
                if state.as_deref() == Some(wanted) { Ok(()) } else { Err(answer) }
            })
            .await
    }

    /// Its process: alive, killed, paused.
    pub fn part(&mut self) -> &mut Part {
        &mut self.part
    }
}

async fn ask<S>(mut stream: S, command: &str) -> std::io::Result<String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(format!("{command}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The socket is named relative to the site's folder: a Unix socket's name is short.
fn configuration(runtime: SocketAddr, fronts: &[Front]) -> String {
    let mut text = format!(
        "global
    stats socket unix@haproxy.sock mode 600 level admin
    stats socket unix@looking.sock mode 600 level operator
    stats socket ipv4@{runtime} level admin
    nbthread 1
    maxconn 500

defaults
    mode http
    timeout connect 500ms
    timeout client 30s
    timeout server 5s
    timeout queue 500ms
    timeout check 500ms
    retries 1
"
    );
    for Front { listen, backend, check, servers } in fronts {
        let _ = write!(
            text,
            "
frontend to-{backend}
    bind {listen}
    default_backend {backend}

backend {backend}
    option httpchk GET {check}
    default-server check inter 200ms fall 2 rise 1
"
        );
        for Server { name, address, weight } in servers {
            let _ = writeln!(text, "    server {name} {address} weight {weight}");
        }
    }
    text
}
