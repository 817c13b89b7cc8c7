//! `postgres.promote` and `fence.prove`'s `writes_refused`, on real servers.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use standfast::action::{act, inspect};
use standfast::condition::lag::sample_all;
use standfast_core::action::Inspection::{Conflict, Needed, Satisfied, Unknown};
use standfast_core::action::{Action, FailureKind, FenceProof};
use standfast_core::check::Database;
use standfast_integration::given::{Given, fails, finds};
use standfast_integration::parts::postgres::Postgres;
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::{poll, ports};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const ENOUGH: Duration = Duration::from_secs(20);

fn ip(site: u8) -> IpAddr {
    Ipv4Addr::new(127, 77, site, 10).into()
}

fn database(server: &Postgres, site: &str) -> Database {
    Database {
        cluster: "orders".into(),
        site: site.into(),
        dsn: server.dsn(),
        password: Some("orders".into()),
    }
}

fn promote(database: &Database) -> Action {
    Action::PostgresPromote { database: database.clone() }
}

/// A pair, in a fleet that this member knows and has sampled once.
struct Pair {
    given: Given,
    primary: Postgres,
    standby: Postgres,
    a: Database,
    b: Database,
    _scratch: Scratch,
}

impl Pair {
    async fn start() -> Result<Pair, Box<dyn std::error::Error>> {
        let scratch = Scratch::new()?;
        let given = Given::new()?;
        let primary = Postgres::primary(&scratch.site("a")?, ports::free(ip(1))?).await?;
        let standby = Postgres::standby(&scratch.site("b")?, ports::free(ip(2))?, &primary).await?;
        given.secret("orders", &primary.passwords.standfast)?;
        let (a, b) = (database(&primary, "a"), database(&standby, "b"));
        given.env.clusters.set_servers([a.clone(), b.clone()]);
        sample_all(&given.env, ENOUGH).await;
        Ok(Pair { given, primary, standby, a, b, _scratch: scratch })
    }
}

/// Situation: the primary dies; its standby is promoted, by a leader that is then asked again.
/// Danger: acknowledged rows that were received are not replayed; the second promotion breaks
/// something; a server that is a primary for another reason passes for promoted.
/// Expectation: all rows received are there, the second act changes nothing, and only a member
/// that has seen the cluster calls it done.
#[tokio::test]
async fn a_standby_is_promoted_once_however_often_it_is_asked() -> Outcome {
    let Pair { given, mut primary, standby, a, b, _scratch } = Pair::start().await?;
    finds(
        inspect(&promote(&b), &given.context(ENOUGH)).await,
        Needed,
        &["orders in b", "to be fenced first"],
    );
    finds(inspect(&promote(&a), &given.context(ENOUGH)).await, Conflict, &["orders in a", "never promoted"]);
    let shop = primary.shop().await?;
    shop.batch_execute("create table t as select generate_series(1, 1000) as n").await?;
    let position: String = shop.query_one("select pg_current_wal_lsn()::text", &[]).await?.get(0);
    let copy = standby.shop().await?;
    let received = poll(ENOUGH, || async {
        let sql = format!("select pg_last_wal_receive_lsn() >= '{position}'::pg_lsn");
        let row = copy.query_one(&sql, &[]).await.map_err(|e| e.to_string())?;
        if row.get(0) { Ok(()) } else { Err("not received".to_string()) }
    });
    received.await?;
    primary.part().kill();

    finds(inspect(&promote(&b), &given.context(ENOUGH)).await, Needed, &["is a standby"]);
    let evidence = act(&promote(&b), &given.context(ENOUGH)).await;
    let evidence = evidence.map_err(|failure| failure.message)?;
    assert!(evidence.contains("orders in b replayed all") && evidence.contains("timeline 2"), "{evidence}");
    let rows: i64 = copy.query_one("select count(*) from t", &[]).await?.get(0);
    assert_eq!(rows, 1_000);

    let again = act(&promote(&b), &given.context(ENOUGH)).await.map_err(|failure| failure.message)?;
    assert!(again.contains("is a primary") && again.contains("timeline 2"), "{again}");
    sample_all(&given.env, ENOUGH).await;
    finds(inspect(&promote(&b), &given.context(ENOUGH)).await, Satisfied, &["timeline 2"]);
    finds(inspect(&promote(&a), &given.context(ENOUGH)).await, Unknown, &["orders in a", "refused"]);

    // A member that never saw the cluster cannot tell this primary from any other.
    let newcomer = Given::new()?;
    newcomer.secret("orders", &standby.passwords.standfast)?;
    newcomer.env.clusters.set_servers([a, b.clone()]);
    finds(inspect(&promote(&b), &newcomer.context(ENOUGH)).await, Unknown, &["nothing seen here"]);
    fails(act(&promote(&b), &newcomer.context(ENOUGH)).await, FailureKind::Refused, &["orders in b"]);
    Ok(())
}

/// Situation: a step promotes while the old primary still answers, because its fence was wrong.
/// Danger: two primaries.
/// Expectation: refused, the standby stays one; and two primaries that exist are a conflict.
#[tokio::test]
async fn no_promotion_beside_a_living_primary() -> Outcome {
    let Pair { given, primary, standby, a, b, _scratch } = Pair::start().await?;
    let refused = act(&promote(&b), &given.context(ENOUGH)).await;
    fails(refused, FailureKind::Refused, &["orders in b", "orders in a is a primary", "fence it first"]);
    assert!(standby.is_standby().await?);

    // The fence's own proof says the same of both.
    let fence = |site: &str, of: &Database, by: &Database| Action::FenceProve {
        site: site.into(),
        any_of: vec![FenceProof::WritesRefused { databases: vec![of.clone()], witness: vec![by.clone()] }],
    };
    fails(
        act(&fence("a", &a, &b), &given.context(ENOUGH)).await,
        FailureKind::Failed,
        &["a is not proven fenced", "orders in a is a primary"],
    );
    finds(inspect(&fence("b", &b, &a), &given.context(ENOUGH)).await, Satisfied, &["is in recovery"]);

    standby.superuser().await?.batch_execute("select pg_promote()").await?;
    finds(inspect(&promote(&b), &given.context(ENOUGH)).await, Conflict, &["two primaries"]);
    drop(primary);
    // Dead is not fenced: it proves nothing.
    let dead = act(&fence("a", &a, &b), &given.context(ENOUGH)).await;
    fails(dead, FailureKind::Failed, &["refused", "proves nothing"]);
    Ok(())
}

/// Situation: a server of the site that is left answers that it is in recovery, and nobody has ever
/// seen another one of its cluster; or the site has no database at all.
/// Danger: whoever stands at that address is taken for the old primary, which lives on elsewhere.
/// Expectation: it proves nothing until another server of the cluster has shown which one it is.
#[tokio::test]
async fn a_server_that_nobody_recognises_proves_no_fence() -> Outcome {
    let Pair { primary, standby: _standby, a, b, _scratch, .. } = Pair::start().await?;
    // A member that has never asked anybody.
    let given = Given::new()?;
    given.secret("orders", &primary.passwords.standfast)?;
    let fence = |databases: Vec<Database>, witness: Vec<Database>| Action::FenceProve {
        site: "b".into(),
        any_of: vec![FenceProof::WritesRefused { databases, witness }],
    };
    let unknown = act(&fence(vec![b.clone()], vec![]), &given.context(ENOUGH)).await;
    fails(unknown, FailureKind::Failed, &["b is not proven fenced", "cannot be recognised"]);
    let nothing = act(&fence(vec![], vec![a.clone()]), &given.context(ENOUGH)).await;
    fails(nothing, FailureKind::Failed, &["b is not proven fenced", "no database to ask"]);
    let known = act(&fence(vec![b], vec![a]), &given.context(ENOUGH)).await.map_err(|f| f.message)?;
    assert!(known.contains("is in recovery and refuses writes"), "{known}");
    Ok(())
}

/// Situation: received and not replayed, because a person paused the replay; not streaming; and
/// a user who may not promote.
/// Danger: a promotion that silently drops what was received, or that nobody can explain.
/// Expectation: each is refused with what to do, nothing is promoted; then it works.
#[tokio::test]
async fn what_keeps_a_standby_from_being_promoted_is_named() -> Outcome {
    let Pair { given, mut primary, standby, b, _scratch, .. } = Pair::start().await?;
    let admin = standby.superuser().await?;
    admin.batch_execute("select pg_wal_replay_pause()").await?;
    primary.shop().await?.batch_execute("create table t (n int)").await?;
    let pending = poll(ENOUGH, || async {
        let sql = "select pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()";
        let row = admin.query_one(sql, &[]).await.map_err(|e| e.to_string())?;
        if row.get(0) { Ok(()) } else { Err("nothing received".to_string()) }
    });
    pending.await?;
    primary.part().kill();
    let severed = poll(ENOUGH, || async {
        let row = admin.query_opt("select 1 from pg_stat_wal_receiver", &[]).await;
        if row.map_err(|e| e.to_string())?.is_none() { Ok(()) } else { Err("still receiving".to_string()) }
    });
    severed.await?;
    finds(inspect(&promote(&b), &given.context(ENOUGH)).await, Needed, &["not streaming"]);
    let paused = act(&promote(&b), &given.context(ENOUGH)).await;
    fails(paused, FailureKind::Refused, &["is paused", "pg_wal_replay_resume()"]);
    assert!(standby.is_standby().await?);
    admin.batch_execute("select pg_wal_replay_resume()").await?;

    given.secret("shop", &standby.passwords.shop)?;
    let dsn = b.dsn.replace("user=standfast", "user=shop");
    let shop = Database { dsn, password: Some("shop".into()), ..b.clone() };
    let denied = act(&promote(&shop), &given.context(ENOUGH)).await;
    fails(denied, FailureKind::Refused, &["permission denied", "GRANT EXECUTE ON FUNCTION pg_promote"]);
    assert!(standby.is_standby().await?);

    let done = act(&promote(&b), &given.context(ENOUGH)).await.map_err(|failure| failure.message)?;
    assert!(done.contains("timeline 2"), "{done}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_a_silent_and_a_dead_standby_are_told_apart() -> Outcome {
    let Pair { given, mut primary, mut standby, b, _scratch, .. } = Pair::start().await?;
    primary.part().kill();
    given.secret("orders", "wrong-password")?;
    let wrong = act(&promote(&b), &given.context(ENOUGH)).await;
    fails(wrong, FailureKind::Refused, &["orders in b", "password authentication failed"]);
    finds(inspect(&promote(&b), &given.context(ENOUGH)).await, Conflict, &["password authentication failed"]);
    given.secret("orders", &standby.passwords.standfast)?;

    standby.part().pause();
    let short = Duration::from_millis(400);
    let began = Instant::now();
    let silent = act(&promote(&b), &given.context(short)).await;
    fails(silent, FailureKind::Unreachable, &["orders in b did not answer"]);
    assert!(began.elapsed() < short + Duration::from_millis(500), "{:?}", began.elapsed());
    finds(inspect(&promote(&b), &given.context(short)).await, Unknown, &["orders in b did not answer"]);

    // Leadership is lost in the middle.
    let cx = given.context(ENOUGH);
    let cancel = cx.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    let began = Instant::now();
    fails(act(&promote(&b), &cx).await, FailureKind::Ambiguous, &["may not act any longer"]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    standby.part().kill();
    let dead = act(&promote(&b), &given.context(ENOUGH)).await;
    fails(dead, FailureKind::Unreachable, &["orders in b", "refused"]);
    Ok(())
}

#[tokio::test]
async fn a_standby_of_another_cluster_is_not_promoted() -> Outcome {
    let Pair { given, mut primary, standby, b, _scratch, .. } = Pair::start().await?;
    primary.part().kill();
    let stranger = Postgres::primary(&_scratch.site("c")?, ports::free(ip(3))?).await?;
    given.secret("stranger", &stranger.passwords.standfast)?;
    let c = Database { password: Some("stranger".into()), ..database(&stranger, "b") };
    finds(inspect(&promote(&c), &given.context(ENOUGH)).await, Conflict, &["of another cluster"]);
    fails(act(&promote(&c), &given.context(ENOUGH)).await, FailureKind::Refused, &["of another cluster"]);

    // Nor does it prove that the site of the old primary is fenced.
    let proof = FenceProof::WritesRefused {
        databases: vec![Database { site: "a".into(), ..c.clone() }],
        witness: vec![b.clone()],
    };
    let fence = Action::FenceProve { site: "a".into(), any_of: vec![proof] };
    let other = act(&fence, &given.context(ENOUGH)).await;
    fails(other, FailureKind::Failed, &["is another cluster"]);
    assert!(standby.is_standby().await?);
    Ok(())
}
