use super::*;
use crate::fixture::three_sites;
use crate::limits::Forbidden;
use crate::rules::Switch;
use crate::verdict::{SiteVote, Word};
use std::collections::BTreeMap;

fn vote(voter: &str, vote: Vote) -> SiteVote {
    let word = Word {
        member: format!("m-{voter}").as_str().into(),
        vote,
        held_for: Span::secs(20),
        failing: vec![],
        leased: true,
        discounted: None,
    };
    SiteVote { voter: voter.into(), vote, words: vec![word] }
}

fn lost() -> Finding {
    Finding {
        site: "a".into(),
        verdict: Verdict::Lost,
        held_for: Span::secs(1),
        confirmed: Span::secs(11),
        needed: 2,
        votes: vec![vote("b", Vote::Down), vote("w", Vote::Down)],
        inside: vec![],
    }
}

fn moving() -> Moving {
    let services = ["shop".into()].into();
    Moving { from: "a".into(), to: "b".into(), services, well: ["b".into()].into(), today: vec![] }
}

fn facts<'a>(rules: &'a Rules, finding: &'a Finding) -> Facts<'a> {
    Facts {
        rules,
        finding,
        age: Some(Duration::from_millis(300)),
        destination: Ok("w says UP".into()),
        locked: None,
        hold: None,
        left: None,
        readiness: Ok("ready, looked at 3m ago".into()),
        enforced: Err("it has no sentry".into()),
        frozen: None,
        flapped: None,
        maintained: None,
        switched: BTreeSet::new(),
        window: None,
        moving: moving(),
    }
}

fn frozen(left: Option<Span>) -> Order {
    Order { by: "kim".into(), reason: "the network is rebuilt".into(), since_wall_ms: 0, left }
}

/// Which guard refuses `facts`, and its words.
fn refused(facts: &Facts<'_>) -> Option<(Guard, String)> {
    refusing(&ask(facts)).map(|ruling| (ruling.guard, ruling.reason.clone()))
}

#[test]
fn a_lost_site_passes_all() {
    let (rules, finding) = (three_sites(), lost());
    assert_eq!(refused(&facts(&rules, &finding)), None);
    assert_eq!(ask(&facts(&rules, &finding)).len(), Guard::ALL.len());
    let ids: Vec<String> = ask(&facts(&rules, &finding)).iter().map(|ruling| ruling.guard.id()).collect();
    let expected: Vec<String> = Guard::ALL.iter().map(|guard| guard.id()).collect();
    assert_eq!(ids, expected);
}

#[test]
fn each_guard_refuses_alone() {
    let (rules, good) = (three_sites(), lost());
    let with = |change: &dyn Fn(&mut Finding)| {
        let mut finding = good.clone();
        change(&mut finding);
        finding
    };
    let silent = with(&|finding| finding.votes[0] = vote("b", Vote::Abstain));
    let alone = with(&|finding| finding.votes[0] = vote("b", Vote::Up));
    let early = with(&|finding| finding.confirmed = Span::secs(9));
    let inside = with(&|finding| finding.inside = vec!["m-a".into()]);
    let advise = Rules { automation: Automation::Advise, ..rules.clone() };
    let none = Rules { on_loss: vec![], ..rules.clone() };
    let mut patient = rules.clone();
    patient.on_loss[0].confirm = Span::secs(45);
    let real = Rules { lab: false, ..rules.clone() };
    let mut required = rules.clone();
    required.readiness.required = true;
    let mut gated = rules.clone();
    gated.switches.insert("armed".into(), Switch::default());
    let serving = [("shop".into(), [("a".into(), 1)].into())].into();
    let [mut lonely, mut small, mut forbidding] =
        [(); 3].map(|()| Rules { serving: BTreeMap::clone(&serving), ..rules.clone() });
    lonely.limits.min_serving = Some(2);
    small.limits.per_run.services = Some(0);
    forbidding.limits.forbidden = vec![Forbidden::Active { service: "shop".into(), site: "b".into() }];
    let cases = [
        (Guard::Quorum, Facts { age: None, ..facts(&rules, &good) }, "not read"),
        (Guard::Quorum, Facts { age: Some(Duration::from_secs(7)), ..facts(&rules, &good) }, "for 7s"),
        (Guard::Freshness, facts(&rules, &silent), "without a vote: b"),
        (Guard::Confirm, facts(&rules, &alone), "w says DOWN; 2 of 2"),
        (Guard::Confirm, facts(&rules, &early), "for 9s of 10s"),
        (Guard::Confirm, facts(&patient, &good), "for 11s of 45s"),
        (Guard::Veto, facts(&rules, &inside), "m-a in a holds a live lease"),
        (
            Guard::Destination,
            Facts { destination: Err("w says that b is DOWN".into()), ..facts(&rules, &good) },
            "b is DOWN",
        ),
        (
            Guard::Locks,
            Facts { locked: Some(("r7-1".into(), "site a".into())), ..facts(&rules, &good) },
            "r7-1 holds site a",
        ),
        (
            Guard::HoldDown,
            Facts { hold: Some(("a".into(), Span::secs(60))), ..facts(&rules, &good) },
            "site ack a",
        ),
        (
            Guard::Maintenance,
            Facts { maintained: Some(("b".into(), frozen(None))), ..facts(&rules, &good) },
            "b is in maintenance by kim until somebody releases it: the network",
        ),
        (
            Guard::Window,
            Facts { window: Some(("month-end".into(), "Monday".into())), ..facts(&rules, &good) },
            "it is month-end, until Monday",
        ),
        (Guard::Serving, facts(&lonely, &good), "well beside a: b; the fleet wants 2"),
        (Guard::BlastRadius, facts(&small, &good), "a run may leave 0 services at most"),
        (Guard::FinalState, facts(&forbidding, &good), "at its end shop serves in b"),
        (Guard::Switches, facts(&gated, &good), "armed is off; to turn it on: standfast switch on armed"),
        (Guard::HoldDown, Facts { left: Some("r7-1".into()), ..facts(&rules, &good) }, "r7-1 has left a"),
        (
            Guard::Flaps,
            Facts { flapped: Some("b".into()), ..facts(&rules, &good) },
            "b went down 3 times within 30m; to unlock it: standfast site ack b",
        ),
        (
            Guard::Readiness,
            Facts { readiness: Err("not ready: no login".into()), ..facts(&required, &good) },
            "no login",
        ),
        (Guard::Automation, facts(&advise, &good), "advise"),
        (Guard::Automation, facts(&none, &good), "no playbook"),
        (Guard::Enforcement, facts(&real, &good), "it has no sentry"),
        (
            Guard::Freeze,
            Facts { frozen: Some(frozen(Some(Span::secs(90)))), ..facts(&rules, &good) },
            "frozen by kim for another 1m 30s: the network is rebuilt; to end it: standfast thaw",
        ),
        (Guard::Freeze, Facts { frozen: Some(frozen(None)), ..facts(&rules, &good) }, "until somebody thaws"),
    ];
    for (guard, facts, words) in cases {
        let (by, reason) = refused(&facts).unwrap_or_else(|| panic!("{guard} let it pass"));
        assert_eq!(by, guard, "{reason}");
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn a_readiness_that_is_not_required_is_only_said() {
    let (rules, finding) = (three_sites(), lost());
    let facts = Facts { readiness: Err("nobody has looked yet".into()), ..facts(&rules, &finding) };
    assert_eq!(refused(&facts), None);
    let said = ask(&facts).into_iter().find(|ruling| ruling.guard == Guard::Readiness).unwrap();
    assert_eq!(said.reason, "not required; nobody has looked yet");
}

/// Situation: the fleet only advises, so that its guard refuses whatever the others say. Expectation:
/// that alone is a reason to propose; a freeze beside it is none to do anything.
#[test]
fn a_freeze_forbids_the_proposal_too() {
    let (rules, finding) = (three_sites(), lost());
    let forbidden = |automation, frozen| {
        let rules = Rules { automation, ..rules.clone() };
        let rulings = ask(&Facts { frozen, ..facts(&rules, &finding) });
        forbidding(&rulings, automation).map(|ruling| ruling.guard)
    };
    assert_eq!(forbidden(Automation::Advise, None), None);
    assert_eq!(forbidden(Automation::Off, None), Some(Guard::Automation));
    assert_eq!(forbidden(Automation::Advise, Some(frozen(None))), Some(Guard::Freeze));
    assert_eq!(forbidden(Automation::Act, Some(frozen(None))), Some(Guard::Freeze));
}
