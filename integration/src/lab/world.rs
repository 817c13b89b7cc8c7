//! The shop and those that watch over it, brought to a steady state.

use std::time::{Duration, SystemTime};

use standfast_proto::v1::{ConditionOutcome, GuardDecision, GuardOutcome, Mode, Sentry, Verdict};

use super::bundle::{Bundle, Places};
use super::cluster::{Cluster, Common, Kind};
use super::gate::Gate;
use super::sentry;
use crate::parts::client::Client;
use crate::parts::process::Way;
use crate::parts::scratch::Scratch;
use crate::parts::shop::Shop;
use crate::parts::{Error, LogEnd, Result, poll, ports};

/// From the last start to a steady state: rounds of probes, samples, an election.
const STEADY: Duration = Duration::from_secs(30);
/// How long the shop's name may be kept, as the name server has it before anything happens.
pub const TTL: Duration = Duration::from_secs(1);
/// The guards that refuse while nothing is lost: nobody says DOWN, and a member in the site
/// lives.
const WHILE_WELL: [&str; 2] = ["G03", "G04"];
/// How long a customer thinks.
const BETWEEN: Duration = Duration::from_millis(5);

/// Changes a bundle before it is loaded.
pub type Edit = Box<dyn FnOnce(&mut Bundle) -> Result<()> + Send>;

/// What to start.
pub struct Setup {
    /// The store.
    pub store: Kind,
    /// The site that both leaders sit in, with etcd.
    pub leaders: &'static str,
    /// What differs from the example.
    pub edit: Edit,
    /// Whether there are gates before the shop and the database of site a.
    pub gates: bool,
    /// Whether a sentry in site a pauses what serves there, and lets it go on; nothing else can
    /// fence the site then, and it is no laboratory.
    pub sentry: bool,
}

impl Setup {
    /// The example on this store, led from site a.
    pub fn new(store: Kind) -> Setup {
        Setup { store, leaders: "a", edit: Box::new(|_| Ok(())), gates: false, sentry: false }
    }

    /// With another site for both leaders.
    pub fn led_from(self, leaders: &'static str) -> Setup {
        Setup { leaders, ..self }
    }

    /// With gates before the shop and the database of site a.
    pub fn with_gates(self) -> Setup {
        Setup { gates: true, ..self }
    }

    /// With a sentry in site a.
    pub fn guarded(self) -> Setup {
        Setup { sentry: true, ..self }
    }

    /// With a bundle that differs from the example.
    pub fn edited(self, edit: impl FnOnce(&mut Bundle) -> Result<()> + Send + 'static) -> Setup {
        Setup { edit: Box::new(edit), ..self }
    }
}

/// Everything, running. Dropping it ends it.
pub struct World {
    /// The members and their store.
    pub cluster: Cluster,
    /// The sites.
    pub shop: Shop,
    /// The bundle as it was loaded.
    pub bundle: Bundle,
    /// The gates before the shop and the database of site a, as the fleet has them; may be none.
    pub gates: Vec<Gate>,
    /// The sentry of site a, if there is one.
    pub sentry: Option<sentry::Sentry>,
}

impl World {
    /// Starts everything; `tell` hears of each stage that is done.
    pub async fn start(scratch: &Scratch, setup: Setup, mut tell: impl FnMut(&str)) -> Result<World> {
        let shop = Shop::start(scratch, TTL).await?;
        tell("sites a and b: PostgreSQL (streaming), HAProxy, deploy tool; the shop in a; BIND in w");
        let mut places = Places::of(&shop)?;
        let mut gates = Vec::new();
        if setup.gates {
            for place in [&mut places.a.web, &mut places.a.postgres] {
                let gate = Gate::before(*place, ports::free(place.ip())?).await?;
                *place = gate.address;
                gates.push(gate);
            }
        }
        let mut bundle = Bundle::shop(&places, setup.store == Kind::Embedded)?;
        if setup.sentry {
            bundle.guard(&shop.a.command(Way::Pause)?, &shop.a.command(Way::Resume)?)?;
        }
        (setup.edit)(&mut bundle)?;
        let common = Common {
            bundle: bundle.write(&scratch.path().join("bundle"))?,
            secrets: vec![
                ("orders_a".into(), shop.a.postgres.passwords.standfast.clone()),
                ("orders_b".into(), shop.b.postgres.passwords.standfast.clone()),
                ("tsig".into(), format!("{}:{}", shop.bind.key_name, shop.bind.key)),
            ],
        };
        let cluster = match setup.store {
            Kind::Embedded => {
                let cluster = Cluster::embedded(scratch, &common).await?;
                tell("one daemon in w, its store in a file");
                cluster
            }
            Kind::Etcd => {
                let cluster = Cluster::etcd(scratch, &common, setup.leaders).await?;
                tell("etcd and a daemon in each of a, b and w, with mutual TLS");
                cluster
            }
        };
        let mut sentry = None;
        if setup.sentry {
            let member = cluster.members.iter().find(|member| member.site == "a");
            let member = member.ok_or_else(|| Error::answer("lab", "a sentry needs a member in a"))?;
            sentry = Some(
                sentry::Sentry::start(&scratch.site("a")?, &common.bundle, member, cluster.pki()).await?,
            );
            tell("a sentry in a");
        }
        Ok(World { cluster, shop, bundle, gates, sentry })
    }

    /// A customer who has been served.
    pub async fn customer(&self) -> Result<Client> {
        let client = self.shop.client(BETWEEN)?;
        let served = poll(STEADY, || async {
            let (orders, last) = client.look(|record| (record.orders.len(), record.failures.last().cloned()));
            if orders >= 50 { Ok(()) } else { Err(format!("{orders} orders; {last:?}")) }
        });
        served.await.map_err(|last| Error::answer("customer", format!("is not served: {last}")))?;
        Ok(client)
    }

    /// Waits until all is well: both sites are HEALTHY, the standby streams, its lag is known,
    /// and nothing but the lack of a loss keeps the cluster from acting.
    pub async fn until_steady(&self) -> Result<()> {
        self.until_streaming().await?;
        let mut api = self.cluster.api()?;
        api.until(STEADY, "a steady state", async |api| {
            let status = api.status().await.map_err(|e| e.to_string())?;
            if status.leader.is_none() {
                return Err("nobody leads".into());
            }
            let ill = status
                .sites
                .iter()
                .find(|site| ["a", "b"].contains(&site.name.as_str()) && site.verdict() != Verdict::Healthy);
            if let Some(site) = ill {
                let verdict = site.verdict().as_str_name();
                return Err(format!("{} is {verdict}: {}", site.name, site.verdict_reason));
            }
            let members = status.members.iter();
            if let Some(member) = members.clone().find(|member| !member.live || !member.eligible) {
                return Err(format!("{}: {}", member.name, member.not_eligible_because));
            }
            if members.len() != self.cluster.members.len() {
                return Err(format!("{} members of {}", members.len(), self.cluster.members.len()));
            }
            let guards = api.why_not("a").await.map_err(|e| e.to_string())?.guards;
            let refuses = |guard: &&GuardDecision| guard.outcome() == GuardOutcome::Refused;
            let other = guards.iter().filter(refuses).find(|guard| !WHILE_WELL.contains(&guard.id.as_str()));
            other.map_or(Ok(()), |guard| Err(format!("{} {}: {}", guard.id, guard.name, guard.reason)))
        })
        .await?;
        api.until(STEADY, "a known lag", async |api| {
            let plan = api.plan(Mode::Emergency).await.map_err(|e| e.to_string())?;
            let unmet = plan.requires.iter().find(|one| one.outcome() != ConditionOutcome::Holds);
            unmet.map_or(Ok(()), |one| Err(format!("{}: {}", one.condition, one.answer)))
        })
        .await
    }

    /// Waits until the lease of site a is held and its sentry is heard: from then on the end of the
    /// lease proves a fence.
    pub async fn until_enforced(&self) -> Result<()> {
        let mut api = self.cluster.api()?;
        api.until(STEADY, "an enforced lease", async |api| {
            let lease = api.site("a").await.map_err(|e| e.to_string())?.lease.ok_or("a has no lease")?;
            let well = |sentry: &Sentry| sentry.trouble.is_empty() && sentry.state == "open";
            let enforced = lease.held && !lease.sentries.is_empty() && lease.sentries.iter().all(well);
            if enforced { Ok(()) } else { Err(format!("{lease:?}")) }
        })
        .await
    }

    async fn until_streaming(&self) -> Result<()> {
        let primary = self.shop.a.postgres.superuser().await?;
        let sql = "select count(*) from pg_stat_replication where state = 'streaming'";
        let streams = poll(STEADY, || async {
            let row = primary.query_one(sql, &[]).await.map_err(|e| e.to_string())?;
            if row.get::<_, i64>(0) > 0 { Ok(()) } else { Err("nobody streams".to_string()) }
        });
        streams.await.map_err(|last| Error::answer("standby", last))
    }

    /// Kills everything in site a at once; answers when, and how many processes died.
    pub fn kill_site_a(&self) -> Result<(SystemTime, usize)> {
        let at = SystemTime::now();
        Ok((at, self.shop.a.kill_all()?))
    }

    /// The ends of the members' logs.
    pub fn logs(&self) -> Vec<(String, Box<LogEnd>)> {
        let sentry = self.sentry.iter().map(|sentry| (sentry::NAME, sentry.part_ref().log()));
        self.cluster.logs().chain(sentry).map(|(name, log)| (name.to_string(), LogEnd::of(log))).collect()
    }
}
