//! What binds people as it binds the automation, who may waive it, and who has to agree.

use super::*;
use crate::limits::Moved;

fn waive(rule: &str) -> Vec<Override> {
    vec![Override { rule: rule.into(), reason: "the board has agreed".into() }]
}

/// A leader whose fleet says this, of sites that are all well.
fn town(settings: &str) -> Town {
    let mut town = Town::new(&format!("{ACT}{settings}"), "w");
    town.votes = [Vote::Up; 2];
    town.pass(1_000);
    town
}

fn kept(moves: Vec<Moved>) -> Input {
    let kept = Kept { moves, ..Kept::default() };
    Input::Loaded { runs: vec![], holds: BTreeMap::new(), kept }
}

fn moved(site: &str) -> Moved {
    Moved {
        run: RunId::new("r1-1"),
        site: site.into(),
        services: ["mail".into()].into(),
        servers: 1,
        age: Span::secs(82_800),
    }
}

const DAY: &str = "limits: {per_day: {sites: 1}}
overrides: {role: commander}
";

/// Situation: a run has left another site 23 hours ago, and the fleet allows one site a day. Expectation:
/// neither the automation nor a person leaves a second one, but for who may waive that by name; an hour
/// later it is another day, by the clock of whoever leads.
#[test]
fn a_day_has_its_limit_for_everybody() {
    let mut lost = Town::new(&format!("{ACT}{DAY}"), "w");
    lost.give(kept(vec![moved("z")]));
    lost.pass(60_000);
    assert_eq!((lost.created().len(), lost.refusals()), (0, vec![Guard::BlastRadius]));

    let mut town = town(DAY);
    town.give(kept(vec![moved("z")]));
    let refusal = town.ask("kim", start("now", vec![])).unwrap().unwrap_err();
    assert_eq!(refusal.about, Some(About::Guard(Guard::BlastRadius)), "{}", refusal.message);
    let refusal = town.ask("lee", start("now", waive("blast-radius"))).unwrap().unwrap_err();
    assert_eq!((refusal.kind, refusal.about), (RefusalKind::Denied, Some(About::Role("commander".into()))));
    town.ask("kim", start("now", waive("blast-radius"))).unwrap().unwrap();
    assert_eq!(town.ends(), [End::Succeeded]);
    town.pass(1_000);
    let stored = town.effects.iter().rev().find_map(|effect| match effect {
        Effect::Keep { keep: Keep::Moves(moves), .. } => Some(moves.clone()),
        _ => None,
    });
    let stored = stored.unwrap();
    let runs: Vec<&str> = stored.iter().map(|moved| moved.run.as_str()).collect();
    assert_eq!(runs, ["r1-1", "r7-1"], "what it has left counts, for the next leader too");
    assert!(stored[0].age > Span::secs(82_800) && stored[1].services.contains("shop"), "{stored:?}");

    let mut later = Town::new(&format!("{ACT}{DAY}"), "w");
    later.give(kept(vec![moved("z")]));
    later.ms += 3_600_000;
    later.pass(15_000);
    assert_eq!(later.created().len(), 1);
}

/// What was proposed and taken back has left nothing.
#[test]
fn what_was_withdrawn_does_not_count() {
    let mut town = Town::new(DAY, "w");
    town.pass(20_000);
    assert_eq!(town.controller.moves.today(town.now()).len(), 1);
    town.votes = [Vote::Up; 2];
    town.pass(2_000);
    assert_eq!((town.ends(), town.controller.moves.today(town.now()).len()), (vec![End::Cancelled], 0));
}

/// Situation: the site beside the one that is left is not well; or the run would end as the fleet forbids.
#[test]
fn people_are_refused_by_number_and_only_a_role_waives() {
    let mut lonely = town("limits: {min_serving: 1}\n");
    lonely.destination = Vote::Degraded;
    lonely.pass(1_000);
    let refusal = lonely.ask("kim", start("now", vec![])).unwrap().unwrap_err();
    assert_eq!(refusal.about, Some(About::Guard(Guard::Serving)), "{}", refusal.message);
    let refusal = lonely.ask("kim", start("now", waive("serving"))).unwrap().unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Invalid, "the fleet names no role: {}", refusal.message);
    lonely.destination = Vote::Up;
    lonely.pass(1_000);
    assert!(lonely.ask("kim", start("now", vec![])).unwrap().is_ok());

    let mut town = town("forbid: [{active: {service: shop, in: w}}]\noverrides: {role: commander}\n");
    let (bundle, rules) = town.controller.bundle.clone().unwrap();
    let mut rules = (*rules).clone();
    let site = "b".into();
    rules.limits.forbidden = vec![crate::limits::Forbidden::Active { service: "shop".into(), site }];
    town.controller.bundle = Some((bundle, Arc::new(rules)));
    let refusal = town.ask("kim", start("now", vec![])).unwrap().unwrap_err();
    assert_eq!(refusal.about, Some(About::Guard(Guard::FinalState)), "{}", refusal.message);
    assert!(town.ask("kim", start("now", waive("final-state"))).unwrap().is_ok());
}

/// Situation: the fleet asks for a second person, and kim starts a run and waives what it requires.
/// Expectation: it waits; kim cannot approve it, somebody else can. A run that waives nothing waits for
/// nobody.
#[test]
fn what_one_waives_another_approves() {
    let two = "overrides: {second_person: true}\n";
    let mut plain = town(two);
    plain.ask("kim", start("now", vec![])).unwrap().unwrap();
    assert_eq!(plain.ends(), [End::Succeeded]);

    let mut town = town(two);
    (town.requirement, town.before) = (Answer::Fails("no".into()), Answer::Fails("no".into()));
    let run = town.ask("kim", start("now", waive("tcp.connect"))).unwrap().unwrap().unwrap().run;
    town.pass(2_000);
    assert_eq!(town.controller.run(&run).unwrap().state(), State::Proposed, "and it is not withdrawn");
    let approve = |by: &str, town: &mut Town| {
        let command = Command::Approve { step: None, reason: "so be it".into() };
        town.effects.clear();
        town.ask(by, Ask::Run { run: run.clone(), command, seen: None })
    };
    let refusal = approve("kim", &mut town).unwrap().unwrap_err();
    assert_eq!(refusal.about, Some(About::Guard(Guard::SecondPerson)));
    assert_eq!(town.controller.run(&run).unwrap().state(), State::Proposed);
    approve("lee", &mut town);
    assert_eq!(town.ends(), [End::Succeeded]);
}

/// Situation: the fleet asks for a second person, kim's run blocks on what it requires, and kim waives it
/// there. Expectation: as if it had been waived at the start: another person has to approve it.
#[test]
fn what_one_waives_in_a_run_another_approves() {
    let mut town = town("overrides: {second_person: true}\n");
    town.requirement = Answer::Fails("no".into());
    let run = town.ask("kim", start("now", vec![])).unwrap().unwrap().unwrap().run;
    town.pass(2_000);
    let approve = |by: &str, town: &mut Town| {
        let command = Command::Approve { step: None, reason: "so be it".into() };
        town.effects.clear();
        town.ask(by, Ask::Run { run: run.clone(), command, seen: None })
    };
    approve("kim", &mut town);
    town.pass(2_000);
    assert_eq!(town.controller.run(&run).unwrap().state(), State::Blocked, "one person is not enough");
    let refusal = approve("kim", &mut town).unwrap().unwrap_err();
    assert_eq!(refusal.about, Some(About::Guard(Guard::SecondPerson)), "{}", refusal.message);
    approve("lee", &mut town);
    town.pass(2_000);
    assert_eq!(town.ends(), [End::Succeeded]);
}
