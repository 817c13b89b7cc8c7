//! How long the proof from files takes, for a playbook with 1,000 steps.

use std::process::Command;
use std::time::{Duration, Instant};

use standfast_core::bundle::Bundle;

use super::figure::{Figure, Judged};
use super::playbook;
use crate::parts::{Error, Result, sibling};

const BOUND: Duration = Duration::from_millis(100);
const TIMES: usize = 21;

/// Within one process, and by the program from start to exit, which reads the files too.
pub async fn measure() -> Result<Vec<Figure>> {
    let files = playbook::mixed();
    let folder = tempfile::tempdir().map_err(Error::io("making a temporary folder"))?;
    for file in &files {
        let path = folder.path().join(&file.name);
        std::fs::write(&path, &file.text).map_err(Error::io(format!("writing {}", path.display())))?;
    }
    let inside = (0..TIMES)
        .map(|_| {
            let files = files.clone();
            let start = Instant::now();
            let (bundle, findings) = Bundle::load(files.clone());
            let took = start.elapsed();
            match bundle {
                Some(_) => Ok(took),
                None => Err(Error::answer("lint", first(&findings.to_text(&files, false)))),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let mut program = Command::new(sibling("standfast")?);
    program.arg("lint").arg(folder.path());
    let outside = (0..TIMES)
        .map(|_| {
            let start = Instant::now();
            let done = program.output().map_err(Error::io("starting standfast lint"))?;
            let took = start.elapsed();
            match done.status.success() {
                true => Ok(took),
                false => Err(Error::answer("standfast lint", first(&String::from_utf8_lossy(&done.stdout)))),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let what = "lint of a playbook with 1,000 steps";
    Ok(vec![
        Figure::new("lint-core", &format!("{what}, in process"), Judged::Median, BOUND, inside),
        Figure::new("lint-program", &format!("{what}, the program"), Judged::Median, BOUND, outside),
    ])
}

/// The first finding; one mistake in a playbook that is made of five steps shows 200 times.
fn first(findings: &str) -> &str {
    findings.split("\n\n").next().unwrap_or_default()
}
