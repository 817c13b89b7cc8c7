use super::*;
use crate::time::Span;

fn at(ms: u64) -> Now {
    Now { mono: Mono::from_ms(ms), wall_ms: 0 }
}

fn leader() -> Leadership {
    let mut machine = Leadership::new(Timing::default(), "boot");
    assert_eq!(machine.on(Input::Tick, at(0)), [Effect::ReadLeader]);
    assert_eq!(machine.on(Input::LeaderKey { held: false, reaches: true }, at(10)), [Effect::Grant]);
    let campaign = machine.on(Input::Granted(Some(7)), at(20));
    assert_eq!(campaign, [Effect::Campaign { lease: 7, nonce: "boot-1".into() }]);
    let won = Campaign::Won { key_revision: 42, epoch: Epoch(3), sent: Mono::from_ms(20) };
    let effects = machine.on(Input::Campaigned(won), at(30));
    assert!(matches!(&effects[..], [Effect::Lead(_), Effect::Beat(_)]), "{effects:?}");
    machine
}

/// Ticks every 250 ms from `from` to `to`; what came of it, with its time.
fn run(machine: &mut Leadership, from: u64, to: u64) -> Vec<(u64, Effect)> {
    let ticks = (from..=to).step_by(250);
    ticks.flat_map(|ms| machine.on(Input::Tick, at(ms)).into_iter().map(move |effect| (ms, effect))).collect()
}

#[test]
fn validity_counts_from_before_the_send() {
    let mut machine = leader();
    machine.on(Input::Beaten { sent: Mono::from_ms(1_000), outcome: Beat::Held }, at(3_000));
    assert!(machine.term(at(7_499)).is_some());
    assert!(machine.term(at(7_500)).is_none());
}

#[test]
fn a_leader_cut_off_stops_then_kills() {
    // Situation: the store answers nothing any more. Danger: two leaders act. Expectation: no
    // effect starts after 6.5 s, children are dead at 8 s, the lease (10 s) outlives both.
    let mut machine = leader();
    let effects = run(&mut machine, 250, 9_000);
    let when =
        |wanted: fn(&Effect) -> bool| effects.iter().find(|(_, effect)| wanted(effect)).map(|(ms, _)| *ms);
    assert_eq!(when(|effect| matches!(effect, Effect::Stop { .. })), Some(6_750));
    assert_eq!(when(|effect| matches!(effect, Effect::KillChildren)), Some(8_250));
    assert_eq!(
        when(|effect| matches!(effect, Effect::Revoke(7))),
        Some(8_250),
        "not while children may live"
    );
    assert!(machine.term(at(6_600)).is_none());
}

#[test]
fn a_paused_leader_wakes_up_deposed() {
    let mut machine = leader();
    machine.on(Input::Tick, at(250));
    machine.on(Input::Beaten { sent: Mono::from_ms(200), outcome: Beat::Held }, at(260));
    let effects = machine.on(Input::Tick, at(250 + 2_001));
    assert!(matches!(effects[0], Effect::Stop { why: "this member's time had a gap" }), "{effects:?}");
}

#[test]
fn losing_the_compare_kills_at_once() {
    let mut machine = leader();
    let effects = machine.on(Input::GuardLost, at(500));
    assert!(
        matches!(&effects[..], [Effect::Stop { .. }, Effect::KillChildren, Effect::Revoke(7)]),
        "{effects:?}"
    );
}

#[test]
fn an_ambiguous_campaign_gives_its_lease_back() {
    let mut machine = Leadership::new(Timing::default(), "boot");
    machine.on(Input::LeaderKey { held: false, reaches: true }, at(0));
    machine.on(Input::Granted(Some(9)), at(1));
    assert_eq!(machine.on(Input::Campaigned(Campaign::Ambiguous), at(2)), [Effect::Revoke(9)]);
    assert!(machine.term(at(3)).is_none());
}

#[test]
fn who_steps_down_leaves_the_field_to_others() {
    let mut machine = leader();
    let effects = machine.on(Input::StepDown("a person wants it"), at(1_000));
    assert!(effects.contains(&Effect::Stop { why: "a person wants it" }), "{effects:?}");
    assert!(effects.contains(&Effect::Revoke(7)));
    assert_eq!(machine.on(Input::LeaderKey { held: false, reaches: true }, at(10_999)), []);
    assert_eq!(machine.on(Input::LeaderKey { held: false, reaches: true }, at(11_000)), [Effect::Grant]);
}

#[test]
fn who_shuts_down_never_campaigns_again() {
    let mut machine = leader();
    machine.on(Input::Shutdown, at(1_000));
    assert_eq!(machine.on(Input::LeaderKey { held: false, reaches: true }, at(99_000)), []);
    assert_eq!(machine.on(Input::Granted(Some(8)), at(99_000)), [Effect::Revoke(8)]);
}

#[test]
fn a_beat_is_sent_again_only_after_its_answer() {
    let mut machine = leader();
    assert_eq!(run(&mut machine, 250, 2_000), [], "the first beat is still out");
    machine.on(Input::Beaten { sent: Mono::from_ms(30), outcome: Beat::Held }, at(2_010));
    assert_eq!(run(&mut machine, 2_250, 2_250).len(), 1);
}

#[test]
fn a_term_that_lapsed_is_not_taken_up_again() {
    let mut machine = leader();
    let effects = machine.on(Input::Beaten { sent: Mono::from_ms(6_000), outcome: Beat::Held }, at(6_600));
    assert!(matches!(effects[0], Effect::Stop { .. }), "{effects:?}");
}

#[test]
fn another_ttl_takes_another_campaign() {
    let mut machine = leader();
    let fast = Timing::of(crate::timing::Profile::Fast);
    assert!(machine.retime(fast, at(100)).contains(&Effect::Revoke(7)));
    assert_eq!(
        machine.on(Input::LeaderKey { held: false, reaches: true }, at(110)),
        [Effect::Grant],
        "at once"
    );
    let mut machine = leader();
    let loose = Timing { kill: Span::ms(9_900), validity: Span::secs(1), ..Timing::default() };
    assert!(
        machine.retime(loose, at(100)).contains(&Effect::KillChildren),
        "by the kill it was confirmed for"
    );
    let mut machine = Leadership::new(fast, "boot");
    assert_eq!(machine.retime(Timing { confirm: Span::secs(9), ..fast }, at(120)), []);
}

#[test]
fn who_sees_the_destination_campaigns_first() {
    let mut machine = Leadership::new(Timing::default(), "boot");
    let free = |reaches| Input::LeaderKey { held: false, reaches };
    assert_eq!(machine.on(free(false), at(0)), []);
    assert_eq!(machine.on(free(false), at(1_999)), []);
    assert_eq!(machine.on(Input::LeaderKey { held: true, reaches: false }, at(2_000)), [], "another one did");
    assert_eq!(machine.on(free(false), at(3_000)), []);
    assert_eq!(machine.on(free(false), at(5_000)), [Effect::Grant], "better than nobody");
}
