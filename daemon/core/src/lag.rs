//! How far a replica lies behind its primary, also when the primary is gone.
//!
//! A lag by replay timestamp grows with the outage and would block every emergency. So each
//! member notes, while the primary answers, where its write-ahead log stands. The lag is the
//! time of the last such sample, minus the time of the newest sample whose position the
//! replica has received. A primary that is idle stands still, and so does the lag.

use crate::check::{Answer, LagLimit};
use crate::ids::SiteId;
use crate::time::{Mono, Span};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

/// Positions kept. When they are full, every second of the older half goes: what is forgotten
/// makes a lag look longer by at most its neighbour's distance, never shorter.
const KEPT: usize = 512;

/// A position in PostgreSQL's write-ahead log, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

/// Not a position as PostgreSQL writes them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log position like 16/B374D848")]
pub struct BadLsn(String);

impl FromStr for Lsn {
    type Err = BadLsn;

    fn from_str(text: &str) -> Result<Self, BadLsn> {
        let half = |part: &str| u32::from_str_radix(part, 16).ok();
        text.split_once('/')
            .and_then(|(high, low)| Some(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?))))
            .ok_or_else(|| BadLsn(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// Names one database cluster for ever: every standby has that of the primary it was copied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SystemId(pub u64);

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where a primary stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was asked, on this member's clock.
    pub at: Mono,
    /// The site of the server.
    pub site: SiteId,
    /// What the server is.
    pub system: SystemId,
    /// How far its log was written.
    pub position: Lsn,
}

/// What is known of the primary of one cluster, on one member.
#[derive(Clone, Debug, Default)]
pub struct LagBook {
    primary: Option<(SiteId, SystemId)>,
    /// Growing positions, each with the last time at which the primary stood there.
    stood: VecDeque<(Lsn, Mono)>,
}

/// How far a replica is behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lag {
    /// Measured.
    Known {
        /// Writes of this much time are missing, up to the last sample.
        time: Span,
        /// The replica is behind the first sample, so that `time` is the least it can be.
        at_least: bool,
        /// The difference of the two positions.
        bytes: u64,
        /// How long ago the primary was last seen. What it wrote since then is in no figure.
        seen: Span,
    },
    /// There is nothing to measure against, and why.
    Unknown(String),
}

impl LagBook {
    /// Notes where the primary stood. Another server, or one whose log went back, has another
    /// history: what was known of the earlier one is forgotten. A sample older than the last
    /// is dropped.
    pub fn push(&mut self, sample: Sample) {
        let Sample { at, site, system, position } = sample;
        let primary = (site, system);
        let last = self.stood.back().copied();
        let same = self.primary.as_ref() == Some(&primary);
        if last.is_some_and(|(_, seen)| at < seen) {
            return;
        }
        if !same || last.is_some_and(|(stood, _)| position < stood) {
            self.stood.clear();
            self.primary = Some(primary);
        }
        match self.stood.back_mut() {
            Some((stood, seen)) if *stood == position => *seen = at,
            _ => self.stood.push_back((position, at)),
        }
        if self.stood.len() > KEPT {
            let mut index = 0;
            self.stood.retain(|_| {
                index += 1;
                index > KEPT / 2 || index & 1 == 1
            });
        }
    }

    /// The server last seen as the primary.
    pub fn primary(&self) -> Option<(&SiteId, SystemId)> {
        self.primary.as_ref().map(|(site, system)| (site, *system))
    }

    /// How far a replica that has received `received` is behind what was seen of the primary.
    pub fn lag(&self, received: Lsn, now: Mono) -> Lag {
        let (Some(&(first, first_seen)), Some(&(last, last_seen))) = (self.stood.front(), self.stood.back())
        else {
            return Lag::Unknown("this member has never seen a primary answer".into());
        };
        let has = self.stood.partition_point(|&(stood, _)| stood <= received);
        let had = has.checked_sub(1).map_or(first_seen, |newest| self.stood[newest].1);
        Lag::Known {
            time: last_seen.since(had).into(),
            at_least: received < first,
            bytes: last.0.saturating_sub(received.0),
            seen: now.since(last_seen).into(),
        }
    }
}

impl Lag {
    /// Whether the lag is within `limit`. What cannot be told is Unknown, never within.
    pub fn within(&self, limit: LagLimit) -> Answer {
        let (time, at_least, bytes) = match self {
            Self::Known { time, at_least, bytes, .. } => (*time, *at_least, *bytes),
            Self::Unknown(why) => return Answer::Unknown(why.clone()),
        };
        let within = match limit {
            LagLimit::Below(span) if time >= span => false,
            LagLimit::Below(span) if at_least => {
                return Answer::Unknown(format!("{self}: the samples do not reach back {span}"));
            }
            LagLimit::Below(_) => true,
            LagLimit::BelowBytes(limit) => bytes < limit,
            LagLimit::Zero => bytes == 0,
        };
        if within { Answer::Holds(self.to_string()) } else { Answer::Fails(self.to_string()) }
    }
}

impl Lag {
    /// Reads what a lag printed into a sentence, as evidence keeps it; none if there is no
    /// measured lag in it.
    pub fn read(text: &str) -> Option<Self> {
        let (before, after) = text.split_once(BEHIND)?;
        let seen = spans(after.split(AGO).next()?)?;
        let (time, bytes) = before.rsplit_once(" and ")?;
        let time = time.rsplit_once(" is ").map_or(time, |(_, time)| time);
        let (time, at_least) = time.strip_prefix(LEAST).map_or((time, false), |time| (time, true));
        Some(Self::Known { time: spans(time)?, at_least, bytes: bytes.parse().ok()?, seen })
    }
}

const LEAST: &str = "at least ";
const BEHIND: &str = " bytes behind the primary as seen ";
const AGO: &str = " ago";

/// A span as it is printed: `45s`, `1h 30m`.
fn spans(text: &str) -> Option<Span> {
    let parts = text.split(' ').map(|part| Span::parse(part).ok().map(Span::as_ms));
    parts.sum::<Option<u64>>().map(Span::ms)
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { time, at_least, bytes, seen } => {
                let least = if *at_least { LEAST } else { "" };
                write!(f, "{least}{time} and {bytes}{BEHIND}{seen}{AGO}")
            }
            Self::Unknown(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(at_ms: u64, position: u64) -> Sample {
        Sample { at: Mono::from_ms(at_ms), site: "a".into(), system: SystemId(7), position: Lsn(position) }
    }

    fn book(samples: &[(u64, u64)]) -> LagBook {
        let mut book = LagBook::default();
        samples.iter().for_each(|&(at, position)| book.push(sample(at, position)));
        book
    }

    fn known(book: &LagBook, received: u64, now_ms: u64) -> (u64, bool, u64, u64) {
        match book.lag(Lsn(received), Mono::from_ms(now_ms)) {
            Lag::Known { time, at_least, bytes, seen } => (time.as_ms(), at_least, bytes, seen.as_ms()),
            Lag::Unknown(why) => panic!("{why}"),
        }
    }

    #[test]
    fn positions_read_and_print() {
        let lsn: Lsn = "16/B374D848".parse().unwrap();
        assert_eq!((lsn.0, lsn.to_string().as_str()), (0x16_B374_D848, "16/B374D848"));
        for text in ["", "16", "/", "G/0", "1/123456789", "-1/0"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for (time, at_least, bytes, seen) in
            [(0, false, 0, 250), (1_500, true, 77, 45_000), (5_400_000, false, 9, 0)]
        {
            let lag = Lag::Known { time: Span::ms(time), at_least, bytes, seen: Span::ms(seen) };
            assert_eq!(Lag::read(&lag.to_string()), Some(lag.clone()));
            assert_eq!(Lag::read(&format!("orders in b is {lag}: the samples")), Some(lag));
        }
        assert_eq!(Lag::read("this member has never seen a primary answer"), None);
    }

    #[test]
    fn nothing_seen_is_unknown() {
        let lag = LagBook::default().lag(Lsn(9), Mono::from_ms(9));
        assert_eq!(lag.within(LagLimit::Zero), Answer::Unknown(lag.to_string()));
        assert!(lag.to_string().contains("never seen a primary"));
    }

    #[test]
    fn the_lag_does_not_grow_with_the_outage() {
        let book = book(&[(0, 100), (2_000, 200), (4_000, 300)]);
        assert_eq!(known(&book, 300, 5_000), (0, false, 0, 1_000));
        assert_eq!(known(&book, 250, 5_000), (2_000, false, 50, 1_000));
        assert_eq!(known(&book, 250, 3_600_000), (2_000, false, 50, 3_596_000));
    }

    #[test]
    fn an_idle_primary_does_not_make_it_grow_either() {
        let mut book = book(&[(0, 100)]);
        (1..100_000).for_each(|tick| book.push(sample(tick * 500, 100)));
        assert_eq!(known(&book, 100, 50_000_000), (0, false, 0, 500));
        assert_eq!(book.stood.len(), 1);
        // One write after an idle hour: what is missing is the time of one sample, not an hour.
        book.push(sample(50_000_000, 101));
        assert_eq!(known(&book, 100, 50_000_000), (500, false, 1, 0));
    }

    #[test]
    fn behind_the_first_sample_only_a_lower_bound_is_known() {
        let book = book(&[(0, 100), (3_000, 200)]);
        let lag = book.lag(Lsn(50), Mono::from_ms(3_000));
        assert_eq!(known(&book, 50, 3_000), (3_000, true, 150, 0));
        assert!(matches!(lag.within(LagLimit::Below(Span::secs(3))), Answer::Fails(_)));
        assert!(matches!(lag.within(LagLimit::Below(Span::secs(5))), Answer::Unknown(_)));
        assert!(matches!(lag.within(LagLimit::BelowBytes(151)), Answer::Holds(_)));
    }

    #[test]
    fn limits_are_exclusive() {
        let lag = book(&[(0, 100), (2_000, 200)]).lag(Lsn(100), Mono::from_ms(2_000));
        assert!(!lag.within(LagLimit::Below(Span::secs(2))).holds());
        assert!(lag.within(LagLimit::Below(Span::ms(2_001))).holds());
        assert!(!lag.within(LagLimit::BelowBytes(100)).holds());
        assert!(!lag.within(LagLimit::Zero).holds());
    }

    #[test]
    fn another_history_forgets_the_first() {
        let mut book = book(&[(0, 100), (1_000, 200)]);
        book.push(sample(2_000, 150));
        assert_eq!(known(&book, 150, 2_000), (0, false, 0, 0));
        book.push(Sample { site: "b".into(), ..sample(3_000, 900) });
        assert_eq!(book.primary(), Some((&"b".into(), SystemId(7))));
        assert_eq!(known(&book, 500, 3_000), (0, true, 400, 0));
        book.push(sample(2_500, 1_000));
        assert_eq!(book.primary().unwrap().0, &"b".into(), "a late sample is dropped");
    }

    proptest! {
        /// Against the whole history, kept without bound: never shorter than the truth, and
        /// the bytes exact.
        #[test]
        fn forgetting_never_flatters(
            steps in prop::collection::vec((1u64..50, 0u64..3), 1..3_000),
            received in 0u64..4_000,
        ) {
            let mut book = LagBook::default();
            let mut all = Vec::new();
            let (mut at, mut position) = (0, 0);
            for (wait, wrote) in steps {
                (at, position) = (at + wait, position + wrote);
                all.push((at, position));
                book.push(sample(at, position));
            }
            // Behind the first sample no more is known than when the primary last stood there.
            let had = received.max(all[0].1);
            let truth = at - all.iter().rev().find(|s| s.1 <= had).expect("the first").0;
            let (time, _, bytes, _) = known(&book, received, at);
            prop_assert!(time >= truth, "{time} < {truth}");
            prop_assert_eq!(bytes, position.saturating_sub(received));
            prop_assert!(book.stood.len() <= KEPT);
        }
    }
}
