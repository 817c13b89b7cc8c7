//! `postgres.run`: statements on a primary, in one transaction with the epoch that allows them.

use super::{Context, Driver, failure, refused, uninspected, unread};
use crate::client::Error;
use crate::client::clip;
use crate::client::postgres::{Once, connect, name};
use crate::condition::postgres::describe;
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use standfast_core::action::{Failure, Inspection};
use standfast_core::check::Database;

pub(super) struct Run<'a> {
    pub(super) database: &'a Database,
    pub(super) sql: &'a [String],
}

#[async_trait]
impl Driver for Run<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        self.look(cx).await.unwrap_or_else(uninspected)
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        let (env, name) = (&cx.env, name(self.database));
        let session = connect(self.database, &env.secrets, env.source, cx.deadline).await.map_err(unread)?;
        let status = session.status().await.map_err(unread)?;
        if status.standby.is_some() {
            return Err(refused(format!(
                "{}: nothing can be changed there",
                describe(self.database, &status)
            )));
        }
        if let Some(why) = self.stranger(cx, &status) {
            return Err(refused(why));
        }
        cx.may_act()?;
        let done = session.once(cx.attempt.epoch.0, &self.key(cx), self.sql).await.map_err(failure)?;
        Ok(match done {
            Once::Done(rows) => {
                format!("{name}: {} committed, {rows} rows, under epoch {}", self.count(), cx.attempt.epoch)
            }
            Once::Before => format!("{name}: {} committed before", self.count()),
        })
    }
}

impl Run<'_> {
    async fn look(&self, cx: &Context) -> Result<Inspection, Error> {
        let (env, name) = (&cx.env, name(self.database));
        let session = connect(self.database, &env.secrets, env.source, cx.deadline).await?;
        let status = session.status().await?;
        if let Some(why) = self.stranger(cx, &status) {
            return Ok(Inspection::Conflict(why));
        }
        if let Some(why) = session.held_epoch().await?.and_then(|held| cx.fenced_by(held)) {
            return Ok(Inspection::Conflict(format!("{name} is {why}")));
        }
        if let Some(epoch) = session.done_under(&self.key(cx)).await? {
            return Ok(Inspection::Satisfied(format!(
                "{name}: {} committed before, under epoch {epoch}",
                self.count()
            )));
        }
        let first = clip(self.sql.first().map_or("", String::as_str));
        let seen = describe(self.database, &status);
        let then = if status.standby.is_some() { ", once it is a primary" } else { "" };
        Ok(Inspection::Needed(format!("{seen}; {} to be run{then}: {first}", self.count())))
    }

    /// Why this server is not the one that is meant, if it is not.
    fn stranger(&self, cx: &Context, status: &crate::client::postgres::Status) -> Option<String> {
        let system = cx.env.clusters.system(self.database).filter(|system| *system != status.system)?;
        Some(format!(
            "{} is of another cluster: its system identifier is {}, not {system}",
            describe(self.database, status),
            status.system
        ))
    }

    /// The same for every attempt of this step of this run, and another for what takes it back.
    fn key(&self, cx: &Context) -> String {
        let digest = Sha256::digest(self.sql.join("\0"));
        let short = digest.iter().take(4).fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        format!("{}/{short:08x}", cx.attempt.idempotency_key())
    }

    fn count(&self) -> String {
        match self.sql.len() {
            1 => "1 statement".to_owned(),
            many => format!("{many} statements"),
        }
    }
}
