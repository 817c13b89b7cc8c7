use super::*;
use crate::fixture::three_sites;

fn found(standing: Standing, at_ms: i64) -> Readiness {
    let (errors, warnings) = match standing {
        Standing::Ready => (0, 0),
        Standing::Doubtful => (0, 1),
        Standing::NotReady => (2, 1),
    };
    Readiness {
        site: "a".into(),
        playbook: "shop".into(),
        to: "b".into(),
        bundle: Digest::from("bundle"),
        standing,
        errors,
        warnings,
        worst: if errors + warnings > 0 { "orders in b refuses the login".into() } else { String::new() },
        looked_wall_ms: at_ms,
        since_wall_ms: at_ms,
        age: Span::default(),
    }
}

fn at(ms: u64) -> Now {
    Now { mono: Mono::from_ms(ms), wall_ms: ms as i64 }
}

fn says(book: &Book, now: Now) -> Result<String, String> {
    let rules = three_sites();
    book.says(&rules, rules.on_loss(&"a".into()).unwrap(), &Digest::from("bundle"), now)
}

const MINUTE: u64 = 60_000;

#[test]
fn what_was_found_counts_until_it_is_old_or_the_bundle_is_another() {
    let mut book = Book::default();
    assert!(says(&book, at(0)).unwrap_err().contains("nobody has looked yet"));
    book.found(found(Standing::Ready, 0), at(0));
    assert_eq!(says(&book, at(3 * MINUTE)), Ok("ready, looked at 3m ago".into()));
    assert_eq!(book.age_of(&"a".into(), at(3 * MINUTE)), Some(Span::secs(180)));
    assert_eq!(book.age_of(&"b".into(), at(3 * MINUTE)), None);
    assert_eq!(says(&book, at(15 * MINUTE)), Ok("ready, looked at 15m ago".into()));
    let old = says(&book, at(15 * MINUTE + 1_000)).unwrap_err();
    assert_eq!(old, "the last look is 15m 1s old, and counts for 15m");
    let rules = three_sites();
    let entry = rules.on_loss(&"a".into()).unwrap();
    let edited = book.says(&rules, entry, &Digest::from("another"), at(MINUTE)).unwrap_err();
    assert!(edited.contains("bundle was changed"), "{edited}");
    let elsewhere = OnLoss { to: "w".into(), ..entry.clone() };
    assert!(book.says(&rules, &elsewhere, &Digest::from("bundle"), at(MINUTE)).is_err());
}

#[test]
fn a_look_that_finds_otherwise_ends_what_the_last_had_found() {
    let mut book = Book::default();
    book.found(found(Standing::Ready, 0), at(0));
    book.found(found(Standing::NotReady, 300_000), at(5 * MINUTE));
    let why = says(&book, at(6 * MINUTE)).unwrap_err();
    assert_eq!(why, "not ready, looked at 1m ago: orders in b refuses the login, and 2 more");
    book.found(found(Standing::NotReady, 600_000), at(10 * MINUTE));
    let known = &book.aged(at(12 * MINUTE))["a"];
    assert_eq!((known.since_wall_ms, known.looked_wall_ms, known.age), (300_000, 600_000, Span::secs(120)));
    book.found(found(Standing::Doubtful, 900_000), at(15 * MINUTE));
    assert_eq!(
        says(&book, at(15 * MINUTE)),
        Ok("ready, looked at 0ms ago; to look at: orders in b refuses the login".into())
    );
}

/// Situation: a new leader, whose wall clock is an hour behind, or ahead. Danger: what is old
/// becomes young.
#[test]
fn the_next_leader_counts_on_and_the_wall_clock_only_makes_older() {
    let mut book = Book::default();
    book.found(found(Standing::Ready, 0), at(0));
    let stored = book.aged(at(10 * MINUTE));
    let behind = |ms: u64| Now { mono: Mono::from_ms(ms), wall_ms: -3_600_000 };
    let next = Book::loaded(stored.clone(), behind(0));
    assert!(says(&next, behind(5 * MINUTE)).is_ok());
    assert!(says(&next, behind(5 * MINUTE + 1_000)).is_err());
    let ahead = Now { mono: Mono::from_ms(0), wall_ms: 3_600_000 };
    assert!(says(&Book::loaded(stored, ahead), ahead).unwrap_err().contains("1h old"));
}

#[test]
fn ages_are_stored_now_and_then() {
    let mut book = Book::default();
    assert_eq!(book.due(at(MINUTE)), None, "there is nothing to store");
    book.found(found(Standing::Ready, 0), at(0));
    assert_eq!(book.due(at(MINUTE)).unwrap()["a"].age, Span::secs(60));
    assert_eq!(book.due(at(MINUTE + 29_000)), None);
    assert!(book.due(at(MINUTE + 30_000)).is_some());
}
