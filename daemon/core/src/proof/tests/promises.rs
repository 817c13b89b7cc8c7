//! Claims, order, capacity, evidence: what was promised against what there is.

use super::{DB, END, TOOL, findings, found, with};
use crate::finding::Finding;

const NONE: [&str; 0] = [];

fn messages(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.message.as_str()).collect()
}

#[test]
fn a_service_is_as_redundant_as_the_weakest_thing_it_needs() {
    let claim = |n: u32| ("tier: 1\n", format!("tier: 1\n    survives: {n}\n"));
    let (from, to) = claim(1);
    assert_eq!(found(&[(from, &to)]), NONE);
    let (from, to) = claim(2);
    let told = findings(&[(from, &to)]);
    assert_eq!(
        messages(&told),
        [
            "`shop` claims to survive the loss of 2 and survives that of 1: not the whole of it is left without \
          site `a` and site `b`"
        ]
    );
    let (from, to) = claim(1);
    let ledger = format!("{DB}\n  ledger: {{kind: data, runs_in: {{w: active}}}}");
    let ledger = ledger.replacen("standby}}", "standby}, needs: [ledger]}", 1);
    let told = findings(&[(from, &to), (DB, &ledger)]);
    assert_eq!(
        messages(&told),
        [
            "`shop` claims to survive the loss of 1, and `ledger`, which it needs, survives that of 0: not the \
          whole of it is left without site `w`"
        ]
    );
    assert_eq!(told[0].path, ["shop", "shop-db", "ledger", "w"]);
    // Both of its sites hang on one feed.
    let told = found(&[(from, &to), ("power: grid-2", "power: grid-1")]);
    assert_eq!(told, ["SF107 fleet.yaml:28 shop -> a", "SF112 fleet.yaml:56"]);
}

#[test]
fn what_needs_another_is_not_started_before_it() {
    let promote = "  - id: promote\n    point_of_no_return: true\n    restores: [shop]\n";
    let told = findings(&[("  - id: promote\n    point_of_no_return: true\n", promote)]);
    assert_eq!(told, [], "the step says what it restores, and the database is brought back by none");
    let tools = ("  - id: tools ", "  - id: tools\n    restores: [shop, deploy-tool]\n    # ");
    let told = found(&[tools]);
    assert_eq!(told, ["SF109 shop.yaml:13 shop -> shop-db"], "the database is promoted after it");
    // Side by side is not before.
    let steps = "steps:\n  - id: both\n    parallel:\n      - {id: one, command.run: {command: [x]}, undo: none, \
                 restores: [shop]}\n      - {id: two, command.run: {command: [y]}, undo: none, restores: [deploy-tool]}\n";
    let (old, _) = crate::lint::tests::SHOP.split_once("steps:\n").map(|(_, steps)| (steps, ())).unwrap();
    let told = found(&[("steps:\n", &format!("{steps}#")), (old, "")]);
    assert_eq!(told, ["SF109 shop.yaml:15 shop -> deploy-tool"]);
    let told = found(&[
        ("steps:\n", &format!("{}#", steps.replace("restores: [shop]", "needs: [two], restores: [shop]"))),
        (old, ""),
    ]);
    assert_eq!(told, NONE);
}

#[test]
fn a_lower_tier_does_not_wait_for_a_higher_one() {
    let told = found(&[
        ("  - id: tools ", "  - id: tools\n    restores: [front-door]\n    # "),
        (TOOL, &format!("{TOOL}\n  front-door: {{tier: 5, runs_in: {{a: active, b: standby}}}}")),
    ]);
    assert_eq!(told, ["SF117 shop.yaml:23"]);
}

#[test]
fn capacity_is_a_budget_in_the_order_of_return() {
    let sites = |capacity: &str| ("power: grid-2", format!("power: grid-2, capacity: {capacity}"));
    let loads = [
        (DB, DB.replace("tier: 0", "tier: 0, load: 30")),
        (TOOL, TOOL.replace("tier: 0", "tier: 0, load: 10")),
        ("owner: team-shop", "owner: team-shop\n    load: 60".to_owned()),
    ];
    let told = |capacity: &str| {
        let (from, to) = sites(capacity);
        let mut changes: Vec<(&str, &str)> = loads.iter().map(|(from, to)| (*from, to.as_str())).collect();
        if !capacity.is_empty() {
            changes.push((from, &to));
        }
        findings(&changes).into_iter().map(|f| format!("{} {}", f.code.id, f.message)).collect::<Vec<_>>()
    };
    assert_eq!(told("100"), NONE);
    assert_eq!(
        told("99"),
        [
            "SF110 `b` has room for 99 of the load of 100 that comes once site `a` is lost: tier 0 fits; tier 1 does \
          not fit"
        ]
    );
    assert_eq!(
        told("10"),
        [
            "SF110 `b` has room for 10 of the load of 100 that comes once site `a` is lost: of tier 0 1 of 2 fit, from \
          `shop-db` on they do not; tier 1 does not fit"
        ]
    );
    assert_eq!(
        told(""),
        ["SF111 nothing says what `b` can carry once site `a` is lost, against a load of 100"]
    );
    let (from, to) = sites("-5");
    assert_eq!(found(&[(from, &to)]), ["SF007 fleet.yaml:6"]);
    let (from, to) = sites("99999999999999999999999");
    assert_eq!(found(&[(from, &to)]), ["SF008 fleet.yaml:6"]);
}

/// What is active in both sites is carried by both: half of it moves.
#[test]
fn what_is_there_already_does_not_come() {
    let both = DB.replace("b: standby", "b: active").replace("tier: 0", "tier: 0, load: 31");
    let told = |capacity: u32| {
        findings(&[(DB, &both), ("power: grid-2", &format!("power: grid-2, capacity: {capacity}"))])
    };
    assert_eq!(told(32), []);
    assert_eq!(
        messages(&told(31)),
        ["`b` has room for 15 of the load of 16 that comes once site `a` is lost: tier 0 does not fit"]
    );
}

#[test]
fn drills_grow_old() {
    let record = |rest: &str| with(&format!("evidence: [{{kind: drill, scope: site, site: a, {rest}}}]"));
    assert_eq!(record("date: 2025-03-01, result: passed"), NONE);
    assert_eq!(record("date: 2025-02-27, result: passed"), ["SF143 fleet.yaml:54"]);
    assert_eq!(record("date: 2026-03-01, result: passed"), ["SF143 fleet.yaml:54"], "not yet held");
    assert_eq!(record("date: 2024-02-28, result: failed"), NONE, "no drill, and nobody asked for one");
    assert_eq!(record("date: 2024-02-30, result: passed"), ["SF008 fleet.yaml:54"]);
    let never = with(
        "drill_max_age: 30d\nevidence: [{kind: drill, scope: site, site: a, date: 2025-03-01, result: passed}]",
    );
    assert_eq!(never, ["SF143 fleet.yaml:55"]);
    let unjudged = crate::bundle::Bundle::load(vec![
        crate::source::SourceFile::new(
            "fleet.yaml",
            super::FLEET.replace(
                END,
                &format!("evidence: [{{kind: drill, scope: site, site: a, date: 1999-01-01, result: passed}}]\n{END}"),
            ),
        ),
        crate::source::SourceFile::new("shop.yaml", super::SHOP),
    ]);
    assert!(unjudged.1.is_empty(), "a daemon does not refuse what was good when it was applied");
}

/// The same fleet, asked for a full proof.
#[test]
fn what_is_not_said_counts_as_failed_when_the_proof_is_full() {
    let ids = |keys: &str| {
        let told = findings(&[(END, &format!("proof: full\n{keys}\n{END}"))]);
        told.into_iter().map(|finding| finding.code.id).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(""),
        [
            "SF133", "SF133", "SF134", "SF135", "SF138", "SF139", "SF140", "SF144", "SF114", "SF142",
            "SF115", "SF111"
        ]
    );
    let control = "control: {voters: {x: a, y: b, z: w}, members: {x: {site: a}, y: {site: b}}, incident_owner: \
                   incident-commander, channels: {outside: phones}, alerting: {site: [a, w]}, status_page: \
                   {outside: cdn}, name_servers: {host: 10.3.0.53}}\n";
    assert_eq!(ids(control), ["SF144", "SF114", "SF142", "SF115", "SF111"]);
    let evidence = "evidence:\n  - {kind: drill, scope: site, site: a, date: 2026-01-01, result: passed}\n  \
                    - {kind: simulation, playbook: shop, date: 2026-01-01, result: passed, took: {shop: 9m}}\n";
    assert_eq!(ids(&format!("{control}{evidence}")), ["SF114", "SF115", "SF111"]);
    let slow = evidence.replace("9m", "11m");
    assert_eq!(ids(&format!("{control}{slow}")), ["SF144", "SF114", "SF115", "SF111"]);
    let load = evidence.replace("scope: site", "scope: load");
    assert_eq!(ids(&format!("{control}{load}")), ["SF114", "SF142", "SF115", "SF111"]);
}
