//! Patroni, a peer: two PostgreSQL servers under it in sites a and b, on an etcd of three members.
//!
//! It is set up as its own documents show, with our settings for PostgreSQL; see `patroni.sh` for where
//! it comes from. It stands in networks of its own, like everything that is to be cut off.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::etcd::{Etcd, Place};
use super::ground::ip;
use super::part::{Part, Spec};
use super::postgres::{open, unprivileged};
use super::scratch::Scratch;
use super::{Error, Result, poll, program};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/patroni.sh");
const PYTHON: &str = "/usr/bin/python3";
const SITES: [(&str, u8); 2] = [("a", 1), ("b", 2)];
const PORTS: (u16, u16) = (5433, 8008);
const PASSWORD: &str = "patroni";
const READY: Duration = Duration::from_secs(120);
/// How long a statement may take.
const ANSWER: Duration = Duration::from_secs(2);

/// How fast it is told to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As it is when nothing is said.
    Default,
    /// The shortest windows that it accepts.
    Tightest,
}

impl Pace {
    /// `ttl`, `loop_wait` and `retry_timeout`, in seconds.
    fn seconds(self) -> [u32; 3] {
        match self {
            Pace::Default => [30, 10, 10],
            Pace::Tightest => [20, 1, 3],
        }
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Patroni {
    etcd: Etcd,
    _parts: Vec<Part>,
}

/// A client that writes without pause to whoever is the primary.
#[derive(Debug)]
pub struct Writer {
    /// The site of the primary.
    pub site: &'static str,
    home: CancellationToken,
    work: tokio::task::JoinHandle<Vec<i64>>,
}

/// What it has written.
#[derive(Debug)]
pub struct Written {
    /// The site of the primary.
    pub site: &'static str,
    /// The rows that were acknowledged.
    pub acknowledged: Vec<i64>,
}

impl Patroni {
    /// The version that `patroni.txt` names.
    pub const VERSION: &str = "4.1.5";

    /// Fetches it if need be, starts it, and returns when a standby streams.
    pub async fn start(scratch: &Scratch, pace: Pace) -> Result<Patroni> {
        let folder = fetch().await?;
        let mut places = Vec::new();
        for (site, number) in SITES.into_iter().chain([("w", 3)]) {
            places.push(Place { name: format!("{site}1"), site: scratch.site(site)?, ip: ip(number, 2) });
        }
        let etcd = Etcd::start(&places, None).await?;
        let mut parts = Vec::new();
        for (site, number) in SITES {
            parts.push(start(&scratch.site(site)?, (site, number), &etcd, pace, &folder).await?);
        }
        let patroni = Patroni { etcd, _parts: parts };
        patroni.until_rejoined("b").await?;
        let (_, primary) = patroni.primary().await?;
        let made = primary.batch_execute("create table t (id bigint primary key)").await;
        made.map_err(|e| Error::answer("Patroni", e))?;
        Ok(patroni)
    }

    /// The primary, and its site.
    async fn primary(&self) -> Result<(&'static str, Client)> {
        let found = poll(READY, || async {
            for (site, number) in SITES {
                if let Ok(client) = connect(number).await
                    && soon(client.query_one("select pg_is_in_recovery()", &[]))
                        .await
                        .is_ok_and(|row| !row.get::<_, bool>(0))
                {
                    return Ok((site, client));
                }
            }
            Err("nobody is the primary".to_owned())
        });
        found.await.map_err(|last| Error::answer("Patroni", last))
    }

    /// Begins to write; etcd's leader is in the witness site by then.
    pub async fn writer(&self) -> Result<Writer> {
        self.etcd.move_leader(2).await?;
        let (site, client) = self.primary().await?;
        let failed = |e| Error::answer("Patroni", e);
        let last = soon(client.query_one("select coalesce(max(id), 0) from t", &[])).await.map_err(failed)?;
        let (home, first) = (CancellationToken::new(), last.get::<_, i64>(0) + 1);
        let stopped = home.clone();
        let work = tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for id in first.. {
                if stopped.is_cancelled()
                    || soon(client.execute("insert into t values ($1)", &[&id])).await.is_err()
                {
                    break;
                }
                acknowledged.push(id);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            acknowledged
        });
        Ok(Writer { site, home, work })
    }

    /// Waits until the other site accepts a write; says when.
    pub async fn until_other_writes(&self, cut: &str, within: Duration) -> Result<Instant> {
        let number = if cut == "a" { 2 } else { 1 };
        let written = poll(within, || async {
            let client = connect(number).await?;
            let sql = "insert into t select max(id) + 1000000 from t";
            soon(client.execute(sql, &[])).await.map(|_| Instant::now())
        });
        written.await.map_err(|last| Error::answer("Patroni", last))
    }

    /// How many of the rows that were acknowledged are not there any more.
    pub async fn lost(&self, written: &Written) -> Result<usize> {
        let number = if written.site == "a" { 2 } else { 1 };
        let failed = |e| Error::answer("Patroni", e);
        let client = connect(number).await.map_err(failed)?;
        let rows = soon(client.query("select id from t", &[])).await.map_err(failed)?;
        let present: BTreeSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        Ok(written.acknowledged.iter().filter(|id| !present.contains(id)).count())
    }

    /// Waits until the server of a site streams from the other.
    pub async fn until_rejoined(&self, site: &str) -> Result<()> {
        let other = if site == "a" { 2 } else { 1 };
        let streams = poll(READY, || async {
            let client = connect(other).await?;
            let sql = "select count(*) from pg_stat_replication where state = 'streaming'";
            let row = soon(client.query_one(sql, &[])).await?;
            if row.get::<_, i64>(0) > 0 { Ok(()) } else { Err("nobody streams".to_owned()) }
        });
        streams.await.map_err(|last| Error::answer("Patroni", last))
    }
}

impl Writer {
    /// Stops; what is under way at a site that is cut off is no acknowledgement.
    pub async fn stop(self) -> Result<Written> {
        self.home.cancel();
        let acknowledged = self.work.await.map_err(|e| Error::answer("writer", e))?;
        Ok(Written { site: self.site, acknowledged })
    }
}

async fn fetch() -> Result<PathBuf> {
    let done = Command::new(SCRIPT).output().await.map_err(Error::io(format!("starting {SCRIPT}")))?;
    match done.status.success() {
        true => Ok(PathBuf::from(String::from_utf8_lossy(&done.stdout).trim())),
        false => {
            let said = String::from_utf8_lossy(&done.stderr);
            Err(Error::answer("patroni.sh", format!("{}: {}", done.status, said.trim())))
        }
    }
}

async fn start(
    folder: &Path,
    (site, number): (&str, u8),
    etcd: &Etcd,
    pace: Pace,
    patroni: &Path,
) -> Result<Part> {
    let data = folder.join("patroni");
    super::postgres::own_folder(&data)?;
    let file = data.join("patroni.yml");
    let text = settings(&data, (site, number), &etcd.endpoints(), pace)?;
    std::fs::write(&file, text).map_err(Error::io(format!("writing {}", file.display())))?;
    let mut part = Spec::new(folder, "patroni", PYTHON)?
        .args(["-m", "patroni"])
        .args([&file])
        .env("PYTHONPATH", patroni)
        .env("HOME", &data)
        .user(unprivileged()?)
        .start()
        .await?;
    // The first one makes the data, which the others copy.
    let ready = || async { connect(number).await.map(drop) };
    part.until("an answer to SQL", READY, ready).await?;
    Ok(part)
}

fn settings(data: &Path, (site, number): (&str, u8), etcd: &[String], pace: Pace) -> Result<String> {
    let postgres = program("postgres")?;
    let programs = postgres.parent().unwrap_or(Path::new("/")).display();
    let hosts: Vec<&str> = etcd.iter().filter_map(|url| url.strip_prefix("http://")).collect();
    let [ttl, loop_wait, retry_timeout] = pace.seconds();
    let (address, rest) =
        (SocketAddr::new(ip(number, 10), PORTS.0), SocketAddr::new(ip(number, 40), PORTS.1));
    let (data, hosts) = (data.display(), hosts.join(","));
    Ok(format!(
        r#"scope: bench
namespace: /service/
name: {site}
restapi: {{listen: "{rest}", connect_address: "{rest}"}}
etcd3: {{hosts: "{hosts}"}}
bootstrap:
  dcs:
    ttl: {ttl}
    loop_wait: {loop_wait}
    retry_timeout: {retry_timeout}
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters: {{wal_log_hints: "on", wal_keep_size: 128MB, shared_buffers: 16MB, fsync: "off"}}
  initdb: [{{encoding: UTF8}}]
  pg_hba: ["host all all 0.0.0.0/0 trust", "host replication all 0.0.0.0/0 trust", "local all all trust"]
postgresql:
  listen: "{address}"
  connect_address: "{address}"
  data_dir: {data}/data
  bin_dir: {programs}
  pgpass: {data}/pgpass
  authentication:
    replication: {{username: replicator, password: {PASSWORD}}}
    superuser: {{username: postgres, password: {PASSWORD}}}
    rewind: {{username: rewinder, password: {PASSWORD}}}
  parameters: {{unix_socket_directories: "{data}"}}
"#
    ))
}

async fn connect(number: u8) -> std::result::Result<Client, String> {
    let (host, port) = (ip(number, 10), PORTS.0);
    let login = format!(
        "host={host} port={port} dbname=postgres user=postgres password={PASSWORD} connect_timeout=2"
    );
    soon(open(&login)).await
}

async fn soon<T>(
    asked: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> std::result::Result<T, String> {
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {ANSWER:?}")),
    }
}
