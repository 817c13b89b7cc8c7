//! A history in which all is well: site a is lost, a run moves the shop to b, its leader dies in
//! mid-step, and another one goes on at that very step.

use serde_json::{Value, json};
use standfast_checker::history::{Effect, Facts, Harm, History, Order, Row, Stored};

/// The run that it is about.
pub(super) const RUN: &str = "r3-1";
/// When everything begins, in milliseconds since 1970.
pub(super) const START: i64 = 1_790_000_000_000;

const PLAN: &str = "9f86d081";

/// The history.
pub(super) fn good() -> History {
    let mut history = History {
        facts: Facts {
            sites: ["a", "b", "w"].map(String::from).to_vec(),
            active: "a".into(),
            confirm_ms: 2_000,
            notice_ms: 15_000,
            loss_ms: 10_000,
        },
        ..History::default()
    };
    history.store.extend(plan(&[
        ("fenced", &[], "fence.prove"),
        ("promote", &[0], "postgres.promote"),
        ("tell", &[1], "http.request"),
        ("name", &[2], "dns.set"),
    ]));
    let lines = [
        (3, "b1", 8_000, json!({"event": "created", "trigger": trigger(), "plan": PLAN, "proposed": false})),
        (3, "b1", 8_010, json!({"event": "requirements_met", "evidence": []})),
        (3, "b1", 8_020, json!({"event": "step_started", "step": "fenced", "attempt": 1, "inspected": ""})),
        (3, "b1", 9_000, json!({"event": "step_acted", "step": "fenced", "evidence": "its lease is over"})),
        (3, "b1", 9_010, json!({"event": "step_succeeded", "step": "fenced", "evidence": []})),
        (3, "b1", 9_020, json!({"event": "step_started", "step": "promote", "attempt": 1, "inspected": ""})),
        (3, "b1", 9_200, json!({"event": "step_succeeded", "step": "promote", "evidence": []})),
        (3, "b1", 9_300, json!({"event": "step_started", "step": "tell", "attempt": 1, "inspected": ""})),
        (4, "w1", 14_000, json!({"event": "took_over"})),
        (4, "w1", 14_010, json!({"event": "attempt_failed", "step": "tell", "attempt": 1, "failure": {}})),
        (4, "w1", 14_020, json!({"event": "step_started", "step": "tell", "attempt": 2, "inspected": ""})),
        (4, "w1", 14_600, json!({"event": "step_acted", "step": "tell", "evidence": "204"})),
        (4, "w1", 14_610, json!({"event": "step_succeeded", "step": "tell", "evidence": []})),
        (4, "w1", 14_620, json!({"event": "step_started", "step": "name", "attempt": 1, "inspected": ""})),
        (4, "w1", 14_700, json!({"event": "step_succeeded", "step": "name", "evidence": []})),
        (4, "w1", 14_710, json!({"event": "ended", "end": "succeeded", "why": "every step succeeded"})),
    ];
    for (sequence, (epoch, member, after, body)) in (1..).zip(lines) {
        history.store.push(entry(RUN, sequence, (epoch, member, after), body));
    }
    history.effects = vec![
        effect("ear", "tell", 1, 3, (9_310, None)),
        effect("ear", "tell", 2, 4, (14_030, Some(14_590))),
        effect("ear", "name", 1, 4, (14_625, Some(14_690))),
    ];
    history.orders =
        vec![order(1, 1_000, "a"), order(2, 4_900, "a"), order(3, 5_100, "a"), order(4, 15_000, "b")];
    history.rows.insert("a".into(), vec![row(1, 1_000, "a"), row(2, 4_900, "a"), row(3, 5_100, "a")]);
    // What came right before the loss had not been received by b.
    history.rows.insert("b".into(), vec![row(1, 1_000, "a"), row(2, 4_900, "a"), row(4, 15_000, "b")]);
    history.harms.push(Harm {
        site: "a".into(),
        began_ms: START + 5_000,
        ended_ms: START + 20_000,
        what: "cut off".into(),
    });
    history
}

/// What the automation acted upon.
pub(super) fn trigger() -> Value {
    let vote = |site: &str| {
        let word = json!({"member": format!("{site}1"), "vote": "DOWN", "held_for": 3_000, "failing": [],
                          "leased": true, "discounted": null});
        json!({"voter": site, "vote": "DOWN", "words": [word]})
    };
    json!({"by": "automatic", "evidence": {
        "site": "a", "verdict": "LOST", "held_for": 0, "confirmed": 2_000, "needed": 2,
        "votes": [vote("b"), vote("w")], "inside": [],
    }})
}

/// A plan as it is stored: what there is of it, and the rest beside it in two pieces.
fn plan(steps: &[(&str, &[usize], &str)]) -> Vec<Stored> {
    let steps: Vec<Value> = (steps.iter())
        .map(|(id, needs, action)| {
            json!({"id": id, "needs": needs, "action": {"action": action}, "timeout": 30_000, "attempts": 3,
                   "on_failure": "pause"})
        })
        .collect();
    let request = json!({"playbook": "shop", "from": "a", "to": "b", "mode": "emergency", "inputs": {}});
    let text = json!({"bundle": "b5bb9d80", "request": request, "steps": steps}).to_string();
    let (one, other) = text.split_at(text.len() / 2);
    let manifest = json!({"bytes": text.len(), "chunks": 2, "sha256": "2c26b46b"}).to_string();
    let folder = format!("chunks/plans/{PLAN}@2c26b46b");
    vec![
        stored(&format!("plans/{PLAN}"), manifest, 90),
        stored(&format!("{folder}/000000"), one.into(), 88),
        stored(&format!("{folder}/000001"), other.into(), 89),
    ]
}

fn stored(key: &str, value: String, created: i64) -> Stored {
    Stored { key: key.into(), value, created, version: 1 }
}

/// An entry as it is stored.
pub(super) fn entry(run: &str, sequence: u64, by: (u64, &str, i64), body: Value) -> Stored {
    let (epoch, member, after) = by;
    let mut entry = json!({"version": 1, "sequence": sequence, "wall_ms": START + after, "elapsed_ms": after,
                           "epoch": epoch, "member": member});
    entry.as_object_mut().expect("a map").extend(body.as_object().expect("a map").clone());
    let created = 100 + i64::try_from(sequence).expect("small");
    stored(&format!("journals/{run}/{sequence:08}"), entry.to_string(), created)
}

/// What a target wrote down.
pub(super) fn effect(target: &str, step: &str, attempt: u32, epoch: u64, at: (i64, Option<i64>)) -> Effect {
    Effect {
        target: target.into(),
        run: RUN.into(),
        step: step.into(),
        attempt,
        epoch,
        key: format!("{RUN}/{step}"),
        accepted: true,
        began_ms: START + at.0,
        ended_ms: at.1.map(|ended| START + ended),
    }
}

/// A row that was acknowledged.
pub(super) fn order(id: i64, after: i64, site: &str) -> Order {
    let sent_ms = START + after;
    Order { id, sent_ms, acknowledged_ms: sent_ms + 3, site: site.into() }
}

/// A row of a database.
pub(super) fn row(id: i64, after: i64, site: &str) -> Row {
    Row { id, site: site.into(), sent_ms: START + after }
}
