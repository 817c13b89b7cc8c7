//! What Standfast itself and its people stand on, and what shows that they can do it.

use crate::date::Date;
use crate::decode::{Object, Value};
use crate::ids::{MemberId, PlaybookId, SecretName, ServiceId, SiteId};
use crate::source::{Place, Spanned};
use crate::time::Span;
use std::collections::BTreeMap;

/// Where something lives that is no service of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// In a service, and wherever that runs.
    Service(Spanned<ServiceId>),
    /// At this host, address or URL; its domain or its network says in which site.
    Host(Spanned<String>),
    /// In any of these sites.
    Sites(Vec<Spanned<SiteId>>),
    /// In none of the sites: at a provider, in people's pockets.
    Outside(Spanned<String>),
}

/// A list of homes of which one is enough, and where its key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Homes {
    /// Where the key stands.
    pub at: Place,
    /// Any of these.
    pub any: Vec<Home>,
}

/// One daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where its name stands.
    pub at: Place,
    /// Where it runs.
    pub site: Spanned<SiteId>,
    /// When its host is updated by itself, in people's words.
    pub updates: Option<Spanned<String>>,
}

/// What Standfast and its people stand on. What is absent was not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Where the section's key stands.
    pub at: Option<Place>,
    /// The voters of the coordination, each with its site.
    pub voters: BTreeMap<String, Spanned<SiteId>>,
    /// The daemons.
    pub members: BTreeMap<MemberId, Member>,
    /// The role that commands.
    pub incident_owner: Option<Spanned<String>>,
    /// What approvers need to be let in.
    pub identity: Option<Homes>,
    /// How people are reached.
    pub channels: Option<Homes>,
    /// What sees a loss and calls people.
    pub alerting: Option<Homes>,
    /// Where customers read what happens.
    pub status_page: Option<Homes>,
    /// Who answers for the names of the business.
    pub name_servers: Option<Homes>,
    /// Where artefacts and images come from.
    pub registries: Option<Homes>,
    /// Who takes mail in.
    pub mail: Option<Homes>,
}

/// What a record of evidence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A whole site was left.
    Site,
    /// Some services were moved.
    Services,
    /// Only load was put on.
    Load,
}

/// How it was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Done on purpose, for real.
    Drill,
    /// Done in need.
    Run,
    /// Done in a model.
    Simulation,
}

/// A drill, a run or a simulation on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where it stands.
    pub at: Place,
    /// How it was come by.
    pub kind: Kind,
    /// How far it went.
    pub scope: Scope,
    /// The site that was left.
    pub site: Option<Spanned<SiteId>>,
    /// What was run.
    pub playbook: Option<Spanned<PlaybookId>>,
    /// When.
    pub date: Spanned<Date>,
    /// Whether it did what it should.
    pub passed: bool,
    /// How long each service was away; of a simulation the 95th of 100.
    pub took: BTreeMap<ServiceId, Span>,
}

impl Homes {
    fn build(object: &Object, key: &str) -> Option<Self> {
        let (_, at) = object.given.iter().find(|(name, _)| *name == key)?;
        let any: Vec<_> = object.list(key).iter().filter_map(|item| Home::build(&item.value)).collect();
        (!any.is_empty()).then_some(Self { at: *at, any })
    }
}

impl Home {
    /// The home of a decoded value; nothing when it could not be read.
    pub(super) fn build(value: &Value) -> Option<Self> {
        let object = value.object()?;
        let text = |key| object.spanned_text(key);
        if let Some(service) = text("service") {
            return Some(Self::Service(Spanned::new(service.value.into(), service.at)));
        }
        if let Some(host) = text("host") {
            return Some(Self::Host(host));
        }
        if let Some(outside) = text("outside") {
            return Some(Self::Outside(outside));
        }
        let site = |text: Spanned<String>| Spanned::new(SiteId::new(text.value), text.at);
        let sites: Vec<_> = object.texts("site").into_iter().map(site).collect();
        (!sites.is_empty()).then_some(Self::Sites(sites))
    }
}

impl Control {
    pub(super) fn build(root: &Object) -> Self {
        let Some(object) = root.object("control") else { return Self::default() };
        let site = |text: Spanned<String>| Spanned::new(SiteId::new(text.value), text.at);
        Self {
            at: root.given.iter().find(|(name, _)| *name == "control").map(|(_, at)| *at),
            voters: object
                .map("voters")
                .iter()
                .filter_map(|(name, value)| {
                    let text = Spanned::new(value.value.text()?.to_owned(), value.at);
                    Some((name.value.clone(), site(text)))
                })
                .collect(),
            members: object
                .map("members")
                .iter()
                .filter_map(|(name, value)| {
                    let member = value.value.object()?;
                    let site = site(member.spanned_text("site")?);
                    let updates = member.spanned_text("updates");
                    Some((MemberId::new(name.value.as_str()), Member { at: name.at, site, updates }))
                })
                .collect(),
            incident_owner: object.spanned_text("incident_owner"),
            identity: Homes::build(object, "identity"),
            channels: Homes::build(object, "channels"),
            alerting: Homes::build(object, "alerting"),
            status_page: Homes::build(object, "status_page"),
            name_servers: Homes::build(object, "name_servers"),
            registries: Homes::build(object, "registries"),
            mail: Homes::build(object, "mail"),
        }
    }

    /// Every list of homes with its key.
    pub fn lists(&self) -> impl Iterator<Item = (&'static str, &Homes)> {
        let lists = [
            ("identity", &self.identity),
            ("channels", &self.channels),
            ("alerting", &self.alerting),
            ("status_page", &self.status_page),
            ("name_servers", &self.name_servers),
            ("registries", &self.registries),
            ("mail", &self.mail),
        ];
        lists.into_iter().filter_map(|(key, homes)| Some((key, homes.as_ref()?)))
    }
}

/// Where each secret lives that does not lie beside every member.
pub(super) fn secrets(root: &Object) -> BTreeMap<SecretName, Home> {
    let entry = |(name, value): &(Spanned<String>, Spanned<Value>)| {
        Some((SecretName::new(name.value.as_str()), Home::build(&value.value)?))
    };
    root.map("secrets").iter().filter_map(entry).collect()
}

impl Evidence {
    pub(super) fn build(at: Place, object: &Object) -> Option<Self> {
        let date = object.date("date")?;
        Some(Self {
            at,
            kind: match object.text("kind")? {
                "run" => Kind::Run,
                "simulation" => Kind::Simulation,
                _ => Kind::Drill,
            },
            scope: match object.text("scope") {
                Some("site") => Scope::Site,
                Some("load") => Scope::Load,
                _ => Scope::Services,
            },
            site: object.spanned_text("site").map(|text| Spanned::new(SiteId::new(text.value), text.at)),
            playbook: object
                .spanned_text("playbook")
                .map(|text| Spanned::new(PlaybookId::new(text.value), text.at)),
            date: Spanned::new(date, object.get("date")?.at),
            passed: object.text("result")? == "passed",
            took: object
                .map("took")
                .iter()
                .filter_map(|(name, value)| match value.value {
                    Value::Span(span) => Some((ServiceId::new(name.value.as_str()), span)),
                    _ => None,
                })
                .collect(),
        })
    }
}
