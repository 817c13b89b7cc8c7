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
            (true, seen) => Inspection::Satisfied(seen),
            // Also what cannot be asked yet is waited for.
            (false, seen) => Inspection::Needed(seen),
        }
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        loop {
            let (all, seen) = self.round(cx).await;
            if all {
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
    /// Whether all hold, and what was seen: of those that do not, if there are any.
    async fn round(&self, cx: &Context) -> (bool, String) {
        let left = cx.deadline.saturating_duration_since(Instant::now()).min(ASK);
        let asking = self.all.iter().map(|check| evaluate(check, &cx.env, left));
        let answers = futures::future::join_all(asking).await;
        let all = answers.iter().all(Answer::holds);
        let told = answers.iter().filter(|answer| all || !answer.holds()).map(Answer::detail);
        (all, told.collect::<Vec<_>>().join("; "))
    }
}
