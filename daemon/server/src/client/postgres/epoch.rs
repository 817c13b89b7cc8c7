//! The epoch in a database: who changed it last, compared and kept by the transaction that changes it.
//!
//! `standfast.epoch` has one row. A transaction that raises or repeats it holds that row until it ends,
//! so that those of two leaders come one after the other, and one with a lower epoch does nothing at
//! all. `standfast.done` names what was done, so that a step whose answer was lost is recognised. Both
//! are replicated like everything else: whoever is promoted knows them.

use super::super::{Error, answered, fenced};
use super::{Session, query_error};
use std::time::Duration;
use tokio::time::Instant;

const EXISTS: &str = "select to_regclass('standfast.epoch')";
const HELD: &str = "select epoch from standfast.epoch";
const CREATE: &str = "\
    create schema if not exists standfast; \
    create table standfast.epoch ( \
        one boolean primary key default true check (one), \
        epoch bigint not null, \
        at timestamptz not null default now()); \
    create table standfast.done ( \
        key text primary key, \
        epoch bigint not null, \
        at timestamptz not null default now())";
const CLAIM: &str = "\
    insert into standfast.epoch as held (epoch) values ($1) \
    on conflict (one) do update set epoch = excluded.epoch, at = excluded.at \
    where held.epoch <= excluded.epoch";
const MARK: &str = "insert into standfast.done (key, epoch) values ($1, $2) on conflict do nothing";
const MARKED: &str = "select epoch from standfast.done where key = $1";

/// What came of statements that are done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// Done now; how many rows they say they touched.
    Done(u64),
    /// Done before.
    Before,
}

impl Session {
    /// The epoch that is kept here; none if nobody has left one.
    pub async fn held_epoch(&self) -> Result<Option<u64>, Error> {
        if self.scalar(EXISTS).await?.is_empty() {
            return Ok(None);
        }
        let held = self.scalar(HELD).await?;
        Ok(held.parse().ok())
    }

    /// Keeps the epoch where there is a place for it already; whether it is kept now.
    pub async fn leave_epoch(&self, epoch: u64) -> Result<bool, Error> {
        if self.scalar(EXISTS).await?.is_empty() {
            return Ok(false);
        }
        Ok(self.execute(CLAIM, &[&wire(epoch)]).await? > 0)
    }

    /// The epoch under which `key` was done; none if it was not.
    pub async fn done_under(&self, key: &str) -> Result<Option<u64>, Error> {
        if self.scalar(EXISTS).await?.is_empty() {
            return Ok(None);
        }
        let row = self.answer(self.client.query_opt(MARKED, &[&key])).await?;
        Ok(row.and_then(|row| u64::try_from(row.get::<_, i64>(0)).ok()))
    }

    /// Runs statements in one transaction that is refused to a lower epoch and does nothing when `key`
    /// was done. [`Error::NoAnswer`] may have been committed; after any other error nothing was.
    pub async fn once(&self, epoch: u64, key: &str, statements: &[String]) -> Result<Once, Error> {
        let prepared = self.until_commit(epoch, key, statements).await.map_err(|error| match error {
            Error::NoAnswer(text) => Error::Failed(format!("{text}; nothing was committed")),
            other => other,
        })?;
        self.batch("commit").await?;
        Ok(prepared)
    }

    async fn until_commit(&self, epoch: u64, key: &str, statements: &[String]) -> Result<Once, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        // A server does not notice that its client is gone; this it does.
        let ms = left.as_millis();
        self.batch(&format!(
            "begin; set local statement_timeout = {ms}; set local idle_in_transaction_session_timeout = {ms}"
        ))
        .await?;
        if self.scalar(EXISTS).await?.is_empty() {
            self.batch(CREATE).await.map_err(|error| match error {
                Error::Denied(text) => Error::Denied(format!(
                    "{text}: for the epoch it needs a schema, GRANT CREATE ON DATABASE to the user of the dsn"
                )),
                other => other,
            })?;
        }
        if self.execute(CLAIM, &[&wire(epoch)]).await? == 0 {
            let held = self.held_epoch().await?.unwrap_or_default();
            return Err(Error::Denied(format!("{} is {}", self.name, fenced(held, epoch))));
        }
        if self.execute(MARK, &[&key, &wire(epoch)]).await? == 0 {
            return Ok(Once::Before);
        }
        let mut rows = 0;
        for (at, statement) in statements.iter().enumerate() {
            let touched = self.execute(statement, &[]).await.map_err(|error| match error {
                Error::Failed(text) => Error::Failed(format!("{text} (statement {})", at + 1)),
                Error::Denied(text) => Error::Denied(format!("{text} (statement {})", at + 1)),
                other => other,
            });
            rows += touched?;
        }
        Ok(Once::Done(rows))
    }

    /// One statement, and no more than one.
    async fn execute(
        &self,
        sql: &str,
        values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<u64, Error> {
        self.answer(self.client.execute(sql, values)).await
    }

    async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.answer(self.client.batch_execute(sql)).await
    }

    async fn answer<T>(
        &self,
        asking: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let asking = async { asking.await.map_err(|error| query_error(&self.name, &error)) };
        answered(&self.name, self.deadline, asking).await
    }
}

/// PostgreSQL has no unsigned numbers; no epoch comes near the end of signed ones.
fn wire(epoch: u64) -> i64 {
    i64::try_from(epoch).unwrap_or(i64::MAX)
}
