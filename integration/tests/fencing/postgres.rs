//! `postgres.run`, and the epoch that a database keeps, on real servers.

use super::{ENOUGH, Outcome, leader};
use standfast::action::{act, inspect};
use standfast_core::action::Inspection::{Conflict, Needed, Satisfied};
use standfast_core::action::{Action, FailureKind};
use standfast_core::check::Database;
use standfast_core::ids::RunId;
use standfast_integration::given::{Given, fails, finds};
use standfast_integration::parts::postgres::Postgres;
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::{poll, ports};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn ip(site: u8) -> IpAddr {
    Ipv4Addr::new(127, 77, site, 11).into()
}

struct Standing {
    given: Given,
    primary: Postgres,
    scratch: Scratch,
}

impl Standing {
    async fn start() -> Outcome<Standing> {
        let (scratch, given) = (Scratch::new()?, Given::new()?);
        let primary = Postgres::primary(&scratch.site("a")?, ports::free(ip(1))?).await?;
        given.secret("orders", &primary.passwords.standfast)?;
        let table = "create table log (n serial primary key, what text not null)";
        primary.standfast().await?.batch_execute(table).await?;
        Ok(Standing { given, primary, scratch })
    }

    fn run(&self, sql: &[&str]) -> Action {
        run(&database(&self.primary, "a"), sql)
    }

    async fn log(&self) -> Outcome<Vec<String>> {
        let rows = self.primary.standfast().await?.query("select what from log order by n", &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn epoch(&self) -> Outcome<i64> {
        Ok(self.primary.standfast().await?.query_one("select epoch from standfast.epoch", &[]).await?.get(0))
    }
}

fn database(server: &Postgres, site: &str) -> Database {
    Database {
        cluster: "orders".into(),
        site: site.into(),
        dsn: server.dsn(),
        password: Some("orders".into()),
    }
}

fn run(database: &Database, sql: &[&str]) -> Action {
    Action::PostgresRun { database: database.clone(), sql: sql.iter().map(|&text| text.into()).collect() }
}

fn insert(what: &str) -> String {
    format!("insert into log (what) values ('{what}')")
}

/// Situation: statements of leaders of growing epochs; one of them again; then an old leader.
/// Expectation: each is done once, the epoch is kept beside it, and the old one does nothing.
#[tokio::test]
async fn statements_are_done_once_and_an_older_leader_does_nothing() -> Outcome {
    let at = Standing::start().await?;
    let (old, new) = (leader(&at.given, 5), leader(&at.given, 6));
    let first = at.run(&[&insert("one"), "update log set what = 'first'"]);
    finds(
        inspect(&first, &old).await,
        Needed,
        &["orders in a is a primary", "2 statements", "insert into log"],
    );
    let seen = act(&first, &old).await.map_err(|failure| failure.message)?;
    assert!(seen.contains("2 statements committed, 2 rows, under epoch 5"), "{seen}");
    // Taken over in the middle, it is recognised, and the next leader's epoch is kept.
    finds(inspect(&first, &new).await, Satisfied, &["committed before, under epoch 5"]);
    let again = act(&first, &new).await.map_err(|failure| failure.message)?;
    assert!(again.contains("committed before"), "{again}");
    assert_eq!((at.log().await?, at.epoch().await?), (vec!["first".to_owned()], 6));

    let second = at.run(&[&insert("late")]);
    fails(act(&second, &old).await, FailureKind::Refused, &["orders in a", "fenced by epoch 6", "epoch 5"]);
    finds(inspect(&second, &old).await, Conflict, &["fenced by epoch 6"]);
    assert_eq!(at.log().await?, ["first"]);

    // Another run does it again, and what takes it back is another thing.
    let mut other = leader(&at.given, 6);
    other.attempt.run = RunId::new("run-2");
    act(&first, &other).await.map_err(|failure| failure.message)?;
    act(&at.run(&["delete from log"]), &new).await.map_err(|failure| failure.message)?;
    assert_eq!(at.log().await?, [""; 0]);
    Ok(())
}

/// The same statement past the table is what the table is for.
#[tokio::test]
async fn without_the_table_the_older_leader_writes() -> Outcome {
    let at = Standing::start().await?;
    act(&at.run(&[&insert("six")]), &leader(&at.given, 6)).await.map_err(|failure| failure.message)?;
    at.primary.standfast().await?.batch_execute("delete from standfast.epoch").await?;
    act(&at.run(&[&insert("five")]), &leader(&at.given, 5)).await.map_err(|failure| failure.message)?;
    assert_eq!(at.log().await?, ["six", "five"]);
    Ok(())
}

/// Situation: the old leader's transaction is under way when the next one's comes.
/// Danger: both change the same thing.
/// Expectation: the next one waits for it. And an old one that comes while the next is under way
/// waits too, and does nothing.
#[tokio::test]
async fn transactions_of_two_epochs_come_one_after_the_other() -> Outcome {
    let at = Standing::start().await?;
    act(&at.run(&["select 1"]), &leader(&at.given, 5)).await.map_err(|failure| failure.message)?;
    let slow = |what: &str| {
        [insert(&format!("begin {what}")), "select pg_sleep(1)".into(), insert(&format!("end {what}"))]
    };
    let [five, six, late] = [slow("5"), slow("6"), slow("late")];
    let action = |sql: &[String; 3]| at.run(&[&sql[0], &sql[1], &sql[2]]);
    let (five, six, late) = (action(&five), action(&six), action(&late));
    let (old, new) = (leader(&at.given, 5), leader(&at.given, 6));
    let watching = at.primary.superuser().await?;
    let waiting = |event: &'static str, count: i64| {
        let watching = &watching;
        poll(ENOUGH, move || async move {
            let sql = format!(
                "select count(*) from pg_stat_activity where application_name = 'standfast' and \
                 (wait_event = '{event}' or wait_event_type = '{event}')"
            );
            let row = watching.query_one(&sql, &[]).await.map_err(|error| error.to_string())?;
            let seen: i64 = row.get(0);
            if seen >= count { Ok(()) } else { Err(format!("{seen} of {count}")) }
        })
    };
    let (over, ended) = tokio::sync::oneshot::channel();
    let (first, second, third) = tokio::join!(
        async {
            let first = act(&five, &old).await;
            over.send(()).expect("somebody waits for it");
            first
        },
        async {
            waiting("PgSleep", 1).await.expect("the first is under way");
            act(&six, &new).await
        },
        async {
            waiting("Lock", 1).await.expect("the second waits");
            ended.await.expect("the first ends");
            waiting("PgSleep", 1).await.expect("the second is under way");
            act(&late, &old).await
        }
    );
    first.map_err(|failure| failure.message)?;
    second.map_err(|failure| failure.message)?;
    fails(third, FailureKind::Refused, &["fenced by epoch 6"]);
    assert_eq!(at.log().await?, ["begin 5", "end 5", "begin 6", "end 6"]);
    Ok(())
}

/// Expectation: a statement that fails takes all of them back, the mark too; one that would end the
/// transaction, or hides another one behind it, is refused by the server.
#[tokio::test]
async fn what_fails_leaves_nothing_behind() -> Outcome {
    let at = Standing::start().await?;
    let cx = leader(&at.given, 5);
    for bad in ["insert into nowhere values (1)", "select 1; commit", "select 1 / 0"] {
        let failed = act(&at.run(&[&insert("x"), bad]), &cx).await;
        fails(failed, FailureKind::Failed, &["orders in a", "(statement 2)"]);
        finds(inspect(&at.run(&[&insert("x"), bad]), &cx).await, Needed, &["2 statements"]);
    }
    let mut hurried = leader(&at.given, 5);
    hurried.deadline = tokio::time::Instant::now() + Duration::from_secs(1);
    let late = act(&at.run(&[&insert("x"), "select pg_sleep(30)"]), &hurried).await;
    assert!(late.as_ref().is_err_and(|failure| failure.kind == FailureKind::Failed), "{late:?}");
    assert_eq!(at.log().await?, [""; 0]);
    Ok(())
}

/// A way to the server on which nothing comes back once a commit was sent.
async fn without_answers(to: SocketAddr) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let server = TcpStream::connect(to).await?;
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                let (sent, seen) = tokio::sync::watch::channel(false);
                let forth = async move {
                    let mut chunk = [0; 8192];
                    while let Ok(read @ 1..) = from_client.read(&mut chunk).await {
                        sent.send_replace(
                            *sent.borrow() || chunk[..read].windows(6).any(|word| word == b"commit"),
                        );
                        to_server.write_all(&chunk[..read]).await?;
                    }
                    Ok::<_, std::io::Error>(())
                };
                let back = async move {
                    let mut chunk = [0; 8192];
                    while let Ok(read @ 1..) = from_server.read(&mut chunk).await {
                        if !*seen.borrow() {
                            to_client.write_all(&chunk[..read]).await?;
                        }
                    }
                    Ok::<_, std::io::Error>(())
                };
                tokio::try_join!(forth, back)
            });
        }
    });
    Ok(address)
}

/// Situation: the answer to the commit is lost.
/// Danger: done twice, or taken for not done.
/// Expectation: ambiguous; looking tells that it was done, and done again it changes nothing.
#[tokio::test]
async fn a_lost_answer_to_the_commit_is_recognised() -> Outcome {
    let at = Standing::start().await?;
    let mut database = database(&at.primary, "a");
    let way = without_answers(at.primary.address).await?;
    database.dsn = format!("host={} port={} user=standfast", way.ip(), way.port());
    let mut cx = leader(&at.given, 5);
    cx.deadline = tokio::time::Instant::now() + Duration::from_secs(3);
    fails(act(&run(&database, &[&insert("once")]), &cx).await, FailureKind::Ambiguous, &["orders in a"]);
    let action = at.run(&[&insert("once")]);
    finds(inspect(&action, &leader(&at.given, 5)).await, Satisfied, &["committed before"]);
    act(&action, &leader(&at.given, 5)).await.map_err(|failure| failure.message)?;
    assert_eq!(at.log().await?, ["once"]);
    Ok(())
}

/// Situation: a leader of epoch 6 wrote; its standby is to be promoted by a leader of epoch 5, late.
/// Danger: `pg_promote` itself compares nothing.
/// Expectation: what the standby has from its primary tells. And whoever is promoted keeps the epoch
/// that promoted it.
#[tokio::test]
async fn a_standby_knows_the_epoch_from_its_primary() -> Outcome {
    let Standing { given, mut primary, scratch } = Standing::start().await?;
    let standby = Postgres::standby(&scratch.site("b")?, ports::free(ip(2))?, &primary).await?;
    let (a, b) = (database(&primary, "a"), database(&standby, "b"));
    act(&run(&a, &["select 1"]), &leader(&given, 6)).await.map_err(|failure| failure.message)?;
    let kept = || async {
        let client = standby.standfast().await.map_err(|error| error.to_string())?;
        let row = client.query_one("select epoch from standfast.epoch", &[]).await;
        row.map(|row| row.get::<_, i64>(0)).map_err(|error| error.to_string())
    };
    assert_eq!(poll(ENOUGH, kept).await?, 6);
    fails(
        act(&run(&b, &["select 1"]), &leader(&given, 7)).await,
        FailureKind::Refused,
        &["orders in b is a standby"],
    );
    finds(inspect(&run(&b, &["select 2"]), &leader(&given, 7)).await, Needed, &["once it is a primary"]);
    primary.part().kill();
    let promote = Action::PostgresPromote { database: b };
    fails(
        act(&promote, &leader(&given, 5)).await,
        FailureKind::Refused,
        &["orders in b", "fenced by epoch 6"],
    );
    finds(inspect(&promote, &leader(&given, 5)).await, Conflict, &["fenced by epoch 6"]);
    assert!(standby.is_standby().await?);
    act(&promote, &leader(&given, 7)).await.map_err(|failure| failure.message)?;
    assert_eq!(kept().await?, 7);
    Ok(())
}
