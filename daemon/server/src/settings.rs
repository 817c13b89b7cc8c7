//! Settings: what differs from member to member. `settings/default.toml` documents every
//! key; [`Settings`] is what the daemon uses, and one that exists is valid.

mod address;
mod check;
mod duration;
mod layers;
mod raw;
mod reference;
mod render;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, ConfigError};
use serde::{Deserialize, Serialize};
use standfast_core::ids::{MemberId, SiteId};

use crate::term::retention::Retention;
use layers::Layer;
use raw::Raw;
pub use reference::DEFAULT;

/// The file that is read if it exists and no other was named.
pub const SYSTEM_FILE: &str = "/etc/standfast/standfast.toml";

/// Settings of a member, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this member, unique in the fleet.
    pub member: MemberId,
    /// The site it stands in.
    pub site: SiteId,
    /// Folder of its own state.
    pub data_dir: PathBuf,
    /// Folder of secrets.
    pub secrets_dir: PathBuf,
    /// Folder with the bundle to load if the store holds none.
    pub bundle_dir: Option<PathBuf>,
    /// Where the fleet's state is kept.
    pub store: Store,
    /// Addresses it listens on.
    pub listen: Listen,
    /// Certificates of both listeners and of calls to other members.
    pub tls: Option<TlsFiles>,
    /// Logs.
    pub log: Log,
    /// Local address that probes come from; the system's choice if none.
    pub probe_source: Option<IpAddr>,
    /// How many probes may be in flight at once.
    pub probe_concurrency: usize,
    /// How long runs that have ended are kept.
    pub retention: Retention,
    /// How long draining may take.
    pub shutdown_deadline: Duration,
}

/// Where the fleet's state is kept.
#[derive(Clone, Debug)]
pub enum Store {
    /// A file in `data_dir`.
    Embedded,
    /// An etcd cluster.
    Etcd(Etcd),
}

/// How to reach etcd.
#[derive(Clone, Debug)]
pub struct Etcd {
    /// Client URLs, at least one; all http or all https.
    pub endpoints: Vec<String>,
    /// The authority of the endpoints' certificates; there if they are https.
    pub ca: Option<PathBuf>,
    /// Certificate and key shown to etcd.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Prefix of all keys, with `/` at both ends.
    pub prefix: String,
    /// How long one request to one endpoint may take.
    pub request_timeout: Duration,
}

/// The listeners. Each is on loopback, or there is TLS.
#[derive(Clone, Debug)]
pub struct Listen {
    /// gRPC.
    pub grpc: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
    /// Host and port at which others reach the gRPC listener, if not [`Listen::grpc`].
    pub advertise: Option<String>,
    /// The socket for reading, if there is one.
    pub socket: Option<PathBuf>,
}

impl Listen {
    /// What to tell others, given the address that the gRPC listener was bound to.
    pub fn advertised(&self, bound: SocketAddr) -> String {
        self.advertise.clone().unwrap_or_else(|| bound.to_string())
    }
}

/// PEM files of mutual TLS.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The private authority.
    pub ca: PathBuf,
    /// This member's certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Logs.
#[derive(Clone, Debug)]
pub struct Log {
    /// Form of a line.
    pub format: LogFormat,
    /// Lowest level, or a filter per part.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("must be text or json, and is {text:?}")),
        }
    }
}

/// The flags of `standfast serve` that are settings.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Settings file [default: $STANDFAST_CONFIG, else /etc/standfast/standfast.toml if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of this member [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub member: Option<String>,
    /// The site this member stands in
    #[arg(long, value_name = "SITE")]
    pub site: Option<String>,
    /// Folder of this member's own state
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Folder with the bundle to load if the store holds none
    #[arg(long, value_name = "DIR")]
    pub bundle_dir: Option<String>,
    /// Where the fleet's state is kept: embedded or etcd
    #[arg(long, value_name = "KIND")]
    pub store: Option<String>,
    /// Address of the gRPC listener
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen_grpc: Option<String>,
    /// Address of the HTTP listener
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen_http: Option<String>,
    /// Form of log lines: text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Lowest level of log lines
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Any other setting, as in --set etcd.prefix=/shop/ (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Flags {
    fn entries(&self) -> Vec<(&str, String, String)> {
        let named = [
            ("member", &self.member, "--member"),
            ("site", &self.site, "--site"),
            ("data_dir", &self.data_dir, "--data-dir"),
            ("bundle_dir", &self.bundle_dir, "--bundle-dir"),
            ("store", &self.store, "--store"),
            ("listen.grpc", &self.listen_grpc, "--listen-grpc"),
            ("listen.http", &self.listen_http, "--listen-http"),
            ("log.format", &self.log_format, "--log-format"),
            ("log.level", &self.log_level, "--log-level"),
        ];
        let any = self.set.iter().map(|(key, value)| (key.as_str(), value.clone(), "--set".to_owned()));
        named
            .into_iter()
            .filter_map(|(key, value, flag)| Some((key, value.clone()?, flag.to_owned())))
            .chain(any)
            .collect()
    }
}

/// Settings with the layer that said each key.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the daemon uses.
    pub settings: Settings,
    raw: Raw,
    origins: BTreeMap<String, String>,
}

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted.
    pub key: String,
    /// The layer that says so: a file, a variable, a flag; `default` if none does.
    pub origin: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    fn new(key: &str, origin: &str, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), origin: origin.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {} ({})", self.key, self.message, self.origin)
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The settings file cannot be read.
    #[error("settings file {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The settings file is not TOML.
    #[error("settings file {path} is not TOML: {message}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        message: String,
    },
    /// Keys or values are wrong; all that were found.
    #[error("settings: {}", list(.0))]
    Refused(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    match problems {
        [one] => one.to_string(),
        many => {
            let lines: Vec<_> = many.iter().map(|p| format!("\n  {p}")).collect();
            format!("{} problems{}", many.len(), lines.concat())
        }
    }
}

impl Settings {
    /// Settings from all layers: defaults, file, this process's environment, `flags`.
    pub fn load(flags: &Flags) -> Result<Loaded, SettingsError> {
        let text = |os: OsString| os.to_string_lossy().into_owned();
        let variables = std::env::vars_os().map(|(k, v)| (text(k), text(v))).collect();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        load(flags, &variables, Path::new(SYSTEM_FILE), &host)
    }
}

fn load(
    flags: &Flags,
    variables: &BTreeMap<String, String>,
    system_file: &Path,
    host: &str,
) -> Result<Loaded, SettingsError> {
    let known = reference::keys();
    let mut problems = Vec::new();
    let mut layers = vec![Layer::defaults()];
    if let Some((path, text)) = settings_file(flags, variables, system_file)? {
        layers.push(Layer::file(&path, &text, &known, &mut problems)?);
    }
    layers.push(Layer::environment(variables, &known, &mut problems));
    layers.push(Layer::flags(flags.entries(), &known, &mut problems));
    let mut origins = BTreeMap::new();
    layers.iter().for_each(|layer| layer.note_origins(&mut origins));
    if !problems.is_empty() {
        return Err(SettingsError::Refused(problems));
    }
    let refuse = |error| SettingsError::Refused(vec![decoding_problem(error, &origins)]);
    let mut raw: Raw = layers
        .into_iter()
        .fold(Config::builder(), |builder, layer| builder.add_source(layer))
        .build()
        .and_then(Config::try_deserialize)
        .map_err(refuse)?;
    if raw.member.is_none() {
        raw.member = Some(host.to_owned());
        origins.insert("member".to_owned(), "host name".to_owned());
    }
    let settings = check::check(&raw, &origins).map_err(SettingsError::Refused)?;
    Ok(Loaded { settings, raw, origins })
}

/// The file that was named must be there; the system's may be absent.
fn settings_file(
    flags: &Flags,
    variables: &BTreeMap<String, String>,
    system_file: &Path,
) -> Result<Option<(PathBuf, String)>, SettingsError> {
    let variable = variables.get("STANDFAST_CONFIG").filter(|v| !v.is_empty());
    let named = flags.config.clone().or_else(|| variable.map(PathBuf::from));
    let path = named.clone().unwrap_or_else(|| system_file.to_owned());
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(e) if e.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(source) => Err(SettingsError::Unreadable { path, source }),
    }
}

/// A value that is of the right kind, and yet no such value: a unit, an address, a word.
fn decoding_problem(error: ConfigError, origins: &BTreeMap<String, String>) -> Problem {
    let (key, message) = match error {
        ConfigError::At { error, key, .. } => (key, error.to_string()),
        other => (None, other.to_string()),
    };
    let key = key.unwrap_or_default();
    let origin = origins.get(&key).map_or("", String::as_str);
    Problem::new(&key, origin, message)
}

#[cfg(test)]
mod tests;
