//! `command.run` under its supervisor, `fence.prove` by command and by word, `approval.ask`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use standfast::action::{Context, act, inspect};
use standfast_core::action::Inspection::{Conflict, Needed, Unknown};
use standfast_core::action::{Action, FailureKind, FenceProof, Value};
use standfast_core::plan::Mode;
use standfast_integration::given::{Given, fails, finds};
use standfast_integration::parts::poll;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const ENOUGH: Duration = Duration::from_secs(20);

fn run(command: &[&str]) -> Action {
    Action::CommandRun {
        command: command.iter().map(|&word| word.into()).collect(),
        env: BTreeMap::from([
            ("GREETING".to_owned(), Value::Text("hello".into())),
            ("PASSWORD".to_owned(), Value::Secret("password".into())),
            // Who acts is not for a playbook to say.
            ("STANDFAST_EPOCH".to_owned(), Value::Text("99".into())),
        ]),
        idempotent: true,
        linger: None,
    }
}

fn shell(script: &str) -> Action {
    run(&["sh", "-c", script])
}

#[tokio::test]
async fn a_command_knows_who_runs_it_and_its_secrets_are_not_told() -> Outcome {
    let given = Given::new()?;
    let log = given.folder().join("log");
    let script = format!(
        "echo $STANDFAST_RUN $STANDFAST_STEP $STANDFAST_ATTEMPT $STANDFAST_EPOCH $STANDFAST_IDEMPOTENCY_KEY \
         $GREETING $PASSWORD >> {}; [ $STANDFAST_DEADLINE_MS -gt 1000 ]; echo the password is $PASSWORD",
        log.display()
    );
    let action = shell(&script);
    finds(inspect(&action, &given.context(ENOUGH)).await, Conflict, &["secret `password` is missing"]);
    given.secret("password", "hunter2")?;
    finds(inspect(&action, &given.context(ENOUGH)).await, Unknown, &["would run sh -c"]);
    assert!(!log.exists(), "looking runs nothing");
    for attempt in [1, 2] {
        let mut cx = given.context(ENOUGH);
        cx.attempt.attempt = attempt;
        let seen = act(&action, &cx).await.map_err(|failure| failure.message)?;
        assert!(seen.contains("exits 0") && seen.ends_with("the password is ***"), "{seen}");
    }
    let told = std::fs::read_to_string(&log)?;
    let line = |attempt| format!("run-1 step {attempt} 7 run-1/step hello hunter2\n");
    assert_eq!(told, line(1) + &line(2));
    Ok(())
}

#[tokio::test]
async fn how_a_command_fails_decides_what_may_follow() -> Outcome {
    let given = Given::new()?;
    given.secret("password", "hunter2")?;
    let failed = act(&shell("echo no power to hunter2 >&2; exit 3"), &given.context(ENOUGH)).await;
    fails(failed, FailureKind::Failed, &["exits 3", "no power to ***"]);
    let killed = act(&shell("kill -9 $$"), &given.context(ENOUGH)).await;
    fails(killed, FailureKind::Failed, &["signal 9"]);
    let missing = run(&["no-such-program", "off"]);
    fails(act(&missing, &given.context(ENOUGH)).await, FailureKind::Refused, &["no-such-program"]);
    finds(inspect(&missing, &given.context(ENOUGH)).await, Conflict, &["no such program"]);
    let began = Instant::now();
    let late = act(&shell("sleep 60"), &given.context(Duration::from_secs(1))).await;
    fails(late, FailureKind::Ambiguous, &["deadline"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    Ok(())
}

/// Situation: leadership is lost while a command runs, which ignores SIGTERM and has a child.
/// Danger: the old leader's command goes on acting beside the new leader's.
/// Expectation: the act ends at once, and shortly after nothing of the command is left.
#[tokio::test]
async fn losing_leadership_kills_the_command_and_its_children() -> Outcome {
    let given = Given::new()?;
    given.secret("password", "hunter2")?;
    let pids = given.folder().join("pids");
    let script = format!("trap '' TERM; sleep 61 & echo $$ $! > {}; wait; sleep 62", pids.display());
    let mut cx = given.context(ENOUGH);
    let (leash, seen) = tokio::sync::watch::channel(standfast::clock::boot() + ENOUGH);
    cx.leash = Some(seen);
    let cancel = cx.cancel.clone();
    let action = shell(&script);
    let (ended, started) = tokio::join!(act(&action, &cx), async {
        let started = poll(ENOUGH, || async {
            let text = std::fs::read_to_string(&pids).map_err(|e| e.to_string())?;
            let ids: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            if ids.len() == 2 { Ok(ids) } else { Err(text) }
        });
        let started = started.await;
        leash.send(standfast::clock::boot() + Duration::from_millis(200)).map_err(|e| e.to_string())?;
        cancel.cancel();
        started
    });
    fails(ended, FailureKind::Ambiguous, &["may not act any longer"]);
    let started = started?;
    let gone = poll(Duration::from_secs(10), || async {
        let alive = |id: &&String| std::path::Path::new("/proc").join(id).exists();
        let left: Vec<_> = started.iter().filter(alive).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("still there: {left:?}")) }
    });
    gone.await?;
    Ok(())
}

fn fence(any_of: Vec<FenceProof>) -> Action {
    Action::FenceProve { site: "a".into(), any_of }
}

fn power_off(script: &str) -> FenceProof {
    FenceProof::PowerOff { command: ["sh", "-c", script].map(str::to_owned).to_vec() }
}

fn word() -> FenceProof {
    FenceProof::OperatorWord { role: "incident-commander".into() }
}

#[tokio::test]
async fn a_fence_is_proven_by_the_first_proof_that_is_seen() -> Outcome {
    let given = Given::new()?;
    let lease = FenceProof::SiteLeaseExpired;
    let action = fence(vec![lease.clone(), power_off("exit 1"), word(), power_off("echo all off")]);
    let found = inspect(&action, &given.context(ENOUGH)).await;
    finds(found, Needed, &["would run sh -c exit 1", "proven once the site is lost", "incident-commander"]);
    for _twice in 0..2 {
        let seen = act(&action, &given.context(ENOUGH)).await.map_err(|failure| failure.message)?;
        assert!(seen.contains("exits 0") && seen.contains("all off"), "{seen}");
    }
    let nowhere = FenceProof::PowerOff { command: vec!["no-such-program".into(), "off".into()] };
    finds(inspect(&fence(vec![nowhere]), &given.context(ENOUGH)).await, Conflict, &["no such program"]);
    let leased = fence(vec![lease.clone()]);
    let found = inspect(&leased, &given.context(ENOUGH)).await;
    finds(found, Needed, &["proven once the site is lost"]);
    let drill = Context { mode: Mode::Drill, ..given.context(ENOUGH) };
    finds(inspect(&leased, &drill).await, Conflict, &["left on purpose keeps its lease"]);
    fails(act(&leased, &given.context(ENOUGH)).await, FailureKind::Failed, &["proven once the site is lost"]);
    finds(inspect(&fence(vec![word()]), &given.context(ENOUGH)).await, Needed, &["incident-commander"]);

    let nothing = fence(vec![lease, power_off("exit 1"), word()]);
    let failed = act(&nothing, &given.context(ENOUGH)).await;
    fails(failed, FailureKind::Failed, &["a is not proven fenced", "exits 1", "operator_word"]);
    let other = fence(vec![power_off("sleep 60"), power_off("echo all off")]);
    let seen =
        act(&other, &given.context(Duration::from_secs(6))).await.map_err(|failure| failure.message)?;
    assert!(seen.contains("all off"), "{seen}");
    let silent = act(&fence(vec![power_off("sleep 60")]), &given.context(Duration::from_secs(1))).await;
    fails(silent, FailureKind::Ambiguous, &["power_off"]);
    fails(act(&fence(Vec::new()), &given.context(ENOUGH)).await, FailureKind::Failed, &["not proven"]);
    Ok(())
}

#[tokio::test]
async fn an_approval_is_never_given_by_looking_or_acting() -> Outcome {
    let given = Given::new()?;
    let ask = Action::ApprovalAsk { role: "commander".into(), quorum: 0, message: "Leave a?".into() };
    finds(inspect(&ask, &given.context(ENOUGH)).await, Needed, &["waits for 0 of commander: Leave a?"]);
    fails(act(&ask, &given.context(ENOUGH)).await, FailureKind::Refused, &["answered by commander"]);
    Ok(())
}
