use super::*;
use crate::check::RecordType;
use crate::ids::Digest;
use crate::journal::VERSION;
use crate::plan::{OnFailure, Request, Step, Unreachable};

fn step(id: &str, needs: Vec<usize>, timeout_s: u64) -> Step {
    Step {
        id: id.into(),
        needs,
        action: Action::WaitUntil { all: vec![] },
        timeout: Span::secs(timeout_s),
        attempts: 1,
        backoff: Span::secs(1),
        on_failure: OnFailure::Pause,
        unreachable: Unreachable::Fail,
        verify: None,
        undo: None,
        undo_proof: None,
        point_of_no_return: false,
    }
}

/// Two steps side by side, and a record after both.
fn plan() -> Plan {
    let record = Action::DnsSet {
        server: "10.3.0.53:53".into(),
        zone: "example.net.".into(),
        name: "shop.example.net.".into(),
        record_type: RecordType::A,
        ttl: Span::secs(30),
        key: "tsig".into(),
        values: vec![],
    };
    let request = Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency,
        inputs: BTreeMap::new(),
    };
    Plan {
        bundle: Digest::from("bundle"),
        request,
        title: String::new(),
        services: vec![],
        rto: Some(Span::secs(100)),
        rpo: None,
        require: vec![],
        steps: vec![
            step("tools", vec![], 60),
            step("promote", vec![], 90),
            Step { action: record, ..step("name", vec![0, 1], 20) },
        ],
    }
}

/// The journal of a run of steps one after the other, each with how long it took.
fn journal(steps: &[(&str, u64)]) -> Vec<Event> {
    let mut elapsed_ms = 0;
    let mut events = Vec::new();
    let mut add = |elapsed_ms, body| {
        let sequence = events.len() as u64 + 1;
        let member = "m".into();
        events.push(Event {
            version: VERSION,
            sequence,
            wall_ms: 0,
            elapsed_ms,
            epoch: Default::default(),
            member,
            body,
        });
    };
    for (step, seconds) in steps {
        add(elapsed_ms, Body::StepStarted { step: (*step).into(), attempt: 1, inspected: String::new() });
        elapsed_ms += seconds * 1_000;
        add(elapsed_ms, Body::StepActed { step: (*step).into(), evidence: String::new() });
        add(elapsed_ms, Body::StepSucceeded { step: (*step).into(), evidence: vec![] });
    }
    events
}

#[test]
fn without_runs_there_is_a_bound_and_no_more() {
    let timing = Timing::default();
    let predicted = predict(&plan(), &History::default(), &timing);
    // 36 s until it is seen, 90 s and 20 s of steps, 30 s until the last resolver forgets.
    assert_eq!((predicted.detection, predicted.bound), (Span::secs(36), Span::secs(176)));
    assert_eq!((predicted.spread.clone(), predicted.unseen.len()), (None, 3));
    assert_eq!(predicted.trouble("shop"), None, "the timeouts are judged by lint");
    let mut drill = plan();
    drill.request.mode = Mode::Drill;
    assert_eq!(predict(&drill, &History::default(), &timing).bound, Span::secs(140));
}

#[test]
fn the_bound_counts_every_attempt_and_the_pauses_between() {
    let mut plan = plan();
    let tools = &mut plan.steps[0];
    (tools.attempts, tools.backoff) = (4, Span::secs(25));
    // 4 times 60 s, and pauses of 25 s, 50 s, and 60 s instead of 100 s, each with a fifth of jitter.
    assert_eq!(plan.critical_path(), (vec![0, 2], Span::secs(240 + 162 + 20)));
    assert_eq!(plan.once(), Span::secs(110), "promote and name");
    // 36 s until it is seen, and 30 s until the last resolver forgets.
    let bound = predict(&plan, &History::default(), &Timing::default()).bound;
    assert_eq!(bound, Span::secs(36 + 422 + 30));
}

#[test]
fn what_runs_have_shown_is_put_together_along_the_plan() {
    let timing = Timing::default();
    let mut history = History::default();
    for slow in [4, 5, 5, 5, 5, 5, 5, 5, 5, 60] {
        history.add(&journal(&[("tools", 3), ("promote", slow), ("name", 1)]));
    }
    let predicted = predict(&plan(), &history, &timing);
    let spread = predicted.spread.clone().unwrap();
    // 36 s, the slower of 3 s and 5 s, 1 s, 30 s.
    assert_eq!(spread.p50, Span::secs(72));
    // One run of ten had a promotion of a minute.
    assert_eq!(spread.p95, Span::secs(127));
    let meets = spread.meets.unwrap();
    assert!((0.85..0.95).contains(&meets), "{meets}");
    assert_eq!((predicted.runs, predicted.unseen.len()), (10, 0));
    assert_eq!(predicted.trouble("shop").unwrap().trouble.kind, Kind::Rto);
    assert_eq!(predict(&plan(), &history, &timing), predicted, "the same again");
}

#[test]
fn a_step_that_was_never_seen_counts_with_its_timeout() {
    let mut history = History::default();
    history.add(&journal(&[("tools", 3), ("name", 1)]));
    let predicted = predict(&plan(), &history, &Timing::default());
    assert_eq!(predicted.unseen, ["promote".into()]);
    // 36 s, 90 s, 1 s, 30 s.
    assert_eq!(predicted.spread.unwrap().p50, Span::secs(157));
}

#[test]
fn only_attempts_that_went_well_at_once_are_measured() {
    let mut events = journal(&[("tools", 3), ("promote", 5)]);
    // A person had a word in the one, and another leader came in the midst of the other.
    let retried = Body::Retried { step: Some("tools".into()), by: "kim".into(), reason: String::new() };
    events.insert(1, Event { body: retried, ..events[0].clone() });
    events.insert(5, Event { body: Body::TookOver, ..events[0].clone() });
    let mut history = History::default();
    history.add(&events);
    assert_eq!((history.runs, history.steps.len()), (1, 0), "{history:?}");
}
