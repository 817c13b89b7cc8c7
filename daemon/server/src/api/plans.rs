//! Plans: what a run would do, bound and looked at, with nothing changed anywhere.

mod preview;
pub(super) mod readiness;

use super::{Api, refuse, wire};
use crate::clock;
use standfast_core::bind::bind;
use standfast_core::bundle::Bundle;
use standfast_core::engine::rule;
use standfast_core::finding::Findings;
use standfast_core::guard::Guard;
use standfast_core::ids::{PlaybookId, SiteId};
use standfast_core::journal::Override;
use standfast_core::plan::{self, Request as Wanting, Undo, Unreachable};
use standfast_proto::v1::plans_server::Plans;
use standfast_proto::v1::{self, *};
use std::collections::BTreeMap;
use tonic::{Request, Response, Status};

/// The longest value of an input, in bytes.
const MAX_INPUT: usize = 4_096;

/// What binds a playbook, from either message that has it.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    playbook: &'a str,
    from: &'a str,
    to: &'a str,
    mode: i32,
    inputs: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a CreateRunRequest> for Wanted<'a> {
    fn from(request: &'a CreateRunRequest) -> Self {
        let CreateRunRequest { playbook, from, to, mode, inputs, .. } = request;
        Self { playbook, from, to, mode: *mode, inputs }
    }
}

impl<'a> From<&'a CreatePlanRequest> for Wanted<'a> {
    fn from(request: &'a CreatePlanRequest) -> Self {
        let CreatePlanRequest { playbook, from, to, mode, inputs, .. } = request;
        Self { playbook, from, to, mode: *mode, inputs }
    }
}

/// The plan of a request: bound to the current bundle, or what stands against it.
pub(super) fn bound(bundle: &Bundle, wanted: Wanted<'_>) -> Result<plan::Plan, Status> {
    let id = PlaybookId::new(wanted.playbook);
    let playbook = bundle.playbooks.get(&id).ok_or_else(|| {
        let known: Vec<&str> = bundle.playbooks.keys().map(PlaybookId::as_str).collect();
        refuse::not_found("playbook", wanted.playbook, &format!("the bundle has {}", known.join(", ")))
    })?;
    let from = Api::site_id(bundle, wanted.from)?;
    let rules = bundle.rules();
    let to = match wanted.to {
        "" => rules
            .on_loss(&from)
            .filter(|entry| entry.playbook == id)
            .map(|entry| entry.to.clone())
            .ok_or_else(|| {
                let why = format!("on_loss names no destination for {from} and {id}: name the site to go to");
                refuse::bad_field("to", why)
            })?,
        to => Api::site_id(bundle, to)?,
    };
    if from == to {
        return Err(refuse::bad_field("to", format!("{to} is the site to leave")));
    }
    let modes: Vec<String> = playbook.modes.iter().map(ToString::to_string).collect();
    let no_mode = |why: &str| {
        refuse::bad_field("mode", format!("{why}; the playbook {id} is for {}", modes.join(", ")))
    };
    let mode = match (v1::Mode::try_from(wanted.mode), playbook.modes.iter().collect::<Vec<_>>().as_slice()) {
        (Ok(v1::Mode::Unspecified), [only]) => **only,
        (Ok(v1::Mode::Unspecified), _) => return Err(no_mode("say which")),
        (Ok(v1::Mode::Emergency), _) => plan::Mode::Emergency,
        (Ok(v1::Mode::Planned), _) => plan::Mode::Planned,
        (Ok(v1::Mode::Drill), _) => plan::Mode::Drill,
        (Err(_), _) => return Err(no_mode("this one is not known here")),
    };
    if !playbook.modes.contains(&mode) {
        return Err(no_mode(&format!("not {mode}")));
    }
    if let Some((name, _)) = wanted.inputs.iter().find(|(name, value)| name.len() + value.len() > MAX_INPUT) {
        let name: String = name.chars().take(60).collect();
        return Err(refuse::bad_field("inputs", format!("{name}: at most {MAX_INPUT} bytes")));
    }
    let inputs = wanted.inputs.clone();
    let request = Wanting { playbook: id, from, to, mode, inputs };
    bind(bundle, &request).map_err(|findings| unbound(&findings))
}

/// What cannot be bound, by the field that it is about.
fn unbound(findings: &Findings) -> Status {
    let lines: Vec<&str> = findings.iter().take(10).map(|finding| finding.message.as_str()).collect();
    let field = if lines.iter().any(|line| line.contains("input")) { "inputs" } else { "to" };
    refuse::bad_field(field, lines.join("; "))
}

/// What people waive, in the core's words: a requirement by its name, a guard by id or name.
pub(super) fn overrides(plan: &plan::Plan, given: &[v1::Override]) -> Result<Vec<Override>, Status> {
    let named = |name: &str| {
        let required = plan.require.iter().find(|require| require_name(require) == name);
        if let Some(required) = required {
            return rule(&required.check).to_owned();
        }
        let guard = Guard::ALL.into_iter().find(|guard| guard.id() == name);
        guard.map_or_else(|| name.to_owned(), |guard| guard.name().to_owned())
    };
    given
        .iter()
        .map(|waiver| {
            let reason = super::asks::reason(&waiver.reason, false)?;
            if reason.is_empty() {
                let why = format!("say why {} is waived: it stands in the report", waiver.name);
                return Err(refuse::bad_field("overrides", why));
            }
            Ok(Override { rule: named(&waiver.name), reason })
        })
        .collect()
}

/// The name by which a requirement is waived: the condition without its bounds.
fn require_name(require: &plan::Require) -> String {
    let text = require.check.to_string();
    text.split(" in ").next().unwrap_or(&text).to_owned()
}

/// A plan as it is bound, not looked at.
pub(super) fn plan(plan: &plan::Plan) -> v1::Plan {
    let (path, duration) = plan.critical_path();
    let request = &plan.request;
    v1::Plan {
        digest: plan.digest().as_str().to_owned(),
        bundle_digest: plan.bundle.as_str().to_owned(),
        playbook: request.playbook.to_string(),
        title: plan.title.clone(),
        from: request.from.to_string(),
        to: request.to.to_string(),
        mode: wire::mode(request.mode).into(),
        inputs: request.inputs.clone(),
        services: plan.services.iter().map(ToString::to_string).collect(),
        requires: plan
            .require
            .iter()
            .map(|require| PlanRequire {
                name: require_name(require),
                condition: require.check.to_string(),
                override_role: require.override_by.clone().unwrap_or_default(),
                ..PlanRequire::default()
            })
            .collect(),
        steps: (0..plan.steps.len()).map(|at| step(plan, at)).collect(),
        critical_path: Some(CriticalPath {
            duration: wire::span(duration),
            once: wire::span(plan.once()),
            steps: path.into_iter().map(|at| plan.steps[at].id.to_string()).collect(),
        }),
        ..v1::Plan::default()
    }
}

fn step(plan: &plan::Plan, at: usize) -> PlanStep {
    let step = &plan.steps[at];
    PlanStep {
        id: step.id.to_string(),
        order: wire::count(at + 1),
        needs: step.needs.iter().map(|&need| plan.steps[need].id.to_string()).collect(),
        action: step.action.name().to_owned(),
        target: step.action.target(),
        timeout: wire::span(step.timeout),
        attempts: step.attempts,
        point_of_no_return: step.point_of_no_return,
        needs_approval: matches!(step.action, standfast_core::action::Action::ApprovalAsk { .. }),
        skip_unreachable: step.unreachable == Unreachable::Skip,
        on_failure: wire::on_failure(step.on_failure).into(),
        verify: step.verify.iter().flat_map(|verify| &verify.all).map(ToString::to_string).collect(),
        verify_within: step.verify.as_ref().and_then(|verify| wire::span(verify.within)),
        undo: match &step.undo {
            None => String::new(),
            Some(Undo::None) => "none".to_owned(),
            Some(Undo::Act(action)) => format!("{} {}", action.name(), action.target()),
        },
        preview: Preview::Unspecified.into(),
        detail: String::new(),
        seen: Vec::new(),
    }
}

/// What lint has to say about a playbook of a bundle that is applied: warnings.
async fn warnings(bundle: std::sync::Arc<Bundle>) -> Vec<v1::Finding> {
    let files = bundle.files.clone();
    let linted = tokio::task::spawn_blocking(move || Bundle::load_on(files, Some(clock::today())).1).await;
    linted.map(|findings| findings.iter().map(wire::finding).collect()).unwrap_or_default()
}

#[tonic::async_trait]
impl Plans for Api {
    async fn create_plan(&self, request: Request<CreatePlanRequest>) -> Result<Response<v1::Plan>, Status> {
        let by = Self::caller(&request)?;
        let request = request.into_inner();
        let bundle = self.bundle().await?;
        let bound = bound(&bundle, Wanted::from(&request))?;
        if request.inspect {
            return Ok(Response::new(self.inspected(bound, &by, &[]).await?));
        }
        let mut plan = plan(&bound);
        plan.findings = warnings(bundle).await;
        (plan.member, plan.member_site) = (self.deps.me.id.to_string(), self.deps.me.site.to_string());
        Ok(Response::new(plan))
    }

    async fn list_readiness(
        &self,
        _: Request<ListReadinessRequest>,
    ) -> Result<Response<ListReadinessResponse>, Status> {
        Ok(Response::new(ListReadinessResponse { readiness: self.readiness().await? }))
    }
}

/// The site of a lock of `plan`.
fn locks(plan: &plan::Plan) -> impl Iterator<Item = String> {
    let sites = [&plan.request.from, &plan.request.to].map(|site: &SiteId| format!("site/{site}"));
    let services = plan.services.iter().map(|service| format!("service/{service}"));
    sites.into_iter().chain(services)
}
