//! Actions: what a step does to the world, one file per target system.
//!
//! The contract is inspect, act, verify. `inspect` only reads, so a dry run is made of it.
//! `act` does the work and reads back what it wrote, where the target lets it; the step's own
//! verification comes after. An act may be told to do again what is done already.
//!
//! Everything sent can be lost on its way back. So a failure says how far it came, and only one
//! that is sure says that nothing was done.

mod command;
mod dns;
mod fence;
mod http;
mod people;
mod postgres;
mod shift;
mod sql;
mod ssh;
mod traffic;
mod values;
mod wait;

use crate::client::Error;
use crate::condition::Env;
use crate::site_lease::fence::Fences;
use crate::term::Validity;
use async_trait::async_trait;
use standfast_core::action::{Action, Attempt, Failure, FailureKind, Inspection};
use standfast_core::plan::Mode;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// For a failure that knows how far it came to be told from the bare deadline.
const GRACE: Duration = Duration::from_millis(20);

/// Everything an action gets besides its own parameters.
#[derive(Clone, Debug)]
pub struct Context {
    /// Who acts: handed to targets so that they can deduplicate and refuse stragglers.
    pub attempt: Attempt,
    /// Secrets, clients, what was sampled.
    pub env: Env,
    /// After this nothing is waited for.
    pub deadline: Instant,
    /// Why the site is left.
    pub mode: Mode,
    /// The point of the boot clock at which children are killed, wherever they are, because
    /// another member may act from then on; moved by every renewal. None outside a cluster.
    pub leash: Option<watch::Receiver<Duration>>,
    /// Until when an effect may start. None outside a cluster.
    pub validity: Option<Validity>,
    /// Set when this member may not act any longer: what runs is stopped, children are killed.
    pub cancel: CancellationToken,
    /// What the ends of site leases prove; known to the leader alone.
    pub fences: Option<Fences>,
}

impl Context {
    /// The last look before an effect that was preceded by waiting: the term may have run out.
    fn may_act(&self) -> Result<(), Failure> {
        if self.validity.as_ref().is_none_or(Validity::holds) {
            return Ok(());
        }
        let message = "this member may not act any longer".to_owned();
        Err(Failure { kind: FailureKind::Failed, message })
    }

    /// Why a target that was last changed under epoch `held` is not ours to change; none if it is,
    /// or if this is a dry run, which changes nothing and has no epoch.
    fn fenced_by(&self, held: u64) -> Option<String> {
        let own = self.attempt.epoch.0;
        (own > 0 && held > own).then(|| crate::client::fenced(held, own))
    }
}

/// One action, bound, against its target system. Called through [`inspect`] and [`act`], which
/// hold the deadline and the cancellation.
#[async_trait]
trait Driver: Send + Sync {
    async fn inspect(&self, cx: &Context) -> Inspection;
    async fn act(&self, cx: &Context) -> Result<String, Failure>;
}

fn driver(action: &Action) -> Box<dyn Driver + '_> {
    match action {
        Action::PostgresPromote { database } => Box::new(postgres::Promote { database }),
        Action::TrafficDrain { balancer, server } => {
            Box::new(traffic::Rotate { balancer, server, way: traffic::Way::Out })
        }
        Action::TrafficReady { balancer, server } => {
            Box::new(traffic::Rotate { balancer, server, way: traffic::Way::In })
        }
        Action::TrafficShift { balancer, server, others, weights, hold, gates } => {
            Box::new(shift::Shift { balancer, server, others, weights, hold: *hold, gates })
        }
        Action::DnsSet { server, zone, name, record_type, ttl, key, values } => {
            Box::new(dns::Set { server, zone, name, record_type: *record_type, ttl: *ttl, key, values })
        }
        Action::HttpRequest { url, method, headers, body, status, .. } => {
            Box::new(http::Request { url, method, headers, body: body.as_deref(), status })
        }
        Action::CommandRun { command, env, .. } => Box::new(command::Run { command, env }),
        Action::SshRun { host, run, .. } => Box::new(ssh::Run { host, run }),
        Action::PostgresRun { database, sql } => Box::new(sql::Run { database, sql }),
        Action::WaitUntil { all } => Box::new(wait::Until { all }),
        Action::ApprovalAsk { role, quorum, message } => {
            Box::new(people::Ask { role, quorum: *quorum, message })
        }
        Action::FenceProve { site, any_of } => Box::new(fence::Prove { site, any_of }),
    }
}

/// Looks whether there is anything to do. Changes nothing.
pub async fn inspect(action: &Action, cx: &Context) -> Inspection {
    let driver = driver(action);
    let found = in_time(cx, driver.inspect(cx)).await;
    found.unwrap_or_else(|why| Inspection::Unknown(format!("{}: {why}", action.name())))
}

/// Does it, and says what was seen of its effect.
pub async fn act(action: &Action, cx: &Context) -> Result<String, Failure> {
    let driver = driver(action);
    in_time(cx, driver.act(cx)).await.unwrap_or_else(|why| {
        let message = format!("{}: {why}; it may have been done", action.name());
        Err(Failure { kind: FailureKind::Ambiguous, message })
    })
}

/// What `work` comes to, unless it must stop before. Dropping it closes its connections and
/// kills its children.
async fn in_time<T>(cx: &Context, work: impl Future<Output = T>) -> Result<T, &'static str> {
    let work = tokio::time::timeout_at(cx.deadline + GRACE, work);
    match cx.cancel.run_until_cancelled(work).await {
        Some(Ok(done)) => Ok(done),
        Some(Err(_)) => Err("not done by its deadline"),
        None => Err("stopped, because this member may not act any longer"),
    }
}

/// An error while something that changes the target was under way.
fn failure(error: Error) -> Failure {
    let kind = match error {
        Error::Ours(_) | Error::Denied(_) => FailureKind::Refused,
        Error::Unreachable(_) => FailureKind::Unreachable,
        Error::Failed(_) => FailureKind::Failed,
        Error::NoAnswer(_) => FailureKind::Ambiguous,
    };
    Failure { kind, message: error.to_string() }
}

/// An error while the target was only read: silence then means that nothing was done.
fn unread(error: Error) -> Failure {
    match error {
        Error::NoAnswer(message) => Failure { kind: FailureKind::Unreachable, message },
        other => failure(other),
    }
}

/// An error during an inspection. What the target refuses to us now, it will refuse to the act.
fn uninspected(error: Error) -> Inspection {
    match error {
        Error::Denied(text) => Inspection::Conflict(text),
        other => Inspection::Unknown(other.to_string()),
    }
}

fn refused(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Refused, message: message.into() }
}
