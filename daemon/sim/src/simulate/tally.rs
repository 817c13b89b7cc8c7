//! Many seeds, counted.

use super::outcome::{Finish, Outcome, StepTime, Wait};
use super::report::{Broken, Bucket, Decider, Objective, Quantiles, Report, Seed, Waiting};
use super::service::Promised;
use super::{Breach, Case};
use standfast_core::time::Span;
use std::collections::BTreeMap;
use std::time::Duration;

/// So many times of steps are kept, to say what shortening one would save: 16 MiB.
const KEPT: usize = 4 << 20;
/// For so many steps it is said what shortening them would save.
const DECIDERS: usize = 5;
/// At most so many bars.
const BARS: u64 = 20;

/// Counts outcomes, one seed after the other.
#[derive(Debug)]
pub struct Tally<'a> {
    case: &'a Case,
    seeds: u64,
    first: u64,
    /// Lengths of the runs that came to a good end, in milliseconds, detection included.
    done: Vec<u32>,
    /// The same for all that returns.
    back: Vec<Vec<u32>>,
    ends: BTreeMap<String, u64>,
    waits: BTreeMap<Wait, u64>,
    broken: BTreeMap<&'static str, (u64, u64, String)>,
    attended: u64,
    slowest: Option<(u64, u64)>,
    stuck: Option<(u64, Vec<Wait>)>,
    /// By step: in how many runs it was on the longest path, and how long it took there.
    decides: Vec<(u64, Duration)>,
    /// By run that came to a good end: the time of each step, in milliseconds.
    kept: Vec<u32>,
}

impl<'a> Tally<'a> {
    /// Nothing counted yet.
    pub fn new(case: &'a Case) -> Self {
        Self {
            case,
            seeds: 0,
            first: 0,
            done: Vec::new(),
            back: vec![Vec::new(); case.returns.len()],
            ends: BTreeMap::new(),
            waits: BTreeMap::new(),
            broken: BTreeMap::new(),
            attended: 0,
            slowest: None,
            stuck: None,
            decides: vec![(0, Duration::ZERO); case.steps.len()],
            kept: Vec::new(),
        }
    }

    /// Counts one more.
    pub fn add(&mut self, outcome: &Outcome) {
        if self.seeds == 0 {
            self.first = outcome.seed;
        }
        self.seeds += 1;
        self.attended += u64::from(outcome.visits > 0);
        let end = match &outcome.finish {
            Finish::Ended(end) => end.to_string(),
            Finish::Waits(waits) => {
                waits.iter().for_each(|wait| *self.waits.entry(wait.clone()).or_default() += 1);
                self.stuck.get_or_insert_with(|| (outcome.seed, waits.clone()));
                "Waiting".into()
            }
            Finish::Broken => "Broken".into(),
        };
        *self.ends.entry(end).or_default() += 1;
        if let Some(breach) = &outcome.breach {
            let first = || (0, outcome.seed, breach.to_string());
            self.broken.entry(breach.invariant()).or_insert_with(first).0 += 1;
        }
        for (all, back) in self.back.iter_mut().zip(&outcome.back) {
            all.extend(back.map(|back| brief(self.case.detection + back)));
        }
        if let Some(took) = outcome.done() {
            let took = self.case.detection + took;
            self.done.push(brief(took));
            if self.slowest.is_none_or(|(_, slowest)| ms(took) > slowest) {
                self.slowest = Some((outcome.seed, ms(took)));
            }
            self.path(outcome);
            self.keep(outcome);
        }
    }

    /// Walks from the step that ended last to what it waited for, and so on.
    fn path(&mut self, outcome: &Outcome) {
        let ended = |step: &usize| outcome.steps[*step].map(|time| time.ended);
        let plan = &self.case.plan;
        let mut at = (0..outcome.steps.len()).max_by_key(|step| (ended(step), std::cmp::Reverse(*step)));
        while let Some(step) = at {
            let (count, time) = &mut self.decides[step];
            *count += 1;
            *time += outcome.steps[step].map_or(Duration::ZERO, |time| time.own);
            at = plan.steps[step].needs.iter().copied().max_by_key(|need| (ended(need), *need));
        }
    }

    fn keep(&mut self, outcome: &Outcome) {
        if self.kept.len() + outcome.steps.len() <= KEPT {
            let own = |time: &Option<StepTime>| time.map_or(0, |time| brief(time.own));
            self.kept.extend(outcome.steps.iter().map(own));
        }
    }

    /// The length of the longest path through the times of one run, one step left out.
    fn length(&self, own: &[u32], without: Option<usize>) -> u64 {
        let mut ends: Vec<u64> = Vec::with_capacity(own.len());
        for (step, spec) in self.case.plan.steps.iter().enumerate() {
            let begin = spec.needs.iter().map(|need| ends[*need]).max().unwrap_or(0);
            let own = if without == Some(step) { 0 } else { u64::from(own[step]) };
            ends.push(begin + own);
        }
        ends.into_iter().max().unwrap_or(0)
    }

    /// How much shorter runs would be, on average, if this step took no time.
    fn saves(&self, step: usize) -> Option<Span> {
        let steps = self.case.steps.len();
        let runs = self.kept.chunks_exact(steps.max(1));
        let count = runs.len() as u64;
        let saved: u64 = runs.map(|own| self.length(own, None) - self.length(own, Some(step))).sum();
        saved.checked_div(count).map(Span::ms)
    }

    /// The steps that decide, those that take the most time on the longest path first.
    fn deciders(&self) -> Vec<Decider> {
        let mut steps: Vec<usize> =
            (0..self.decides.len()).filter(|step| self.decides[*step].0 > 0).collect();
        steps.sort_by_key(|step| (std::cmp::Reverse(self.decides[*step].1), *step));
        steps.truncate(DECIDERS);
        let decider = |step: usize| {
            let (runs, time) = self.decides[step];
            Decider {
                step: self.case.plan.steps[step].id.clone(),
                basis: self.case.basis(step),
                runs,
                mean: Span::ms(ms(time) / runs),
                saves: self.saves(step).unwrap_or_default(),
            }
        };
        steps.into_iter().map(decider).collect()
    }

    fn objectives(&self) -> Vec<Objective> {
        let quantiles: Vec<Quantiles> =
            self.back.iter().map(|back| Quantiles::of(back, self.seeds)).collect();
        let objective = |promise: &Promised| {
            let (rto, p95) = (ms(promise.rto), quantiles[promise.back].p95);
            let in_time = |back: &&u32| u64::from(**back) <= rto;
            Objective {
                service: promise.service.clone(),
                rto: Span::ms(rto),
                p95,
                met: self.back[promise.back].iter().filter(in_time).count() as u64,
                held: p95.is_some_and(|p95| p95.as_ms() <= rto),
            }
        };
        self.case.promises.iter().map(objective).collect()
    }

    fn broken(&self) -> Vec<Broken> {
        let all = Breach::ALL.iter();
        all.filter_map(|invariant| {
            let (seeds, first, what) = self.broken.get(invariant)?;
            Some(Broken { invariant, seeds: *seeds, first: *first, what: what.clone() })
        })
        .collect()
    }

    fn waiting(&self) -> Vec<Waiting> {
        let mut waiting: Vec<Waiting> = self
            .waits
            .iter()
            .map(|(wait, seeds)| Waiting { step: wait.step.clone(), why: wait.why, seeds: *seeds })
            .collect();
        waiting.sort_by_key(|waiting| std::cmp::Reverse(waiting.seeds));
        waiting
    }

    /// What it all comes to. `require_p95` is held against the length of the whole run.
    pub fn report(&self, require_p95: Option<Span>) -> Report {
        let quantiles = Quantiles::of(&self.done, self.seeds);
        let request = &self.case.plan.request;
        Report {
            playbook: request.playbook.clone(),
            from: request.from.clone(),
            to: request.to.clone(),
            mode: request.mode,
            bundle: self.case.plan.bundle.clone(),
            plan: self.case.run.plan_digest.clone(),
            first_seed: self.first,
            seeds: self.seeds,
            faults: self.case.options.faults.to_string(),
            people: self.case.options.people,
            detection: self.case.detection.into(),
            history_runs: self.case.options.history.runs(),
            broken: self.broken(),
            ends: self.ends.clone(),
            waiting: self.waiting(),
            attended: self.attended,
            required_p95: require_p95,
            quantiles,
            histogram: histogram(&self.done),
            objectives: self.objectives(),
            deciders: self.deciders(),
            slowest: self.slowest.map(|(seed, took)| Seed { seed, took: Span::ms(took) }),
            stuck: self.stuck.as_ref().map(|(seed, _)| *seed),
        }
    }
}

/// Milliseconds, as they are kept: 49 days are for ever.
fn brief(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Widths of bars that people count in, in milliseconds.
const WIDTHS: [u64; 16] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000,
    1_800_000, 3_600_000,
];

/// Bars of equal width: the narrowest that needs few of them.
fn histogram(done: &[u32]) -> Vec<Bucket> {
    let (Some(&least), Some(&most)) = (done.iter().min(), done.iter().max()) else { return Vec::new() };
    let (least, most) = (u64::from(least), u64::from(most));
    let few = |width: &u64| most / width - least / width < BARS;
    let days = || (1..).map(|day| day * 86_400_000).find(few).expect("some number of days is long enough");
    let width = WIDTHS.into_iter().find(few).unwrap_or_else(days);
    let first = least / width;
    let mut buckets: Vec<Bucket> = (first..=most / width)
        .map(|bar| Bucket { from: Span::ms(bar * width), below: Span::ms((bar + 1) * width), runs: 0 })
        .collect();
    for took in done {
        buckets[usize::try_from(u64::from(*took) / width - first).expect("at most twenty bars")].runs += 1;
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_few_and_hold_every_run() {
        let done: Vec<u32> = (0..1_000).map(|n| 61_500 + n * 137).collect();
        let bars = histogram(&done);
        assert!(bars.len() <= 20 && bars.len() > 5, "{}", bars.len());
        assert_eq!(bars.iter().map(|bar| bar.runs).sum::<u64>(), 1_000);
        assert_eq!((bars[0].from, bars[0].below), (Span::secs(60), Span::secs(70)));
        assert_eq!(histogram(&[]), []);
        assert_eq!(histogram(&[7]).len(), 1);
        assert_eq!(histogram(&[0, 86_400_000 * 40]).len(), 14, "three days each");
    }
}
