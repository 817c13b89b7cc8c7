//! What a look sees of a database cluster: who may log in and promote, who follows, who leads.

use std::time::Duration;

use standfast_core::lag::Lag;
use standfast_core::look::{Kind, Severity};
use standfast_integration::parts::poll;

use super::Outcome;
use super::given::{Standing, errors, finds};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_refused_and_one_that_may_not_promote_are_found() -> Outcome {
    let standing = Standing::start().await?;
    let (shop, given) = (&standing.shop, &standing.given);
    given.secret("orders_b", "wrong")?;
    let seen = standing.look(&[]).await?;
    let found = finds(&seen, Kind::Credentials, "promote", &["orders in b", "password"]);
    assert_eq!(found.trouble.severity, Severity::Error);
    given.secret("orders_b", &shop.b.postgres.passwords.standfast)?;
    // To the old primary it takes only the measure of the lag away, which is said as such.
    given.secret("orders_a", "wrong")?;
    let seen = standing.look(&[]).await?;
    let found = finds(&seen, Kind::Credentials, "", &["orders in a", "password"]);
    assert_eq!(found.trouble.severity, Severity::Warning);
    given.secret("orders_a", &shop.a.postgres.passwords.standfast)?;

    // It may look at everything, and promote nothing.
    let admin = shop.a.postgres.superuser().await?;
    admin.batch_execute("create role looker login password 'l00k' in role pg_monitor").await?;
    given.secret("orders_b", "l00k")?;
    let user = |name: &str| format!("user={name}\", password: {{secret: orders_b}}");
    let seen = poll(SOON, || async {
        let seen = standing.look(&[(&user("standfast"), &user("looker dbname=standfast"))]).await;
        let seen = seen.map_err(|e| e.to_string())?;
        // The new role has to reach the replica first.
        let known = seen.troubles.iter().all(|found| found.trouble.kind != Kind::Credentials);
        if known { Ok(seen) } else { Err(format!("{:?}", seen.troubles)) }
    });
    finds(&seen.await?, Kind::Privilege, "promote", &["may not promote", "GRANT EXECUTE"]);
    assert!(shop.b.postgres.is_standby().await?);
    Ok(())
}

/// Situation: the replica has lost its primary, which lives and goes on; then somebody promotes the
/// replica by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_follows_no_more_and_a_second_primary_are_found() -> Outcome {
    let standing = Standing::start().await?;
    let shop = &standing.shop;
    let well = standing.look(&[]).await?;
    assert!(matches!(well.data[0].lag, Lag::Known { bytes, .. } if bytes < 1_000_000), "{:?}", well.data);

    let primary = shop.a.postgres.superuser().await?;
    let cut = "alter role replicator nologin; select pg_terminate_backend(pid) from pg_stat_replication";
    primary.batch_execute(cut).await?;
    let orders = shop.a.postgres.shop().await?;
    orders.batch_execute("insert into orders select n, now(), 'a' from generate_series(1, 1000) n").await?;
    let seen = poll(SOON, || async {
        let seen = standing.look(&[]).await.map_err(|e| e.to_string())?;
        // The lag is measured from look to look, and twice in each: five seconds were promised.
        let all = [Kind::Replication, Kind::Rpo, Kind::Requirement];
        let found = |kind: &Kind| seen.troubles.iter().any(|found| found.trouble.kind == *kind);
        if all.iter().all(found) { Ok(seen) } else { Err(format!("{:?}", seen.troubles)) }
    });
    let seen = seen.await?;
    finds(&seen, Kind::Replication, "promote", &["does not stream"]);
    finds(&seen, Kind::Rpo, "", &["orders in b", "at most 5s was promised"]);
    finds(&seen, Kind::Requirement, "", &["behind the primary"]);
    let Lag::Known { time, bytes, .. } = &seen.data[0].lag else { panic!("{:?}", seen.data) };
    assert!(time.as_ms() >= 5_000 && *bytes > 10_000, "{:?}", seen.data);

    shop.b.postgres.superuser().await?.query_one("select pg_promote(true, 30)", &[]).await?;
    let seen = standing.look(&[]).await?;
    let found = finds(&seen, Kind::Primaries, "", &["2 primaries", "in a and in b"]);
    assert_eq!(found.trouble.severity, Severity::Error);
    assert!(errors(&seen).iter().any(|(kind, _)| *kind == Kind::Target), "the step refuses as well");
    Ok(())
}
