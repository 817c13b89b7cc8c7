//! Actions, bound: what a step does to the world, and what can come of it.
//!
//! The contract is inspect, act, verify. An action answers whether there is anything to do
//! before it does it, and an exit status of 0 is not success: the step's verification is.

pub mod contract;

use crate::check::{Check, Database, RecordType};
use crate::ids::{Identity, ResourceId, SecretName, SiteId};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// For the gates of a ramp, each time: what has not answered by then does not hold.
pub const ASK_GATES: Span = Span::secs(2);

/// One HAProxy, reached over its runtime API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancer {
    /// Where it stands.
    pub site: SiteId,
    /// `tcp://host:port` or `unix:///path`.
    pub socket: String,
    /// The backend whose servers are weighed.
    pub backend: String,
}

/// A host, reached over ssh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The fleet, under whose name the host keeps the highest epoch that it has seen.
    pub fleet: String,
    /// The resource.
    pub name: ResourceId,
    /// Where it stands.
    pub site: SiteId,
    /// `host:port`.
    pub address: String,
    /// Who logs in there.
    pub user: String,
    /// Its public keys, as `ssh-keyscan` prints them without the host: no other is believed.
    pub host_keys: Vec<String>,
    /// The private key to log in with, by secret name; without one those of the member itself.
    pub key: Option<SecretName>,
}

/// A way to prove that a site can no longer write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum FenceProof {
    /// The site's lease expired and something in the site enforced it.
    SiteLeaseExpired,
    /// A command that cuts the power and exits 0 only when it has seen it gone.
    PowerOff {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// The old primary itself, known by its system identifier, answers that it is read-only.
    WritesRefused {
        /// The servers of the site to be fenced.
        databases: Vec<Database>,
        /// A server elsewhere, of the same system identifier.
        witness: Vec<Database>,
    },
    /// A person of this role gives their word, by name.
    OperatorWord {
        /// Who may.
        role: String,
    },
}

/// Whether an HTTP request of this method may be sent again, as its definition says.
pub fn repeats(method: &str) -> bool {
    !matches!(method, "POST" | "PATCH")
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action")]
pub enum Action {
    /// Make a standby the primary.
    #[serde(rename = "postgres.promote")]
    PostgresPromote {
        /// The standby.
        database: Database,
    },
    /// Take a server out of rotation on the balancer of its own site.
    #[serde(rename = "traffic.drain")]
    TrafficDrain {
        /// The balancer.
        balancer: Balancer,
        /// The server's name in the backend.
        server: String,
    },
    /// Put a server back into rotation.
    #[serde(rename = "traffic.ready")]
    TrafficReady {
        /// The balancer.
        balancer: Balancer,
        /// The server's name in the backend.
        server: String,
    },
    /// Move weight to a server, stage by stage.
    #[serde(rename = "traffic.shift")]
    TrafficShift {
        /// The balancer at the destination.
        balancer: Balancer,
        /// The server that gets each weight.
        server: String,
        /// The servers that share the rest, each getting `100 - weight`.
        others: Vec<String>,
        /// Percent, growing; the last is where it stays.
        weights: Vec<u8>,
        /// Pause between two weights.
        hold: Span,
        /// Asked after each hold: all hold, or no further weight is set.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gates: Vec<Check>,
    },
    /// Replace a record set by RFC 2136, signed.
    #[serde(rename = "dns.set")]
    DnsSet {
        /// `address:port` of the primary name server.
        server: String,
        /// The zone, fully qualified.
        zone: String,
        /// The name, fully qualified.
        name: String,
        /// The type.
        record_type: RecordType,
        /// Time to live.
        ttl: Span,
        /// TSIG key, by secret name.
        key: SecretName,
        /// The new set, sorted.
        values: Vec<String>,
    },
    /// One HTTP request.
    #[serde(rename = "http.request")]
    HttpRequest {
        /// Absolute URL.
        url: String,
        /// Method, in capitals.
        method: String,
        /// Headers; a value may be a secret.
        headers: BTreeMap<String, Value>,
        /// The body, sent as it is.
        body: Option<String>,
        /// Statuses that count as done.
        status: Vec<u16>,
        /// Whether it may be sent again.
        idempotent: bool,
        /// How long it may still take effect when its sender is gone; none: as long as the step's timeout.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        linger: Option<Span>,
    },
    /// A program on the acting member.
    #[serde(rename = "command.run")]
    CommandRun {
        /// Program and arguments; no shell.
        command: Vec<String>,
        /// Environment on top of the attempt's own variables.
        env: BTreeMap<String, Value>,
        /// Whether it may be run again.
        idempotent: bool,
        /// How long what it began may go on when its leader is gone; none: as long as the step's timeout.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        linger: Option<Span>,
    },
    /// A program on a host, over ssh.
    #[serde(rename = "ssh.run")]
    SshRun {
        /// The host.
        host: Host,
        /// Program and arguments; no shell.
        run: Vec<String>,
        /// Whether it may be run again.
        idempotent: bool,
    },
    /// Statements on a primary, in one transaction, once for each run and step.
    #[serde(rename = "postgres.run")]
    PostgresRun {
        /// The primary.
        database: Database,
        /// One statement each.
        sql: Vec<String>,
    },
    /// Wait until all conditions hold.
    #[serde(rename = "wait.until")]
    WaitUntil {
        /// The conditions.
        all: Vec<Check>,
    },
    /// Wait for people.
    #[serde(rename = "approval.ask")]
    ApprovalAsk {
        /// Who may approve.
        role: String,
        /// How many of them.
        quorum: u32,
        /// What is asked.
        message: String,
    },
    /// Prove that the site cannot write any more.
    #[serde(rename = "fence.prove")]
    FenceProve {
        /// The site.
        site: SiteId,
        /// Tried in order; one is enough.
        any_of: Vec<FenceProof>,
    },
}

/// A literal, or a secret by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// As written.
    Text(String),
    /// Read when acting; never printed, never journaled.
    Secret(SecretName),
}

impl Action {
    /// The dotted key of the playbook.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PostgresPromote { .. } => "postgres.promote",
            Self::TrafficDrain { .. } => "traffic.drain",
            Self::TrafficReady { .. } => "traffic.ready",
            Self::TrafficShift { .. } => "traffic.shift",
            Self::DnsSet { .. } => "dns.set",
            Self::HttpRequest { .. } => "http.request",
            Self::CommandRun { .. } => "command.run",
            Self::SshRun { .. } => "ssh.run",
            Self::PostgresRun { .. } => "postgres.run",
            Self::WaitUntil { .. } => "wait.until",
            Self::ApprovalAsk { .. } => "approval.ask",
            Self::FenceProve { .. } => "fence.prove",
        }
    }

    /// What it acts on, in a few words for people: "orders in b".
    pub fn target(&self) -> String {
        match self {
            Self::PostgresPromote { database } | Self::PostgresRun { database, .. } => {
                format!("{} in {}", database.cluster, database.site)
            }
            Self::TrafficDrain { balancer, server }
            | Self::TrafficReady { balancer, server }
            | Self::TrafficShift { balancer, server, .. } => {
                format!("{}/{server} in {}", balancer.backend, balancer.site)
            }
            Self::DnsSet { name, record_type, values, .. } => {
                format!("{name} {record_type:?} {}", values.join(", "))
            }
            Self::HttpRequest { method, url, .. } => format!("{method} {url}"),
            Self::CommandRun { command, .. } => command.first().cloned().unwrap_or_default(),
            Self::SshRun { host, run, .. } => {
                format!("{} on {} in {}", run.first().map_or("", String::as_str), host.name, host.site)
            }
            Self::WaitUntil { all } => all.iter().map(Check::to_string).collect::<Vec<_>>().join(", "),
            Self::ApprovalAsk { role, quorum, .. } => format!("{quorum} of {role}"),
            Self::FenceProve { site, .. } => site.to_string(),
        }
    }

    /// The server that it makes a primary, if it does that.
    pub fn promotes(&self) -> Option<&Database> {
        match self {
            Self::PostgresPromote { database } => Some(database),
            _ => None,
        }
    }

    /// The secrets that it needs, by name.
    pub fn secrets(&self) -> Vec<&SecretName> {
        fn of(values: &BTreeMap<String, Value>) -> Vec<&SecretName> {
            let secrets = values.values().filter_map(|value| match value {
                Value::Secret(name) => Some(name),
                Value::Text(_) => None,
            });
            secrets.collect()
        }
        match self {
            Self::PostgresPromote { database } | Self::PostgresRun { database, .. } => {
                database.password.iter().collect()
            }
            Self::SshRun { host, .. } => host.key.iter().collect(),
            Self::DnsSet { key, .. } => vec![key],
            Self::HttpRequest { headers, .. } => of(headers),
            Self::CommandRun { env, .. } => of(env),
            _ => Vec::new(),
        }
    }

    /// Whether an inspection can tell what acting would change. An HTTP request or a command
    /// cannot: it is acted without, and its verification proves it.
    pub fn previews(&self) -> bool {
        !matches!(self, Self::HttpRequest { .. } | Self::CommandRun { .. } | Self::SshRun { .. })
    }

    /// Whether it leaves something behind that could be taken back.
    pub fn changes(&self) -> bool {
        match self {
            Self::WaitUntil { .. } | Self::ApprovalAsk { .. } | Self::FenceProve { .. } => false,
            Self::HttpRequest { method, .. } => !matches!(method.as_str(), "GET" | "HEAD"),
            _ => true,
        }
    }

    /// Whether acting twice is the same as acting once.
    pub fn idempotent(&self) -> bool {
        match self {
            Self::HttpRequest { idempotent, .. }
            | Self::CommandRun { idempotent, .. }
            | Self::SshRun { idempotent, .. } => *idempotent,
            Self::PostgresPromote { .. } => false,
            _ => true,
        }
    }
}

/// What an inspection found, before anything is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", content = "detail", rename_all = "snake_case")]
pub enum Inspection {
    /// Already so; what was seen.
    Satisfied(String),
    /// There is something to do; what would change.
    Needed(String),
    /// The world contradicts the plan (the standby is a primary); a person must look.
    Conflict(String),
    /// The target could not be asked, or the action cannot preview.
    Unknown(String),
}

/// Why an act failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// How it failed, which decides what may follow.
    pub kind: FailureKind,
    /// What, where, and what to do.
    pub message: String,
}

/// How an act failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The target was not reached: nothing was done.
    Unreachable,
    /// The target said no: nothing was done, and asking again is no use.
    Refused,
    /// The target failed; it may have done part.
    Failed,
    /// No answer in time; it may have been done.
    Ambiguous,
}

/// The identity of one attempt, handed to targets so that they can refuse stragglers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The run.
    pub run: crate::ids::RunId,
    /// The step.
    pub step: crate::ids::StepId,
    /// From 1.
    pub attempt: u32,
    /// The leader's fencing token.
    pub epoch: crate::ids::Epoch,
    /// Who started the run.
    pub started_by: Identity,
}

impl Attempt {
    /// The same for every repetition of this step of this run, so a target may deduplicate.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}", self.run, self.step)
    }
}
