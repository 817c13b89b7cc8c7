//! The proof turned on ourselves: if a site vanished now, would Standfast and those who command
//! it still be there?

use super::graph::Loss;
use super::locate::host_of;
use super::model::Model;
use super::quorum::Voters;
use crate::bundle::{self, Bundle, Document};
use crate::decode::{Call, Object, Value};
use crate::finding::{Findings, code::Group, quoted};
use crate::fleet::{Body, Fleet};
use crate::ids::{SecretName, SiteId};
use crate::playbook::{Playbook, Undo};
use crate::source::SourceFile;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What must be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// More than half of the voters of the coordination.
    Majority,
    /// A daemon that can lead.
    Member,
    /// The fleet and its playbooks.
    Bundle,
    /// Every secret that a playbook or a resource names.
    Credentials,
    /// What sees the loss and calls people.
    Alerting,
    /// A way to reach them, and to let them in.
    People,
}

impl What {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Member => "member",
            Self::Bundle => "bundle",
            Self::Credentials => "credentials",
            Self::Alerting => "alerting",
            Self::People => "people",
        }
    }
}

/// Whether one thing is left once a site is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What.
    pub what: What,
    /// Whether it is; nothing when neither the fleet nor anybody else says where it stands.
    pub left: Option<bool>,
    /// Why.
    pub why: String,
    /// From it to the site, when it goes with the site.
    pub path: Vec<String>,
}

/// What is left once a site is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survival {
    /// The site.
    pub site: SiteId,
    /// All six, in the order of [`What`].
    pub parts: Vec<Part>,
}

impl Survival {
    /// Whether everything is left. What nobody knows counts as lost.
    pub fn survives(&self) -> bool {
        self.parts.iter().all(|part| part.left == Some(true))
    }
}

/// What is known beside the fleet's own words, which go before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The site of every member that is alive.
    pub members: Vec<SiteId>,
    /// Hosts or URLs of the coordination's endpoints.
    pub voters: Vec<String>,
}

/// For every site of a bundle, what would be left without it.
pub fn of(bundle: &Bundle, known: &Known) -> Vec<Survival> {
    of_fleet(&bundle.fleet, &bundle.playbooks.values().collect::<Vec<_>>(), known)
}

/// As [`of`], of files that may have findings; nothing when they cannot be understood.
pub fn of_files(mut files: Vec<SourceFile>) -> Option<Vec<Survival>> {
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut findings = Findings::default();
    let documents = bundle::decode(&files, &mut findings);
    if documents.cut || findings.has_errors_in(Group::Structure) {
        return None;
    }
    let (mut fleet, mut playbooks) = (None, Vec::new());
    for document in &documents.list {
        match document {
            Document::Fleet { fleet: found, .. } => fleet = Some(&**found),
            Document::Playbook { playbook, .. } => playbooks.push(&**playbook),
        }
    }
    fleet.map(|fleet| of_fleet(fleet, &playbooks, &Known::default()))
}

fn of_fleet(fleet: &Fleet, playbooks: &[&Playbook], known: &Known) -> Vec<Survival> {
    let model = Model::of(fleet);
    let us = Us::of(&model, playbooks, known);
    let mut loss = Loss::of(&model.graph);
    let sites = 0..model.sites.len();
    sites
        .map(|site| {
            loss.lose(&model.graph, &[model.site_node(site)]);
            Survival { site: model.sites[site].clone(), parts: us.parts(&model, &loss, site) }
        })
        .collect()
}

/// Where we stand ourselves.
struct Us {
    /// By number of the site.
    voters: Option<Vec<usize>>,
    /// Names, and numbers of the sites.
    members: Option<Vec<(String, usize)>>,
    secrets: BTreeSet<SecretName>,
}

impl Us {
    fn of(model: &Model<'_>, playbooks: &[&Playbook], known: &Known) -> Self {
        let control = &model.fleet.control;
        let mut voters = Voters::of(model).sites;
        if voters.is_empty() {
            let hosts = known.voters.iter().filter_map(|voter| host_of(voter));
            let sites: Option<Vec<usize>> =
                hosts.map(|host| model.stands_in(&host)?.first().copied()).collect();
            voters = sites.unwrap_or_default();
        }
        let named = control.members.iter().map(|(id, member)| (id.to_string(), &member.site.value));
        let alive = known.members.iter().map(|site| (format!("the member in {site}"), site));
        let numbered = |(name, site): (String, &SiteId)| Some((name, model.site(site)?));
        let members: Vec<_> = match control.members.is_empty() {
            false => named.filter_map(numbered).collect(),
            true => alive.filter_map(numbered).collect(),
        };
        Self {
            voters: (!voters.is_empty()).then_some(voters),
            members: (!members.is_empty()).then_some(members),
            secrets: secrets(model.fleet, playbooks),
        }
    }

    fn parts(&self, model: &Model<'_>, loss: &Loss, site: usize) -> Vec<Part> {
        vec![
            self.majority(model, site),
            self.member(model, site, What::Member),
            self.member(model, site, What::Bundle),
            self.credentials(model, loss, site),
            list(model, loss, What::Alerting, &["alerting"]),
            list(model, loss, What::People, &["channels", "identity"]),
        ]
    }

    fn majority(&self, model: &Model<'_>, site: usize) -> Part {
        let Some(voters) = &self.voters else {
            return unknown(What::Majority, "nobody says where the voters stand (control: {voters: …})");
        };
        let left = voters.iter().filter(|voter| **voter != site).count();
        let majority = voters.len() / 2 + 1;
        let why = format!("{left} of {} voters are left, {majority} are a majority", voters.len());
        let path = vec!["voters".to_owned(), model.sites[site].to_string()];
        Part { what: What::Majority, left: Some(left >= majority), why, path: gone(left < majority, path) }
    }

    fn member(&self, model: &Model<'_>, site: usize, what: What) -> Part {
        let Some(members) = &self.members else {
            return unknown(what, "nobody says where the members stand (control: {members: …})");
        };
        let verb = if what == What::Bundle { "keeps it on its disk" } else { "is left" };
        match members.iter().find(|(_, other)| *other != site) {
            Some((name, other)) => Part {
                what,
                left: Some(true),
                why: format!("{} in {} {verb}", quoted(name), quoted(model.sites[*other].as_str())),
                path: Vec::new(),
            },
            None => {
                let path = members.iter().take(1).map(|(name, _)| name.clone());
                let path = path.chain([model.sites[site].to_string()]).collect();
                Part { what, left: Some(false), why: "every member is in this site".into(), path }
            }
        }
    }

    fn credentials(&self, model: &Model<'_>, loss: &Loss, site: usize) -> Part {
        let what = What::Credentials;
        let stored = |secret: &&SecretName| model.fleet.secrets.contains_key(*secret);
        let dead = self.secrets.iter().filter_map(|secret| Some((secret, model.secret_node(secret)?)));
        let mut dead = dead.filter(|(_, node)| loss.is_dead(*node));
        if let Some((secret, node)) = dead.next() {
            let more = dead.count();
            let more = if more > 0 { format!(", nor can {more} more") } else { String::new() };
            let why = format!("{} cannot be read any more{more}", quoted(secret.as_str()));
            let path = loss.way(node).into_iter().map(|node| model.graph.label(node).to_owned()).collect();
            return Part { what, left: Some(false), why, path };
        }
        if self.secrets.is_empty() {
            return Part { what, left: Some(true), why: "none are needed".into(), path: Vec::new() };
        }
        if self.secrets.iter().all(|secret| stored(&secret)) {
            let why = "what keeps them is left".into();
            return Part { what, left: Some(true), why, path: Vec::new() };
        }
        // The others lie in files beside every member.
        let beside = self.member(model, site, what);
        let why = match beside.left {
            None => "they lie beside the members, and nobody says where those stand".into(),
            Some(true) => "they lie beside every member, and one is left".into(),
            Some(false) => "they lie beside the members, and every one is in this site".into(),
        };
        Part { why, ..beside }
    }
}

/// Whether these lists are left; those that the fleet is silent about are passed over, unless
/// it is the first one.
fn list(model: &Model<'_>, loss: &Loss, what: What, keys: &[&str]) -> Part {
    let first = keys.first().copied().unwrap_or_default();
    if model.list(first).is_none() {
        return unknown(what, &format!("nobody says on what it stands (control: {{{first}: …}})"));
    }
    for key in keys {
        if let Some(node) = model.list(key).filter(|node| loss.is_dead(*node)) {
            let path = loss.way(node).into_iter().map(|node| model.graph.label(node).to_owned()).collect();
            let why = format!("nothing of `{key}` is left");
            return Part { what, left: Some(false), why, path };
        }
    }
    let why = format!("something of `{}` is left", keys.join("` and `"));
    Part { what, left: Some(true), why, path: Vec::new() }
}

fn unknown(what: What, why: &str) -> Part {
    Part { what, left: None, why: why.to_owned(), path: Vec::new() }
}

fn gone(is: bool, path: Vec<String>) -> Vec<String> {
    if is { path } else { Vec::new() }
}

/// Every secret that the resources and the playbooks name.
fn secrets(fleet: &Fleet, playbooks: &[&Playbook]) -> BTreeSet<SecretName> {
    let mut all = BTreeSet::new();
    for resource in fleet.resources.values() {
        match &resource.body {
            Body::Postgres(servers) => {
                all.extend(servers.values().filter_map(|server| server.password.clone()));
            }
            Body::Dns(dns) => {
                all.insert(dns.key.clone());
            }
            Body::Ssh(logins) => all.extend(logins.values().filter_map(|login| login.key.clone())),
            Body::Endpoint(_) | Body::Route { .. } => {}
        }
    }
    for step in playbooks.iter().flat_map(|playbook| playbook.flat()) {
        in_call(&step.call, &mut all);
        if let Some(Undo::Act(call)) = &step.undo {
            in_call(call, &mut all);
        }
    }
    all
}

fn in_call(call: &Call, all: &mut BTreeSet<SecretName>) {
    in_object(&call.args, all);
}

fn in_object(object: &Object, all: &mut BTreeSet<SecretName>) {
    object.fields.iter().for_each(|(_, value)| in_value(&value.value, all));
    object.call.iter().for_each(|call| in_call(call, all));
}

fn in_value(value: &Value, all: &mut BTreeSet<SecretName>) {
    match value {
        Value::Secret(name) => drop(all.insert(name.clone())),
        Value::List(items) => items.iter().for_each(|item| in_value(&item.value, all)),
        Value::Map(entries) => entries.iter().for_each(|(_, item)| in_value(&item.value, all)),
        Value::Object(object) => in_object(object, all),
        _ => {}
    }
}
