//! Virtual time: a queue of what is to happen, in an order that is always the same.
//!
//! Time goes from one happening to the next; nothing waits. Two happenings at the same moment
//! come in the order in which they were put in.

use standfast_core::time::{Mono, Now};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// The boot clock where a simulation begins: members have been up for a day.
const BOOTED: Duration = Duration::from_secs(86_400);
/// The wall clock where a simulation begins, in Unix milliseconds: 15 October 2022, 06:19 UTC.
const WALL_MS: i64 = 1_665_814_740_000;

/// Time, and what is to happen. Moves only when asked for the next happening.
#[derive(Debug)]
pub struct Clock<T> {
    now: Duration,
    put: u64,
    queue: BinaryHeap<Reverse<Due<T>>>,
}

/// Something to happen. Ordered by time, then by when it was put in.
#[derive(Debug)]
struct Due<T> {
    at: Duration,
    order: u64,
    what: T,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl<T> Default for Clock<T> {
    fn default() -> Self {
        Self { now: Duration::ZERO, put: 0, queue: BinaryHeap::new() }
    }
}

impl<T> Clock<T> {
    /// Time since the simulation began.
    pub fn elapsed(&self) -> Duration {
        self.now
    }

    /// Both clocks of a member whose clocks are right.
    pub fn now(&self) -> Now {
        let ms = i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX);
        Now { mono: Mono::new(BOOTED + self.now), wall_ms: WALL_MS.saturating_add(ms) }
    }

    /// Lets `what` happen after `delay`.
    pub fn after(&mut self, delay: Duration, what: T) {
        self.put += 1;
        let at = self.now.saturating_add(delay);
        self.queue.push(Reverse(Due { at, order: self.put, what }));
    }

    /// Lets `what` happen at this point of the boot clock, or at once if that is over.
    pub fn at(&mut self, point: Mono, what: T) {
        self.after(point.since(self.now().mono), what);
    }

    /// Keeps of what is to happen only what `wanted` says, given how long it is until then. In
    /// which order it is asked is not promised.
    pub fn keep(&mut self, mut wanted: impl FnMut(Duration, &T) -> bool) {
        let now = self.now;
        self.queue.retain(|Reverse(due)| wanted(due.at.saturating_sub(now), &due.what));
    }

    /// The next happening; time moves on to it.
    pub fn advance(&mut self) -> Option<T> {
        let Reverse(due) = self.queue.pop()?;
        self.now = due.at;
        Some(due.what)
    }

    /// When the next happening is, since the simulation began.
    pub fn upcoming(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse(due)| due.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn happenings_come_by_time_then_by_order() {
        let mut clock = Clock::default();
        for (delay, what) in [(5, "e"), (1, "a"), (3, "b"), (3, "c"), (3, "d")] {
            clock.after(delay * MS, what);
        }
        clock.keep(|left, what| *what != "c" && left <= 5 * MS);
        assert_eq!(clock.upcoming(), Some(MS));
        let mut seen = Vec::new();
        while let Some(what) = clock.advance() {
            seen.push((what, clock.elapsed().as_millis()));
        }
        assert_eq!(seen, [("a", 1), ("b", 3), ("d", 3), ("e", 5)]);
    }

    #[test]
    fn what_is_put_in_late_happens_at_once_and_both_clocks_go_on() {
        let mut clock = Clock::default();
        let began = clock.now();
        clock.after(10 * MS, 1);
        assert_eq!(clock.advance(), Some(1));
        clock.at(began.mono, 2);
        assert_eq!((clock.advance(), clock.elapsed()), (Some(2), 10 * MS));
        let now = clock.now();
        assert_eq!((now.mono.since(began.mono), now.wall_ms - began.wall_ms), (10 * MS, 10));
    }
}
