//! One running daemon: `standfast serve` with a settings file of its own, in its site.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::parts::client::http;
use crate::parts::part::{Part, Spec};
use crate::parts::{Error, Result, ports, sibling};

/// Being ready includes finding a leader, which may take an election.
const READY: Duration = Duration::from_secs(30);

/// The sites, and the second number of their addresses.
pub const SITES: [(&str, u8); 3] = [("a", 1), ("b", 2), ("w", 3)];

/// The number of a site's addresses.
pub fn number(site: &str) -> Result<u8> {
    let found = SITES.iter().find(|(name, _)| *name == site).map(|(_, number)| *number);
    found.ok_or_else(|| Error::answer("lab", format!("there is no site {site:?}")))
}

/// Certificates of the lab, as `standfast pki init` made them.
#[derive(Debug, Clone)]
pub struct Pki {
    /// The folder: `ca.pem`, and `NAME.pem` with `NAME.key` for members and clients.
    pub folder: PathBuf,
}

impl Pki {
    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// What a member is given.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// The folder of the site.
    pub site_folder: PathBuf,
    /// Where it listens, and looks from.
    pub ip: IpAddr,
    /// The bundle to load if the store has none.
    pub bundle: PathBuf,
    /// The URLs of etcd; none for the embedded store.
    pub etcd: Vec<String>,
    /// Certificates; none for a listener in the clear.
    pub pki: Option<Pki>,
    /// Secrets, by name.
    pub secrets: Vec<(String, String)>,
}

/// A running member. Dropping it kills it.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Where it listens for gRPC.
    pub grpc: SocketAddr,
    /// Where it listens for HTTP.
    pub http: SocketAddr,
    plan: Plan,
    part: Part,
}

impl Member {
    /// Starts it, without waiting for more than its process.
    pub async fn start(plan: Plan) -> Result<Member> {
        let (grpc, http) = (ports::free(plan.ip)?, ports::free(plan.ip)?);
        let folder = plan.folder();
        private_folder(&folder)?;
        private_folder(&folder.join("secrets"))?;
        for (name, value) in &plan.secrets {
            put_secret(&folder, name, value)?;
        }
        let file = folder.join("standfast.toml");
        let text = plan.settings(grpc, http);
        fs::write(&file, text).map_err(Error::io(format!("writing {}", file.display())))?;
        let part = spawn(&plan).await?;
        Ok(Member { name: plan.name.clone(), site: plan.site.clone(), grpc, http, plan, part })
    }

    /// Waits until it says that it is ready.
    pub async fn until_ready(&mut self) -> Result<()> {
        let client = self.http_client()?;
        let url = self.url("readyz");
        self.part
            .until("200 from /readyz", READY, || async {
                let answer = client.get(&url).send().await.map_err(|e| format!("{e:?}"))?;
                let status = answer.status();
                let text = answer.text().await.unwrap_or_default();
                if status.is_success() { Ok(()) } else { Err(format!("{status}: {text}")) }
            })
            .await
    }

    /// What it says at an HTTP path, such as `metrics`.
    pub async fn get(&self, path: &str) -> Result<String> {
        let failed = |e: reqwest::Error| Error::answer(&self.name, format!("{e:?}"));
        let answer = self.http_client()?.get(self.url(path)).send().await.map_err(failed)?;
        answer.text().await.map_err(failed)
    }

    /// The same by its socket: also when no network leads to it.
    pub async fn get_beside(&self, path: &str) -> Result<String> {
        let failed = |e: reqwest::Error| Error::answer(&self.name, format!("{e:?}"));
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .unix_socket(self.socket())
            .build()
            .map_err(failed)?;
        let answer = client.get(format!("http://localhost/{path}")).send().await.map_err(failed)?;
        answer.text().await.map_err(failed)
    }

    /// Its socket, for reading.
    pub fn socket(&self) -> PathBuf {
        self.plan.socket()
    }

    /// Its process: alive, killed, paused.
    pub fn part(&mut self) -> &mut Part {
        &mut self.part
    }

    /// Its process, only to be looked at.
    pub fn part_ref(&self) -> &Part {
        &self.part
    }

    /// Starts it again on its own data and addresses; kills it first if it runs.
    pub async fn restart(&mut self) -> Result<()> {
        self.revive().await?;
        self.until_ready().await
    }

    /// The same without waiting for more than its process.
    pub async fn revive(&mut self) -> Result<()> {
        self.part.kill();
        self.part = spawn(&self.plan).await?;
        Ok(())
    }

    /// Writes a secret, in place of the one of that name.
    pub fn put_secret(&self, name: &str, value: &str) -> Result<()> {
        put_secret(&self.plan.folder(), name, value)
    }

    /// Where it answers an HTTP path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.plan.pki.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/{path}", self.http)
    }

    /// A client that it lets in; keeps its connection from one request to the next.
    pub fn http_client(&self) -> Result<reqwest::Client> {
        let Some(pki) = &self.plan.pki else { return http() };
        let read = |name: &str| {
            fs::read(pki.file(name)).map_err(Error::io(format!("reading {}", pki.file(name).display())))
        };
        let failed = |e: reqwest::Error| Error::answer("certificates", e);
        let mut pair = read("lab.pem")?;
        pair.extend(read("lab.key")?);
        let authority = reqwest::Certificate::from_pem(&read("ca.pem")?).map_err(failed)?;
        reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .tls_certs_only([authority])
            .identity(reqwest::Identity::from_pem(&pair).map_err(failed)?)
            .build()
            .map_err(failed)
    }
}

impl Plan {
    fn folder(&self) -> PathBuf {
        self.site_folder.join(&self.name)
    }

    fn socket(&self) -> PathBuf {
        self.folder().join("member.sock")
    }

    fn settings(&self, grpc: SocketAddr, http: SocketAddr) -> String {
        let folder = self.folder();
        let path = |path: &Path| format!("{:?}", path.display().to_string());
        let store = if self.etcd.is_empty() { "embedded" } else { "etcd" };
        let mut text = format!(
            "member = {:?}\nsite = {:?}\ndata_dir = {}\nsecrets_dir = {}\nbundle_dir = {}\nstore = {store:?}\n",
            self.name,
            self.site,
            path(&folder.join("data")),
            path(&folder.join("secrets")),
            path(&self.bundle),
        );
        if !self.etcd.is_empty() {
            text.push_str(&format!("[etcd]\nendpoints = {:?}\n", self.etcd));
        }
        let mut files = String::new();
        if let Some(pki) = &self.pki {
            files = format!(
                "ca = {}\ncert = {}\nkey = {}\n",
                path(&pki.file("ca.pem")),
                path(&pki.file(&format!("{}.pem", self.name))),
                path(&pki.file(&format!("{}.key", self.name))),
            );
            if !self.etcd.is_empty() {
                text.push_str(&files);
            }
        }
        text.push_str(&format!("[listen]\ngrpc = \"{grpc}\"\nhttp = \"{http}\"\n"));
        text.push_str(&format!("socket = {}\n", path(&self.socket())));
        if !files.is_empty() {
            text.push_str(&format!("[tls]\n{files}"));
        }
        // Who looks is known by where it looks from.
        text.push_str(&format!("[probes]\nsource = \"{}\"\n", grpc.ip()));
        text.push_str("[shutdown]\ndeadline = \"5s\"\n");
        text
    }
}

async fn spawn(plan: &Plan) -> Result<Part> {
    let file = plan.folder().join("standfast.toml");
    Spec::new(&plan.site_folder, &plan.name, sibling("standfast")?)?
        .args(["serve", "--config"])
        .args([file])
        .env("NO_COLOR", "1")
        .start()
        .await
}

fn private_folder(folder: &Path) -> Result<()> {
    let make = || {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
    };
    make().map_err(Error::io(format!("making {}", folder.display())))
}

/// Renamed into place: a daemon that reads it meanwhile sees the old or the new one.
fn put_secret(folder: &Path, name: &str, value: &str) -> Result<()> {
    let file = folder.join("secrets").join(name);
    let write = || {
        let unfinished = file.with_extension("new");
        fs::write(&unfinished, value)?;
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600))?;
        fs::rename(&unfinished, &file)
    };
    write().map_err(Error::io(format!("writing {}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::ground::ip;

    fn plan(etcd: Vec<String>, pki: Option<Pki>) -> Plan {
        Plan {
            name: "w1".into(),
            site: "w".into(),
            site_folder: "/lab/w".into(),
            ip: ip(3, 40),
            bundle: "/lab/bundle".into(),
            etcd,
            pki,
            secrets: Vec::new(),
        }
    }

    /// The daemon's own reader takes what is rendered.
    #[test]
    fn settings_are_those_of_the_daemon() {
        let pki = Pki { folder: "/lab/pki".into() };
        let endpoints = vec!["https://127.77.1.2:2379".to_string(), "https://127.77.2.2:2379".into()];
        for (plan, etcd) in [(plan(Vec::new(), None), false), (plan(endpoints, Some(pki)), true)] {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("standfast.toml");
            let at = |text: &str| text.parse().expect("an address");
            let text = plan.settings(at("127.77.3.40:20001"), at("127.77.3.40:20002"));
            fs::write(&file, &text).expect("written");
            let flags = standfast::settings::Flags { config: Some(file), ..Default::default() };
            let settings = standfast::settings::Settings::load(&flags).expect("valid").settings;
            assert_eq!(settings.site.as_str(), "w");
            assert_eq!(settings.listen.grpc, at("127.77.3.40:20001"));
            assert_eq!(settings.tls.is_some(), etcd);
            match settings.store {
                standfast::settings::Store::Embedded => assert!(!etcd),
                standfast::settings::Store::Etcd(settings) => {
                    assert_eq!((etcd, settings.endpoints.len()), (true, 2));
                }
            }
        }
    }
}
