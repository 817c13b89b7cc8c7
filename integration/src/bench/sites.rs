//! Two small sites to measure with: in each a deploy tool, which answers HTTP, and a balancer,
//! which answers TCP; and the members that watch over them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use standfast_core::timing::Profile;

use crate::lab::bundle::Bundle;
use crate::lab::cluster::{Cluster, Common, Kind};
use crate::lab::member::number;
use crate::parts::deploy::Deploy;
use crate::parts::haproxy::{Front, Haproxy, Server};
use crate::parts::process::power_off;
use crate::parts::scratch::Scratch;
use crate::parts::site::Addresses;
use crate::parts::web::Web;
use crate::parts::{Error, Result, poll};

/// From the last start to votes on both sites: a fresh observer abstains for a while.
const STEADY: Duration = Duration::from_secs(60);
/// How long the kernel may take to end what was killed.
const DEATH: Duration = Duration::from_secs(5);

/// What the sites and their members are to be like.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The store.
    pub store: Kind,
    /// The windows.
    pub profile: Profile,
    /// The site in which the leaders are, with etcd.
    pub leaders: &'static str,
    /// More endpoints: their names, and where they are whatever the site.
    pub endpoints: Vec<(&'static str, SocketAddr)>,
    /// The steps of the playbook `move`, indented by two.
    pub steps: String,
}

impl Setup {
    /// Three members on etcd that are led from site w and have nothing to do.
    pub fn idle(profile: Profile) -> Setup {
        let steps = "  - id: there\n    wait.until: {all: [{tcp.connect: {endpoint: front, at: $to}}]}\n";
        Setup { store: Kind::Etcd, profile, leaders: "w", endpoints: Vec::new(), steps: steps.into() }
    }

    fn bundle(&self, a: &Addresses, b: &Addresses) -> Bundle {
        let profile = match self.profile {
            Profile::Default => "default",
            Profile::Fast => "fast",
        };
        let observer = match self.store {
            Kind::Embedded => "single_observer: act\n",
            Kind::Etcd => "",
        };
        let more: String = self
            .endpoints
            .iter()
            .map(|(name, at)| format!("  {name}: {{endpoint: {{a: \"http://{at}\", b: \"http://{at}\"}}}}\n"))
            .collect();
        let probes = "    - http.get: {endpoint: tool, status: 200}\n    - tcp.connect: {endpoint: front}\n";
        let fleet = format!(
            r#"api: standfast/v1
fleet: bench
sites:
  a: {{role: active, power: grid-1}}
  b: {{role: standby, power: grid-2}}
  w: {{role: witness, power: grid-3}}
timing: {{profile: {profile}}}
automation: off
lab: true
{observer}canaries: none
probes:
  a:
{probes}  b:
{probes}services:
  shop: {{runs_in: {{a: active, b: standby}}}}
resources:
  tool: {{endpoint: {{a: "http://{}", b: "http://{}"}}}}
  front: {{endpoint: {{a: "http://{}", b: "http://{}"}}}}
{more}on_loss:
  - {{site: a, run: move, to: b}}
"#,
            a.deploy, b.deploy, a.front, b.front
        );
        let head = "api: standfast/v1\nplaybook: move\ntitle: Measure\nservices: [shop]\nmodes: [emergency, drill]\n";
        Bundle { fleet, playbook: format!("{head}steps:\n{}", self.steps) }
    }
}

/// Running sites and members. Dropping it ends them.
#[derive(Debug)]
pub struct Sites {
    /// The members and their store.
    pub cluster: Cluster,
    a: PathBuf,
    _parts: Vec<(Deploy, Haproxy)>,
    // Last, so that the folder goes when nothing runs in it any more.
    _scratch: Scratch,
}

impl Sites {
    /// Starts them, and waits until somebody leads.
    pub async fn start(setup: &Setup) -> Result<Sites> {
        let scratch = Scratch::new()?;
        let mut parts = Vec::new();
        let mut places = Vec::new();
        for site in ["a", "b"] {
            let at = Addresses::find(number(site)?, Addresses::front_port(&[number(site)?])?)?;
            parts.push(part(site, &scratch.site(site)?, at).await?);
            places.push(at);
        }
        let bundle = setup.bundle(&places[0], &places[1]);
        let common = Common { bundle: bundle.write(&scratch.path().join("bundle"))?, secrets: Vec::new() };
        let cluster = match setup.store {
            Kind::Embedded => Cluster::embedded(&scratch, &common).await?,
            Kind::Etcd => Cluster::etcd(&scratch, &common, setup.leaders).await?,
        };
        let a = scratch.site("a")?;
        Ok(Sites { cluster, a, _parts: parts, _scratch: scratch })
    }

    /// Waits until every voter finds site a well.
    pub async fn until_steady(&self) -> Result<()> {
        let voters: &[&str] = if self.cluster.etcd.is_some() { &["b", "w"] } else { &["w"] };
        let votes: Vec<String> =
            voters.iter().map(|v| format!("standfast_vote{{site=\"a\",voter=\"{v}\"}} 1\n")).collect();
        let all = |text: &str| votes.iter().all(|vote| text.contains(vote));
        self.until(STEADY, "the vote of every site that a is UP", all).await.map(drop)
    }

    /// Kills everything in site a at once, members and store included; says when.
    pub fn kill_a(&self) -> Result<Instant> {
        let at = Instant::now();
        power_off(&self.a, DEATH)?;
        Ok(at)
    }

    /// Waits until the metrics of the leader, whoever that is, are as wanted; says when.
    pub async fn until(
        &self,
        within: Duration,
        awaited: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Instant> {
        let clients = self.cluster.members.iter().map(|member| Ok((member, member.http_client()?)));
        let clients = clients.collect::<Result<Vec<_>>>()?;
        let seen = poll(within, || async {
            let asked = clients.iter().map(|(member, client)| async {
                let answer = client.get(member.url("metrics")).send().await.ok()?;
                answer.text().await.ok()
            });
            let texts = futures::future::join_all(asked).await;
            let leads = |text: &&String| text.contains("\nstandfast_leader 1\n");
            match texts.iter().flatten().find(leads) {
                Some(text) if wanted(text) => Ok(Instant::now()),
                Some(text) => Err(verdicts(text)),
                None => Err("nobody leads".into()),
            }
        });
        let problem =
            |last| Error::answer("sites", format!("{awaited} did not come within {within:?} (last: {last})"));
        seen.await.map_err(problem)
    }
}

fn verdicts(text: &str) -> String {
    let about = ["standfast_verdict{site=\"a\"", "standfast_vote{site=\"a\""];
    let lines = text.lines().filter(|line| about.iter().any(|name| line.starts_with(name)));
    lines.filter(|line| !line.ends_with(" 0")).collect::<Vec<_>>().join(", ")
}

async fn part(site: &str, folder: &Path, at: Addresses) -> Result<(Deploy, Haproxy)> {
    let web = Web { site: site.into(), listen: at.web, database: at.postgres };
    let server = Server { name: format!("web-{site}"), address: at.web, weight: 100 };
    let fronts = [Front::web(at.front, &[server])];
    tokio::try_join!(
        Deploy::start(folder, at.deploy, &web, "not used"),
        Haproxy::start(folder, at.runtime, &fronts),
    )
}

#[cfg(test)]
mod tests {
    use standfast_core::source::SourceFile;

    use super::*;

    #[test]
    fn the_bundles_lint_clean() {
        let at = |text: &str| text.parse().expect("an address");
        let site = |n: u8| Addresses {
            postgres: at(&format!("127.77.{n}.10:20001")),
            front: at(&format!("127.77.{n}.5:20002")),
            runtime: at(&format!("127.77.{n}.5:20003")),
            web: at(&format!("127.77.{n}.20:20004")),
            deploy: at(&format!("127.77.{n}.30:20005")),
        };
        for (store, profile) in [(Kind::Embedded, Profile::Fast), (Kind::Etcd, Profile::Default)] {
            let endpoints = vec![("gate", at("127.0.0.1:20006"))];
            let setup = Setup { store, endpoints, ..Setup::idle(profile) };
            let bundle = setup.bundle(&site(1), &site(2));
            let file = |name: &str, text: &str| SourceFile { name: name.into(), text: text.into() };
            let files = vec![file("fleet.yaml", &bundle.fleet), file("move.yaml", &bundle.playbook)];
            let (loaded, findings) = standfast_core::bundle::Bundle::load(files.clone());
            let loaded = loaded.unwrap_or_else(|| panic!("{}", findings.to_text(&files, false)));
            assert_eq!(loaded.fleet.single_observer, store == Kind::Embedded);
            assert_eq!(loaded.fleet.timing, standfast_core::timing::Timing::of(profile));
        }
    }
}
