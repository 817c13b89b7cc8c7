//! What is found in the order of steps, and what is not.

use super::tests::{FLEET, SHOP, found};
use crate::source::SourceFile;

/// Findings of a playbook of these steps, as ids with the line below `steps:`.
fn of_steps(steps: &str) -> Vec<String> {
    of_fleet(FLEET, steps)
}

fn of_fleet(fleet: &str, steps: &str) -> Vec<String> {
    let head = SHOP.split("\nsteps:").next().unwrap().to_owned() + "\n";
    let above = head.lines().count() + 1;
    let files = vec![
        SourceFile::new("fleet.yaml", fleet),
        SourceFile::new("shop.yaml", format!("{head}steps:\n{steps}")),
    ];
    let relative = |id: String| match id.split_once(" shop.yaml:") {
        Some((id, line)) => format!("{id} {}", line.parse::<usize>().unwrap().saturating_sub(above)),
        None => id,
    };
    judged(files).into_iter().map(relative).collect()
}

/// What dies with a lost site, and what comes back too early, is proven and tested elsewhere.
fn judged(files: Vec<SourceFile>) -> Vec<String> {
    found(files).into_iter().filter(|id| id.as_str() < "SF100").collect()
}

const FENCED: &str = "  - {id: fenced, fence.prove: {site: $from, any_of: [site_lease_expired]}}\n";
const PROMOTE: &str = "  - id: promote
    postgres.promote: {cluster: orders, at: $to}
    verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n";
const NAME: &str = "  - {id: name, dns.set: {record: shop-name, to: $to}}\n";

#[test]
fn attempts_that_will_not_be_made_are_found() {
    let step =
        |action: &str, attempts| of_steps(&format!("  - id: x\n    {action}\n    attempts: {attempts}\n"));
    let post = "http.request: {endpoint: deploy-tool, at: $to}";
    assert_eq!(step(post, 2), ["SF051 3"]);
    assert_eq!(step(post, 1), [""; 0]);
    assert_eq!(step("http.request: {endpoint: deploy-tool, at: $to, method: PUT}", 5), [""; 0]);
    assert_eq!(step("http.request: {endpoint: deploy-tool, at: $to, idempotent: true}", 5), [""; 0]);
    assert_eq!(
        step("http.request: {endpoint: deploy-tool, at: $to, method: GET, idempotent: false}", 2),
        ["SF051 3"]
    );
    assert_eq!(step("command.run: {command: [x]}", 2), ["SF051 3"]);
    assert_eq!(step("command.run: {command: [x], idempotent: true}", 2), [""; 0]);
    assert_eq!(step("postgres.run: {cluster: orders, at: $to, sql: analyze}", 9), [""; 0]);
    assert_eq!(of_steps(&format!("{FENCED}{PROMOTE}    attempts: 3\n")), ["SF051 5"]);
    assert_eq!(step("dns.set: {record: shop-name, to: $to}", 9), [""; 0]);
}

/// A step's statements are one transaction, with the epoch in it.
#[test]
fn statements_that_would_escape_the_transaction_are_found() {
    let step = |sql: &str| {
        of_steps(&format!("  - id: x\n    postgres.run: {{cluster: orders, at: $to, sql: {sql}}}\n"))
    };
    for good in [
        "analyze",
        "[select 1, \"update t set commit = true\"]",
        "\"/* begin */ select 1\"",
        "alter table t add n int",
    ] {
        assert_eq!(step(good), [""; 0], "{good}");
    }
    for bad in [
        "commit",
        "\"  BEGIN\"",
        "\"/* now */ Rollback to x\"",
        "\"-- x\\nvacuum t\"",
        "ALTER SYSTEM RESET ALL",
        "prepare transaction x",
    ] {
        assert_eq!(step(&format!("[select 1, {bad}]")), ["SF008 2"], "{bad}");
    }
}

#[test]
fn programs_on_hosts_are_attempted_again_only_if_they_may_be() {
    let host = "  db-host:\n    ssh: {a: {address: \"10.1.0.9:22\", user: kim, host_key: ssh-ed25519 AAAA}, \
                b: {address: \"10.2.0.9:22\", user: kim, host_key: ssh-ed25519 AAAA}}\n";
    let fleet = FLEET.replacen("resources:\n", &format!("resources:\n{host}"), 1);
    let step = |more: &str| {
        of_fleet(&fleet, &format!("  - id: x\n    ssh.run: {{on: db-host, at: $to, run: [x]{more}\n"))
    };
    assert_eq!(step("}"), [""; 0]);
    assert_eq!(step("}\n    attempts: 2"), ["SF051 3"]);
    assert_eq!(step(", idempotent: true}\n    attempts: 2"), [""; 0]);
    assert_eq!(step("}\n    timeout: 500ms"), ["SF008 3"]);
    let wrong = fleet.replacen("user: kim", "user: \"-oProxyCommand=x\"", 1);
    assert_eq!(of_fleet(&wrong, "  - {id: x, ssh.run: {on: db-host, at: $to, run: [x]}}\n").len(), 1);
}

/// What only might come after the point of no return counts as before it.
#[test]
fn effects_before_the_point_of_no_return_say_how_they_are_taken_back() {
    let tools = "  - {id: tools, http.request: {endpoint: deploy-tool, at: $to}}\n";
    assert_eq!(of_steps(&format!("{tools}{FENCED}{PROMOTE}")), ["SF052 1"]);
    assert_eq!(of_steps(&format!("{FENCED}{PROMOTE}{tools}")), [""; 0]);
    assert_eq!(of_steps(&format!("{FENCED}{tools}")), [""; 0], "no point of no return");
    let looks = "  - {id: look, http.request: {endpoint: deploy-tool, at: $to, method: GET}}\n";
    assert_eq!(of_steps(&format!("{looks}{FENCED}{PROMOTE}")), [""; 0]);
    let beside = "  - {id: beside, needs: [fenced], http.request: {endpoint: deploy-tool, at: $to}}\n";
    assert_eq!(of_steps(&format!("{FENCED}{PROMOTE}{beside}")), ["SF052 5"]);
    // In a drill there is no promotion.
    let drill = tools.replace("{id: tools,", "{id: tools, modes: [drill],");
    let emergency = PROMOTE.replace("id: promote", "id: promote\n    modes: [emergency]");
    assert_eq!(of_steps(&format!("{drill}{FENCED}{emergency}")), [""; 0]);
}

#[test]
fn an_undo_behind_the_point_of_no_return_is_found_unless_some_mode_can_run_it() {
    let name = "  - {id: name, dns.set: {record: shop-name, to: $to}, undo: {dns.set: {record: shop-name, to: $from}}}\n";
    assert_eq!(of_steps(&format!("{FENCED}{PROMOTE}{name}")), ["SF053 5"]);
    assert_eq!(
        of_steps(
            &format!("{FENCED}{PROMOTE}{NAME}    undo: none\n")
                .replace("}}\n    undo: none", "}, undo: none}")
        ),
        [""; 0]
    );
    let emergency = PROMOTE.replace("id: promote", "id: promote\n    modes: [emergency]");
    assert_eq!(of_steps(&format!("{FENCED}{emergency}{name}")), [""; 0]);
    let own = PROMOTE.to_owned() + "    undo: {dns.set: {record: shop-name, to: $from}}\n";
    assert_eq!(of_steps(&format!("{FENCED}{own}")), ["SF053 5"]);
}

#[test]
fn a_rollback_needs_a_way_back() {
    let promote = PROMOTE.to_owned() + "    on_failure: rollback\n";
    assert_eq!(of_steps(&format!("{FENCED}{promote}")), ["SF065 5"]);
    let fence = FENCED.replace("]}}", "]}, on_failure: rollback}");
    assert_eq!(of_steps(&format!("{fence}{PROMOTE}")), [""; 0], "{fence}");
    // Without a point of no return nothing else asks how each effect is taken back.
    let silent = "  - {id: tell, http.request: {endpoint: deploy-tool, at: $to}}\n";
    assert_eq!(of_steps(silent), [""; 0]);
    assert_eq!(of_steps(&format!("{silent}{fence}")), ["SF065 1"]);
    let said = silent.replace("}}", "}, undo: none}");
    assert_eq!(of_steps(&format!("{said}{fence}")), [""; 0]);
}

#[test]
fn a_step_has_time_to_be_done() {
    let command = |timeout: &str| {
        let step = "  - id: start\n    command.run: {command: [start]}\n    undo: none\n";
        of_steps(&format!("{step}    timeout: {timeout}\n"))
    };
    assert_eq!((command("999ms"), command("1s")), (vec!["SF008 4".to_owned()], vec![]));
    let wait = |timeout: &str| {
        let step = "  - id: warm\n    wait.until: {all: [{tcp.connect: {endpoint: shop-web, at: $to}}]}\n";
        of_steps(&format!("{step}    timeout: {timeout}\n"))
    };
    assert_eq!((wait("0s"), wait("100ms")), (vec!["SF008 3".to_owned()], vec![]));
}

#[test]
fn customers_wait_for_every_promotion() {
    let undone = NAME.replace("}}", "}, undo: none}");
    assert_eq!(of_steps(&format!("{undone}{FENCED}{PROMOTE}")), ["SF054 1"]);
    assert_eq!(of_steps(&format!("{FENCED}{PROMOTE}{NAME}")), [""; 0]);
    assert_eq!(of_steps(NAME), [""; 0], "nothing is promoted");
    let beside = undone.replace("id: name", "id: name, needs: [fenced]");
    assert_eq!(of_steps(&format!("{FENCED}{PROMOTE}{beside}")), ["SF054 5"]);
    let back = "  - {id: back, dns.set: {record: shop-name, to: $from}, undo: none}\n";
    assert_eq!(of_steps(&format!("{back}{FENCED}{PROMOTE}")), [""; 0], "sends nobody to `$to`");
}

#[test]
fn what_others_need_is_not_passed_over() {
    let wait = "  - id: warm\n    on_failure: continue\n    wait.until: {all: [{tcp.connect: {endpoint: shop-web, at: $to}}]}\n    timeout: 10s\n";
    assert_eq!(of_steps(&format!("{wait}{NAME}")), [""; 0], "below it, and not named");
    let names = NAME.replace("id: name", "id: name, needs: [warm]");
    assert_eq!(of_steps(&format!("{wait}{names}")), ["SF055 2"]);
    let block = format!(
        "  - id: both\n    parallel:\n{}",
        wait.replace("  -", "      -").replace("\n    ", "\n        ")
    );
    let names = NAME.replace("id: name", "id: name, needs: [both]");
    assert_eq!(of_steps(&format!("{block}{names}")), ["SF055 4"]);
    for weak in ["on_failure: continue", "unreachable: skip"] {
        assert_eq!(of_steps(&format!("{FENCED}{PROMOTE}    {weak}\n{NAME}")), ["SF055 5"], "{weak}");
        assert_eq!(of_steps(&format!("{FENCED}{PROMOTE}    {weak}\n")), [""; 0], "nothing follows");
    }
}

#[test]
fn ramps_are_gated_at_the_site_they_go_to() {
    let ramp = |rest: &str| of_steps(&format!("  - id: ramp\n    traffic.shift: {{route: front, {rest}\n"));
    assert_eq!(ramp("to: $to, weights: [5, 100]}"), ["SF056 2"]);
    assert_eq!(ramp("to: $to, weights: [100]}"), [""; 0]);
    assert_eq!(ramp("to: $to}"), [""; 0]);
    let verify = "    verify: {within: 9s, all: [{http.get: {endpoint: shop-web, at: $to}}]}";
    assert_eq!(ramp(&format!("to: $to, weights: [5, 100]}}\n{verify}")), [""; 0]);
    assert_eq!(
        ramp(&format!("to: $to, weights: [5, 100]}}\n{}", verify.replace("$to", "$from"))),
        ["SF057 3"]
    );
    let gated = "to: $to, weights: [5, 100], gates: [{dns.answers: {record: shop-name, is: $from}}]}";
    assert_eq!(ramp(&format!("{gated}\n{verify}")), ["SF057 2"]);
    let back = "to: $from, weights: [5, 100], gates: [{http.get: {endpoint: shop-web, at: $from}}]}";
    assert_eq!(ramp(back), [""; 0], "the site that customers go to");
}

#[test]
fn two_writers_of_one_thing_wait_for_each_other() {
    let block = |one: &str, two: &str| {
        of_steps(&format!(
            "  - id: both\n    parallel:\n      - {{id: one, {one}}}\n      - {{id: two, {two}}}\n"
        ))
    };
    let put =
        |path: &str| format!("http.request: {{endpoint: deploy-tool, at: $to, method: PUT, path: {path}}}");
    let [drain, shift] =
        ["traffic.drain: {route: front, at: $from}", "traffic.shift: {route: front, to: $to}"];
    assert_eq!(block(drain, shift), [""; 0], "each on the balancer of its site");
    assert_eq!(block("traffic.ready: {route: front, at: $to}", shift), ["SF058 4"]);
    assert_eq!(
        block("dns.set: {record: shop-name, to: $to}", "dns.set: {record: shop-name, to: $from}"),
        ["SF058 4"]
    );
    assert_eq!(block(&put("/a"), &put("/b")), [""; 0]);
    assert_eq!(block(&put("/a"), &put("/a")), ["SF058 4"]);
    assert_eq!(
        block("command.run: {command: [x]}", "command.run: {command: [x]}"),
        [""; 0],
        "nothing is known"
    );
    assert_eq!(
        block(shift, &format!("needs: [one], {}", shift.replace("$to}", "$to, weights: [7]}"))),
        [""; 0]
    );
}

#[test]
fn an_approval_needs_as_many_people_as_it_asks_for() {
    let ask = |quorum| {
        of_steps(&format!(
            "  - id: ask\n    timeout: 1m\n    approval.ask: {{role: incident-commander, message: Go?, quorum: {quorum}}}\n"
        ))
    };
    assert_eq!(ask(2), [""; 0]);
    assert_eq!(ask(3), ["SF059 3"]);
    let twice = FLEET.replace("[kim, lee]", "[kim, kim]");
    let two =
        "  - {id: ask, timeout: 1m, approval.ask: {role: incident-commander, message: Go?, quorum: 2}}\n";
    assert_eq!(of_fleet(&twice, two), ["SF059 1"], "one person, named twice");
}

#[test]
fn time_is_reckoned_from_the_loss_to_the_last_resolver() {
    let wait = |secs| {
        format!(
            "  - {{id: wait, timeout: {secs}s, wait.until: {{all: [{{tcp.connect: {{endpoint: shop-web, at: $to}}}}]}}}}\n"
        )
    };
    // 36 s until it is seen at the worst, 10 minutes promised.
    assert_eq!(of_steps(&wait(564)), [""; 0]);
    assert_eq!(found_at_services(&wait(565)), ["SF062"]);
    // A change of 10 s, and 30 s for which resolvers keep the old record.
    assert_eq!(of_steps(&format!("{}{NAME}", wait(524))), [""; 0]);
    assert_eq!(found_at_services(&format!("{}{NAME}", wait(525))), ["SF062"]);
    let kept = FLEET.replace("ttl: 30s", "ttl: 10m");
    assert_eq!(of_fleet(&kept, NAME), ["SF061 1"]);
    let rehearsed = FLEET.replace("rto: 10m", "rto: 100d");
    assert_eq!(of_fleet(&rehearsed, &wait(1_000)), [""; 0]);
}

/// Ids alone: this finding stands at the service whose objective it is.
fn found_at_services(steps: &str) -> Vec<String> {
    of_steps(steps).into_iter().map(|id| id.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_way_back_is_bound_too() {
    let fleet = FLEET.replace("values: {a: 10.1.0.5, b: 10.2.0.5}", "values: {b: 10.2.0.5}");
    assert_eq!(of_fleet(&fleet, NAME), ["SF060 1"]);
    let fence = "  - {id: fenced, fence.prove: {site: $from, any_of: [power_off]}}\n";
    assert_eq!(of_steps(fence), ["SF060 1"], "site b has no command that cuts its power");
    // Where the way there is not right either, that is said once.
    let fleet = FLEET.replace("values: {a: 10.1.0.5, b: 10.2.0.5}", "values: {w: 10.2.0.5}");
    assert_eq!(of_fleet(&fleet, NAME), ["SF034 1"]);
}

/// What says when it is back is judged by that, what does not by the end of the playbook.
#[test]
fn each_service_is_judged_by_when_it_is_back() {
    let wait = |id, secs, rest| {
        format!(
            "  - {{id: {id}, timeout: {secs}s, wait.until: {{all: [{{tcp.connect: {{endpoint: shop-web, at: $to}}}}]}}{rest}}}\n"
        )
    };
    let steps = |first| format!("{}{}", wait("db", first, ", restores: [shop-db]"), wait("rest", 400, ""));
    let fleet = FLEET.replace("shop-db: {tier: 0,", "shop-db: {tier: 0, objectives: {rto: 2m},");
    assert_eq!(of_fleet(&fleet, &steps(84)), [""; 0]);
    assert_eq!(of_fleet(&fleet, &steps(85)), ["SF062 1"], "where it says that it is back");
    assert_eq!(found_at_services(&steps(165)), ["SF062"], "the shop is back at the end");
    let early = format!(
        "{}{}",
        wait("shop", 10, ", restores: [shop, shop-db, deploy-tool]"),
        wait("rest", 4_000, "")
    );
    assert_eq!(of_steps(&early), [""; 0]);
    let early = early.replace(", shop-db", "");
    assert_eq!(found_at_services(&early), ["SF062"], "what it needs is back at the end");
    let name = "  - {id: name, restores: [shop-db], dns.set: {record: shop-name, to: $to}}\n";
    let kept = fleet.replace("ttl: 30s", "ttl: 3m");
    assert_eq!(of_fleet(&kept, name), ["SF061 1"]);
}

#[test]
fn what_may_lose_nothing_does_not_stand_on_what_is_copied_afterwards() {
    let fleet = |replication: &str, rpo: &str| {
        FLEET
            .replace("rpo: 5s", rpo)
            .replace("kind: data,", &format!("kind: data, replication: {replication},"))
            .replace(
                "deploy-tool: {tier: 0, kind: tooling,",
                "deploy-tool: {tier: 0, kind: tooling, objectives: {rpo: 0s},",
            )
    };
    let findings = |fleet: String| {
        let files = vec![SourceFile::new("fleet.yaml", fleet), SourceFile::new("shop.yaml", SHOP)];
        let (_, findings) = crate::bundle::Bundle::load(files);
        findings.iter().map(|f| (f.code.id, f.path.join(" -> "))).collect::<Vec<_>>()
    };
    assert_eq!(findings(fleet("async", "rpo: 0s")), [("SF063", "shop -> shop-db".to_owned())]);
    assert_eq!(findings(fleet("sync", "rpo: 0s")), []);
    assert_eq!(findings(fleet("async", "rpo: 1s")), []);
    let own = fleet("async, objectives: {rpo: 0s}", "rpo: 1s");
    assert_eq!(findings(own), [("SF063", String::new())]);
}

/// The fleet may know which services customers are sent to, and what these need.
#[test]
fn customers_do_not_wait_for_a_database_that_they_do_not_need() {
    let of = |resource: &str| {
        FLEET.replace(
            "deploy-tool: {tier: 0, kind: tooling,",
            &format!("deploy-tool: {{tier: 0, kind: tooling, resource: {resource},"),
        )
    };
    let early = format!("{}{FENCED}{PROMOTE}", NAME.replace("}}", "}, undo: none}"));
    assert_eq!(of_fleet(&of("shop-name"), &early), [""; 0], "the name of a tool, which needs no database");
    assert_eq!(of_fleet(&of("front"), &early), ["SF054 1"], "nobody knows whose name it is");
    let needs = of("shop-name").replace("resource: shop-name,", "resource: shop-name, needs: [shop-db],");
    assert_eq!(of_fleet(&needs, &early), ["SF054 1"]);
}

/// Parts are judged alone, and together for what only the whole shows.
#[test]
fn a_composed_playbook_is_judged_as_a_whole() {
    let part = |name: &str, steps: &str| {
        let text = format!(
            "api: standfast/v1\nplaybook: {name}\ntitle: Part\nservices: [shop]\nmodes: [drill]\nsteps:\n{steps}"
        );
        SourceFile::new(format!("{name}.yaml"), text)
    };
    let fleet = FLEET.replace(
        "deploy-tool: {tier: 0, kind: tooling,",
        "deploy-tool: {tier: 0, kind: tooling, resource: [front, deploy-tool],",
    );
    let fleet = fleet.replace(
        "    needs: [shop-db, deploy-tool]",
        "    resource: shop-name\n    needs: [shop-db, deploy-tool]",
    );
    let run = |order: [&str; 2]| {
        let step = |name: &str| format!("  - {{id: do-{name}, playbook.run: {{playbook: {name}}}}}\n");
        let drain = "  - {id: drain, traffic.drain: {route: front, at: $from}, undo: {traffic.ready: {route: front, at: $from}}}\n";
        let shift = "  - {id: shift, traffic.shift: {route: front, to: $to}}\n";
        judged(vec![
            SourceFile::new("fleet.yaml", fleet.clone()),
            SourceFile::new("shop.yaml", SHOP),
            part("data", &format!("{FENCED}{PROMOTE}")),
            part("names", &format!("{drain}{NAME}{shift}")),
            part("whole", &order.map(step).concat()),
        ])
    };
    // The undo of the drain comes behind the promotion of the other part, and the tool's route
    // before it: both are as they should be. The shop's name is not.
    assert_eq!(run(["data", "names"]), [""; 0]);
    assert_eq!(run(["names", "data"]), ["SF052 names.yaml:8", "SF054 names.yaml:8", "SF052 names.yaml:9"]);
}

/// What a part only needs is back before it, or late in the whole.
#[test]
fn a_part_is_judged_by_what_it_restores() {
    let fleet = FLEET.replace("shop-db: {tier: 0,", "shop-db: {tier: 0, objectives: {rto: 6m},");
    let file = |name: &str, steps: &str| {
        let text = format!(
            "api: standfast/v1\nplaybook: {name}\ntitle: Part\nservices: [shop]\nmodes: [emergency]\nsteps:\n{steps}"
        );
        SourceFile::new(format!("{name}.yaml"), text)
    };
    let slow = "  - {id: web, timeout: 6m, restores: [shop], wait.until: {all: [{postgres.writable: {cluster: orders, at: $to}}]}}\n";
    let (one, two) =
        ("  - {id: one, playbook.run: {playbook: data}}\n", "  - {id: two, playbook.run: {playbook: web}}\n");
    let judged = |whole: &str| {
        let files = vec![
            SourceFile::new("fleet.yaml", fleet.clone()),
            SourceFile::new("shop.yaml", SHOP),
            file("data", &format!("{FENCED}{PROMOTE}")),
            file("web", slow),
            file("whole", whole),
        ];
        let late = found(files).into_iter().filter(|id| id.contains("SF062")).collect::<Vec<_>>();
        late.into_iter().map(|id| id.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(judged(&format!("{one}{two}")), [""; 0]);
    assert_eq!(judged(one), ["SF062 web.yaml"], "nobody runs `web`, so it stands for itself");
    assert_eq!(judged(&format!("{two}{one}")), ["SF062 whole.yaml"]);
}
