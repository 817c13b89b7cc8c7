//! Playbooks that run playbooks.

use crate::action::Action;
use crate::bind::bind;
use crate::bundle::Bundle;
use crate::finding::{Findings, code};
use crate::lint::tests::{FLEET, SHOP};
use crate::plan::{Mode, Plan, Request};
use crate::source::SourceFile;

const DATA: &str = "api: standfast/v1
playbook: data
title: Promote
services: [shop-db]
modes: [emergency, drill]
confirm: 90s
require:
  - postgres.lag: {cluster: orders, at: $to, below: 5s}
steps:
  - id: fenced
    fence.prove: {site: $from, any_of: [power_off]}
  - id: promote
    point_of_no_return: true
    attempts: 1
    postgres.promote: {cluster: orders, at: $to}
    verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}
";

const TELL: &str = "api: standfast/v1
playbook: tell
title: Tell people
services: [deploy-tool]
modes: [emergency, drill]
inputs: {path: {default: /ready}}
steps:
  - id: post
    http.request: {endpoint: deploy-tool, at: $to, method: PUT, path: $inputs.path}
    undo: none
  - id: look
    modes: [drill]
    needs: []
    wait.until: {all: [{http.get: {endpoint: deploy-tool, at: $to}}]}
";

fn load(outer: &str) -> (Option<Bundle>, Findings) {
    let head =
        "api: standfast/v1\nplaybook: all\ntitle: All of it\nservices: [shop]\nmodes: [emergency, drill]\n";
    let files = [
        ("fleet.yaml", FLEET.to_owned()),
        ("shop.yaml", SHOP.into()),
        ("data.yaml", DATA.into()),
        ("tell.yaml", TELL.into()),
    ];
    let mut files: Vec<_> = files.into_iter().map(|(name, text)| SourceFile::new(name, text)).collect();
    files.push(SourceFile::new("all.yaml", format!("{head}{outer}")));
    Bundle::load(files)
}

fn plan(outer: &str, mode: Mode) -> Plan {
    let (bundle, findings) = load(outer);
    let bundle = bundle.unwrap_or_else(|| panic!("{findings:?}"));
    let request = Request {
        playbook: "all".into(),
        from: "a".into(),
        to: "b".into(),
        mode,
        inputs: Default::default(),
    };
    bind(&bundle, &request).unwrap_or_else(|findings| panic!("{findings:?}"))
}

/// `ID <- what it waits for`, in the order of the plan.
fn shape(plan: &Plan) -> Vec<String> {
    let name = |at: &usize| plan.steps[*at].id.to_string();
    plan.steps
        .iter()
        .map(|step| format!("{} <- {}", step.id, step.needs.iter().map(name).collect::<Vec<_>>().join(" ")))
        .collect()
}

const TWO: &str = "steps:
  - id: data
    playbook.run: {playbook: data}
  - id: tell
    playbook.run: {playbook: tell, inputs: {path: /moved}}
  - id: end
    needs: [data]
    approval.ask: {role: incident-commander, message: Go?}
";

#[test]
fn a_playbook_is_run_as_if_its_steps_stood_there() {
    let plan = plan(TWO, Mode::Emergency);
    let expected = [
        "data/fenced <- ",
        "data/promote <- data/fenced",
        "tell/post <- data/fenced data/promote",
        "end <- data/fenced data/promote",
    ];
    assert_eq!(shape(&plan), expected);
    assert!(plan.steps[1].point_of_no_return);
    let Action::HttpRequest { url, .. } = &plan.steps[2].action else { panic!("{:?}", plan.steps[2]) };
    assert!(url.ends_with("/moved"), "{url}");
    assert_eq!(plan.require.len(), 1, "its requirements count");
    let services: Vec<_> = plan.services.iter().map(|id| id.as_str()).collect();
    assert_eq!(services, ["deploy-tool", "shop", "shop-db"]);
}

#[test]
fn what_needs_nothing_inside_waits_for_what_the_step_waits_for() {
    let plan = plan(TWO, Mode::Drill);
    assert!(shape(&plan).contains(&"tell/look <- data/fenced data/promote".to_owned()), "{:?}", shape(&plan));
}

#[test]
fn playbooks_run_side_by_side_in_a_block() {
    let block = "steps:\n  - id: both\n    parallel:\n      - {id: data, playbook.run: {playbook: data}}\n      \
                 - {id: tell, playbook.run: {playbook: tell}}\n  - id: end\n    \
                 approval.ask: {role: incident-commander, message: Go?}\n";
    let plan = plan(block, Mode::Emergency);
    let shape = shape(&plan);
    assert!(shape.contains(&"tell/post <- ".to_owned()), "{shape:?}");
    assert!(shape.contains(&"end <- data/fenced data/promote tell/post".to_owned()), "{shape:?}");
}

#[test]
fn the_longest_confirmation_counts() {
    let (bundle, _) = load(TWO);
    let all = &bundle.expect("it is right").playbooks["all"];
    assert_eq!(all.confirm, Some(crate::time::Span::secs(90)));
}

#[test]
fn a_part_that_fits_only_some_modes_says_so() {
    let (bundle, findings) =
        load("steps:\n  - {id: data, modes: [planned], playbook.run: {playbook: data}}\n");
    assert!(bundle.is_none());
    let found: Vec<_> = findings.iter().filter(|finding| finding.code == code::COMPOSED).collect();
    assert!(found.len() == 1 && found[0].message.contains("planned"), "{findings:?}");
}

#[test]
fn what_cannot_be_composed_is_said_once_and_refused() {
    let cases = [
        ("playbook.run: {playbook: all}", code::CYCLE),
        ("playbook.run: {playbook: nowhere}", code::UNKNOWN_PLAYBOOK),
        ("playbook.run: {playbook: tell, inputs: {pth: /x}}", code::UNKNOWN_INPUT),
        ("playbook.run: {playbook: tell}\n    timeout: 5s", code::EXCLUSIVE),
        (
            "approval.ask: {role: incident-commander, message: x}\n    undo: {playbook.run: {playbook: tell}}",
            code::EXCLUSIVE,
        ),
    ];
    for (step, wanted) in cases {
        let (bundle, findings) = load(&format!("steps:\n  - id: it\n    {step}\n"));
        assert!(bundle.is_none(), "{step}");
        let found: Vec<_> = findings.iter().filter(|finding| finding.code == wanted).collect();
        assert_eq!(found.len(), 1, "{step}: {findings:?}");
        assert!(found[0].line > 0);
    }
}

/// Twice a playbook that runs the next one twice, and so on; at the end of it is no step at all.
#[test]
fn what_doubles_is_cut_even_if_it_comes_to_nothing() {
    let book = |n: usize, steps: &str| {
        let head = "api: standfast/v1\ntitle: P\nservices: [shop]\nmodes: [drill]\n";
        SourceFile::new(format!("p{n:02}.yaml"), format!("{head}playbook: p{n}\n{steps}"))
    };
    let run = |n: usize| format!("playbook.run: {{playbook: p{}}}", n + 1);
    let twice = |n: usize| book(n, &format!("steps: [{{id: one, {0}}}, {{id: two, {0}}}]\n", run(n)));
    let mut files: Vec<_> = (0..40).map(twice).collect();
    files.push(book(40, ""));
    files.push(SourceFile::new("fleet.yaml", FLEET));
    let (bundle, findings) = Bundle::load(files);
    assert!(bundle.is_none());
    assert!(findings.iter().any(|finding| finding.code == code::TOO_LARGE), "{findings:?}");
}

#[test]
fn the_order_is_proven_across_playbooks() {
    let early = "steps:\n  - id: name\n    dns.set: {record: shop-name, to: $to}\n    undo: none\n  - id: data\n    \
                 playbook.run: {playbook: data}\n";
    let (_, findings) = load(early);
    assert!(findings.has_errors(), "traffic moves before the promotion: {findings:?}");
}
