//! The same messages as JSON, for curl, for the web page and for `-o json`.

use std::collections::BTreeMap;

use serde_json::json;
use standfast_proto::v1::{
    EventKind, Evidence, MeasuredLoss, Mode, OperatorTrigger, Run, RunState, Step, StepState, Trigger,
    WatchRequest, WatchRunResponse, trigger, watch_run_response,
};

fn run() -> Run {
    Run {
        id: "shop-7kq2".into(),
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency.into(),
        inputs: BTreeMap::from([("ticket".into(), "INC-1".into())]),
        state: RunState::Running.into(),
        trigger: Some(Trigger {
            by: Some(trigger::By::Operator(OperatorTrigger { identity: "kim".into() })),
        }),
        created_at: Some(pbjson_types::Timestamp { seconds: 1_665_800_000, nanos: 0 }),
        epoch: 7,
        steps: vec![Step {
            id: "promote".into(),
            state: StepState::Verifying.into(),
            attempt: 1,
            evidence: vec![Evidence {
                what: "postgres.writable orders at b".into(),
                answer: "yes".into(),
                at: None,
            }],
            ..Step::default()
        }],
        ..Run::default()
    }
}

#[test]
fn a_run_keeps_everything_through_json() {
    let watched = WatchRunResponse { item: Some(watch_run_response::Item::Snapshot(run())) };
    let text = serde_json::to_string(&watched).expect("JSON");
    assert_eq!(serde_json::from_str::<WatchRunResponse>(&text).expect("its own JSON"), watched);
}

#[test]
fn json_is_the_canonical_mapping() {
    assert_eq!(
        serde_json::to_value(run()).expect("JSON"),
        json!({
            "id": "shop-7kq2",
            "playbook": "shop",
            "from": "a",
            "to": "b",
            "mode": "MODE_EMERGENCY",
            "inputs": {"ticket": "INC-1"},
            "state": "RUN_STATE_RUNNING",
            "trigger": {"operator": {"identity": "kim"}},
            "createdAt": "2022-10-15T02:13:20+00:00",
            "epoch": "7",
            "steps": [{
                "id": "promote",
                "state": "STEP_STATE_VERIFYING",
                "attempt": 1,
                "evidence": [{"what": "postgres.writable orders at b", "answer": "yes"}],
            }],
        })
    );
}

#[test]
fn unknown_is_not_the_same_as_none_lost() {
    let unknown = MeasuredLoss { data_set: "orders".into(), ..MeasuredLoss::default() };
    let none = MeasuredLoss { bytes_lost: Some(0), ..unknown.clone() };
    assert_eq!(serde_json::to_value(&unknown).expect("JSON"), json!({"dataSet": "orders"}));
    assert_eq!(serde_json::to_value(&none).expect("JSON"), json!({"dataSet": "orders", "bytesLost": "0"}));
}

#[test]
fn requests_are_read_as_people_write_them() {
    let request: WatchRequest =
        serde_json::from_value(json!({"fromRevision": 12, "kinds": ["EVENT_KIND_SITE"]})).expect("a request");
    assert_eq!(request.from_revision, 12);
    assert_eq!(request.kinds, [i32::from(EventKind::Site)]);

    let misspelt = serde_json::from_value::<WatchRequest>(json!({"from_revison": 12}));
    assert!(misspelt.expect_err("an unknown field").to_string().contains("from_revison"));
}
