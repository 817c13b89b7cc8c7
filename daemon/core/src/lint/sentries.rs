//! Whether something stops the services of a site that is cut off, and stops them in time.

use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::Fleet;
use crate::ids::ServiceId;
use crate::rules::Automation;
use crate::site_lease::time_to_isolate;

pub(super) fn lint(fleet: &Fleet, findings: &mut Findings) {
    let within = time_to_isolate(&fleet.timing);
    for (name, sentry) in &fleet.sentries {
        let longest = sentry.time_to_isolate();
        if longest > within {
            let message = format!(
                "the steps of sentry {} may take {longest} in sum, and {within} are left",
                quoted(name.as_str())
            );
            findings.push(Finding::new(code::LATE_SENTRY, sentry.at, message).help(
                "shorten their timeouts, or lengthen `site_ttl` or `margin`: what is not stopped by then meets \
                 the site that takes over",
            ));
        }
    }
    if fleet.automation.value == Automation::Act && !fleet.lab {
        act(fleet, findings);
    }
}

/// A site that is left by itself must be one that stops by itself, or can be stopped.
fn act(fleet: &Fleet, findings: &mut Findings) {
    let rules = fleet.rules();
    for entry in &fleet.on_loss {
        let site = &entry.site.value;
        let unguarded: Vec<&str> = rules.unguarded(site).into_iter().map(ServiceId::as_str).collect();
        if fleet.power_off.contains_key(site) || unguarded.is_empty() {
            continue;
        }
        let message = format!(
            "`automation: act`, and nothing stops {} in site {} when it is cut off",
            unguarded.join(", "),
            quoted(site.as_str())
        );
        findings.push(Finding::new(code::NOT_ENFORCED, fleet.automation.at, message).help(
            "let a sentry guard each of them (`sentries`), give the site a `fence`, or write `automation: advise`: \
             a person then decides",
        ));
    }
}
