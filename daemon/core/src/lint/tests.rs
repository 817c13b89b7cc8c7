//! The example of the repository is clean, and what is done to it is found.

use crate::action::Action;
use crate::bind::bind;
use crate::bundle::Bundle;
use crate::finding::Findings;
use crate::finding::code;
use crate::plan::{Mode, Request};
use crate::source::SourceFile;
use insta::assert_snapshot;
use std::collections::BTreeMap;

pub(crate) const FLEET: &str = include_str!("../../../../playbooks/shop/fleet.yaml");
pub(crate) const SHOP: &str = include_str!("../../../../playbooks/shop/shop.yaml");

/// The example, with one text replaced by another.
fn with(from: &str, to: &str) -> Vec<SourceFile> {
    assert!(FLEET.contains(from) || SHOP.contains(from), "{from}");
    vec![
        SourceFile::new("fleet.yaml", FLEET.replace(from, to)),
        SourceFile::new("shop.yaml", SHOP.replace(from, to)),
    ]
}

fn text(files: Vec<SourceFile>) -> String {
    let (_, findings) = Bundle::load(files.clone());
    findings.to_text(&files, false)
}

fn emergency() -> Request {
    Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency,
        inputs: BTreeMap::new(),
    }
}

#[test]
fn the_example_is_clean() {
    let (bundle, findings) = Bundle::load(with("shop", "shop"));
    assert!(findings.is_empty());
    assert!(bundle.is_some());
}

/// A window that is none is found where it stands.
#[test]
fn a_window_is_of_a_calendar() {
    let windows = |window: &str| {
        let files = vec![
            SourceFile::new("fleet.yaml", format!("{FLEET}\nfreeze_windows:\n  nights: {window}\n")),
            SourceFile::new("shop.yaml", SHOP.to_owned()),
        ];
        text(files)
    };
    assert_eq!(windows("{days: [fri, sat], from: 22:00, until: 06:00, zone: Asia/Seoul}"), "");
    let zone = windows("{from: 22:00, until: 06:00, zone: Asia/Soul}");
    assert!(zone.contains("SF008") && zone.contains("did you mean `Asia/Seoul`"), "{zone}");
    let time = windows("{from: ten, until: 06:00, zone: UTC}");
    assert!(time.contains("SF008") && time.contains("is neither a time"), "{time}");
    let day = windows("{days: [friday], from: 22:00, until: 06:00, zone: UTC}");
    assert!(day.contains("SF008") && day.contains("friday"), "{day}");
}

/// A newer version may find what an older one did not; a member that starts with it goes on.
#[test]
fn what_was_applied_is_used_as_long_as_it_is_understood() {
    let unfenced =
        with("any_of: [site_lease_expired, power_off, writes_refused]", "any_of: [writes_refused]");
    assert!(Bundle::load(unfenced.clone()).0.is_none());
    let (bundle, findings) = Bundle::load_applied(unfenced);
    assert!(bundle.is_some() && findings.has_errors());
    assert!(Bundle::load_applied(with("any_of: [site_lease", "any_off: [site_lease")).0.is_none());
}

/// Not even in a title: it is shown on terminals.
#[test]
fn what_hides_has_no_place_in_a_text() {
    let title = |text: &str| {
        let (bundle, findings) =
            Bundle::load(with("title: Move the shop to the other site", &format!("title: {text}")));
        assert_eq!(bundle.is_none(), findings.has_errors());
        findings.iter().map(|finding| (finding.code, finding.line > 0)).collect::<Vec<_>>()
    };
    for text in ["\"\\e[31mred\"", "\"a\\u202eb\"", "\"a\\rb\"", "\"a\\0b\"", "\"a\\u200bb\""] {
        assert_eq!(title(text), [(code::WRONG_VALUE, true)], "{text}");
    }
    assert_eq!(title("\"이사: a\\tb\\nc\""), []);
}

#[test]
fn the_example_binds() {
    let (bundle, _) = Bundle::load(with("shop", "shop"));
    let plan = bind(&bundle.unwrap(), &emergency()).unwrap();
    assert_snapshot!(plan.to_string());
    assert_snapshot!(serde_json::to_string_pretty(&plan.steps[2]).unwrap());
}

#[test]
fn what_is_expected_of_a_step_is_read_and_grows() {
    let expecting =
        |expect: &str| with("    timeout: 90s\n", &format!("    timeout: 90s\n    expect: {expect}\n"));
    let (bundle, findings) = Bundle::load(expecting("{likely: 6s, max: 40s}"));
    assert!(findings.is_empty());
    let bundle = bundle.unwrap();
    let promote =
        bundle.playbooks.values().next().unwrap().flat().find(|step| step.expect.is_some()).unwrap();
    let expected = promote.expect.as_ref().unwrap().value;
    let [min, likely, max] = [expected.min, expected.likely, expected.max].map(|span| span.as_ms());
    assert_eq!((promote.id.value.as_str(), min, likely, max), ("promote", 3_000, 6_000, 40_000));
    let wrong = text(expecting("{min: 10s, likely: 6s, max: 40s}"));
    assert!(wrong.contains("SF008") && wrong.contains("does not grow"), "{wrong}");
    assert!(text(expecting("{likely: 6s}")).contains("SF006"));
}

#[test]
fn findings_look_like_those_of_rustc() {
    let files =
        with("postgres.promote: {cluster: orders, at: $to}", "postgres.promote: {cluster: order, at: b}");
    assert_snapshot!(text(files));
}

/// Ids with their lines, in the order of the files.
pub(super) fn found(files: Vec<SourceFile>) -> Vec<String> {
    let (_, findings) = Bundle::load(files);
    findings.iter().map(|f| format!("{} {}:{}", f.code.id, f.file, f.line)).collect()
}

/// Everything wrong in both files comes at once, in order of place.
#[test]
fn all_findings_of_all_files_come_at_once() {
    let fleet = FLEET
        .replace("role: standby", "role: standbye")
        .replace("rto: 10m", "rto: 10")
        .replace("to: b}", "to: c}")
        .replace("needs: [shop-db, deploy-tool]", "needs: [shop-db, deploy-tools]")
        .replace("automation: advise", "automatn: advise");
    let shop = SHOP
        .replace("endpoint: shop-web, at: $to", "endpoint: shop-weg, at: \"web-$to\"")
        .replace("override: incident-commander", "override: commander")
        .replace("traffic.drain", "trafic.drain")
        .replace("attempts: 1", "attempts: 0")
        .replace("id: tools", "id: fenced");
    let files = vec![SourceFile::new("shop.yaml", shop), SourceFile::new("fleet.yaml", fleet)];
    let (bundle, findings) = Bundle::load(files.clone());
    assert!(bundle.is_none());
    let mut sorted = files;
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    assert_snapshot!(findings.to_text(&sorted, false));
    assert_snapshot!(serde_json::to_string_pretty(&findings.to_json()["findings"][0]).unwrap());
}

#[test]
fn needs_and_parallel_relax_the_order() {
    let steps = "
steps:
  - id: one
    wait.until: {all: [{tcp.connect: {endpoint: shop-web, at: $to}}]}
  - id: both
    parallel:
      - id: left
        dns.set: {record: shop-name, to: $to}
      - id: right
        modes: [drill]
        http.request: {endpoint: deploy-tool, at: $to}
  - id: after
    traffic.shift: {route: front, to: $to}
  - id: early
    needs: [one]
    approval.ask: {role: incident-commander, message: Go?}
  - id: last
    needs: [both, early]
    approval.ask: {role: incident-commander, message: Done?}
";
    let shop = SHOP.split("\nsteps:").next().unwrap().to_owned() + steps;
    let (bundle, findings) =
        Bundle::load(vec![SourceFile::new("fleet.yaml", FLEET), SourceFile::new("shop.yaml", shop)]);
    assert!(!findings.has_errors(), "{findings:?}");
    let bundle = bundle.unwrap();
    let needs = |mode| {
        let plan = bind(&bundle, &Request { mode, ..emergency() }).unwrap();
        plan.steps.iter().map(|step| (step.id.to_string(), step.needs.clone())).collect::<Vec<_>>()
    };
    let step = |id: &str, needs: &[usize]| (id.to_owned(), needs.to_vec());
    assert_eq!(
        needs(Mode::Drill),
        [
            step("one", &[]),
            step("left", &[0]),
            step("right", &[0]),
            step("after", &[1, 2]),
            step("early", &[0]),
            step("last", &[1, 2, 4])
        ]
    );
    // What a step that does not run waits for, is waited for in its place.
    assert_eq!(
        needs(Mode::Emergency),
        [
            step("one", &[]),
            step("left", &[0]),
            step("after", &[0, 1]),
            step("early", &[0]),
            step("last", &[0, 1, 3])
        ]
    );
}

#[test]
fn requests_that_do_not_fit_are_refused_with_every_reason() {
    let (bundle, _) = Bundle::load(with("shop", "shop"));
    let bundle = bundle.unwrap();
    let why = |request: Request| -> Vec<String> {
        let findings = bind(&bundle, &request).unwrap_err();
        findings.iter().map(|f| format!("{}: {}", f.code.id, f.message)).collect()
    };
    assert_eq!(
        why(Request { playbook: "shpo".into(), ..emergency() }),
        ["SF050: there is no playbook `shpo`"]
    );
    let inputs = BTreeMap::from([("version".to_owned(), "1".to_owned())]);
    assert_eq!(
        why(Request { from: "x".into(), to: "x".into(), mode: Mode::Planned, inputs, ..emergency() }),
        [
            "SF050: from and to are both `x`",
            "SF050: the playbook `shop` has no input `version`",
            "SF050: the playbook `shop` is not for mode `planned`, only for emergency, drill",
            "SF050: there is no site `x`",
        ]
    );
    assert_eq!(
        why(Request { to: "w".into(), ..emergency() }),
        ["SF050: the service `shop` does not run in site `w`"]
    );
}

#[test]
fn inputs_are_read_as_the_type_of_their_place() {
    let files = with(
        "modes: [emergency, drill]",
        "modes: [emergency, drill]\ninputs: {hold: {doc: how long}, path: {default: /start/shop}}",
    );
    let text =
        files[1].text.replace("hold: 10s", "hold: $inputs.hold").replace("/start/shop}\n", "$inputs.path}\n");
    let (bundle, findings) = Bundle::load(vec![files[0].clone(), SourceFile::new("shop.yaml", text)]);
    assert!(findings.is_empty(), "{findings:?}");
    let bundle = bundle.unwrap();
    let with = |hold: Option<&str>| {
        let inputs = hold.map(|hold| ("hold".to_owned(), hold.to_owned())).into_iter().collect();
        bind(&bundle, &Request { inputs, ..emergency() })
    };
    let messages = |findings: Findings| findings.iter().map(|f| f.message.clone()).collect::<Vec<_>>();
    assert_eq!(messages(with(None).unwrap_err()), ["the input `hold` must be given"]);
    assert_eq!(
        messages(with(Some("5")).unwrap_err()),
        ["the input `hold`: not a duration: `5` has no unit: write `5s` or `5ms`"]
    );
    let plan = with(Some("7s")).unwrap();
    assert_eq!(plan.request.inputs["path"], "/start/shop");
    assert_eq!(plan.steps[5].timeout, crate::time::Span::secs(30 + 4 * (7 + 2)));
}

/// Between two weights a ramp asks its gates, and what proves it when it has none of its own.
#[test]
fn a_ramp_without_gates_is_gated_by_what_proves_it() {
    let gates = |shift: &str| {
        let (bundle, findings) = Bundle::load(with("weights: [5, 25, 50, 100], hold: 10s", shift));
        assert!(findings.is_empty(), "{findings:?}");
        let mut plan = bind(&bundle.unwrap(), &emergency()).unwrap();
        let Action::TrafficShift { gates, .. } = plan.steps.remove(5).action else { panic!() };
        gates.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(gates("weights: [5, 100]"), ["http.get https://shop.b.example.net/ is 200"]);
    let own = "weights: [5, 100], gates: [{tcp.connect: {endpoint: shop-web, at: $to}}]";
    assert_eq!(gates(own), ["tcp.connect shop.b.example.net:443"]);
    assert_eq!(gates("weights: [100]"), [""; 0], "nothing stands between one weight and none");
}

#[test]
fn proofs_that_a_site_cannot_give_are_left_out_of_the_plan() {
    let (bundle, _) = Bundle::load(with("shop", "shop"));
    let bundle = bundle.unwrap();
    let proofs = |from: &str, to: &str| {
        let request = Request { from: from.into(), to: to.into(), ..emergency() };
        let plan = serde_json::to_value(bind(&bundle, &request).unwrap()).unwrap();
        let any_of = plan["steps"][1]["action"]["any_of"].as_array().unwrap().clone();
        any_of.iter().map(|proof| proof["proof"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(proofs("a", "b"), ["site_lease_expired", "power_off", "writes_refused"]);
    assert_eq!(proofs("b", "a"), ["site_lease_expired", "writes_refused"]);
}

/// A fence that can be passed over is none, and one in another mode neither.
#[test]
fn a_promotion_is_fenced_in_every_mode_it_runs_in() {
    let fence = "fence.prove: {site: $from, any_of: [site_lease_expired, power_off, writes_refused]}";
    for (weak, found_by) in [
        ("on_failure: continue", &["SF055 shop.yaml:20", "SF032 shop.yaml:24"][..]),
        ("unreachable: skip", &["SF032 shop.yaml:24"]),
        ("modes: [drill]", &["SF032 shop.yaml:24"]),
    ] {
        assert_eq!(found(with(fence, &format!("{fence}\n    {weak}"))), found_by, "{weak}");
    }
    let wrong_site = fence.replace("$from", "$to");
    assert_eq!(found(with(fence, &wrong_site)), ["SF032 shop.yaml:23"]);
}

/// What is broken is reported once, not again by all who point at it.
#[test]
fn one_mistake_is_one_finding() {
    assert_eq!(found(with("backend: web", "backedn: web")), ["SF006 fleet.yaml:44", "SF005 fleet.yaml:45"]);
    assert_eq!(found(with("fence.prove", "fence.proof")), ["SF011 shop.yaml:19"]);
    assert_eq!(found(with("  w: {role: witness", "  w: {role: witnes")), ["SF008 fleet.yaml:7"]);
    assert_eq!(found(with("attempts: 1", "attempts: one")), ["SF007 shop.yaml:25"]);
}

/// What was finished before a syntax error is still checked.
#[test]
fn a_syntax_error_does_not_hide_what_stands_before_it() {
    let files = with("path: /start/shop}", "pth: /start/shop}");
    let text = files[1].text.replace("[5, 25, 50, 100]", "[5, 25, 50, 100");
    let files = vec![files[0].clone(), SourceFile::new("shop.yaml", text)];
    let ids = found(files);
    assert!(ids.contains(&"SF005 shop.yaml:14".to_owned()), "{ids:?}");
    assert!(ids.iter().any(|id| id.starts_with("SF001 shop.yaml")), "{ids:?}");
    assert_eq!(ids.len(), 2, "nothing is called missing: {ids:?}");
}

#[test]
fn the_digest_is_of_names_and_texts_in_any_order() {
    let digest = |files: Vec<SourceFile>| Bundle::load(files).0.unwrap().digest;
    let files = with("shop", "shop");
    let turned: Vec<_> = files.iter().rev().cloned().collect();
    assert_eq!(digest(files.clone()), digest(turned));
    let elsewhere =
        files.iter().map(|file| SourceFile::new(format!("etc/{}", file.name), file.text.as_str()));
    assert_eq!(digest(files.clone()), digest(elsewhere.collect()));
    assert_ne!(digest(files), digest(with("hold: 10s", "hold: 11s")));
}

#[test]
fn rules_are_what_the_fleet_says() {
    let (bundle, _) = Bundle::load(with("shop", "shop"));
    let rules = bundle.unwrap().rules();
    assert_eq!(rules.canaries, 3);
    assert_eq!(rules.on_loss(&"a".into()).unwrap().to, "b".into());
    assert!(rules.has_role(&"kim".into(), "incident-commander"));
    let probes: Vec<_> =
        rules.probes[&crate::ids::SiteId::new("b")].iter().map(|p| p.check.to_string()).collect();
    assert_eq!(
        probes,
        ["http.get https://deploy.b.example.net/ is 200", "postgres.role orders in b is standby"]
    );
    assert_eq!(rules.services.keys().map(|site| site.as_str()).collect::<Vec<_>>(), ["a"]);
}

/// A laboratory on one machine: real parts on loopback, one daemon that acts.
#[test]
fn a_laboratory_on_loopback_is_clean() {
    let fleet = include_str!("lab.yaml");
    let (bundle, findings) =
        Bundle::load(vec![SourceFile::new("fleet.yaml", fleet), SourceFile::new("shop.yaml", SHOP)]);
    assert!(findings.is_empty(), "{findings:?}");
    let bundle = bundle.unwrap();
    let rules = bundle.rules();
    assert!(rules.lab && rules.single_observer && rules.canaries == 0);
    let plan = bind(&bundle, &emergency()).unwrap();
    assert_eq!((plan.rto, plan.rpo), (Some(crate::time::Span::secs(600)), Some(crate::time::Span::secs(2))));
    assert_eq!(
        plan.services.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
        ["deploy-tool", "shop", "shop-db"]
    );
    let probes = bundle.fleet.probes();
    let shown: Vec<_> = probes.values().flatten().map(ToString::to_string).collect();
    assert_snapshot!(shown.join("\n"));
    assert_eq!(bundle.fleet.databases()["orders"].len(), 2);
    assert_eq!(bundle.fleet.power_off(&"a".into()).map(<[String]>::len), Some(3));
    assert_eq!(bundle.fleet.power_off(&"b".into()), None);
}

/// Each of these is one finding of the kind that stands behind it.
#[test]
fn each_mistake_has_its_finding() {
    let sockets = "haproxy: {a: \"tcp://10.1.0.5:9999\", b: \"tcp://10.2.0.5:9999\"}";
    for (from, to, ids) in [
        ("tcp.connect: {address: \"192.0.2.53:53\"}", "http.get: {endpoint: shop-web}", "SF013"),
        ("record: shop, type: A", "record: shop, type: AAAA", "SF008"),
        ("ttl: 30s", "ttl: 1500ms", "SF008"),
        (sockets, "haproxy: {a: \"tcp://10.1.0.5:9999\"}", "SF034"),
        ("[5, 25, 50, 100]", "[5, 50, 25]", "SF008"),
        ("[5, 25, 50, 100]", "[]", "SF008"),
        ("is: $to", "is: $from.x", "SF031"),
        ("hold: 10s", "hold: $to", "SF007"),
        ("at: $to, below: 5s", "below: 5s", "SF006"),
        ("at: $to, below: 5s", "at: $to", "SF013"),
        ("{endpoint: shop-web, status: 200}", "{endpoint: shop-web, at: a, status: 200}", "SF013"),
        ("status: 200}}]}\n    undo", "status: \"200\"}}]}\n    undo", "SF007"),
        ("host=10.1.0.10 user", "host=10.1.0.10 PASSWORD = x user", "SF047"),
        ("servers: {a: web-a, b: web-b}", "servers: {a: web-a, c: web-b}", "SF020 SF034"),
        ("modes: [emergency, drill]", "modes: [drill]", "SF043"),
        ("services: [shop]", "services: [shop, shop]", "SF014"),
        // The first one of that name cannot be read, and has it all the same.
        ("  - id: name\n", "  - id: name\n    traffic.drian: {}\n  - id: name\n", "SF011 SF014"),
        ("undo: none", "undo: nothing", "SF007"),
    ] {
        let (_, findings) = Bundle::load(with(from, to));
        let found: std::collections::BTreeSet<_> = findings.iter().map(|f| f.code.id).collect();
        let found: Vec<_> = found.into_iter().collect();
        assert_eq!(
            found.join(" "),
            ids,
            "{to}\n{:?}",
            findings.iter().map(|f| &f.message).collect::<Vec<_>>()
        );
    }
}

#[test]
fn line_ends_and_byte_order_marks_do_not_matter() {
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let (bundle, findings) = Bundle::load(vec![
        SourceFile::new("fleet.yaml", format!("\u{feff}{FLEET}")),
        SourceFile::new("shop.yaml", crlf(SHOP)),
    ]);
    assert!(findings.is_empty() && bundle.is_some(), "{findings:?}");
    let bad = crlf(SHOP).replace("attempts: 1", "attempts: 0");
    assert_eq!(
        found(vec![SourceFile::new("fleet.yaml", FLEET), SourceFile::new("shop.yaml", bad)]),
        ["SF008 shop.yaml:25"]
    );
}

#[test]
fn looks_come_before_the_last_one_has_ceased_to_count() {
    let readiness = |given: &str| text(with("on_loss:  ", &format!("readiness: {given}\n\non_loss:  ")));
    for good in
        ["{required: true}", "{every: 10s, max_age: 20s}", "{every: 1h, max_age: 1d, required: false}"]
    {
        assert_eq!(readiness(good), "", "{good}");
    }
    for (wrong, words) in [
        ("{every: 1s}", "at most one every 10s"),
        ("{every: 15m}", "counts for 15m and comes every 15m"),
        ("{max_age: 1m}", "between two there would be none"),
        ("{requires: true}", "did you mean `required`"),
    ] {
        assert!(readiness(wrong).contains(words), "{wrong}: {}", readiness(wrong));
    }
}
