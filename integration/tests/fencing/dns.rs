//! `dns.set`: the epoch beside the name, on a real BIND.

use super::{Outcome, leader};
use standfast::action::{act, inspect};
use standfast_core::action::Inspection::{Conflict, Satisfied};
use standfast_core::action::{Action, FailureKind};
use standfast_core::check::RecordType;
use standfast_core::time::Span;
use standfast_integration::given::{Given, fails, finds};
use standfast_integration::parts::bind::{Bind, Zone};
use standfast_integration::parts::ports;
use standfast_integration::parts::scratch::Scratch;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

const A: &str = "10.1.0.5";
const B: &str = "10.2.0.5";

async fn start(scratch: &Scratch, given: &Given) -> Outcome<Bind> {
    let zone = Zone {
        name: "shop.test".into(),
        record: "www".into(),
        more: Vec::new(),
        address: A.parse()?,
        ttl: Duration::from_secs(5),
    };
    let bind = Bind::start(&scratch.site("w")?, ports::free(Ipv4Addr::LOCALHOST.into())?, zone).await?;
    given.secret("tsig", &format!("{}:{}", bind.key_name, bind.key))?;
    Ok(bind)
}

fn set(server: SocketAddr, value: &str) -> Action {
    Action::DnsSet {
        server: server.to_string(),
        zone: "shop.test.".into(),
        name: "www.shop.test.".into(),
        record_type: RecordType::A,
        ttl: Span::secs(5),
        key: "tsig".into(),
        values: vec![value.into()],
    }
}

async fn dig(bind: &Bind, name: &str, kind: &str) -> Outcome<String> {
    let port = bind.address.port().to_string();
    let asked = tokio::process::Command::new("dig")
        .args(["+short", "+tcp", "@127.0.0.1", "-p", &port, name, kind])
        .output();
    Ok(String::from_utf8(asked.await?.stdout)?.trim().to_owned())
}

/// The address, and the epoch beside it.
async fn stands(bind: &Bind) -> Outcome<(String, String)> {
    let beside = dig(bind, "_standfast.www.shop.test", "TXT").await?;
    Ok((dig(bind, "www.shop.test", "A").await?, beside))
}

fn state(address: &str, epoch: u64) -> (String, String) {
    (address.to_owned(), format!("\"epoch={epoch}\""))
}

/// A way to the name server on which updates wait until it is opened; the first byte of the server's
/// answer code of each is told.
struct Gate {
    address: SocketAddr,
    open: watch::Sender<bool>,
    waiting: mpsc::UnboundedReceiver<()>,
    answers: mpsc::UnboundedReceiver<u8>,
}

impl Gate {
    async fn before(bind: SocketAddr) -> std::io::Result<Gate> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (open, opened) = watch::channel(false);
        let (waits, waiting) = mpsc::unbounded_channel();
        let (tell, answers) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (opened, waits, tell) = (opened.clone(), waits.clone(), tell.clone());
                tokio::spawn(async move { pass(client, bind, opened, waits, tell).await });
            }
        });
        Ok(Gate { address, open, waiting, answers })
    }
}

async fn pass(
    mut client: TcpStream,
    bind: SocketAddr,
    mut opened: watch::Receiver<bool>,
    waits: mpsc::UnboundedSender<()>,
    tell: mpsc::UnboundedSender<u8>,
) -> std::io::Result<()> {
    const UPDATE: u8 = 5;
    let mut question = vec![0; client.read_u16().await?.into()];
    client.read_exact(&mut question).await?;
    let update = question[2] >> 3 & 0xF == UPDATE;
    if update {
        // Whoever listens may be gone.
        let _ = waits.send(());
        let _ = opened.wait_for(|open| *open).await;
    }
    let mut server = TcpStream::connect(bind).await?;
    server.write_all(&(question.len() as u16).to_be_bytes()).await?;
    server.write_all(&question).await?;
    let mut answer = vec![0; server.read_u16().await?.into()];
    server.read_exact(&mut answer).await?;
    if update {
        let _ = tell.send(answer[3] & 0xF);
    }
    client.write_all(&(answer.len() as u16).to_be_bytes()).await?;
    client.write_all(&answer).await
}

const YXRRSET: u8 = 7;
const NXRRSET: u8 = 8;

/// Situation: nobody has written yet; then leaders of growing epochs; then an old one.
/// Danger: the first one finds no record to compare with, or the old one is let in.
/// Expectation: each leaves its epoch; the old one is refused with the higher epoch, and looking
/// tells it too.
#[tokio::test]
async fn each_leader_leaves_its_epoch_and_an_older_one_is_refused() -> Outcome {
    let (scratch, given) = (Scratch::new()?, Given::new()?);
    let bind = start(&scratch, &given).await?;
    assert_eq!(stands(&bind).await?, (A.to_owned(), String::new()));
    let (to_a, to_b) = (set(bind.address, A), set(bind.address, B));
    act(&to_b, &leader(&given, 5)).await.map_err(|failure| failure.message)?;
    assert_eq!(stands(&bind).await?, state(B, 5));
    // It is so already, but by another: the next leader takes it over all the same.
    act(&to_b, &leader(&given, 6)).await.map_err(|failure| failure.message)?;
    assert_eq!(stands(&bind).await?, state(B, 6));
    for action in [&to_a, &to_b] {
        fails(act(action, &leader(&given, 5)).await, FailureKind::Refused, &["fenced by epoch 6", "epoch 5"]);
        finds(inspect(action, &leader(&given, 5)).await, Conflict, &["fenced by epoch 6"]);
    }
    assert_eq!(stands(&bind).await?, state(B, 6));
    // A dry run is no leader.
    finds(inspect(&to_b, &leader(&given, 0)).await, Satisfied, &[B]);
    act(&to_a, &leader(&given, 6)).await.map_err(|failure| failure.message)?;
    assert_eq!(stands(&bind).await?, state(A, 6));
    Ok(())
}

/// Situation: a leader of epoch 5 has read the name server and sent its update; it is held up on the
/// way while a leader of epoch 6 writes, even if that one puts the old value back.
/// Danger: the late update moves the name under the feet of epoch 6.
/// Expectation: the server itself refuses it, whether or not there was a record to compare with.
#[tokio::test]
async fn the_server_refuses_an_update_that_was_held_up() -> Outcome {
    for first in [true, false] {
        let (scratch, given) = (Scratch::new()?, Given::new()?);
        let bind = start(&scratch, &given).await?;
        if !first {
            act(&set(bind.address, A), &leader(&given, 4)).await.map_err(|failure| failure.message)?;
        }
        let mut gate = Gate::before(bind.address).await?;
        let (late, old) = (set(gate.address, B), leader(&given, 5));
        let (outcome, played) = tokio::join!(act(&late, &old), async {
            gate.waiting.recv().await.ok_or("no update came")?;
            for value in [B, A] {
                act(&set(bind.address, value), &leader(&given, 6)).await.map_err(|f| f.message)?;
            }
            gate.open.send_replace(true);
            Ok::<_, Box<dyn std::error::Error>>(())
        });
        played?;
        fails(outcome, FailureKind::Refused, &["fenced by epoch 6"]);
        let expected = if first { YXRRSET } else { NXRRSET };
        assert_eq!(gate.answers.recv().await, Some(expected), "the server said no");
        assert_eq!(stands(&bind).await?, state(A, 6));
    }
    Ok(())
}

/// The same late update without the condition is what the condition is for.
#[tokio::test]
async fn without_the_condition_the_late_update_is_taken() -> Outcome {
    let (scratch, given) = (Scratch::new()?, Given::new()?);
    let bind = start(&scratch, &given).await?;
    act(&set(bind.address, A), &leader(&given, 6)).await.map_err(|failure| failure.message)?;
    let file = scratch.path().join("late");
    let port = bind.address.port();
    let late = format!(
        "server 127.0.0.1 {port}\nzone shop.test.\nupdate delete www.shop.test. A\n\
         update add www.shop.test. 5 A {B}\nsend\n"
    );
    std::fs::write(&file, late)?;
    let mut nsupdate = tokio::process::Command::new("nsupdate");
    let status = nsupdate.arg("-v").arg("-k").arg(&bind.key_file).arg(&file).status().await?;
    assert!(status.success(), "{status}");
    assert_eq!(stands(&bind).await?, state(B, 6), "taken, so the refusals above are the condition's");
    Ok(())
}

/// Situation: two steps of one leader write at one name side by side.
/// Expectation: they do not fence each other.
#[tokio::test]
async fn writers_of_one_epoch_do_not_fence_each_other() -> Outcome {
    let (scratch, given) = (Scratch::new()?, Given::new()?);
    let bind = start(&scratch, &given).await?;
    let (to_a, to_b, cx) = (set(bind.address, A), set(bind.address, B), leader(&given, 5));
    let (first, second) = tokio::join!(act(&to_b, &cx), act(&to_a, &cx));
    // Who comes second wins; the first may read the other's value back and say so.
    assert!(first.is_ok() || second.is_ok(), "{first:?} {second:?}");
    for outcome in [first, second] {
        if let Err(failure) = outcome {
            assert!(failure.message.contains("took the update, and still"), "{}", failure.message);
        }
    }
    assert_eq!(stands(&bind).await?.1, "\"epoch=5\"");
    Ok(())
}

/// Situation: somebody else's text stands where the epoch would.
/// Expectation: nothing is overwritten, and a person is told what to do.
#[tokio::test]
async fn a_text_that_is_no_epoch_is_not_overwritten() -> Outcome {
    let (scratch, given) = (Scratch::new()?, Given::new()?);
    let bind = start(&scratch, &given).await?;
    let file = scratch.path().join("text");
    let port = bind.address.port();
    let text = "update add _standfast.www.shop.test. 5 TXT \"by hand\"";
    std::fs::write(&file, format!("server 127.0.0.1 {port}\nzone shop.test.\n{text}\nsend\n"))?;
    let mut nsupdate = tokio::process::Command::new("nsupdate");
    assert!(nsupdate.arg("-v").arg("-k").arg(&bind.key_file).arg(&file).status().await?.success());
    let action = set(bind.address, B);
    let words = ["_standfast.www.shop.test", "remove it"];
    fails(act(&action, &leader(&given, 5)).await, FailureKind::Refused, &words);
    finds(inspect(&action, &leader(&given, 0)).await, Conflict, &words);
    assert_eq!(stands(&bind).await?, (A.to_owned(), "\"by hand\"".to_owned()));
    Ok(())
}
