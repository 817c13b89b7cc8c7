//! What stopped itself cannot come back.
//!
//! Situation: the member of the active site is away from the others for a moment, so its sentry stops
//! the database. When it is back, the first step of `on_rejoin` fails: a disk that has to be there is not.
//!
//! Danger: the next step is run all the same, or nobody is told and the site stays down; or it counts as
//! a site that serves, of which the end of the lease proves something.
//!
//! Expectation: nothing after the step that failed is run, everybody is told which step that was and why,
//! it is tried again, and as soon as it works the site serves.

use std::time::Duration;

use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::net::End;
use standfast_integration::lab::world::Setup;
use standfast_integration::parts::ground::ip;
use standfast_integration::parts::{poll, program};

use super::sentry::writes;
use super::{Lab, Outcome};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_keeps_the_site_stopped_and_is_told() -> Outcome {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("disk");
    let step = serde_json::to_string(&[program("test")?.as_path(), "-e".as_ref(), &disk])?;
    let setup = Setup::new(Kind::Etcd).led_from("w").guarded().edited(move |bundle| {
        let step = format!("    on_rejoin:\n      - {{run: {step}, timeout: 1s}}\n");
        bundle.edit_fleet("    on_rejoin:\n", &step)
    });
    let mut lab = Lab::start(setup).await?;
    let outcome = play(&mut lab, &disk).await;
    lab.end(outcome)
}

async fn play(lab: &mut Lab, disk: &std::path::Path) -> Outcome {
    lab.world.until_enforced().await?;
    for host in [40, 2] {
        lab.net.cut(End::Host(ip(1, host)))?;
    }
    poll(SOON, || async { if writes(&lab.world).await { Err("a writes".to_owned()) } else { Ok(()) } })
        .await?;
    lab.net.heal()?;
    let mut api = lab.world.cluster.api()?;
    api.until(SOON, "what keeps the site stopped", async |api| {
        let lease = api.site("a").await.map_err(|e| e.to_string())?.lease.ok_or("a has no lease")?;
        let told = |text: &str| text.contains("test -e") && text.contains("exit 1");
        let seen = lease.held && lease.sentries.iter().any(|sentry| told(&sentry.trouble));
        if seen { Ok(()) } else { Err(format!("{lease:?}")) }
    })
    .await?;
    assert!(!writes(&lab.world).await, "a step was run after one that failed");
    std::fs::write(disk, "")?;
    poll(SOON, || async { if writes(&lab.world).await { Ok(()) } else { Err("a is stopped".to_owned()) } })
        .await?;
    lab.world.until_enforced().await?;
    Ok(())
}
