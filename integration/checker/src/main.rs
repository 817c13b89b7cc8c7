//! `checker FILE`: judges a history that was written down before. Exits 1 if a rule is broken, 2 if
//! the file cannot be read.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1) else {
        eprintln!("usage: checker FILE");
        return ExitCode::from(2);
    };
    let text = std::fs::read(&file).map_err(|error| error.to_string());
    let history = text.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
    match history {
        Ok(history) => {
            let verdict = standfast_checker::judge(&history);
            println!("{verdict}");
            if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("checker: {}: {error}", file.display());
            ExitCode::from(2)
        }
    }
}
