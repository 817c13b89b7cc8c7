//! The figures, as a table for people and as JSON for programs.

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use super::figure::{Figure, Judged, Unit};

/// What was measured, when and on what.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// When it began.
    pub date: jiff::Timestamp,
    /// Where.
    pub machine: Machine,
    /// Whether the programs are optimised; without, the figures say little.
    pub release: bool,
    /// All of it, in seconds.
    pub took_s: f64,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What could not be measured, and why.
    pub failures: Vec<Failure>,
}

/// A machine, without its name.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Processors that may be used.
    pub cores: usize,
    /// Memory in GiB, if the system says so.
    pub memory_gib: Option<u64>,
    /// The system, as in `Debian GNU/Linux 12 (bookworm)`.
    pub system: Option<String>,
    /// Its kernel.
    pub kernel: Option<String>,
    /// The load of the last minute before anything was measured.
    pub load: Option<f64>,
}

/// A measurement that came to nothing.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Of what.
    pub name: String,
    /// Why.
    pub why: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let memory = read("/proc/meminfo").and_then(|text| {
            let kib: u64 = text
                .lines()
                .find_map(|line| line.strip_prefix("MemTotal:"))?
                .trim()
                .split(' ')
                .next()?
                .parse()
                .ok()?;
            Some((kib + (1 << 19)) >> 20)
        });
        let system = read("/etc/os-release").and_then(|text| {
            let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
            Some(name.trim_matches('"').to_string())
        });
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory,
            system,
            kernel: read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_string()),
            load: read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
        }
    }
}

impl Report {
    /// Whether every figure was measured and keeps its bound.
    pub fn holds(&self) -> bool {
        self.failures.is_empty() && self.figures.iter().all(Figure::holds)
    }

    /// The table, and what is missed or missing below it.
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).force_no_tty();
        table.set_header(["figure", "min", "median", "max", "bound", "", "what"]);
        for figure in &self.figures {
            let shown = |value: f64| match figure.unit {
                Unit::Ms => span(value),
                Unit::Mib => format!("{value:.0} MiB"),
                Unit::Count => format!("{value:.0}"),
                Unit::Percent => format!("{value:.0} %"),
            };
            let bound = match (figure.bound, figure.judged) {
                (None, _) => "-".to_string(),
                (Some(bound), Judged::Median) => format!("{} (median)", shown(bound)),
                (Some(bound), Judged::Worst) => format!("{} (max)", shown(bound)),
            };
            let verdict = match (figure.bound, figure.holds()) {
                (None, _) => "",
                (Some(_), true) => "ok",
                (Some(_), false) => "MISSED",
            };
            table.add_row([
                figure.name.clone(),
                shown(figure.best()),
                shown(figure.median()),
                shown(figure.worst()),
                bound,
                verdict.to_string(),
                format!("{} (n={})", figure.what, figure.samples.len()),
            ]);
        }
        for column in 1..4 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        for failure in &self.failures {
            text.push_str(&format!("\n{} was not measured: {}\n", failure.name, failure.why));
        }
        text
    }
}

/// Three digits and a unit.
fn span(ms: f64) -> String {
    match ms {
        ms if ms >= 1_000.0 => format!("{:.2} s", ms / 1_000.0),
        ms if ms >= 100.0 => format!("{ms:.0} ms"),
        ms if ms >= 10.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.2} ms"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(took_ms: u64, failures: Vec<Failure>) -> Report {
        let samples = vec![Duration::from_millis(took_ms); 3];
        let bound = Duration::from_secs(2);
        Report {
            date: jiff::Timestamp::UNIX_EPOCH,
            machine: Machine::this(),
            release: true,
            took_s: 1.0,
            figures: vec![
                Figure::new("speed", "a thing", Judged::Worst, bound, samples.clone()),
                Figure::explaining("part", "of a thing", samples),
            ],
            failures,
        }
    }

    #[test]
    fn a_bound_that_is_missed_is_said_and_counts() {
        let good = report(12, Vec::new());
        assert!(good.holds());
        assert!(good.text().contains("2.00 s (max)  ok"), "{}", good.text());
        let bad = report(2_345, Vec::new());
        assert!(!bad.holds());
        assert!(bad.text().contains("2.35 s  2.00 s (max)  MISSED"), "{}", bad.text());
    }

    #[test]
    fn memory_is_shown_in_its_own_unit() {
        let mut report = report(12, Vec::new());
        (report.figures[0].unit, report.figures[0].samples) = (Unit::Mib, vec![321.4]);
        report.figures[0].bound = Some(500.0);
        assert!(report.text().contains("321 MiB  500 MiB (max)  ok"), "{}", report.text());
    }

    #[test]
    fn what_could_not_be_measured_is_no_success() {
        let failure = Failure { name: "speed".into(), why: "no etcd".into() };
        let report = report(12, vec![failure]);
        assert!(!report.holds());
        assert!(report.text().contains("speed was not measured: no etcd"), "{}", report.text());
    }

    #[test]
    fn the_machine_is_described_without_its_name() {
        let machine = serde_json::to_value(Machine::this()).expect("plain data");
        let keys: Vec<_> = machine.as_object().expect("a map").keys().cloned().collect();
        assert_eq!(keys, ["cores", "kernel", "load", "memory_gib", "system"]);
        assert!(machine["cores"].as_u64() >= Some(1));
    }
}
