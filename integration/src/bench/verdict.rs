//! From the death of a site to the verdict LOST, held against the bound that `lint` prints.

use std::time::Duration;

use futures::future::try_join_all;
use standfast_core::time::Span;
use standfast_core::timing::{Profile, Timing};

use super::figure::{Figure, Judged};
use super::sites::{Setup, Sites};
use crate::parts::Result;

/// How often each is measured.
const TIMES: usize = 5;
/// How far a bound may be passed.
const SLACK: f64 = 1.1;
/// The deaths of sites that are watched side by side are this far apart.
const APART: Duration = Duration::from_millis(700);

/// With both profiles: the site held no leader, and, to explain more, both leaders.
pub async fn measure() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (profile, name) in [(Profile::Fast, "fast"), (Profile::Default, "default")] {
        let bounds = Timing::of(profile).bounds();
        for (leaders, held, bound) in [("w", "no leader", bounds.nobody), ("a", "both leaders", bounds.both)]
        {
            let figure = format!("verdict-{name}{}", if leaders == "a" { "-leaders" } else { "" });
            let what =
                format!("death of a site that held {held} to LOST, profile {name}; 1.1 x {}", words(bound));
            let samples = sample(profile, leaders, 10 * bound.0).await?;
            figures.push(Figure::new(&figure, &what, Judged::Worst, bound.0.mul_f64(SLACK), samples));
        }
    }
    Ok(figures)
}

/// Each time with sites and members of their own. They wait most of the time, so they wait
/// side by side.
async fn sample(profile: Profile, leaders: &'static str, within: Duration) -> Result<Vec<Duration>> {
    let setup = Setup { leaders, ..Setup::idle(profile) };
    // One after the other: what starts is busy, and what is busy is late.
    let mut all = Vec::new();
    for _ in 0..TIMES {
        all.push(Sites::start(&setup).await?);
    }
    try_join_all(all.iter().map(Sites::until_steady)).await?;
    let deaths = all.iter().zip(0..).map(|(sites, n)| async move {
        tokio::time::sleep(n * APART).await;
        let died = sites.kill_a()?;
        let lost = "standfast_verdict{site=\"a\",verdict=\"lost\"} 1\n";
        let seen = sites.until(within, "the verdict LOST", |text| text.contains(lost)).await?;
        Ok(seen - died)
    });
    try_join_all(deaths).await
}

fn words(bound: Span) -> String {
    format!("{:.2} s", bound.0.as_secs_f64())
}
