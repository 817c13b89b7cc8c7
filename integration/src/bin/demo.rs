//! `make demo`: a site burns, a playbook moves it.

use std::process::ExitCode;

use clap::Parser;
use standfast_integration::demo::screen::{Screen, Tone};
use standfast_integration::demo::{Ending, Failed, Logs, Options, play};
use standfast_integration::parts::scratch::Scratch;
use tokio::signal::unix::{SignalKind, signal};

/// A site burns, a playbook moves it: everything real, everything on loopback.
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Cli::parse().options;
    let mut screen = Screen::standard();
    let mut scratch = match Scratch::new() {
        Ok(scratch) => scratch,
        Err(error) => {
            eprintln!("demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        eprintln!("demo: cannot listen to signals");
        return ExitCode::FAILURE;
    };
    let outcome = tokio::select! {
        outcome = play(&options, &scratch, &mut screen) => Ok(outcome),
        _ = interrupt.recv() => Err(130),
        _ = terminate.recv() => Err(143),
    };
    // Also of what was under way when it was stopped.
    screen.status("");
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(code) => return stopped(code),
    };
    let good = matches!(outcome, Ok(Ending::Good));
    match &outcome {
        Ok(Ending::Good) => {}
        Ok(Ending::Bad(logs)) => show(logs, &mut screen),
        Err(failed) => tell(failed, &mut screen),
    }
    if !good || options.keep {
        scratch.keep();
        screen.line(Tone::Plain, &format!("Data and logs are in {}", scratch.path().display()));
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was started is gone by now: it went with the play.
fn stopped(code: u8) -> ExitCode {
    eprintln!("demo: stopped");
    ExitCode::from(code)
}

fn tell(failed: &Failed, screen: &mut Screen) {
    screen.blank();
    screen.line(Tone::Bad, &format!("Failed while {}:", failed.during));
    for line in failed.error.to_string().lines() {
        screen.line(Tone::Bad, &format!("  {line}"));
    }
    show(&failed.logs, screen);
}

fn show(logs: &Logs, screen: &mut Screen) {
    for (name, log) in logs {
        screen.line(Tone::Plain, &format!("The end of {name}'s log, {}:", log.path.display()));
        for line in &log.lines {
            screen.line(Tone::Plain, &format!("  {line}"));
        }
    }
}
