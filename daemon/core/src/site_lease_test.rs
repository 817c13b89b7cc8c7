use super::*;
use crate::fixture::three_sites;
use crate::sentry::State;
use crate::timing::{Profile, Timing};

fn site() -> SiteId {
    "a".into()
}

/// Three sites; in a the service `shop`, guarded by one sentry.
fn guarded() -> Rules {
    let shop: BTreeSet<ServiceId> = ["shop".into()].into();
    let guarding = Guarding { steps: "steps".to_owned().into(), services: shop.clone() };
    Rules {
        lab: false,
        services: [(site(), shop)].into(),
        sentries: [(site(), [("db-a".into(), guarding)].into())].into(),
        ..three_sites()
    }
}

fn roster(change: impl Fn(&mut Report)) -> Roster {
    let mut report =
        Report { steps: "steps".to_owned().into(), heard: Span::ms(300), state: State::Open, failed: None };
    change(&mut report);
    Roster { member: "a1".into(), sentries: [("db-a".into(), report)].into() }
}

fn leases(held: bool, roster: Roster) -> Leases {
    Leases {
        held: held.then(site).into_iter().collect(),
        rosters: [(site(), roster)].into(),
        fenced: BTreeMap::new(),
    }
}

/// What the end of the lease proves: held at 1 s, gone when the store is read at 20 s and 21 s.
fn ended(rules: &Rules, roster: &Roster, seen: bool) -> Expiry {
    let mut registry = Registry::default();
    registry.on_read(leases(true, roster.clone()), Mono::from_ms(1_000));
    assert_eq!(registry.expiry(&site(), seen, rules), Expiry::Held);
    registry.on_read(leases(false, roster.clone()), Mono::from_ms(20_000));
    registry.on_read(leases(false, roster.clone()), Mono::from_ms(21_000));
    registry.expiry(&site(), seen, rules)
}

#[test]
fn the_end_of_an_enforced_lease_proves_a_fence_after_the_margin() {
    let expected = Expiry::Proves {
        from: Mono::from_ms(25_000),
        evidence: "the lease of a ended; enforced by db-a".into(),
    };
    assert_eq!(ended(&guarded(), &roster(|_| {}), true), expected);
}

/// Each of these would let a site be called fenced although nothing has stopped it.
#[test]
fn what_nobody_enforced_proves_nothing() {
    let unproven = |rules: &Rules, roster: &Roster, seen| match ended(rules, roster, seen) {
        Expiry::Unproven(why) => why,
        other => panic!("{other:?}"),
    };
    let (rules, good) = (guarded(), roster(|_| {}));
    let nobody = Roster { sentries: BTreeMap::new(), ..good.clone() };
    let mut more = guarded();
    more.services.get_mut("a").unwrap().insert("mail".into());
    let none = Rules { sentries: BTreeMap::new(), ..guarded() };
    let cases = [
        (&rules, good.clone(), false, "had ended before anybody saw the site down"),
        (&rules, nobody, true, "db-a of a was not heard"),
        (&rules, roster(|report| report.heard = Span::ms(9_001)), true, "had been silent for 9.001s"),
        (&rules, roster(|report| report.steps = "old".to_owned().into()), true, "has other steps"),
        (
            &rules,
            roster(|report| report.failed = Some("exit 1".into())),
            true,
            "cannot do what it should: exit 1",
        ),
        (&more, good.clone(), true, "no sentry in a guards mail"),
        (&none, good, true, "it has no sentry"),
    ];
    for (rules, roster, seen, words) in cases {
        let why = unproven(rules, &roster, seen);
        assert!(why.contains(words), "{why} lacks {words}");
    }
}

/// Situation: the lease comes back after the first read without it. Danger: the margin of before
/// is counted on. Expectation: it begins anew.
#[test]
fn a_lease_that_came_back_ends_anew() {
    let (rules, mut registry) = (guarded(), Registry::default());
    for (held, ms) in [(false, 10_000), (true, 12_000), (false, 14_000)] {
        registry.on_read(leases(held, roster(|_| {})), Mono::from_ms(ms));
    }
    let Expiry::Proves { from, .. } = registry.expiry(&site(), true, &rules) else { panic!() };
    assert_eq!(from, Mono::from_ms(19_000));
}

#[test]
fn a_site_that_never_had_a_lease_is_not_fenced_by_having_none() {
    let mut registry = Registry::default();
    registry.on_read(Leases::default(), Mono::from_ms(1_000));
    assert!(matches!(registry.expiry(&site(), true, &guarded()), Expiry::Unproven(_)));
}

#[test]
fn a_fenced_site_is_fenced_whatever_else_is_known() {
    let mut registry = Registry::default();
    let fenced = Fenced { run: "r7-1".into(), epoch: Epoch(7), wall_ms: 0 };
    let leases = Leases { fenced: [(site(), fenced)].into(), ..Leases::default() };
    registry.on_read(leases, Mono::from_ms(1_000));
    let Expiry::Fenced(words) = registry.expiry(&site(), false, &guarded()) else { panic!() };
    assert_eq!(words, "a is fenced since run r7-1, epoch 7: its lease cannot be renewed");
}

#[test]
fn a_command_that_cuts_the_power_enforces_too() {
    let rules = Rules { sentries: BTreeMap::new(), power_off: [site()].into(), ..guarded() };
    assert_eq!(enforced(&site(), &rules, &Leases::default()).unwrap(), "the power of a can be cut");
}

/// What a sentry has left after its window must be there before a promotion.
#[test]
fn the_time_to_isolate_is_what_the_lease_leaves() {
    assert_eq!(time_to_isolate(&Timing::of(Profile::Default)), Span::ms(10_900));
    assert_eq!(time_to_isolate(&Timing::of(Profile::Fast)), Span::ms(2_400));
}
