//! A site that comes and goes, and one that stays lost after a run has left it.

use super::*;

const SHORT: &str = "lab: true
automation: act
timing: {hold_down: 1s, flaps_within: 60s}
";

fn ack(site: &str) -> Ask {
    Ask::Acknowledge { site: site.into(), reason: "seen".into(), seen: None }
}

/// What was stored last, of all that was.
fn stored(town: &Town) -> Flaps {
    let flaps = town.effects.iter().rev().find_map(|effect| match effect {
        Effect::Keep { keep: Keep::Flaps { flaps, .. }, .. } => Some(flaps.clone()),
        _ => None,
    });
    flaps.unwrap_or_default()
}

/// The locks that the audit was told.
fn told(town: &Town) -> Vec<(SiteId, u64)> {
    let locks = town.effects.iter().filter_map(|effect| match effect {
        Effect::Keep { keep: Keep::Flaps { locked, .. }, .. } => Some(locked),
        _ => None,
    });
    locks.flatten().map(|lock| (lock.site.clone(), lock.times)).collect()
}

fn next(kept: Flaps) -> Town {
    let mut town = Town::new(SHORT, "w");
    let kept = Kept { flaps: kept, ..Kept::default() };
    town.give(Input::Loaded { runs: vec![], holds: BTreeMap::new(), kept });
    town
}

/// Goes down, is left, and is well again.
fn flap(town: &mut Town) {
    town.votes = [Vote::Down; 2];
    town.pass(13_000);
    town.votes = [Vote::Up; 2];
    town.pass(5_000);
}

/// Situation: a site comes and goes. Danger: its services follow it back and forth, each time with a
/// loss. Expectation: the third time within the window it is locked until a person has looked at it.
#[test]
fn a_site_that_flaps_is_locked_until_a_person_has_looked() {
    let mut town = Town::new(SHORT, "w");
    flap(&mut town);
    flap(&mut town);
    assert_eq!(town.created().len(), 2, "twice is no pattern");
    assert_eq!(stored(&town).locked, BTreeSet::new());
    town.votes = [Vote::Down; 2];
    town.pass(120_000);
    assert_eq!((town.created().len(), town.refusals().last()), (2, Some(&Guard::Flaps)));
    assert_eq!(stored(&town).locked, BTreeSet::from(["a".into()]), "for the next leader too");
    assert_eq!(told(&town), [("a".into(), 3)], "once, with how often");

    let seen =
        |etag: &str| Ask::Acknowledge { site: "a".into(), reason: "x".into(), seen: Some(etag.into()) };
    assert_eq!(town.ask("kim", seen("held")).unwrap().unwrap_err().kind, RefusalKind::Stale);
    assert_eq!(town.ask("kim", seen("locked")), Some(Ok(None)));
    town.pass(2_000);
    assert_eq!(town.created().len(), 3, "somebody has looked");
    assert!(stored(&town).locked.is_empty());

    let kept = Flaps { locked: ["b".into()].into(), ..Flaps::default() };
    let mut town = next(kept);
    town.pass(60_000);
    assert_eq!(
        (town.created().len(), town.refusals()),
        (0, vec![Guard::Flaps]),
        "nor does anything go there"
    );
}

/// Situation: a site is lost, and stays lost for hours. Danger: after each hold-down it is failed over
/// again. Expectation: it is left once, whoever leads, until it was well or a person has looked at it.
#[test]
fn a_site_that_stays_lost_is_left_once() {
    let mut town = Town::new(SHORT, "w");
    town.pass(120_000);
    assert_eq!((town.created().len(), town.refusals()), (1, vec![Guard::HoldDown]));
    let left = stored(&town);
    assert_eq!(left.left, BTreeMap::from([("a".into(), RunId::new("r7-1"))]));
    let mut later = next(left);
    later.pass(60_000);
    assert_eq!(
        (later.created().len(), later.refusals()),
        (0, vec![Guard::HoldDown]),
        "nor by the next leader"
    );
    assert_eq!(later.ask("kim", ack("a")), Some(Ok(None)));
    later.pass(2_000);
    assert_eq!(later.created().len(), 1);
    let refused = later.ask("kim", ack("w")).unwrap().unwrap_err();
    assert_eq!(refused.message, "w is neither held down nor locked");

    town.votes = [Vote::Up; 2];
    town.pass(2_000);
    town.votes = [Vote::Down; 2];
    town.pass(20_000);
    assert_eq!(town.created().len(), 2, "it was well meanwhile: another loss");
}

/// Situation: a run leaves a site, and the leader is lost before its end. Danger: nobody remembers that
/// the site was left, because that is only written with the end.
#[test]
fn a_run_that_is_taken_over_leaves_its_site() {
    let mut town = Town::new(SHORT, "w");
    town.requirement = Answer::Fails("behind".into());
    town.pass(20_000);
    let run = town.controller.runs().next().unwrap().clone();
    let mut later = Town::new(SHORT, "w");
    later.give(Input::Loaded { runs: vec![run], holds: BTreeMap::new(), kept: Kept::default() });
    later.give(Input::Tick);
    assert_eq!(stored(&later).left.keys().map(SiteId::as_str).collect::<Vec<_>>(), ["a"]);
}

/// A proposal that is taken back has left nothing.
#[test]
fn what_was_withdrawn_has_left_nothing() {
    let mut town = Town::new("timing: {hold_down: 1s}\n", "w");
    town.pass(20_000);
    assert_eq!(stored(&town).left.len(), 1);
    town.votes = [Vote::Degraded; 2];
    town.pass(2_000);
    assert_eq!((town.ends(), stored(&town).left), (vec![End::Cancelled], BTreeMap::new()));
}

/// Situation: two times down, and another leader. Danger: it counts from the beginning, or what is long
/// ago counts for ever.
#[test]
fn the_next_leader_counts_on() {
    let mut town = Town::new(SHORT, "w");
    flap(&mut town);
    flap(&mut town);
    let kept = stored(&town);
    assert_eq!(kept.ages[&SiteId::from("a")].len(), 2, "{kept:?}");
    let mut soon = next(kept.clone());
    flap(&mut soon);
    assert_eq!((soon.created().len(), stored(&soon).locked.len()), (0, 1));
    let mut later = next(kept);
    later.votes = [Vote::Up; 2];
    later.pass(40_000);
    flap(&mut later);
    assert_eq!((later.created().len(), stored(&later).locked.len()), (1, 0), "the first is too long ago");
}

/// Situation: a lost site's member is heard now and then, so that it is lost, cut off, lost. That is one
/// loss: it was not well between. A new leader, who sees it down from the begin, counts none.
#[test]
fn a_site_is_down_until_it_is_well() {
    let mut town = Town::new("", "w");
    for live in [vec!["b", "w"], vec!["a", "b", "w"]].into_iter().cycle().take(6) {
        town.live = live;
        town.pass(15_000);
    }
    let kept = stored(&town);
    assert_eq!((kept.ages[&SiteId::from("a")].len(), kept.locked.len()), (1, 0), "{kept:?}");
    let mut later = Town::new("", "w");
    let kept = Kept { flaps: kept, ..Kept::default() };
    later.give(Input::Loaded { runs: vec![], holds: BTreeMap::new(), kept });
    later.pass(15_000);
    assert_eq!(stored(&later).ages[&SiteId::from("a")].len(), 1);
}
