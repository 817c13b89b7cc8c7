//! What an inspection does not tell of a step's target: whether it is reached, takes who we are,
//! and would let us do it. Each question only reads, or is one that the target must refuse.

use super::http;
use crate::client::{Error, dns, haproxy, postgres, ssh, stream};
use crate::condition::Env;
use secrecy::ExposeSecret as _;
use standfast_core::action::{Action, Balancer, Host};
use standfast_core::check::Database;
use standfast_core::look::{Kind, Severity, Trouble};
use standfast_core::plan::{Step, Unreachable};
use standfast_core::time::Span;
use tokio::time::Instant;

/// Asks whether the role may promote; the arguments are those of PostgreSQL 12 and later.
const MAY_PROMOTE: &str = "select has_function_privilege('pg_promote(boolean, integer)', 'execute')";

/// Asks whether the role may keep an epoch, or make the place for it.
const MAY_KEEP: &str = "\
    select case when to_regclass('standfast.epoch') is null \
                then has_database_privilege(current_database(), 'create') \
                else has_table_privilege('standfast.epoch', 'update') end";

/// What stands in the way of a step, seen from here.
pub(super) async fn troubles(step: &Step, env: &Env, deadline: Instant) -> Vec<Trouble> {
    let mut found = secrets(&step.action, env);
    // Without its secret nothing more can be told of a target, and the reason is known.
    if found.is_empty() {
        found = match &step.action {
            Action::PostgresPromote { database } => promotion(database, env, deadline).await,
            Action::PostgresRun { database, .. } => statements(database, env, deadline).await,
            Action::SshRun { host, .. } => login(host, env, deadline).await,
            Action::TrafficDrain { balancer, server } | Action::TrafficReady { balancer, server } => {
                balancing(balancer, &[server], env, deadline).await
            }
            Action::TrafficShift { balancer, server, others, .. } => {
                let servers: Vec<&String> = std::iter::once(server).chain(others).collect();
                balancing(balancer, &servers, env, deadline).await
            }
            Action::DnsSet { .. } => record(&step.action, env, deadline).await,
            Action::HttpRequest { url, .. } => request(url, env, deadline).await,
            _ => Vec::new(),
        };
    }
    if step.unreachable == Unreachable::Skip {
        // Expected of a lost site: the step is left out then.
        for trouble in found.iter_mut().filter(|trouble| trouble.kind == Kind::Reachability) {
            trouble.severity = Severity::Note;
        }
    }
    found
}

/// Secrets that this member lacks.
fn secrets(action: &Action, env: &Env) -> Vec<Trouble> {
    let missing = action.secrets().into_iter().filter_map(|name| {
        let error = env.secrets.get(name.as_str()).err()?;
        Some(Trouble::error(Kind::Credentials, format!("secret {name}"), error.to_string()))
    });
    missing.collect()
}

/// An error as a trouble; what `denied` means depends on how far we were.
pub(super) fn trouble(error: Error, about: &str, denied: Kind) -> Trouble {
    let kind = match &error {
        Error::Ours(_) | Error::Unreachable(_) | Error::NoAnswer(_) => Kind::Reachability,
        Error::Denied(_) => denied,
        Error::Failed(_) => Kind::Target,
    };
    Trouble::error(kind, about, error.to_string())
}

async fn promotion(database: &Database, env: &Env, deadline: Instant) -> Vec<Trouble> {
    let name = postgres::name(database);
    let session = match postgres::connect(database, &env.secrets, env.source, deadline).await {
        Ok(session) => session,
        Err(error) => return vec![trouble(error, &name, Kind::Credentials)],
    };
    match session.scalar(MAY_PROMOTE).await {
        Ok(may) if may == "t" => Vec::new(),
        Ok(_) => vec![Trouble::error(
            Kind::Privilege,
            &name,
            format!(
                "the user of {name} may not promote it: as a superuser on the primary, GRANT EXECUTE ON \
                 FUNCTION pg_promote TO the user of the dsn"
            ),
        )],
        Err(error) => vec![trouble(error, &name, Kind::Privilege)],
    }
}

async fn statements(database: &Database, env: &Env, deadline: Instant) -> Vec<Trouble> {
    let name = postgres::name(database);
    let session = match postgres::connect(database, &env.secrets, env.source, deadline).await {
        Ok(session) => session,
        Err(error) => return vec![trouble(error, &name, Kind::Credentials)],
    };
    match session.scalar(MAY_KEEP).await {
        Ok(may) if may == "t" => Vec::new(),
        Ok(_) => vec![Trouble::error(
            Kind::Privilege,
            &name,
            format!(
                "the user of {name} may not keep the epoch there: on the primary, GRANT CREATE ON DATABASE to \
                 the user of the dsn, or give it the tables of the schema standfast"
            ),
        )],
        Err(error) => vec![trouble(error, &name, Kind::Privilege)],
    }
}

async fn login(host: &Host, env: &Env, deadline: Instant) -> Vec<Trouble> {
    let means = ssh::Means { secrets: &env.secrets, supervisor: &env.supervisor, source: env.source };
    match env.ssh.connect(host, means, deadline).await {
        Ok(_) => Vec::new(),
        Err(error) => vec![trouble(error, &ssh::name(host), Kind::Credentials)],
    }
}

async fn balancing(balancer: &Balancer, servers: &[&String], env: &Env, deadline: Instant) -> Vec<Trouble> {
    let Balancer { socket, backend, .. } = balancer;
    let level = haproxy::level(socket, env.source, deadline).await;
    let mut found = match level {
        Ok(level) if level == "admin" => Vec::new(),
        Ok(level) => vec![Trouble::error(
            Kind::Privilege,
            socket,
            format!("{socket} is at level {level}, which changes nothing: it needs `level admin`"),
        )],
        Err(error) => return vec![trouble(error, socket, Kind::Privilege)],
    };
    // The name goes into a line; a name of another form is the inspection's to refuse.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if backend.is_empty() || !backend.chars().all(plain) {
        return found;
    }
    match haproxy::servers(socket, backend, env.source, deadline).await {
        Ok(known) => {
            let missing = servers.iter().filter(|name| known.iter().all(|server| server.name != ***name));
            found.extend(missing.map(|name| {
                let about = format!("{backend}/{name} at {socket}");
                let words = format!("backend {backend} at {socket} has no server {name}");
                Trouble::error(Kind::Balancer, about, words)
            }));
        }
        Err(Error::Denied(text)) => {
            found.push(Trouble::error(Kind::Balancer, format!("{backend} at {socket}"), text));
        }
        Err(error) => found.push(trouble(error, socket, Kind::Privilege)),
    }
    found
}

async fn record(action: &Action, env: &Env, deadline: Instant) -> Vec<Trouble> {
    let Action::DnsSet { server, zone, name, record_type, ttl, key, .. } = action else { return Vec::new() };
    let now = match dns::query(server, name, *record_type, env.source, deadline).await {
        Ok(now) => now,
        Err(error) => return vec![trouble(error, server, Kind::Privilege)],
    };
    let mut found = Vec::new();
    if let Some(served) = now.ttl_s.map(|s| Span::secs(s.into())).filter(|served| served > ttl) {
        let words = format!(
            "{name} is served with a TTL of {served} and the fleet says {ttl}: for so long the old value is kept elsewhere"
        );
        found.push(Trouble::warning(Kind::Ttl, name, words));
    }
    let key = env.secrets.get(key.as_str()).map_err(|error| error.to_string()).and_then(|secret| {
        dns::Key::parse(secret.expose_secret()).map_err(|why| format!("secret `{key}` {why}"))
    });
    let key = match key {
        Ok(key) => key,
        Err(why) => {
            found.push(Trouble::error(Kind::Credentials, server, why));
            return found;
        }
    };
    match dns::may_update(server, zone, (name, *record_type), &now, &key, env.source, deadline).await {
        Ok(dns::Privilege::Granted) => {}
        Ok(dns::Privilege::Missing(why)) => found.push(Trouble::error(Kind::Privilege, name, why)),
        Ok(dns::Privilege::Unknown(why)) => {
            found.push(Trouble { severity: Severity::Note, ..Trouble::error(Kind::Privilege, name, why) });
        }
        Err(error) => found.push(trouble(error, server, Kind::Credentials)),
    }
    found
}

async fn request(url: &str, env: &Env, deadline: Instant) -> Vec<Trouble> {
    let Some(address) = http::address(url) else { return Vec::new() };
    let address = format!("{}:{}", address.host, address.port);
    match stream::tcp(&address, env.source, deadline).await {
        Ok(_) => Vec::new(),
        Err(error) => vec![trouble(error, &address, Kind::Reachability)],
    }
}
