//! What there is to act upon, and what acts and questions come to when they are bound to it.
//!
//! A bound action carries addresses and names. Here it becomes places in a table, once, so that
//! a world is a few short lists and a seed compares no text.

use super::{Deed, Places, Proof, Question};
use standfast_core::action::{Action, FenceProof};
use standfast_core::check::{Check, Database};
use standfast_core::ids::{ResourceId, SiteId};
use std::collections::BTreeMap;

/// Texts and their places, in the order in which they came.
#[derive(Clone, Debug, Default)]
struct Table<T: Ord + Clone> {
    list: Vec<T>,
    places: BTreeMap<T, usize>,
}

impl<T: Ord + Clone> Table<T> {
    fn place(&mut self, item: T) -> usize {
        if let Some(&place) = self.places.get(&item) {
            return place;
        }
        self.list.push(item.clone());
        self.places.insert(item, self.list.len() - 1);
        self.list.len() - 1
    }
}

/// Everything that can be acted upon.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    places: Places,
    sites: Table<SiteId>,
    clusters: Table<ResourceId>,
    /// Cluster and site.
    databases: Table<(usize, usize)>,
    /// Where its balancer stands, the balancer, and the server in its backend.
    servers: Table<(usize, String, String)>,
    names: Table<String>,
    values: Table<Vec<String>>,
    /// Where it is made, and what it is.
    calls: Table<(Option<usize>, String)>,
}

impl Targets {
    /// Of a fleet's sites; the rest comes with the plans that act upon it.
    pub fn new(places: Places, sites: impl IntoIterator<Item = SiteId>) -> Self {
        let mut targets = Self { places, ..Self::default() };
        for site in sites {
            targets.sites.place(site);
        }
        targets
    }

    /// A database; those of a cluster have to be known before anything is asked of it.
    pub fn database(&mut self, cluster: &ResourceId, site: &SiteId) -> usize {
        let key = (self.clusters.place(cluster.clone()), self.sites.place(site.clone()));
        self.databases.place(key)
    }

    /// What an action does.
    pub fn deed(&mut self, action: &Action) -> Deed {
        match action {
            Action::PostgresPromote { database } => Deed::Promote { database: self.of(database) },
            Action::TrafficDrain { balancer, server } => {
                Deed::Rotate { server: self.server(balancer, server), ready: false }
            }
            Action::TrafficReady { balancer, server } => {
                Deed::Rotate { server: self.server(balancer, server), ready: true }
            }
            Action::TrafficShift { balancer, server, others, weights, .. } => Deed::Weigh {
                server: self.server(balancer, server),
                others: others.iter().map(|other| self.server(balancer, other)).collect(),
                weight: weights.last().copied().unwrap_or(100).min(100),
            },
            Action::DnsSet { server, name, record_type, values, .. } => Deed::Name {
                name: self.names.place(format!("{name} {record_type:?} at {server}")),
                values: self.values.place(values.clone()),
                place: self.find(server),
            },
            Action::HttpRequest { url, method, .. } => {
                let place = self.find(url);
                Deed::Call { call: self.calls.place((place, format!("{method} {url}"))) }
            }
            Action::CommandRun { command, .. } => {
                Deed::Call { call: self.calls.place((None, command.join(" "))) }
            }
            Action::SshRun { host, run, .. } => {
                let place = Some(self.sites.place(host.site.clone()));
                Deed::Call { call: self.calls.place((place, format!("{}: {}", host.name, run.join(" ")))) }
            }
            Action::PostgresRun { database, sql } => {
                let place = Some(self.sites.place(database.site.clone()));
                let what = format!("{}: {}", database.cluster, sql.join("; "));
                Deed::Call { call: self.calls.place((place, what)) }
            }
            Action::WaitUntil { all } => {
                Deed::Wait { questions: all.iter().map(|check| self.question(check)).collect() }
            }
            Action::ApprovalAsk { .. } => Deed::Ask,
            Action::FenceProve { site, any_of } => Deed::Fence {
                site: self.sites.place(site.clone()),
                proofs: any_of.iter().map(proof).collect(),
            },
        }
    }

    /// What a condition asks.
    pub fn question(&mut self, check: &Check) -> Question {
        match check {
            Check::HttpGet { url, .. } => Question::Reach { place: self.find(url) },
            Check::TcpConnect { address } => Question::Reach { place: self.find(address) },
            Check::DnsAnswers { server, name, record_type, is } => Question::Name {
                name: self.names.place(format!("{name} {record_type:?} at {server}")),
                values: self.values.place(is.clone()),
                place: self.find(server),
            },
            Check::PostgresRole { database, is } => Question::Role { database: self.of(database), is: *is },
            Check::PostgresWritable { database } => Question::Writable { database: self.of(database) },
            Check::PostgresLag { replica, others, .. } => {
                for other in others {
                    self.of(other);
                }
                Question::Lag { database: self.of(replica) }
            }
        }
    }

    fn of(&mut self, database: &Database) -> usize {
        self.database(&database.cluster, &database.site)
    }

    fn server(&mut self, balancer: &standfast_core::action::Balancer, server: &str) -> usize {
        let site = self.sites.place(balancer.site.clone());
        self.servers.place((site, balancer.socket.clone(), format!("{}/{server}", balancer.backend)))
    }

    fn find(&mut self, address: &str) -> Option<usize> {
        let site = self.places.find(address)?.clone();
        Some(self.sites.place(site))
    }

    /// All sites.
    pub fn sites(&self) -> &[SiteId] {
        &self.sites.list
    }

    /// The place of a site.
    pub fn site(&self, site: &SiteId) -> Option<usize> {
        self.sites.places.get(site).copied()
    }

    /// All clusters.
    pub fn clusters(&self) -> &[ResourceId] {
        &self.clusters.list
    }

    /// All databases: cluster and site.
    pub fn databases(&self) -> impl Iterator<Item = (&ResourceId, &SiteId)> {
        let databases = self.databases.list.iter();
        databases.map(|&(cluster, site)| (&self.clusters.list[cluster], &self.sites.list[site]))
    }

    /// The servers of a cluster: database and site.
    pub(super) fn servers_of(&self, cluster: &ResourceId) -> impl Iterator<Item = (usize, usize)> + '_ {
        let wanted = self.clusters.places.get(cluster).copied();
        let databases = self.databases.list.iter().enumerate();
        databases
            .filter(move |(_, (cluster, _))| Some(*cluster) == wanted)
            .map(|(database, &(_, site))| (database, site))
    }

    /// The other servers of a database's cluster.
    pub(super) fn rivals(&self, database: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.servers_of(self.cluster_of(database)).filter(move |(other, _)| *other != database)
    }

    /// The sites of the other servers of a cluster that is to be promoted: they are asked first.
    pub fn beside(&self, deed: &Deed) -> Vec<usize> {
        match deed {
            Deed::Promote { database } => self.rivals(*database).map(|(_, site)| site).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn cluster_of(&self, database: usize) -> &ResourceId {
        &self.clusters.list[self.databases.list[database].0]
    }

    pub(super) fn site_of(&self, database: usize) -> usize {
        self.databases.list[database].1
    }

    pub(super) fn server_count(&self) -> usize {
        self.servers.list.len()
    }

    pub(super) fn name_count(&self) -> usize {
        self.names.list.len()
    }

    pub(super) fn call_count(&self) -> usize {
        self.calls.list.len()
    }

    /// How many things there are that remember an epoch.
    pub(super) fn count(&self) -> usize {
        self.databases.list.len() + self.server_count() + self.name_count() + self.call_count()
    }

    /// Where the target of a deed stands; none when it is not in the fleet, or has no target.
    pub fn place_of(&self, deed: &Deed) -> Option<usize> {
        match deed {
            Deed::Promote { database } => Some(self.site_of(*database)),
            Deed::Rotate { server, .. } | Deed::Weigh { server, .. } => Some(self.servers.list[*server].0),
            Deed::Name { place, .. } => *place,
            Deed::Fence { site, .. } => Some(*site),
            Deed::Call { call } => self.calls.list[*call].0,
            Deed::Wait { .. } | Deed::Ask => None,
        }
    }

    /// Where that stands which a question is put to.
    pub fn place_of_question(&self, question: &Question) -> Option<usize> {
        match question {
            Question::Writable { database }
            | Question::Role { database, .. }
            | Question::Lag { database } => Some(self.site_of(*database)),
            Question::Name { place, .. } | Question::Reach { place } => *place,
        }
    }

    /// The place of a deed's target among all that remember an epoch.
    pub(super) fn target_of(&self, deed: &Deed) -> Option<usize> {
        let servers = self.databases.list.len();
        let names = servers + self.server_count();
        let calls = names + self.name_count();
        match deed {
            Deed::Promote { database } => Some(*database),
            Deed::Rotate { server, .. } | Deed::Weigh { server, .. } => Some(servers + server),
            Deed::Name { name, .. } => Some(names + name),
            Deed::Call { call } => Some(calls + call),
            Deed::Fence { .. } | Deed::Wait { .. } | Deed::Ask => None,
        }
    }

    /// Whether a target refuses an epoch that is over: names by the record beside them, what is
    /// called by the header or the variable. A promotion and a balancer cannot.
    pub(super) fn fences(&self, deed: &Deed) -> bool {
        matches!(deed, Deed::Name { .. } | Deed::Call { .. })
    }

    /// A deed's target, for people.
    pub fn name_of(&self, deed: &Deed) -> String {
        match deed {
            Deed::Promote { database } => {
                format!("{} in {}", self.cluster_of(*database), self.sites.list[self.site_of(*database)])
            }
            Deed::Rotate { server, .. } | Deed::Weigh { server, .. } => {
                let (site, _, server) = &self.servers.list[*server];
                format!("{server} in {}", self.sites.list[*site])
            }
            Deed::Name { name, .. } => self.names.list[*name].clone(),
            Deed::Fence { site, .. } => self.sites.list[*site].to_string(),
            Deed::Call { call } => self.calls.list[*call].1.clone(),
            Deed::Wait { .. } | Deed::Ask => String::new(),
        }
    }
}

fn proof(proof: &FenceProof) -> Proof {
    match proof {
        FenceProof::SiteLeaseExpired => Proof::Lease,
        FenceProof::PowerOff { .. } => Proof::Power,
        FenceProof::WritesRefused { .. } => Proof::WritesRefused,
        FenceProof::OperatorWord { .. } => Proof::Word,
    }
}
