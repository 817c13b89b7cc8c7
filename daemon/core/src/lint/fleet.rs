//! What a fleet must have so that a loss can be seen and acted on.

use super::{hosts, sentries};
use crate::bind::{Scope, destination};
use crate::check::RecordType;
use crate::decode::Call;
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::{Body, Dns, Fleet, OnLoss, Service};
use crate::ids::SiteId;
use crate::plan::Mode;
use crate::playbook::Playbook;
use crate::rules::{Looks, Role};
use crate::source::Place;
use crate::time::Span;
use crate::window;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Every site is judged by every other one, so their number is bounded.
pub(super) const MAX_SITES: usize = 128;
/// Looking asks every target of a playbook from every member.
const LEAST_BETWEEN_LOOKS: Span = Span::secs(10);

pub(super) fn lint(fleet: &Fleet, playbooks: &BTreeMap<&str, &Playbook>, findings: &mut Findings) {
    timing(fleet, findings);
    readiness(fleet, findings);
    windows(fleet, findings);
    sites(fleet, findings);
    canaries(fleet, findings);
    probes(fleet, findings);
    services(fleet, findings);
    resources(fleet, findings);
    on_loss(fleet, playbooks, findings);
    sentries::lint(fleet, findings);
}

fn timing(fleet: &Fleet, findings: &mut Findings) {
    for (name, message) in fleet.timing.contradictions() {
        let at = fleet.timing_at.get(name).or_else(|| fleet.timing_at.values().next());
        findings.push(Finding::new(code::TIMING, *at.unwrap_or(&fleet.name.at), message));
    }
}

/// Looks must come before the last one has ceased to count, and not all the time.
fn readiness(fleet: &Fleet, findings: &mut Findings) {
    let Looks { every, max_age, .. } = fleet.readiness.value;
    let message = if every < LEAST_BETWEEN_LOOKS {
        format!(
            "a look every {every}: at most one every {LEAST_BETWEEN_LOOKS}, or targets are asked all the time"
        )
    } else if max_age <= every {
        format!("a look counts for {max_age} and comes every {every}: between two there would be none")
    } else {
        return;
    };
    findings.push(Finding::new(code::TIMING, fleet.readiness.at, message));
}

fn windows(fleet: &Fleet, findings: &mut Findings) {
    for written in fleet.windows.values() {
        let Err((at, why)) = written.window() else { continue };
        let finding = Finding::new(code::WRONG_VALUE, at, why);
        findings.push(match at == written.zone.at {
            true => {
                let name = &written.zone.value;
                let (zones, first) = (window::zones(), name.get(..2));
                let alike = zones.iter().filter(|zone| zone.get(..2) == first);
                finding.did_you_mean(name, alike.map(String::as_str))
            }
            false => finding,
        });
    }
}

fn sites(fleet: &Fleet, findings: &mut Findings) {
    if let Some(site) = fleet.sites.values().nth(MAX_SITES) {
        findings.push(Finding::new(code::TOO_LARGE, site.at, format!("more than {MAX_SITES} sites")));
    }
    if fleet.sites.len() + fleet.broken.len() < 3 && !fleet.single_observer {
        let message =
            format!("{} sites: a majority that survives the loss of one needs three", fleet.sites.len());
        findings.push(
            Finding::new(code::NO_WITNESS, fleet.name.at, message).help("add a site with `role: witness`"),
        );
    }
}

fn canaries(fleet: &Fleet, findings: &mut Findings) {
    let report = |message: String| {
        Finding::new(code::NO_CANARIES, fleet.name.at, message).help(
            "name three addresses outside of the fleet that always answer, or write `canaries: none` and accept \
             that an observer which is itself cut off calls others lost",
        )
    };
    match &fleet.canaries {
        None => findings.push(report("this fleet has no canaries".into())),
        Some(calls) if (1..3).contains(&calls.len()) => {
            findings.push(report(format!("{} canaries: two of at least three must answer", calls.len())));
        }
        Some(_) => {}
    }
    let scope = Scope::of_canaries(fleet);
    for call in fleet.canaries.iter().flatten() {
        findings.extend(scope.check(call).err().and_then(|missing| missing.0).map(|finding| *finding));
    }
}

/// The kind of probe that a condition is: the part before the dot.
fn kind(call: &Call) -> &'static str {
    call.spec.name.split('.').next().unwrap_or_default()
}

fn probes(fleet: &Fleet, findings: &mut Findings) {
    for (site, probes) in &fleet.probes {
        let scope = Scope::of_probes(fleet, site);
        for call in &probes.calls {
            findings.extend(scope.check(call).err().and_then(|missing| missing.0).map(|finding| *finding));
        }
        let kinds: BTreeSet<_> = probes.calls.iter().map(kind).collect();
        if kinds.len() == 1 {
            let kinds: Vec<_> = kinds.into_iter().collect();
            let message =
                format!("site {} is probed in one kind only: {}", quoted(site.as_str()), kinds.join(""));
            findings.push(one_kind(probes.at, message));
        }
    }
    for entry in &fleet.on_loss {
        let site = &entry.site.value;
        if let Some(known) = fleet.sites.get(site)
            && !fleet.probes.contains_key(site)
        {
            findings.push(one_kind(known.at, format!("site {} is not probed at all", quoted(site.as_str()))));
        }
    }
}

fn one_kind(at: Place, message: String) -> Finding {
    Finding::new(code::ONE_KIND, at, message)
        .help("two kinds must fail before a site counts as down (http, tcp, dns, postgres): add one")
}

fn services(fleet: &Fleet, findings: &mut Findings) {
    for service in fleet.services.values() {
        for resource in &service.resources {
            let (name, at) = (resource.value.as_str(), resource.at);
            if !fleet.resources.contains_key(name) && !fleet.broken.contains(name) {
                let known = fleet.resources.keys().map(|id| id.as_str());
                let message = format!("there is no resource {}", quoted(name));
                findings.push(Finding::new(code::UNKNOWN_RESOURCE, at, message).did_you_mean(name, known));
            }
        }
    }
}

fn resources(fleet: &Fleet, findings: &mut Findings) {
    for resource in fleet.resources.values() {
        match &resource.body {
            Body::Postgres(servers) => {
                let clear = servers.values().filter(|server| {
                    let keyword =
                        |word: &str| word.split('=').next().unwrap_or_default().trim().to_lowercase();
                    server.dsn.split_whitespace().any(|word| keyword(word) == "password")
                        || server.dsn.contains("://")
                });
                for server in clear {
                    let message = "a connection string is keywords and values, and never holds the password";
                    let help = "write `dsn: \"host=… user=…\"` and `password: {secret: NAME}`";
                    findings.push(Finding::new(code::CLEAR_SECRET, server.at, message).help(help));
                }
            }
            Body::Dns(dns) => {
                findings.extend(record(dns).map(|why| Finding::new(code::WRONG_VALUE, resource.at, why)))
            }
            Body::Ssh(logins) => {
                for login in logins.values() {
                    findings.extend(hosts::login(login));
                }
            }
            Body::Endpoint(_) | Body::Route { .. } => {}
        }
    }
}

/// What is wrong with a record.
fn record(dns: &Dns) -> Option<String> {
    if !dns.ttl.as_ms().is_multiple_of(1_000) {
        return Some(format!("the ttl {} is not whole seconds", dns.ttl));
    }
    let fits = |value: &str| match dns.record_type {
        RecordType::A => value.parse::<Ipv4Addr>().is_ok(),
        RecordType::Aaaa => value.parse::<Ipv6Addr>().is_ok(),
        RecordType::Cname => is_domain(value),
    };
    let domain = [&dns.zone, &dns.name].into_iter().find(|name| !is_domain(name));
    if let Some(name) = domain {
        return Some(format!("{} is not a domain name", quoted(name)));
    }
    let wrong = dns.values.values().flatten().find(|value| !fits(value));
    wrong.map(|value| format!("{} is not a value of a record of type {:?}", quoted(value), dns.record_type))
}

fn is_domain(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    name.len() <= 253
        && name.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(letter))
}

fn on_loss(fleet: &Fleet, playbooks: &BTreeMap<&str, &Playbook>, findings: &mut Findings) {
    let active: BTreeSet<&SiteId> = fleet.services.values().flat_map(Service::active_in).collect();
    let is_active = |site: &SiteId| active.contains(site);
    let mut entries: BTreeMap<&SiteId, &OnLoss> = BTreeMap::new();
    for entry in &fleet.on_loss {
        let site = &entry.site.value;
        let name = quoted(site.as_str());
        if entries.insert(site, entry).is_some() {
            let message = format!("a second `on_loss` for site {name}");
            findings.push(
                Finding::new(code::ON_LOSS, entry.site.at, message).help("keep one: which would be run?"),
            );
        }
        if fleet.sites.contains_key(site) && !is_active(site) && fleet.broken.is_empty() {
            let message = format!("`on_loss` for site {name}, in which no service is active");
            findings.push(Finding::new(code::ON_LOSS, entry.site.at, message));
        }
        findings.extend(no_destination(fleet, entry));
        if let Some(playbook) = playbooks.get(entry.playbook.value.as_str()) {
            if !playbook.modes.contains(&Mode::Emergency) && playbook.broken.is_empty() {
                let message =
                    format!("the playbook {} is not for emergencies", quoted(entry.playbook.value.as_str()));
                findings.push(
                    Finding::new(code::ON_LOSS, entry.playbook.at, message)
                        .help("add `emergency` to its modes"),
                );
            }
            if entry.site.value != entry.to.value && fleet.sites.contains_key(&entry.to.value) {
                for why in destination(fleet, playbook, site, &entry.to.value) {
                    findings.push(Finding::new(code::DESTINATION, entry.to.at, why));
                }
            }
        }
    }
    for (id, site) in &fleet.sites {
        if is_active(id) && !entries.contains_key(id) && fleet.broken.is_empty() {
            let message = format!(
                "services are active in site {} and no `on_loss` says what to run",
                quoted(id.as_str())
            );
            findings.push(Finding::new(code::ON_LOSS, site.at, message));
        }
    }
}

fn no_destination(fleet: &Fleet, entry: &OnLoss) -> Option<Finding> {
    let to = quoted(entry.to.value.as_str());
    let message = if entry.to.value == entry.site.value {
        format!("the services of site {to} cannot go to that very site")
    } else if fleet.sites.get(&entry.to.value)?.role == Role::Witness {
        format!("site {to} is a witness and carries no load")
    } else {
        return None;
    };
    Some(Finding::new(code::DESTINATION, entry.to.at, message))
}
