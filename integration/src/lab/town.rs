//! The core of `playbooks/pangyo-2022/fixed` on one machine: tiers 0 and 1, the playbooks as they
//! are, the fleet with addresses that exist here.
//!
//! Two clusters of PostgreSQL, two balancers, a name server and the web service are real; all
//! other services are [stand-ins](crate::parts::tools) that insist on the order in which they
//! come up. What is smaller: one member in the witness site watches over it, and the traffic
//! holds at each weight for one second.

mod bundle;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use standfast_core::bundle::Bundle;
use standfast_core::source::SourceFile;
use standfast_proto::v1::{ConditionOutcome, Mode, Verdict};

use super::api::Api;
use super::member::{Member, Plan};
use crate::parts::bind::{Bind, Zone};
use crate::parts::client::{Client, Settings};
use crate::parts::ground::ip;
use crate::parts::haproxy::Server;
use crate::parts::postgres::Postgres;
use crate::parts::scratch::Scratch;
use crate::parts::site::{Addresses, Site};
use crate::parts::tools::{Service, Standing, Tool, Tools};
use crate::parts::{Error, Result, ports, process, site_program};

/// From the last start to a steady state: rounds of probes, samples.
const STEADY: Duration = Duration::from_secs(30);
/// How long a name may be kept, as the name server has it before anything happens.
const TTL: Duration = Duration::from_secs(1);
/// The service that the web service plays.
const SHOP: &str = "talk-text";
/// What answers in a standby site before it is needed: all of it works, but for deploy, which
/// waits to be told.
const HOT: [&str; 4] = ["operator-permissions", "key-store", "monitoring", "switcher"];
const READY: &str = "deploy";

/// A building.
#[derive(Debug)]
pub struct Building {
    /// Its database of messages, balancer, deploy tool and web service.
    pub site: Site,
    /// Its database of accounts, in a folder of its own.
    pub accounts: Postgres,
    /// All its other services.
    pub tools: Tools,
    rooms: [PathBuf; 2],
}

impl Building {
    /// Kills every process in it; answers how many guards and programs are dead.
    pub fn kill_all(&self) -> Result<usize> {
        let dead = self.rooms.iter().map(|room| process::power_off(room, Duration::from_secs(5)));
        dead.sum()
    }

    /// The command that does the same from anywhere on this machine.
    pub fn power_off_command(&self) -> Result<Vec<String>> {
        let program = site_program()?.display().to_string();
        let script = r#""$0" power-off "$1" && "$0" power-off "$2""#;
        let rooms = self.rooms.iter().map(|room| room.display().to_string());
        Ok(["sh", "-c", script].map(str::to_owned).into_iter().chain([program]).chain(rooms).collect())
    }
}

/// Everything, running. Dropping it ends it.
#[derive(Debug)]
pub struct Town {
    /// It serves, 127.77.1.x.
    pub pangyo: Building,
    /// It stands by, 127.77.2.x.
    pub anyang: Building,
    /// The name server, in the witness site.
    pub bind: Bind,
    /// The daemon, there too.
    pub member: Member,
}

impl Town {
    /// Starts everything, and returns when customers are served by pangyo.
    pub async fn start(scratch: &Scratch) -> Result<Town> {
        let example = bundle::example()?;
        let port = Addresses::front_port(&[1, 2])?;
        let (at_pangyo, at_anyang) = (Addresses::find(1, port)?, Addresses::find(2, port)?);
        let servers = [
            Server { name: "talk-pangyo".into(), address: at_pangyo.web, weight: 100 },
            Server { name: "talk-anyang".into(), address: at_anyang.web, weight: 0 },
        ];
        let (messages, accounts) = tokio::try_join!(
            pair(scratch, ["pangyo", "anyang"], [at_pangyo.postgres, at_anyang.postgres]),
            pair(
                scratch,
                ["pangyo-accounts", "anyang-accounts"],
                [ports::free(ip(1, 11))?, ports::free(ip(2, 11))?],
            ),
        )?;
        let ([messages_1, messages_2], [accounts_1, accounts_2]) = (messages, accounts);
        let (pangyo, anyang) = tokio::try_join!(
            building(scratch, ("pangyo", at_pangyo), &example, messages_1, accounts_1, &servers),
            building(scratch, ("anyang", at_anyang), &example, messages_2, accounts_2, &servers),
        )?;
        pangyo.site.deploy.start_shop().await?;
        let witness = scratch.site("witness")?;
        let IpAddr::V4(address) = at_pangyo.front.ip() else {
            return Err(Error::answer("town", "sites have IPv4 addresses"));
        };
        let zone = Zone { name: "example.net".into(), record: "talk".into(), address, ttl: TTL };
        let bind = Bind::start(&witness, ports::free(Ipv4Addr::LOCALHOST.into())?, zone).await?;
        let files = bundle::rendered(&example, &pangyo, &anyang, &bind)?;
        let folder = bundle::write(&files, &scratch.path().join("bundle"))?;
        let secret = |cluster: &str, site: &str, server: &Postgres| {
            (format!("{cluster}-{site}"), server.passwords.standfast.clone())
        };
        let mut member = Member::start(Plan {
            name: "m5".into(),
            site: "witness".into(),
            site_folder: witness,
            ip: ip(3, 40),
            bundle: folder,
            etcd: Vec::new(),
            pki: None,
            secrets: vec![
                secret("accounts", "pangyo", &pangyo.accounts),
                secret("accounts", "anyang", &anyang.accounts),
                secret("messages", "pangyo", &pangyo.site.postgres),
                secret("messages", "anyang", &anyang.site.postgres),
                ("tsig".into(), format!("{}:{}", bind.key_name, bind.key)),
            ],
        })
        .await?;
        member.until_ready().await?;
        Ok(Town { pangyo, anyang, bind, member })
    }

    /// A client of the daemon.
    pub fn api(&self) -> Result<Api> {
        Api::new(&[self.member.grpc.to_string()], None)
    }

    /// A customer, who finds his way by the name.
    pub fn customer(&self) -> Result<Client> {
        Client::start(Settings {
            dns: self.bind.address,
            name: self.bind.zone.full_name(),
            port: self.pangyo.site.addresses.front.port(),
            between: Duration::from_millis(10),
            namespace: None,
        })
    }

    /// Waits until both sites are healthy and all that the core requires holds.
    pub async fn until_steady(&self) -> Result<()> {
        let mut api = self.api()?;
        api.until(STEADY, "a steady state", async |api| {
            for name in ["pangyo", "anyang"] {
                let site = api.site(name).await.map_err(|e| e.to_string())?;
                if site.verdict() != Verdict::Healthy {
                    return Err(format!("{name}: {}", site.verdict_reason));
                }
            }
            let plan = api.plan_of("core", "pangyo", "anyang", Mode::Emergency).await;
            let requires = plan.map_err(|e| e.to_string())?.requires;
            let unmet = requires.iter().find(|one| one.outcome() != ConditionOutcome::Holds);
            unmet.map_or(Ok(()), |one| Err(format!("{}: {}", one.condition, one.answer)))
        })
        .await
    }
}

/// A primary in the first folder, a standby of it in the second.
async fn pair(scratch: &Scratch, folders: [&str; 2], at: [SocketAddr; 2]) -> Result<[Postgres; 2]> {
    let primary = Postgres::primary(&scratch.site(folders[0])?, at[0]).await?;
    let table = "create table orders (id bigint primary key, at timestamptz, site text)";
    let created = primary.shop().await?.batch_execute(table).await;
    created.map_err(|e| Error::answer("PostgreSQL", e))?;
    let standby = Postgres::standby(&scratch.site(folders[1])?, at[1], &primary).await?;
    Ok([primary, standby])
}

async fn building(
    scratch: &Scratch,
    (name, at): (&str, Addresses),
    example: &Bundle,
    messages: Postgres,
    accounts: Postgres,
    servers: &[Server],
) -> Result<Building> {
    let folder = scratch.site(name)?;
    let rooms = [folder.clone(), scratch.site(&format!("{name}-accounts"))?];
    let site = Site::around(name, folder.clone(), at, messages, servers).await?;
    let tool = Tool {
        listen: ports::free(at.deploy.ip())?,
        service: services(example, name),
        shop: SHOP.into(),
        web: at.web,
        starter: at.deploy,
    };
    let tools = Tools::start(&folder, &tool).await?;
    Ok(Building { site, accounts, tools, rooms })
}

/// The services of a site as the fleet has them, but for the databases, which are real.
fn services(example: &Bundle, site: &str) -> Vec<Service> {
    let fleet = &example.fleet;
    let databases = fleet.databases();
    let is_ours = |name: &str| !databases.contains_key(name);
    let standing = |name: &str, serves: bool| match name {
        _ if serves || HOT.contains(&name) => Standing::Active,
        READY => Standing::Ready,
        _ => Standing::Off,
    };
    let all = fleet.services.iter().filter(|(id, _)| is_ours(id.as_str()));
    all.map(|(id, service)| Service {
        name: id.to_string(),
        standing: standing(id.as_str(), service.is_active_in(&site.into())),
        needs: service.needs.iter().map(|need| need.value.to_string()).filter(|need| is_ours(need)).collect(),
    })
    .collect()
}

/// The files of a bundle, loaded; the example must be right.
fn load(files: &BTreeMap<&str, String>) -> Result<Bundle> {
    let files: Vec<_> =
        files.iter().map(|(name, text)| SourceFile::new(format!("{name}.yaml"), text.clone())).collect();
    let (bundle, findings) = Bundle::load(files.clone());
    bundle.ok_or_else(|| Error::answer("bundle", findings.to_text(&files, false)))
}
