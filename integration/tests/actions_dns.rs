//! `dns.set` on a real BIND.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use standfast::action::{act, inspect};
use standfast_core::action::Inspection::{Conflict, Needed, Satisfied, Unknown};
use standfast_core::action::{Action, FailureKind};
use standfast_core::check::RecordType;
use standfast_core::time::Span;
use standfast_integration::given::{Given, fails, finds};
use standfast_integration::parts::bind::{Bind, Zone, resolve};
use standfast_integration::parts::ports;
use standfast_integration::parts::scratch::Scratch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const ENOUGH: Duration = Duration::from_secs(10);
const NAME: &str = "www.shop.test";

async fn start(scratch: &Scratch) -> Result<Bind, Box<dyn std::error::Error>> {
    let zone = Zone {
        name: "shop.test".into(),
        record: "www".into(),
        more: Vec::new(),
        address: Ipv4Addr::new(10, 1, 0, 5),
        ttl: Duration::from_secs(5),
    };
    Ok(Bind::start(&scratch.site("w")?, ports::free(Ipv4Addr::LOCALHOST.into())?, zone).await?)
}

fn set(server: SocketAddr, values: &[&str]) -> Action {
    Action::DnsSet {
        server: server.to_string(),
        zone: "shop.test".into(),
        name: NAME.into(),
        record_type: RecordType::A,
        ttl: Span::secs(1),
        key: "tsig".into(),
        values: values.iter().map(|&value| value.into()).collect(),
    }
}

#[tokio::test]
async fn a_record_set_is_replaced_once() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let bind = start(&scratch).await?;
    let to_b = set(bind.address, &["10.2.0.5", "10.2.0.6"]);
    finds(inspect(&to_b, &given.context(ENOUGH)).await, Conflict, &["secret `tsig` is missing"]);
    for form in
        [format!("{}:{}", bind.key_name, bind.key), format!("hmac-sha256:{}:{}", bind.key_name, bind.key)]
    {
        given.secret("tsig", &form)?;
        let to_a = set(bind.address, &["10.1.0.5"]);
        act(&to_a, &given.context(ENOUGH)).await.map_err(|failure| failure.message)?;
        finds(inspect(&to_b, &given.context(ENOUGH)).await, Needed, &["is 10.1.0.5"]);
        let seen = act(&to_b, &given.context(ENOUGH)).await.map_err(|failure| failure.message)?;
        assert!(seen.contains("is 10.2.0.5, 10.2.0.6") && seen.contains("was 10.1.0.5"), "{seen}");
        let answer = resolve(bind.address, NAME).await?;
        assert_eq!(answer.addresses, [Ipv4Addr::new(10, 2, 0, 5), Ipv4Addr::new(10, 2, 0, 6)]);
        assert_eq!(answer.ttl, Duration::from_secs(1));
    }
    let serial = serial(&bind).await?;
    let again = act(&to_b, &given.context(ENOUGH)).await.map_err(|failure| failure.message)?;
    assert!(again.contains("is 10.2.0.5"), "{again}");
    assert_eq!(self::serial(&bind).await?, serial, "nothing was written the second time");
    finds(inspect(&to_b, &given.context(ENOUGH)).await, Satisfied, &["10.2.0.5"]);
    Ok(())
}

async fn serial(bind: &Bind) -> Result<u32, Box<dyn std::error::Error>> {
    use hickory_proto::op::{Message, Query};
    use hickory_proto::rr::{Name, RData, RecordType};
    let mut question = Message::query();
    question.add_query(Query::query(Name::from_ascii("shop.test.")?, RecordType::SOA));
    let bytes = question.to_vec()?;
    let mut stream = TcpStream::connect(bind.address).await?;
    stream.write_all(&u16::try_from(bytes.len())?.to_be_bytes()).await?;
    stream.write_all(&bytes).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    let answer = Message::from_vec(&answer)?;
    match answer.answers.first().map(|record| &record.data) {
        Some(RData::SOA(soa)) => Ok(soa.serial),
        other => Err(format!("no SOA: {other:?}").into()),
    }
}

#[tokio::test]
async fn a_wrong_key_and_a_wrong_zone_are_refused_by_name() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let bind = start(&scratch).await?;
    let action = set(bind.address, &["10.2.0.5"]);
    let server = bind.address.to_string();
    let other = "bm90IHRoZSBrZXkgYXQgYWxs";
    for (secret, key, why) in [
        (format!("{}:{other}", bind.key_name), "standfast", "another secret"),
        (format!("nobody:{}", bind.key), "nobody", "does not know this key"),
    ] {
        given.secret("tsig", &secret)?;
        let refused = act(&action, &given.context(ENOUGH)).await.unwrap_err();
        assert!(
            !refused.message.contains(other) && !refused.message.contains(&bind.key),
            "{}",
            refused.message
        );
        fails(Err(refused), FailureKind::Refused, &[&server, key, "shop.test", why]);
    }
    given.secret("tsig", "just-something")?;
    fails(
        act(&action, &given.context(ENOUGH)).await,
        FailureKind::Refused,
        &["secret `tsig`", "NAME:BASE64"],
    );

    // The key is right, and may change this name only.
    given.secret("tsig", &format!("{}:{}", bind.key_name, bind.key))?;
    let Action::DnsSet { server, zone, record_type, ttl, key, values, .. } = action else { unreachable!() };
    let mail = Action::DnsSet { name: "mail.shop.test".into(), server, zone, record_type, ttl, key, values };
    let refused = act(&mail, &given.context(ENOUGH)).await;
    fails(refused, FailureKind::Refused, &[&bind.address.to_string(), "standfast"]);
    assert_eq!(bind.addresses().await?, [Ipv4Addr::new(10, 1, 0, 5)], "nothing was changed");
    Ok(())
}

/// Passes questions on to `bind`, and of an update everything but the answer.
async fn swallower(bind: SocketAddr) -> std::io::Result<SocketAddr> {
    const UPDATE: u8 = 5;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let passed: std::io::Result<()> = async {
                let mut question = vec![0; client.read_u16().await?.into()];
                client.read_exact(&mut question).await?;
                let mut server = TcpStream::connect(bind).await?;
                server.write_all(&(question.len() as u16).to_be_bytes()).await?;
                server.write_all(&question).await?;
                let mut answer = vec![0; server.read_u16().await?.into()];
                server.read_exact(&mut answer).await?;
                if question[2] >> 3 & 0xF != UPDATE {
                    client.write_all(&(answer.len() as u16).to_be_bytes()).await?;
                    client.write_all(&answer).await?;
                }
                Ok(())
            }
            .await;
            passed.expect("the name server lives");
        }
    });
    Ok(address)
}

/// Situation: the update arrives, its answer does not.
/// Danger: taken for not done, or for done.
/// Expectation: ambiguous; and looking again tells that it was done.
#[tokio::test]
async fn a_lost_answer_is_ambiguous_and_looking_tells() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let bind = start(&scratch).await?;
    given.secret("tsig", &format!("{}:{}", bind.key_name, bind.key))?;
    let action = set(swallower(bind.address).await?, &["10.2.0.5"]);
    let lost = act(&action, &given.context(ENOUGH)).await;
    fails(lost, FailureKind::Ambiguous, &["127.0.0.1:"]);
    finds(inspect(&action, &given.context(ENOUGH)).await, Satisfied, &["is 10.2.0.5"]);
    act(&action, &given.context(ENOUGH)).await.map_err(|failure| failure.message)?;
    Ok(())
}

#[tokio::test]
async fn a_silent_and_a_dead_name_server_are_unreachable() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let mut bind = start(&scratch).await?;
    given.secret("tsig", &format!("{}:{}", bind.key_name, bind.key))?;
    let action = set(bind.address, &["10.2.0.5"]);
    let server = bind.address.to_string();
    bind.part().pause();
    let silent = act(&action, &given.context(Duration::from_millis(300))).await;
    fails(silent, FailureKind::Unreachable, &[&server, "did not answer"]);
    finds(inspect(&action, &given.context(Duration::from_millis(300))).await, Unknown, &[&server]);
    bind.part().kill();
    fails(act(&action, &given.context(ENOUGH)).await, FailureKind::Unreachable, &[&server, "refused"]);
    Ok(())
}
