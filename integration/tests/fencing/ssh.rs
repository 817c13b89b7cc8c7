//! `ssh.run`: the epoch that a host keeps, on a real sshd, as an ordinary user.

use super::{ENOUGH, Outcome, leader};
use standfast::action::{Context, act, inspect};
use standfast_core::action::Inspection::{Conflict, Unknown};
use standfast_core::action::{Action, FailureKind, Host};
use standfast_integration::given::{Deaf, Given, fails, finds};
use standfast_integration::parts::poll;
use standfast_integration::parts::ports;
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::sshd::Sshd;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A host and who may log in to it.
struct Standing {
    given: Given,
    sshd: Sshd,
    _scratch: Scratch,
}

async fn start() -> Outcome<Standing> {
    let (scratch, given) = (Scratch::new()?, Given::new()?);
    let sshd = Sshd::start(&scratch.site("b")?, ports::free(Ipv4Addr::new(127, 77, 2, 9).into())?).await?;
    given.secret("ssh", &sshd.key)?;
    Ok(Standing { given, sshd, _scratch: scratch })
}

impl Standing {
    fn host(&self) -> Host {
        Host {
            fleet: "shop".into(),
            name: "db-host".into(),
            site: "b".into(),
            address: self.sshd.address.to_string(),
            user: self.sshd.user.clone(),
            host_keys: vec![self.sshd.host_key.clone()],
            key: Some("ssh".into()),
        }
    }

    fn sh(&self, script: &str) -> Action {
        on(self.host(), &["sh", "-c", script])
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sshd.home.join(name)
    }

    fn epoch(&self) -> String {
        fs::read_to_string(self.file(".standfast/shop.epoch")).unwrap_or_default().trim().to_owned()
    }

    async fn done(&self, script: &str, cx: &Context) -> Result<String, String> {
        act(&self.sh(script), cx).await.map_err(|failure| failure.message)
    }
}

fn on(host: Host, run: &[&str]) -> Action {
    Action::SshRun { host, run: run.iter().map(|&word| word.into()).collect(), idempotent: true }
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) -> Result<(), String> {
    poll(ENOUGH, || {
        let held = holds();
        async move { if held { Ok(()) } else { Err(format!("not yet: {what}")) } }
    })
    .await
}

#[tokio::test]
async fn a_program_runs_there_and_knows_who_runs_it() -> Outcome {
    let at = start().await?;
    let action = at.sh("echo $0 $STANDFAST_RUN $STANDFAST_STEP $STANDFAST_ATTEMPT $STANDFAST_EPOCH \
                        $STANDFAST_IDEMPOTENCY_KEY \"it's $((STANDFAST_DEADLINE_MS > 1000))\"; umask");
    finds(inspect(&action, &leader(&at.given, 0)).await, Unknown, &["would run sh -c", "db-host in b"]);
    assert!(!at.file(".standfast").exists(), "looking leaves nothing behind");
    let began = Instant::now();
    let seen = act(&action, &leader(&at.given, 7)).await.map_err(|failure| failure.message)?;
    assert!(seen.contains("exits 0") && !seen.contains(": 0077"), "{seen}");
    let first = began.elapsed();
    // The second one finds the connection open.
    let began = Instant::now();
    let told = at
        .done("echo $STANDFAST_RUN $STANDFAST_STEP $STANDFAST_EPOCH \"it's\"", &leader(&at.given, 7))
        .await?;
    assert!(told.ends_with(": run-1 step 7 it's"), "{told}");
    eprintln!("a program over ssh took {:?}, the first {first:?}", began.elapsed());
    assert_eq!(at.epoch(), "7");
    let said = at.done("echo much >&2; exit 3", &leader(&at.given, 7)).await.unwrap_err();
    assert!(said.contains("exits 3") && said.ends_with(": much"), "{said}");
    let loud =
        at.done("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end", &leader(&at.given, 7)).await?;
    assert!(loud.ends_with(": end"), "{loud}");
    Ok(())
}

/// Situation: a leader of epoch 6 has run something on the host; one of epoch 5, paused since before,
/// wakes and goes on, over the connection that it has open.
/// Danger: it acts.
/// Expectation: the host refuses it, by the number, and says so to whoever looks.
#[tokio::test]
async fn an_older_leader_is_refused_by_the_host() -> Outcome {
    let at = start().await?;
    let log = at.file("log");
    let script = format!("echo $STANDFAST_EPOCH >> {}", log.display());
    let (old, new) = (leader(&at.given, 5), leader(&at.given, 6));
    at.done(&script, &old).await?;
    at.done(&script, &new).await?;
    at.done(&script, &new).await?;
    let late = act(&at.sh(&script), &old).await;
    fails(late, FailureKind::Refused, &["db-host in b", "fenced by epoch 6", "epoch 5"]);
    finds(inspect(&at.sh(&script), &old).await, Conflict, &["fenced by epoch 6"]);
    assert_eq!(lines(&log), ["5", "6", "6"]);
    assert_eq!(at.epoch(), "6");
    Ok(())
}

/// The same, with the file that keeps the epoch taken away: what the file is for.
#[tokio::test]
async fn without_the_file_the_older_leader_acts() -> Outcome {
    let at = start().await?;
    let log = at.file("log");
    let script = format!("echo $STANDFAST_EPOCH >> {}", log.display());
    at.done(&script, &leader(&at.given, 6)).await?;
    fs::remove_file(at.file(".standfast/shop.epoch"))?;
    at.done(&script, &leader(&at.given, 5)).await?;
    assert_eq!(lines(&log), ["6", "5"]);
    Ok(())
}

/// Situation: the old leader's program is still running when the next leader comes.
/// Danger: both run side by side.
/// Expectation: the next waits until the old one is gone; and one that cannot wait so long is told
/// that nothing was begun.
#[tokio::test]
async fn programs_of_two_epochs_never_run_side_by_side() -> Outcome {
    let at = start().await?;
    let log = at.file("log");
    let begin_end = |secs: &str| {
        format!(
            "echo begin $STANDFAST_EPOCH >> {0}; sleep {secs}; echo end $STANDFAST_EPOCH >> {0}",
            log.display()
        )
    };
    let (long, short) = (begin_end("2.5"), begin_end("0"));
    let (old, new) = (leader(&at.given, 5), leader(&at.given, 6));
    let (first, second) = tokio::join!(at.done(&long, &old), async {
        until("the first begins", || !lines(&log).is_empty()).await?;
        // One of the same epoch need not wait.
        at.done(&short, &old).await?;
        let mut hurried = leader(&at.given, 6);
        hurried.deadline = tokio::time::Instant::now() + Duration::from_millis(1_200);
        let late = act(&at.sh(&short), &hurried).await;
        fails(late, FailureKind::Failed, &["was not begun in time"]);
        at.done(&short, &new).await
    });
    first?;
    second?;
    assert_eq!(lines(&log), ["begin 5", "begin 5", "end 5", "end 5", "begin 6", "end 6"]);
    Ok(())
}

/// Situation: the step's time is over, or ssh is killed with its leader, while a program runs on the
/// host that ignores SIGTERM and has a child.
/// Danger: it goes on for ever, because killing ssh does not end what it started.
/// Expectation: the host ends both by itself, in the step's time.
#[tokio::test]
async fn what_runs_on_the_host_is_ended_there() -> Outcome {
    for killed in [false, true] {
        let at = start().await?;
        let pids = at.file("pids");
        let script = format!("trap '' TERM; sleep 61 & echo $$ $! > {}; wait; sleep 62", pids.display());
        let mut cx = leader(&at.given, 7);
        cx.deadline = tokio::time::Instant::now() + Duration::from_secs(4);
        let (leash, held) = tokio::sync::watch::channel(standfast::clock::boot() + ENOUGH);
        cx.leash = Some(held);
        let action = at.sh(&script);
        let (ended, started) = tokio::join!(act(&action, &cx), async {
            until("it runs", || lines(&pids).len() == 1).await?;
            if killed {
                leash.send(standfast::clock::boot()).map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(lines(&pids)[0].split(' ').map(str::to_owned).collect::<Vec<_>>())
        });
        let words: &[&str] =
            if killed { &["left to its time on the host"] } else { &["was ended on the host"] };
        fails(ended, FailureKind::Ambiguous, words);
        let alive = |id: &String| Path::new("/proc").join(id).exists();
        let started = started?;
        assert_eq!(started.len(), 2);
        until("both are gone", || !started.iter().any(alive)).await?;
        // And the lock with them: the next leader need not wait.
        at.done("true", &leader(&at.given, 8)).await?;
    }
    Ok(())
}

/// Situation: a program leaves a service behind on purpose.
/// Expectation: it does not keep the next leader out.
#[tokio::test]
async fn what_is_left_behind_holds_no_lock() -> Outcome {
    let at = start().await?;
    at.done("setsid sleep 63 >/dev/null 2>&1 </dev/null &", &leader(&at.given, 5)).await?;
    let began = Instant::now();
    at.done("true", &leader(&at.given, 6)).await?;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    Ok(())
}

/// Danger: another machine answers at the address, and is believed.
/// Expectation: refused by name before anything is sent; likewise a key that it does not know.
#[tokio::test]
async fn another_host_key_and_another_key_are_refused() -> Outcome {
    let (at, other) = (start().await?, start().await?);
    let mut stranger = at.host();
    stranger.host_keys = vec![other.sshd.host_key.clone()];
    let action = on(stranger.clone(), &["touch", &at.file("touched").display().to_string()]);
    fails(act(&action, &leader(&at.given, 7)).await, FailureKind::Refused, &["db-host in b", "host key"]);
    finds(inspect(&action, &leader(&at.given, 7)).await, Conflict, &["host_key"]);
    at.given.secret("ssh", &other.sshd.key)?;
    fails(act(&at.sh("true"), &leader(&at.given, 7)).await, FailureKind::Refused, &["does not let us in"]);
    fs::remove_file(at.given.folder().join("ssh"))?;
    fails(
        act(&at.sh("true"), &leader(&at.given, 7)).await,
        FailureKind::Refused,
        &["secret `ssh` is missing"],
    );
    assert!(!at.file("touched").exists() && !at.file(".standfast").exists());
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_not_reached_is_unknown() -> Outcome {
    let mut at = start().await?;
    let script = "true";
    // A connection that stands, and then nobody answers any more.
    at.done(script, &leader(&at.given, 7)).await?;
    at.sshd.part().kill();
    let action = at.sh(script);
    finds(inspect(&action, &leader(&at.given, 7)).await, Unknown, &["db-host in b"]);
    fails(act(&action, &leader(&at.given, 7)).await, FailureKind::Unreachable, &["db-host in b", "refused"]);
    let deaf = Deaf::new().await?;
    let mut host = at.host();
    host.address = deaf.address.to_string();
    let mut cx = leader(&at.given, 7);
    cx.deadline = tokio::time::Instant::now() + Duration::from_secs(1);
    fails(act(&on(host, &["true"]), &cx).await, FailureKind::Unreachable, &["db-host in b"]);
    Ok(())
}

/// Expectation: what the host lacks is told before anything is needed there; an epoch that cannot be
/// read refuses rather than lets in.
#[tokio::test]
async fn what_a_host_lacks_is_told() -> Outcome {
    let at = start().await?;
    let missing = on(at.host(), &["no-such-program"]);
    finds(inspect(&missing, &leader(&at.given, 0)).await, Conflict, &["no no-such-program"]);
    fails(act(&missing, &leader(&at.given, 7)).await, FailureKind::Refused, &["no program no-such-program"]);
    at.done("true", &leader(&at.given, 7)).await?;
    fs::write(at.file(".standfast/shop.epoch"), "seven\n")?;
    fails(act(&at.sh("true"), &leader(&at.given, 8)).await, FailureKind::Refused, &["holds no epoch"]);
    finds(inspect(&at.sh("true"), &leader(&at.given, 8)).await, Unknown, &["does not tell the epoch"]);
    Ok(())
}
