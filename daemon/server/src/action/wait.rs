//! `wait.until`: conditions that must hold, all in one round.

use super::{Context, Driver};
use crate::condition::evaluate;
use async_trait::async_trait;
use standfast_core::action::{Failure, FailureKind, Inspection};
use standfast_core::check::{Answer, Check};
use std::time::Duration;
use tokio::time::Instant;

/// For one question; what takes longer is asked again.
const ASK: Duration = Duration::from_secs(2);
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Until<'a> {
    pub(super) all: &'a [Check],
}

#[async_trait]
impl Driver for Until<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        match self.round(cx).await {
            (Answer::Holds(_), seen) => Inspection::Satisfied(seen),
            (Answer::Fails(_), seen) => Inspection::Needed(seen),
            (Answer::Unknown(_), seen) => Inspection::Unknown(seen),
        }
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        loop {
            let (answer, seen) = self.round(cx).await;
            if answer.holds() {
                return Ok(seen);
            }
            if Instant::now() + PAUSE >= cx.deadline {
                return Err(Failure {
                    kind: FailureKind::Failed,
                    message: format!("waited in vain: {seen}"),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Until<'_> {
    /// The first answer that is not Holds, or the last that is, and what to say of the round.
    async fn round(&self, cx: &Context) -> (Answer, String) {
        let left = cx.deadline.saturating_duration_since(Instant::now()).min(ASK);
        let asking = self.all.iter().map(|check| evaluate(check, &cx.env, left));
        let answers = futures::future::join_all(asking).await;
        let open: Vec<_> = answers.iter().filter(|answer| !answer.holds()).collect();
        let told = if open.is_empty() { answers.iter().collect() } else { open.clone() };
        let seen = told.iter().map(|answer| answer.detail()).collect::<Vec<_>>().join("; ");
        let first = open.first().copied().cloned().unwrap_or_else(|| Answer::Holds(seen.clone()));
        (first, seen)
    }
}
