//! An etcd cluster, each member in the folder of its own site.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};

use super::part::{Part, Spec};
use super::{Error, Result, poll, ports};

const READY: Duration = Duration::from_secs(30);

/// Where a member lives.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name; with TLS, also that of its certificate.
    pub name: String,
    /// The folder of its site.
    pub site: PathBuf,
    /// Its address.
    pub ip: IpAddr,
}

/// Certificates as `standfast pki init` writes them: `ca.pem`, and `NAME.pem` with `NAME.key`
/// for each place and for a client. Members talk among themselves in the clear.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The folder.
    pub folder: PathBuf,
    /// The client that looks at the cluster from here.
    pub client: String,
}

impl Tls {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    tls: Option<Tls>,
}

/// One member of it.
#[derive(Debug)]
struct Member {
    site: PathBuf,
    client: SocketAddr,
    args: Vec<String>,
    part: Part,
}

impl Etcd {
    /// Starts a member at every place, and waits until they have a leader.
    pub async fn start(places: &[Place], tls: Option<Tls>) -> Result<Etcd> {
        Etcd::start_with(places, tls, &[]).await
    }

    /// The same with more arguments for every member.
    pub async fn start_with(places: &[Place], tls: Option<Tls>, more: &[&str]) -> Result<Etcd> {
        let mut addresses = Vec::new();
        for place in places {
            addresses.push((ports::free(place.ip)?, ports::free(place.ip)?));
        }
        let cluster: Vec<String> = places
            .iter()
            .zip(&addresses)
            .map(|(place, (_, peer))| format!("{}=http://{peer}", place.name))
            .collect();
        let cluster = cluster.join(",");
        let mut members = Vec::new();
        for (place, (client, peer)) in places.iter().zip(addresses) {
            let mut args = arguments(&place.name, client, peer, &cluster, tls.as_ref());
            args.extend(more.iter().map(ToString::to_string));
            let part = start_member(&place.site, &args).await?;
            members.push(Member { site: place.site.clone(), client, args, part });
        }
        let mut etcd = Etcd { members, tls };
        for member in 0..etcd.members.len() {
            etcd.until_ready(member).await?;
        }
        Ok(etcd)
    }

    /// The URLs of all members, in the order of the places.
    pub fn endpoints(&self) -> Vec<String> {
        (0..self.members.len()).map(|member| self.endpoint(member)).collect()
    }

    /// Where a member listens to clients.
    pub fn address(&self, member: usize) -> SocketAddr {
        self.members[member].client
    }

    /// The URL of one member.
    pub fn endpoint(&self, member: usize) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.members[member].client)
    }

    /// Which member leads, as the living ones see it; waits for an election.
    pub async fn leader(&self) -> Result<usize> {
        let found = poll(READY, || async {
            for member in 0..self.members.len() {
                if self.members[member].part.is_alive() && self.leads(member).await.is_ok_and(|leads| leads) {
                    return Ok(member);
                }
            }
            Err("no member leads".to_string())
        });
        found.await.map_err(|last| Error::answer("etcd", last))
    }

    /// Makes a member the leader.
    pub async fn move_leader(&self, to: usize) -> Result<()> {
        let from = self.leader().await?;
        if from == to {
            return Ok(());
        }
        let target = self.identity(to).await.map_err(|e| Error::answer("etcd", e))?;
        let mut client = self.client(from).await.map_err(|e| Error::answer("etcd", e))?;
        client.move_leader(target).await.map_err(|e| Error::answer("etcd", e))?;
        Ok(())
    }

    /// The process of a member: alive, killed, paused, resumed.
    pub fn part(&mut self, member: usize) -> &mut Part {
        &mut self.members[member].part
    }

    /// Starts a member again on its data; it must not run.
    pub async fn restart(&mut self, member: usize) -> Result<()> {
        self.revive(member).await?;
        self.until_ready(member).await
    }

    /// The same without waiting for more than its process.
    pub async fn revive(&mut self, member: usize) -> Result<()> {
        let Member { site, args, part, .. } = &mut self.members[member];
        part.kill();
        *part = start_member(site, args).await?;
        Ok(())
    }

    /// Writes all that it holds into a file, as an operator does for a backup. Only in the clear.
    pub async fn save(&self, to: &Path) -> Result<()> {
        let Member { site, .. } = &self.members[0];
        let spec = Spec::new(site, "snapshot-save", "etcdctl")?;
        let spec = spec.env("ETCDCTL_API", "3").args(["--endpoints", &self.endpoint(0), "snapshot", "save"]);
        spec.args([to]).finish(READY).await
    }

    /// Puts a new cluster of one member in the place of this one, of the same name, addresses and
    /// arguments, which holds what was saved.
    pub async fn restore(&mut self, saved: &Path) -> Result<()> {
        let Member { site, args, part, .. } = &mut self.members[0];
        part.kill();
        let folder = "etcd-restored";
        for arg in args.iter_mut() {
            if arg.starts_with("--data-dir=") {
                *arg = format!("--data-dir={folder}");
            } else if arg.starts_with("--initial-cluster-token=") {
                *arg = "--initial-cluster-token=restored".into();
            }
        }
        // Since 3.5 it is a tool of its own.
        let tool = super::program("etcdutl").map_or("etcdctl", |_| "etcdutl");
        let spec = Spec::new(site, "snapshot-restore", tool)?.env("ETCDCTL_API", "3");
        let kept = ["--name=", "--data-dir=", "--initial-cluster=", "--initial-cluster-token="];
        let kept = |arg: &&String| {
            kept.iter().any(|kept| arg.starts_with(kept)) || arg.starts_with("--initial-advertise-peer-urls=")
        };
        let args: Vec<String> = args.iter().filter(kept).cloned().collect();
        spec.args(["snapshot", "restore"]).args([saved]).args(args).finish(READY).await?;
        self.restart(0).await
    }

    /// A client that talks to one member only.
    pub async fn client(&self, member: usize) -> std::result::Result<Client, etcd_client::Error> {
        client(self.endpoint(member), self.tls.as_ref()).await
    }

    /// Whether a member leads, as it sees it itself.
    pub async fn leads(&self, member: usize) -> std::result::Result<bool, etcd_client::Error> {
        let status = self.client(member).await?.status().await?;
        let own = status.header().map_or(0, |header| header.member_id());
        Ok(own != 0 && own == status.leader())
    }

    async fn identity(&self, member: usize) -> std::result::Result<u64, etcd_client::Error> {
        let status = self.client(member).await?.status().await?;
        Ok(status.header().map_or(0, |header| header.member_id()))
    }

    async fn until_ready(&mut self, member: usize) -> Result<()> {
        let (endpoint, tls) = (self.endpoint(member), self.tls.clone());
        let awaited = format!("a leader seen on {endpoint}");
        let part = &mut self.members[member].part;
        part.until(&awaited, READY, || async {
            let look = async {
                let status = client(endpoint.clone(), tls.as_ref()).await?.status().await?;
                Ok::<_, etcd_client::Error>(status.leader())
            };
            match look.await {
                Ok(0) => Err("no leader yet".to_string()),
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }
}

async fn start_member(site: &Path, args: &[String]) -> Result<Part> {
    let arch = std::env::consts::ARCH;
    let arch = if arch == "aarch64" { "arm64" } else { arch };
    let mut spec = Spec::new(site, "etcd", "etcd")?.args(args);
    if arch != "x86_64" {
        spec = spec.env("ETCD_UNSUPPORTED_ARCH", arch); // 3.4 asks to be told
    }
    spec.start().await
}

fn arguments(
    name: &str,
    client: SocketAddr,
    peer: SocketAddr,
    cluster: &str,
    tls: Option<&Tls>,
) -> Vec<String> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let mut args = vec![
        format!("--name={name}"),
        "--data-dir=etcd".into(),
        format!("--listen-client-urls={scheme}://{client}"),
        format!("--advertise-client-urls={scheme}://{client}"),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--initial-advertise-peer-urls=http://{peer}"),
        format!("--initial-cluster={cluster}"),
        "--initial-cluster-state=new".into(),
        "--initial-cluster-token=standfast".into(),
        // Without it a member that comes back forces an election (the default since 3.5).
        "--pre-vote".into(),
    ];
    if let Some(tls) = tls {
        args.extend([
            "--client-cert-auth".into(),
            format!("--trusted-ca-file={}", tls.file("ca.pem").display()),
            format!("--cert-file={}", tls.file(&format!("{name}.pem")).display()),
            format!("--key-file={}", tls.file(&format!("{name}.key")).display()),
        ]);
    }
    args
}

async fn client(endpoint: String, tls: Option<&Tls>) -> std::result::Result<Client, etcd_client::Error> {
    let mut options = ConnectOptions::new()
        .with_connect_timeout(Duration::from_secs(1))
        .with_timeout(Duration::from_secs(1));
    if let Some(tls) = tls {
        let read = |name: &str| std::fs::read(tls.file(name));
        let own =
            Identity::from_pem(read(&format!("{}.pem", tls.client))?, read(&format!("{}.key", tls.client))?);
        let authority = Certificate::from_pem(read("ca.pem")?);
        options = options.with_tls(TlsOptions::new().ca_certificate(authority).identity(own));
    }
    Client::connect([endpoint], Some(options)).await
}
