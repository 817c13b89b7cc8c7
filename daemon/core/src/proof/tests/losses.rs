//! What dies with a site, and the way that leads into it.

use super::{DB, END, TOOL, findings, found, with};

const NONE: [&str; 0] = [];

/// The situation of 2022: the tools that operate the others stand in the site that burns.
#[test]
fn a_tool_that_stands_only_there_is_a_trap() {
    let trap = TOOL.replace(", b: standby", "");
    assert_eq!(
        found(&[(TOOL, &trap)]),
        ["SF101 fleet.yaml:33 tools -> deploy-tool -> a", "SF100 shop.yaml:14 tools -> deploy-tool -> a",]
    );
    let copies = TOOL.replace("{a: active, b: standby}", "{a: {form: active, copies: 3}}");
    let told = findings(&[(TOOL, &copies)]);
    assert_eq!(told[0].code.id, "SF102");
    assert_eq!(
        told[0].message,
        "`deploy-tool` is redundant (3 copies), but only inside of site `a`; `shop` does not come back without it"
    );
}

/// The way is the shortest one, over as many services as it takes.
#[test]
fn what_a_tool_needs_is_followed_to_the_site() {
    let chain = format!(
        "{}\n  registry: {{tier: 0, kind: tooling, runs_in: {{a: active, b: standby}}, needs: [images]}}\n  \
         images: {{tier: 0, kind: data, runs_in: {{a: active}}}}",
        TOOL.replace("standby}}", "standby}, needs: [registry]}")
    );
    assert_eq!(
        found(&[(TOOL, &chain)]),
        [
            "SF103 fleet.yaml:35 tools -> deploy-tool -> registry -> images -> a",
            "SF100 shop.yaml:14 tools -> deploy-tool -> registry -> images -> a",
        ]
    );
    // What is only wanted does not stop anything.
    let wanted = chain.replace("needs: [images]", "wants: [images]");
    assert_eq!(found(&[(TOOL, &wanted)]), NONE);
}

#[test]
fn data_survives_only_whole() {
    let shares = |a: u32, b: u32| {
        let places = format!("{{a: {{form: active, share: {a}}}, b: {{form: active, share: {b}}}}}");
        findings(&[(DB, &DB.replace("{a: active, b: standby}", &places))])
    };
    assert_eq!(shares(100, 100), []);
    let told = shares(30, 70);
    assert_eq!(told.iter().map(|f| f.code.id).collect::<Vec<_>>(), ["SF103", "SF100"], "{told:?}");
    assert!(
        told[0].message.starts_with("`shop-db` has no full copy outside of site `a`: 70 percent are left")
    );
}

#[test]
fn an_application_comes_back_in_part() {
    let part = found(&[(
        "runs_in: {a: active, b: standby}\n",
        "runs_in: {a: active, b: {form: standby, share: 40}}\n",
    )]);
    assert_eq!(part, ["SF108 fleet.yaml:30"]);
    // That it does not come back at all for now, without its database, does not hide it.
    let told = findings(&[
        ("runs_in: {a: active, b: standby}\n", "runs_in: {a: active, b: {form: standby, share: 40}}\n"),
        (DB, &DB.replace(", b: standby", "")),
    ]);
    let ids: Vec<_> = told.iter().map(|finding| finding.code.id).collect();
    assert_eq!(ids, ["SF108", "SF103", "SF100"], "{told:?}");
}

/// A host is where its domain or its network says, whatever the resource is called.
#[test]
fn a_tool_that_is_reached_through_the_lost_site_is_a_trap() {
    let told = found(&[("https://deploy.b.example.net", "https://deploy.a.example.net:8443/x")]);
    assert_eq!(
        told,
        [
            "SF100 fleet.yaml:22 the probe of b -> deploy-tool -> deploy.a.example.net -> a",
            "SF101 fleet.yaml:33 tools -> deploy-tool -> deploy-tool in b -> deploy.a.example.net -> a",
            "SF100 shop.yaml:14 tools -> deploy-tool -> deploy.a.example.net -> a",
        ]
    );
    let by_address = found(&[("host=10.2.0.10", "host=10.1.0.11")]);
    assert!(
        by_address.contains(&"SF100 shop.yaml:23 promote -> orders -> 10.1.0.11 -> a".to_owned()),
        "{by_address:?}"
    );
}

#[test]
fn name_servers_secrets_and_jump_hosts_are_needed_too() {
    assert_eq!(
        found(&[("10.3.0.53:53", "10.1.0.53:53")]),
        ["SF100 shop.yaml:36 name -> shop-name -> 10.1.0.53 -> a"]
    );
    assert_eq!(
        with("secrets: {orders_b: {service: vault}, tsig: {site: [a, b]}}").len(),
        1,
        "there is no such service"
    );
    let vault = format!("{TOOL}\n  vault: {{tier: 0, kind: tooling, runs_in: {{a: active}}}}");
    let keys = format!("secrets: {{orders_b: {{service: vault}}, tsig: {{site: [a, b]}}}}\n{END}");
    let told = found(&[(TOOL, &vault), (END, &keys)]);
    assert_eq!(
        told,
        [
            "SF100 fleet.yaml:23 the probe of b -> orders -> orders_b -> vault -> a",
            "SF101 fleet.yaml:34 promote -> orders -> orders_b -> vault -> a",
            "SF100 shop.yaml:23 promote -> orders -> orders_b -> vault -> a",
        ]
    );
    let jump = "command.run: {command: [ssh, -J, \"kim@jump.a.example.net\", db.b.example.net, promote]}";
    assert_eq!(
        found(&[(
            "postgres.promote: {cluster: orders, at: $to}\n    timeout: 90s",
            &format!("{jump}\n    uses: [deploy-tool]\n    timeout: 90s")
        )]),
        ["SF100 shop.yaml:23 promote -> jump.a.example.net -> a"]
    );
}

/// What a host stands in must be said; a provider is outside by name.
#[test]
fn a_host_that_stands_nowhere_is_told() {
    let ns = "10.3.0.53:53";
    assert_eq!(found(&[(ns, "ns.provider.example:53")]), ["SF105 fleet.yaml:47"]);
    let outside = format!("outside: {{domains: [provider.example]}}\n{END}");
    assert_eq!(found(&[(ns, "ns.provider.example:53"), (END, &outside)]), NONE);
}

#[test]
fn a_step_at_the_lost_site_must_be_dispensable() {
    let told = findings(&[("    unreachable: skip          # a lost site may not answer\n", "")]);
    assert_eq!(told.iter().map(|f| (f.code.id, f.line)).collect::<Vec<_>>(), [("SF100", 30)]);
    assert_eq!(told[0].path, ["drain", "front", "a"]);
    assert!(told[0].help.as_ref().unwrap().contains("unreachable: skip"));
    let waits = "wait.until: {all: [{http.get: {endpoint: shop-web, at: $from}}]}\n    timeout: 10s\n    on_failure: continue";
    let told = found(&[(
        "fence.prove: {site: $from,",
        &format!("{waits}\n\n  - id: fenced2\n    fence.prove: {{site: $from,"),
    )]);
    assert_eq!(
        told,
        ["SF108 shop.yaml:19 fenced -> shop-web -> a", "SF055 shop.yaml:21"],
        "it is passed over, and the end is partial"
    );
}

/// A fence is proven by any one of its proofs; the old primary cannot give one from the ashes.
#[test]
fn a_fence_needs_one_proof_that_is_left() {
    let any = "any_of: [site_lease_expired, power_off, writes_refused]";
    assert_eq!(found(&[(any, "any_of: [writes_refused]")]), ["SF100 shop.yaml:19 fenced -> a"]);
    assert_eq!(found(&[(any, "any_of: [writes_refused, power_off]")]), NONE);
    let command = "[ipmi-fence, rack-a, \"off\"]";
    assert_eq!(
        found(&[
            (any, "any_of: [writes_refused, power_off]"),
            (command, "[ipmi, \"bmc.a.example.net\", \"off\"]")
        ]),
        ["SF100 shop.yaml:19 fenced -> a"]
    );
}

#[test]
fn what_a_person_may_waive_stops_nothing() {
    let require = "postgres.lag: {cluster: orders, at: $to, below: 5s}";
    let from = "http.get: {endpoint: shop-web, at: $from}";
    assert_eq!(found(&[(require, from)]), NONE);
    assert_eq!(
        found(&[
            (require, from),
            ("    override: incident-commander      # may be waived by this role, by name, audited\n", "")
        ]),
        ["SF100 shop.yaml:9 http.get -> shop-web -> a"]
    );
}

/// Two buildings on one feed are one building (Strasbourg 2021).
#[test]
fn sites_that_share_a_feed_or_a_fire_compartment_are_lost_together() {
    let same = found(&[("power: grid-2", "power: grid-1")]);
    assert_eq!(same, ["SF112 fleet.yaml:55"]);
    let fire = |with: &str, text: &str| {
        found(&[
            ("power: grid-1", "power: grid-1, fire: hall"),
            (with, &format!("{with}, fire: hall")),
            (TOOL, text),
        ])
    };
    assert_eq!(fire("power: grid-2", TOOL), ["SF112 fleet.yaml:55"]);
    let witness = TOOL.replace("b: standby", "w: standby");
    assert_eq!(found(&[(TOOL, &witness)]), NONE, "alone");
    let told = fire("power: grid-3", &witness);
    assert_eq!(
        told,
        [
            "SF102 fleet.yaml:33 tools -> deploy-tool -> w",
            "SF100 shop.yaml:14 tools -> deploy-tool -> w",
            "SF100 shop.yaml:36 name -> shop-name -> 10.3.0.53 -> w",
        ],
        "redundant in the same fire, and the name server stands there too"
    );
}

#[test]
fn services_that_cannot_start_without_each_other_are_a_cycle() {
    let cycle = format!(
        "{}\n  registry: {{tier: 0, kind: tooling, runs_in: {{a: active, b: standby}}, starts_with: [deploy-tool]}}",
        TOOL.replace("standby}}", "standby}, needs: [registry]}")
    );
    assert_eq!(found(&[(TOOL, &cycle)]), ["SF106 fleet.yaml:33 deploy-tool -> registry -> deploy-tool"]);
    let app = "needs: [shop-db, deploy-tool]";
    let db = DB.replace("standby}}", "standby}, needs: [shop]}");
    assert_eq!(found(&[(DB, &db), (app, app)])[0], "SF027 fleet.yaml:26 shop -> shop-db -> shop");
    let own = found(&[(DB, &DB.replace("standby}}", "standby}, needs: [shop-db]}"))]);
    assert_eq!(own[0], "SF027 fleet.yaml:32 shop-db -> shop-db");
    // The secret of a database lies in a vault that keeps its data in that database.
    let vault = format!(
        "{TOOL}\n  vault: {{tier: 0, kind: tooling, runs_in: {{a: active, b: active}}, needs: [shop-db]}}"
    );
    let keys = format!("secrets: {{orders_a: {{service: vault}}}}\n{END}");
    assert_eq!(found(&[(TOOL, &vault), (END, &keys)]), ["SF106 fleet.yaml:32 shop-db -> vault -> shop-db"]);
}
