//! From decoded values to a fleet. What is missing here was reported by the decoder.

use super::limits;
use super::{
    Body, Control, Dns, Evidence, Fleet, Login, OnLoss, Outside, Probes, Resource, Sentry, Server, Service,
    Site, control,
};
use crate::check::RecordType;
use crate::decode::{Object, Value};
use crate::ids::{Identity, PlaybookId, SecretName, SiteId};
use crate::rules::{Automation, Looks, Role, Switch};
use crate::schema::fleet::TIMING;
use crate::source::{Place, Spanned};
use crate::timing::{Profile, Timing};
use crate::window::Written;
use std::collections::{BTreeMap, BTreeSet};

impl Fleet {
    /// The fleet of a decoded file.
    pub fn build(root: &Object) -> Self {
        let (timing, timing_at) = timing(root.object("timing"));
        let automation = match root.text("automation") {
            Some("off") => Automation::Off,
            Some("act") => Automation::Act,
            _ => Automation::Advise,
        };
        let mut broken = BTreeSet::new();
        Self {
            name: root.spanned_text("fleet").unwrap_or_else(|| Spanned::new(String::new(), root.at)),
            sites: named(root, "sites", site, &mut broken),
            timing,
            timing_at,
            automation: Spanned::new(automation, root.get("automation").map_or(root.at, |value| value.at)),
            single_observer: root.text("single_observer").is_some(),
            lab: root.flag("lab").unwrap_or(false),
            roles: root
                .map("roles")
                .iter()
                .map(|(name, list)| {
                    let members = texts(&list.value).into_iter().map(Identity::new).collect();
                    (name.value.clone(), members)
                })
                .collect(),
            canaries: root
                .was_given("canaries")
                .then(|| root.calls("canaries").into_iter().cloned().collect()),
            probes: root
                .map("probes")
                .iter()
                .map(|(site, list)| {
                    let calls = list.value.calls().into_iter().cloned().collect();
                    (SiteId::new(site.value.as_str()), Probes { at: site.at, calls })
                })
                .collect(),
            services: named(root, "services", Service::build, &mut broken),
            resources: named(root, "resources", resource, &mut broken),
            power_off: root.map("fence").iter().filter_map(power_off).collect(),
            readiness: looks(root),
            switches: named(root, "switches", switch, &mut broken),
            limits: limits::limits(root),
            limits_at: limits::places(root),
            windows: named(root, "freeze_windows", window, &mut broken),
            sentries: named(root, "sentries", Sentry::build, &mut broken),
            on_loss: root.list("on_loss").iter().filter_map(|entry| on_loss(entry.value.object()?)).collect(),
            full_proof: root.text("proof") == Some("full"),
            outside: root.object("outside").map(outside).unwrap_or_default(),
            secrets: control::secrets(root),
            control: Control::build(root),
            evidence: root
                .list("evidence")
                .iter()
                .filter_map(|item| Evidence::build(item.at, item.value.object()?))
                .collect(),
            drill_max_age: root.span("drill_max_age").unwrap_or_default(),
            broken,
        }
    }
}

fn looks(root: &Object) -> Spanned<Looks> {
    let (object, at) = (root.object("readiness"), root.get("readiness").map_or(root.at, |value| value.at));
    let Looks { every, max_age, required } = Looks::default();
    let span = |key, default| object.and_then(|object| object.span(key)).unwrap_or(default);
    let looks = Looks {
        every: span("every", every),
        max_age: span("max_age", max_age),
        required: object.and_then(|object| object.flag("required")).unwrap_or(required),
    };
    Spanned::new(looks, at)
}

fn switch(_: Place, object: &Object) -> Option<Switch> {
    Some(Switch {
        means: object.text("means")?.to_owned(),
        services: object.texts("services").into_iter().map(|name| name.value.as_str().into()).collect(),
    })
}

fn window(at: Place, object: &Object) -> Option<Written> {
    let text = |key| object.spanned_text(key);
    let days = object.texts("days");
    Some(Written { at, days, from: text("from")?, until: text("until")?, zone: text("zone")? })
}

fn outside(object: &Object) -> Outside {
    let list = |key| object.texts(key).into_iter().map(|text| text.value).collect();
    Outside { networks: list("networks"), domains: list("domains") }
}

/// The entries of a map of objects, by name.
fn named<'a, K: From<&'a str> + Ord, V>(
    root: &'a Object,
    key: &str,
    build: impl Fn(Place, &Object) -> Option<V>,
    broken: &mut BTreeSet<String>,
) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    for (name, value) in root.map(key) {
        match value.value.object().and_then(|object| build(name.at, object)) {
            Some(value) => drop(map.insert(K::from(name.value.as_str()), value)),
            None => drop(broken.insert(name.value.clone())),
        }
    }
    map
}

fn texts(value: &Value) -> Vec<String> {
    value.texts().into_iter().map(|text| text.value).collect()
}

/// The texts of a map per site.
fn per_site(object: &Object, key: &str) -> BTreeMap<SiteId, String> {
    let entry = |(site, value): &(Spanned<String>, Spanned<Value>)| {
        Some((site.value.as_str().into(), value.value.text()?.to_owned()))
    };
    object.map(key).iter().filter_map(entry).collect()
}

fn site(at: Place, object: &Object) -> Option<Site> {
    let list = |key| object.texts(key).into_iter().map(|text| text.value).collect();
    Some(Site {
        at,
        role: match object.text("role") {
            Some("active") => Role::Active,
            Some("standby") => Role::Standby,
            _ => Role::Witness,
        },
        networks: list("networks"),
        domains: list("domains"),
        power: object.text("power").map(str::to_owned),
        fire: object.text("fire").map(str::to_owned),
        capacity: object.number("capacity"),
    })
}

fn timing(given: Option<&Object>) -> (Timing, BTreeMap<&'static str, Place>) {
    let profile = match given.and_then(|object| object.text("profile")) {
        Some("fast") => Profile::Fast,
        _ => Profile::Default,
    };
    let mut timing = Timing::of(profile);
    let mut places = BTreeMap::new();
    let Some(object) = given else { return (timing, places) };
    for field in TIMING {
        if let Some(value) = object.get(field.name) {
            places.insert(field.name, value.at);
            timing.set(field.name, &value.value);
        }
    }
    (timing, places)
}

impl Timing {
    /// Sets one window by its key in the fleet.
    fn set(&mut self, key: &str, value: &Value) {
        let span = match key {
            "interval" => &mut self.interval,
            "timeout" => &mut self.timeout,
            "publish" => &mut self.publish,
            "confirm" => &mut self.confirm,
            "ttl" => &mut self.ttl,
            "renew" => &mut self.renew,
            "validity" => &mut self.validity,
            "kill" => &mut self.kill,
            "freshness" => &mut self.freshness,
            "sequence_stale" => &mut self.sequence_stale,
            "gap" => &mut self.gap,
            "loop_lag" => &mut self.loop_lag,
            "hold_down" => &mut self.hold_down,
            "flaps_within" => &mut self.flaps_within,
            "election" => &mut self.election,
            "site_ttl" => &mut self.site_ttl,
            "isolate" => &mut self.isolate,
            "margin" => &mut self.margin,
            _ => {
                let count = match key {
                    "fall" => &mut self.fall,
                    "rise" => &mut self.rise,
                    "flaps" => &mut self.flaps,
                    _ => return,
                };
                if let Value::Number(number) = value {
                    *count = u32::try_from(*number).unwrap_or(u32::MAX);
                }
                return;
            }
        };
        if let Value::Span(value) = value {
            *span = *value;
        }
    }
}

fn resource(at: Place, object: &Object) -> Option<Resource> {
    let (kind, value) = object.fields.first()?;
    let body = match *kind {
        "endpoint" => Body::Endpoint(per_site(object, "endpoint")),
        "postgres" => Body::Postgres(
            object
                .map("postgres")
                .iter()
                .filter_map(|(site, value)| {
                    let server = value.value.object()?;
                    let dsn = server.spanned_text("dsn")?;
                    let password = secret(server, "password");
                    let server = Server { at: dsn.at, dsn: dsn.value, password };
                    Some((SiteId::new(site.value.as_str()), server))
                })
                .collect(),
        ),
        "route" => {
            let route = value.value.object()?;
            Body::Route {
                haproxy: per_site(route, "haproxy"),
                backend: route.text("backend")?.to_owned(),
                servers: per_site(route, "servers"),
            }
        }
        "ssh" => Body::Ssh(
            object
                .map("ssh")
                .iter()
                .filter_map(|(site, value)| {
                    Some((SiteId::new(site.value.as_str()), login(value.value.object()?)?))
                })
                .collect(),
        ),
        _ => Body::Dns(dns(value.value.object()?)?),
    };
    Some(Resource { at, body })
}

fn login(object: &Object) -> Option<Login> {
    let address = object.spanned_text("address")?;
    Some(Login {
        at: address.at,
        address: address.value,
        user: object.text("user")?.to_owned(),
        host_keys: texts(&object.get("host_key")?.value),
        key: secret(object, "key"),
    })
}

fn dns(object: &Object) -> Option<Dns> {
    let zone = format!("{}.", object.text("zone")?.trim_end_matches('.'));
    let name = match object.text("record")? {
        "@" => zone.clone(),
        record => format!("{record}.{zone}"),
    };
    let values = |(site, value): &(Spanned<String>, Spanned<Value>)| {
        let mut values = texts(&value.value);
        values.sort();
        values.dedup();
        (SiteId::new(site.value.as_str()), values)
    };
    Some(Dns {
        zone,
        name,
        record_type: match object.text("type") {
            Some("AAAA") => RecordType::Aaaa,
            Some("CNAME") => RecordType::Cname,
            _ => RecordType::A,
        },
        ttl: object.span("ttl")?,
        server: object.text("server")?.to_owned(),
        key: secret(object, "key")?,
        values: object.map("values").iter().map(values).collect(),
    })
}

fn secret(object: &Object, key: &str) -> Option<SecretName> {
    match &object.get(key)?.value {
        Value::Secret(name) => Some(name.clone()),
        _ => None,
    }
}

fn power_off((site, value): &(Spanned<String>, Spanned<Value>)) -> Option<(SiteId, Vec<String>)> {
    let command = value.value.object()?.object("power_off")?.texts("command");
    Some((SiteId::new(site.value.as_str()), command.into_iter().map(|word| word.value).collect()))
}

fn on_loss(object: &Object) -> Option<OnLoss> {
    let name = |key| object.spanned_text(key);
    let (site, run, to) = (name("site")?, name("run")?, name("to")?);
    Some(OnLoss {
        site: Spanned::new(site.value.into(), site.at),
        playbook: Spanned::new(PlaybookId::new(run.value), run.at),
        to: Spanned::new(to.value.into(), to.at),
    })
}
