//! Times, durations and names as people read them at night.

use std::time::Duration;

use jiff::Timestamp;
use pbjson_types as pb;

/// `RUN_STATE_ROLLING_BACK` without `RUN_STATE_`, as `RollingBack`.
pub fn camel(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .unwrap_or(name)
        .split('_')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_owned(), rest.to_ascii_lowercase()]
        })
        .collect()
}

/// `VERDICT_LOST` as `LOST`.
pub fn upper<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// `MODE_EMERGENCY` as `emergency`.
pub fn lower(name: &str, prefix: &str) -> String {
    upper(name, prefix).to_ascii_lowercase().replace('_', " ")
}

/// A duration with two significant units at most: `850ms`, `4.2s`, `3m 20s`, `2h 5m`, `3d 4h`.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0 => format!("{}ms", d.as_millis()),
        1..60 => format!("{}.{}s", s, d.subsec_millis() / 100),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A duration from the wire; `-` when there is none, or a negative one.
pub fn wire_duration(d: Option<&pb::Duration>) -> String {
    d.and_then(|d| Duration::try_from(*d).ok()).map_or_else(|| "-".to_owned(), duration)
}

/// A time from the wire; none when it is out of the range of a calendar.
pub fn timestamp(at: Option<&pb::Timestamp>) -> Option<Timestamp> {
    at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())
}

/// Time from one moment to another; zero when the clocks of two machines say it is negative.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// How long ago a time from the wire was; `-` when there is none.
pub fn ago(at: Option<&pb::Timestamp>, now: Timestamp) -> String {
    timestamp(at).map_or_else(|| "-".to_owned(), |at| duration(between(at, now)))
}

/// A time of day in UTC, `02:13:20.120`; `-` when there is none. In a night of several machines
/// everybody writes UTC.
pub fn clock(at: Option<&pb::Timestamp>) -> String {
    timestamp(at).map_or_else(|| "-".to_owned(), |at| at.strftime("%H:%M:%S%.3f").to_string())
}

/// A date and a time in UTC, `2022-10-15 02:13:20Z`; `-` when there is none.
pub fn date(at: Option<&pb::Timestamp>) -> String {
    timestamp(at).map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// The first digits of a digest, enough to compare by eye; `-` when there is none.
pub fn digest(digest: &str) -> &str {
    if digest.is_empty() { "-" } else { digest.get(..12).unwrap_or(digest) }
}

/// `text`, or `-` when it is empty: an empty cell looks like an error.
pub fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let said = |ms| duration(Duration::from_millis(ms));
        assert_eq!(said(850), "850ms");
        assert_eq!(said(4_260), "4.2s");
        assert_eq!(said(200_000), "3m 20s");
        assert_eq!(said(7_500_000), "2h 5m");
        assert_eq!(said(273_600_000), "3d 4h");
    }

    #[test]
    fn names_are_those_of_the_design() {
        assert_eq!(camel("RUN_STATE_ROLLING_BACK", "RUN_STATE_"), "RollingBack");
        assert_eq!(upper("VERDICT_LOST", "VERDICT_"), "LOST");
        assert_eq!(lower("MODE_EMERGENCY", "MODE_"), "emergency");
    }

    #[test]
    fn a_clock_that_is_behind_does_not_count_backwards() {
        let now = Timestamp::new(100, 0).expect("a time");
        let ahead = pb::Timestamp { seconds: 130, nanos: 0 };
        assert_eq!(ago(Some(&ahead), now), "0ms");
        assert_eq!(ago(None, now), "-");
        assert_eq!(clock(Some(&ahead)), "00:02:10.000");
    }
}
