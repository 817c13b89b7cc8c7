//! What runs have shown: how long each step took, from the reports of `standfast run report`.
//!
//! Only attempts that went well count, from their begin to their verification. What failed is
//! for the faults to say, and what waited for people is for the model of people.

use serde::Deserialize;
use standfast_core::ids::StepId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long steps took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    runs: usize,
    steps: BTreeMap<StepId, Vec<Duration>>,
}

/// A report that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is not such a report.
    #[error("this is not what `standfast run report -o json` writes: {0}")]
    NotAReport(String),
    /// A time in it cannot be read.
    #[error("`{0}` is no time since the begin of a run")]
    Offset(String),
}

#[derive(Deserialize)]
struct Report {
    timeline: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    offset: String,
    #[serde(default)]
    step: String,
    #[serde(default)]
    message: String,
}

impl History {
    /// Adds the reports of a file: one after the other, or in a list.
    pub fn add(&mut self, json: &str) -> Result<(), Unusable> {
        let values = serde_json::Deserializer::from_str(json).into_iter::<serde_json::Value>();
        for value in values {
            let unusable = |error: serde_json::Error| Unusable::NotAReport(error.to_string());
            let value = value.map_err(unusable)?;
            let reports = match value {
                serde_json::Value::Array(reports) => reports,
                report => vec![report],
            };
            for report in reports {
                self.add_report(&serde_json::from_value(report).map_err(unusable)?)?;
            }
        }
        Ok(())
    }

    fn add_report(&mut self, report: &Report) -> Result<(), Unusable> {
        let mut begun: BTreeMap<&str, Duration> = BTreeMap::new();
        for Entry { offset, step, message } in report.timeline.iter().filter(|entry| !entry.step.is_empty()) {
            if message.starts_with("begins: ") {
                begun.insert(step, read(offset)?);
            } else if message.starts_with("verified: ") {
                if let Some(began) = begun.remove(step.as_str()) {
                    let took = read(offset)?.saturating_sub(began);
                    self.steps.entry(StepId::from(step.as_str())).or_default().push(took);
                }
            } else if !message.starts_with("has acted: ") {
                // It failed, or somebody had a word in it: how long it takes is not seen here.
                begun.remove(step.as_str());
            }
        }
        self.runs += 1;
        Ok(())
    }

    /// How many runs.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Steps of which something is known.
    pub fn steps(&self) -> impl Iterator<Item = &StepId> {
        self.steps.keys()
    }

    /// What a step took, shortest first; none when nothing is known.
    pub(super) fn of(&self, step: &StepId) -> Option<Vec<Duration>> {
        let mut seen = self.steps.get(step)?.clone();
        seen.sort_unstable();
        Some(seen)
    }
}

/// Seconds as protobuf writes them in JSON: `3.930s`.
fn read(offset: &str) -> Result<Duration, Unusable> {
    let wrong = || Unusable::Offset(offset.to_owned());
    let number = offset.strip_suffix('s').ok_or_else(wrong)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let nanos: u32 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    Ok(Duration::new(whole.parse().map_err(|_| wrong())?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: &str, step: &str, message: &str) -> String {
        format!(
            r#"{{"at": "2022-10-15T06:19:00Z", "offset": "{offset}", "step": "{step}", "message": "{message}"}}"#
        )
    }

    #[test]
    fn attempts_that_went_well_are_measured() {
        let timeline = [
            r#"{"message": "the first vote on a is DOWN"}"#.to_owned(),
            entry("10s", "tools", "begins: cannot tell"),
            entry("12.5s", "tools", "has acted: 200"),
            entry("13.250s", "tools", "verified: 200"),
            entry("14s", "promote", "begins: is a standby"),
            entry("19s", "promote", "failed: no answer"),
            entry("400s", "promote", "verified: on the word of kim"),
            entry("401s", "name", "begins: is a"),
            entry("402s", "name", "attempt 1 failed: no; again in 1s"),
            entry("404s", "name", "begins: is a"),
            entry("405s", "name", "verified: is b"),
        ];
        let report = format!(r#"{{"runId": "r1-1", "timeline": [{}]}}"#, timeline.join(","));
        let mut history = History::default();
        history.add(&format!("{report}\n[{report}]")).unwrap();
        assert_eq!(history.runs(), 2);
        assert_eq!(history.of(&"tools".into()), Some(vec![Duration::from_millis(3_250); 2]));
        assert_eq!(history.of(&"name".into()), Some(vec![Duration::from_secs(1); 2]));
        assert_eq!(history.of(&"promote".into()), None);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let add = |json: &str| History::default().add(json).unwrap_err();
        assert!(matches!(add("{}"), Unusable::NotAReport(_)));
        assert!(matches!(add("{\"timeline\": 1}"), Unusable::NotAReport(_)));
        let odd = format!("{{\"timeline\": [{}]}}", entry("-1s", "x", "begins: "));
        assert_eq!(add(&odd), Unusable::Offset("-1s".into()));
        assert!(add("nonsense").to_string().contains("standfast run report -o json"));
    }
}
