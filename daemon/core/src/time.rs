//! Time as an argument.
//!
//! Two clocks travel together. `mono` is time since boot including suspend (CLOCK_BOOTTIME):
//! it alone starts, ends and measures things. `wall_ms` only labels records for people, and
//! may hold back, never start.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on one member's monotonic clock. Never compare points of two members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(Duration);

impl Mono {
    /// `since_boot` as read from CLOCK_BOOTTIME.
    pub const fn new(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// Milliseconds since boot: short to write in tests and models.
    pub const fn from_ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// Time since `earlier`, zero if that is later.
    pub fn since(self, earlier: Mono) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;

    fn add(self, by: Duration) -> Mono {
        Mono(self.0.saturating_add(by))
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;

    fn sub(self, by: Duration) -> Mono {
        Mono(self.0.saturating_sub(by))
    }
}

/// The time of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The member's own monotonic clock.
    pub mono: Mono,
    /// Unix time in milliseconds, for records.
    pub wall_ms: i64,
}

/// A duration for people, serialised as whole milliseconds: `1h 30m`, `45s`, `250ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Span(pub Duration);

impl Span {
    /// `ms` milliseconds.
    pub const fn ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// `s` seconds.
    pub const fn secs(s: u64) -> Self {
        Self(Duration::from_secs(s))
    }

    /// Whole milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0.as_millis() as u64
    }

    /// Reads `10s`, `1.5s`, `250ms`, `90m`, `2h`, `1d`: one number and one unit.
    pub fn parse(text: &str) -> Result<Self, String> {
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(format!("`{text}` has no unit: write `{text}s` or `{text}ms`")),
            _ => return Err(format!("unknown unit `{unit}`: use ms, s, m, h or d")),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || fraction.len() > 3
            || !digits(whole)
            || !digits(fraction)
            || number.ends_with('.')
        {
            return Err(format!("`{number}` is not a number with at most three decimals"));
        }
        let thousandths: u64 =
            format!("{fraction:0<3}").parse().map_err(|_| format!("`{number}` is not a number"))?;
        whole
            .parse::<u64>()
            .ok()
            .and_then(|whole| whole.checked_mul(1_000)?.checked_add(thousandths)?.checked_mul(factor))
            .map(|thousandths| Self::ms(thousandths / 1_000))
            .filter(|span| span.0 <= Duration::from_secs(366 * 86_400))
            .ok_or_else(|| format!("`{text}` is longer than a year"))
    }
}

impl From<u64> for Span {
    fn from(ms: u64) -> Self {
        Self::ms(ms)
    }
}

impl From<Span> for u64 {
    fn from(span: Span) -> u64 {
        span.as_ms()
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.as_ms();
        let (s, rest) = (ms / 1_000, ms % 1_000);
        match (s, rest) {
            (0, _) => write!(f, "{ms}ms"),
            (1..60, 0) => write!(f, "{s}s"),
            (1..60, _) => {
                let text = format!("{s}.{rest:03}");
                write!(f, "{}s", text.trim_end_matches('0'))
            }
            _ => {
                let (h, m, s) = (s / 3_600, s / 60 % 60, s % 60);
                let parts = [(h, 'h'), (m, 'm'), (s, 's')];
                let text: Vec<_> =
                    parts.iter().filter(|p| p.0 > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
                f.write_str(&text.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print() {
        for (text, ms, shown) in [
            ("250ms", 250, "250ms"),
            ("10s", 10_000, "10s"),
            ("1.5s", 1_500, "1.5s"),
            ("90m", 5_400_000, "1h 30m"),
            ("2h", 7_200_000, "2h"),
            ("1d", 86_400_000, "24h"),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.as_ms(), span.to_string().as_str()), (ms, shown));
        }
    }

    #[test]
    fn wrong_spans_are_refused() {
        for text in
            ["", "10", "s", "-1s", "1e3s", "1.2345s", "1.s", "5 s", "10y", "99999999999999999999s", "400d"]
        {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn time_never_runs_backwards() {
        assert_eq!(Mono::from_ms(5).since(Mono::from_ms(9)), Duration::ZERO);
    }
}
