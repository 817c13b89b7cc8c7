//! How long the proof that no site's loss stops a playbook takes for a large business, how much
//! memory it takes, and how both grow.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use standfast_core::bundle::Bundle;
use standfast_core::proof::generate::{Size, bundle};
use standfast_core::source::SourceFile;

use super::figure::{Figure, Judged, Unit};
use super::processor;
use crate::parts::{Error, Result, sibling};

/// For the whole, by the program, reading and parsing included.
const BOUND: Duration = Duration::from_secs(1);
const MEMORY_MIB: f64 = 500.0;
/// How much more than n log n a tenfold may take: small ones fit into caches, and others are at
/// work on the machine.
const SLACK: f64 = 1.5;
const TIMES: usize = 5;
/// From one reading of the program's peak memory to the next.
const SAMPLE: Duration = Duration::from_millis(1);

/// A hundredth, a tenth and the whole.
pub async fn measure() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut before: Option<(f64, f64)> = None;
    for divisor in [100, 10, 1] {
        let size = Size::part(divisor);
        let files = bundle(size);
        let (name, what) = (format!("proof-{}", size.services), described(size));
        let took = (0..TIMES).map(|_| inside(&files)).collect::<Result<Vec<_>>>()?;
        let what = format!("{what}, in process, processor time");
        let figure = match before {
            None => Figure::explaining(&name, &what, took),
            Some((least, took_before)) => {
                let factor = walked(size) * walked(size).ln() / (least * least.ln());
                let bound = Duration::from_secs_f64(took_before * factor * SLACK / 1e3);
                let what = format!("{what}; n log n from the line above, x {SLACK}");
                Figure::new(&name, &what, Judged::Median, bound, took)
            }
        };
        before = Some((walked(size), figure.median()));
        figures.push(figure);
        if divisor == 1 {
            figures.extend(program(&files, &described(size))?);
        }
    }
    Ok(figures)
}

fn described(size: Size) -> String {
    let Size { sites, services, needs, playbooks, steps } = size;
    format!(
        "lint of {sites} sites, {services} services, {} dependencies, {playbooks} playbooks of {steps} steps",
        services * needs
    )
}

/// What there is to walk: services, dependencies and steps.
fn walked(size: Size) -> f64 {
    (size.services * (1 + size.needs) + size.playbooks * size.steps) as f64
}

fn inside(files: &[SourceFile]) -> Result<Duration> {
    let files = files.to_vec();
    let start = processor();
    let (bundle, findings) = Bundle::load(files.clone());
    let took = processor().saturating_sub(start);
    match bundle {
        Some(_) if findings.is_empty() => Ok(took),
        _ => Err(Error::answer("lint", findings.to_text(&files, false))),
    }
}

/// The program from start to exit, and the most memory that it had.
fn program(files: &[SourceFile], what: &str) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir().map_err(Error::io("making a temporary folder"))?;
    for file in files {
        let path = folder.path().join(&file.name);
        std::fs::write(&path, &file.text).map_err(Error::io(format!("writing {}", path.display())))?;
    }
    let (mut took, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let (time, mib) = lint(folder.path())?;
        took.push(time);
        memory.push(mib);
    }
    Ok(vec![
        Figure::new("proof-program", &format!("{what}, the program"), Judged::Median, BOUND, took),
        Figure {
            name: "proof-memory".into(),
            what: "the most memory that program had".into(),
            judged: Judged::Worst,
            unit: Unit::Mib,
            bound: Some(MEMORY_MIB),
            samples: memory,
        },
    ])
}

fn lint(folder: &Path) -> Result<(Duration, f64)> {
    let mut program = Command::new(sibling("standfast")?);
    program.arg("lint").arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = program.spawn().map_err(Error::io("starting standfast lint"))?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    let done = loop {
        if let Some(done) = child.try_wait().map_err(Error::io("waiting for standfast lint"))? {
            break done;
        }
        peak_kib = peak_kib.max(peak(&status).unwrap_or(0));
        std::thread::sleep(SAMPLE);
    };
    let took = start.elapsed();
    if !done.success() || peak_kib == 0 {
        return Err(Error::answer("standfast lint", format!("{done}, {peak_kib} KiB")));
    }
    Ok((took, peak_kib as f64 / 1024.0))
}

/// The most memory that a process ever had, in KiB; none when it has ended.
fn peak(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_what_was_promised_and_clean() {
        assert_eq!(
            described(Size::part(1)),
            "lint of 100 sites, 10000 services, 50000 dependencies, 100 playbooks of 100 steps"
        );
        inside(&bundle(Size::part(100))).unwrap();
        assert!(peak("/proc/self/status").unwrap() > 1_000);
    }
}
