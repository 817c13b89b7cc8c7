//! The fleet as a graph: sites, hosts, secrets, resources, services, people.

use super::graph::{Graph, NodeId};
use super::locate::{Map, Stands, host_of, hosts_of_dsn};
use crate::fleet::{Body, Fleet, Home, Resource, Service, ServiceKind};
use crate::ids::{ResourceId, SecretName, ServiceId, SiteId};
use crate::source::{Place, Spanned};
use std::collections::{BTreeMap, BTreeSet};

/// A fleet as a graph. Services and sites have numbers in the order of their names.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) graph: Graph<'a>,
    pub(crate) map: Map,
    /// Names of the sites, by number.
    pub(crate) sites: Vec<&'a SiteId>,
    site_numbers: BTreeMap<&'a str, usize>,
    /// By number; their node is `service_node(number)`.
    pub(crate) services: Vec<(&'a ServiceId, &'a Service)>,
    service_numbers: BTreeMap<&'a str, usize>,
    /// What each service cannot work without, by number.
    needs: Vec<Vec<usize>>,
    first_service: u32,
    /// What of a resource stands in a site; `None` is what it needs wherever it is used.
    sides: BTreeMap<(&'a str, Option<usize>), NodeId>,
    /// The services that are this resource.
    owners: BTreeMap<&'a str, Vec<usize>>,
    hosts: BTreeMap<String, NodeId>,
    secrets: BTreeMap<&'a str, NodeId>,
    lists: BTreeMap<&'static str, NodeId>,
    /// For each home of such a list the nodes of which any is enough; `None`: outside.
    homes: BTreeMap<&'static str, Vec<Option<Vec<NodeId>>>>,
    roles: BTreeMap<&'a str, NodeId>,
    /// Hosts that stand nowhere, and where they are named.
    pub(crate) nowhere: BTreeSet<(Place, String)>,
}

impl<'a> Model<'a> {
    /// Of a fleet whose names were all found.
    pub(crate) fn of(fleet: &'a Fleet) -> Self {
        let mut graph = Graph::default();
        let sites: Vec<&SiteId> = fleet.sites.keys().collect();
        for site in &sites {
            graph.add(site.as_str());
        }
        let first_service = u32::try_from(sites.len()).expect("sites are few");
        let services: Vec<_> = fleet.services.iter().collect();
        for (id, _) in &services {
            graph.add(id.as_str());
        }
        let service_numbers: BTreeMap<&str, usize> =
            services.iter().enumerate().map(|(i, (id, _))| (id.as_str(), i)).collect();
        let numbers = |(_, service): &(&ServiceId, &Service)| {
            let needs = service.needs.iter();
            needs.filter_map(|need| service_numbers.get(need.value.as_str()).copied()).collect()
        };
        let needs = services.iter().map(numbers).collect();
        let mut model = Self {
            fleet,
            graph,
            map: Map::of(fleet),
            site_numbers: sites.iter().enumerate().map(|(index, id)| (id.as_str(), index)).collect(),
            sites,
            service_numbers,
            services,
            needs,
            first_service,
            sides: BTreeMap::new(),
            owners: BTreeMap::new(),
            hosts: BTreeMap::new(),
            secrets: BTreeMap::new(),
            lists: BTreeMap::new(),
            homes: BTreeMap::new(),
            roles: BTreeMap::new(),
            nowhere: BTreeSet::new(),
        };
        model.own_resources();
        model.place_services();
        model.place_control();
        model.look_everything_up();
        model
    }

    /// What no playbook uses must be found all the same: tomorrow one does.
    fn look_everything_up(&mut self) {
        for secret in self.fleet.secrets.keys() {
            self.secret(secret);
        }
        for (id, resource) in &self.fleet.resources {
            if matches!(resource.body, Body::Dns(_)) {
                self.side(id.as_str(), None);
            }
        }
    }

    pub(crate) fn site(&self, id: &SiteId) -> Option<usize> {
        self.site_numbers.get(id.as_str()).copied()
    }

    pub(crate) fn site_node(&self, site: usize) -> NodeId {
        NodeId(u32::try_from(site).expect("sites are few"))
    }

    pub(crate) fn service(&self, id: &ServiceId) -> Option<usize> {
        self.service_numbers.get(id.as_str()).copied()
    }

    pub(crate) fn service_node(&self, service: usize) -> NodeId {
        NodeId(self.first_service + u32::try_from(service).expect("services are fewer than bytes"))
    }

    /// The service that a node is, by number.
    pub(crate) fn service_of(&self, node: NodeId) -> Option<usize> {
        let number = node.0.checked_sub(self.first_service)? as usize;
        (number < self.services.len()).then_some(number)
    }

    /// The services that this one cannot work without, by number.
    pub(crate) fn needs_of(&self, service: usize) -> impl Iterator<Item = usize> {
        self.needs[service].iter().copied()
    }

    /// The services that are this resource.
    pub(crate) fn owners_of(&self, resource: &str) -> &[usize] {
        self.owners.get(resource).map(Vec::as_slice).unwrap_or_default()
    }

    /// The node of what a list of the section `control` names, if it names anything.
    pub(crate) fn list(&self, key: &str) -> Option<NodeId> {
        self.lists.get(key).copied()
    }

    /// For each home of a list of the section `control` the nodes of which any is enough.
    pub(crate) fn homes(&self, key: &str) -> &[Option<Vec<NodeId>>] {
        self.homes.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// A service is the resources that it names, or the one of its own name.
    fn own_resources(&mut self) {
        for (number, (id, service)) in self.services.iter().enumerate() {
            let own = self.fleet.resources.get_key_value(id.as_str()).map(|(id, _)| id.as_str());
            let named = service.resources.iter().map(|resource| resource.value.as_str());
            let own = own.filter(|_| service.resources.is_empty());
            for resource in named.chain(own) {
                self.owners.entry(resource).or_default().push(number);
            }
        }
    }

    fn place_services(&mut self) {
        let mut owned: BTreeMap<usize, Vec<&'a str>> = BTreeMap::new();
        for (resource, owners) in &self.owners {
            for owner in owners {
                owned.entry(*owner).or_default().push(resource);
            }
        }
        for number in 0..self.services.len() {
            let (id, service) = self.services[number];
            let node = self.service_node(number);
            let needs: BTreeSet<usize> = self.needs_of(number).collect();
            for need in needs {
                self.graph.need(node, self.service_node(need));
            }
            let mut places = Vec::new();
            for (site, placement) in &service.runs_in {
                let Some(site) = self.site(site) else { continue };
                let mut elsewhere = Vec::new();
                for resource in owned.get(&number).into_iter().flatten() {
                    let hosts = self.hosts_in(resource, site);
                    elsewhere.extend(self.foreign(&hosts, site));
                }
                let place = match elsewhere.is_empty() {
                    true => self.site_node(site),
                    false => {
                        let place = self.graph.add(format!("{id} in {}", self.sites[site]));
                        self.graph.need(place, self.site_node(site));
                        elsewhere.into_iter().for_each(|host| self.graph.need(place, host));
                        place
                    }
                };
                places.push((place, placement.share));
            }
            let whole: u32 = places.iter().map(|(_, share)| *share).sum();
            // Part of an application serves part of the customers; part of the data is not the data.
            let enough = if service.kind == ServiceKind::Data { whole.min(100) } else { 1 };
            self.graph.places(node, places, enough.max(1));
        }
    }

    fn place_control(&mut self) {
        let control = &self.fleet.control;
        for (key, homes) in control.lists() {
            let homes: Vec<_> = homes.any.iter().map(|home| self.home(home)).collect();
            let node = self.any_of(key.replace('_', " "), &homes);
            self.lists.insert(key, node);
            self.homes.insert(key, homes);
        }
        for role in self.fleet.roles.keys() {
            let node = self.graph.add(role.as_str());
            for list in ["identity", "channels"].into_iter().filter_map(|key| self.lists.get(key)) {
                self.graph.need(node, *list);
            }
            self.roles.insert(role, node);
        }
    }

    /// A node that lives as long as one of these homes does.
    fn any_of(&mut self, label: String, homes: &[Option<Vec<NodeId>>]) -> NodeId {
        let node = self.graph.add(label);
        let places: Vec<_> = homes.iter().flatten().flatten().map(|node| (*node, 1)).collect();
        // What has a home outside does not depend on the others.
        if homes.iter().all(Option::is_some) && !places.is_empty() {
            self.graph.places(node, places, 1);
        }
        node
    }

    /// Any of these nodes is enough; `None` when it needs none of the sites.
    pub(crate) fn home(&mut self, home: &'a Home) -> Option<Vec<NodeId>> {
        match home {
            Home::Service(service) => {
                self.service(&service.value).map(|number| vec![self.service_node(number)])
            }
            Home::Host(host) => {
                let name = host_of(&host.value)?;
                self.host(&name, Some(host.at)).map(|node| vec![node])
            }
            Home::Sites(sites) => {
                let known = sites.iter().filter_map(|site| self.site(&site.value));
                Some(known.map(|site| self.site_node(site)).collect())
            }
            Home::Outside(_) => None,
        }
    }

    /// The node of a host; `None` when it needs none of the sites. A host that stands nowhere
    /// is noted when `at` says where it is named.
    pub(crate) fn host(&mut self, name: &str, at: Option<Place>) -> Option<NodeId> {
        if let Some(node) = self.hosts.get(name) {
            return Some(*node);
        }
        let sites = match self.map.find(name) {
            Stands::In(sites) => sites.to_vec(),
            Stands::Outside | Stands::Here => return None,
            Stands::Nowhere => {
                if let Some(at) = at {
                    self.nowhere.insert((at, name.to_owned()));
                }
                return None;
            }
        };
        let node = self.graph.add(name.to_owned());
        for site in sites {
            self.graph.need(node, self.site_node(site));
        }
        self.hosts.insert(name.to_owned(), node);
        Some(node)
    }

    /// The node of a secret; `None` when it lies beside every member.
    pub(crate) fn secret(&mut self, name: &SecretName) -> Option<NodeId> {
        let (name, home) = self.fleet.secrets.get_key_value(name)?;
        if let Some(node) = self.secrets.get(name.as_str()) {
            return Some(*node);
        }
        let homes = self.home(home)?;
        let node = self.graph.add(name.as_str());
        self.graph.places(node, homes.into_iter().map(|home| (home, 1)).collect(), 1);
        self.secrets.insert(name.as_str(), node);
        Some(node)
    }

    /// The node of a secret that was looked up before; `None` when it lies beside every member.
    pub(crate) fn secret_node(&self, name: &SecretName) -> Option<NodeId> {
        self.secrets.get(name.as_str()).copied()
    }

    /// The sites in which a host stands; `None` when it is in none, or nobody knows.
    pub(crate) fn stands_in(&self, host: &str) -> Option<&[usize]> {
        match self.map.find(host) {
            Stands::In(sites) => Some(sites),
            Stands::Outside | Stands::Here | Stands::Nowhere => None,
        }
    }

    pub(crate) fn role(&self, name: &str) -> Option<NodeId> {
        self.roles.get(name).copied()
    }

    /// What must be there for a resource to be used in a site.
    pub(crate) fn side(&mut self, resource: &str, site: Option<usize>) -> Option<NodeId> {
        let (id, body): (&'a ResourceId, &'a Resource) = self.fleet.resources.get_key_value(resource)?;
        // A record is the same wherever it is changed from.
        let site = if matches!(body.body, Body::Dns(_)) { None } else { site };
        let key = (id.as_str(), site);
        if let Some(node) = self.sides.get(&key) {
            return Some(*node);
        }
        let mut needs = Vec::new();
        if let Some(site) = site {
            needs.push(self.site_node(site));
            let hosts = self.hosts_in(id.as_str(), site);
            needs.extend(self.foreign(&hosts, site));
        }
        for secret in secrets_of(&body.body, site.map(|site| self.sites[site])) {
            needs.extend(self.secret(secret));
        }
        if let Body::Dns(dns) = &body.body
            && let Some(host) = host_of(&dns.server)
        {
            needs.extend(self.host(&host, Some(body.at)));
        }
        let node = self.graph.add(id.as_str());
        needs.into_iter().for_each(|need| self.graph.need(node, need));
        self.sides.insert(key, node);
        Some(node)
    }

    /// The hosts by which a resource is reached in a site.
    fn hosts_in(&self, resource: &str, site: usize) -> Vec<String> {
        let Some(resource) = self.fleet.resources.get(resource) else { return Vec::new() };
        let site = self.sites[site];
        match &resource.body {
            Body::Endpoint(urls) => urls.get(site).and_then(|url| host_of(url)).into_iter().collect(),
            Body::Postgres(servers) => {
                servers.get(site).map(|server| hosts_of_dsn(&server.dsn)).unwrap_or_default()
            }
            Body::Route { haproxy, .. } => {
                haproxy.get(site).and_then(|socket| host_of(socket)).into_iter().collect()
            }
            Body::Ssh(logins) => {
                logins.get(site).and_then(|login| host_of(&login.address)).into_iter().collect()
            }
            Body::Dns(_) => Vec::new(),
        }
    }

    /// Of these hosts those that stand in another site than the one they are named for.
    fn foreign(&mut self, hosts: &[String], site: usize) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        for host in hosts {
            if !matches!(self.map.find(host), Stands::In(sites) if sites == [site]) {
                nodes.extend(self.host(host, None));
            }
        }
        nodes
    }
}

/// The secrets with which a resource is used in a site.
fn secrets_of<'b>(body: &'b Body, site: Option<&SiteId>) -> Vec<&'b SecretName> {
    match body {
        Body::Postgres(servers) => {
            let server = site.and_then(|site| servers.get(site));
            server.and_then(|server| server.password.as_ref()).into_iter().collect()
        }
        Body::Ssh(logins) => {
            let login = site.and_then(|site| logins.get(site));
            login.and_then(|login| login.key.as_ref()).into_iter().collect()
        }
        Body::Dns(dns) => vec![&dns.key],
        Body::Endpoint(_) | Body::Route { .. } => Vec::new(),
    }
}

/// The names of services in a list, by number.
pub(crate) fn numbers<'a>(
    model: &'a Model<'_>,
    names: &'a [Spanned<ServiceId>],
) -> impl Iterator<Item = usize> + 'a {
    names.iter().filter_map(|name| model.service(&name.value))
}
