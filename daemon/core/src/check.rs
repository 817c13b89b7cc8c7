//! Conditions, bound: typed read-only questions with every address resolved.
//!
//! One registry serves probes, `require`, `verify`, `wait.until` and fence proofs. A playbook
//! names resources and `$to`; binding turns them into these, so nothing is left to choose.

use crate::finding::quoted;
use crate::ids::{ResourceId, SecretName, SiteId};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One PostgreSQL server: the side of a cluster that stands in `site`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// The cluster resource.
    pub cluster: ResourceId,
    /// Where this server stands.
    pub site: SiteId,
    /// libpq keyword/value connection string, without the password.
    pub dsn: String,
    /// Its password, by name.
    pub password: Option<SecretName>,
}

/// What a PostgreSQL server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Accepts writes; not in recovery.
    Primary,
    /// In recovery, streaming or not.
    Standby,
}

/// The type of a DNS record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    #[serde(rename = "AAAA")]
    Aaaa,
    /// Alias.
    #[serde(rename = "CNAME")]
    Cname,
}

/// How far a replica may lag behind its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LagLimit {
    /// Less than this much time of lost writes.
    Below(Span),
    /// Fewer than this many bytes of write-ahead log.
    BelowBytes(u64),
    /// Exactly none.
    Zero,
}

/// A question about the world that can be asked any number of times without changing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "check")]
pub enum Check {
    /// A GET is answered with `status`, in time, with `body` somewhere in the answer.
    #[serde(rename = "http.get")]
    HttpGet {
        /// Absolute URL.
        url: String,
        /// Expected status code.
        status: u16,
        /// Text that the body must contain.
        body: Option<String>,
        /// The answer must be complete within this.
        below: Option<Span>,
    },
    /// A TCP connection opens.
    #[serde(rename = "tcp.connect")]
    TcpConnect {
        /// `host:port`.
        address: String,
    },
    /// An authoritative server answers with exactly these values.
    #[serde(rename = "dns.answers")]
    DnsAnswers {
        /// `address:port` of the name server.
        server: String,
        /// Fully qualified name.
        name: String,
        /// Record type.
        record_type: RecordType,
        /// The expected set, sorted.
        is: Vec<String>,
    },
    /// A PostgreSQL server is what it should be.
    #[serde(rename = "postgres.role")]
    PostgresRole {
        /// The server asked.
        database: Database,
        /// The expected role.
        is: Role,
    },
    /// A PostgreSQL server accepts a write (asked without writing a row: not in recovery,
    /// and a transaction id can be taken).
    #[serde(rename = "postgres.writable")]
    PostgresWritable {
        /// The server asked.
        database: Database,
    },
    /// A replica is near enough to its primary, by CORRECTNESS of lag: measured against the
    /// primary's last sampled positions, not against the replica's replay clock.
    #[serde(rename = "postgres.lag")]
    PostgresLag {
        /// The replica asked.
        replica: Database,
        /// The other servers of the cluster, one of which is or was the primary.
        others: Vec<Database>,
        /// The budget.
        limit: LagLimit,
    },
}

/// The kinds of probe: a site is DOWN only when two of them fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// HTTP.
    Http,
    /// Bare TCP.
    Tcp,
    /// DNS.
    Dns,
    /// PostgreSQL.
    Postgres,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Dns => "dns",
            Self::Postgres => "postgres",
        })
    }
}

impl Check {
    /// The kind of probe this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::HttpGet { .. } => Kind::Http,
            Self::TcpConnect { .. } => Kind::Tcp,
            Self::DnsAnswers { .. } => Kind::Dns,
            Self::PostgresRole { .. } | Self::PostgresWritable { .. } | Self::PostgresLag { .. } => {
                Kind::Postgres
            }
        }
    }
}

/// One line for people: what is asked, of whom.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HttpGet { url, status, body, .. } => {
                write!(f, "http.get {url} is {status}")?;
                body.as_ref().map_or(Ok(()), |body| write!(f, " with {}", quoted(body)))
            }
            Self::TcpConnect { address } => write!(f, "tcp.connect {address}"),
            Self::DnsAnswers { server, name, record_type, is } => {
                write!(f, "dns.answers {name} {record_type:?} is {} at {server}", is.join(", "))
            }
            Self::PostgresRole { database, is } => {
                let is = match is {
                    Role::Primary => "primary",
                    Role::Standby => "standby",
                };
                write!(f, "postgres.role {} in {} is {is}", database.cluster, database.site)
            }
            Self::PostgresWritable { database } => {
                write!(f, "postgres.writable {} in {}", database.cluster, database.site)
            }
            Self::PostgresLag { replica, limit, .. } => {
                write!(f, "postgres.lag {} in {} ", replica.cluster, replica.site)?;
                match limit {
                    LagLimit::Below(span) => write!(f, "below {span}"),
                    LagLimit::BelowBytes(bytes) => write!(f, "below {bytes} bytes"),
                    LagLimit::Zero => f.write_str("is 0"),
                }
            }
        }
    }
}

/// What a condition answered. `Unknown` is neither: it could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", content = "detail", rename_all = "snake_case")]
pub enum Answer {
    /// It holds; what was seen.
    Holds(String),
    /// It does not hold; what was seen instead.
    Fails(String),
    /// It could not be asked, and why.
    Unknown(String),
}

impl Answer {
    /// Whether the condition was seen to hold.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Holds(_))
    }

    /// What was seen, or why nothing could be.
    pub fn detail(&self) -> &str {
        match self {
            Self::Holds(text) | Self::Fails(text) | Self::Unknown(text) => text,
        }
    }
}
