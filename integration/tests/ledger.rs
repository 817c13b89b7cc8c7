//! Targets that write down the epochs they are given find out who acts under an old one, through
//! the daemon's own actions.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use standfast::action::act;
use standfast_core::action::{Action, FailureKind};
use standfast_core::ids::Epoch;
use standfast_integration::given::{Given, fails};
use standfast_integration::parts::ledger::{self, Ear, Ledger};
use standfast_integration::parts::ports;
use standfast_integration::parts::scratch::Scratch;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const ENOUGH: Duration = Duration::from_secs(20);

fn ledger(file: &Path, target: &str) -> Ledger {
    Ledger { file: file.into(), target: target.into(), takes_ms: 20 }
}

fn request(at: SocketAddr) -> Action {
    Action::HttpRequest {
        url: format!("http://{at}/act"),
        method: "POST".into(),
        headers: BTreeMap::new(),
        body: None,
        status: vec![204],
        idempotent: true,
        linger: None,
    }
}

fn command(ledger: &Ledger) -> Outcome<Action> {
    Ok(Action::CommandRun {
        command: ledger.command()?,
        env: BTreeMap::new(),
        idempotent: true,
        linger: None,
    })
}

/// Under these epochs, one after the other: which of them are taken.
async fn taken(given: &Given, action: &Action, epochs: &[u64]) -> Vec<bool> {
    let mut taken = Vec::new();
    for (attempt, epoch) in (1..).zip(epochs) {
        let mut cx = given.context(ENOUGH);
        (cx.attempt.epoch, cx.attempt.attempt) = (Epoch(*epoch), attempt);
        let done = act(action, &cx).await;
        taken.push(done.is_ok());
        if done.is_err() {
            let kind = match action {
                Action::HttpRequest { .. } => FailureKind::Refused,
                _ => FailureKind::Failed,
            };
            fails(done, kind, &["is over"]);
        }
    }
    taken
}

#[tokio::test]
async fn both_take_an_epoch_until_a_higher_one_came() -> Outcome {
    let (scratch, given) = (Scratch::new()?, Given::new()?);
    let site = scratch.site("b")?;
    let listen = ports::free(Ipv4Addr::LOCALHOST.into())?;
    let file = site.join("ear.jsonl");
    let mut ear = ledger::start(&site, &Ear { listen, ledger: ledger(&file, "ear") }).await?;
    let by_hand = ledger(&site.join("hand.jsonl"), "hand");
    for (action, file) in [(request(listen), &file), (command(&by_hand)?, &by_hand.file)] {
        assert_eq!(taken(&given, &action, &[4, 4, 6, 5, 6]).await, [true, true, true, false, true]);
        let seen = ledger::read(file)?;
        let epochs: Vec<_> = seen.iter().map(|effect| (effect.epoch, effect.accepted)).collect();
        assert_eq!(epochs, [(4, true), (4, true), (6, true), (5, false), (6, true)]);
        for (attempt, effect) in (1..).zip(&seen) {
            assert_eq!(
                (effect.run.as_str(), effect.step.as_str(), effect.attempt),
                ("run-1", "step", attempt)
            );
            let took = effect.ended_ms.map(|ended| ended - effect.began_ms);
            assert_eq!(took.is_some_and(|took| took >= 20), effect.accepted, "{effect:?}");
        }
    }
    // What does not say who acts is refused, and leaves nothing.
    let answer = reqwest::Client::new().post(format!("http://{listen}/act")).send().await?;
    assert_eq!(answer.status(), 400);
    assert_eq!(ledger::read(&file)?.len(), 5);
    ear.kill();
    Ok(())
}

/// Who was killed in the middle of it has begun, and nobody knows when that ended.
#[test]
fn half_of_a_line_is_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ledger");
    let line = r#"{"target":"t","run":"r","step":"s","attempt":1,"epoch":2,"key":"r/s","accepted":true,"began_ms":7,"ended_ms":null}"#;
    std::fs::write(&file, format!("{line}\n{}", &line[..40]))?;
    let seen = ledger::read(&file)?;
    assert_eq!((seen.len(), seen[0].ended_ms), (1, None));
    assert!(ledger::read(&folder.path().join("nothing"))?.is_empty());
    Ok(())
}
