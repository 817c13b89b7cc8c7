//! Durations in settings: read as in a fleet (`500ms`, `10s`, `2m`, `1h`, `90d`), written so that
//! they can be read again.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};
use standfast_core::time::Span;

const UNITS: [(&str, u128); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The shortest writing of a duration of whole milliseconds with one unit.
pub(super) fn format(duration: Duration) -> String {
    let millis = duration.as_millis();
    let fitting = UNITS.iter().find(|(_, factor)| millis > 0 && millis.is_multiple_of(*factor));
    fitting.map_or("0s".to_owned(), |(unit, factor)| format!("{}{unit}", millis / factor))
}

/// For `#[serde(with)]`.
pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// For `#[serde(with)]`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    Span::parse(&text).map(|span| span.0).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["500ms", "1500ms", "10s", "90s", "2m", "90m", "2h", "36h", "90d", "0s"] {
            assert_eq!(format(Span::parse(text).unwrap().0), text);
        }
        assert_eq!(format(Duration::from_secs(7200)), "2h");
    }
}
