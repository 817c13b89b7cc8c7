//! The members of the lab and their store.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::api::Api;
use super::member::{Member, Pki, Plan, SITES, number};
use super::sentry;
use crate::parts::etcd::{Etcd, Place, Tls};
use crate::parts::ground::ip;
use crate::parts::scratch::Scratch;
use crate::parts::{Error, Result, sibling};

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// One daemon in the witness site, its state in a file.
    Embedded,
    /// Three etcd members and three daemons, with mutual TLS.
    Etcd,
}

impl Kind {
    /// As the user types it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Embedded => "embedded",
            Kind::Etcd => "etcd",
        }
    }
}

/// What members are given alike.
#[derive(Debug, Clone)]
pub struct Common {
    /// The folder of the bundle.
    pub bundle: PathBuf,
    /// Secrets, by name.
    pub secrets: Vec<(String, String)>,
}

/// The running members and their store.
#[derive(Debug)]
pub struct Cluster {
    /// By site: a, b, w; the witness's alone with the embedded store.
    pub members: Vec<Member>,
    /// etcd's members, in the order of the sites.
    pub etcd: Option<Etcd>,
    pki: Option<Pki>,
}

impl Cluster {
    /// One daemon with the embedded store, in the witness site.
    pub async fn embedded(scratch: &Scratch, common: &Common) -> Result<Cluster> {
        let mut member = Member::start(plan("w", scratch, common, &[], None)?).await?;
        member.until_ready().await?;
        Ok(Cluster { members: vec![member], etcd: None, pki: None })
    }

    /// Three etcd members and three daemons, with mutual TLS. The first to lead is the daemon
    /// of site `first`, and etcd's leader is beside it.
    pub async fn etcd(scratch: &Scratch, common: &Common, first: &str) -> Result<Cluster> {
        let pki = make_certificates(&scratch.path().join("pki"))?;
        let mut places = Vec::new();
        for (site, number) in SITES {
            places.push(Place { name: format!("{site}1"), site: scratch.site(site)?, ip: ip(number, 2) });
        }
        let tls = Tls { folder: pki.folder.clone(), client: "lab".into() };
        let etcd = Etcd::start(&places, Some(tls)).await?;
        let at = |site: &str| SITES.iter().position(|(name, _)| *name == site);
        etcd.move_leader(at(first).unwrap_or_default()).await?;
        let endpoints = etcd.endpoints();
        // Who is alone leads; the others find a leader when they come.
        let mut members = Vec::new();
        let others = SITES.iter().map(|(site, _)| *site).filter(|site| *site != first);
        for site in std::iter::once(first).chain(others) {
            let plan = plan(site, scratch, common, &endpoints, Some(&pki))?;
            members.push(Member::start(plan).await?);
            if site == first {
                members[0].until_ready().await?;
            }
        }
        for member in &mut members {
            member.until_ready().await?;
        }
        members.sort_by(|one, other| one.site.cmp(&other.site));
        Ok(Cluster { members, etcd: Some(etcd), pki: Some(pki) })
    }

    /// A client of all members.
    pub fn api(&self) -> Result<Api> {
        let addresses: Vec<String> = self.members.iter().map(|member| member.grpc.to_string()).collect();
        Api::new(&addresses, self.pki.as_ref())
    }

    /// A client of the members in one site only.
    pub fn api_of(&self, site: &str) -> Result<Api> {
        let there = self.members.iter().filter(|member| member.site == site);
        let addresses: Vec<String> = there.map(|member| member.grpc.to_string()).collect();
        Api::new(&addresses, self.pki.as_ref())
    }

    /// A client of the member in one site by its socket, which only reads; it has the certificates that it
    /// would need for others.
    pub fn api_beside(&self, site: &str) -> Result<Api> {
        let there = self.members.iter().filter(|member| member.site == site);
        let sockets: Vec<String> =
            there.map(|member| format!("unix:{}", member.socket().display())).collect();
        Api::new(&sockets, self.pki.as_ref())
    }

    /// The member in a site.
    pub fn member(&mut self, site: &str) -> Result<&mut Member> {
        let found = self.members.iter_mut().find(|member| member.site == site);
        found.ok_or_else(|| Error::answer("lab", format!("there is no member in {site}")))
    }

    /// Moves both leaders, ours and etcd's, into a site.
    pub async fn lead_from(&self, site: &str) -> Result<()> {
        let Some(etcd) = &self.etcd else { return Ok(()) };
        let index = SITES.iter().position(|(name, _)| *name == site);
        etcd.move_leader(index.unwrap_or_default()).await?;
        let mut api = self.api()?;
        for _ in 0..20 {
            let leader = api.until_leader(Duration::from_secs(15)).await?;
            if leader.site == site {
                return Ok(());
            }
            api.step_down(&leader, &format!("the leader is wanted in {site}")).await?;
        }
        Err(Error::answer("lab", format!("no leader in {site} after 20 hand-overs")))
    }

    /// The certificates, if there are any.
    pub fn pki(&self) -> Option<&Pki> {
        self.pki.as_ref()
    }

    /// The logs of all members, by name.
    pub fn logs(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.members.iter().map(|member| (member.name.as_str(), member.part_ref().log()))
    }
}

fn plan(site: &str, scratch: &Scratch, common: &Common, etcd: &[String], pki: Option<&Pki>) -> Result<Plan> {
    Ok(Plan {
        name: format!("{site}1"),
        site: site.into(),
        site_folder: scratch.site(site)?,
        ip: ip(number(site)?, 40),
        bundle: common.bundle.clone(),
        etcd: etcd.to_vec(),
        pki: pki.cloned(),
        secrets: common.secrets.clone(),
    })
}

/// As a user would: `standfast pki init`. A member's certificate also serves its etcd.
fn make_certificates(folder: &Path) -> Result<Pki> {
    let mut command = Command::new(sibling("standfast")?);
    command
        .args(["pki", "init", "--client", "lab", "--client", "kim", "--client", sentry::NAME, "--dir"])
        .arg(folder);
    for (site, number) in SITES {
        let (etcd, daemon) = (ip(number, 2), ip(number, 40));
        command.args(["--member", &format!("{site}1={site},{etcd},{daemon}")]);
    }
    let done = command.output().map_err(Error::io("starting standfast pki init"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(Error::answer("standfast pki init", format!("{}: {said}", done.status)));
    }
    Ok(Pki { folder: folder.to_path_buf() })
}
