//! Troubles that last, told once and then at growing intervals: a log in which one line repeats
//! all night hides the others.

use crate::clock;
use standfast_core::time::Span;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Until a trouble is told the second time; doubled each time from there.
const FIRST: Duration = Duration::from_secs(2);
/// No trouble is silent for longer.
const LONGEST: Duration = Duration::from_secs(600);

/// One thing that a loop tries again and again.
#[derive(Debug)]
pub struct Trouble {
    what: &'static str,
    lasting: Mutex<Option<Lasting>>,
}

#[derive(Clone, Copy, Debug)]
struct Lasting {
    since: Duration,
    told: Duration,
    pause: Duration,
    untold: u64,
    /// Since when all is well.
    over: Option<Duration>,
    /// Whether that was said since it was told last.
    over_said: bool,
}

/// What is to be told of a trouble.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    /// How long it has lasted.
    lasts: Span,
    /// How often it was met since it was told last.
    untold: u64,
}

impl Trouble {
    /// A trouble that is not there yet; `what` is what does not work.
    pub fn new(what: &'static str) -> Self {
        Self { what, lasting: Mutex::new(None) }
    }

    /// It was met, because of `why`: a warning, if it is time for one.
    pub fn met(&self, why: impl Display) {
        if let Some(Told { lasts, untold }) = self.with(|lasting| met(lasting, clock::boot())) {
            tracing::warn!(%why, %lasts, untold, "{}", self.what);
        }
    }

    /// All is well: said once, if there was a trouble that was told.
    pub fn over(&self) {
        if let Some(lasted) = self.with(|lasting| over(lasting, clock::boot())) {
            tracing::info!(%lasted, "no more: {}", self.what);
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Option<Lasting>) -> T) -> T {
        // A panic elsewhere leaves plain numbers behind.
        act(&mut self.lasting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn met(lasting: &mut Option<Lasting>, now: Duration) -> Option<Told> {
    // What comes again sooner than it would have been told is the same trouble.
    let fresh = |last: &Lasting| last.over.is_some_and(|over| now.saturating_sub(over) >= last.pause);
    let Some(last) = lasting.as_mut().filter(|last| !fresh(last)) else {
        *lasting =
            Some(Lasting { since: now, told: now, pause: FIRST, untold: 0, over: None, over_said: false });
        return Some(Told { lasts: Span::default(), untold: 0 });
    };
    last.over = None;
    if now.saturating_sub(last.told) < last.pause {
        last.untold += 1;
        return None;
    }
    let told = Told { lasts: now.saturating_sub(last.since).into(), untold: last.untold };
    (last.told, last.untold, last.over_said) = (now, 0, false);
    last.pause = (last.pause * 2).min(LONGEST);
    Some(told)
}

fn over(lasting: &mut Option<Lasting>, now: Duration) -> Option<Span> {
    let last = lasting.as_mut().filter(|last| last.over.is_none())?;
    last.over = Some(now);
    let said = std::mem::replace(&mut last.over_said, true);
    (!said).then(|| now.saturating_sub(last.since).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times in seconds at which a trouble is told that is met every half second of an hour.
    #[test]
    fn what_lasts_is_told_at_growing_intervals() {
        let mut lasting = None;
        let at = |half: u32| Duration::from_millis(500) * half;
        let told: Vec<u64> = (0..7_200)
            .filter(|half| met(&mut lasting, at(*half)).is_some())
            .map(|half| at(half).as_secs())
            .collect();
        assert_eq!(told, [0, 2, 6, 14, 30, 62, 126, 254, 510, 1_022, 1_622, 2_222, 2_822, 3_422]);
    }

    #[test]
    fn what_comes_and_goes_is_told_no_more_often_than_what_stays() {
        let (mut lasting, mut lines) = (None, 0);
        for second in 0..600 {
            lines += usize::from(met(&mut lasting, Duration::from_secs(second)).is_some());
            lines += usize::from(over(&mut lasting, Duration::from_millis(second * 1_000 + 500)).is_some());
        }
        assert!(lines <= 20, "{lines}");
    }

    #[test]
    fn what_comes_again_much_later_is_news() {
        let (mut lasting, s) = (None, Duration::from_secs);
        assert_eq!(met(&mut lasting, s(1)), Some(Told { lasts: Span::default(), untold: 0 }));
        assert_eq!(met(&mut lasting, s(2)), None);
        assert_eq!(met(&mut lasting, s(4)), Some(Told { lasts: Span::secs(3), untold: 1 }));
        assert_eq!(met(&mut lasting, s(5)), None);
        assert_eq!(over(&mut lasting, s(5)), Some(Span::secs(4)));
        assert_eq!(over(&mut lasting, s(6)), None, "said once");
        assert_eq!(met(&mut lasting, s(60)), Some(Told { lasts: Span::default(), untold: 0 }));
    }
}
