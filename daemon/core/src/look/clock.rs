//! How far another member's wall clock may be from ours, told from one exchange.
//!
//! It heard the request after we sent it, and we heard its answer after it was sent. Each of the
//! two bounds the difference on one side; what is certain is only that it lies between them.

use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The difference of another clock to ours in milliseconds, as an interval; above zero it is
/// ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skew {
    /// At least this.
    pub least_ms: i64,
    /// At most this.
    pub most_ms: i64,
}

impl Skew {
    /// From our clock when we asked and when the answer had come, and theirs when they heard and
    /// when they answered.
    pub fn of(asked_ms: i64, heard_ms: i64, answered_ms: i64, arrived_ms: i64) -> Self {
        Self { least_ms: answered_ms.saturating_sub(arrived_ms), most_ms: heard_ms.saturating_sub(asked_ms) }
    }

    /// How far it is ahead at least, whatever the way took, and behind below zero; zero when both
    /// may be the same.
    pub fn certain_ms(self) -> i64 {
        if self.least_ms > 0 { self.least_ms } else { self.most_ms.min(0) }
    }

    /// The same, whichever way.
    pub fn certain(self) -> Span {
        Span::ms(self.certain_ms().unsigned_abs())
    }
}

/// `at least 1h ahead`.
impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certain = self.certain();
        match (certain.as_ms(), self.least_ms > 0) {
            (0, _) => f.write_str("not told from ours"),
            (_, true) => write!(f, "at least {certain} ahead"),
            (_, false) => write!(f, "at least {certain} behind"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_way_took_is_no_skew() {
        // One clock: asked at 1000, heard at 1400, answered at 9000, arrived at 9300.
        let same = Skew::of(1_000, 1_400, 9_000, 9_300);
        assert_eq!((same.certain(), same.to_string().as_str()), (Span::ms(0), "not told from ours"));
        // Theirs is a minute ahead: the way back takes 300 ms of it away.
        let ahead = Skew::of(1_000, 61_400, 69_000, 9_300);
        assert_eq!((ahead.certain(), ahead.to_string().as_str()), (Span::ms(59_700), "at least 59.7s ahead"));
        // A minute behind: the way there does.
        let behind = Skew::of(100_000, 40_400, 48_000, 108_300);
        assert_eq!(behind.certain(), Span::ms(59_600));
        assert!(behind.to_string().ends_with("behind"), "{behind}");
    }
}
