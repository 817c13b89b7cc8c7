//! A plan with all that can be seen of it now, from every live member.

mod guards;

use super::super::{Api, wire};
use super::{overrides, plan as bound, warnings};
use crate::look::{Looker, history};
use guards::guards;
use standfast_core::action::Inspection;
use standfast_core::check::Answer;
use standfast_core::engine::rule;
use standfast_core::ids::Identity;
use standfast_core::lag::Lag;
use standfast_core::look::{DataSet, Found, Kind, Part, Seen, Severity, Vantage, join};
use standfast_core::plan::{Plan, Require};
use standfast_core::predict::{Prediction, predict};
use standfast_proto::v1::{self, ConditionOutcome, GuardOutcome, Preview, RequireSight, StepSight};
use tonic::Status;

impl Api {
    /// A plan with all that can be seen of it now: what its requirements answer, what each step
    /// would do, what stands in the way, and what the guards of a manual trigger say.
    pub(in crate::api) async fn inspected(
        &self,
        plan: Plan,
        by: &Identity,
        waived: &[v1::Override],
    ) -> Result<v1::Plan, Status> {
        let waived = overrides(&plan, waived)?;
        let bundle = self.bundle().await?;
        let looker = self.looker();
        let (looked, state, findings, history) = tokio::join!(
            looker.look(&bundle, &plan),
            self.state(),
            warnings(bundle.clone()),
            history(self.store(), &plan.request.playbook),
        );
        let rules = bundle.rules();
        // A waiver counts here as it will when the leader judges it.
        let may = |require: &Require| {
            let role = require.override_by.as_deref();
            let named = waived.iter().any(|waiver| waiver.rule == rule(&require.check));
            named && role.is_some_and(|role| rules.has_role(by, role))
        };
        let mut seen = join(&plan, &looked);
        let taken: Vec<String> =
            plan.require.iter().filter(|require| may(require)).map(|r| r.check.to_string()).collect();
        seen.troubles
            .retain(|found| found.trouble.kind != Kind::Requirement || !taken.contains(&found.trouble.about));
        let prediction = predict(&plan, &history, &bundle.fleet.timing);
        seen.add(prediction.trouble(plan.request.playbook.as_str()));
        let mut shown = bound(&plan);
        shown.prediction = Some(predicted(&prediction));
        show(&mut shown, &plan, &seen);
        shown.guards = guards(&plan, &seen, (state.as_ref().ok(), &rules), &waived);
        let unmet = plan
            .require
            .iter()
            .zip(&seen.require)
            .any(|(require, joined)| !joined.says.holds() && !may(require));
        let fails = seen.troubles.iter().any(|found| found.trouble.severity == Severity::Error);
        let refuses = seen.steps.iter().any(|joined| matches!(joined.says, Inspection::Conflict(_)));
        let refused = shown.guards.iter().any(|guard| guard.outcome() == GuardOutcome::Refused);
        shown.would_be_refused = refused || refuses || fails || unmet;
        shown.changes_pending = shown.steps.iter().any(|step| step.preview() == Preview::WouldDo);
        shown.findings = findings;
        (shown.member, shown.member_site) = (self.deps.me.id.to_string(), self.deps.me.site.to_string());
        shown.inspected_at = wire::now();
        Ok(shown)
    }

    fn looker(&self) -> Looker {
        let (me, store) = (self.deps.me.clone(), self.deps.store.clone());
        Looker { me, store, env: self.deps.env.clone(), bundle: self.deps.bundle.clone() }
    }
}

/// What was seen, in the words of the wire.
fn show(shown: &mut v1::Plan, plan: &Plan, seen: &Seen) {
    for (shown, joined) in shown.requires.iter_mut().zip(&seen.require) {
        shown.outcome = outcome(&joined.says).into();
        shown.answer = joined.says.detail().to_owned();
        let sight = |(member, answer): &(_, Answer)| RequireSight {
            member: ToString::to_string(member),
            outcome: outcome(answer).into(),
            answer: answer.detail().to_owned(),
        };
        shown.seen = joined.by.iter().map(sight).collect();
    }
    for (shown, joined) in shown.steps.iter_mut().zip(&seen.steps) {
        let (says, detail) = preview(&joined.says);
        (shown.preview, shown.detail) = (says.into(), detail.to_owned());
        let sight = |(member, found): &(_, Inspection)| {
            let (preview, detail) = preview(found);
            let member = ToString::to_string(member);
            StepSight { member, preview: preview.into(), detail: detail.to_owned() }
        };
        shown.seen = joined.by.iter().map(sight).collect();
    }
    shown.vantage_points = seen.vantages.iter().map(vantage).collect();
    shown.troubles = seen.troubles.iter().map(trouble).collect();
    shown.data = seen.data.iter().map(|set| data(set, plan)).collect();
}

fn outcome(answer: &Answer) -> ConditionOutcome {
    match answer {
        Answer::Holds(_) => ConditionOutcome::Holds,
        Answer::Fails(_) => ConditionOutcome::DoesNotHold,
        Answer::Unknown(_) => ConditionOutcome::CannotTell,
    }
}

fn preview(found: &Inspection) -> (Preview, &str) {
    match found {
        Inspection::Satisfied(detail) => (Preview::AlreadySo, detail),
        Inspection::Needed(detail) => (Preview::WouldDo, detail),
        Inspection::Unknown(detail) => (Preview::CannotTell, detail),
        Inspection::Conflict(detail) => (Preview::Refuses, detail),
    }
}

fn vantage(vantage: &Vantage) -> v1::VantagePoint {
    let part = match vantage.part {
        Part::Acts => v1::VantagePart::Acts,
        Part::Might => v1::VantagePart::Might,
        Part::Leaves => v1::VantagePart::Leaves,
    };
    v1::VantagePoint {
        member: vantage.member.to_string(),
        site: vantage.site.to_string(),
        part: part.into(),
        silent: vantage.silent.clone().unwrap_or_default(),
        clock_ahead: vantage.skew.map(|skew| wire::millis(skew.certain_ms())),
    }
}

pub(in crate::api) fn trouble(found: &Found) -> v1::Trouble {
    let trouble = &found.trouble;
    v1::Trouble {
        kind: trouble.kind.name().to_owned(),
        severity: wire::severity(trouble.severity).into(),
        about: trouble.about.clone(),
        step: trouble.step.as_ref().map(ToString::to_string).unwrap_or_default(),
        message: trouble.words.clone(),
        members: found.by.iter().map(ToString::to_string).collect(),
    }
}

fn predicted(prediction: &Prediction) -> v1::Prediction {
    let spread = prediction.spread.as_ref();
    v1::Prediction {
        detection: wire::span(prediction.detection),
        bound: wire::span(prediction.bound),
        objective: prediction.objective.and_then(wire::span),
        runs: wire::count(prediction.runs),
        unseen: prediction.unseen.iter().map(ToString::to_string).collect(),
        p50: spread.and_then(|spread| wire::span(spread.p50)),
        p95: spread.and_then(|spread| wire::span(spread.p95)),
        probability: spread.and_then(|spread| spread.meets),
    }
}

fn data(set: &DataSet, plan: &Plan) -> v1::DataSet {
    let mut shown = v1::DataSet {
        cluster: set.cluster.to_string(),
        site: set.site.to_string(),
        objective: plan.rpo.and_then(wire::span),
        ..v1::DataSet::default()
    };
    match &set.lag {
        Lag::Known { time, at_least, bytes, seen } => {
            (shown.lag, shown.seen_ago) = (wire::span(*time), wire::span(*seen));
            (shown.bytes, shown.at_least) = (*bytes, *at_least);
        }
        Lag::Unknown(why) => shown.unknown_because = why.clone(),
    }
    shown
}
