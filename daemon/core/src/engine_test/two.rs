//! Where what one person overrides in a run takes another one too.

use super::people::fence;
use super::*;
use crate::engine::command::{About, RefusalKind};
use crate::guard::Guard;
use crate::report::{Did, Report};

fn approve(step: Option<&str>, reason: &str) -> Command {
    Command::Approve { step: step.map(Into::into), reason: reason.into() }
}

fn last_refusal(bench: &mut Bench) -> Refusal {
    bench.refused.pop().expect("it is refused")
}

/// Situation: what is required does not hold, the fence cannot be proven, and the fleet asks for a second
/// person. Danger: the one who is under pressure waives both alone. Expectation: nothing gives way to kim,
/// however often; another identity approves it, and the journal and the report have both names.
#[test]
fn what_one_overrides_in_a_run_another_approves() {
    let mut world = kind_world();
    world.requirement = Answer::Fails("12s behind".into());
    world.act.insert((0, 1), failure(FailureKind::Refused));
    let mut bench = Bench::new(plan(vec![fence()]), automatic(), false);
    for (epoch, step) in [(2, None), (3, Some("fence"))] {
        assert_eq!(bench.settle(&mut world), State::Blocked);
        bench.ask(approve(step, "it burns"), "eve", &[], true);
        bench.settle(&mut world);
        assert_eq!(last_refusal(&mut bench).kind, RefusalKind::Denied, "it takes the role to begin with");
        bench.ask(approve(step, "it burns"), "kim", &["commander"], true);
        for _ in 0..2 {
            assert_eq!(bench.settle(&mut world), State::Blocked);
            let waits = bench.engine.run().waits_for().join("; ");
            assert!(waits.contains("kim overrides it (it burns)"), "{waits}");
            bench.ask(approve(step, "it burns"), "kim", &["commander"], true);
            bench.settle(&mut world);
            assert_eq!(last_refusal(&mut bench).about, Some(About::Guard(Guard::SecondPerson)));
        }
        bench.check_replay();
        bench = bench.take_over(epoch);
        assert_eq!(bench.settle(&mut world), State::Blocked, "the next leader knows who has asked");
        bench.ask(approve(step, ""), "lee", &[], true);
        bench.settle(&mut world);
        assert_eq!(last_refusal(&mut bench).kind, RefusalKind::Invalid, "nor without a reason");
        bench.ask(approve(step, "I see the smoke"), "lee", &[], true);
    }
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
    bench.check_replay();
    let report = Report::new(bench.engine.run(), &bench.journal, &[], &[]);
    let did: Vec<(Did, &str, &str)> =
        report.people.iter().map(|word| (word.did, word.about.as_str(), word.by.as_str())).collect();
    let expected = [
        (Did::AskedToOverride, "what is required", "kim"),
        (Did::Approved, "the run", "lee"),
        (Did::Waived, "tcp.connect require", "kim"),
        (Did::AskedToOverride, "step fence", "kim"),
        (Did::Approved, "the run", "lee"),
        (Did::GaveTheirWord, "step fence", "kim"),
    ];
    assert_eq!(did, expected);
    let seen = &bench.engine.run().steps[0].detail;
    assert!(seen.contains("word of kim") && seen.contains("approved by lee: I see the smoke"), "{seen}");
}

/// Situation: kim asks to waive what is required, and it is tried again: what was asked was about another
/// answer. Expectation: nobody approves what kim has not seen.
#[test]
fn what_is_tried_again_is_asked_for_again() {
    let mut world = kind_world();
    world.requirement = Answer::Fails("12s behind".into());
    let mut bench = Bench::new(plan(vec![step("one", &[])]), automatic(), false);
    bench.settle(&mut world);
    bench.ask(approve(None, "12s are fine"), "kim", &["commander"], true);
    bench.settle(&mut world);
    world.requirement = Answer::Fails("3h behind".into());
    bench.command(Command::Retry { step: None, reason: reason() }, "eve", &[]);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    bench.ask(approve(None, "as kim says"), "lee", &[], true);
    bench.settle(&mut world);
    assert_eq!(last_refusal(&mut bench).kind, RefusalKind::Denied);
    bench.ask(approve(None, "3h are fine"), "lee", &["commander"], true);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    bench.ask(approve(None, "so they are"), "kim", &["commander"], true);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
    let waived = bench.journal.iter().find_map(|event| match &event.body {
        Body::Waived { by, reason, .. } => Some((by.as_str(), reason.as_str())),
        _ => None,
    });
    assert_eq!(waived, Some(("lee", "3h are fine")));
    bench.check_replay();
}
