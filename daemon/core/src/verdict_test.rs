//! Each test: what the members publish, second by second, and what the leader makes of it.

use super::*;
use crate::fixture::three_sites;
use crate::vote::Opinion;

fn at(ms: u64) -> Now {
    Now { mono: Mono::from_ms(ms), wall_ms: 0 }
}

/// A member `m-SITE` of `site` that says `votes`.
fn says(site: &str, sequence: u64, votes: &[(&str, Vote)]) -> Observation {
    let opinion = |vote| Opinion {
        vote,
        held_for: Span::secs(1),
        rounds: 99,
        bad: 0,
        good: 0,
        leased: false,
        failing: vec!["tcp: refused".into()],
    };
    Observation {
        member: MemberId::new(format!("m-{site}")),
        site: site.into(),
        boot_id: "boot".into(),
        sequence,
        store_age: Span::ms(10),
        canaries: 3,
        loop_lag: Span::ms(1),
        sites: votes.iter().map(|(site, vote)| (SiteId::from(*site), opinion(*vote))).collect(),
    }
}

fn leases(sites: &[&str]) -> BTreeMap<MemberId, SiteId> {
    sites.iter().map(|site| (MemberId::new(format!("m-{site}")), SiteId::from(*site))).collect()
}

/// Runs a court in steps of 500 ms up to `until`, with what `world(ms)` publishes.
fn run(
    rules: &Rules,
    until: u64,
    mut world: impl FnMut(u64) -> (Vec<Observation>, &'static [&'static str]),
) -> (Court, Vec<Finding>) {
    let (mut court, mut findings) = (Court::default(), Vec::new());
    for ms in (0..=until).step_by(500) {
        let (observations, live) = world(ms);
        court.on_snapshot(
            Snapshot { observations, members: leases(live), ..Snapshot::default() },
            Mono::from_ms(ms),
            at(ms),
        );
        findings = court.judge(rules, at(ms));
    }
    (court, findings)
}

fn of<'a>(findings: &'a [Finding], site: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.site.as_str() == site).unwrap()
}

use Vote::{Abstain, Down, Up};

fn both_down(ms: u64) -> Vec<Observation> {
    vec![
        says("b", ms, &[("a", Down), ("b", Up), ("w", Up)]),
        says("w", ms, &[("a", Down), ("b", Up), ("w", Up)]),
    ]
}

#[test]
fn lost_takes_a_majority_for_the_whole_of_confirm() {
    let rules = three_sites();
    let (_, findings) = run(&rules, 9_500, |ms| (both_down(ms), &["b", "w"]));
    assert_eq!(of(&findings, "a").verdict, Verdict::Degraded);
    let (court, findings) = run(&rules, 10_000, |ms| (both_down(ms), &["b", "w"]));
    assert_eq!(of(&findings, "a").verdict, Verdict::Lost);
    assert_eq!(of(&findings, "b").verdict, Verdict::Unknown, "with a silent, one UP is no majority");
    let said = court.destination(&"a".into(), &"b".into(), &rules, at(10_000));
    assert_eq!(said, Ok("w says UP, and m-b's own probes pass".into()));
}

#[test]
fn one_observer_alone_is_no_majority() {
    let rules = three_sites();
    let (_, findings) = run(&rules, 60_000, |ms| {
        (vec![says("b", ms, &[("a", Up)]), says("w", ms, &[("a", Down), ("b", Up)])], &["a", "b", "w"])
    });
    assert_eq!(of(&findings, "a").verdict, Verdict::Degraded);
    assert_eq!(of(&findings, "a").confirmed, Span::default());
}

#[test]
fn a_live_member_inside_vetoes() {
    let rules = three_sites();
    let (_, findings) = run(&rules, 60_000, |ms| (both_down(ms), &["a", "b", "w"]));
    let finding = of(&findings, "a");
    assert_eq!((finding.verdict, &finding.inside[..]), (Verdict::Partitioned, &["m-a".into()][..]));
}

#[test]
fn a_short_abstention_freezes_a_longer_one_starts_anew() {
    let rules = three_sites();
    let gap = |from: u64, to: u64| {
        move |ms: u64| {
            let vote = if (from..to).contains(&ms) { Abstain } else { Down };
            (vec![says("b", ms, &[("a", vote)]), says("w", ms, &[("a", Down), ("b", Up)])], &["b", "w"][..])
        }
    };
    let (_, findings) = run(&rules, 12_000, gap(5_000, 6_500));
    assert_eq!(of(&findings, "a").verdict, Verdict::Lost, "10 s without the frozen 1.5 s");
    let (_, findings) = run(&rules, 12_000, gap(5_000, 8_000));
    assert_eq!(of(&findings, "a").verdict, Verdict::Degraded);
}

#[test]
fn silence_is_no_evidence() {
    // Situation: both observers die after they said DOWN. Danger: their last words count for
    // ever. Expectation: their words expire on the leader's clock.
    let rules = three_sites();
    let (_, findings) = run(&rules, 20_000, |ms| (both_down(ms.min(2_000)), &["b", "w"]));
    assert_eq!(of(&findings, "a").verdict, Verdict::Unknown);
    assert!(of(&findings, "a").votes[0].words[0].discounted.as_deref().unwrap().contains("silent"));
}

#[test]
fn a_gap_in_the_leaders_time_starts_the_count_anew() {
    let rules = three_sites();
    let mut court = Court::default();
    for ms in (0..=8_000).step_by(500).chain((11_000..=14_000).step_by(500)) {
        court.on_snapshot(
            Snapshot { observations: both_down(ms), members: leases(&["b", "w"]), ..Snapshot::default() },
            Mono::from_ms(ms),
            at(ms),
        );
        let findings = court.judge(&rules, at(ms));
        assert_ne!(of(&findings, "a").verdict, Verdict::Lost, "at {ms}");
    }
}

#[test]
fn stale_reads_judge_nothing() {
    let rules = three_sites();
    let (mut court, _) = run(&rules, 10_000, |ms| (both_down(ms), &["b", "w"]));
    let mut last = Vec::new();
    for ms in (10_500..=15_500).step_by(500) {
        last = court.judge(&rules, at(ms));
    }
    assert_eq!(of(&last, "a").verdict, Verdict::Unknown);
}

#[test]
fn a_destination_needs_others_and_itself() {
    let rules = three_sites();
    let (from, to) = (SiteId::from("a"), SiteId::from("b"));
    let with = |b: Vote, w: Vote, live: &'static [&'static str]| {
        let (court, _) = run(&rules, 1_000, |ms| {
            (vec![says("b", ms, &[("b", b), ("a", Down)]), says("w", ms, &[("b", w)])], live)
        });
        court.destination(&from, &to, &rules, at(1_000))
    };
    assert!(with(Up, Up, &["b", "w"]).is_ok());
    assert!(with(Up, Down, &["b", "w"]).unwrap_err().contains("DOWN"));
    assert!(with(Up, Abstain, &["b", "w"]).unwrap_err().contains("w does not say that b is UP"));
    assert!(with(Up, Up, &["w"]).unwrap_err().contains("no member in b"));
    assert!(with(Vote::Degraded, Up, &["b", "w"]).unwrap_err().contains("own site"));
}

#[test]
fn a_single_observer_suffices_only_by_that_name() {
    let rules = Rules { single_observer: true, canaries: 0, ..three_sites() };
    let (court, findings) =
        run(&rules, 10_000, |ms| (vec![says("w", ms, &[("a", Down), ("b", Up)])], &["w"]));
    assert_eq!(of(&findings, "a").verdict, Verdict::Lost);
    assert_eq!(of(&findings, "b").verdict, Verdict::Healthy);
    assert!(court.destination(&"a".into(), &"b".into(), &rules, at(10_000)).is_ok());
}

#[test]
fn what_a_dead_member_left_behind_is_no_vote() {
    // Situation: b's only member died while it said DOWN; its last observation still stands when
    // a new leader reads it for the first time. Danger: with a confirm shorter than the time
    // after which silence is noticed, it makes a majority. Expectation: no lease, no vote.
    let mut rules = three_sites();
    rules.timing = crate::timing::Timing::of(crate::timing::Profile::Fast);
    let (court, findings) = run(&rules, 4_500, |ms| {
        let w = says("w", ms, &[("a", Down), ("b", Up)]);
        (vec![says("b", 7, &[("a", Down), ("b", Up)]), w], &["w"])
    });
    let finding = of(&findings, "a");
    assert_eq!((finding.verdict, finding.confirmed), (Verdict::Degraded, Span::default()));
    assert_eq!(finding.votes[0].words[0].discounted.as_deref(), Some("it holds no live lease"));
    let mut court = court;
    court.on_snapshot(Snapshot::default(), Mono::from_ms(5_000), at(5_000));
    assert_eq!(
        court.vote(&"b".into(), &"a".into(), &rules, at(5_000)).words,
        [],
        "forgotten with its record"
    );
}

#[test]
fn a_sibling_that_has_just_started_does_not_speak_for_the_destination() {
    let rules = three_sites();
    let mut court = Court::default();
    let mut fresh = says("b", 1, &[("a", Abstain), ("b", Abstain)]);
    fresh.member = "m-1".into();
    let observations = vec![fresh, says("b", 1, &[("b", Up)]), says("w", 1, &[("b", Up)])];
    let mut members = leases(&["b", "w"]);
    members.insert("m-1".into(), "b".into());
    court.on_snapshot(Snapshot { observations, members, ..Snapshot::default() }, Mono::from_ms(0), at(0));
    let said = court.destination(&"a".into(), &"b".into(), &rules, at(0));
    assert_eq!(said, Ok("w says UP, and m-b's own probes pass".into()));
}
