//! `make fuzz`: files that nobody would write, thrown at the parser and at the proof.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use standfast_fuzz::hunt::{Bag, Hunt, STILL};
use standfast_fuzz::{Result, Target, at, pool, worker};

/// Exits 1 when something broke; what broke it is kept in the corpus.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Throw changed files at a target for a while
    Hunt {
        #[arg(value_enum)]
        target: Target,
        /// For how long
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        seconds: u64,
        /// Of the first worker; by the clock when absent
        #[arg(long)]
        seed: Option<u64>,
        /// One worker only, and no more than so many inputs
        #[arg(long)]
        count: Option<u64>,
        /// Call a worker that says nothing for so long broken
        #[arg(long, value_name = "SECONDS", default_value_t = STILL.as_secs())]
        still: u64,
        /// Begin with the inputs of this folder too
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
        /// Where what breaks something is kept [default: the corpus of the target]
        #[arg(long, value_name = "FOLDER")]
        keep: Option<PathBuf>,
    },
    /// Read one input, as a worker does
    One {
        #[arg(value_enum)]
        target: Target,
        file: PathBuf,
    },
    /// What a hunt starts
    #[command(hide = true)]
    Worker {
        #[arg(value_enum)]
        target: Target,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        count: Option<u64>,
        #[arg(long)]
        from: Option<PathBuf>,
        #[arg(long)]
        current: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Hunt { target, seconds, seed, count, still, from, keep } => {
            let seed = seed.unwrap_or_else(of_the_clock);
            let keep = keep.unwrap_or_else(|| pool::folder(target));
            let (time, still) = (Duration::from_secs(seconds), Duration::from_secs(still));
            let hunt = Hunt { target, seed, time, count, still, from, keep };
            let program = std::env::current_exe().map_err(at("finding this program"))?;
            let bag = hunt.go(&program)?;
            Ok(report(&hunt, &bag))
        }
        Command::One { target, file } => {
            let input = std::fs::read(&file).map_err(at(format!("reading {}", file.display())))?;
            worker::limit_memory()?;
            let found = worker::read_one(target, &input);
            println!("{}", found.into_iter().collect::<Vec<_>>().join(" "));
            Ok(ExitCode::SUCCESS)
        }
        Command::Worker { target, seed, count, from, current } => {
            worker::limit_memory()?;
            worker::work(target, seed, count, from.as_deref(), &current)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A seed for who names none; it is printed.
fn of_the_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn report(hunt: &Hunt, bag: &Bag) -> ExitCode {
    let name = hunt.target.name();
    println!(
        "{name}: {} inputs from seed {}, {} kinds of answers, {} broke something",
        bag.inputs,
        hunt.seed,
        bag.kinds,
        bag.crashes.len()
    );
    for crash in &bag.crashes {
        println!("  seed {}: {}", crash.seed, crash.how);
        println!("    kept as {}; again: fuzz one {name} {0}", crash.file.display());
    }
    if bag.crashes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
