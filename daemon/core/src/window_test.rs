use super::*;

fn spanned(text: &str) -> Spanned<String> {
    Spanned::new(text.to_owned(), Place { file: 0, start: 0, end: 0 })
}

fn written(days: &[&str], from: &str, until: &str, zone: &str) -> Written {
    let at = Place { file: 0, start: 0, end: 0 };
    let days = days.iter().map(|day| spanned(day)).collect();
    Written { at, days, from: spanned(from), until: spanned(until), zone: spanned(zone) }
}

fn window(days: &[&str], from: &str, until: &str, zone: &str) -> Window {
    written(days, from, until, zone).window().unwrap_or_else(|(_, why)| panic!("{why}"))
}

/// Whether it holds at a moment that is written in UTC.
fn holds(window: &Window, at: &str) -> bool {
    let at: Timestamp = format!("{at}:00Z").parse().unwrap();
    window.holds(at.as_millisecond()).is_some()
}

#[test]
fn a_night_lasts_until_the_next_morning() {
    let nights = window(&["fri"], "22:00", "06:00", "Asia/Seoul");
    // 2022-10-14 was a Friday; Seoul is nine hours ahead.
    for (at, wanted) in [
        ("2022-10-14T12:59", false),
        ("2022-10-14T13:00", true),
        ("2022-10-14T20:59", true),
        ("2022-10-14T21:00", false),
        ("2022-10-15T13:00", false),
        ("2022-10-13T20:00", false),
    ] {
        assert_eq!(holds(&nights, at), wanted, "{at}");
    }
    let at: Timestamp = "2022-10-14T14:00:00Z".parse().unwrap();
    assert_eq!(nights.holds(at.as_millisecond()).unwrap(), "2022-10-15 06:00 Asia/Seoul");
    let always = window(&[], "00:00", "24:00", "UTC");
    assert!(holds(&always, "2022-10-14T00:00") && holds(&always, "2022-10-15T23:59"));
}

#[test]
fn a_window_from_date_to_date_is_once() {
    let end = window(&[], "2026-12-31T18:00", "2027-01-04 06:00", "America/New_York");
    for (at, wanted) in [
        ("2026-12-31T22:59", false),
        ("2026-12-31T23:00", true),
        ("2027-01-04T10:59", true),
        ("2027-01-04T11:00", false),
        ("2027-12-31T23:30", false),
    ] {
        assert_eq!(holds(&end, at), wanted, "{at}");
    }
}

/// Situation: the clock is set forward in the window, so that its begin and its end do not exist; or set
/// back, so that both are there twice. Expectation: it holds from the first to the last that is meant.
#[test]
fn where_the_clock_is_set_it_is_rather_too_long() {
    let gap = window(&[], "02:10", "02:50", "Europe/Berlin");
    for (at, wanted) in [
        ("2027-03-28T00:09", false),
        ("2027-03-28T00:10", true),
        ("2027-03-28T01:00", true),
        ("2027-03-28T01:49", true),
        ("2027-03-28T01:50", false),
        ("2027-03-29T00:09", false),
        ("2027-03-29T00:10", true),
    ] {
        assert_eq!(holds(&gap, at), wanted, "{at}");
    }
    for (at, wanted) in [
        ("2027-10-31T00:09", false),
        ("2027-10-31T00:10", true),
        ("2027-10-31T00:55", true),
        ("2027-10-31T01:49", true),
        ("2027-10-31T01:50", false),
    ] {
        assert_eq!(holds(&gap, at), wanted, "{at}");
    }
    let night = window(&[], "22:00", "06:00", "Europe/Berlin");
    assert!(holds(&night, "2027-03-28T03:59") && !holds(&night, "2027-03-28T04:00"));
}

#[test]
fn what_is_no_window_is_said() {
    let why = |written: Written| written.window().unwrap_err().1;
    assert!(why(written(&[], "22:00", "06:00", "Europe/Nowhere")).contains("is no time zone"));
    for bad in ["25:00", "6:00", "22", "22:00:00", "2027-02-30T00:00", "2027-01-01", "22:00Z", "now", "-1:00"]
    {
        let said = why(written(&[], bad, "06:00", "UTC"));
        assert!(said.contains("is neither a time"), "{bad}: {said}");
    }
    assert!(why(written(&[], "22:00", "22:00", "UTC")).contains("24:00"));
    assert!(why(written(&[], "22:00", "2027-01-01T00:00", "UTC")).contains("twice"));
    assert!(why(written(&[], "2027-01-02T00:00", "2027-01-01T00:00", "UTC")).contains("after"));
    assert!(why(written(&["mon"], "2027-01-01T00:00", "2027-01-02T00:00", "UTC")).contains("no days"));
}

#[test]
fn a_window_of_an_unknown_zone_holds() {
    let mut window = window(&[], "2027-01-01T00:00", "2027-01-02T00:00", "UTC");
    assert_eq!(window.holds(0), None);
    window.zone = "Mars/Olympus".into();
    assert!(window.holds(0).unwrap().contains("Mars/Olympus"));
    assert!(zones().iter().any(|zone| zone == "Europe/Berlin"));
}
