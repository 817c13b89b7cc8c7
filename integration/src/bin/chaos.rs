//! `make chaos MINUTES=m SEED=s`: everything breaks at random, and what came of it is judged.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use standfast_integration::chaos::{self, schedule::Schedule};

/// Prints what breaks and what came of it. Exits 1 if a rule was broken, or nothing came to rest.
#[derive(Parser)]
struct Cli {
    /// No new round begins after so many minutes
    #[arg(long, default_value_t = 3)]
    minutes: u64,
    /// Which faults, and when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Say what so many rounds would break, and break nothing
    #[arg(long, value_name = "ROUNDS")]
    list: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { minutes, seed, list } = Cli::parse();
    if let Some(rounds) = list {
        for round in 0..rounds {
            let schedule = Schedule::draw(seed, round);
            println!("seed {seed}, round {round}: {:?}\n{schedule}", schedule.scene);
        }
        return ExitCode::SUCCESS;
    }
    let span = Duration::from_secs(60 * minutes);
    // The first process of its namespace is ended by no signal that it does not take.
    let Ok(stop) = standfast::shutdown::on_signals() else {
        eprintln!("chaos: signals cannot be taken");
        return ExitCode::FAILURE;
    };
    let playing = chaos::play(seed, span, |line| println!("{line}"));
    let Some(played) = stop.run_until_cancelled(playing).await else {
        eprintln!("chaos: ended before its time, with nothing judged");
        return ExitCode::FAILURE;
    };
    match played {
        Ok(tally) => {
            println!("what hit whom, and how often:\n{}", tally.table());
            println!("chaos: seed {seed}: {tally}");
            if tally.bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}
