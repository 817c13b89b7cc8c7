//! The maintenance of a site, and switches: whoever leads goes by them.

use super::*;

fn maintain(site: &str, left: Option<Span>) -> Ask {
    Ask::Maintain { site: site.into(), reason: "new racks".into(), left }
}

fn release(site: &str) -> Ask {
    Ask::Release { site: site.into(), reason: "done".into() }
}

fn switch(name: &str, on: bool) -> Ask {
    Ask::Switch { name: name.into(), on, reason: "month-end is closed".into() }
}

/// The refusal of what was asked just now; none when it was stored with its answer.
fn refused(town: &mut Town, ask: Ask) -> Option<String> {
    town.effects.clear();
    town.give(Input::Asked { request: "o".into(), by: "kim".into(), ask });
    match town.effects.as_slice() {
        [Effect::Keep { request: Some(request), .. }] if request == "o" => None,
        [Effect::Answer { answer: Err(refusal), .. }] => Some(refusal.message.clone()),
        other => panic!("{other:?}"),
    }
}

fn stored<T>(town: &Town, of: impl Fn(&Keep) -> Option<T>) -> Option<T> {
    town.effects.iter().rev().find_map(|effect| match effect {
        Effect::Keep { keep, .. } => of(keep),
        _ => None,
    })
}

fn maintenance(keep: &Keep) -> Option<BTreeMap<SiteId, Order>> {
    if let Keep::Maintenance(orders) = keep { Some(orders.clone()) } else { None }
}

fn switches(keep: &Keep) -> Option<BTreeMap<String, Order>> {
    if let Keep::Switches(orders) = keep { Some(orders.clone()) } else { None }
}

/// Situation: racks are changed in a site, and it is cut off meanwhile; or in the site that would take
/// over. Expectation: nothing leaves it or goes there, nothing is proposed; a person starts a run all the
/// same; released, it begins.
#[test]
fn nothing_leaves_a_site_in_maintenance_or_goes_there() {
    for (settings, site) in [(ACT, "a"), (ACT, "b"), ("", "a")] {
        let mut town = Town::new(settings, "w");
        assert_eq!(refused(&mut town, maintain(site, None)), None);
        town.pass(60_000);
        assert_eq!((town.created().len(), town.refusals()), (0, vec![Guard::Maintenance]), "{site}");
        assert_eq!(refused(&mut town, release(site)), None);
        assert_eq!(stored(&town, maintenance), Some(BTreeMap::new()));
        town.pass(1_000);
        assert_eq!(town.created().len(), 1);
        let said = refused(&mut town, release(site)).unwrap();
        assert_eq!(said, format!("{site} is not in maintenance"));
    }
    let mut town = Town::new(ACT, "w");
    refused(&mut town, maintain("w", None));
    town.pass(15_000);
    assert_eq!(town.created().len(), 1, "the witness has no part in it");
    let mut town = Town::new(ACT, "w");
    town.votes = [Vote::Up; 2];
    refused(&mut town, maintain("a", None));
    town.ask("lee", start("by hand", vec![])).unwrap().unwrap();
    assert_eq!(town.ends(), [End::Succeeded], "people start runs as ever");
}

/// Situation: in maintenance for two minutes, and the leader is lost after one. Danger: the next one
/// forgets it, or counts anew. A shorter one does not take the place of a longer one.
#[test]
fn the_next_leader_counts_the_maintenance_on() {
    let mut town = Town::new(ACT, "w");
    refused(&mut town, maintain("a", Some(Span::secs(120))));
    let said = refused(&mut town, maintain("a", Some(Span::secs(60)))).unwrap();
    assert!(said.starts_with("a is in maintenance by kim for another 2m: new racks; that would"), "{said}");
    assert_eq!(refused(&mut town, maintain("b", Some(Span::secs(5)))), None);
    town.pass(60_000);
    let left = stored(&town, maintenance).unwrap();
    assert_eq!(left.keys().map(SiteId::as_str).collect::<Vec<_>>(), ["a"], "that of b is over");
    assert_eq!(left[&SiteId::from("a")].left, Some(Span::secs(60)));

    let mut next = Town::new(ACT, "w");
    let kept = Kept { maintenance: left, ..Kept::default() };
    next.give(Input::Loaded { runs: vec![], holds: BTreeMap::new(), kept });
    next.pass(59_500);
    assert_eq!(next.created().len(), 0);
    next.pass(1_000);
    assert_eq!((next.created().len(), stored(&next, maintenance)), (1, Some(BTreeMap::new())));
}

/// Situation: a site is lost in a window of the calendar. Expectation: nothing begins, and nothing is
/// proposed, before the wall clock has left it; a person starts a run all the same.
#[test]
fn in_a_window_of_the_calendar_nothing_begins() {
    let window = "freeze_windows:
  closing: {from: 1970-01-01T00:00, until: 1970-01-01T00:01, zone: UTC}
";
    for settings in [ACT, ""] {
        let mut town = Town::new(&format!("{settings}{window}"), "w");
        town.pass(59_500);
        assert_eq!((town.created().len(), town.refusals()), (0, vec![Guard::Window]));
        town.pass(1_000);
        assert_eq!(town.created().len(), 1);
    }
    let mut town = Town::new(&format!("{ACT}{window}"), "w");
    town.votes = [Vote::Up; 2];
    town.pass(1_000);
    town.ask("lee", start("by hand", vec![])).unwrap().unwrap();
    assert_eq!(town.ends(), [End::Succeeded]);
}

/// Situation: the fleet has a switch, and nobody has turned it on. Expectation: a run is proposed, and
/// waits for a person; turned on it begins, under the next leader too; one for other services does not
/// matter.
#[test]
fn what_has_to_be_switched_on_is_off_at_first() {
    let settings = format!("{ACT}switches: {{armed: {{means: month-end is closed, services: [shop]}}}}\n");
    let mut town = Town::new(&settings, "w");
    town.pass(15_000);
    let run = town.created()[0].run.clone();
    assert_eq!(town.controller.run(&run).unwrap().state(), State::Proposed, "a person is asked");

    let mut town = Town::new(&settings, "w");
    assert_eq!(refused(&mut town, switch("other", true)).unwrap(), "the fleet has no switch other");
    assert_eq!(refused(&mut town, switch("armed", false)).unwrap(), "armed is off already");
    assert_eq!(refused(&mut town, switch("armed", true)), None);
    let on = stored(&town, switches).unwrap();
    assert_eq!((on["armed"].by.as_str(), on["armed"].left), ("kim", None));
    let mut next = Town::new(&settings, "w");
    let kept = Kept { switches: on, ..Kept::default() };
    next.give(Input::Loaded { runs: vec![], holds: BTreeMap::new(), kept });
    next.pass(15_000);
    assert_eq!(next.ends(), [End::Succeeded]);
    assert_eq!(refused(&mut next, switch("armed", false)), None);
    assert_eq!(stored(&next, switches), Some(BTreeMap::new()));

    let mut rules = (*bundle(&settings).rules()).clone();
    let needed = |rules: &Rules| rules.switches_of(&"a".into()).count();
    assert_eq!(needed(&rules), 1);
    rules.switches.get_mut("armed").unwrap().services = ["other".into()].into();
    assert_eq!(needed(&rules), 0);
}
