//! Reports on the wire.

use super::runs::entries;
use super::{Api, refuse, sites, wire};
use crate::clock;
use crate::records::{self, Head, RUNS};
use crate::store::{Range, pages};
use standfast_core::bundle::Bundle;
use standfast_core::controller::Refused;
use standfast_core::ids::ServiceId;
use standfast_core::journal::Trigger;
use standfast_core::plan::Plan;
use standfast_core::report::{Held, Loss, Objective, Promise, Proof, Report, Word, first_down};
use standfast_core::run::{Run, State};
use standfast_core::time::Span;
use standfast_proto::v1::{self, ObjectiveOutcome};
use std::sync::Arc;
use tonic::Status;

/// Refusals of this long before the run belong to it at most: 24 hours.
const BEFORE_MS: i64 = 24 * 3_600 * 1_000;
/// Runs among which the one before is looked for.
const EARLIER: usize = 200;

/// The report of a run.
pub(super) async fn report(api: &Api, id: &str) -> Result<v1::Report, Status> {
    let head = api.head(id).await?;
    let (plan, journal) = entries(api.store(), &head.id, &head.plan).await?;
    let run = Run::fold(head.id.clone(), plan, journal.iter().map(|(event, _)| event));
    let run = run.map_err(refuse::internal)?;
    let journal: Vec<_> = journal.into_iter().map(|(event, _)| event).collect();
    let bundle = crate::bundles::load(api.store(), &run.plan.bundle).await;
    // A bundle that is not kept any more, or not understood: the plan has the strictest promise.
    let bundle = bundle.unwrap_or_default();
    let mut refused = api.refusals(&run.plan.request.from).await?;
    let since = since(api, &run).await?;
    refused.retain(|no| (since..=run.created_wall_ms).contains(&no.wall_ms));
    refused.sort_by_key(|no| no.wall_ms);
    let promises = promises(&run.plan, bundle.as_ref());
    let report = Report::new(&run, &journal, &promises, &refused);
    Ok(shown(&report, &refused, bundle.as_deref()))
}

/// From when on refusals belong to this run: from the first vote that was DOWN, if it began by
/// itself; else from the run before, which those before it belong to.
async fn since(api: &Api, run: &Run) -> Result<i64, Status> {
    let created = run.created_wall_ms;
    let oldest = created - BEFORE_MS;
    if let Trigger::Automatic { evidence } = &run.trigger {
        return Ok(first_down(evidence).map_or(oldest, |held| wire::ago(created, held).max(oldest)));
    }
    let older = Range::prefix(RUNS).after(records::run(&run.id));
    let page = pages::page(api.store(), older, &mut EARLIER.clone()).await.map_err(refuse::store)?;
    let heads = page.kvs.iter().map(records::decode::<Head>).collect::<Result<Vec<_>, _>>();
    let mut heads = heads.map_err(refuse::internal)?.into_iter();
    let before = heads.find(|head| head.from == run.plan.request.from);
    Ok(before.map_or(oldest, |head| (head.wall_ms + 1).max(oldest)))
}

/// What was promised for the services that move.
fn promises(plan: &Plan, bundle: Option<&Arc<Bundle>>) -> Vec<Promise> {
    let Some(bundle) = bundle else {
        let names: Vec<&str> = plan.services.iter().map(ServiceId::as_str).collect();
        let service = ServiceId::new(names.join(", "));
        return vec![Promise { service, rto: plan.rto, rpo: plan.rpo }];
    };
    let services = plan.services.iter().filter_map(|id| Some((id, bundle.fleet.services.get(id)?)));
    services
        .filter(|(_, service)| service.rto.is_some() || service.rpo.is_some())
        .map(|(id, service)| Promise { service: id.clone(), rto: service.rto, rpo: service.rpo })
        .collect()
}

fn shown(report: &Report, refused: &[Refused], bundle: Option<&Bundle>) -> v1::Report {
    let rules = bundle.map(Bundle::rules);
    let timeline = report.timeline.iter().map(|entry| v1::TimelineEntry {
        at: wire::time(entry.wall_ms),
        offset: wire::span(entry.offset),
        step: entry.step.as_ref().map(ToString::to_string).unwrap_or_default(),
        message: entry.text.clone(),
        epoch: entry.epoch.0,
    });
    let span = |span: Option<Span>| span.and_then(wire::span);
    let measured = &report.measured;
    v1::Report {
        run_id: report.run.to_string(),
        at: wire::time(clock::wall_ms()),
        r#final: matches!(report.state, State::Ended(_)),
        timeline: timeline.collect(),
        rto: Some(v1::MeasuredTime {
            detection: span(measured.detection),
            tools: span(measured.tools),
            promotion: span(measured.promotion),
            traffic: span(measured.traffic),
            total: span(measured.total),
        }),
        rpo: report.losses.iter().map(loss).collect(),
        objectives: report.objectives.iter().map(objective).collect(),
        overrides: report.people.iter().filter(|word| word.did.overrides()).map(waived).collect(),
        refusals: refused.iter().map(|refused| sites::refusal(refused, rules.as_deref())).collect(),
        evidence: report.evidence.iter().map(proof).collect(),
        markdown: report.to_markdown(),
    }
}

fn loss(loss: &Loss) -> v1::MeasuredLoss {
    v1::MeasuredLoss {
        data_set: loss.data_set.to_string(),
        time_lost: loss.time.and_then(wire::span),
        bytes_lost: loss.bytes,
        rows_lost: None,
        primary_seen_at: loss.primary_seen_ms.and_then(wire::time),
        explanation: loss.explanation.clone(),
    }
}

fn objective(objective: &Objective) -> v1::ObjectiveResult {
    let outcome = |held: Option<Held>| match held {
        None => ObjectiveOutcome::Unspecified,
        Some(Held::Met) => ObjectiveOutcome::Met,
        Some(Held::Missed) => ObjectiveOutcome::Missed,
        Some(Held::Unknown) => ObjectiveOutcome::Unknown,
    };
    v1::ObjectiveResult {
        service: objective.promise.service.to_string(),
        rto_objective: objective.promise.rto.and_then(wire::span),
        rto_measured: objective.rto.and_then(wire::span),
        rto_outcome: outcome(objective.rto_held).into(),
        rpo_objective: objective.promise.rpo.and_then(wire::span),
        rpo_measured: objective.rpo.and_then(wire::span),
        rpo_outcome: outcome(objective.rpo_held).into(),
    }
}

fn waived(word: &Word) -> v1::Override {
    v1::Override { name: word.about.clone(), reason: word.reason.clone(), identity: word.by.to_string() }
}

fn proof(proof: &Proof) -> v1::Evidence {
    let (what, answer) = (proof.what.clone(), proof.answer.clone());
    v1::Evidence { what, answer, at: wire::time(proof.wall_ms) }
}
