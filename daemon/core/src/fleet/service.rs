//! Services: what the business runs, where, and what each cannot do without.

use crate::decode::{Object, Value};
use crate::ids::{ResourceId, ServiceId, SiteId};
use crate::source::{Place, Spanned};
use crate::time::Span;
use std::collections::BTreeMap;

/// What a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// Serves customers.
    App,
    /// Keeps data.
    Data,
    /// Operates the others.
    Tooling,
    /// Leads customers to the others.
    Traffic,
    /// People at work.
    People,
}

impl ServiceKind {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Data => "data",
            Self::Tooling => "tooling",
            Self::Traffic => "traffic",
            Self::People => "people",
        }
    }
}

/// How changes reach the copies of data in other sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// Before they are acknowledged.
    Sync,
    /// After they are acknowledged.
    Async,
}

/// What of a service stands in a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Where the site's name stands.
    pub at: Place,
    /// Whether it serves there now; otherwise it could.
    pub active: bool,
    /// In percent: how much of the service this place can carry or, of data, holds.
    pub share: u32,
    /// How many instances stand there.
    pub copies: u64,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Where its name stands.
    pub at: Place,
    /// 0 is what everything else needs.
    pub tier: u64,
    /// Who is called.
    pub owner: Option<String>,
    /// What it is.
    pub kind: ServiceKind,
    /// The resources that it is, by name. When none is given, that of its own name.
    pub resources: Vec<Spanned<ResourceId>>,
    /// The longest it may be away.
    pub rto: Option<Span>,
    /// The most that may be lost.
    pub rpo: Option<Span>,
    /// Where its objectives stand.
    pub objectives_at: Option<Place>,
    /// Where it is, and where it could be.
    pub runs_in: BTreeMap<SiteId, Placement>,
    /// Services that it cannot work without.
    pub needs: Vec<Spanned<ServiceId>>,
    /// Services that it works better with.
    pub wants: Vec<Spanned<ServiceId>>,
    /// Services that it cannot be started without, once it stands still everywhere.
    pub starts_with: Vec<Spanned<ServiceId>>,
    /// How much capacity it takes, in the unit of the sites' capacity.
    pub load: Option<u64>,
    /// How many sites, power feeds or fire compartments it claims to lose without harm.
    pub survives: Option<Spanned<u64>>,
    /// How changes reach its other copies.
    pub replication: Option<Replication>,
}

impl Service {
    /// The sites in which it serves now.
    pub fn active_in(&self) -> impl Iterator<Item = &SiteId> {
        self.runs_in.iter().filter(|(_, placement)| placement.active).map(|(site, _)| site)
    }

    /// Whether it serves there now.
    pub fn is_active_in(&self, site: &SiteId) -> bool {
        self.runs_in.get(site).is_some_and(|placement| placement.active)
    }

    pub(super) fn build(at: Place, object: &Object) -> Option<Self> {
        let objective = |key| object.object("objectives").and_then(|objectives| objectives.span(key));
        Some(Self {
            at,
            tier: object.number("tier").unwrap_or(1),
            owner: object.text("owner").map(str::to_owned),
            kind: match object.text("kind") {
                Some("data") => ServiceKind::Data,
                Some("tooling") => ServiceKind::Tooling,
                Some("traffic") => ServiceKind::Traffic,
                Some("people") => ServiceKind::People,
                _ => ServiceKind::App,
            },
            resources: names(object, "resource"),
            rto: objective("rto"),
            rpo: objective("rpo"),
            objectives_at: object.get("objectives").map(|value| value.at),
            runs_in: object.map("runs_in").iter().filter_map(placement).collect(),
            needs: names(object, "needs"),
            wants: names(object, "wants"),
            starts_with: names(object, "starts_with"),
            load: object.number("load"),
            survives: object
                .number("survives")
                .and_then(|number| Some(Spanned::new(number, object.get("survives")?.at))),
            replication: match object.text("replication") {
                Some("sync") => Some(Replication::Sync),
                Some("async") => Some(Replication::Async),
                _ => None,
            },
        })
    }
}

fn names<'a, T: From<&'a str>>(object: &'a Object, key: &str) -> Vec<Spanned<T>> {
    let name = |item: &'a Spanned<Value>| Some(Spanned::new(item.value.text()?.into(), item.at));
    object.list(key).iter().filter_map(name).collect()
}

/// A word alone is a whole placement: all of the service, once.
fn placement((site, value): &(Spanned<String>, Spanned<Value>)) -> Option<(SiteId, Placement)> {
    let whole = |form: &str| Placement { at: site.at, active: form == "active", share: 100, copies: 1 };
    let placement = match &value.value {
        Value::Text(form) => whole(form),
        Value::Object(object) => Placement {
            share: object.number("share").and_then(|share| u32::try_from(share).ok()).unwrap_or(100),
            copies: object.number("copies").unwrap_or(1),
            ..whole(object.text("form")?)
        },
        _ => return None,
    };
    Some((site.value.as_str().into(), placement))
}
