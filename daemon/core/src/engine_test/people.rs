//! Where a safety rule gives way to a person, and where a person learns what happened.

use super::*;
use crate::report::{Did, Report};

fn command_step(policy: OnFailure) -> Step {
    let action = Action::CommandRun {
        command: vec!["start".into()],
        env: BTreeMap::new(),
        idempotent: false,
        linger: None,
    };
    Step { action, verify: None, on_failure: policy, ..step("one", &[]) }
}

/// A world whose command is ended at its deadline, and cannot be seen to have been done.
fn slow_world() -> World {
    let mut world = kind_world();
    let message = "start was ended at its deadline, 4.5s".to_owned();
    world.act.insert((0, 1), Failure { kind: FailureKind::Ambiguous, message });
    world.inspect.insert((0, 1), Inspection::Unknown("it cannot be seen".into()));
    world
}

#[test]
fn an_unclear_end_is_told_as_it_was() {
    let mut bench = Bench::new(plan(vec![command_step(OnFailure::Pause)]), automatic(), false);
    let mut world = slow_world();
    assert_eq!(bench.settle(&mut world), State::Blocked);
    assert_eq!(world.acted, [(0, 1)], "it may have been done, so it is not done again");
    let why = &bench.engine.run().blocks[&Some("one".into())].why;
    assert!(why.starts_with("start was ended at its deadline, 4.5s; looked at again: it cannot"), "{why}");
    assert!(!why.contains("leader"), "{why}");
    bench.check_replay();
}

#[test]
fn an_unclear_end_follows_the_playbook() {
    for (policy, end) in [(OnFailure::Continue, End::Partial), (OnFailure::Abort, End::Aborted)] {
        let steps = vec![command_step(policy), step("two", &[0])];
        let mut bench = Bench::new(plan(steps), automatic(), false);
        let mut world = slow_world();
        assert_eq!(bench.settle(&mut world), State::Ended(end), "{policy:?}");
        assert_eq!(bench.states()[0], Failed);
        assert!(bench.engine.run().steps[0].detail.contains("ended at its deadline"));
        bench.check_replay();
    }
}

pub(super) fn fence() -> Step {
    let any_of = vec![FenceProof::SiteLeaseExpired, FenceProof::OperatorWord { role: "commander".into() }];
    Step { action: Action::FenceProve { site: "a".into(), any_of }, verify: None, ..step("fence", &[]) }
}

/// Situation: a person gives their word, or waives a requirement, and does not say why. Danger: the
/// journal cannot say afterwards why a safety rule gave way. Expectation: it does not give way.
#[test]
fn a_rule_gives_way_only_to_a_reason() {
    let mut world = kind_world();
    world.requirement = Answer::Fails("12s".into());
    world.act.insert((0, 1), failure(FailureKind::Refused));
    let mut bench = Bench::new(plan(vec![fence()]), automatic(), false);
    for step in [None, Some("fence".into())] {
        assert_eq!(bench.settle(&mut world), State::Blocked);
        let approve = |reason: &str| Command::Approve { step: step.clone(), reason: reason.into() };
        bench.command(approve("  "), "kim", &["commander"]);
        assert_eq!(bench.settle(&mut world), State::Blocked);
        assert_eq!(bench.refused.pop().expect("it is refused").kind, command::RefusalKind::Invalid);
        bench.command(approve("the power is off"), "kim", &["commander"]);
    }
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
    assert!(bench.refused.is_empty());
    bench.check_replay();
}

#[test]
fn the_report_has_everything_that_people_did() {
    let mut world = kind_world();
    world.requirement = Answer::Fails("12s behind".into());
    world.act.insert((0, 1), failure(FailureKind::Refused));
    world.act.insert((1, 1), failure(FailureKind::Refused));
    let mut bench = Bench::new(plan(vec![fence(), step("one", &[0]), step("two", &[1])]), automatic(), false);
    bench.settle(&mut world);
    bench.command(Command::Approve { step: None, reason: "late is fine".into() }, "kim", &["commander"]);
    bench.settle(&mut world);
    let word = Command::Approve { step: Some("fence".into()), reason: "it burns".into() };
    bench.command(word, "kim", &["commander"]);
    bench.settle(&mut world);
    bench.command(Command::Retry { step: Some("one".into()), reason: "mended".into() }, "kim", &[]);
    bench.settle(&mut world);
    bench.command(Command::Pause { reason: "wait".into() }, "lee", &[]);
    bench.command(Command::Resume { reason: "go".into() }, "lee", &[]);
    bench.command(Command::Skip { step: "one".into(), reason: "by hand".into() }, "lee", &[]);
    bench.command(Command::Abort { reason: "enough".into() }, "lee", &[]);
    bench.settle(&mut world);
    let report = Report::new(bench.engine.run(), &bench.journal, &[], &[]);
    let did: Vec<(Did, &str, &str)> =
        report.people.iter().map(|word| (word.did, word.about.as_str(), word.reason.as_str())).collect();
    let expected = [
        (Did::Waived, "tcp.connect require", "late is fine"),
        (Did::GaveTheirWord, "step fence", "it burns"),
        (Did::TriedAgain, "step one", "mended"),
        (Did::Paused, "the run", "wait"),
        (Did::Resumed, "the run", "go"),
        (Did::Skipped, "step one", "by hand"),
        (Did::Ended, "the run", "enough"),
    ];
    assert_eq!(did, expected);
    let texts: Vec<&str> = report.timeline.iter().map(|entry| entry.text.as_str()).collect();
    assert!(texts.contains(&"what is required is waived: 12s behind"), "{texts:?}");
    bench.check_replay();
}
