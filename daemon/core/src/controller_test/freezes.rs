//! A frozen cluster neither acts nor proposes by itself, whoever leads.

use super::*;

fn freeze(left: Option<Span>) -> Ask {
    Ask::Freeze { reason: "the network is rebuilt".into(), left }
}

fn thaw() -> Ask {
    Ask::Thaw { reason: "it is".into() }
}

/// What was stored last, of all that was.
fn stored(town: &Town) -> Option<Option<Order>> {
    town.effects.iter().rev().find_map(|effect| match effect {
        Effect::Keep { keep: Keep::Freeze(freeze), .. } => Some(freeze.clone()),
        _ => None,
    })
}

/// The refusal of what was asked just now; none when it was stored with its answer.
fn refused(town: &mut Town, ask: Ask) -> Option<String> {
    town.effects.clear();
    town.give(Input::Asked { request: "f".into(), by: "kim".into(), ask });
    match town.effects.as_slice() {
        [Effect::Keep { request: Some(request), .. }] if request == "f" => None,
        [Effect::Answer { answer: Err(refusal), .. }] => Some(refusal.message.clone()),
        other => panic!("{other:?}"),
    }
}

/// Situation: the network is rebuilt, and a site is cut off meanwhile. Expectation: nothing begins,
/// neither where the fleet acts nor where it advises; a person starts a run; thawed, it begins.
#[test]
fn frozen_nothing_begins_and_thawed_it_does() {
    for settings in [ACT, ""] {
        let mut town = Town::new(settings, "w");
        assert_eq!(refused(&mut town, freeze(None)), None);
        town.pass(60_000);
        assert_eq!((town.created().len(), town.refusals()), (0, vec![Guard::Freeze]), "and that is kept");
        assert_eq!(refused(&mut town, thaw()), None);
        assert_eq!(stored(&town), Some(None));
        town.pass(1_000);
        assert_eq!(town.created().len(), 1);
        assert_eq!(refused(&mut town, thaw()).unwrap(), "the cluster is not frozen");
    }
    let mut town = Town::new(ACT, "w");
    town.votes = [Vote::Up; 2];
    refused(&mut town, freeze(None));
    town.ask("lee", start("by hand", vec![])).unwrap().unwrap();
    assert_eq!(town.ends(), [End::Succeeded], "people start runs as ever");
}

/// Situation: frozen for two minutes, and the leader is lost after one. Danger: the next one forgets
/// it, or counts it anew from the beginning.
#[test]
fn the_next_leader_counts_on() {
    let mut town = Town::new(ACT, "w");
    town.give(Input::Asked { request: "f".into(), by: "kim".into(), ask: freeze(Some(Span::secs(120))) });
    town.pass(60_000);
    let left = stored(&town).unwrap().unwrap();
    assert_eq!((left.by.as_str(), left.since_wall_ms, left.left), ("kim", 0, Some(Span::secs(60))));

    let mut next = Town::new(ACT, "w");
    let kept = Kept { freeze: Some(left), ..Kept::default() };
    next.give(Input::Loaded { runs: vec![], holds: BTreeMap::new(), kept });
    next.pass(59_500);
    assert_eq!(next.created().len(), 0);
    next.pass(1_000);
    assert_eq!(next.created().len(), 1, "its time has passed");
    assert_eq!(stored(&next), Some(None), "and nobody has to thaw it");
    next.effects.clear();
    next.pass(20_000);
    assert_eq!(stored(&next), None, "that is stored once");
}

/// Situation: one person has frozen the cluster until they thaw it; another freezes it for ten
/// minutes. Danger: the first one's freeze is over then.
#[test]
fn a_freeze_is_only_made_longer() {
    let mut town = Town::new(ACT, "w");
    assert_eq!(refused(&mut town, freeze(Some(Span::secs(600)))), None);
    assert_eq!(refused(&mut town, freeze(Some(Span::secs(1_200)))), None);
    let said = refused(&mut town, freeze(Some(Span::secs(60)))).unwrap();
    assert!(said.starts_with("frozen by kim for another 20m: the network"), "{said}");
    assert_eq!(refused(&mut town, freeze(None)), None);
    let said = refused(&mut town, freeze(Some(Span::secs(1_200)))).unwrap();
    assert!(said.starts_with("frozen by kim until somebody thaws it"), "{said}");
}
