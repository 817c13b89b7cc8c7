//! One session with one PostgreSQL server.

mod epoch;

pub use epoch::Once;

use super::{Error, answered, clip, root, stream};
use crate::secrets::Secrets;
use secrecy::ExposeSecret;
use standfast_core::check::Database;
use standfast_core::lag::{Lsn, SystemId};
use std::net::IpAddr;
use tokio::time::Instant;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::{Error as PgError, SqlState};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_util::task::AbortOnDropHandle;

const PORT: u16 = 5432;
/// What the library says when it is asked for a password and has none.
const NO_PASSWORD: &str = "password missing";

/// An open session. Dropping it closes the connection, also in the middle of a query.
pub struct Session {
    client: Client,
    name: String,
    deadline: Instant,
    _connection: AbortOnDropHandle<()>,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which cluster it belongs to.
    pub system: SystemId,
    /// Set on a standby.
    pub standby: Option<Standby>,
    /// Written by a primary, received (or restored from an archive) by a standby.
    pub position: Lsn,
    /// Of a primary: grows by one with every promotion.
    pub timeline: Option<u32>,
}

/// What only a standby says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// How far it has applied what it received.
    pub replayed: Lsn,
    /// Whether a person has paused that.
    pub paused: bool,
    /// Whether it is connected to a primary.
    pub streaming: bool,
}

// `case` keeps each side from calling what the other side alone may call. After a restart a
// standby has received nothing yet but has replayed what it had; `greatest` passes over nulls.
const STATUS: &str = "\
    select (select system_identifier from pg_control_system()), \
           pg_is_in_recovery(), \
           case when pg_is_in_recovery() \
                then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) \
                else pg_current_wal_lsn() end, \
           case when pg_is_in_recovery() then pg_last_wal_replay_lsn() end, \
           case when pg_is_in_recovery() then pg_is_wal_replay_paused() else false end, \
           exists (select from pg_stat_wal_receiver where coalesce(status, 'streaming') = 'streaming'), \
           case when not pg_is_in_recovery() \
                then left(pg_walfile_name(pg_current_wal_lsn()), 8) end";

/// Names a server for people: `orders in a`.
pub fn name(database: &Database) -> String {
    format!("{} in {}", database.cluster, database.site)
}

/// Logs in.
pub async fn connect(
    database: &Database,
    secrets: &Secrets,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<Session, Error> {
    let name = name(database);
    let mut config: Config = database
        .dsn
        .parse()
        .map_err(|error: PgError| Error::Ours(format!("{name}: its dsn cannot be read: {}", root(&error))))?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(Error::Ours(format!("{name}: sslmode=require is not spoken by this version")));
    }
    if let Some(password) = &database.password {
        let value = secrets.get(password.as_str()).map_err(|e| Error::Ours(format!("{name}: {e}")))?;
        config.password(value.expose_secret());
    }
    config.application_name("standfast");
    if config.get_user().is_none() {
        return Err(Error::Ours(format!("{name}: its dsn names no user")));
    }
    let stream = open(&config, &name, source, deadline).await?;
    // To log in changes nothing, so silence here leaves the server as unreached as before.
    let login = async {
        let opened = config.connect_raw(stream, NoTls).await;
        opened.map_err(|error| match error.as_db_error() {
            None if config.get_password().is_none() && root(&error) == NO_PASSWORD => {
                Error::Denied(format!("{name} asks for a password, and the fleet names none"))
            }
            _ => login_error(&name, &error),
        })
    };
    let (client, connection) = answered(&name, deadline, login).await.map_err(|error| match error {
        Error::NoAnswer(text) => Error::Unreachable(text),
        other => other,
    })?;
    let connection = tokio::spawn(async move {
        // A connection that ends shows in the query that was waiting for it.
        let _ = connection.await;
    });
    Ok(Session { client, name, deadline, _connection: AbortOnDropHandle::new(connection) })
}

async fn open(
    config: &Config,
    name: &str,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<Box<dyn stream::Stream>, Error> {
    let port = config.get_ports().first().copied().unwrap_or(PORT);
    let named = |error| match error {
        Error::Ours(text) => Error::Ours(format!("{name}: {text}")),
        Error::Unreachable(text) => Error::Unreachable(format!("{name}: {text}")),
        other => other,
    };
    let tcp = async |host: String| {
        let stream = stream::tcp(&host, source, deadline).await.map_err(named)?;
        Ok(Box::new(stream) as Box<dyn stream::Stream>)
    };
    match (config.get_hostaddrs(), config.get_hosts()) {
        ([address], _) => tcp(std::net::SocketAddr::new(*address, port).to_string()).await,
        ([], [Host::Tcp(host)]) if host.contains(':') => tcp(format!("[{host}]:{port}")).await,
        ([], [Host::Tcp(host)]) => tcp(format!("{host}:{port}")).await,
        ([], [Host::Unix(folder)]) => {
            let path = folder.join(format!(".s.PGSQL.{port}"));
            Ok(Box::new(stream::unix(&path.to_string_lossy(), deadline).await.map_err(named)?))
        }
        _ => Err(Error::Ours(format!("{name}: its dsn must name one host"))),
    }
}

impl Session {
    /// What the server is and how far it has come.
    pub async fn status(&self) -> Result<Status, Error> {
        let row = self.row(STATUS).await?;
        let strange = |what: &str| Error::Failed(format!("{}: strange {what}: {row:?}", self.name));
        let field = |index: usize| row.get(index).and_then(Option::as_deref);
        let lsn = |index| field(index).map(|text| text.parse::<Lsn>().map_err(|_| strange("position")));
        let system = field(0).and_then(|id| id.parse().ok()).ok_or_else(|| strange("identifier"))?;
        let standby = match field(1) {
            Some("t") => Some(Standby {
                replayed: lsn(3).transpose()?.unwrap_or_default(),
                paused: field(4) == Some("t"),
                streaming: field(5) == Some("t"),
            }),
            Some("f") => None,
            _ => return Err(strange("role")),
        };
        Ok(Status {
            system: SystemId(system),
            standby,
            position: lsn(2).transpose()?.unwrap_or_default(),
            timeline: field(6).and_then(|hex| u32::from_str_radix(hex, 16).ok()),
        })
    }

    /// The first column of the first row of `sql`, as text; empty if it is null or missing.
    pub async fn scalar(&self, sql: &str) -> Result<String, Error> {
        Ok(self.row(sql).await?.into_iter().next().flatten().unwrap_or_default())
    }

    async fn row(&self, sql: &str) -> Result<Vec<Option<String>>, Error> {
        let asking = async { self.client.simple_query(sql).await.map_err(|e| query_error(&self.name, &e)) };
        let messages = answered(&self.name, self.deadline, asking).await?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(row.map_or(Vec::new(), |row| (0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()))
    }
}

fn login_error(name: &str, error: &PgError) -> Error {
    let Some(db) = error.as_db_error() else {
        return Error::Unreachable(format!("{name}: {}", root(error)));
    };
    let text = format!("{name}: {}", clip(db.message()));
    match db.code() {
        // Class 28, no such database, or no right to connect: the server lives.
        code if code.code().starts_with("28") => Error::Denied(text),
        &SqlState::INVALID_CATALOG_NAME | &SqlState::INSUFFICIENT_PRIVILEGE => Error::Denied(text),
        _ => Error::Unreachable(text),
    }
}

fn query_error(name: &str, error: &PgError) -> Error {
    match error.as_db_error() {
        Some(db) if db.code() == &SqlState::INSUFFICIENT_PRIVILEGE => {
            Error::Denied(format!("{name}: {}", clip(db.message())))
        }
        // Class 57: shut down or cancelled from outside, perhaps after it was done.
        Some(db) if db.code().code().starts_with("57") => {
            Error::NoAnswer(format!("{name}: {}", clip(db.message())))
        }
        Some(db) => Error::Failed(format!("{name}: {}", clip(db.message()))),
        None => Error::NoAnswer(format!("{name}: {}", root(error))),
    }
}
