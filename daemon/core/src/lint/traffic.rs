//! Customers come last, and not all at once.

use super::business::Business;
use super::order::Way;
use super::steps::promotes;
use crate::decode::{Call, Value, Var};
use crate::finding::{Finding, Findings, code, quoted};
use crate::playbook::Step;

/// Whether it sends customers to the destination.
fn sends_customers(call: &Call) -> bool {
    let site = match call.spec.name {
        "dns.set" | "traffic.shift" => "to",
        "traffic.ready" => "at",
        _ => return false,
    };
    call.args.get(site).is_some_and(|site| site.value == Value::Var(Var::To))
}

/// Reports customers who are sent to a database that may not be writable yet. In a playbook of
/// its own every promotion counts, but for those that what the customers are sent to is known not
/// to need. In a composed one, where nothing is known, one promotion before is enough: a tier has
/// customers before the databases of the next tier are promoted.
pub(super) fn too_early(
    way: &Way<'_>,
    business: Option<&Business<'_>>,
    composed: bool,
    findings: &mut Findings,
) {
    let steps = way.steps();
    let promotions: Vec<usize> = (0..steps.len()).filter(|&place| promotes(&steps[place].call)).collect();
    for (place, step) in steps.iter().enumerate().filter(|(_, step)| sends_customers(&step.call)) {
        let some = || promotions.iter().any(|&promotion| way.precedes(promotion, place));
        let early = |promotion: &&usize| {
            let related = || business.and_then(|business| needs(business, step, steps[**promotion]));
            !way.precedes(**promotion, place) && related().unwrap_or_else(|| !composed || !some())
        };
        let Some(&promotion) = promotions.iter().find(early) else { continue };
        let [traffic, promotion] = [*step, steps[promotion]].map(|step| step.id.value.as_str());
        let message = format!(
            "{} sends customers to `$to` before {} has been verified",
            quoted(traffic),
            quoted(promotion)
        );
        findings.push(Finding::new(code::EARLY_TRAFFIC, step.call.key_at, message).help(format!(
            "put it below {}; if it does not need that database, say in the fleet which service (`resource`) \
                     each of them is",
            quoted(promotion)
        )));
    }
}

/// Whether the services that customers are sent to need the database that is promoted; none when
/// the fleet does not say which services these are.
fn needs(business: &Business<'_>, traffic: &Step, promotion: &Step) -> Option<bool> {
    let services = |step: &Step, keys: &[&str]| {
        let named = keys.iter().find_map(|key| step.call.args.text(key))?;
        Some(business.of_resource(named)).filter(|services| !services.is_empty())
    };
    let (to, data) = (services(traffic, &["record", "route"])?, services(promotion, &["cluster"])?);
    let needed = business.with_needs(to.iter().copied());
    Some(data.iter().any(|number| needed.binary_search(number).is_ok()))
}

/// Reports ramps on which nobody looks, or looks at the wrong site.
pub(super) fn gates(step: &Step, findings: &mut Findings) {
    let args = &step.call.args;
    if !step.call.spec.is("traffic.shift") || args.list("weights").len() < 2 {
        return;
    }
    let own = args.was_given("gates");
    let calls: Vec<&Call> = match &step.verify {
        _ if own => args.calls("gates"),
        Some(verify) => verify.all.iter().collect(),
        None if step.was_given("verify") => return,
        None => {
            let name = quoted(step.id.value.as_str());
            let message = format!("the ramp {name} goes on whatever becomes of the customers on it");
            findings.push(Finding::new(code::UNGATED, step.call.key_at, message).help(
                "add `gates` that are asked between two weights, or `verify`, which is asked there too",
            ));
            return;
        }
    };
    let Some(to) = args.get("to").map(|to| &to.value) else { return };
    for call in calls {
        let asked = call.args.get("at").or_else(|| call.args.get("is"));
        let Some(asked) = asked.filter(|asked| is_other_site(&asked.value, to)) else { continue };
        let message = format!(
            "{} between the weights of {} asks the site that is left",
            call.spec.name,
            quoted(step.id.value.as_str())
        );
        let help = match own {
            true => "ask the site that the customers are sent to",
            false => {
                "ask the site that the customers are sent to; a ramp without `gates` is gated by its `verify`"
            }
        };
        findings.push(Finding::new(code::GATES_ASK_FROM, asked.at, message).help(help));
    }
}

/// One of `$from` and `$to`, while the ramp goes to the other.
fn is_other_site(asked: &Value, to: &Value) -> bool {
    let is_end = |value: &Value| matches!(value, Value::Var(Var::From | Var::To));
    is_end(asked) && is_end(to) && asked != to
}
