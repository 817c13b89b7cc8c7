//! `playbooks/pangyo-2022/fixed` on one machine: the playbooks as they are, byte for byte, and the
//! fleet with addresses that exist here.
//!
//! Two clusters of PostgreSQL, two balancers with five front doors each, a name server and the
//! web service are real; all other services are [stand-ins](crate::parts::tools) that insist on
//! the order in which they come up. What is smaller: the two sites that playbooks name and one
//! member, in the witness site, and probes at the fast profile's pace.

mod building;
mod bundle;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use standfast_core::bundle::Bundle;
use standfast_core::source::SourceFile;
use standfast_proto::v1::{ConditionOutcome, Mode, Verdict};

use self::building::Plot;
pub use self::building::{Building, Door};
use super::api::Api;
use super::member::{Member, Plan};
use crate::parts::bind::{Bind, Zone};
use crate::parts::client::{Client, Settings};
use crate::parts::ground::ip;
use crate::parts::postgres::Postgres;
use crate::parts::scratch::Scratch;
use crate::parts::site::Addresses;
use crate::parts::{Error, Result, ports};

/// From the last start to a steady state: rounds of probes, samples.
const STEADY: Duration = Duration::from_secs(30);
/// How long a name may be kept, as the name server has it before anything happens.
const TTL: Duration = Duration::from_secs(1);
/// The name of the services of tier 2, beside that of the text messages.
pub const SERVICES: &str = "services";

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
        let plots = [Plot::find("pangyo", 1, port)?, Plot::find("anyang", 2, port)?];
        let [pangyo, anyang] = Building::pair(scratch, &example, plots).await?;
        pangyo.site.deploy.start_shop().await?;
        let witness = scratch.site("witness")?;
        let IpAddr::V4(address) = pangyo.site.addresses.front.ip() else {
            return Err(Error::answer("town", "sites have IPv4 addresses"));
        };
        let zone = Zone {
            name: "example.net".into(),
            record: "talk".into(),
            more: vec![SERVICES.into()],
            address,
            ttl: TTL,
        };
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

    /// Waits until both sites are healthy and all that the move requires holds.
    pub async fn until_steady(&self) -> Result<()> {
        let mut api = self.api()?;
        api.until(STEADY, "a steady state", async |api| {
            for name in ["pangyo", "anyang"] {
                let site = api.site(name).await.map_err(|e| e.to_string())?;
                if site.verdict() != Verdict::Healthy {
                    return Err(format!("{name}: {}", site.verdict_reason));
                }
            }
            let plan = api.plan_of("evacuate", "pangyo", "anyang", Mode::Emergency).await;
            let requires = plan.map_err(|e| e.to_string())?.requires;
            let unmet = requires.iter().find(|one| one.outcome() != ConditionOutcome::Holds);
            unmet.map_or(Ok(()), |one| Err(format!("{}: {}", one.condition, one.answer)))
        })
        .await
    }
}

/// The files of a bundle, loaded; the example must be right.
fn load(files: &BTreeMap<&str, String>) -> Result<Bundle> {
    let files: Vec<_> =
        files.iter().map(|(name, text)| SourceFile::new(format!("{name}.yaml"), text.clone())).collect();
    let (bundle, findings) = Bundle::load(files.clone());
    bundle.ok_or_else(|| Error::answer("bundle", findings.to_text(&files, false)))
}
