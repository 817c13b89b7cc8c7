//! From what is written to what is used: rules over several keys, all broken ones told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use standfast_core::ids::{MemberId, SiteId};

use crate::term::retention::Retention;

use super::raw::{Raw, RawStore};
use super::{Etcd, Listen, Log, Problem, Settings, Store, TlsFiles, duration};

/// The system takes 107, and it is made under a name that is a little longer.
const MAX_SOCKET_BYTES: usize = 100;

/// Checks `raw`; `origins` says which layer each key comes from.
pub(super) fn check(raw: &Raw, origins: &BTreeMap<String, String>) -> Result<Settings, Vec<Problem>> {
    let mut check = Check { origins, problems: Vec::new() };
    let member = check.name("member", raw.member.as_deref());
    let site = check.name("site", raw.site.as_deref());
    let store = check.store(raw);
    let tls = check.tls(raw);
    let listen = check.listen(raw, tls.is_some());
    if let Err(error) = crate::telemetry::filter(&raw.log.level) {
        check.problem("log.level", error.to_string());
    }
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    let (m, d) = (|m: u64| s(60 * m), |d: u64| s(86_400 * d));
    check.between("etcd.request_timeout", raw.etcd.request_timeout, ms(100), s(10));
    check.between("shutdown.deadline", raw.shutdown.deadline, s(1), m(10));
    let concurrency = usize::try_from(raw.probes.concurrency).unwrap_or(usize::MAX);
    if !(1..=1024).contains(&concurrency) {
        check.problem("probes.concurrency", format!("must be 1 to 1024, and is {concurrency}"));
    }
    let runs = usize::try_from(raw.retention.runs).unwrap_or(usize::MAX);
    if !(1..=100_000).contains(&runs) {
        check.problem("retention.runs", format!("must be 1 to 100000, and is {runs}"));
    }
    check.between("retention.age", raw.retention.age, d(1), d(365));
    let audit = raw.retention.audit;
    if !(1_000..=1_000_000).contains(&audit) {
        check.problem("retention.audit", format!("must be 1000 to 1000000, and is {audit}"));
    }
    match (member, site, store) {
        (Some(member), Some(site), Some(store)) if check.problems.is_empty() => Ok(Settings {
            member: MemberId::new(member),
            site: SiteId::new(site),
            data_dir: raw.data_dir.clone(),
            secrets_dir: raw.secrets_dir.clone(),
            bundle_dir: raw.bundle_dir.clone(),
            store,
            listen,
            tls,
            log: Log { format: raw.log.format, level: raw.log.level.clone() },
            probe_source: raw.probes.source,
            probe_concurrency: concurrency,
            retention: Retention { runs, age: raw.retention.age, audit },
            shutdown_deadline: raw.shutdown.deadline,
        }),
        _ => Err(check.problems),
    }
}

struct Check<'a> {
    origins: &'a BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn problem(&mut self, key: &str, message: impl Into<String>) {
        let origin = self.origins.get(key).map_or("not set", String::as_str);
        self.problems.push(Problem::new(key, origin, message));
    }

    fn name(&mut self, key: &str, name: Option<&str>) -> Option<String> {
        let Some(name) = name else {
            let variable = key.to_uppercase();
            self.problem(
                key,
                format!("is required: set it in the file, as STANDFAST_{variable} or with --{key}"),
            );
            return None;
        };
        if !crate::tls::is_name(name) {
            self.problem(
                key,
                format!(
                    "is \"{name}\", which is no name: use 1 to 63 of letters, digits, `-`, `_`, `.`, \
                     beginning with a letter or digit; `local` is taken"
                ),
            );
            return None;
        }
        Some(name.to_owned())
    }

    fn between(&mut self, key: &str, value: Duration, least: Duration, most: Duration) {
        if value < least || value > most {
            let [value, least, most] = [value, least, most].map(duration::format);
            self.problem(key, format!("must be {least} to {most}, and is {value}"));
        }
    }

    fn store(&mut self, raw: &Raw) -> Option<Store> {
        if raw.store == RawStore::Embedded {
            return Some(Store::Embedded);
        }
        let etcd = &raw.etcd;
        let endpoints = etcd.endpoints.clone().unwrap_or_default();
        if endpoints.is_empty() {
            self.problem("etcd.endpoints", "is required with store = \"etcd\"");
        }
        for endpoint in &endpoints {
            if let Err(why) = check_url(endpoint) {
                self.problem("etcd.endpoints", format!("has \"{}\", {why}", hide_user(endpoint)));
            }
        }
        let secure = endpoints.iter().filter(|e| e.starts_with("https://")).count();
        if secure != 0 && secure != endpoints.len() {
            self.problem("etcd.endpoints", "mixes http and https: use one of them for all");
        }
        if secure != 0 && etcd.ca.is_none() {
            self.problem("etcd.ca", "is required with https endpoints");
        }
        let prefix = &etcd.prefix;
        if prefix.len() < 2 || !prefix.starts_with('/') || !prefix.ends_with('/') {
            self.problem("etcd.prefix", format!("must begin and end with `/`, and is \"{prefix}\""));
        }
        let identity = match (&etcd.cert, &etcd.key) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            (Some(_), None) => {
                self.problem("etcd.key", "is required with etcd.cert");
                None
            }
            (None, Some(_)) => {
                self.problem("etcd.cert", "is required with etcd.key");
                None
            }
        };
        Some(Store::Etcd(Etcd {
            endpoints,
            ca: etcd.ca.clone(),
            identity,
            prefix: prefix.clone(),
            request_timeout: etcd.request_timeout,
        }))
    }

    fn tls(&mut self, raw: &Raw) -> Option<TlsFiles> {
        let files = [("tls.ca", &raw.tls.ca), ("tls.cert", &raw.tls.cert), ("tls.key", &raw.tls.key)];
        if let [(_, Some(ca)), (_, Some(cert)), (_, Some(key))] = files {
            let [ca, cert, key] = [ca, cert, key].map(PathBuf::clone);
            return Some(TlsFiles { ca, cert, key });
        }
        if files.iter().any(|(_, file)| file.is_some()) {
            for (key, _) in files.iter().filter(|(_, file)| file.is_none()) {
                self.problem(key, "is required: TLS needs tls.ca, tls.cert and tls.key");
            }
        }
        None
    }

    fn listen(&mut self, raw: &Raw, tls: bool) -> Listen {
        let listen = &raw.listen;
        let any_tls = raw.tls.ca.is_some() || raw.tls.cert.is_some() || raw.tls.key.is_some();
        for (key, address) in [("listen.grpc", listen.grpc), ("listen.http", listen.http)] {
            // Half a TLS is told already, and is what to mend.
            if !tls && !any_tls && !address.ip().is_loopback() {
                self.problem(key, unprotected(address));
            }
        }
        match &listen.advertise {
            None if listen.grpc.ip().is_unspecified() => self.problem(
                "listen.advertise",
                format!(
                    "is required, because listen.grpc is the wildcard {}: say at which host and port \
                     other members reach this one",
                    listen.grpc
                ),
            ),
            Some(text) if !is_host_and_port(text) => self.problem(
                "listen.advertise",
                format!("must be HOST:PORT, as in \"a1.example.net:7766\", and is \"{text}\""),
            ),
            _ => {}
        }
        if let Some(socket) = &listen.socket {
            let (path, bytes) = (socket.display(), socket.as_os_str().len());
            if !socket.is_absolute() {
                self.problem("listen.socket", format!("must be a path from the root, and is \"{path}\""));
            } else if bytes > MAX_SOCKET_BYTES {
                let most =
                    format!("must have at most {MAX_SOCKET_BYTES} bytes, as sockets do, and has {bytes}");
                self.problem("listen.socket", most);
            }
        }
        Listen {
            grpc: listen.grpc,
            http: listen.http,
            advertise: listen.advertise.clone(),
            socket: listen.socket.clone(),
        }
    }
}

fn unprotected(address: SocketAddr) -> String {
    format!(
        "is {address}, which is not loopback, and there is no TLS: anyone who reaches it could \
         command this fleet. Set tls.ca, tls.cert and tls.key (`standfast pki init` makes them), or \
         listen on 127.0.0.1"
    )
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let host_is_good = match bracketed {
        true => host[1..host.len() - 1].parse::<std::net::Ipv6Addr>().is_ok(),
        false => !host.is_empty() && host.chars().all(plain),
    };
    host_is_good && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn check_url(endpoint: &str) -> Result<(), &'static str> {
    let url = reqwest::Url::parse(endpoint).map_err(|_| "which is no URL")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("which must begin with http:// or https:// and a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("which holds a user name: use etcd.cert and etcd.key");
    }
    if url.path() != "/" || url.query().is_some() {
        return Err("which must end after host and port");
    }
    Ok(())
}

/// An endpoint for a message, without what stands before its `@`.
fn hide_user(endpoint: &str) -> String {
    match (endpoint.split_once("://"), endpoint.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        (None, Some((_, host))) => format!("...@{host}"),
        _ => endpoint.to_owned(),
    }
}
