//! Conditions: typed, read-only questions, each with an answer in time.
//!
//! One registry behind probes, `require`, `verify` and `wait.until`. A condition Fails when its
//! target was asked and it is not so, or did not answer. It is Unknown when it could not be
//! asked from here: a missing secret, a password that is refused, a name that does not resolve.
//! That a dead site can also look like the latter only holds automation back.

pub mod dns;
pub mod http;
pub mod lag;
pub mod postgres;
pub mod tcp;

use crate::client::{self, Error};
use crate::look::Acting;
use crate::secrets::Secrets;
use crate::supervise::Supervisor;
use standfast_core::check::{Answer, Check, Role};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// For an answer that comes with the deadline to be told from none at all.
const GRACE: Duration = Duration::from_millis(5);

/// What asking and acting need from the daemon. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Env {
    /// Where passwords and keys are.
    pub secrets: Secrets,
    /// What this member has seen of the database clusters.
    pub clusters: Arc<lag::Clusters>,
    /// The address that connections leave from, where the protocol allows it.
    pub source: Option<IpAddr>,
    /// One client for all HTTP: no redirects, one connection a request.
    pub http: reqwest::Client,
    /// What commands are run under.
    pub supervisor: Supervisor,
    /// Connections to hosts.
    pub ssh: client::ssh::Links,
    /// Whether a step acts here now: looks wait.
    pub acting: Acting,
    /// This member's own certificates: their settings, and when each ends, in seconds since 1970.
    pub certificates: Vec<(String, i64)>,
    /// The wall clock, in Unix milliseconds: what others see of it is told by a look.
    pub wall_ms: fn() -> i64,
}

impl Env {
    /// With nothing sampled yet.
    pub fn new(secrets: Secrets, source: Option<IpAddr>) -> Result<Self, Error> {
        let http = client::http::client(source)?;
        let (clusters, supervisor, acting) = (Arc::default(), Supervisor::default(), Acting::default());
        let (certificates, wall_ms) = (Vec::new(), crate::clock::wall_ms as fn() -> i64);
        let ssh = client::ssh::Links::default();
        Ok(Self { secrets, clusters, source, http, supervisor, ssh, acting, certificates, wall_ms })
    }
}

/// Asks once. The answer is there within `timeout` and a few milliseconds, whatever the target
/// does; its text is one short line without secrets.
pub async fn evaluate(check: &Check, env: &Env, timeout: Duration) -> Answer {
    let deadline = Instant::now() + timeout;
    let asking = async {
        match check {
            Check::HttpGet { url, status, body, below } => {
                http::get(url, *status, body.as_deref(), *below, env, deadline).await
            }
            Check::TcpConnect { address } => tcp::connect(address, env, deadline).await,
            Check::DnsAnswers { server, name, record_type, is } => {
                dns::answers(server, name, *record_type, is, env, deadline).await
            }
            Check::PostgresRole { database, is: Role::Primary } => {
                postgres::is_primary(database, env, deadline).await
            }
            Check::PostgresRole { database, is: Role::Standby } => {
                postgres::is_standby(database, env, deadline).await
            }
            Check::PostgresWritable { database } => postgres::writable(database, env, deadline).await,
            Check::PostgresLag { replica, others, limit } => {
                lag::lag(replica, others, *limit, env, deadline).await
            }
        }
    };
    match tokio::time::timeout_at(deadline + GRACE, asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => unanswered(error),
        Err(_) => Answer::Fails(format!("no answer within {}", standfast_core::time::Span(timeout))),
    }
}

fn unanswered(error: Error) -> Answer {
    match error {
        Error::Ours(text) | Error::Denied(text) => Answer::Unknown(text),
        Error::Unreachable(text) | Error::Failed(text) | Error::NoAnswer(text) => Answer::Fails(text),
    }
}

/// Holds or Fails, with what was seen.
fn judged(holds: bool, seen: String) -> Answer {
    if holds { Answer::Holds(seen) } else { Answer::Fails(seen) }
}
