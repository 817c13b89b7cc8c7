//! `postgres.promote`: make a standby the primary.
//!
//! A promotion cannot be taken back, and no table on the target can refuse a straggler. So it
//! rests on what is seen just before: that the server is a standby of this very cluster, that no
//! other server of it answers as a primary, and that no later leader has left its epoch in the
//! database, which a standby has from its primary.

use super::{Context, Driver, failure, refused, uninspected, unread};
use crate::client::Error;
use crate::client::postgres::{Session, Status, connect, name};
use crate::condition::postgres::{describe, status};
use async_trait::async_trait;
use standfast_core::action::{Failure, FailureKind, Inspection};
use standfast_core::check::Database;
use standfast_core::lag::SystemId;
use std::time::Duration;
use tokio::time::Instant;

/// For the other servers of the cluster, which in an emergency are dead. The fence is what
/// proves that; this only catches a fence that was wrong. It is asked twice, and a site that is cut off
/// answers neither time: every run of an emergency waits for it.
const OTHERS: Duration = Duration::from_millis(500);
/// Between two looks at how far the standby has replayed.
const LOOK: Duration = Duration::from_millis(50);
/// What is left of the deadline for reading back, after `pg_promote` was waited for.
const READ_BACK: Duration = Duration::from_secs(1);

pub(super) struct Promote<'a> {
    pub(super) database: &'a Database,
}

/// What is seen of the cluster.
struct View {
    status: Status,
    /// Other servers that answer as primaries, described.
    primaries: Vec<String>,
    /// The epoch that is kept in the database.
    held: Option<u64>,
    system: Option<SystemId>,
}

#[async_trait]
impl Driver for Promote<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        match self.look(cx).await {
            Ok(view) => self.judge(&view, cx),
            Err(error) => uninspected(error),
        }
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        let view = self.look(cx).await.map_err(unread)?;
        match self.judge(&view, cx) {
            Inspection::Satisfied(text) => return Ok(text),
            Inspection::Conflict(why) | Inspection::Unknown(why) => return Err(refused(why)),
            Inspection::Needed(_) if !view.primaries.is_empty() => {
                return Err(refused(format!(
                    "{} is not promoted: {}, so the cluster would have two; fence it first",
                    name(self.database),
                    view.primaries.join(", ")
                )));
            }
            Inspection::Needed(_) => {}
        }
        let env = &cx.env;
        let session = connect(self.database, &env.secrets, env.source, cx.deadline).await.map_err(unread)?;
        let replayed = self.replay(&session, cx).await?;
        let left = cx.deadline.saturating_duration_since(Instant::now()).saturating_sub(READ_BACK);
        let promote = format!("select pg_promote(true, {})", left.as_secs().max(1));
        cx.may_act()?;
        let promoted = session.scalar(&promote).await.map_err(|error| match error {
            Error::Denied(text) => Error::Denied(format!(
                "{text}: as a superuser, GRANT EXECUTE ON FUNCTION pg_promote TO the user of the dsn"
            )),
            other => other,
        });
        let promoted = promoted.map_err(failure)?;
        let after = session.status().await.map_err(failure)?;
        if promoted != "t" || after.standby.is_some() {
            let message = format!("{} was told to promote and is still a standby", name(self.database));
            return Err(Failure { kind: FailureKind::Ambiguous, message });
        }
        // It is promoted, whether the epoch can be left there or not.
        let _ = session.leave_epoch(cx.attempt.epoch.0).await;
        let timeline = after.timeline.unwrap_or_default();
        let name = name(self.database);
        Ok(format!(
            "{name} replayed all it had received, {replayed}, and is a primary on timeline {timeline}"
        ))
    }
}

impl Promote<'_> {
    async fn look(&self, cx: &Context) -> Result<View, Error> {
        let soon = cx.deadline.min(Instant::now() + OTHERS);
        let others = cx.env.clusters.others(self.database);
        let asking = others.iter().map(|other| async move { (other, status(other, &cx.env, soon).await) });
        let own = async {
            let session = connect(self.database, &cx.env.secrets, cx.env.source, cx.deadline).await?;
            // A role that may promote need not be allowed to read tables.
            Ok((session.status().await?, session.held_epoch().await.ok().flatten()))
        };
        let (others, own) = tokio::join!(futures::future::join_all(asking), own);
        let (status, held) = own?;
        let others: Vec<_> = others.into_iter().filter_map(|(at, found)| Some((at, found.ok()?))).collect();
        let primaries = others.iter().filter(|(_, status)| status.standby.is_none());
        Ok(View {
            status,
            held,
            primaries: primaries.map(|(at, status)| describe(at, status)).collect(),
            system: (others.first().map(|(_, status)| status.system))
                .or_else(|| cx.env.clusters.system(self.database)),
        })
    }

    fn judge(&self, view: &View, cx: &Context) -> Inspection {
        let View { status, primaries, held, system } = view;
        let seen = describe(self.database, status);
        if let Some(why) = held.and_then(|held| cx.fenced_by(held)) {
            return Inspection::Conflict(format!("{seen}, {why}"));
        }
        if let Some(system) = system.filter(|system| *system != status.system) {
            let own = status.system;
            return Inspection::Conflict(format!(
                "{seen}, but of another cluster: its system identifier is {own}, not {system}"
            ));
        }
        if status.standby.is_some() {
            let first = if primaries.is_empty() { "" } else { ", to be fenced first: " };
            return Inspection::Needed(format!("{seen}{first}{}", primaries.join(", ")));
        }
        match (primaries.is_empty(), status.timeline, system) {
            (false, ..) => Inspection::Conflict(format!("two primaries: {seen}, {}", primaries.join(", "))),
            (_, Some(1), _) => Inspection::Conflict(format!("{seen} that was never promoted")),
            (.., None) => {
                Inspection::Unknown(format!("{seen}, and nothing seen here tells that it is of this cluster"))
            }
            _ => Inspection::Satisfied(format!("{seen}, timeline {}", status.timeline.unwrap_or_default())),
        }
    }

    /// Waits until everything received is replayed. Promotion would replay it too, but nobody
    /// would see how much is left, nor that a person has paused it.
    async fn replay(&self, session: &Session, cx: &Context) -> Result<String, Failure> {
        let now = Instant::now();
        let until = now + cx.deadline.saturating_duration_since(now) / 2;
        loop {
            let status = session.status().await.map_err(unread)?;
            let Some(standby) = &status.standby else {
                return Err(refused(format!("{}, all at once", describe(self.database, &status))));
            };
            let (had, received) = (standby.replayed, status.position);
            if had >= received {
                return Ok(had.to_string());
            }
            let name = name(self.database);
            if standby.paused {
                return Err(refused(format!(
                    "{name} has replayed {had} of {received} and is paused: pg_wal_replay_resume() first"
                )));
            }
            if Instant::now() >= until {
                let message = format!(
                    "{name} has replayed {had} of {received} and is not promoted before the rest: give the \
                     step more time, or end its recovery_min_apply_delay"
                );
                return Err(Failure { kind: FailureKind::Failed, message });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
