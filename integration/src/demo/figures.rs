//! What a demonstration measured, and whether that is good enough.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};
use standfast::cli::human::{self, camel};
use standfast_proto::v1::{ObjectiveOutcome, Report, Run, RunState, Step};

use super::screen::Tone;
use crate::lab::cluster::Kind;
use crate::parts::client::Record;

/// When the site died.
#[derive(Debug, Clone, Copy)]
pub struct Death {
    /// When the first process was killed, by the wall clock, as the journal has it.
    pub killed: SystemTime,
    /// The same moment, as the customer has it.
    pub moment: Instant,
    /// When the last one was dead.
    pub gone: Instant,
}

/// What was seen of a disaster.
#[derive(Debug)]
pub struct Seen {
    /// The death of the site.
    pub death: Death,
    /// The run that came of it.
    pub run: Option<Run>,
    /// Its report.
    pub report: Option<Report>,
    /// Whether the customer is served steadily at the end.
    pub served: bool,
}

/// The figures. Times are in seconds since the site was killed, or lengths in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The store.
    pub store: String,
    /// Why it was not good; empty if it was.
    pub failures: Vec<String>,
    /// The run.
    pub run: String,
    /// How it ended.
    pub state: String,
    /// From the death to the run's creation.
    pub detection_s: Option<f64>,
    /// Bringing up what the rest is done with.
    pub tools_s: Option<f64>,
    /// From the start of the fence to the end of the promotion.
    pub promotion_s: Option<f64>,
    /// From the start of the name's move to the end of the ramp.
    pub traffic_s: Option<f64>,
    /// From the death to the end of the run.
    pub total_s: Option<f64>,
    /// From the death to the first order that was acknowledged after it.
    pub customer_down_s: Option<f64>,
    /// The longest that the shop may be away.
    pub rto_s: Option<f64>,
    /// Orders that were acknowledged, before and after.
    pub rows_acknowledged: usize,
    /// Those of them that site b does not have.
    pub rows_lost: usize,
    /// The same as a time: from the first of them to the death.
    pub lost_s: f64,
    /// The most that may be lost.
    pub rpo_s: Option<f64>,
    /// Each step: its id, its state, and how long it took.
    pub steps: Vec<StepFigure>,
    /// All of the demonstration, from its first line.
    pub wall_s: f64,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepFigure {
    /// Its id.
    pub id: String,
    /// How it ended.
    pub state: String,
    /// How long it took; none if it did not begin.
    pub took_s: Option<f64>,
}

impl Figures {
    /// From what was seen, what the customer wrote down, and the rows that site b has.
    pub fn new(
        store: Kind,
        seen: &Seen,
        record: &Record,
        present: &BTreeSet<i64>,
        wall: Duration,
    ) -> Figures {
        let since = |at: Option<SystemTime>| {
            Some(at?.duration_since(seen.death.killed).unwrap_or_default().as_secs_f64())
        };
        let steps: &[Step] = seen.run.as_ref().map_or(&[], |run| &run.steps);
        let phase = |actions: &[&str]| {
            let of = steps.iter().filter(|step| actions.contains(&step.action.as_str()));
            let begin = of.clone().filter_map(|step| time(step.started_at.as_ref())).min();
            let end = of.filter_map(|step| time(step.ended_at.as_ref())).max();
            Some(end?.duration_since(begin?).unwrap_or_default().as_secs_f64())
        };
        let objective = seen
            .report
            .as_ref()
            .and_then(|report| report.objectives.iter().find(|one| one.rto_objective.is_some()));
        let promised =
            |which: Option<&pbjson_types::Duration>| Some(Duration::try_from(*which?).ok()?.as_secs_f64());
        let lost = record.lost(present);
        let mut figures = Figures {
            store: store.name().into(),
            run: seen.run.as_ref().map(|run| run.id.clone()).unwrap_or_default(),
            state: seen
                .run
                .as_ref()
                .map_or_else(String::new, |run| camel(run.state().as_str_name(), "RUN_STATE_")),
            detection_s: since(seen.run.as_ref().and_then(|run| time(run.created_at.as_ref()))),
            tools_s: phase(&["http.request", "command.run"]),
            promotion_s: phase(&["fence.prove", "postgres.promote"]),
            traffic_s: phase(&["dns.set", "traffic.shift"]),
            total_s: since(seen.run.as_ref().and_then(|run| time(run.ended_at.as_ref()))),
            customer_down_s: record
                .first_after(seen.death.gone)
                .map(|order| (order.acknowledged - seen.death.moment).as_secs_f64()),
            rto_s: objective.and_then(|one| promised(one.rto_objective.as_ref())),
            rows_acknowledged: record.orders.len(),
            rows_lost: lost.len(),
            lost_s: record.loss(present, seen.death.gone).as_secs_f64(),
            rpo_s: objective.and_then(|one| promised(one.rpo_objective.as_ref())),
            steps: steps.iter().map(step).collect(),
            wall_s: wall.as_secs_f64(),
            failures: Vec::new(),
        };
        if let Some(order) = lost.iter().find(|order| order.site != "a") {
            let problem = format!("order {} was acknowledged by {} and is gone", order.id, order.site);
            figures.failures.push(problem);
        }
        figures.judge(seen);
        figures
    }

    /// Says what is not good.
    fn judge(&mut self, seen: &Seen) {
        let failures = &mut self.failures;
        match &seen.run {
            None => failures.push("there was no run".into()),
            Some(run) if run.state() != RunState::Succeeded => {
                failures.push(format!("run {} is {}: {}", run.id, self.state, run.state_reason));
            }
            Some(_) => {}
        }
        if !seen.served {
            failures.push("the customer is not served steadily".into());
        }
        let within = |what: &str, measured: Option<f64>, promised: Option<f64>| match (measured, promised) {
            (_, None) => Some(format!("{what}: nothing was promised")),
            (None, _) => Some(format!("{what}: it did not come to that")),
            (Some(measured), Some(promised)) if measured > promised => {
                Some(format!("{what}: {measured:.1} s, and {promised:.0} s were promised"))
            }
            _ => None,
        };
        failures.extend(within("RTO, by the run", self.total_s, self.rto_s));
        failures.extend(within("RTO, by the customer", self.customer_down_s, self.rto_s));
        failures.extend(within("RPO", Some(self.lost_s), self.rpo_s));
        for one in seen.report.iter().flat_map(|report| &report.objectives) {
            let outcomes = [
                ("RTO", one.rto_objective.is_some(), one.rto_outcome()),
                ("RPO", one.rpo_objective.is_some(), one.rpo_outcome()),
            ];
            for (what, promised, outcome) in outcomes {
                if promised && outcome != ObjectiveOutcome::Met {
                    failures
                        .push(format!("the report does not say that the {what} of {} was met", one.service));
                }
            }
        }
    }

    /// As a table with a verdict, for people.
    pub fn table(&self) -> Vec<(Tone, String)> {
        let seconds = |s: Option<f64>| s.map_or_else(|| "-".to_string(), |s| format!("{s:.2} s"));
        let bound = |s: Option<f64>| s.map_or_else(String::new, |s| format!("of {s:.0} s"));
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).force_no_tty();
        for (what, value, more) in [
            ("detection", seconds(self.detection_s), String::new()),
            ("tools", seconds(self.tools_s), String::new()),
            ("promotion", seconds(self.promotion_s), "fence included".into()),
            ("traffic", seconds(self.traffic_s), "name and ramp, with the playbook's holds".into()),
            ("total", seconds(self.total_s), format!("{} RTO", bound(self.rto_s))),
            ("customer away", seconds(self.customer_down_s), format!("{} RTO", bound(self.rto_s))),
            ("rows acknowledged", self.rows_acknowledged.to_string(), String::new()),
            (
                "rows lost",
                self.rows_lost.to_string(),
                format!("{:.2} s {} RPO", self.lost_s, bound(self.rpo_s)),
            ),
        ] {
            table.add_row([what.to_string(), value, more]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut lines: Vec<(Tone, String)> =
            table.lines().map(|line| (Tone::Plain, line.trim_end().to_string())).collect();
        lines.push((Tone::Plain, String::new()));
        match self.failures.as_slice() {
            [] => lines.push((Tone::Good, "The shop has moved, and what was promised was kept.".into())),
            failures => lines.extend(failures.iter().map(|why| (Tone::Bad, format!("Not good: {why}")))),
        }
        lines
    }
}

fn step(step: &Step) -> StepFigure {
    let took = time(step.started_at.as_ref())
        .zip(time(step.ended_at.as_ref()))
        .map(|(begin, end)| end.duration_since(begin).unwrap_or_default().as_secs_f64());
    StepFigure { id: step.id.clone(), state: camel(step.state().as_str_name(), "STEP_STATE_"), took_s: took }
}

fn time(at: Option<&pbjson_types::Timestamp>) -> Option<SystemTime> {
    Some(SystemTime::from(human::timestamp(at)?))
}

#[cfg(test)]
mod tests {
    use standfast_proto::v1::ObjectiveResult;

    use super::*;
    use crate::parts::client::Order;

    const KILLED_S: i64 = 1_000;

    fn at(ms: i64) -> Option<pbjson_types::Timestamp> {
        Some(pbjson_types::Timestamp {
            seconds: KILLED_S + ms / 1_000,
            nanos: (ms % 1_000 * 1_000_000) as i32,
        })
    }

    fn ran(id: &str, action: &str, from: i64, to: i64) -> Step {
        let (started_at, ended_at) = (at(from), at(to));
        Step { id: id.into(), action: action.into(), started_at, ended_at, ..Step::default() }
    }

    fn seen(moment: Instant) -> Seen {
        let run = Run {
            id: "shop-1".into(),
            state: RunState::Succeeded.into(),
            created_at: at(5_000),
            ended_at: at(40_000),
            steps: vec![
                ran("tools", "http.request", 5_010, 5_510),
                ran("fenced", "fence.prove", 5_600, 5_700),
                ran("promote", "postgres.promote", 5_700, 6_100),
                ran("name", "dns.set", 6_100, 6_200),
                ran("ramp", "traffic.shift", 6_200, 40_000),
            ],
            ..Run::default()
        };
        let promised = |seconds| Some(pbjson_types::Duration { seconds, nanos: 0 });
        let objective = ObjectiveResult {
            service: "shop".into(),
            rto_objective: promised(600),
            rpo_objective: promised(5),
            rto_outcome: ObjectiveOutcome::Met.into(),
            rpo_outcome: ObjectiveOutcome::Met.into(),
            ..ObjectiveResult::default()
        };
        let report = Report { objectives: vec![objective], ..Report::default() };
        let killed = SystemTime::UNIX_EPOCH + Duration::from_secs(KILLED_S as u64);
        let death = Death { killed, moment, gone: moment };
        Seen { death, run: Some(run), report: Some(report), served: true }
    }

    fn record(moment: Instant) -> Record {
        let order = |id, ms: u64, site: &str| {
            let at = moment - Duration::from_secs(1) + Duration::from_millis(ms);
            Order { id, sent: at, acknowledged: at, site: site.into() }
        };
        let orders = vec![order(1, 0, "a"), order(2, 900, "a"), order(3, 7_500, "b")];
        Record { orders, failures: Vec::new() }
    }

    #[test]
    fn phases_are_measured_from_the_death_on() {
        let moment = Instant::now() + Duration::from_secs(10);
        let present = BTreeSet::from([1, 3]);
        let wall = Duration::from_secs(55);
        let figures = Figures::new(Kind::Embedded, &seen(moment), &record(moment), &present, wall);
        assert_eq!(figures.failures, Vec::<String>::new());
        assert_eq!(figures.detection_s, Some(5.0));
        assert_eq!(figures.tools_s, Some(0.5));
        assert_eq!(figures.promotion_s, Some(0.5));
        assert_eq!(figures.traffic_s, Some(33.9));
        assert_eq!(figures.total_s, Some(40.0));
        assert_eq!(figures.customer_down_s, Some(6.5));
        assert_eq!((figures.rows_acknowledged, figures.rows_lost, figures.lost_s), (3, 1, 0.1));
        let text: Vec<String> = figures.table().into_iter().map(|(_, line)| line).collect();
        assert!(
            text.iter().any(|line| line.contains("rows lost") && line.contains("0.10 s of 5 s RPO")),
            "{text:#?}"
        );
    }

    #[test]
    fn what_is_not_good_is_said() {
        let moment = Instant::now() + Duration::from_secs(10);
        let mut bad = seen(moment);
        bad.served = false;
        if let Some(run) = &mut bad.run {
            run.state = RunState::Blocked.into();
            run.state_reason = "promote: the key is wrong".into();
            run.ended_at = None;
        }
        let present = BTreeSet::from([1]);
        let figures = Figures::new(Kind::Etcd, &bad, &record(moment), &present, Duration::ZERO);
        let all = figures.failures.join("\n");
        for expected in [
            "order 3 was acknowledged by b and is gone",
            "run shop-1 is Blocked: promote: the key is wrong",
            "not served steadily",
            "RTO, by the run: it did not come to that",
        ] {
            assert!(all.contains(expected), "{all}");
        }
    }
}
