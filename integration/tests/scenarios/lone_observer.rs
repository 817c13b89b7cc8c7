//! One observer alone says DOWN.
//!
//! Situation: three sites. The witness loses its way to site a: neither its HTTP nor its
//! PostgreSQL probe comes through. Site b sees a well, and a serves.
//!
//! Danger: a failover away from a healthy site, on the word of a witness that is itself ill.
//!
//! Expectation: the witness votes DOWN, b votes UP, and nothing happens, however long it lasts.
//! `why-not` names the guard and who says what; the metric names the guard too. When the way is
//! open again, the witness takes its word back.

use std::time::{Duration, Instant};

use standfast_integration::lab::member::number;
use standfast_integration::lab::world::World;
use standfast_integration::parts::ground::ip;
use standfast_proto::v1::{GuardOutcome, Vote};

use super::Outcome;

const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn play(world: &mut World) -> Outcome {
    let customer = world.customer().await?;
    let mut api = world.cluster.api()?;
    let witness = ip(number("w")?, 40);
    for gate in &world.gates {
        gate.shut_to(witness);
    }
    let vote_of = |site: &standfast_proto::v1::Site, voter: &str| {
        site.votes.iter().find(|vote| vote.voter == voter).map(|vote| vote.vote())
    };
    api.until(SOON, "w's vote DOWN", async |api| {
        let site = api.site("a").await.map_err(|e| e.to_string())?;
        if vote_of(&site, "w") == Some(Vote::Down) { Ok(()) } else { Err(format!("{:?}", site.votes)) }
    })
    .await?;

    // Twice as long as it takes to confirm a loss: it stays so, and nothing comes of it.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(5) {
        let site = api.site("a").await?;
        assert_eq!(vote_of(&site, "w"), Some(Vote::Down), "{site:?}");
        assert_eq!(vote_of(&site, "b"), Some(Vote::Up), "{site:?}");
        assert!(api.runs().await?.is_empty(), "nobody may start a run");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let why = api.why_not("a").await?;
    assert_eq!(why.refused_by, "G03", "{why:?}");
    let confirm = why.guards.iter().find(|guard| guard.id == "G03").ok_or("G03 is asked")?;
    assert_eq!(confirm.outcome(), GuardOutcome::Refused);
    assert!(confirm.reason.contains("w says DOWN; 2 of 2 sites are needed"), "{}", confirm.reason);

    let leader = api.until_leader(SOON).await?;
    let metrics = world.cluster.member(&leader.site)?.get("metrics").await?;
    let would = |line: &&str| line.starts_with("standfast_would_act{") && line.contains("site=\"a\"");
    let refusing: Vec<&str> = metrics.lines().filter(would).filter(|line| line.ends_with(" 1")).collect();
    // a's own member lives, too: that alone would hold it back.
    let named = |guard: &str| refusing.iter().any(|line| line.contains(&format!("guard=\"{guard}\"")));
    assert!(refusing.len() == 2 && named("G03") && named("G04"), "who refuses now: {refusing:?}");

    for gate in &world.gates {
        gate.open_to(witness);
    }
    api.until(SOON, "w's vote UP", async |api| {
        let site = api.site("a").await.map_err(|e| e.to_string())?;
        if vote_of(&site, "w") == Some(Vote::Up) { Ok(()) } else { Err(format!("{:?}", site.votes)) }
    })
    .await?;
    let record = customer.stop().await;
    assert!(record.failures.is_empty(), "the customer noticed nothing: {:?}", record.failures);
    Ok(())
}
