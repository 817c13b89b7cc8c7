//! `traffic.shift`: weight moves to one server of an HAProxy, stage by stage.
//!
//! The balancer itself holds how far it came: after a takeover the present weights tell the
//! stage, and the shift goes on with the next one.

use super::traffic::{claim, find, late, servers, still_ours};
use super::{Context, Driver, failure, refused, uninspected, unread};
use crate::client::haproxy::{self, Server};
use crate::condition::evaluate;
use async_trait::async_trait;
use futures::future::join_all;
use standfast_core::action::{ASK_GATES, Balancer, Failure, FailureKind, Inspection};
use standfast_core::check::Check;
use standfast_core::time::Span;
use tokio::time::Instant;

pub(super) struct Shift<'a> {
    pub(super) balancer: &'a Balancer,
    pub(super) server: &'a str,
    pub(super) others: &'a [String],
    pub(super) weights: &'a [u8],
    pub(super) hold: Span,
    pub(super) gates: &'a [Check],
}

#[async_trait]
impl Driver for Shift<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        let servers = match servers(self.balancer, cx).await {
            Ok(servers) => servers,
            Err(error) => return uninspected(error),
        };
        match late(self.balancer, cx).await {
            Ok(None) => {}
            Ok(Some(why)) => return Inspection::Conflict(format!("{}, {why}", self.seen(&servers))),
            Err(error) => return uninspected(error),
        }
        match self.stage(&servers) {
            Err(why) => Inspection::Conflict(why),
            Ok(stage) if stage == self.weights.len() => Inspection::Satisfied(self.seen(&servers)),
            Ok(_) => Inspection::Needed(self.seen(&servers)),
        }
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        let mut now = servers(self.balancer, cx).await.map_err(unread)?;
        let first = self.stage(&now).map_err(refused)?;
        claim(self.balancer, cx).await?;
        for (stage, &weight) in self.weights.iter().enumerate().skip(first) {
            // Resumed in the middle, the stage that stands may just have been set.
            if stage > 0 {
                self.hold(stage, cx).await?;
                self.gates(stage, &now, cx).await?;
            }
            claim(self.balancer, cx).await?;
            cx.may_act()?;
            let Balancer { socket, .. } = self.balancer;
            haproxy::change(socket, &self.changes(weight), cx.env.source, cx.deadline)
                .await
                .map_err(failure)?;
            now = servers(self.balancer, cx).await.map_err(failure)?;
            still_ours(self.balancer, cx).await?;
            if self.stage(&now).map_err(refused)? != stage + 1 {
                let message = format!("weights were set and are not so: {}", self.seen(&now));
                return Err(Failure { kind: FailureKind::Failed, message });
            }
        }
        Ok(self.seen(&now))
    }
}

impl Shift<'_> {
    /// How many stages are done, by the weights that stand.
    fn stage(&self, servers: &[Server]) -> Result<usize, String> {
        let Balancer { socket, backend, .. } = self.balancer;
        let target = find(self.balancer, servers, self.server)?;
        if target.out_by_force() {
            return Err(format!(
                "{backend}/{} at {socket} is out of rotation, weight or not: `traffic.ready` first",
                self.server
            ));
        }
        let others = self
            .others
            .iter()
            .map(|name| find(self.balancer, servers, name))
            .collect::<Result<Vec<_>, _>>()?;
        let stands = |&weight: &u8| {
            let rest = u32::from(100 - weight.min(100));
            target.weight == u32::from(weight) && others.iter().all(|other| other.weight == rest)
        };
        Ok(self.weights.iter().rposition(stands).map_or(0, |stage| stage + 1))
    }

    /// The server that gains comes first: in between there is too much capacity, not too little.
    fn changes(&self, weight: u8) -> Vec<String> {
        let backend = &self.balancer.backend;
        let rest = 100 - weight.min(100);
        let gains = std::iter::once((self.server, weight));
        let others = self.others.iter().map(|name| (name.as_str(), rest));
        gains
            .chain(others)
            .map(|(name, weight)| format!("set server {backend}/{name} weight {weight}"))
            .collect()
    }

    async fn hold(&self, stage: usize, cx: &Context) -> Result<(), Failure> {
        let until = Instant::now() + self.hold.0;
        if until >= cx.deadline {
            let (hold, all) = (self.hold, self.weights.len());
            let message = format!(
                "{stage} of {all} stages stand, and holding {hold} would pass the deadline: give the step more time"
            );
            return Err(Failure { kind: FailureKind::Failed, message });
        }
        tokio::time::sleep_until(until).await;
        Ok(())
    }

    /// Customers on the weights that stand must be well before there are more of them.
    async fn gates(&self, stage: usize, now: &[Server], cx: &Context) -> Result<(), Failure> {
        let left = cx.deadline.saturating_duration_since(Instant::now()).min(ASK_GATES.0);
        let asking = self.gates.iter().map(|check| async move {
            let answer = evaluate(check, &cx.env, left).await;
            (!answer.holds()).then(|| format!("{check}: {}", answer.detail()))
        });
        let against: Vec<String> = join_all(asking).await.into_iter().flatten().collect();
        if against.is_empty() {
            return Ok(());
        }
        let (reached, last) = (self.weights[stage - 1], self.weights[self.weights.len() - 1]);
        let message = format!(
            "stopped at weight {reached} on the way to {last}, because a gate does not hold: {}; {}",
            against.join("; "),
            self.seen(now)
        );
        Err(Failure { kind: FailureKind::Failed, message })
    }

    fn seen(&self, servers: &[Server]) -> String {
        let weights: Vec<_> =
            servers.iter().map(|server| format!("{} {}", server.name, server.weight)).collect();
        format!("{} at {}: {}", self.balancer.backend, self.balancer.socket, weights.join(", "))
    }
}
