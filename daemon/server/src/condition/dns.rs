//! `dns.answers`.

use super::{Env, judged};
use crate::client::{Error, dns};
use standfast_core::check::{Answer, RecordType};
use tokio::time::Instant;

/// Holds if the authoritative server holds exactly the values `is`.
pub(super) async fn answers(
    server: &str,
    name: &str,
    record_type: RecordType,
    is: &[String],
    env: &Env,
    deadline: Instant,
) -> Result<Answer, Error> {
    let mut wanted = is.iter().map(|v| dns::canonical(record_type, v)).collect::<Result<Vec<_>, _>>()?;
    wanted.sort();
    let records = dns::query(server, name, record_type, env.source, deadline).await?;
    let seen = if records.values.is_empty() { "nothing".into() } else { records.values.join(", ") };
    Ok(judged(records.values == wanted, format!("{name} is {seen} at {server}")))
}
