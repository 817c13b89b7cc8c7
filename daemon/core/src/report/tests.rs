//! A failover of the example, told by hand, with times that can be added up in the head.

use super::*;
use crate::action::{Failure, FailureKind};
use crate::bind::bind;
use crate::bundle::Bundle;
use crate::check::Answer;
use crate::guard::Guard;
use crate::journal::{Evidence, Override, VERSION};
use crate::lint::tests::{FLEET, SHOP};
use crate::plan::{Plan, Request};
use crate::source::SourceFile;
use crate::verdict::{SiteVote, Verdict, Word as Said};
use insta::assert_snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Saturday, 15 October 2022, 06:33 UTC.
const BEGAN: i64 = 1_665_815_580_000;

fn plan() -> Arc<Plan> {
    let files = vec![SourceFile::new("fleet.yaml", FLEET), SourceFile::new("shop.yaml", SHOP)];
    let bundle = Bundle::load(files).0.unwrap();
    let request = Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency,
        inputs: BTreeMap::new(),
    };
    Arc::new(bind(&bundle, &request).unwrap())
}

fn lost() -> Finding {
    let vote = |voter: &str, held_ms: u64| SiteVote {
        voter: voter.into(),
        vote: Vote::Down,
        words: vec![Said {
            leased: false,
            member: format!("{voter}1").into(),
            vote: Vote::Down,
            held_for: Span::ms(held_ms),
            failing: vec!["tcp.connect 10.1.0.10:5432: refused | reset".into()],
            discounted: None,
        }],
    };
    Finding {
        site: "a".into(),
        verdict: Verdict::Lost,
        held_for: Span::ms(100),
        confirmed: Span::secs(10),
        needed: 2,
        votes: vec![vote("b", 11_000), vote("w", 12_000)],
        inside: Vec::new(),
    }
}

fn event(sequence: u64, elapsed_ms: u64, body: Body) -> Event {
    let wall_ms = BEGAN + i64::try_from(elapsed_ms).unwrap();
    Event { version: VERSION, sequence, wall_ms, elapsed_ms, epoch: Epoch(7), member: "b1".into(), body }
}

fn journal(plan: &Plan, trigger: Trigger, rest: Vec<(u64, Body)>) -> Vec<Event> {
    let created = Body::Created { trigger, plan: plan.digest(), proposed: false };
    let bodies = std::iter::once((0, created)).chain(rest);
    bodies.zip(1..).map(|((elapsed, body), sequence)| event(sequence, elapsed, body)).collect()
}

fn seen(what: &str, answer: &str) -> Vec<Evidence> {
    vec![Evidence { what: what.into(), answer: Answer::Holds(answer.into()) }]
}

fn met(plan: &Plan, lag: Answer) -> Body {
    Body::RequirementsMet {
        evidence: vec![Evidence { what: plan.require[0].check.to_string(), answer: lag }],
    }
}

fn done(step: &str, from: u64, to: u64) -> [(u64, Body); 3] {
    let id = || StepId::from(step);
    [
        (from, Body::StepStarted { step: id(), attempt: 1, inspected: format!("{step} is to be done") }),
        (to - 500, Body::StepActed { step: id(), evidence: format!("{step} was done") }),
        (to, Body::StepSucceeded { step: id(), evidence: seen("http.get", "200 in 3ms") }),
    ]
}

/// Detection 12 s; tools 1..9 s, promotion 10..20 s, traffic 20..30 s.
fn a_good_failover(plan: &Plan) -> Vec<(u64, Body)> {
    let lag = "orders in b is 250ms and 77 bytes behind the primary as seen 14s ago";
    let mut rest = vec![(500, met(plan, Answer::Holds(lag.into())))];
    rest.extend(done("tools", 1_000, 9_000));
    let why = "10.1.0.5:9999 does not answer".into();
    rest.push((9_500, Body::StepSkipped { step: "drain".into(), why, by: None }));
    rest.extend(done("fenced", 10_000, 12_000));
    rest.extend(done("promote", 12_500, 20_000));
    rest.extend(done("name", 20_000, 22_000));
    rest.extend(done("ramp", 22_000, 30_000));
    rest.push((30_500, Body::Ended { end: End::Succeeded, why: "every step succeeded".into() }));
    rest
}

fn promises() -> Vec<Promise> {
    let promise =
        |service: &str, rto: Option<Span>, rpo: Option<Span>| Promise { service: service.into(), rto, rpo };
    vec![
        promise("shop", Some(Span::secs(600)), Some(Span::secs(5))),
        promise("strict", Some(Span::secs(42)), Some(Span::ms(249))),
        promise("deploy-tool", None, None),
    ]
}

fn report(plan: &Arc<Plan>, journal: &[Event], refused: &[Refused]) -> Report {
    let run = Run::fold("r7-1".into(), plan.clone(), journal).unwrap();
    Report::new(&run, journal, &promises(), refused)
}

#[test]
fn an_automatic_failover_is_measured_part_by_part() {
    let plan = plan();
    let trigger = Trigger::Automatic { evidence: Box::new(lost()) };
    let journal = journal(&plan, trigger, a_good_failover(&plan));
    let refused = Refused {
        site: "a".into(),
        wall_ms: BEGAN - 60_000,
        guard: Some(Guard::Veto),
        reason: "a1 in a holds a live lease".into(),
        finding: lost(),
        wanted: None,
    };
    let report = report(&plan, &journal, &[refused]);
    let measured = Measured {
        detection: Some(Span::secs(12)),
        tools: Some(Span::secs(8)),
        promotion: Some(Span::secs(10)),
        traffic: Some(Span::secs(10)),
        total: Some(Span::ms(42_500)),
    };
    assert_eq!(report.measured, measured);
    let held: Vec<_> = report.objectives.iter().map(|o| (o.rto_held, o.rpo_held)).collect();
    let (met, missed) = (Some(Held::Met), Some(Held::Missed));
    assert_eq!(held, [(met, met), (missed, missed), (None, None)]);
    let loss = &report.losses[0];
    assert_eq!((loss.time, loss.bytes), (Some(Span::ms(250)), Some(77)));
    assert_eq!(loss.primary_seen_ms, Some(BEGAN + 500 - 14_000));
    assert_snapshot!(report.to_markdown());
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["measured"]["total"], 42_500);
    assert_eq!(json["objectives"][1]["rto_held"], "missed");
}

#[test]
fn a_run_by_hand_has_no_detection_and_says_who_waived_what() {
    let plan = plan();
    let waived = Override { rule: "lag".into(), reason: "better late data than none".into() };
    let trigger =
        Trigger::Operator { identity: "kim".into(), reason: "a burns".into(), overrides: vec![waived] };
    let unknown = Answer::Unknown("lag of orders in b: this member has never seen a primary answer".into());
    let rest = vec![
        (400, Body::Waived { requirement: 0, by: "kim".into(), reason: "better late data than none".into() }),
        (500, met(&plan, unknown)),
        (1_000, Body::AbortAsked { by: "lee".into(), reason: "wrong site".into() }),
        (1_500, Body::Ended { end: End::Aborted, why: "aborted by lee: wrong site".into() }),
    ];
    let journal = journal(&plan, trigger, rest);
    let report = report(&plan, &journal, &[]);
    assert_eq!(report.measured, Measured { total: Some(Span::ms(1_500)), ..Measured::default() });
    assert_eq!((report.losses[0].time, report.losses[0].bytes), (None, None));
    assert!(report.losses[0].explanation.contains("never seen a primary"));
    // It ended without the services being back, and its time is not over: nobody can say.
    assert_eq!(report.objectives[0].rto, None);
    assert_eq!(report.objectives[0].rto_held, Some(Held::Unknown));
    assert_eq!(report.objectives[0].rpo_held, Some(Held::Unknown));
    let about: Vec<&str> =
        report.people.iter().filter(|word| word.did == Did::Waived).map(|word| word.about.as_str()).collect();
    assert_eq!(about, ["lag", "postgres.lag orders in b below 5s"]);
}

#[test]
fn every_prefix_of_a_journal_has_a_report() {
    let plan = plan();
    let trigger = Trigger::Automatic { evidence: Box::new(lost()) };
    let mut rest = a_good_failover(&plan);
    let failure = Failure { kind: FailureKind::Failed, message: "the tool said 503".into() };
    rest.insert(
        2,
        (2_000, Body::AttemptFailed { step: "tools".into(), attempt: 1, failure, retry_in: Span::secs(1) }),
    );
    rest.insert(
        3,
        (3_000, Body::StepStarted { step: "tools".into(), attempt: 2, inspected: "again".into() }),
    );
    let journal = journal(&plan, trigger, rest);
    let mut entries = 0;
    for end in 1..=journal.len() {
        let report = report(&plan, &journal[..end], &[]);
        assert!(report.timeline.len() > entries, "{end}");
        entries = report.timeline.len();
        let ended = end == journal.len();
        assert_eq!(report.measured.total.is_some(), ended, "{end}");
        assert_eq!(report.to_markdown().contains("so far"), !ended, "{end}");
    }
}
