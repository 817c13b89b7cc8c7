//! One mistake each, by the rule that must find it.

use serde_json::{Value, json};
use standfast_checker::history::{History, Stored};
use standfast_checker::{Rule, judge};

use super::story::{RUN, START, effect, entry, good, order, row, trigger};

/// A good history with one mistake in it breaks this rule, and says this of it.
#[track_caller]
fn found(rule: Rule, says: &str, mistake: impl FnOnce(&mut History)) {
    let mut history = good();
    mistake(&mut history);
    let broken = judge(&history).broken;
    let seen = broken.iter().any(|broken| broken.rule == rule && broken.what.contains(says));
    assert!(seen, "{rule:?} with {says:?} is not among {broken:#?}");
}

fn stored(history: &mut History, sequence: u64) -> &mut Stored {
    let key = format!("journals/{RUN}/{sequence:08}");
    history.store.iter_mut().find(|kv| kv.key == key).expect("it is there")
}

/// Changes an entry in place.
fn edit(history: &mut History, sequence: u64, change: impl FnOnce(&mut Value)) {
    let kv = stored(history, sequence);
    let mut value: Value = serde_json::from_str(&kv.value).expect("it is one");
    change(&mut value);
    kv.value = value.to_string();
}

fn evidence(history: &mut History, change: impl FnOnce(&mut Value)) {
    edit(history, 1, |entry| change(&mut entry["trigger"]["evidence"]));
}

#[test]
fn a_good_history_is_good() {
    let verdict = judge(&good());
    assert!(verdict.holds(), "{verdict}");
    assert_eq!((verdict.runs, verdict.takeovers), ((1, 1), 1));
    assert_eq!((verdict.effects, verdict.rows), ((3, 0), (4, 1)));
}

#[test]
fn a_history_reads_back_as_it_was_written() {
    let text = serde_json::to_string(&good()).expect("plain data");
    assert_eq!(serde_json::from_str::<History>(&text).expect("the same"), good());
}

#[test]
fn a_journal_with_a_gap_or_with_a_second_text_is_found() {
    found(Rule::Journal, "entry 5 is not there", |h| {
        h.store.retain(|kv| !kv.key.ends_with("00000005"));
    });
    found(Rule::Journal, "was written 2 times", |h| stored(h, 5).version = 2);
    found(Rule::Journal, "says that it is entry 7", |h| edit(h, 5, |entry| entry["sequence"] = json!(7)));
    found(Rule::Journal, "before the one before it", |h| stored(h, 5).created = 50);
    found(Rule::Journal, "after its end", |h| {
        h.store.push(entry(RUN, 17, (4, "w1", 15_000), json!({"event": "paused", "by": "kim"})));
    });
    found(Rule::Journal, "created again", |h| edit(h, 3, |entry| entry["event"] = json!("created")));
    found(Rule::Journal, "it begins with", |h| edit(h, 1, |entry| entry["event"] = json!("approved")));
    found(Rule::Journal, "its plan", |h| h.store.retain(|kv| !kv.key.ends_with("@2c26b46b/000001")));
}

#[test]
fn an_epoch_that_goes_back_is_found() {
    found(Rule::Epochs, "after one of epoch 4", |h| edit(h, 13, |entry| entry["epoch"] = json!(3)));
    found(Rule::Epochs, "begins with", |h| edit(h, 9, |entry| entry["event"] = json!("resumed")));
    found(Rule::Epochs, "ear takes epoch 3 after 4", |h| {
        h.effects.push(effect("ear", "tell", 1, 3, (14_800, Some(14_900))));
    });
}

#[test]
fn two_members_in_one_term_are_found() {
    found(Rule::Epochs, "w1 and b1 write under epoch 4", |h| {
        edit(h, 14, |entry| entry["member"] = json!("b1"));
    });
}

#[test]
fn effects_of_two_epochs_at_once_are_found() {
    let says = "step tell of run r3-1, attempt 1 of epoch 3 and step tell";
    found(Rule::Apart, says, |h| h.effects[0].ended_ms = Some(START + 14_100));
    // At another target, and nobody saw how the older one ended.
    found(Rule::Apart, says, |h| h.effects[0] = effect("file", "tell", 1, 3, (14_100, None)));
}

#[test]
fn a_step_before_what_it_needs_is_found() {
    found(Rule::Order, "tell begins before promote is done", |h| {
        edit(h, 7, |entry| entry["event"] = json!("step_acted"));
    });
    found(Rule::Order, "had failed, and nobody retried it", |h| {
        edit(h, 10, |entry| entry["event"] = json!("step_failed"));
    });
    found(Rule::Order, "begins while step tell", |h| h.effects[1].ended_ms = Some(START + 14_640));
    found(Rule::Order, "a plan that has it", |h| edit(h, 14, |entry| entry["step"] = json!("else")));
}

/// What only failed is no step that is done; where the plan goes on without it, that is in order.
#[test]
fn a_failed_step_is_passed_over_only_where_the_plan_says_so() {
    let fail = |h: &mut History| edit(h, 13, |entry| entry["event"] = json!("step_failed"));
    found(Rule::Order, "name begins before tell is done", fail);
    let mut history = good();
    fail(&mut history);
    for kv in history.store.iter_mut().filter(|kv| kv.key.starts_with("chunks/")) {
        kv.value = kv.value.replace(r#""pause""#, r#""continue""#);
    }
    assert_eq!(judge(&history).broken, []);
}

#[test]
fn a_finished_step_that_is_acted_again_is_found() {
    found(Rule::Once, "promote is finished", |h| edit(h, 8, |entry| entry["step"] = json!("promote")));
    found(Rule::Once, "begins at its target after", |h| {
        h.effects.push(effect("ear", "tell", 2, 4, (14_800, Some(14_900))));
    });
}

#[test]
fn an_effect_that_nobody_announced_is_found() {
    found(Rule::Announced, "attempt 3", |h| h.effects[1].attempt = 3);
    found(Rule::Announced, "epoch 5", |h| h.effects[2].epoch = 5);
    found(Rule::Announced, "there is no such run", |h| h.effects[2].run = "r9-9".into());
    // Also when the target refused it.
    found(Rule::Announced, "attempt 7", |h| {
        let mut refused = effect("ear", "tell", 7, 3, (14_100, None));
        refused.accepted = false;
        h.effects.push(refused);
    });
}

#[test]
fn a_second_run_over_the_same_sites_is_found() {
    let created = || json!({"event": "created", "trigger": trigger(), "plan": "9f86d081", "proposed": false});
    let second = |created_at: i64| {
        move |h: &mut History| {
            let mut kv = entry("r4-1", 1, (4, "w1", 14_500), created());
            kv.created = created_at;
            h.store.push(kv);
        }
    };
    found(Rule::Alone, "run r4-1 begins while r3-1 lives", second(112));
    let mut history = good();
    second(200)(&mut history);
    assert!(!judge(&history).broken.iter().any(|broken| broken.rule == Rule::Alone), "the first has ended");
}

#[test]
fn evidence_that_proves_nothing_is_found() {
    found(Rule::Evidence, "no evidence", |h| evidence(h, |e| *e = Value::Null));
    found(Rule::Evidence, "its evidence is of b", |h| evidence(h, |e| e["site"] = json!("b")));
    found(Rule::Evidence, "PARTITIONED", |h| evidence(h, |e| e["verdict"] = json!("PARTITIONED")));
    found(Rule::Evidence, "1900 ms of 2000", |h| evidence(h, |e| e["confirmed"] = json!(1_900)));
    found(Rule::Evidence, "inside was heard", |h| evidence(h, |e| e["inside"] = json!(["a1"])));
    let one = "1 sites say DOWN, 2 are needed";
    found(Rule::Evidence, one, |h| evidence(h, |e| e["votes"][0]["vote"] = json!("ABSTAIN")));
    // The lost site has no vote on itself, and the same site has only one.
    found(Rule::Evidence, one, |h| evidence(h, |e| e["votes"][0]["voter"] = json!("a")));
    found(Rule::Evidence, one, |h| evidence(h, |e| e["votes"][0]["voter"] = json!("w")));
    // The word of somebody whose word does not count.
    found(Rule::Evidence, one, |h| {
        evidence(h, |e| e["votes"][1]["words"][0]["discounted"] = json!("its store is 7 s old"));
    });
    found(Rule::Evidence, one, |h| evidence(h, |e| e["votes"][1]["words"][0]["vote"] = json!("UP")));
}

#[test]
fn a_run_in_a_history_without_loss_is_found() {
    let says = "leaves a, which nothing has happened to";
    found(Rule::Needless, says, |h| h.harms.clear());
    found(Rule::Needless, says, |h| h.harms[0].site = "b".into());
    found(Rule::Needless, says, |h| h.harms[0].began_ms = START + 9_000);
    found(Rule::Needless, says, |h| {
        (h.harms[0].began_ms, h.harms[0].ended_ms) = (START - 20_000, START - 8_000);
    });
}

#[test]
fn two_writers_are_found() {
    let says = "a takes 1 rows, the first of them 9, after run r3-1";
    found(Rule::Writers, says, |h| h.orders.push(order(9, 9_100, "a")));
    // Nobody was told of it, but it stands in the database.
    found(Rule::Writers, says, |h| h.rows.get_mut("a").expect("a").push(row(9, 9_100, "a")));
    found(Rule::Writers, "row 3 was written by a and by b", |h| {
        h.rows.get_mut("b").expect("b").push(row(3, 5_100, "b"));
    });
    found(Rule::Writers, "b takes row 9 and was not promoted", |h| h.orders.insert(2, order(9, 5_000, "b")));
    found(Rule::Writers, "promotes before a is proven to be fenced", |h| {
        edit(h, 5, |entry| entry["event"] = json!("step_acted"));
    });
}

#[test]
fn rows_that_are_lost_beyond_what_is_allowed_are_found() {
    found(Rule::Rows, "2 rows of 4100 ms are lost, 4000 ms are allowed", |h| {
        h.facts.loss_ms = 4_000;
        h.rows.get_mut("b").expect("b").retain(|row| row.id != 1);
        h.orders[1].id = 77;
        h.rows.get_mut("b").expect("b").push(row(77, 4_900, "a"));
    });
    found(Rule::Rows, "row 1 is lost and 2, which came later, is not", |h| {
        h.rows.get_mut("b").expect("b").retain(|row| row.id != 1);
    });
    found(Rule::Rows, "b lacks 1 rows, the first of them 3", |h| {
        for kv in h.store.iter_mut().filter(|kv| kv.key.starts_with("chunks/")) {
            kv.value = kv.value.replace("emergency", "planned");
        }
    });
    // What the new primary has acknowledged itself.
    found(Rule::Rows, "b lacks 1 rows, the first of them 4", |h| {
        h.rows.get_mut("b").expect("b").retain(|row| row.id != 4);
        h.rows.get_mut("b").expect("b").push(row(3, 5_100, "a"));
    });
    found(Rule::Rows, "cannot be read", |h| drop(h.rows.remove("b")));
}

/// Nothing has moved, so nothing may be lost.
#[test]
fn without_a_run_every_row_is_there() {
    let quiet = || {
        let mut history = good();
        history.store.clear();
        history.effects.clear();
        history.orders.truncate(3);
        history.rows.get_mut("b").expect("b").truncate(2);
        history
    };
    assert_eq!(judge(&quiet()).broken, []);
    let mut history = quiet();
    history.rows.get_mut("a").expect("a").remove(1);
    let verdict = judge(&history);
    assert_eq!(verdict.broken.len(), 1, "{verdict}");
    assert!(verdict.broken[0].what.contains("a lacks 1 rows, the first of them 2"), "{verdict}");
}

/// A mistake that the daemon makes must not be made here with it.
#[test]
fn no_code_is_shared_with_what_is_judged() {
    let manifest = include_str!("../../Cargo.toml");
    let depends = manifest.split("[dependencies]").nth(1).and_then(|rest| rest.split("\n[").next());
    let names: Vec<&str> = (depends.expect("the dependencies").lines())
        .filter_map(|line| line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty()))
        .collect();
    assert_eq!(names, ["serde", "serde_json"]);
}
