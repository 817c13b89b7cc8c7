//! `postgres.role` and `postgres.writable`.

use super::{Env, judged};
use crate::client::Error;
use crate::client::postgres::{Status, connect, name};
use standfast_core::check::{Answer, Database};
use tokio::time::Instant;

// In this order: a standby cannot take a transaction id, and a session that is read-only by
// default could, so taking one alone would prove too much.
const WRITABLE: &str = "\
    select case when pg_is_in_recovery() then 'is a standby' \
                when current_setting('transaction_read_only') = 'on' then 'is read-only' \
                when txid_current() > 0 then '' end";

/// Holds if the server is not in recovery.
pub(super) async fn is_primary(database: &Database, env: &Env, deadline: Instant) -> Result<Answer, Error> {
    let status = status(database, env, deadline).await?;
    Ok(judged(status.standby.is_none(), describe(database, &status)))
}

/// Holds if the server is in recovery, streaming or not.
pub(super) async fn is_standby(database: &Database, env: &Env, deadline: Instant) -> Result<Answer, Error> {
    let status = status(database, env, deadline).await?;
    Ok(judged(status.standby.is_some(), describe(database, &status)))
}

/// Holds if the server could write: not in recovery, and a transaction id was taken.
pub(super) async fn writable(database: &Database, env: &Env, deadline: Instant) -> Result<Answer, Error> {
    let session = connect(database, &env.secrets, env.source, deadline).await?;
    let refused = session.scalar(WRITABLE).await?;
    let name = name(database);
    Ok(if refused.is_empty() {
        Answer::Holds(format!("{name} accepts writes"))
    } else {
        Answer::Fails(format!("{name} {refused}"))
    })
}

/// Logs in and asks.
pub(crate) async fn status(database: &Database, env: &Env, deadline: Instant) -> Result<Status, Error> {
    connect(database, &env.secrets, env.source, deadline).await?.status().await
}

/// `orders in b is a standby at 0/3000148, streaming`.
pub(crate) fn describe(database: &Database, status: &Status) -> String {
    let (name, position) = (name(database), status.position);
    match &status.standby {
        None => format!("{name} is a primary at {position}"),
        Some(standby) => {
            let streaming = if standby.streaming { "streaming" } else { "not streaming" };
            format!("{name} is a standby at {position}, {streaming}")
        }
    }
}
