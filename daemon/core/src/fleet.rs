//! The fleet: sites, services, resources, probes and numbers, as people wrote them.
//!
//! Everything that an action or a condition touches is named here, so that what a playbook
//! needs can be resolved to sites, exactly.

mod build;
pub mod control;
mod limits;
pub mod sentry;
pub mod service;

pub use control::{Control, Evidence, Home, Homes};
pub use sentry::Sentry;
pub use service::{Placement, Replication, Service, ServiceKind};

use crate::bind::Scope;
use crate::check::{Check, Database, RecordType};
use crate::decode::Call;
use crate::ids::{Identity, PlaybookId, ResourceId, SecretName, SentryId, ServiceId, SiteId};
use crate::limits::{Limits, Serving};
use crate::rules::{self, Automation, Looks, Probe, Role, Rules, Switch};
use crate::schema::ResourceKind;
use crate::source::{Place, Spanned};
use crate::time::Span;
use crate::timing::Timing;
use crate::window::Written;
use std::collections::{BTreeMap, BTreeSet};

/// A fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Its name.
    pub name: Spanned<String>,
    /// The failure domains.
    pub sites: BTreeMap<SiteId, Site>,
    /// The windows.
    pub timing: Timing,
    /// Where each window was set, by its key.
    pub timing_at: BTreeMap<&'static str, Place>,
    /// What happens on a loss.
    pub automation: Spanned<Automation>,
    /// Whether one member's view suffices.
    pub single_observer: bool,
    /// Whether this is a laboratory.
    pub lab: bool,
    /// Who is what.
    pub roles: BTreeMap<String, BTreeSet<Identity>>,
    /// What an observer asks to know that it is not itself cut off; `None` when the fleet is
    /// silent about it, empty when it says `none`.
    pub canaries: Option<Vec<Call>>,
    /// What is asked of each site.
    pub probes: BTreeMap<SiteId, Probes>,
    /// What the business runs.
    pub services: BTreeMap<ServiceId, Service>,
    /// What playbooks name.
    pub resources: BTreeMap<ResourceId, Resource>,
    /// The command that cuts a site's power.
    pub power_off: BTreeMap<SiteId, Vec<String>>,
    /// How often it is looked whether that could run, and what follows.
    pub readiness: Spanned<Looks>,
    /// What has to be on before anything runs by itself.
    pub switches: BTreeMap<String, Switch>,
    /// How much a run may touch, and what must not come of one.
    pub limits: Limits,
    /// Where that is said: each state that is forbidden, and how many sites have to be well.
    pub limits_at: LimitsAt,
    /// When nothing runs by itself.
    pub windows: BTreeMap<String, Written>,
    /// What stops the hosts of a site that is cut off.
    pub sentries: BTreeMap<SentryId, Sentry>,
    /// What is run when a site is lost.
    pub on_loss: Vec<OnLoss>,
    /// Whether what is not said counts as failed.
    pub full_proof: bool,
    /// What stands in none of the sites.
    pub outside: Outside,
    /// Where secrets live that do not lie beside every member.
    pub secrets: BTreeMap<SecretName, Home>,
    /// What Standfast and its people stand on.
    pub control: Control,
    /// What shows that a plan works.
    pub evidence: Vec<Evidence>,
    /// A site that was not left for longer is not rehearsed.
    pub drill_max_age: Span,
    /// Names of sites, services and resources that could not be read: reported, and known.
    pub broken: BTreeSet<String>,
}

/// Where limits stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsAt {
    /// In the order of the file.
    pub forbidden: Vec<Place>,
    /// None when it is not said.
    pub min_serving: Option<Place>,
}

/// A failure domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Where its name stands.
    pub at: Place,
    /// What it is for.
    pub role: Role,
    /// What stands in it, by address.
    pub networks: Vec<String>,
    /// What stands in it, by name.
    pub domains: Vec<String>,
    /// Its power feed.
    pub power: Option<String>,
    /// Its fire compartment.
    pub fire: Option<String>,
    /// The load that it can carry, in the fleet's own unit.
    pub capacity: Option<u64>,
}

/// What stands in none of the sites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// By address.
    pub networks: Vec<String>,
    /// By name.
    pub domains: Vec<String>,
}

/// The probes of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probes {
    /// Where the site's name stands.
    pub at: Place,
    /// In the order of the file.
    pub calls: Vec<Call>,
}

/// A resource and where its name stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Where its name stands.
    pub at: Place,
    /// What it is.
    pub body: Body,
}

/// What a resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A base URL per site.
    Endpoint(BTreeMap<SiteId, String>),
    /// A server per site.
    Postgres(BTreeMap<SiteId, Server>),
    /// Balancers, and a server per site behind each.
    Route {
        /// The runtime API of each site's balancer.
        haproxy: BTreeMap<SiteId, String>,
        /// The backend.
        backend: String,
        /// The server of each site.
        servers: BTreeMap<SiteId, String>,
    },
    /// A DNS record.
    Dns(Dns),
    /// A host per site.
    Ssh(BTreeMap<SiteId, Login>),
}

/// How a host is logged in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Where its address stands.
    pub at: Place,
    /// `host:port`.
    pub address: String,
    /// Who logs in.
    pub user: String,
    /// Its public keys.
    pub host_keys: Vec<String>,
    /// The private key to log in with.
    pub key: Option<SecretName>,
}

/// A PostgreSQL server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where its connection string stands.
    pub at: Place,
    /// libpq keywords and values.
    pub dsn: String,
    /// Its password.
    pub password: Option<SecretName>,
}

/// A DNS record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Fully qualified.
    pub zone: String,
    /// Fully qualified.
    pub name: String,
    /// The type.
    pub record_type: RecordType,
    /// Time to live.
    pub ttl: Span,
    /// The primary name server.
    pub server: String,
    /// The TSIG key.
    pub key: SecretName,
    /// Per site, sorted.
    pub values: BTreeMap<SiteId, Vec<String>>,
}

/// What is run when a site is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnLoss {
    /// The site.
    pub site: Spanned<SiteId>,
    /// The playbook.
    pub playbook: Spanned<PlaybookId>,
    /// Where its services go.
    pub to: Spanned<SiteId>,
}

impl Body {
    /// Which kind this is.
    pub fn kind(&self) -> ResourceKind {
        match self {
            Self::Endpoint(_) => ResourceKind::Endpoint,
            Self::Postgres(_) => ResourceKind::Postgres,
            Self::Route { .. } => ResourceKind::Route,
            Self::Dns(_) => ResourceKind::Dns,
            Self::Ssh(_) => ResourceKind::Ssh,
        }
    }
}

impl Fleet {
    /// What decisions read.
    pub(crate) fn rules(&self) -> Rules {
        let numbered = |checks: Vec<Check>| {
            checks.into_iter().enumerate().map(|(index, check)| Probe { index, check }).collect()
        };
        let mut services: BTreeMap<SiteId, BTreeSet<ServiceId>> = BTreeMap::new();
        for (id, service) in &self.services {
            for site in service.active_in() {
                services.entry(site.clone()).or_default().insert(id.clone());
            }
        }
        Rules {
            sites: self.sites.iter().map(|(id, site)| (id.clone(), site.role)).collect(),
            timing: self.timing,
            automation: self.automation.value,
            single_observer: self.single_observer,
            lab: self.lab,
            canaries: self.canaries.as_ref().map_or(0, Vec::len),
            readiness: self.readiness.value,
            on_loss: self.on_loss.iter().map(|entry| entry.bound(self.timing.confirm)).collect(),
            roles: self.roles.clone(),
            probes: self.probes().into_iter().map(|(site, checks)| (site, numbered(checks))).collect(),
            services,
            sentries: sentry::by_site(&self.sentries, self.timing.isolate),
            power_off: self.power_off.keys().cloned().collect(),
            limits: self.limits.clone(),
            serving: self.serving(),
            switches: self.switches.clone(),
            windows: self
                .windows
                .iter()
                .filter_map(|(name, written)| Some((name.clone(), written.window().ok()?)))
                .collect(),
        }
    }

    /// Where each service serves now, with how many instances.
    pub fn serving(&self) -> Serving {
        let active = |service: &Service| {
            let placed = service.runs_in.iter().filter(|(_, placement)| placement.active);
            placed.map(|(site, placement)| (site.clone(), placement.copies)).collect()
        };
        self.services.iter().map(|(id, service)| (id.clone(), active(service))).collect()
    }

    /// The canaries, bound.
    pub fn canaries(&self) -> Vec<Check> {
        let scope = Scope::of_canaries(self);
        self.canaries.iter().flatten().filter_map(|call| scope.check(call).ok()).collect()
    }

    /// The probes of every site, bound: a probe of a site asks what stands in that site.
    pub fn probes(&self) -> BTreeMap<SiteId, Vec<Check>> {
        let bound = |(site, probes): (&SiteId, &Probes)| {
            let scope = Scope::of_probes(self, site);
            let checks = probes.calls.iter().filter_map(|call| scope.check(call).ok()).collect();
            (site.clone(), checks)
        };
        self.probes.iter().map(bound).collect()
    }

    /// Every PostgreSQL cluster with its servers, for those who sample positions.
    pub fn databases(&self) -> BTreeMap<ResourceId, BTreeMap<SiteId, Database>> {
        self.resources
            .keys()
            .map(|id| (id.clone(), self.cluster(id)))
            .filter(|(_, servers)| !servers.is_empty())
            .collect()
    }

    /// The servers of a cluster; none when it is not a cluster.
    pub fn cluster(&self, id: &ResourceId) -> BTreeMap<SiteId, Database> {
        let Some(Resource { body: Body::Postgres(servers), .. }) = self.resources.get(id) else {
            return BTreeMap::new();
        };
        let database = |site: &SiteId, server: &Server| Database {
            cluster: id.clone(),
            site: site.clone(),
            dsn: server.dsn.clone(),
            password: server.password.clone(),
        };
        servers.iter().map(|(site, server)| (site.clone(), database(site, server))).collect()
    }

    /// The command that cuts a site's power, if there is one.
    pub fn power_off(&self, site: &SiteId) -> Option<&[String]> {
        self.power_off.get(site).map(Vec::as_slice)
    }

    /// These services and all that they need, directly or through others.
    pub fn with_needs<'a>(
        &'a self,
        services: impl IntoIterator<Item = &'a ServiceId>,
    ) -> BTreeMap<&'a ServiceId, &'a Service> {
        let mut all = BTreeMap::new();
        let mut next: Vec<&ServiceId> = services.into_iter().collect();
        while let Some(id) = next.pop() {
            if let Some(service) = self.services.get(id)
                && all.insert(id, service).is_none()
            {
                next.extend(service.needs.iter().map(|need| &need.value));
            }
        }
        all
    }
}

impl OnLoss {
    fn bound(&self, confirm: Span) -> rules::OnLoss {
        rules::OnLoss {
            site: self.site.value.clone(),
            playbook: self.playbook.value.clone(),
            to: self.to.value.clone(),
            confirm,
            moves: BTreeSet::new(),
        }
    }
}
