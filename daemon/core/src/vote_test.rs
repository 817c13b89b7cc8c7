use super::*;
use crate::time::Mono;

fn at(ms: u64) -> Now {
    Now { mono: Mono::from_ms(ms), wall_ms: 0 }
}

fn probed(kind: Kind, good: bool) -> Probed {
    let answer = if good { Answer::Holds("ok".into()) } else { Answer::Fails("refused".into()) };
    Probed { name: kind.to_string(), kind, answer }
}

/// Feeds rounds of (http, tcp) and gives the vote after each.
fn votes(rounds: &[(bool, bool)]) -> Vec<Vote> {
    let (mut views, timing, site) = (Views::default(), Timing::default(), SiteId::from("a"));
    let mut seen = Vec::new();
    for (index, (http, tcp)) in rounds.iter().enumerate() {
        let now = at(index as u64 * 2_000);
        views.on_round(&site, &[probed(Kind::Http, *http), probed(Kind::Tcp, *tcp)], &timing, now);
        seen.push(views.opinions(now)[&site].vote);
    }
    seen
}

#[test]
fn a_fresh_observer_abstains_for_fall_rounds() {
    assert_eq!(
        votes(&[(true, true); 5]),
        [Vote::Abstain, Vote::Abstain, Vote::Abstain, Vote::Abstain, Vote::Up]
    );
    assert_eq!(votes(&[(false, false); 5])[4], Vote::Down);
}

#[test]
fn one_kind_failing_is_degraded_for_ever() {
    assert_eq!(*votes(&[(false, true); 50]).last().unwrap(), Vote::Degraded);
}

#[test]
fn down_takes_fall_rounds_in_a_row_and_rise_to_take_back() {
    let mut rounds = vec![(true, true); 5];
    rounds.extend([(false, false); 4]);
    rounds.push((true, true));
    assert!(votes(&rounds)[5..].iter().all(|vote| *vote == Vote::Up), "four are not enough");

    let mut rounds = vec![(true, true); 5];
    rounds.extend([(false, false); 5]);
    assert_eq!(*votes(&rounds).last().unwrap(), Vote::Down);
    rounds.extend([(true, true); 14]);
    assert_eq!(*votes(&rounds).last().unwrap(), Vote::Down, "fourteen are not enough");
    rounds.push((true, true));
    assert_eq!(*votes(&rounds).last().unwrap(), Vote::Up);
}

#[test]
fn a_kind_fails_only_with_all_its_probes() {
    let (mut views, timing, site) = (Views::default(), Timing::default(), SiteId::from("a"));
    let round = [probed(Kind::Http, false), probed(Kind::Http, true), probed(Kind::Postgres, false)];
    for index in 0..9 {
        views.on_round(&site, &round, &timing, at(index * 2_000));
    }
    assert_eq!(views.opinions(at(20_000))[&site].vote, Vote::Degraded);
}

#[test]
fn what_could_not_be_asked_says_nothing() {
    let (mut views, timing, site) = (Views::default(), Timing::default(), SiteId::from("a"));
    let unknown = |kind: Kind| Probed { answer: Answer::Unknown("no secret".into()), ..probed(kind, false) };
    for index in 0..20 {
        views.on_round(&site, &[unknown(Kind::Http), unknown(Kind::Tcp)], &timing, at(index * 2_000));
    }
    assert_eq!(views.opinions(at(40_000))[&site].vote, Vote::Abstain);
}

fn observation(votes: &[(&str, Vote)]) -> Observation {
    let opinion = |vote| Opinion {
        vote,
        held_for: Span::secs(9),
        rounds: 9,
        bad: 0,
        good: 0,
        leased: false,
        failing: vec![],
    };
    Observation {
        member: "m1".into(),
        site: "w".into(),
        boot_id: "b".into(),
        sequence: 1,
        store_age: Span::ms(100),
        canaries: 3,
        loop_lag: Span::ms(1),
        sites: votes.iter().map(|(site, vote)| (SiteId::from(*site), opinion(*vote))).collect(),
    }
}

#[test]
fn a_word_counts_only_from_a_trustworthy_place() {
    let rules = crate::fixture::three_sites();
    let good = observation(&[("a", Vote::Down), ("b", Vote::Up), ("w", Vote::Up)]);
    let refused = |observation: &Observation, silent: u64| {
        ineligible(observation, Duration::from_secs(silent), &rules).unwrap_or_default()
    };
    assert_eq!(refused(&good, 1), "");
    assert!(refused(&good, 7).contains("silent"));
    assert!(refused(&Observation { store_age: Span::secs(6), ..good.clone() }, 1).contains("store"));
    assert!(refused(&Observation { loop_lag: Span::ms(501), ..good.clone() }, 1).contains("lags"));
    assert!(refused(&Observation { canaries: 1, ..good.clone() }, 1).contains("canaries"));
    assert_eq!(refused(&Observation { site: "q".into(), ..good.clone() }, 1), "the fleet has no site q");
    assert_eq!(refused(&Observation { canaries: 2, ..good }, 1), "");
    let alone = observation(&[("a", Vote::Down), ("b", Vote::Down), ("w", Vote::Up)]);
    assert!(refused(&alone, 1).contains("cut off itself"));
}

#[test]
fn what_fails_is_published_in_short() {
    // A site with hundreds of probes dies: every leader must still be able to read all
    // observations in one transaction.
    let mut views = Views::default();
    let dead = |at: usize| Probed {
        name: format!("tcp.connect {at}"),
        kind: Kind::Tcp,
        answer: Answer::Fails("x".repeat(5_000)),
    };
    let round: Vec<Probed> = (0..400).map(dead).collect();
    views.on_round(&"a".into(), &round, &Timing::default(), Now::default());
    let failing = &views.opinions(Now::default())[&SiteId::from("a")].failing;
    assert_eq!(failing.last().map(String::as_str), Some("and 395 more"));
    assert!(failing.iter().map(String::len).sum::<usize>() < 1_100);
}
