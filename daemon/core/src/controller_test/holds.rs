//! Hold-downs begin with the end of a run, and are stored with it.

use super::*;

#[test]
fn the_end_of_one_run_keeps_the_hold_downs_of_others() {
    let mut town = Town::new(ACT, "w");
    let other = BTreeMap::from([(SiteId::from("z"), Span::secs(1_000))]);
    town.give(Input::Loaded { runs: vec![], holds: other, kept: Kept::default() });
    town.votes = [Vote::Up; 2];
    town.pass(5_000);
    town.ask("kim", start("leave", vec![]));
    let ending = town.effects.iter().find_map(|effect| match effect {
        Effect::Append { ending: Some(ending), .. } => Some(ending.clone()),
        _ => None,
    });
    let holds = ending.unwrap().holds;
    assert_eq!(holds.keys().map(SiteId::as_str).collect::<Vec<_>>(), ["a", "b", "z"]);
    assert_eq!(holds[&SiteId::from("z")], Span::secs(995));
}

/// Situation: while the end of a run is being written, what is left of hold-downs is stored, because it
/// is time or because a person has ended another one. Danger: that is written behind the end of the run,
/// without the hold-downs that begin with it, and the next leader knows of none. Expectation: whatever is
/// stored after the end was given holds them; and one that a person ends does not come back.
#[test]
fn what_is_stored_of_hold_downs_beside_the_end_of_a_run_has_those_that_begin_with_it() {
    let mut town = Town::new("", "w");
    let other = BTreeMap::from([(SiteId::from("z"), Span::secs(1_000))]);
    town.give(Input::Loaded { runs: vec![], holds: other, kept: Kept::default() });
    town.pass(20_000);
    let run = town.created()[0].run.clone();
    let reject = Command::Reject { reason: "not today".into() };
    let ask = Ask::Run { run: run.clone(), command: reject, seen: None };
    let effects =
        town.controller.on(Input::Asked { request: "no".into(), by: "kim".into(), ask }, town.now());
    let [Effect::Append { ending: Some(ending), .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(ending.holds.len(), 3);

    town.ms += 500;
    let stored = |effects: Vec<Effect>| -> Vec<String> {
        let holds = effects.into_iter().find_map(|effect| match effect {
            Effect::Holds(holds) => Some(holds),
            _ => None,
        });
        holds.expect("hold-downs are stored").keys().map(ToString::to_string).collect()
    };
    let mut ack = |site: &str| {
        let ask = Ask::Acknowledge { site: site.into(), reason: "looked".into(), seen: None };
        let asked = Input::Asked { request: format!("ack-{site}"), by: "kim".into(), ask };
        stored(town.controller.on(asked, town.now()))
    };
    assert_eq!(ack("z"), ["a", "b"]);
    assert_eq!(ack("b"), ["a"]);
    town.ms += 500;
    town.give(Input::Run(run, engine::Input::Appended));
    town.pass(500);
    let holds = &town.controller.judgement().holds;
    assert_eq!(holds.keys().map(SiteId::as_str).collect::<Vec<_>>(), ["a"]);
    // It counts from when the end was durable.
    assert!(holds[&SiteId::from("a")] >= Span::secs(3_600 - 1), "{holds:?}");
}

#[test]
fn an_approval_that_crosses_its_withdrawal_leaves_a_hold_down() {
    // Situation: while an approval is being written the reason goes away. Danger: the run is
    // taken for withdrawn, and its sites may be failed over again at once after its end.
    let mut town = Town::new("", "w");
    town.pass(20_000);
    let run = town.created()[0].run.clone();
    let approve = Command::Approve { step: None, reason: "seen".into() };
    let now = town.now();
    let by = Identity::new("kim");
    let ask = Ask::Run { run: run.clone(), command: approve, seen: None };
    let effects = town.controller.on(Input::Asked { request: "q".into(), by, ask }, now);
    assert!(matches!(&effects[..], [Effect::Append { .. }]), "{effects:?}");
    town.votes = [Vote::Up; 2];
    town.pass(1_000);
    town.give(Input::Run(run, engine::Input::Appended));
    assert_eq!(town.ends(), [End::Succeeded]);
    town.pass(500);
    assert_eq!(town.controller.judgement().holds.len(), 2);
}
