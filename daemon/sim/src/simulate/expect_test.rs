//! Times stay where they belong, and lean to where they should.

use super::*;

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn drawn(varying: &Varying) -> Vec<Duration> {
    let mut dice = Dice::new(3);
    let mut drawn: Vec<Duration> = (0..10_000).map(|_| varying.draw(&mut dice)).collect();
    drawn.sort_unstable();
    drawn
}

#[test]
fn a_triangle_keeps_its_corners_and_its_mean() {
    let drawn = drawn(&Varying::Range { min: secs(2), likely: secs(5), max: secs(20) });
    assert!(drawn[0] >= secs(2) && drawn[9_999] <= secs(20));
    let mean = drawn.iter().sum::<Duration>() / 10_000;
    // (2 + 5 + 20) / 3.
    assert!(mean.abs_diff(secs(9)) < Duration::from_millis(100), "{mean:?}");
}

#[test]
fn a_range_without_width_is_a_number() {
    let drawn = drawn(&Varying::Range { min: secs(4), likely: secs(4), max: secs(4) });
    assert_eq!((drawn[0], drawn[9_999]), (secs(4), secs(4)));
}

#[test]
fn what_was_seen_is_drawn_from_with_lines_between() {
    let lone = drawn(&Varying::Seen(vec![secs(7)]));
    assert_eq!((lone[0], lone[9_999]), (secs(7), secs(7)));
    let drawn = drawn(&Varying::Seen(vec![secs(1), secs(2), secs(10)]));
    assert!(drawn[0] >= secs(1) && drawn[9_999] <= secs(10));
    assert!(drawn[5_000].abs_diff(secs(2)) < Duration::from_millis(200), "{:?}", drawn[5_000]);
}

#[test]
fn a_whole_is_shared_out_as_the_deadlines_are() {
    let all = Varying::Range { min: secs(12), likely: secs(12), max: secs(12) };
    let pace = Pace {
        basis: Basis::Declared,
        kind: Kind::Whole { all, timeout: Span::secs(90), within: Span::secs(30) },
    };
    assert_eq!(pace.draw(&mut Dice::new(1)), (secs(9), secs(3)));
}
