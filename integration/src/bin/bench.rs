//! `make bench`: what is promised about speed, measured on this machine.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use standfast_integration::bench::Name;
use standfast_integration::bench::report::{Failure, Machine, Report};
use tokio::signal::unix::{SignalKind, signal};

/// Prints each figure with its bound. Exits 1 if one is missed or could not be measured.
#[derive(Parser)]
struct Cli {
    /// Measure only this; may be given several times
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Name>,
    /// How often a site is cut off for each figure about that
    #[arg(long, value_name = "N", default_value_t = 5)]
    times: usize,
    /// Write the figures to this file as JSON, whether they are good or not
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        eprintln!("bench: cannot listen to signals");
        return ExitCode::FAILURE;
    };
    let report = tokio::select! {
        report = measure(&cli.only, cli.times) => report,
        _ = interrupt.recv() => return stopped(130),
        _ = terminate.recv() => return stopped(143),
    };
    // Who stops reading still gets the file and the exit code.
    let _ = std::io::stdout().write_all(report.text().as_bytes());
    if let Some(file) = &cli.json {
        let text = serde_json::to_string_pretty(&report).expect("figures are plain data");
        if let Err(error) = std::fs::write(file, text + "\n") {
            eprintln!("bench: writing {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was started is gone by now: it went with the measurement.
fn stopped(code: u8) -> ExitCode {
    eprintln!("bench: stopped");
    ExitCode::from(code)
}

async fn measure(only: &[Name], times: usize) -> Report {
    let start = Instant::now();
    let mut report = Report {
        date: jiff::Timestamp::now(),
        machine: Machine::this(),
        release: !cfg!(debug_assertions),
        took_s: 0.0,
        figures: Vec::new(),
        failures: Vec::new(),
    };
    if !report.release {
        eprintln!("bench: these programs are not optimised; `make bench` builds those that are");
    }
    let wanted = |name: &&Name| if only.is_empty() { name.is_by_itself() } else { only.contains(name) };
    for name in Name::value_variants().iter().filter(wanted) {
        eprintln!("bench: {:6.1}s  {}", start.elapsed().as_secs_f64(), name.title());
        match name.measure(times).await {
            Ok(figures) => report.figures.extend(figures),
            Err(error) => {
                let name = name.to_possible_value().map(|value| value.get_name().to_string());
                report.failures.push(Failure { name: name.unwrap_or_default(), why: error.to_string() });
            }
        }
    }
    report.took_s = start.elapsed().as_secs_f64();
    report
}
