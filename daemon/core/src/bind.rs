//! Binding: from a playbook and a request to a plan in which nothing is left to choose.

mod order;
mod resolve;

pub use order::{Graph, Ordered};
pub(crate) use order::{MAX_WAITS, too_much};
pub use resolve::{Missing, Scope};

use crate::action::{ASK_GATES, Action};
use crate::bundle::Bundle;
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::{Fleet, Service};
use crate::ids::{ServiceId, SiteId};
use crate::plan::{Plan, Request, Require, Step, Undo, Verify};
use crate::playbook::{self, Playbook};
use crate::time::Span;
use std::collections::{BTreeMap, BTreeSet};

/// The plan of a request, or everything that stands against it.
pub fn bind(bundle: &Bundle, request: &Request) -> Result<Plan, Findings> {
    let mut findings = Findings::default();
    let Some(playbook) = bundle.playbooks.get(&request.playbook) else {
        findings.push(
            refused(format!("there is no playbook {}", quoted(request.playbook.as_str())))
                .did_you_mean(request.playbook.as_str(), bundle.playbooks.keys().map(|id| id.as_str())),
        );
        return Err(findings);
    };
    findings.extend(check_request(&bundle.fleet, playbook, request));
    let request = Request { inputs: inputs(playbook, request, &mut findings), ..request.clone() };
    if findings.is_empty()
        && let Some(plan) = assemble(&bundle.fleet, playbook, &request, &mut findings)
        && findings.is_empty()
    {
        return Ok(Plan { bundle: bundle.digest.clone(), ..plan });
    }
    if findings.is_empty() {
        findings.push(refused("the playbook could not be read; lint it".into()));
    }
    Err(findings.finish(&bundle.files))
}

fn refused(message: String) -> Finding {
    Finding::new(code::REQUEST, None, message)
}

/// What stands against a request before any step is looked at.
fn check_request(fleet: &Fleet, playbook: &Playbook, request: &Request) -> Vec<Finding> {
    let mut found = Vec::new();
    for site in [&request.from, &request.to] {
        if !fleet.sites.contains_key(site) {
            let known = fleet.sites.keys().map(SiteId::as_str);
            found.push(
                refused(format!("there is no site {}", quoted(site.as_str())))
                    .did_you_mean(site.as_str(), known),
            );
        }
    }
    if request.from == request.to {
        found.push(refused(format!("from and to are both {}", quoted(request.to.as_str()))));
    }
    if !playbook.modes.contains(&request.mode) {
        let modes: Vec<_> = playbook.modes.iter().map(ToString::to_string).collect();
        let message = format!(
            "the playbook {} is not for mode `{}`, only for {}",
            quoted(request.playbook.as_str()),
            request.mode,
            modes.join(", ")
        );
        found.push(refused(message));
    }
    if found.is_empty() {
        found.extend(destination(fleet, playbook, &request.from, &request.to).into_iter().map(refused));
    }
    found
}

/// Services of the playbook that have no place in one of the two sites, as sentences.
pub fn destination(fleet: &Fleet, playbook: &Playbook, from: &SiteId, to: &SiteId) -> Vec<String> {
    let services = playbook.services.iter().filter_map(|id| Some((id, fleet.services.get(&id.value)?)));
    services
        .flat_map(|(id, service)| {
            [from, to].into_iter().filter(|site| !service.runs_in.contains_key(*site)).map(|site| {
                format!(
                    "the service {} does not run in site {}",
                    quoted(id.value.as_str()),
                    quoted(site.as_str())
                )
            })
        })
        .collect()
}

/// The inputs with defaults filled in.
fn inputs(playbook: &Playbook, request: &Request, findings: &mut Findings) -> BTreeMap<String, String> {
    for name in request.inputs.keys().filter(|name| !playbook.inputs.contains_key(*name)) {
        let message =
            format!("the playbook {} has no input {}", quoted(request.playbook.as_str()), quoted(name));
        findings.push(refused(message).did_you_mean(name, playbook.inputs.keys().map(String::as_str)));
    }
    let mut inputs = request.inputs.clone();
    for (name, default) in &playbook.inputs {
        match (inputs.contains_key(name), default) {
            (true, _) => {}
            (false, Some(default)) => {
                inputs.insert(name.clone(), default.clone());
            }
            (false, None) => findings.push(refused(format!("the input {} must be given", quoted(name)))),
        }
    }
    inputs
}

/// Everything of the plan but the bundle's digest. What cannot be bound goes to `findings`.
pub fn assemble(
    fleet: &Fleet,
    playbook: &Playbook,
    request: &Request,
    findings: &mut Findings,
) -> Option<Plan> {
    let services = fleet.with_needs(playbook.services.iter().map(|id| &id.value));
    assemble_with(fleet, playbook, &Graph::of(playbook), &services, request, findings)
}

/// The same, where the order of the steps, and the services of the playbook with what they need
/// are known already.
pub(crate) fn assemble_with(
    fleet: &Fleet,
    playbook: &Playbook,
    graph: &Graph,
    services: &BTreeMap<&ServiceId, &Service>,
    request: &Request,
    findings: &mut Findings,
) -> Option<Plan> {
    let scope = Scope::of_plan(fleet, request, clusters(playbook, services));
    let mut complete = true;
    let mut note = |missing: Missing| {
        complete = false;
        findings.extend(missing.0.map(|finding| *finding));
    };
    let mut require = Vec::new();
    for required in &playbook.require {
        match scope.check(&required.call) {
            Ok(check) => require.push(Require { check, override_by: required.override_by.clone() }),
            Err(missing) => note(missing),
        }
    }
    let flat: Vec<&playbook::Step> = playbook.flat().collect();
    let mut steps = Vec::new();
    // A cycle was reported when the bundle was made.
    for Ordered { step, needs } in graph.ordered(&flat, request.mode).ok()? {
        match bind_step(&scope, flat[step], needs) {
            Ok(step) => steps.push(step),
            Err(missing) => missing.into_iter().for_each(&mut note),
        }
    }
    let objective =
        |of: fn(&Service) -> Option<Span>| services.values().filter_map(|service| of(service)).min();
    let (rto, rpo) = (objective(|service| service.rto), objective(|service| service.rpo));
    complete.then(|| Plan {
        bundle: crate::ids::Digest::default(),
        request: request.clone(),
        title: playbook.title.clone(),
        rto,
        rpo,
        services: services.keys().map(|id| (*id).clone()).collect(),
        require,
        steps,
    })
}

/// The clusters whose old primary a fence must stop: those that the services are, and those
/// that the playbook promotes.
fn clusters<'a>(playbook: &'a Playbook, services: &BTreeMap<&ServiceId, &'a Service>) -> BTreeSet<&'a str> {
    let of_services = services.values().flat_map(|service| &service.resources);
    let promoted = playbook.flat().filter(|step| step.call.spec.is("postgres.promote"));
    of_services
        .map(|resource| resource.value.as_str())
        .chain(promoted.filter_map(|step| step.call.args.text("cluster")))
        .collect()
}

fn bind_step(scope: &Scope<'_>, step: &playbook::Step, needs: Vec<usize>) -> Result<Step, Vec<Missing>> {
    let mut missing = Vec::new();
    let action = scope.action(&step.call).map_err(|m| missing.push(m)).ok();
    let verify = step.verify.as_ref().map(|verify| Verify {
        within: verify.within,
        all: verify
            .all
            .iter()
            .filter_map(|call| scope.check(call).map_err(|m| missing.push(m)).ok())
            .collect(),
    });
    let undo = match &step.undo {
        None => None,
        Some(playbook::Undo::None) => Some(Undo::None),
        Some(playbook::Undo::Act(call)) => {
            scope.action(call).map_err(|m| missing.push(m)).ok().map(|action| Undo::Act(Box::new(action)))
        }
    };
    let undo_proof = match &undo {
        Some(Undo::Act(action)) => scope.undo_proof(action),
        _ => None,
    };
    let Some(mut action) = action.filter(|_| missing.is_empty()) else { return Err(missing) };
    gate_by_verification(&mut action, verify.as_ref());
    let spec = step.call.spec;
    Ok(Step {
        id: step.id.value.clone(),
        needs,
        timeout: step.timeout.unwrap_or_else(|| default_timeout(&action, spec.timeout)),
        attempts: step.attempts.unwrap_or(spec.attempts),
        backoff: step.backoff,
        on_failure: step.on_failure,
        unreachable: step.unreachable,
        verify,
        undo_proof: undo_proof.map(Box::new),
        undo,
        point_of_no_return: step.point_of_no_return,
        action,
    })
}

/// A ramp without gates of its own goes on only while what proves it in the end holds already.
fn gate_by_verification(action: &mut Action, verify: Option<&Verify>) {
    if let (Action::TrafficShift { weights, gates, .. }, Some(verify)) = (action, verify)
        && gates.is_empty()
        && weights.len() > 1
    {
        gates.clone_from(&verify.all);
    }
}

/// A shift holds and asks on purpose; its default timeout allows for that.
fn default_timeout(action: &Action, table: Span) -> Span {
    match action {
        Action::TrafficShift { weights, hold, gates, .. } => {
            let asking = if gates.is_empty() { 0 } else { ASK_GATES.as_ms() };
            let stage = hold.as_ms().saturating_add(asking);
            Span::ms(table.as_ms().saturating_add(stage.saturating_mul(weights.len() as u64)))
        }
        _ => table,
    }
}
