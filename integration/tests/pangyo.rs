//! The core of playbooks/pangyo-2022/fixed, for real.
//!
//! Situation: pangyo serves text messages; anyang stands by, with its tools ready, its databases
//! streaming, and everything else off. Then pangyo burns: every process in it dies at once.
//!
//! Danger: what is needed to bring the business back burns with it; something is started before
//! what it needs; the customers come to a database that cannot be written.
//!
//! Expectation: the daemon in the witness site moves tiers 0 and 1 to anyang by itself, to the
//! end, in the order of the playbooks, and the customer goes on.

use std::time::{Duration, Instant};

use standfast_integration::lab::api::short;
use standfast_integration::lab::town::Town;
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::{LogEnd, poll};
use standfast_proto::v1::{RunState, StepState};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pangyo_burns_and_tiers_0_and_1_come_back_in_anyang() -> Outcome {
    let mut scratch = Scratch::new()?;
    let town = Town::start(&scratch).await?;
    let outcome = play(&town).await;
    if outcome.is_err() {
        println!("{}", LogEnd::of(town.member.part_ref().log()));
        scratch.keep();
        println!("data and logs are in {}", scratch.path().display());
    }
    outcome
}

async fn play(town: &Town) -> Outcome {
    town.until_steady().await?;
    let customer = town.customer()?;
    let served = poll(Duration::from_secs(10), || async {
        let orders = customer.look(|record| record.orders.len());
        if orders >= 20 { Ok(()) } else { Err(format!("{orders} orders")) }
    });
    served.await?;
    assert_eq!(town.anyang.tools.came_up().await?, [""; 0], "nothing is started before it is needed");

    let burning = Instant::now();
    town.pangyo.kill_all()?;
    let died = Instant::now();
    let mut api = town.api()?;
    let run = api.until_run(Duration::from_secs(20)).await?;
    let ended =
        api.until_run_is(&run.id, Duration::from_secs(60), "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", short(&ended));
    assert_eq!(run.playbook, "core");
    let in_state = |state: StepState| {
        let steps = ended.steps.iter().filter(move |step| step.state() == state);
        steps.map(|step| step.id.as_str()).collect::<Vec<_>>()
    };
    let hot = ["tooling/permissions", "tooling/keys", "tooling/monitoring", "tooling/switcher"];
    assert_eq!(in_state(StepState::AlreadyDone), hot, "what is hot in both sites only had to answer");
    assert_eq!(in_state(StepState::Succeeded).len(), ended.steps.len() - hot.len(), "{}", short(&ended));

    assert!(!town.anyang.accounts.is_standby().await? && !town.anyang.site.postgres.is_standby().await?);
    assert_eq!(town.anyang.site.haproxy.weight("talk-anyang").await?, 100);
    let back = poll(Duration::from_secs(10), || async {
        customer.look(|record| record.first_after(died).cloned()).ok_or_else(|| "not served".to_string())
    });
    assert_eq!(back.await?.site, "anyang");
    println!(
        "back after {:?}, the run over after {:?}",
        customer.stop().await.longest_pause(),
        burning.elapsed()
    );

    // Side by side within a line; each line after the one above it.
    let came = town.anyang.tools.came_up().await?;
    let order: [&[&str]; 8] = [
        &["druid", "hadoop", "hbase", "login-cache"],
        &["object-metadata"],
        &["object-storage"],
        &["registry", "source-hosting"],
        &["deploy"],
        &["session-check"],
        &["login"],
        &["push", "talk-text"],
    ];
    let mut rest = came.as_slice();
    for line in order {
        let (mut now, later) =
            (rest[..line.len().min(rest.len())].to_vec(), &rest[line.len().min(rest.len())..]);
        now.sort();
        assert_eq!(now, line, "{came:?}");
        rest = later;
    }
    assert_eq!(rest, [""; 0]);
    Ok(())
}
