//! Runs seeds of the cluster simulator until all are through, or one breaks something.
//!
//! ```text
//! cluster --seeds 10000 --first 1        that many seeds from there on, on all cores
//! cluster --seeds 1000000 --seconds 3600 at most that long
//! cluster --tell 42                      one seed, told
//! cluster --mutant no-guards             what a cluster breaks that is broken on purpose
//! ```
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "this is the front: it reads its arguments and a clock, and prints"
)]

use standfast_sim::cluster::{Coverage, Fault, Mutant, Outcome, Town, shrink};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is wanted.
#[derive(Clone, Copy, Debug)]
struct Args {
    seeds: u64,
    first: u64,
    seconds: u64,
    tell: Option<u64>,
    mutant: Option<Mutant>,
}

/// What all threads have seen.
#[derive(Debug, Default)]
struct Seen {
    coverage: Coverage,
    virtual_time: Duration,
    broken: Option<(u64, Outcome)>,
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(why) => {
            eprintln!(
                "{why}\nusage: cluster [--seeds N] [--first N] [--seconds N] [--tell SEED] [--mutant NAME]"
            );
            return ExitCode::from(2);
        }
    };
    let town = args.mutant.map_or_else(Town::default, Town::with);
    if let Some(seed) = args.tell {
        let outcome = town.seed(seed);
        let told = town.replay(seed, outcome.faults);
        return tell(seed, &told);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    let (next, seen) = (AtomicU64::new(0), Mutex::new(Seen::default()));
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| work(&town, args, began, &next, &seen));
        }
    });
    let seen = seen.into_inner().expect("no thread has panicked");
    report(&seen, began.elapsed(), cores);
    match seen.broken {
        Some((seed, outcome)) => {
            println!("\nseed {seed} breaks something; taking away what is not needed for it");
            tell(seed, &shrink(&town, seed, &outcome))
        }
        None => whole(&seen.coverage),
    }
}

fn args() -> Result<Args, String> {
    let mut args = Args { seeds: 1_000, first: 1, seconds: u64::MAX, tell: None, mutant: None };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} takes a number"))?;
        if name == "--mutant" {
            args.mutant = Some(mutant(&value)?);
            continue;
        }
        let number: u64 = value.parse().map_err(|_| format!("{name} takes a number, not `{value}`"))?;
        match name.as_str() {
            "--seeds" => args.seeds = number,
            "--first" => args.first = number,
            "--seconds" => args.seconds = number,
            "--tell" => args.tell = Some(number),
            _ => return Err(format!("there is no option {name}")),
        }
    }
    Ok(args)
}

fn mutant(name: &str) -> Result<Mutant, String> {
    let found = Mutant::all().find(|mutant| mutant.to_string() == name).ok_or_else(|| {
        let names: Vec<String> = Mutant::all().map(|mutant| mutant.to_string()).collect();
        format!("there is no mutant {name}: there are {}", names.join(", "))
    })?;
    match found {
        Mutant::Without(_) if cfg!(not(feature = "mutants")) => {
            Err(format!("{name} takes a guard out of the core: build with --features mutants"))
        }
        found => Ok(found),
    }
}

/// Takes seeds until there is none left, one is broken, or the time is over.
fn work(town: &Town, args: Args, began: Instant, next: &AtomicU64, seen: &Mutex<Seen>) {
    let mut mine = Seen::default();
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        if place >= args.seeds || began.elapsed().as_secs() >= args.seconds {
            break;
        }
        let seed = args.first + place;
        let outcome = town.seed(seed);
        mine.coverage.add(&outcome.coverage);
        mine.virtual_time += outcome.lasted;
        if outcome.broken.is_some() {
            next.store(args.seeds, Ordering::Relaxed);
            mine.broken = Some((seed, outcome));
        }
    }
    let mut all = seen.lock().expect("no thread has panicked");
    all.coverage.add(&mine.coverage);
    all.virtual_time += mine.virtual_time;
    // Of several the smallest, so that the same seeds say the same.
    if let Some(broken) = mine.broken
        && all.broken.as_ref().is_none_or(|(seed, _)| broken.0 < *seed)
    {
        all.broken = Some(broken);
    }
}

fn report(seen: &Seen, took: Duration, cores: usize) {
    let seeds = seen.coverage.seeds;
    println!("{}", seen.coverage);
    let busy = busy().unwrap_or(took.as_secs_f64() * cores as f64);
    println!(
        "{seeds} seeds in {:.1} s on {cores} cores, {:.0} a second of a core; {:.1} virtual hours, {:.1} minutes each",
        took.as_secs_f64(),
        seeds as f64 / busy,
        seen.virtual_time.as_secs_f64() / 3_600.0,
        seen.virtual_time.as_secs_f64() / 60.0 / seeds.max(1) as f64,
    );
}

/// Seconds that cores have spent on this process, where the system says so: others may be using them
/// as well.
fn busy() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    // After the name: user time stands 12th, in hundredths of a second.
    Some(fields.get(11)?.parse::<f64>().ok()? / 100.0).filter(|busy| *busy > 0.0)
}

/// With enough seeds every fault has met every state, and runs are no exception.
fn whole(coverage: &Coverage) -> ExitCode {
    let empty = coverage.empty();
    if coverage.seeds >= 10_000 && !empty.is_empty() {
        let cells: Vec<String> = empty.iter().map(|(fault, state)| format!("{fault} x {state}")).collect();
        println!("of {} kinds of fault some never met some state: {}", Fault::KINDS.len(), cells.join(", "));
        return ExitCode::FAILURE;
    }
    if coverage.seeds >= 1_000 && coverage.with_runs * 10 < coverage.seeds * 3 {
        println!("runs were created in less than 30 % of the seeds");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn tell(seed: u64, outcome: &Outcome) -> ExitCode {
    for line in &outcome.story {
        println!("{line}");
    }
    println!("\nseed {seed}, fleet \"{}\", {} events, with these faults:", outcome.fleet, outcome.events);
    for fault in &outcome.faults {
        println!("    {fault}");
    }
    match &outcome.broken {
        Some(broken) => {
            println!("broken: {broken}");
            ExitCode::FAILURE
        }
        None => {
            println!("nothing is broken");
            ExitCode::SUCCESS
        }
    }
}
