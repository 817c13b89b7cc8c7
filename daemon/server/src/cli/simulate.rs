//! `standfast simulate`: one plan executed many times in virtual time. No member is asked.

mod show;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::json;
use standfast_core::bundle::Bundle;
use standfast_core::plan::{Mode, Request};
use standfast_core::time::Span;
use standfast_sim::simulate::{Case, Faults, History, Options, Point, Tally};

use super::exit::{Exit, Failure};
use super::lint;
use super::output::Output;
use super::plan::Binding;

/// From one word about the progress to the next.
const TOLD: Duration = Duration::from_secs(2);
/// Seeds at each place of a sweep, when nobody says otherwise.
const SWEPT: u64 = 20;
/// Seeds of a simulation, when nobody says otherwise.
const RUNS: u64 = 1_000;

/// `standfast simulate ...`
#[derive(Debug, Args)]
pub struct SimulateArgs {
    #[command(flatten)]
    binding: Binding,
    /// Files, or folders of which all *.yaml and *.yml count: one fleet, and its playbooks
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// How many seeds [default: 1000; 20 at each place of a sweep]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    runs: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    first: u64,
    /// Tell this one seed step by step
    #[arg(long, value_name = "SEED", conflicts_with = "sweep")]
    seed: Option<u64>,
    /// What goes wrong how often: `none`, or what differs from the default, as in fail=5%,leader=0%
    #[arg(long, default_value_t = Faults::default(), value_parser = Faults::parse)]
    faults: Faults,
    /// After how many minutes a person comes who tries again and approves: a number, a duration as in 90s, or `none`
    #[arg(long, value_name = "MINUTES", default_value = "5", value_parser = people)]
    people: People,
    /// From the loss to the begin of the run [default: what the fleet's timing allows, in an emergency]
    #[arg(long, value_name = "DURATION", value_parser = Span::parse)]
    detection: Option<Span>,
    /// Reports of earlier runs, as `standfast run report -o json` writes them
    #[arg(long, value_name = "FILE")]
    history: Vec<PathBuf>,
    /// Lose the leader at every entry of the journal, instead of at one that the seed chooses
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "require_p95")]
    sweep: Option<Sweep>,
    /// Exit 3 unless 95 % of all runs end well within this, counted from the loss
    #[arg(long, value_name = "DURATION", value_parser = Span::parse)]
    require_p95: Option<Span>,
}

/// What a sweep does at every entry of the journal.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sweep {
    /// The leader is lost, and the next one takes over
    Takeover,
}

/// When a person comes, if one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct People(Option<Span>);

fn people(text: &str) -> Result<People, String> {
    if text == "none" {
        return Ok(People(None));
    }
    let minutes = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    Span::parse(&if minutes { format!("{text}m") } else { text.to_owned() }).map(|span| People(Some(span)))
}

/// Simulates, and says what came of it.
pub fn run(args: SimulateArgs, output: &mut Output) -> Result<Exit, Failure> {
    let Some(bundle) = load(&args, output)? else { return Ok(Exit::Found) };
    let request = request(&args.binding, &bundle)?;
    let history = history(&args.history)?;
    let (faults, people) = (args.faults, args.people.0);
    let options = Options { faults, people, detection: args.detection, history };
    let files = bundle.files.clone();
    let case = match Case::new(bundle, &request, options) {
        Ok(case) => case,
        Err(findings) => {
            let color = output.err.color();
            output.err.write(&findings.to_text(&files, color))?;
            return Ok(Exit::Found);
        }
    };
    match (args.seed, args.sweep) {
        (Some(seed), _) => replay(&case, seed, output),
        (None, Some(Sweep::Takeover)) => sweep(&case, &args, output),
        (None, None) => many(&case, &args, output),
    }
}

/// The bundle; none when something is wrong with it, which was said.
fn load(args: &SimulateArgs, output: &mut Output) -> Result<Option<Arc<Bundle>>, Failure> {
    let (files, unread) = lint::read(&args.paths)?;
    let (bundle, mut findings) = Bundle::load(files.clone());
    let whole = unread.is_empty();
    findings.extend(unread);
    if let (Some(bundle), true) = (bundle, whole) {
        return Ok(Some(Arc::new(bundle)));
    }
    let mut sorted = files;
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let color = output.err.color();
    output.err.write(&findings.finish(&sorted).to_text(&sorted, color))?;
    Ok(None)
}

/// What is missing on the command line the files say: one mode, and where `on_loss` goes.
fn request(binding: &Binding, bundle: &Bundle) -> Result<Request, Failure> {
    let playbook = bundle.playbooks.get(binding.playbook.as_str());
    let modes = playbook.map(|playbook| &playbook.modes);
    let only = modes.filter(|modes| modes.len() == 1).and_then(|modes| modes.first().copied());
    let mode = binding.core_mode().or(only).or_else(|| playbook.is_none().then_some(Mode::Emergency));
    let mode = mode.ok_or_else(|| {
        let modes: Vec<String> = modes.into_iter().flatten().map(ToString::to_string).collect();
        Failure::usage(format!("the playbook has several modes: give --mode, one of {}", modes.join(", ")))
    })?;
    let from = binding.from.as_str().into();
    let to = match &binding.to {
        Some(to) => to.as_str().into(),
        None => bundle.rules().on_loss(&from).map(|entry| entry.to.clone()).ok_or_else(|| {
            Failure::usage(format!("no on_loss of the fleet says where {from} goes: give --to"))
        })?,
    };
    Ok(Request { playbook: binding.playbook.as_str().into(), from, to, mode, inputs: binding.inputs() })
}

fn history(files: &[PathBuf]) -> Result<History, Failure> {
    let mut history = History::default();
    for file in files {
        let unusable =
            |error: &dyn std::fmt::Display| Failure::usage(format!("cannot use {}: {error}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| unusable(&error))?;
        history.add(&text).map_err(|error| unusable(&error))?;
    }
    Ok(history)
}

fn replay(case: &Case, seed: u64, output: &mut Output) -> Result<Exit, Failure> {
    let (outcome, lines) = case.replay(seed);
    let detection = Span::from(case.detection());
    let value = json!({
        "seed": seed, "detection_ms": detection, "took_ms": Span::from(outcome.took),
        "finish": show::finish(&outcome), "broken": outcome.breach.as_ref().map(ToString::to_string),
        "lines": lines,
    });
    output.data(&value, |_, out| show::story(case, &outcome, &lines, out))?;
    Ok(if outcome.breach.is_some() { Exit::Found } else { Exit::Done })
}

fn many(case: &Case, args: &SimulateArgs, output: &mut Output) -> Result<Exit, Failure> {
    let runs = args.runs.unwrap_or(RUNS);
    let most = case.most_runs();
    if runs > most {
        let message = format!("{runs} runs are too many to count for what returns here: at most {most}");
        return Err(Failure::usage(message));
    }
    let mut tally = Tally::new(case);
    let mut progress = Progress::new(runs, "runs");
    for seed in args.first..args.first.saturating_add(runs) {
        tally.add(&case.seed(seed));
        progress.one_more(output)?;
    }
    let report = tally.report(args.require_p95);
    let against = report.against();
    let mut value = serde_json::to_value(&report)
        .map_err(|error| Failure::new(Exit::Failed, format!("a report has no JSON form: {error}")))?;
    value["against"] = json!(against);
    output.data(&value, |_, out| show::report(&report, &against, out))?;
    Ok(if against.is_empty() { Exit::Done } else { Exit::Found })
}

fn sweep(case: &Case, args: &SimulateArgs, output: &mut Output) -> Result<Exit, Failure> {
    let seeds = args.first..args.first.saturating_add(args.runs.unwrap_or(SWEPT));
    let places = case.places();
    let mut progress = Progress::new(places.len() as u64, "places");
    let mut points: Vec<Point> = Vec::with_capacity(places.len());
    for place in places {
        points.push(case.point(place, seeds.clone()));
        progress.one_more(output)?;
    }
    let value = json!({ "first_seed": seeds.start, "seeds": seeds.end - seeds.start, "points": points });
    output.data(&value, |_, out| show::sweep(&points, seeds, out))?;
    let broken = points.iter().any(|point| !point.broken.is_empty());
    Ok(if broken { Exit::Found } else { Exit::Done })
}

/// Says now and then how far it is.
struct Progress {
    all: u64,
    done: u64,
    what: &'static str,
    said: Instant,
}

impl Progress {
    fn new(all: u64, what: &'static str) -> Self {
        Self { all, done: 0, what, said: Instant::now() }
    }

    fn one_more(&mut self, output: &mut Output) -> Result<(), Failure> {
        self.done += 1;
        if self.said.elapsed() >= TOLD {
            self.said = Instant::now();
            output.err.line(format!("{} of {} {}", self.done, self.all, self.what))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;
    use crate::cli::paper::Paper;
    use clap::Parser;
    use std::path::Path;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn shop() -> String {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playbooks/shop").display().to_string()
    }

    /// Runs `standfast simulate` with the example's files.
    fn simulate(line: &str, format: Format) -> (Result<Exit, Failure>, String) {
        let words = format!("simulate {line} {}", shop());
        let args =
            Line::try_parse_from(words.split_whitespace()).unwrap_or_else(|error| panic!("{error}")).args;
        let paper = Paper::default();
        let mut output = Output { err: paper.stream(), ..paper.output(format) };
        let exit = run(args, &mut output);
        (exit, paper.text())
    }

    const SHOP: &str = "shop --from a --mode emergency";

    #[test]
    fn people_come_after_minutes_or_not_at_all() {
        assert_eq!(people("none"), Ok(People(None)));
        assert_eq!(people("15"), Ok(People(Some(Span::secs(900)))));
        assert_eq!(people("90s"), Ok(People(Some(Span::secs(90)))));
        assert!(people("").is_err() && people("soon").is_err());
    }

    #[test]
    fn the_same_line_says_the_same_byte_for_byte() {
        for format in [Format::Table, Format::Json] {
            for more in ["--runs 50", "--seed 3", "--sweep takeover --runs 2"] {
                let line = format!("{SHOP} {more}");
                assert_eq!(simulate(&line, format), simulate(&line, format), "{line}");
            }
        }
        let (one, two) = (
            simulate(&format!("{SHOP} --seed 3"), Format::Json),
            simulate(&format!("{SHOP} --seed 4"), Format::Json),
        );
        assert_ne!(one.1, two.1);
    }

    #[test]
    fn what_is_promised_decides_the_exit_code() {
        let calm = format!("{SHOP} --runs 30 --faults none");
        let (exit, said) = simulate(&calm, Format::Table);
        assert_eq!(exit, Ok(Exit::Done), "{said}");
        for expected in
            ["Succeeded  30    100.0%", "shop     10m 0s", "held", "shorten these first", "its timeouts"]
        {
            assert!(said.contains(expected), "{expected} in\n{said}");
        }
        let (exit, said) = simulate(&format!("{calm} --require-p95 1m"), Format::Table);
        assert_eq!(exit, Ok(Exit::Found));
        assert!(said.contains("error: 95 % of all runs are required to take at most 1m"), "{said}");
        let (exit, said) = simulate(&format!("{calm} --detection 10m"), Format::Json);
        let value: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((exit, value["objectives"][0]["held"].as_bool()), (Ok(Exit::Found), Some(false)));
        assert_eq!((value["seeds"].as_u64(), value["faults"].as_str()), (Some(30), Some("none")));
        assert!(value["against"][0].as_str().unwrap().contains("shop is promised back within 10m"), "{said}");
    }

    #[test]
    fn a_seed_is_told_step_by_step() {
        let (exit, said) = simulate(&format!("{SHOP} --seed 1 --faults none,leader=100%"), Format::Table);
        assert_eq!(exit, Ok(Exit::Done));
        for expected in
            ["a is gone; nothing in it answers", "m2 leads", "took over", "promote  step succeeded"]
        {
            assert!(said.contains(expected), "{expected} in\n{said}");
        }
        assert!(said.trim_end().ends_with(|c: char| c.is_ascii_alphanumeric()), "{said}");
    }

    #[test]
    fn a_sweep_has_a_row_before_and_after_each_entry() {
        let (exit, said) =
            simulate(&format!("{SHOP} --sweep takeover --faults none --runs 1"), Format::Table);
        assert_eq!(exit, Ok(Exit::Done));
        let rows = |when: &str| said.lines().filter(|line| line.contains(when)).count();
        assert_eq!((rows("before"), rows("after")), (18, 18), "{said}");
    }

    /// In the form that `standfast run report -o json` has.
    #[test]
    fn reports_of_earlier_runs_are_drawn_from() {
        use standfast_proto::v1::{Report, TimelineEntry};
        let entry = |seconds, step: &str, message: &str| TimelineEntry {
            offset: Some(pbjson_types::Duration { seconds, nanos: 500_000_000 }),
            step: step.into(),
            message: message.into(),
            ..TimelineEntry::default()
        };
        let timeline = vec![
            entry(0, "", "started by kim"),
            entry(1, "promote", "begins: is a standby"),
            entry(9, "promote", "has acted: is a primary"),
            entry(12, "promote", "verified: accepts writes"),
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        let report = Report { timeline, ..Report::default() };
        fs::write(file.path(), serde_json::to_string_pretty(&report).unwrap()).unwrap();
        let line = format!("{SHOP} --runs 20 --faults none --history {}", file.path().display());
        let (exit, said) = simulate(&line, Format::Json);
        let value: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((exit, value["history_runs"].as_u64()), (Ok(Exit::Done), Some(1)));
        let deciders = value["deciders"].as_array().unwrap();
        let promote = deciders.iter().find(|decider| decider["step"] == "promote").unwrap();
        assert_eq!(promote["basis"], "history");
        let mean = promote["mean_ms"].as_u64().unwrap();
        assert!((11_000..13_000).contains(&mean), "{mean}");
    }

    #[test]
    fn what_does_not_fit_the_files_is_said() {
        let (exit, said) = simulate("shop --from a", Format::Table);
        assert_eq!(exit.map_err(|failure| failure.exit), Err(Exit::Usage), "{said}");
        let (exit, said) = simulate("shp --from a", Format::Table);
        assert_eq!(exit, Ok(Exit::Found));
        assert!(said.contains("there is no playbook `shp`"), "{said}");
        let (exit, _) = simulate("shop --from b --mode drill", Format::Table);
        assert_eq!(exit.map_err(|failure| failure.exit), Err(Exit::Usage), "no on_loss says where b goes");
        let (exit, _) = simulate(&format!("{SHOP} --history /does/not/exist"), Format::Table);
        assert_eq!(exit.map_err(|failure| failure.exit), Err(Exit::Usage));
    }
}
