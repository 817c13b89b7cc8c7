//! The demonstration, run as a user runs it: the built program, judged by its exit code and by
//! the figures that it writes.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use standfast_integration::demo::figures::Figures;
use standfast_integration::parts::memory::{Segment, is_in_dev_shm};
use standfast_integration::parts::process::{Process, descendants};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Two at once would take each other's processor, and the fast profile its word.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct Ran {
    status: ExitStatus,
    text: String,
    figures: Figures,
}

fn run(store: &str) -> Outcome<Ran> {
    let _one = ONE_AT_A_TIME.blocking_lock();
    let folder = tempfile::tempdir()?;
    let json = folder.path().join("figures.json");
    let done = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--store", store, "--json"])
        .arg(&json)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8(done.stdout)? + &String::from_utf8(done.stderr)?;
    let written = fs::read(&json).map_err(|e| format!("{e}; {}\n{text}", done.status))?;
    Ok(Ran { status: done.status, text, figures: serde_json::from_slice(&written)? })
}

/// What holds of every good demonstration.
fn check(Ran { status, text, figures }: &Ran) {
    assert!(status.success(), "{status}\n{text}");
    assert_eq!(figures.failures, Vec::<String>::new(), "{text}");
    assert_eq!(figures.state, "Succeeded");
    let (rto, rpo) = (figures.rto_s.expect("an RTO"), figures.rpo_s.expect("an RPO"));
    assert_eq!((rto, rpo), (600.0, 5.0), "as the example's fleet says");
    assert!(figures.lost_s <= rpo, "{figures:?}");
    assert!(figures.total_s.expect("an end") <= rto, "{figures:?}");
    assert!(figures.customer_down_s.expect("served again") <= rto, "{figures:?}");
    assert!(figures.rows_acknowledged > 500, "a customer without pause: {figures:?}");
    let by_id = |id: &str| figures.steps.iter().find(|step| step.id == id).map(|step| step.state.as_str());
    for step in ["tools", "fenced", "promote", "name", "ramp"] {
        assert_eq!(by_id(step), Some("Succeeded"), "{step}: {figures:?}");
    }
    assert_eq!(by_id("drain"), Some("Skipped"), "a dead site does not answer");
    for said in ["site a dies", "w votes DOWN on a", "a is LOST", "the customer is served again, by site b"] {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    assert!(!text.contains('\x1b'), "plain lines where there is no terminal");
}

/// One daemon in the witness site, its store in a file.
#[test]
fn the_shop_moves_with_the_embedded_store() -> Outcome {
    let ran = run("embedded")?;
    check(&ran);
    assert!(ran.text.contains("single_observer: act"), "the banner says what that means");
    Ok(())
}

/// Three sites; the one that dies holds etcd's leader and ours.
#[test]
fn the_shop_moves_with_etcd_though_both_leaders_die() -> Outcome {
    let ran = run("etcd")?;
    check(&ran);
    assert!(ran.text.contains("a1 leads from a, etcd's leader is in a"), "{}", ran.text);
    assert!(ran.text.contains("leads, epoch"), "another leader is told: {}", ran.text);
    Ok(())
}

/// Killed in mid-disaster with a signal that cannot be caught, the demonstration leaves no
/// process, no folder, and no shared memory.
#[test]
fn nothing_is_left_of_a_demonstration_that_was_killed() -> Outcome {
    ends_with_nothing_left(Signal::KILL, "site a dies", &[])
}

/// The same with Ctrl-C, while things are being started.
#[test]
fn nothing_is_left_of_a_demonstration_that_was_interrupted() -> Outcome {
    ends_with_nothing_left(Signal::INT, "a customer orders", &["--store", "etcd"])
}

fn ends_with_nothing_left(with: Signal, after: &str, args: &[&str]) -> Outcome {
    let _one = ONE_AT_A_TIME.blocking_lock();
    let room = tempfile::tempdir()?;
    // PostgreSQL may run as another user and must be able to pass.
    fs::set_permissions(room.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(args)
        .env("TMPDIR", room.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let own = Process::of(demo.id().cast_signed()).ok_or("it was just started")?;
    let out = BufReader::new(demo.stdout.take().ok_or("a pipe")?);
    let mut said = Vec::new();
    let reached = out.lines().map_while(Result::ok).any(|line| {
        said.push(line.clone());
        line.contains(after)
    });
    assert!(reached, "{said:#?}");
    let family = descendants(&[own]);
    assert!(family.len() > 10, "guards, programs, and PostgreSQL's workers: {family:?}");
    let folders =
        || -> Outcome<Vec<PathBuf>> { fs::read_dir(room.path())?.map(|entry| Ok(entry?.path())).collect() };
    let [folder] = &folders()?[..] else { return Err("one folder".into()) };
    let sites = fs::read_dir(folder)?.map(|site| Ok(Segment::of(&site?.path())?));
    let segments: Vec<Segment> = sites.collect::<Outcome<Vec<_>>>()?.into_iter().flatten().collect();
    assert_eq!(segments.len(), 2, "those of both databases");
    assert!(!family.iter().any(|process| is_in_dev_shm(*process)));

    kill_process(Pid::from_raw(own.pid).ok_or("a pid")?, with)?;
    let status = demo.wait()?;
    assert!(!status.success());
    if with == Signal::INT {
        assert_eq!(status.code(), Some(130));
    }
    assert_gone(&family, room.path(), folders)?;
    for segment in segments {
        assert_eq!(segment.attached()?, None, "the memory that both databases had");
    }
    Ok(())
}

fn assert_gone(
    family: &BTreeSet<Process>,
    room: &Path,
    folders: impl Fn() -> Outcome<Vec<PathBuf>>,
) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let left: Vec<_> = family.iter().filter(|process| process.is_alive()).collect();
        let kept = folders()?;
        if left.is_empty() && kept.is_empty() {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "left in {}: {left:?}, {kept:?}", room.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}
