//! A figure: samples, a bound, and which of the samples is held against it.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which sample must keep the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// The one in the middle.
    Median,
    /// The longest.
    Worst,
}

/// In what a figure is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Mebibytes.
    Mib,
    /// So many.
    Count,
    /// A share of something else, in percent.
    Percent,
}

/// Samples of one duration, or of one amount of memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name, as in `lint-program`.
    pub name: String,
    /// What was measured.
    pub what: String,
    /// What must keep the bound.
    pub judged: Judged,
    /// Of the bound and the samples.
    pub unit: Unit,
    /// The most that is promised; none for a figure that only explains another.
    pub bound: Option<f64>,
    /// What was measured, in the order of the measurements; at least one.
    pub samples: Vec<f64>,
}

impl Figure {
    /// A duration with a bound.
    pub fn new(name: &str, what: &str, judged: Judged, bound: Duration, samples: Vec<Duration>) -> Figure {
        let figure = Figure::explaining(name, what, samples);
        Figure { judged, bound: Some(ms(bound)), ..figure }
    }

    /// A duration that nothing was promised about.
    pub fn explaining(name: &str, what: &str, samples: Vec<Duration>) -> Figure {
        Figure {
            name: name.into(),
            what: what.into(),
            judged: Judged::Median,
            unit: Unit::Ms,
            bound: None,
            samples: samples.into_iter().map(ms).collect(),
        }
    }

    /// Numbers that nothing was promised about.
    pub fn counting(name: &str, what: &str, samples: Vec<usize>) -> Figure {
        let samples = samples.into_iter().map(|n| n as f64).collect();
        Figure { unit: Unit::Count, samples, ..Figure::explaining(name, what, Vec::new()) }
    }

    /// A share that nothing was promised about; 1 is all.
    pub fn ratio(name: &str, what: &str, share: f64) -> Figure {
        let samples = vec![(share * 1e3).round() / 10.0];
        Figure { unit: Unit::Percent, samples, ..Figure::explaining(name, what, Vec::new()) }
    }

    /// The shortest sample.
    pub fn best(&self) -> f64 {
        self.samples.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The sample in the middle; of an even number, the longer of the two.
    pub fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::INFINITY)
    }

    /// The longest sample.
    pub fn worst(&self) -> f64 {
        self.samples.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// What is held against the bound.
    pub fn value(&self) -> f64 {
        match self.judged {
            Judged::Median => self.median(),
            Judged::Worst => self.worst(),
        }
    }

    /// Whether the bound is kept; a figure without samples keeps none.
    pub fn holds(&self) -> bool {
        !self.samples.is_empty() && self.bound.is_none_or(|bound| self.value() <= bound)
    }
}

fn ms(span: Duration) -> f64 {
    // Microseconds are more than any of this is worth.
    (span.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(judged: Judged, samples: &[u64]) -> Figure {
        let samples = samples.iter().map(|ms| Duration::from_millis(*ms)).collect();
        Figure::new("f", "a figure", judged, Duration::from_millis(20), samples)
    }

    #[test]
    fn a_median_forgives_and_a_worst_case_does_not() {
        let samples = [10, 90, 15, 20, 11];
        let median = figure(Judged::Median, &samples);
        assert_eq!((median.best(), median.value(), median.worst()), (10.0, 15.0, 90.0));
        assert!(median.holds());
        assert!(!figure(Judged::Worst, &samples).holds());
        assert!(figure(Judged::Worst, &[20, 3]).holds());
    }

    #[test]
    fn nothing_measured_is_nothing_kept() {
        assert!(!figure(Judged::Median, &[]).holds());
        assert!(!figure(Judged::Worst, &[]).holds());
        assert!(Figure::explaining("f", "a figure", vec![Duration::from_secs(9)]).holds());
    }
}
