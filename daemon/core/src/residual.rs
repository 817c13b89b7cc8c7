//! What may still happen when a leader's time is over, and for how long: windows that nothing closes,
//! from the fleet's own numbers.
//!
//! From `validity` on a leader begins nothing, and at `kill` it has dropped what it began. What it had
//! sent by then takes effect for as long as the action lingers, unless its target refuses it by epoch.
//! A machine that is frozen in between, and wakes, goes on where it was: that has no end that anybody
//! could compute, and is what refusing by epoch is for.

use crate::action::contract::{Fenced, Linger, contract};
use crate::bundle::Bundle;
use crate::decode::{Call, Value};
use crate::fleet::Fleet;
use crate::playbook::{Step, Undo};
use crate::schema::Type;
use crate::sentry;
use crate::time::Span;
use serde::Serialize;
use std::collections::BTreeMap;

/// Something that can happen late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// What it happens to: a resource, a program, a site.
    pub target: String,
    /// How: the action, or what writes.
    pub by: String,
    /// The longest, in milliseconds; none when only people can end it.
    #[serde(rename = "window_ms", serialize_with = "ms")]
    pub longest: Option<Span>,
    /// Why, and what would close it.
    pub why: &'static str,
}

fn ms<S: serde::Serializer>(span: &Option<Span>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(Span::as_ms).serialize(serializer)
}

/// All windows of a bundle: of its playbooks, then of its sites.
pub fn windows(bundle: &Bundle) -> Vec<Window> {
    let fleet = &bundle.fleet;
    let stopping = Span::ms(fleet.timing.kill.as_ms().saturating_sub(fleet.timing.validity.as_ms()));
    let mut found: BTreeMap<(String, &'static str), Window> = BTreeMap::new();
    for step in bundle.playbooks.values().flat_map(|playbook| playbook.flat()) {
        let undo = match &step.undo {
            Some(Undo::Act(call)) => Some(call),
            _ => None,
        };
        for call in std::iter::once(&step.call).chain(undo) {
            let Some(why) = why(call, fleet) else { continue };
            let longest = Span::ms(stopping.as_ms().saturating_add(lingers(call, step).as_ms()));
            let (target, by) = (target(call), call.spec.name);
            let window = Window { target: target.clone(), by: by.to_owned(), longest: Some(longest), why };
            let known = found.entry((target, by)).or_insert_with(|| window.clone());
            known.longest = known.longest.max(window.longest);
        }
    }
    found.into_values().chain(sites(fleet)).collect()
}

/// Why an action can come late; none if its target refuses it, or it does nothing.
fn why(call: &Call, fleet: &Fleet) -> Option<&'static str> {
    match contract(call.spec.name)?.fenced {
        Fenced::Nothing | Fenced::ByTarget => None,
        Fenced::ByLook if call.spec.is("postgres.promote") => Some(
            "`pg_promote` compares no epoch; what the database has is asked just before, and so are its other servers",
        ),
        Fenced::ByLook => Some(
            "compares no epoch; what it keeps is asked just before, and it forgets that when it starts anew",
        ),
        Fenced::Told if call.spec.is("fence.prove") => {
            let power = call.args.texts("any_of").iter().any(|proof| proof.value == "power_off");
            let some = power && !fleet.power_off.is_empty();
            some.then_some(
                "the command is told the epoch: none if it refuses a lower one, and harmless on a dead site",
            )
        }
        Fenced::Told if call.spec.is("http.request") => match call.args.text("method") {
            Some("GET" | "HEAD") => None,
            _ => Some("is told the epoch: none if it refuses a lower `X-Standfast-Epoch`"),
        },
        Fenced::Told => Some("is told the epoch: none if it refuses a lower `STANDFAST_EPOCH`"),
    }
}

/// How long an act of a step may go on by itself.
fn lingers(call: &Call, step: &Step) -> Span {
    let timeout = step.timeout.unwrap_or(call.spec.timeout);
    match contract(call.spec.name).map(|contract| contract.linger) {
        Some(Linger::None) => Span::default(),
        Some(Linger::For(span)) => span,
        Some(Linger::Timeout) | None => call.args.span("linger").unwrap_or(timeout),
    }
}

/// The resource that a call names, or its program, or its site.
fn target(call: &Call) -> String {
    let named = call.spec.fields.iter().find(|field| matches!(field.ty, Type::Resource(_)));
    let resource = named.and_then(|field| call.args.text(field.name)).map(str::to_owned);
    let program = || call.args.texts("command").into_iter().next().map(|word| word.value);
    let power = || match &call.args.get("site")?.value {
        Value::Text(site) => Some(site.clone()),
        _ => Some("the power of a site".to_owned()),
    };
    resource.or_else(program).or_else(power).unwrap_or_default()
}

/// What goes on writing in a site that is cut off.
fn sites(fleet: &Fleet) -> Vec<Window> {
    let mut found = Vec::new();
    for (name, sentry) in &fleet.sentries {
        let longest =
            Span::ms(Span::from(sentry::TICK).as_ms().saturating_add(sentry.time_to_isolate().as_ms()));
        found.push(Window {
            target: format!("site {}", sentry.site.value),
            by: format!("what sentry {name} guards"),
            longest: Some(longest),
            why: "a host that was frozen until its site had been taken over, and wakes, writes until its sentry has stopped it",
        });
    }
    let rules = fleet.rules();
    for site in fleet.sites.keys() {
        let open = rules.unguarded(site);
        if open.is_empty() {
            continue;
        }
        let names: Vec<&str> = open.into_iter().map(|service| service.as_str()).collect();
        let (longest, why) = match fleet.power_off.contains_key(site) {
            true => (
                None,
                "goes on while the site is cut off, until the command of its `fence` has cut the power: no sentry guards it",
            ),
            false => {
                (None, "goes on while the site is cut off, until a person stops it: no sentry guards it")
            }
        };
        found.push(Window { target: format!("site {site}"), by: names.join(", "), longest, why });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::tests::{FLEET, SHOP};
    use crate::source::SourceFile;
    use crate::timing::tenths;

    fn of(fleet: &str, more: &str) -> Vec<Window> {
        let shop = SHOP.trim_end().to_owned() + "\n" + more;
        let files = vec![SourceFile::new("fleet.yaml", fleet), SourceFile::new("shop.yaml", shop)];
        windows(&Bundle::load(files).0.expect("it can be used"))
    }

    fn lines(windows: &[Window]) -> Vec<String> {
        let longest = |window: &Window| window.longest.map_or("no end".to_owned(), tenths);
        windows.iter().map(|window| format!("{} {} {}", window.target, window.by, longest(window))).collect()
    }

    /// The figures are those of the fleet: kill less validity, and how long each act lingers.
    #[test]
    fn what_cannot_be_fenced_is_listed_with_its_window() {
        let found = of(FLEET, "");
        assert_eq!(
            lines(&found),
            [
                "deploy-tool http.request 31.5 s",
                "front traffic.drain 6.5 s",
                "front traffic.ready 6.5 s",
                "front traffic.shift 6.5 s",
                "orders postgres.promote 91.5 s",
                "the power of a site fence.prove 61.5 s",
                "site a deploy-tool, shop, shop-db no end",
            ],
        );
        assert!(found.iter().all(|window| window.target != "shop-name"), "the name server refuses by itself");
        let fast = FLEET.replace("profile: default", "profile: fast");
        assert_eq!(lines(&of(&fast, ""))[1], "front traffic.drain 5.5 s");
    }

    #[test]
    fn what_its_target_refuses_has_none() {
        let more = "  - {id: tidy, postgres.run: {cluster: orders, at: $to, sql: analyze}}\n\
                    \x20 - {id: told, http.request: {endpoint: deploy-tool, at: $to, path: /x, linger: 45s}, undo: none}\n";
        let found = lines(&of(FLEET, more));
        assert!(found.iter().all(|line| !line.contains("postgres.run")), "{found:?}");
        assert_eq!(found[0], "deploy-tool http.request 46.5 s", "the longest of a target counts");
    }

    #[test]
    fn a_site_that_is_guarded_writes_no_longer_than_its_sentry_takes() {
        let sentry = "sentries:\n  data-a:\n    site: a\n    guards: [shop, shop-db, deploy-tool]\n    \
                      on_isolation: [{run: [stop], timeout: 3s}, {run: [kill], timeout: 2s}]\n";
        let found = lines(&of(&format!("{FLEET}\n{sentry}"), ""));
        assert_eq!(found.last().unwrap(), "site a what sentry data-a guards 5.1 s");
        assert!(found.iter().all(|line| !line.contains("no end")), "{found:?}");
    }
}
