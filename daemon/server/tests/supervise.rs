//! A command under supervision: whatever happens to it, to its supervisor's caller or to
//! its lease, nothing of it is left.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use standfast::clock;
use standfast::supervise::{Ended, Outcome, Spec, SuperviseError, Supervisor};
use tokio::sync::watch;

const STANDFAST: &str = env!("CARGO_BIN_EXE_standfast");

/// A shell that notes its own number and that of a daemon it forks twice, into a session of
/// its own; both ignore SIGTERM and would run for a quarter of an hour.
const STUBBORN: &str = r#"
trap "" TERM HUP INT
(setsid sh -c 'trap "" TERM HUP INT; echo $$ >>"$PIDS"; exec sleep 900' &)
echo $$ >>"$PIDS"
while :; do sleep 900; done
"#;

fn shell(script: &str, deadline: Duration) -> Spec {
    Spec::new(["sh", "-c", script], deadline)
}

const LONG: Duration = Duration::from_secs(600);

/// A folder with the file into which commands write the numbers of their processes.
struct Pids {
    _dir: tempfile::TempDir,
    file: PathBuf,
}

impl Pids {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pids");
        Self { _dir: dir, file }
    }

    fn stubborn(&self, deadline: Duration) -> Spec {
        let mut spec = shell(STUBBORN, deadline);
        spec.env.insert("PIDS".to_owned(), self.file.to_str().unwrap().to_owned());
        spec.grace = Duration::from_millis(100);
        spec
    }

    /// Waits until `count` processes have written their numbers.
    fn wait(&self, count: usize) -> Vec<u32> {
        eventually("the command has started", || {
            let text = std::fs::read_to_string(&self.file).unwrap_or_default();
            let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
            (pids.len() == count && text.ends_with('\n')).then_some(pids)
        })
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn assert_gone(pids: &[u32]) {
    assert_eq!(pids.len(), 2);
    let left: Vec<_> = pids.iter().filter(|pid| exists(**pid)).collect();
    assert!(left.is_empty(), "{left:?} survived");
}

async fn run(spec: &Spec) -> Outcome {
    Supervisor::at(STANDFAST).run(spec, None).await.unwrap()
}

#[tokio::test]
async fn what_the_command_says_is_passed_on() {
    let outcome = run(&shell("echo out; echo err >&2; exit 3", LONG)).await;
    assert_eq!((outcome.ended.clone(), outcome.code), (Ended::Itself, Some(3)));
    assert_eq!((outcome.stdout.text.as_str(), outcome.stderr.text.as_str()), ("out\n", "err\n"));
    assert!(!outcome.succeeded() && !outcome.timed_out() && outcome.left_behind == 0);
    assert!(run(&shell("cat", LONG)).await.succeeded(), "stdin is empty, not the lifeline");
    let killed = run(&shell("kill -KILL $$", LONG)).await;
    assert_eq!((killed.ended.clone(), killed.code, killed.signal), (Ended::Itself, None, Some(9)));
    let absent = run(&Spec::new(["/nonexistent/program"], LONG)).await;
    assert!(matches!(absent.ended, Ended::NotStarted { not_found: true, .. }), "{absent:?}");
    let forbidden = run(&Spec::new(["/etc/passwd"], LONG)).await;
    assert!(matches!(forbidden.ended, Ended::NotStarted { not_found: false, .. }), "{forbidden:?}");
}

#[tokio::test]
async fn environment_and_folder_are_those_of_the_spec_alone() {
    let mut spec = shell("env; pwd", LONG);
    spec.env.insert("GIVEN".to_owned(), "yes".to_owned());
    spec.cwd = Some("/".into());
    let text = run(&spec).await.stdout.text;
    let names: Vec<_> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert!(names.contains(&"GIVEN") && names.contains(&"PATH"), "{text}");
    assert!(!names.contains(&"HOME") && !names.iter().any(|n| n.starts_with("CARGO")), "{text}");
    assert!(text.ends_with("\n/\n"), "{text}");
}

#[tokio::test]
async fn endless_output_is_cut_and_never_blocks_the_command() {
    let mut spec = shell("echo first; yes | head -c 3000000; echo last; yes >&2", LONG);
    spec.deadline = Duration::from_secs(2);
    spec.output_limit = 1000;
    let outcome = run(&spec).await;
    assert!(outcome.stdout.text.starts_with("first\n") && outcome.stdout.text.ends_with("last\n"));
    assert_eq!(outcome.stdout.omitted_bytes, 3_000_000 + 6 + 5 - 1000);
    assert!(outcome.stderr.omitted_bytes > 0 && outcome.timed_out());
    assert!(outcome.stdout.text.len() < 1100);
}

/// Situation: a command that has daemonised and ignores SIGTERM. Danger: it goes on acting
/// after its step was given up. Expectation: at the deadline and its grace both are gone.
#[tokio::test]
async fn at_the_deadline_nothing_survives() {
    let pids = Pids::new();
    let outcome = run(&pids.stubborn(Duration::from_millis(700))).await;
    assert!(outcome.timed_out(), "{outcome:?}");
    assert_eq!((outcome.signal, outcome.survivors), (Some(9), 0));
    assert!((800..5_000).contains(&outcome.ran_ms), "{}", outcome.ran_ms);
    assert_gone(&pids.wait(2));
}

#[tokio::test]
async fn a_command_that_hears_sigterm_is_given_time_to_tidy_up() {
    let mut spec = shell("trap 'echo tidied; exit 7' TERM; echo up; sleep 900 & wait", LONG);
    spec.deadline = Duration::from_millis(500);
    spec.grace = Duration::from_secs(60);
    let outcome = run(&spec).await;
    assert_eq!((outcome.timed_out(), outcome.code), (true, Some(7)));
    assert_eq!(outcome.stdout.text, "up\ntidied\n");
}

#[tokio::test]
async fn a_stopped_command_is_ended_too() {
    let outcome = run(&shell("kill -STOP $$", Duration::from_millis(200))).await;
    assert_eq!((outcome.timed_out(), outcome.signal), (true, Some(15)));
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended() {
    let pids = Pids::new();
    let mut spec = pids.stubborn(LONG);
    let leaves = STUBBORN.replace("while :; do sleep 900; done", "until [ $(wc -l <$PIDS) = 2 ]; do :; done");
    spec.argv = vec!["sh".into(), "-c".into(), leaves];
    let outcome = run(&spec).await;
    assert!(outcome.succeeded(), "{outcome:?}");
    assert_eq!(outcome.left_behind, 1);
    assert_gone(&pids.wait(2));
}

/// Situation: the leader's validity is extended while a command runs, and then no more.
/// Danger: the command acts while another leader does. Expectation: it lives as long as
/// the leash was moved, and dies when that ends, without grace.
#[tokio::test]
async fn the_leash_may_move_and_then_kills_without_grace() {
    let pids = Pids::new();
    let mut spec = pids.stubborn(LONG);
    spec.grace = LONG;
    let started = clock::boot();
    let (leash, held) = watch::channel(started + Duration::from_millis(1_000));
    let supervisor = Supervisor::at(STANDFAST);
    let running = tokio::spawn(async move { supervisor.run(&spec, Some(held)).await });
    let until = started + Duration::from_millis(1_800);
    leash.send(until).unwrap();
    let outcome = running.await.unwrap().unwrap();
    assert_eq!((&outcome.ended, outcome.signal), (&Ended::Leash, Some(9)));
    assert!(clock::boot() >= until, "it was killed before the leash ended");
    assert!(outcome.ran_ms < 5_000, "{}", outcome.ran_ms);
    assert_gone(&pids.wait(2));
}

#[tokio::test]
async fn a_leash_that_has_ended_already_kills_at_once() {
    let (_leash, held) = watch::channel(Duration::from_millis(1));
    let outcome = Supervisor::at(STANDFAST).run(&shell("sleep 900", LONG), Some(held)).await.unwrap();
    assert_eq!(outcome.ended, Ended::Leash);
}

#[tokio::test]
async fn dropping_the_future_ends_the_command() {
    let pids = Pids::new();
    let spec = pids.stubborn(LONG);
    let running = tokio::spawn(async move { Supervisor::at(STANDFAST).run(&spec, None).await });
    let started = tokio::task::spawn_blocking(move || (pids.wait(2), pids)).await.unwrap();
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    eventually("both are gone", || started.0.iter().all(|pid| !exists(*pid)).then_some(()));
}

#[tokio::test]
async fn a_supervisor_that_is_killed_is_told_as_lost() {
    let outcome = Supervisor::at(STANDFAST).run(&shell("kill -KILL $PPID", LONG), None).await;
    assert!(matches!(outcome, Err(SuperviseError::Lost { .. })), "{outcome:?}");
    let outcome = Supervisor::at("/nonexistent/standfast").run(&shell("true", LONG), None).await;
    assert!(matches!(outcome, Err(SuperviseError::Start { .. })), "{outcome:?}");
}

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // An error means that it is dead and reaped.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `standfast supervise` of the stubborn command, started by a shell that waits for it.
fn under_a_shell(pids: &Pids, deadline_ms: u64) -> Killed {
    let script =
        format!("'{STANDFAST}' supervise --deadline-ms {deadline_ms} --grace-ms 100 -- sh -c \"$SCRIPT\"; :");
    let child = Command::new("sh")
        .args(["-c", &script])
        .env("SCRIPT", STUBBORN)
        .env("PIDS", &pids.file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Killed(child)
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Situation: the daemon is killed with SIGKILL in mid-step. Danger: its command acts on,
/// and nobody knows of it. Expectation: the command and what it forked are gone.
#[test]
fn when_the_parent_is_killed_nothing_survives() {
    let pids = Pids::new();
    let mut parent = under_a_shell(&pids, 600_000);
    let started = pids.wait(2);
    parent.0.kill().unwrap();
    parent.0.wait().unwrap();
    eventually("both are gone", || started.iter().all(|pid| !exists(*pid)).then_some(()));
}

/// Situation: the daemon is frozen. Danger: it cannot end its command in time.
/// Expectation: the supervisor does, by its own clock.
#[test]
fn when_the_parent_is_stopped_the_deadline_still_holds() {
    let pids = Pids::new();
    let parent = under_a_shell(&pids, 3_000);
    let started = pids.wait(2);
    signal(parent.0.id(), rustix::process::Signal::STOP);
    eventually("both are gone", || started.iter().all(|pid| !exists(*pid)).then_some(()));
}

/// The exit code is the command's, as a shell would tell it, and stdout is one line of JSON.
#[test]
fn by_hand_the_exit_code_is_the_commands() {
    let supervise = |deadline_ms: &str, script: &str| {
        let output = Command::new(STANDFAST)
            .args(["supervise", "--deadline-ms", deadline_ms, "--", "sh", "-c", script])
            .output()
            .unwrap();
        let outcome: Outcome = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), outcome)
    };
    assert_eq!(supervise("60000", "exit 5").0, Some(5));
    assert_eq!(supervise("60000", "kill -TERM $$").0, Some(128 + 15));
    assert_eq!(supervise("100", "sleep 900").0, Some(124));
    assert_eq!(supervise("60000", "exec /nonexistent").0, Some(127));
    let (code, outcome) = supervise("60000", "kill -TERM $PPID; sleep 900");
    assert_eq!((code, outcome.ended), (Some(125), Ended::Signalled));
}
