//! playbooks/pangyo-2022/fixed, for real.
//!
//! Situation: pangyo serves everything; anyang stands by, with its tools ready, its databases
//! streaming, and everything else off. Then pangyo burns: every process in it dies at once.
//!
//! Danger: what is needed to bring the business back burns with it; something is started before
//! what it needs; the customers come to a database that cannot be written.
//!
//! Expectation: the daemon in the witness site proposes to leave pangyo, and a person lets it. All
//! tiers come up in anyang, to the end, in the order of the playbooks, each with its traffic before
//! the next, and the customer goes on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use standfast_integration::lab::api::{Api, request_id, short};
use standfast_integration::lab::town::{SERVICES, Town};
use standfast_integration::parts::bind::resolve;
use standfast_integration::parts::client::Client;
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::{LogEnd, poll};
use standfast_proto::v1::{CreateRunRequest, Mode, Run, RunState, StepState};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What comes up with each playbook, one line after the other. Within a line the stand-ins see to
/// the order: each refuses to start before what it needs.
const ORDER: [&[&str]; 6] = [
    &["druid", "hadoop", "hbase", "login-cache"],
    &["object-metadata", "object-storage", "registry", "source-hosting", "deploy"],
    &["session-check", "login", "talk-text", "push"],
    &["payment", "map", "talk-media", "navigation", "taxi"],
    &["channel", "portal", "gift", "shopping"],
    &["music", "webtoon", "story", "mail-store", "mail"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pangyo_burns_and_everything_comes_back_in_anyang() -> Outcome {
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
    until_served(&customer).await?;
    assert_eq!(town.anyang.tools.came_up().await?, [""; 0], "nothing is started before it is needed");

    let burning = Instant::now();
    town.pangyo.kill_all()?;
    let died = Instant::now();
    let mut api = town.api()?;
    // `automation: advise`: the run is proposed. Its ramps hold for a quarter of an hour, which is
    // for millions of users; here a person starts the same with a second for each weight.
    let proposed = api.until_run(Duration::from_secs(20)).await?;
    assert_eq!((proposed.state(), proposed.playbook.as_str()), (RunState::Proposed, "evacuate"));
    api.reject(&proposed.id, "one customer needs no quarter of an hour").await?;
    let run = start(&mut api).await?;
    let ended = api.until_run_is(&run.id, Duration::from_secs(90), "ended", |run| run.ended_at.is_some());
    let ended = ended.await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", short(&ended));
    let in_state = |state: StepState| {
        let steps = ended.steps.iter().filter(move |step| step.state() == state);
        steps.map(|step| step.id.as_str()).collect::<Vec<_>>()
    };
    let hot = ["permissions", "keys", "monitoring", "switcher"].map(|step| format!("core/tooling/{step}"));
    assert_eq!(in_state(StepState::AlreadyDone), hot, "what is hot in both sites only had to answer");
    assert_eq!(in_state(StepState::Succeeded).len(), ended.steps.len() - hot.len(), "{}", short(&ended));

    let back = poll(Duration::from_secs(10), || async {
        customer.look(|record| record.first_after(died).cloned()).ok_or_else(|| "not served".to_string())
    });
    assert_eq!(back.await?.site, "anyang");
    let pause = customer.stop().await.longest_pause();
    println!("back after {pause:?}, the run over after {:?}", burning.elapsed());
    assert_tiers_follow_each_other(&ended)?;
    assert_all_is_in_anyang(town).await
}

async fn until_served(customer: &Client) -> Outcome {
    let served = poll(Duration::from_secs(10), || async {
        let orders = customer.look(|record| record.orders.len());
        if orders >= 20 { Ok(()) } else { Err(format!("{orders} orders")) }
    });
    Ok(served.await?)
}

/// As a person does: where and why, and how long the ramps hold.
async fn start(api: &mut Api) -> Outcome<Run> {
    let ramps = ["core/talk", "tier-2", "tier-3", "tier-4"];
    let request = CreateRunRequest {
        playbook: "evacuate".into(),
        from: "pangyo".into(),
        to: String::new(), // as `on_loss` says
        mode: Mode::Emergency.into(),
        inputs: ramps.into_iter().map(|part| (format!("{part}/hold"), "1s".into())).collect(),
        reason: "pangyo burns".into(),
        request_id: request_id(),
        ..CreateRunRequest::default()
    };
    Ok(api.create_run(request).await?.run.ok_or("a run")?)
}

/// Tooling, data, apps, traffic; and no step of a tier before the last of the one below.
fn assert_tiers_follow_each_other(run: &Run) -> Outcome {
    let parts =
        ["core/tooling/", "core/data/", "core/delivery/", "core/talk/", "tier-2/", "tier-3/", "tier-4/"];
    let mut before = None;
    for part in parts {
        let steps: Vec<_> = run.steps.iter().filter(|step| step.id.starts_with(part)).collect();
        let time = |at: &Option<pbjson_types::Timestamp>| at.as_ref().map(|at| (at.seconds, at.nanos));
        let begun = steps.iter().map(|step| time(&step.started_at)).min().ok_or(part)?;
        assert!(begun.is_some() && begun >= before, "{part} begins at {begun:?}, after {before:?}");
        before = steps.iter().map(|step| time(&step.ended_at)).max().ok_or(part)?;
    }
    Ok(())
}

async fn assert_all_is_in_anyang(town: &Town) -> Outcome {
    let anyang = &town.anyang;
    assert!(!anyang.accounts.is_standby().await? && !anyang.site.postgres.is_standby().await?);
    let place = anyang.site.addresses.front.ip();
    for record in [town.bind.zone.full_name(), format!("{SERVICES}.example.net")] {
        let answer = resolve(town.bind.address, &record).await?;
        assert_eq!(
            answer.addresses.iter().map(|ip| IpAddr::V4(*ip)).collect::<Vec<_>>(),
            [place],
            "{record}"
        );
    }
    for door in &anyang.doors {
        assert_eq!(anyang.weight(door.backend, "anyang").await?, 100, "{door:?}");
        assert_eq!(anyang.weight(door.backend, "pangyo").await?, 0, "{door:?}");
        let path = if door.backend == "talk" { String::new() } else { format!("{}/health", door.service) };
        let answer = reqwest::get(format!("http://{}/{path}", door.address)).await?;
        assert!(answer.status().is_success(), "{door:?}: {}", answer.status());
    }
    let came = anyang.tools.came_up().await?;
    let lines =
        ORDER.iter().enumerate().flat_map(|(line, names)| names.iter().map(move |name| (*name, line)));
    let lines: BTreeMap<&str, usize> = lines.collect();
    assert_eq!(came.len(), lines.len(), "{came:?}");
    let order: Vec<usize> = came.iter().filter_map(|name| lines.get(name.as_str()).copied()).collect();
    assert_eq!(order.len(), lines.len(), "{came:?}");
    assert!(order.is_sorted(), "{came:?}");
    Ok(())
}
