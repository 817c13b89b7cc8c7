//! How long simulated runs take, and how that grows with their number and with their steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use standfast_core::bundle::Bundle;
use standfast_core::plan::{Mode, Request};
use standfast_core::time::Span;
use standfast_sim::simulate::{Case, Options, Tally};

use super::figure::{Figure, Judged};
use super::{playbook, processor};
use crate::parts::{Error, Result};

/// For all runs of all steps, on one core.
const BOUND: Duration = Duration::from_secs(10);
const RUNS: u64 = 10_000;
const STEPS: usize = 100;
/// How much more than n log n a tenfold may take: small ones fit into caches, and others are at
/// work on the machine.
const SLACK: f64 = 1.5;
/// What is short is measured several times.
const TIMES: u32 = 5;

/// So many runs of so many steps, with everything that goes wrong by default.
struct Size {
    runs: u64,
    steps: usize,
}

/// A hundredth, a tenth and the whole, in runs; and the same in steps, over a thousand runs of
/// the whole's length.
pub async fn measure() -> Result<Vec<Figure>> {
    let mut figures = growth("simulate", &[(RUNS / 100, STEPS), (RUNS / 10, STEPS), (RUNS, STEPS)])?;
    let whole = figures.last_mut().expect("three sizes were measured");
    // What was promised counts beside the growth.
    whole.bound = whole.bound.map(|bound| bound.min(BOUND.as_secs_f64() * 1e3));
    figures.extend(growth(
        "simulate-steps",
        &[(RUNS / 10, STEPS / 10), (RUNS / 10, STEPS), (RUNS / 10, STEPS * 10)],
    )?);
    Ok(figures)
}

/// Each size is bounded by the one before it.
fn growth(name: &str, sizes: &[(u64, usize)]) -> Result<Vec<Figure>> {
    let mut figures: Vec<Figure> = Vec::new();
    let mut before: Option<(f64, f64)> = None;
    for &(runs, steps) in sizes {
        let samples = sample(&Size { runs, steps })?;
        let what = format!("{runs} simulated runs of {steps} steps, processor time of one thread");
        let work = runs as f64 * steps as f64;
        let figure =
            format!("{name}-{}", if name == "simulate" { runs.to_string() } else { steps.to_string() });
        let figure = match before {
            None => Figure::explaining(&figure, &what, samples),
            Some((least, took)) => {
                let factor = work * work.ln() / (least * least.ln());
                let bound = Duration::from_secs_f64(took * factor * SLACK / 1e3);
                let what = format!("{what}; n log n from the line above, x {SLACK}");
                Figure::new(&figure, &what, Judged::Median, bound, samples)
            }
        };
        before = Some((work, figure.median()));
        figures.push(figure);
    }
    Ok(figures)
}

fn sample(size: &Size) -> Result<Vec<Duration>> {
    let case = case(size.steps)?;
    let times = if size.runs * size.steps as u64 >= RUNS * STEPS as u64 { 1 } else { TIMES };
    (0..times)
        .map(|_| {
            let start = processor();
            let mut tally = Tally::new(&case);
            (0..size.runs).for_each(|seed| tally.add(&case.seed(seed)));
            let report = tally.report(None);
            let took = processor().saturating_sub(start);
            match report.broken.first() {
                None => Ok(took),
                Some(broken) => Err(Error::answer("simulate", &broken.what)),
            }
        })
        .collect()
}

fn case(steps: usize) -> Result<Case> {
    let files = playbook::failover(steps);
    let (bundle, findings) = Bundle::load(files.clone());
    let bundle = bundle.ok_or_else(|| Error::answer("lint", findings.to_text(&files, false)))?;
    let request = Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency,
        inputs: BTreeMap::new(),
    };
    let options = Options { people: Some(Span::secs(300)), ..Options::default() };
    Case::new(Arc::new(bundle), &request, options)
        .map_err(|findings| Error::answer("plan", findings.to_text(&files, false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_succeeds_mostly_and_breaks_nothing() {
        for steps in [STEPS / 10, STEPS] {
            let case = case(steps).unwrap();
            assert_eq!(case.plan().steps.len(), steps);
            let mut tally = Tally::new(&case);
            (0..20).for_each(|seed| tally.add(&case.seed(seed)));
            let report = tally.report(None);
            assert!(report.broken.is_empty() && report.ends["Succeeded"] >= 15, "{:?}", report.ends);
        }
    }
}
