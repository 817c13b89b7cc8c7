//! Standfast itself, and the people who command it.

use super::{DB, END, TOOL, findings, found, with};

const NONE: [&str; 0] = [];

#[test]
fn a_loss_leaves_a_majority_of_the_voters() {
    let voters = |sites: &[&str]| {
        let named: Vec<_> = sites.iter().enumerate().map(|(n, site)| format!("v{n}: {site}")).collect();
        with(&format!("control: {{voters: {{{}}}}}", named.join(", ")))
    };
    assert_eq!(voters(&["a", "b", "w"]), NONE);
    assert_eq!(voters(&["a", "a", "b", "b", "w"]), NONE);
    assert_eq!(voters(&["a", "a", "b"]), ["SF132 fleet.yaml:54"]);
    assert_eq!(voters(&["a"]), ["SF132 fleet.yaml:54"]);
    assert_eq!(voters(&["a", "a", "b", "w"]), ["SF131 fleet.yaml:54"], "two of four are no majority");
    let feed = ("power: grid-3", "power: grid-2");
    let told = found(&[feed, (END, &format!("control: {{voters: {{x: a, y: b, z: w}}}}\n{END}"))]);
    assert_eq!(told, ["SF132 fleet.yaml:54"], "two of the three hang on one feed");
}

#[test]
fn members_stand_outside_of_what_they_leave() {
    let members = |list: &str| with(&format!("control: {{members: {{{list}}}}}"));
    assert_eq!(members("x: {site: a}"), ["SF130 fleet.yaml:54 x -> a"]);
    assert_eq!(members("x: {site: a}, y: {site: a}"), ["SF130 fleet.yaml:54 x -> a"]);
    assert_eq!(members("x: {site: a}, y: {site: w}"), NONE);
    assert_eq!(
        members("x: {site: a, updates: Sunday}, y: {site: w, updates: ' sunday'}"),
        ["SF145 fleet.yaml:54"]
    );
    assert_eq!(members("x: {site: a, updates: Sunday}, y: {site: w, updates: monday}"), NONE);
}

#[test]
fn each_list_must_leave_one() {
    for (key, id) in [
        ("alerting", "SF134"),
        ("channels", "SF135"),
        ("identity", "SF137"),
        ("status_page", "SF138"),
        ("name_servers", "SF139"),
        ("mail", "SF141"),
        ("registries", "SF146"),
    ] {
        let list = |homes: &str| with(&format!("control: {{{key}: {homes}}}"));
        let path = key.replace('_', " ");
        assert_eq!(list("{site: a}"), [format!("{id} fleet.yaml:54 {path} -> a")]);
        assert_eq!(list("[{host: 10.1.9.9}]"), [format!("{id} fleet.yaml:54 {path} -> 10.1.9.9 -> a")]);
        for alive in [
            "[{site: a}, {site: w}]",
            "{site: [a, b]}",
            "[{site: a}, {outside: phones}]",
            "{host: x.b.example.net}",
        ] {
            assert_eq!(list(alive), NONE, "{key}: {alive}");
        }
        assert_eq!(list("{host: x.example.com}"), ["SF105 fleet.yaml:54"]);
    }
}

/// Nobody can approve when what lets them in burns; the way there begins with who asked.
#[test]
fn approvers_are_let_in_by_something_that_is_left() {
    let login =
        format!("{TOOL}\n  login: {{tier: 0, kind: tooling, runs_in: {{a: {{form: active, copies: 2}}}}}}");
    let ask = (
        "fence.prove: {site: $from, any_of: [site_lease_expired, power_off, writes_refused]}",
        "fence.prove: {site: $from, any_of: [operator_word], role: incident-commander}",
    );
    let keys = format!("control: {{identity: {{service: login}}}}\n{END}");
    assert_eq!(
        found(&[(TOOL, &login), (END, &keys), ask]),
        [
            "SF102 fleet.yaml:34 fenced -> incident-commander -> identity -> login -> a",
            "SF100 shop.yaml:19 fenced -> incident-commander -> identity -> login -> a",
        ]
    );
    // Also when no step asks for anybody: a run is started by people.
    assert_eq!(found(&[(TOOL, &login), (END, &keys)]), ["SF102 fleet.yaml:34 identity -> login -> a"]);
}

#[test]
fn responders_do_not_talk_over_what_they_bring_back() {
    let channels = |list: &str| with(&format!("control: {{channels: {list}}}"));
    assert_eq!(channels("[{service: shop}]"), ["SF136 fleet.yaml:54"]);
    assert_eq!(channels("[{service: shop}, {outside: phones}]"), NONE);
    assert_eq!(channels("[{service: shop}, {site: a}]"), ["SF136 fleet.yaml:54"], "the other one burns too");
    assert_eq!(channels("[{service: shop}, {site: w}]"), NONE);
    // While it cannot even be brought back, that is told as well.
    let channels = format!("control: {{channels: {{service: shop}}}}\n{END}");
    let told = findings(&[(DB, &DB.replace(", b: standby", "")), (END, &channels)]);
    let ids: Vec<_> = told.iter().map(|finding| finding.code.id).filter(|id| *id > "SF130").collect();
    assert_eq!(ids, ["SF135", "SF136"], "{told:?}");
}

#[test]
fn canaries_stand_outside_of_the_fleet() {
    let canary = |from: &str, to: &str| found(&[(from, to)]);
    assert_eq!(canary("192.0.2.53:53", "10.1.0.53:53"), NONE, "two of three are left");
    assert_eq!(
        found(&[("192.0.2.53:53", "10.1.0.53:53"), ("198.51.100.53:53", "ns.a.example.net:53")]),
        ["SF113 fleet.yaml:13"]
    );
    assert_eq!(
        found(&[("192.0.2.53:53", "10.1.0.53:53"), ("198.51.100.53:53", "10.2.0.53:53")]),
        NONE,
        "never both at once"
    );
}
