//! What a simulation comes to, for people.

use std::ops::Range;
use std::time::Duration;

use standfast_core::journal::BlockKind;
use standfast_core::time::Span;
use standfast_sim::simulate::{
    Basis, Bucket, Case, Finish, Line, Outcome, Point, Quantiles, Report, Teller, Waiting,
};

use crate::cli::exit::Failure;
use crate::cli::human;
use crate::cli::output::{Rows, Stream, Tone, one_line, plain};

/// The longest bar, in columns.
const BAR: u64 = 40;

fn span(span: Span) -> String {
    human::duration(span.0)
}

fn or_never(time: Option<Span>) -> String {
    time.map_or_else(|| "never".into(), span)
}

fn percent(part: u64, all: u64) -> String {
    let tenths = (part * 1_000).checked_div(all).unwrap_or(0);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// How a seed ended.
pub(super) fn finish(outcome: &Outcome) -> String {
    match &outcome.finish {
        Finish::Ended(end) => end.to_string(),
        Finish::Waits(_) => "Waiting".into(),
        Finish::Broken => "Broken".into(),
    }
}

/// One seed, line by line; times are from the begin of the run.
pub(super) fn story(case: &Case, outcome: &Outcome, lines: &[Line], out: &mut Stream) -> Result<(), Failure> {
    head(case, out)?;
    out.line(format!(
        "seed {}; the run begins {} after the loss\n",
        outcome.seed,
        human::duration(case.detection())
    ))?;
    let mut rows = Rows::new(out, &["AT", "EPOCH", "STEP", "WHAT", ""]);
    for line in lines {
        let (tone, what) = match (line.teller, line.event.as_deref()) {
            (Teller::World, _) => (Tone::Busy, "the world"),
            (Teller::Leader, _) => (Tone::Busy, "the leader"),
            (Teller::Person, _) => (Tone::Busy, "a person"),
            (Teller::Journal, Some("blocked" | "step_failed" | "attempt_failed")) => {
                (Tone::Bad, line.event.as_deref().unwrap_or_default())
            }
            (Teller::Journal, event) => (Tone::Plain, event.unwrap_or_default()),
        };
        rows.row([
            plain(seconds(line.at.0)),
            plain(line.epoch.to_string()),
            plain(line.step.as_ref().map_or("", |step| step.as_str())),
            (tone, what.replace('_', " ")),
            plain(line.text.clone()),
        ]);
    }
    rows.write(out)?;
    out.line(format!("\n{} after {}", finish(outcome), human::duration(outcome.took)))?;
    if let Finish::Waits(waits) = &outcome.finish {
        for wait in waits {
            out.line(format!(
                "waits for people: {}",
                reason(wait.step.as_ref().map(|step| step.as_str()), wait.why)
            ))?;
        }
    }
    match &outcome.breach {
        Some(breach) => out.line(format!("broken: {}: {breach}", breach.invariant())),
        None => Ok(()),
    }
}

fn seconds(at: Duration) -> String {
    format!("{:>9}.{:03}s", at.as_secs(), at.subsec_millis())
}

fn head(case: &Case, out: &mut Stream) -> Result<(), Failure> {
    let plan = case.plan();
    let request = &plan.request;
    let title = if plan.title.is_empty() { String::new() } else { format!(": {}", one_line(&plan.title)) };
    out.line(format!(
        "{} from {} to {} ({}){title}",
        request.playbook, request.from, request.to, request.mode
    ))
}

/// Many seeds.
pub(super) fn report(report: &Report, against: &[String], out: &mut Stream) -> Result<(), Failure> {
    let Report { playbook, from, to, mode, seeds, .. } = report;
    let last = report.first_seed.saturating_add(seeds.saturating_sub(1));
    out.line(format!(
        "{playbook} from {from} to {to} ({mode}); plan {}",
        human::digest(report.plan.as_str())
    ))?;
    let people =
        report.people.map_or("nobody comes".into(), |after| format!("a person comes after {}", span(after)));
    out.line(format!(
        "{seeds} runs, seeds {} to {last}; faults {}; {people}; a run begins {} after the loss\n",
        report.first_seed,
        report.faults,
        span(report.detection)
    ))?;
    ends(report, out)?;
    if !report.histogram.is_empty() {
        out.line(format!("\nfrom the loss of {from} to a good end:"))?;
        bars(&report.histogram, out)?;
    }
    out.line(quantiles(&report.quantiles))?;
    objectives(report, out)?;
    deciders(report, out)?;
    look(report, out)?;
    for line in against {
        out.line(format!("\nerror: {line}"))?;
    }
    Ok(())
}

fn ends(report: &Report, out: &mut Stream) -> Result<(), Failure> {
    let mut rows = Rows::new(out, &["END", "RUNS", "SHARE"]);
    for (end, runs) in &report.ends {
        let tone = match end.as_str() {
            "Succeeded" => Tone::Good,
            "Partial" => Tone::Busy,
            _ => Tone::Bad,
        };
        rows.row([(tone, end.clone()), plain(runs.to_string()), plain(percent(*runs, report.seeds))]);
    }
    rows.write(out)?;
    if report.attended > 0 {
        out.line(format!("a person had to do something in {}", percent(report.attended, report.seeds)))?;
    }
    for Waiting { step, why, seeds } in &report.waiting {
        let reason = reason(step.as_ref().map(|step| step.as_str()), *why);
        out.line(format!("waits for people in {seeds}: {reason}"))?;
    }
    Ok(())
}

fn reason(step: Option<&str>, why: Option<BlockKind>) -> String {
    let subject = step.map_or_else(|| "the requirements".into(), |step| format!("step {step}"));
    let why = match why {
        None => "asks for approval",
        Some(BlockKind::Requirement) => "do not hold",
        Some(BlockKind::Conflict) => "finds a world that contradicts the plan",
        Some(BlockKind::Attempts) => "has spent its attempts",
        Some(BlockKind::Unknown) => "may have been done, and may not be repeated unasked",
    };
    format!("{subject} {why}")
}

fn bars(histogram: &[Bucket], out: &mut Stream) -> Result<(), Failure> {
    let most = histogram.iter().map(|bar| bar.runs).max().unwrap_or(1).max(1);
    for Bucket { from, below, runs } in histogram {
        // What is there is seen, however little it is.
        let long = (runs * BAR).div_ceil(most) as usize;
        out.line(
            format!("{:>8} .. {:<8} {:<40} {runs}", span(*from), span(*below), "#".repeat(long)).trim_end(),
        )?;
    }
    Ok(())
}

fn quantiles(quantiles: &Quantiles) -> String {
    let Quantiles { p50, p90, p95, p99, max } = *quantiles;
    let [p50, p90, p95, p99, max] = [p50, p90, p95, p99, max].map(or_never);
    format!("half of all runs end well within {p50}, 90 % {p90}, 95 % {p95}, 99 % {p99}, all {max}")
}

fn objectives(report: &Report, out: &mut Stream) -> Result<(), Failure> {
    if report.objectives.is_empty() {
        return out.line("\nno service of this playbook has an objective for its return");
    }
    out.line("")?;
    let mut rows = Rows::new(out, &["SERVICE", "RTO", "95 % BACK WITHIN", "BACK IN TIME", ""]);
    for objective in &report.objectives {
        let (tone, held) = if objective.held { (Tone::Good, "held") } else { (Tone::Bad, "MISSED") };
        rows.row([
            plain(objective.service.to_string()),
            plain(span(objective.rto)),
            plain(or_never(objective.p95)),
            plain(percent(objective.met, report.seeds)),
            (tone, held.to_owned()),
        ]);
    }
    rows.write(out)
}

fn deciders(report: &Report, out: &mut Stream) -> Result<(), Failure> {
    if report.deciders.is_empty() {
        return Ok(());
    }
    out.line("\nwhat decides how long it takes; shorten these first:")?;
    let mut rows = Rows::new(out, &["STEP", "DECIDES IN", "TAKES THERE", "WITHOUT IT", "TIMES FROM"]);
    let done: u64 = report.histogram.iter().map(|bar| bar.runs).sum();
    for decider in &report.deciders {
        let basis = match decider.basis {
            Basis::Declared => "the playbook",
            Basis::History => "earlier runs",
            Basis::Guessed => "its timeouts",
        };
        rows.row([
            plain(decider.step.to_string()),
            plain(percent(decider.runs, done)),
            plain(span(decider.mean)),
            plain(format!("{} less", span(decider.saves))),
            plain(basis),
        ]);
    }
    rows.write(out)
}

fn look(report: &Report, out: &mut Stream) -> Result<(), Failure> {
    if let Some(slowest) = &report.slowest {
        let (took, seed) = (span(slowest.took), slowest.seed);
        out.line(format!("\nthe slowest took {took}; with --seed {seed} it is told step by step"))?;
    }
    match report.stuck {
        Some(seed) => out.line(format!("the first that waits for people: --seed {seed}")),
        None => Ok(()),
    }
}

/// A row for each place at which the leader was lost.
pub(super) fn sweep(points: &[Point], seeds: Range<u64>, out: &mut Stream) -> Result<(), Failure> {
    let all = seeds.end - seeds.start;
    out.line(format!("the leader is lost at every entry of the journal, {all} runs at each place\n"))?;
    let mut rows = Rows::new(out, &["ENTRY", "LOST", "STEP", "WHAT", "ENDS", "95 % WITHIN", "WAITS FOR"]);
    for point in points {
        let ends: Vec<String> = point.ends.iter().map(|(end, runs)| format!("{end} {runs}")).collect();
        let tone = match (point.broken.is_empty(), point.ends.contains_key("Waiting")) {
            (false, _) => Tone::Bad,
            (true, true) => Tone::Busy,
            (true, false) => Tone::Good,
        };
        let waits: Vec<&str> = point
            .waiting
            .iter()
            .map(|wait| wait.step.as_ref().map_or("requirements", |step| step.as_str()))
            .collect();
        rows.row([
            plain(point.entry.to_string()),
            plain(if point.durable { "after" } else { "before" }),
            plain(point.step.as_ref().map_or("", |step| step.as_str())),
            plain(point.event.replace('_', " ")),
            (tone, ends.join(", ")),
            plain(or_never(point.quantiles.p95)),
            plain(waits.join(", ")),
        ]);
    }
    rows.write(out)?;
    let broken = points.iter().flat_map(|point| point.broken.iter().map(move |broken| (point, broken)));
    for (point, broken) in broken {
        let when = if point.durable { "after" } else { "before" };
        out.line(format!(
            "\nerror: broken: {}, in seed {} with the leader lost {when} entry {}: {}",
            broken.invariant, broken.first, point.entry, broken.what
        ))?;
    }
    Ok(())
}
