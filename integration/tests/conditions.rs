//! Each condition against its real system: as it should be, as it should not, dead, silent.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use standfast::condition::evaluate;
use standfast::condition::lag::{keep_sampling, sample_all};
use standfast_core::check::{Answer, Check, Database, LagLimit, RecordType, Role};
use standfast_core::time::Span;
use standfast_integration::given::{Deaf, Given, Silent};
use standfast_integration::parts::bind::{Bind, Zone};
use standfast_integration::parts::postgres::Postgres;
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::{poll, ports};
use tokio_util::sync::CancellationToken;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const TIMEOUT: Duration = Duration::from_secs(2);
/// Of one question to a target that is silent.
const SHORT: Duration = Duration::from_millis(300);

/// What a busy machine may add to it.
const LATE: Duration = Duration::from_millis(500);

fn ip(site: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(127, 77, site, host).into()
}

async fn holds(given: &Given, check: &Check, words: &[&str]) {
    let answer = evaluate(check, &given.env, TIMEOUT).await;
    assert!(answer.holds(), "{check}: {answer:?}");
    words.iter().for_each(|word| assert!(answer.detail().contains(word), "no `{word}`: {answer:?}"));
}

async fn fails(given: &Given, check: &Check, words: &[&str]) {
    let answer = evaluate(check, &given.env, TIMEOUT).await;
    assert!(matches!(answer, Answer::Fails(_)), "{check}: {answer:?}");
    // What the kernel had accepted for a server that was just killed is reset, not refused.
    let seen = answer.detail().replace("Connection reset", "Connection refused");
    words.iter().for_each(|word| assert!(seen.contains(word), "no `{word}`: {answer:?}"));
}

async fn unknown(given: &Given, check: &Check, words: &[&str]) {
    let answer = evaluate(check, &given.env, TIMEOUT).await;
    assert!(matches!(answer, Answer::Unknown(_)), "{check}: {answer:?}");
    words.iter().for_each(|word| assert!(answer.detail().contains(word), "no `{word}`: {answer:?}"));
}

/// Fails, and in the time that it was given.
async fn fails_in_time(given: &Given, check: &Check) {
    let began = Instant::now();
    let answer = evaluate(check, &given.env, SHORT).await;
    let took = began.elapsed();
    assert!(matches!(answer, Answer::Fails(_)), "{check}: {answer:?}");
    assert!(took >= SHORT && took < SHORT + LATE, "{check}: {took:?}");
}

fn get(url: String) -> Check {
    Check::HttpGet { url, status: 200, body: None, below: None }
}

/// A web service: `/` says who asked, `/away` redirects, `/broken` is broken, `/slow` takes
/// 50 ms, `/endless` never ends.
async fn web() -> std::io::Result<std::net::SocketAddr> {
    use axum::body::{Body, Bytes};
    use axum::extract::ConnectInfo;
    use axum::http::StatusCode;
    use axum::response::Redirect;
    use axum::routing::get;
    let app = axum::Router::new()
        .route(
            "/",
            get(|ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>| async move { peer.to_string() }),
        )
        .route("/away", get(|| async { Redirect::temporary("/") }))
        .route("/broken", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                "slow"
            }),
        )
        .route(
            "/endless",
            get(|| async {
                let words = futures::stream::repeat(Ok::<_, std::convert::Infallible>(Bytes::from_static(
                    &[b'.'; 65_536],
                )));
                Body::from_stream(words)
            }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

#[tokio::test]
async fn http_get_looks_at_status_body_and_time() -> Outcome {
    let given = Given::from_source(Some("127.0.0.9".parse()?))?;
    let web = web().await?;
    let url = |path: &str| format!("http://{web}{path}");
    holds(&given, &get(url("/")), &["200"]).await;
    fails(&given, &get(url("/broken")), &["503, not 200"]).await;
    fails(&given, &get(url("/away")), &["307, not 200"]).await;
    let body = |path, body: &str| Check::HttpGet {
        url: url(path),
        status: 200,
        body: Some(body.into()),
        below: None,
    };
    holds(&given, &body("/", "127.0.0.9:"), &[]).await;
    fails(&given, &body("/", "127.0.0.1:"), &["without `127.0.0.1:`"]).await;
    fails(&given, &body("/endless", "never said"), &["without"]).await;
    let below =
        |below| Check::HttpGet { url: url("/slow"), status: 200, body: None, below: Some(Span::ms(below)) };
    holds(&given, &below(1_500), &[]).await;
    fails(&given, &below(20), &["not below 20ms"]).await;
    Ok(())
}

#[tokio::test]
async fn http_and_tcp_to_a_dead_and_to_a_silent_target_fail_in_time() -> Outcome {
    let given = Given::new()?;
    let dead = ports::free(ip(1, 20))?.to_string();
    fails(&given, &get(format!("http://{dead}/")), &[&dead, "refused"]).await;
    fails(&given, &Check::TcpConnect { address: dead.clone() }, &[&dead, "refused"]).await;
    let silent = Silent::new()?;
    fails_in_time(&given, &get(format!("http://{}/", silent.address))).await;
    holds(&given, &Check::TcpConnect { address: silent.address.to_string() }, &[]).await;
    let deaf = Deaf::new().await?;
    fails_in_time(&given, &get(format!("http://{}/", deaf.address))).await;
    fails_in_time(&given, &Check::TcpConnect { address: deaf.address.to_string() }).await;
    unknown(&given, &get("http://nowhere.invalid/".into()), &["nowhere.invalid"]).await;
    unknown(&given, &Check::TcpConnect { address: "nowhere.invalid:1".into() }, &["nowhere.invalid"]).await;
    unknown(&given, &get("no url".into()), &["no url"]).await;
    Ok(())
}

#[tokio::test]
async fn each_probe_is_a_connection_of_its_own() -> Outcome {
    let given = Given::new()?;
    let url = format!("http://{}/", web().await?);
    let peer = async || given.env.http.get(&url).send().await?.text().await;
    assert_ne!(peer().await?, peer().await?);
    Ok(())
}

#[tokio::test]
async fn dns_answers_is_what_the_authoritative_server_says() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let zone = Zone {
        name: "shop.test".into(),
        record: "www".into(),
        more: Vec::new(),
        address: Ipv4Addr::new(10, 1, 0, 5),
        ttl: Duration::from_secs(1),
    };
    let mut bind = Bind::start(&scratch.site("w")?, ports::free(Ipv4Addr::LOCALHOST.into())?, zone).await?;
    let server = bind.address.to_string();
    let answers = |name: &str, is: &[&str]| Check::DnsAnswers {
        server: server.clone(),
        name: name.into(),
        record_type: RecordType::A,
        is: is.iter().map(|&value| value.into()).collect(),
    };
    holds(&given, &answers("www.shop.test", &["10.1.0.5"]), &[]).await;
    holds(&given, &answers("WWW.shop.test.", &["10.1.0.5"]), &[]).await;
    holds(&given, &answers("no.shop.test", &[]), &["nothing"]).await;
    fails(&given, &answers("www.shop.test", &["10.2.0.5"]), &["is 10.1.0.5"]).await;
    fails(&given, &answers("www.shop.test", &["10.1.0.5", "10.2.0.5"]), &["is 10.1.0.5"]).await;
    fails(&given, &answers("www.other.test", &["10.1.0.5"]), &["other.test"]).await;
    unknown(&given, &answers("www.shop.test", &["ten"]), &["`ten`"]).await;
    bind.part().pause();
    fails_in_time(&given, &answers("www.shop.test", &["10.1.0.5"])).await;
    bind.part().kill();
    fails(&given, &answers("www.shop.test", &["10.1.0.5"]), &["refused"]).await;
    Ok(())
}

fn database(server: &Postgres, site: &str) -> Database {
    Database {
        cluster: "orders".into(),
        site: site.into(),
        dsn: server.dsn(),
        password: Some("orders".into()),
    }
}

async fn pair(scratch: &Scratch) -> Result<(Postgres, Postgres), Box<dyn std::error::Error>> {
    let primary = Postgres::primary(&scratch.site("a")?, ports::free(ip(1, 10))?).await?;
    let standby = Postgres::standby(&scratch.site("b")?, ports::free(ip(2, 10))?, &primary).await?;
    Ok((primary, standby))
}

#[tokio::test]
async fn postgres_role_and_writable_ask_the_server_itself() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let (mut primary, mut standby) = pair(&scratch).await?;
    given.secret("orders", &primary.passwords.standfast)?;
    let (a, b) = (database(&primary, "a"), database(&standby, "b"));
    let role = |database: &Database, is| Check::PostgresRole { database: database.clone(), is };
    let writable = |database: &Database| Check::PostgresWritable { database: database.clone() };
    holds(&given, &role(&a, Role::Primary), &["orders in a is a primary"]).await;
    fails(&given, &role(&a, Role::Standby), &["orders in a is a primary"]).await;
    holds(&given, &role(&b, Role::Standby), &["orders in b is a standby", "streaming"]).await;
    fails(&given, &role(&b, Role::Primary), &["orders in b is a standby"]).await;
    holds(&given, &writable(&a), &["accepts writes"]).await;
    fails(&given, &writable(&b), &["is a standby"]).await;

    let admin = primary.superuser().await?;
    admin.batch_execute("alter role standfast set default_transaction_read_only = on").await?;
    fails(&given, &writable(&a), &["is read-only"]).await;

    // What is wrong on our side says nothing about the server, and is not shown.
    let other = Database { dsn: a.dsn.replace("user=standfast", "user=nobody"), ..a.clone() };
    unknown(&given, &writable(&other), &["authentication failed"]).await;
    let missing = Database { password: Some("nothing".into()), ..a.clone() };
    unknown(&given, &writable(&missing), &["secret `nothing` is missing"]).await;
    let none = Database { password: None, ..a.clone() };
    unknown(&given, &writable(&none), &["asks for a password"]).await;
    given.secret("orders", "wrong-password")?;
    let answer = evaluate(&writable(&a), &given.env, TIMEOUT).await;
    assert!(matches!(&answer, Answer::Unknown(text) if !text.contains("wrong-password")), "{answer:?}");
    given.secret("orders", &primary.passwords.standfast)?;

    primary.part().pause();
    fails_in_time(&given, &writable(&a)).await;
    primary.part().kill();
    fails(&given, &writable(&a), &["orders in a", "refused"]).await;
    standby.part().kill();
    fails(&given, &role(&b, Role::Standby), &["orders in b", "refused"]).await;
    Ok(())
}

/// Situation: a primary and its standby, sampled; the standby stops receiving; the primary dies.
/// Danger: a lag by the replica's clock grows with the outage and blocks every emergency, or a
/// lag of nothing is taken for no lag.
/// Expectation: the lag is that of the moment of death, for ever; a member that saw nothing of
/// the primary says so.
#[tokio::test]
async fn postgres_lag_is_that_of_the_moment_when_the_primary_died() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let (mut primary, standby) = pair(&scratch).await?;
    given.secret("orders", &primary.passwords.standfast)?;
    let (a, b) = (database(&primary, "a"), database(&standby, "b"));
    given.env.clusters.set_servers([a.clone(), b.clone()]);
    let lag = |limit| Check::PostgresLag { replica: b.clone(), others: vec![a.clone()], limit };
    let below = |ms| lag(LagLimit::Below(Span::ms(ms)));
    let lag_of_the_primary =
        Check::PostgresLag { replica: a.clone(), others: vec![b.clone()], limit: LagLimit::Zero };

    // Idle, for longer than the limit: nothing is missing.
    let shop = primary.shop().await?;
    shop.batch_execute("create table t (n int)").await?;
    let caught_up = poll(Duration::from_secs(10), || async {
        let answer = evaluate(&lag(LagLimit::Zero), &given.env, TIMEOUT).await;
        if answer.holds() { Ok(()) } else { Err(answer.detail().to_owned()) }
    });
    caught_up.await?;
    let stop = CancellationToken::new();
    let sampling = keep_sampling(&given.env, Duration::from_millis(50), TIMEOUT, stop.clone());
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        stop.cancel();
    };
    tokio::join!(sampling, stopping);
    holds(&given, &below(500), &["0ms and 0 bytes"]).await;
    fails(&given, &lag_of_the_primary, &["is a primary", "not a replica"]).await;

    // The standby loses its source, the primary writes on for a second.
    let admin = standby.superuser().await?;
    admin.batch_execute("alter system set primary_conninfo = ''").await?;
    admin.batch_execute("select pg_reload_conf()").await?;
    let cut = poll(Duration::from_secs(10), || async {
        let row = admin.query_opt("select 1 from pg_stat_wal_receiver", &[]).await;
        if row.map_err(|e| e.to_string())?.is_none() { Ok(()) } else { Err("still receiving".to_string()) }
    });
    cut.await?;
    let busy = tokio::time::Instant::now() + Duration::from_secs(1);
    while tokio::time::Instant::now() < busy {
        shop.batch_execute("insert into t select generate_series(1, 100)").await?;
        sample_all(&given.env, TIMEOUT).await;
    }
    fails(&given, &below(500), &["behind the primary"]).await;
    holds(&given, &below(5_000), &[]).await;
    fails(&given, &lag(LagLimit::Zero), &[]).await;
    fails(&given, &lag(LagLimit::BelowBytes(100)), &[]).await;

    primary.part().kill();
    let text = async || evaluate(&below(5_000), &given.env, TIMEOUT).await;
    let behind = |answer: &Answer| answer.detail().split(" behind").next().map(str::to_owned);
    let (first, waited) = (text().await, tokio::time::sleep(Duration::from_millis(700)));
    waited.await;
    let second = text().await;
    assert!(first.holds() && second.holds(), "{first:?} {second:?}");
    assert_eq!(behind(&first), behind(&second), "the lag does not grow, only its age does");
    assert_ne!(first, second);

    // Cut off instead, it does not even refuse: that costs a second, however much time there is.
    let deaf = Deaf::new().await?;
    let dsn = format!("host={} port={} user=standfast", deaf.address.ip(), deaf.address.port());
    let silent = Check::PostgresLag {
        replica: b.clone(),
        others: vec![Database { dsn, ..a.clone() }],
        limit: LagLimit::Below(Span::ms(5_000)),
    };
    let asked = Instant::now();
    let answer = evaluate(&silent, &given.env, Duration::from_secs(10)).await;
    assert!(answer.holds(), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_millis(1_900), "after {:?}", asked.elapsed());

    let newcomer = Given::new()?;
    newcomer.secret("orders", &standby.passwords.standfast)?;
    unknown(&newcomer, &below(5_000), &["never seen a primary"]).await;
    Ok(())
}

#[tokio::test]
async fn a_standby_of_another_cluster_is_no_replica() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let (primary, standby) = pair(&scratch).await?;
    given.secret("orders", &primary.passwords.standfast)?;
    let stranger = Postgres::primary(&scratch.site("c")?, ports::free(ip(3, 10))?).await?;
    given.secret("stranger", &stranger.passwords.standfast)?;
    let c = Database { password: Some("stranger".into()), ..database(&stranger, "a") };
    given.env.clusters.set_servers([c.clone(), database(&standby, "b")]);
    let check = Check::PostgresLag {
        replica: database(&standby, "b"),
        others: vec![c],
        limit: LagLimit::BelowBytes(u64::MAX),
    };
    fails(&given, &check, &["is no replica of this cluster", "system identifier"]).await;
    Ok(())
}
