//! What Standfast and its people stand on, once an area is lost.

use super::Book;
use super::areas::Area;
use super::graph::Loss;
use super::locate::host_of;
use super::model::Model;
use super::site_loss::Seen;
use crate::finding::code::{self, Code};
use crate::finding::{Finding, Findings, quoted};
use crate::fleet::{Home, Homes};
use std::collections::{BTreeMap, BTreeSet};

/// Reports what of the control plane a loss takes. `loss` is that of `area`.
pub(crate) fn judge(
    model: &Model<'_>,
    books: &[Book<'_>],
    area: &Area,
    loss: &Loss,
    seen: &mut Seen,
    findings: &mut Findings,
) {
    let mut report = |finding: Finding| {
        if let Some(at) = finding.at
            && (seen.insert((finding.code.id, at)) || area.is_one_site())
        {
            findings.push(finding);
        }
    };
    members(model, area).into_iter().for_each(&mut report);
    for (key, homes) in model.fleet.control.lists() {
        let Some((code, what)) = meaning(key, homes) else { continue };
        let node = model.list(key).filter(|node| loss.is_dead(*node));
        if let Some(node) = node {
            let path = loss.way(node).into_iter().map(|node| model.graph.label(node).to_owned());
            let message = format!("{what} once {} is lost", area.name);
            report(Finding::new(code, homes.at, message).label("nothing of it is left").path_to_lost(path));
        }
    }
    recovered_channel(model, books, area, loss).into_iter().for_each(&mut report);
    canaries(model, area).into_iter().for_each(&mut report);
}

/// Which finding the loss of a whole list is. What lives in services is told of these
/// themselves where a plan stands on it.
fn meaning(key: &str, homes: &Homes) -> Option<(Code, &'static str)> {
    let in_services = homes.any.iter().all(|home| matches!(home, Home::Service(_)));
    Some(match key {
        "alerting" => (code::NO_ALARM, "nothing is left that sees the loss and calls people"),
        "channels" => (code::NO_CHANNEL, "there is no way left to reach people"),
        "status_page" => (code::STATUS_PAGE, "there is no status page left"),
        "name_servers" => (code::NAME_SERVERS, "nobody answers for the names of the business"),
        "mail" => (code::MAIL_BOUNCES, "nobody takes mail in: it bounces"),
        "identity" if !in_services => (code::NO_IDENTITY, "nobody can be let in to approve anything"),
        "registries" if !in_services => {
            (code::NO_REGISTRY, "nothing new can be started: there are no images")
        }
        _ => return None,
    })
}

fn members(model: &Model<'_>, area: &Area) -> Option<Finding> {
    let members = &model.fleet.control.members;
    let inside = |site| model.site(site).is_some_and(|site| area.has(site));
    let (first, rest) = (members.iter().next()?, members.len() - 1);
    if !members.values().all(|member| inside(&member.site.value)) {
        return None;
    }
    let name = quoted(first.0.as_str());
    let message = match rest {
        0 => format!("the only member, {name}, is in {}, which it is there to leave", area.name),
        _ => format!(
            "{name} and the {rest} other members are all in {}, which they are there to leave",
            area.name
        ),
    };
    let site = first.1.site.value.to_string();
    Some(
        Finding::new(code::NO_MEMBER, first.1.site.at, message)
            .path_to_lost([first.0.to_string(), site])
            .help("run a member in every site, and in one that carries no load"),
    )
}

/// People talk over what they are there to bring back.
fn recovered_channel(model: &Model<'_>, books: &[Book<'_>], area: &Area, loss: &Loss) -> Option<Finding> {
    let homes = model.fleet.control.channels.as_ref()?;
    let leaving = books.iter().filter(|book| book.leaves(area));
    let moved: BTreeSet<usize> = leaving.flat_map(|book| book.moved.iter().copied()).collect();
    let serves_inside = |number: usize| {
        model.services[number].1.active_in().any(|site| model.site(site).is_some_and(|site| area.has(site)))
    };
    let mut waits = None;
    for (home, nodes) in homes.any.iter().zip(model.homes("channels")) {
        let alive = nodes.as_ref().is_none_or(|nodes| nodes.iter().any(|node| !loss.is_dead(*node)));
        let recovered = match home {
            Home::Service(service) => {
                let number = model.service(&service.value);
                number.filter(|number| moved.contains(number) && serves_inside(*number)).map(|_| service)
            }
            Home::Host(_) | Home::Sites(_) | Home::Outside(_) => None,
        };
        match recovered {
            // Also when it does not come back: that is told beside it.
            Some(service) => waits = waits.or(Some(service)),
            None if alive => return None,
            None => {}
        }
    }
    let service = waits?;
    let message = format!(
        "responders talk over {}, which is one of the services that leaving {} brings back",
        quoted(service.value.as_str()),
        area.name
    );
    Some(
        Finding::new(code::CHANNEL_RECOVERED, service.at, message)
            .help("name a second channel that stands on nothing of this fleet: `{outside: …}`"),
    )
}

/// A member that reaches too few canaries abstains; when all do, no loss is ever seen.
fn canaries(model: &Model<'_>, area: &Area) -> Option<Finding> {
    let calls = model.fleet.canaries.as_ref()?;
    let inside = |text: &str| match host_of(text).map(|host| model.stands_in(&host)) {
        Some(Some(sites)) => sites.iter().any(|site| area.has(*site)),
        _ => false,
    };
    let lost: Vec<_> = calls
        .iter()
        .filter(|call| ["address", "url"].iter().filter_map(|key| call.args.text(key)).any(inside))
        .collect();
    let needed = (calls.len() * 2).div_ceil(3);
    let first = lost.first().filter(|_| calls.len() - lost.len() < needed)?;
    let message = format!(
        "{} of {} canaries stand in {}: once it is lost, every observer takes itself for cut off and says nothing",
        lost.len(),
        calls.len(),
        area.name
    );
    Some(
        Finding::new(code::CANARIES_INSIDE, first.key_at, message)
            .help("name addresses outside of the fleet"),
    )
}

/// What does not depend on which site is lost.
pub(crate) fn lint(model: &Model<'_>, findings: &mut Findings) {
    updates(model, findings);
    let fleet = model.fleet;
    if !fleet.full_proof {
        return;
    }
    let control = &fleet.control;
    let at = control.at.unwrap_or(fleet.name.at);
    let mut missing = |code, absent: bool, message: &str, help: &str| {
        if absent {
            findings.push(Finding::new(code, at, message).help(help));
        }
    };
    missing(
        code::UNDECLARED,
        control.voters.is_empty(),
        "the voters of the coordination are not declared: that a majority of them survives is not shown",
        "control: {voters: {NAME: SITE, …}}",
    );
    missing(
        code::UNDECLARED,
        control.members.is_empty(),
        "the members are not declared: that one of them survives is not shown",
        "control: {members: {NAME: {site: SITE}, …}}",
    );
    missing(
        code::NO_CHANNEL,
        control.channels.is_none(),
        "no way to reach people is declared",
        "control: {channels: [{outside: …}]}",
    );
    missing(
        code::NO_ALARM,
        control.alerting.is_none(),
        "nothing is declared that sees a loss and calls people",
        "control: {alerting: [{service: …}]}",
    );
    missing(
        code::NAME_SERVERS,
        control.name_servers.is_none(),
        "the name servers of the business are not declared",
        "control: {name_servers: [{host: …}]}",
    );
    missing(
        code::STATUS_PAGE,
        control.status_page.is_none(),
        "no status page is declared",
        "control: {status_page: [{outside: …}]}",
    );
    missing(
        code::NO_OWNER,
        control.incident_owner.is_none(),
        "nobody is named who commands",
        "control: {incident_owner: ROLE}",
    );
}

/// Members of two sites whose hosts are updated at the same time.
fn updates(model: &Model<'_>, findings: &mut Findings) {
    let mut windows: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for (name, member) in &model.fleet.control.members {
        let Some(window) = &member.updates else { continue };
        let site = member.site.value.as_str();
        let key = window.value.trim().to_lowercase();
        match windows.get(&key) {
            Some((_, other)) if *other == site => {}
            Some((first, other)) => {
                let message = format!(
                    "the hosts of {} in {} and {} in {} are updated at the same time: {}",
                    quoted(first),
                    quoted(other),
                    quoted(name.as_str()),
                    quoted(site),
                    quoted(&window.value)
                );
                findings
                    .push(Finding::new(code::SAME_UPDATES, window.at, message).help(
                        "one bad update must not reach a majority: give each site a window of its own",
                    ));
            }
            None => {
                windows.insert(key, (name.as_str(), site));
            }
        }
    }
}
