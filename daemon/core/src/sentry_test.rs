use super::*;

fn at(ms: u64) -> Now {
    Now { mono: Mono::from_ms(ms), wall_ms: 0 }
}

/// A sentry of the default profile that serves since 1 s.
fn serving() -> Sentry {
    let mut sentry = Sentry::new(Span::secs(9), Some(State::Open));
    assert_eq!(sentry.on(renewed(1_000, 0), at(1_050)), []);
    sentry
}

/// Asked at `sent`: the site was confirmed `ago` milliseconds before the answer.
fn renewed(sent: u64, ago: u64) -> Input {
    Input::Answered { sent: Mono::from_ms(sent), confirmed: Some(Span::ms(ago)), fenced: false }
}

/// Situation: the network is cut; members go on answering, with older and older renewals.
/// Danger: the age is counted from when the answer came, and the window grows with every delay.
#[test]
fn it_counts_from_before_it_asked() {
    let mut sentry = serving();
    assert_eq!(sentry.on(renewed(8_000, 7_000), at(8_900)), []);
    assert_eq!(sentry.serves_until(), Some(Mono::from_ms(10_000)));
    assert_eq!(sentry.on(Input::Tick, at(9_999)), []);
    assert_eq!(sentry.on(Input::Tick, at(10_000)), [Effect::Keep(State::Isolating), Effect::Isolate]);
    assert_eq!(sentry.on(Input::Tick, at(10_100)), [], "it runs already");
    assert_eq!(sentry.on(Input::Ran(Ok(())), at(11_000)), [Effect::Keep(State::Isolated)]);
}

#[test]
fn what_does_not_work_is_tried_again_and_told() {
    let mut sentry = serving();
    sentry.on(Input::Tick, at(10_000));
    assert_eq!(sentry.on(Input::Ran(Err("systemctl: exit 1".into())), at(10_500)), []);
    assert_eq!((sentry.state(), sentry.failed()), (State::Isolating, Some("systemctl: exit 1")));
    assert_eq!(sentry.on(Input::Tick, at(11_499)), []);
    assert_eq!(sentry.on(Input::Tick, at(11_500)), [Effect::Keep(State::Isolating), Effect::Isolate]);
    sentry.on(Input::Ran(Ok(())), at(11_600));
    assert_eq!((sentry.state(), sentry.failed()), (State::Isolated, None));
}

/// Situation: twelve seconds without a network. Expectation: no permanent outage.
#[test]
fn a_lease_that_is_renewed_lets_the_host_go_again() {
    let mut sentry = serving();
    sentry.on(Input::Tick, at(10_000));
    sentry.on(Input::Ran(Ok(())), at(10_500));
    assert_eq!(sentry.on(renewed(13_000, 100), at(13_010)), [Effect::Keep(State::Rejoining), Effect::Rejoin]);
    assert_eq!(sentry.on(Input::Ran(Ok(())), at(14_000)), [Effect::Keep(State::Open)]);
}

/// Situation: the cut comes back while the host is being let go. Expectation: what lets it go is
/// ended, and it is stopped at once.
#[test]
fn a_cut_while_it_rejoins_stops_it_at_once() {
    let mut sentry = serving();
    sentry.on(Input::Tick, at(10_000));
    sentry.on(Input::Ran(Ok(())), at(10_500));
    sentry.on(renewed(13_000, 0), at(13_010));
    assert_eq!(sentry.on(Input::Tick, at(22_000)), [Effect::Keep(State::Isolating), Effect::Isolate]);
}

/// Situation: another site has taken over while this one was away. Danger: it comes back as a
/// second primary, by itself.
#[test]
fn a_fenced_site_stays_stopped() {
    let mut sentry = serving();
    let fenced = |sent| Input::Answered { sent: Mono::from_ms(sent), confirmed: None, fenced: true };
    assert_eq!(sentry.on(fenced(2_000), at(2_010)), [Effect::Keep(State::Isolating), Effect::Isolate]);
    sentry.on(Input::Ran(Ok(())), at(2_500));
    assert_eq!(sentry.on(fenced(60_000), at(60_010)), []);
    // A member that has not heard of it yet has nothing newer to say than what was before.
    assert_eq!(sentry.on(renewed(60_100, 58_200), at(60_110)), []);
    assert_eq!(sentry.state(), State::Isolated);
    let effects = sentry.on(renewed(90_000, 10), at(90_010));
    assert_eq!(effects, [Effect::Keep(State::Rejoining), Effect::Rejoin], "people let it come back");
}

/// Situation: the host was started anew while the site is fenced, and its services with it.
/// Danger: they serve until somebody notices.
#[test]
fn a_machine_that_was_started_anew_is_stopped_before_anybody_is_asked() {
    for kept in [None, Some(State::Isolating), Some(State::Isolated), Some(State::Rejoining)] {
        let mut sentry = Sentry::new(Span::secs(9), kept);
        let effects = sentry.on(Input::Tick, at(500));
        assert_eq!(effects, [Effect::Keep(State::Isolating), Effect::Isolate], "{kept:?}");
    }
}

/// Situation: the sentry itself is updated on a healthy host. Danger: it stops the host, or its
/// restarts give a cut host more and more time. Expectation: it goes on with an answer, and only
/// with one.
#[test]
fn a_sentry_that_is_restarted_needs_an_answer_to_go_on() {
    let mut sentry = Sentry::new(Span::secs(9), Some(State::Open));
    assert_eq!(sentry.on(renewed(100, 300), at(110)), []);
    assert_eq!(sentry.on(Input::Tick, at(200)), []);
    let mut alone = Sentry::new(Span::secs(9), Some(State::Open));
    assert_eq!(alone.on(Input::Tick, at(200)), [Effect::Keep(State::Isolating), Effect::Isolate]);
}
