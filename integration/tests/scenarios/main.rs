//! What must end well, on real parts: each scenario is a file that opens with its situation,
//! its danger and what is expected. Some share a running world, where one leaves it as the
//! next one needs it.

mod both_leaders;
mod by_hand;
mod destination;
mod late_effect;
mod lone_observer;
mod not_streaming;
mod partition;
mod race;
mod takeover;
mod without_tools;
mod wrong_key;

use std::future::Future;

use standfast_integration::lab::bundle::Bundle;
use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::events::Recorder;
use standfast_integration::lab::world::{Setup, World};
use standfast_integration::parts::Result;
use standfast_integration::parts::scratch::Scratch;

type Outcome<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Two at once would take each other's processor, and the fast profile its word.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Holds the traffic at each weight for a moment only.
fn short(bundle: &mut Bundle) -> Result<()> {
    bundle.edit_playbook("hold: 10s", "hold: 1s")
}

/// Plays scenarios in a world of their own. When one fails, the ends of the members' logs are
/// shown, and the folder is kept.
async fn within<F>(setup: Setup, play: impl FnOnce(World) -> F) -> Outcome
where
    F: Future<Output = Outcome>,
{
    let _one = ONE_AT_A_TIME.lock().await;
    let mut scratch = Scratch::new()?;
    let world = World::start(&scratch, setup, |_| {}).await?;
    let logs: Vec<_> = world.cluster.logs().map(|(_, log)| log.to_path_buf()).collect();
    let steady = world.until_steady().await;
    let outcome = match steady {
        Ok(()) => play(world).await,
        Err(error) => Err(error.into()),
    };
    if outcome.is_err() {
        for log in logs {
            println!("{}", standfast_integration::parts::LogEnd::of(&log));
        }
        scratch.keep();
        println!("data and logs are in {}", scratch.path().display());
    }
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_moves_by_itself_while_somebody_sees_the_site_alive() -> Outcome {
    let setup = Setup::new(Kind::Etcd).led_from("b").with_gates().edited(short);
    within(setup, async |mut world| {
        lone_observer::play(&mut world).await?;
        partition::play(&mut world).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_though_its_leaders_die_one_after_the_other() -> Outcome {
    let door = takeover::door()?;
    let setup = Setup::new(Kind::Etcd).led_from("a").edited(move |bundle| takeover::edit(bundle, door));
    within(setup, async |mut world| {
        // What happens is heard from the beginning, whoever dies meanwhile.
        let recorder = Recorder::start(world.cluster.api()?);
        let run = both_leaders::play(&mut world).await?;
        takeover::play(&mut world, &run, door, &recorder).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_leader_sent_before_it_stood_still_is_refused_by_its_target() -> Outcome {
    let stage = late_effect::Stage::start().await?;
    let setup = Setup::new(Kind::Etcd).led_from("w").edited(stage.edit());
    within(setup, async |mut world| late_effect::play(&mut world, &stage).await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operator_and_automation_have_one_run_between_them() -> Outcome {
    within(Setup::new(Kind::Embedded).edited(short), race::play).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_mended_in_time_lets_the_run_begin_and_end() -> Outcome {
    within(Setup::new(Kind::Embedded).edited(wrong_key::edit), async |mut world| {
        let run = destination::play(&mut world).await?;
        wrong_key::play(&mut world, &run).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_behind_is_not_promoted_in_silence() -> Outcome {
    within(Setup::new(Kind::Embedded).edited(not_streaming::edit), not_streaming::play).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_grpc_client_can_look_and_trigger() -> Outcome {
    within(Setup::new(Kind::Embedded).edited(short), by_hand::play).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_tools_a_run_does_not_succeed() -> Outcome {
    within(Setup::new(Kind::Embedded).edited(without_tools::edit), without_tools::play).await
}
