//! Operator and automation race.
//!
//! Situation: site a dies, and at the same moment three people who have been watching it start
//! the playbook by hand, each on their own, while the automation is about to.
//!
//! Danger: two runs move the same shop, and promote, repoint and ramp into each other.
//!
//! Expectation: there is one run. Everybody who asks for the same gets its id. Who asks for
//! another plan that needs the same sites is refused, and the answer names the run.

use std::collections::BTreeSet;
use std::time::Duration;

use standfast::cli::exit::Exit;
use standfast_integration::lab::api::{request_id, short};
use standfast_integration::lab::world::World;
use standfast_proto::v1::{CreateRunRequest, Mode, RunState, Verdict};

use super::Outcome;

fn wish(mode: Mode, who: &str) -> CreateRunRequest {
    CreateRunRequest {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: mode.into(),
        reason: format!("{who} sees the site burn"),
        request_id: request_id(),
        ..CreateRunRequest::default()
    }
}

pub(crate) async fn play(world: World) -> Outcome {
    let mut api = world.cluster.api()?;
    world.kill_site_a()?;
    // As late as can be: the loss is about to be confirmed.
    api.until(Duration::from_secs(20), "a loss about to be confirmed", async |api| {
        let site = api.site("a").await.map_err(|e| e.to_string())?;
        let left = site.confirm_remaining.and_then(|left| Duration::try_from(left).ok());
        match left {
            Some(left) if left < Duration::from_millis(600) => Ok(()),
            _ if site.verdict() == Verdict::Lost => Ok(()),
            _ => Err(format!("{left:?} left")),
        }
    })
    .await?;
    let mut hands = tokio::task::JoinSet::new();
    for who in ["kim", "lee", "max"] {
        let mut api = api.another()?;
        hands.spawn(async move {
            let mut answers = Vec::new();
            // Again and again, each a wish of its own, until the automation has had its turn.
            for _ in 0..8 {
                answers.push(api.create_run(wish(Mode::Emergency, who)).await);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answers
        });
    }
    let mut ids = BTreeSet::new();
    while let Some(answers) = hands.join_next().await {
        for answer in answers? {
            ids.insert(answer?.run.ok_or("a run")?.id);
        }
    }
    assert_eq!(ids.len(), 1, "one run between all of them: {ids:?}");
    assert_eq!(api.runs().await?.len(), 1);

    let id = ids.pop_first().ok_or("an id")?;
    let other = api.create_run(wish(Mode::Drill, "somebody else")).await;
    let refused = other.err().ok_or("another plan for the same sites is refused")?;
    assert_eq!(refused.exit, Exit::Found, "{refused}");
    assert!(refused.to_string().contains(&id), "it names the run: {refused}");

    let ended = api.until_run_is(&id, Duration::from_secs(60), "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", short(&ended));
    assert_eq!(api.runs().await?.len(), 1, "and none afterwards");
    Ok(())
}
