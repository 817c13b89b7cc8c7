//! The settings as they are written: one field a key. [`super::check`] makes of them what
//! the daemon uses.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LogFormat, address, duration};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) member: Option<String>,
    pub(super) site: Option<String>,
    pub(super) data_dir: PathBuf,
    pub(super) secrets_dir: PathBuf,
    pub(super) bundle_dir: Option<PathBuf>,
    pub(super) store: RawStore,
    pub(super) etcd: RawEtcd,
    pub(super) listen: RawListen,
    #[serde(default)]
    pub(super) tls: RawTls,
    pub(super) log: RawLog,
    pub(super) probes: RawProbes,
    pub(super) retention: RawRetention,
    pub(super) shutdown: RawShutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub(super) enum RawStore {
    Embedded,
    Etcd,
}

impl TryFrom<String> for RawStore {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "embedded" => Ok(Self::Embedded),
            "etcd" => Ok(Self::Etcd),
            _ => Err(format!("must be embedded or etcd, and is {text:?}")),
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEtcd {
    pub(super) endpoints: Option<Vec<String>>,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) prefix: String,
    #[serde(with = "duration")]
    pub(super) request_timeout: Duration,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListen {
    #[serde(deserialize_with = "address::with_port")]
    pub(super) grpc: SocketAddr,
    #[serde(deserialize_with = "address::with_port")]
    pub(super) http: SocketAddr,
    pub(super) advertise: Option<String>,
    pub(super) socket: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) format: LogFormat,
    pub(super) level: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProbes {
    #[serde(default, deserialize_with = "address::alone")]
    pub(super) source: Option<IpAddr>,
    pub(super) concurrency: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRetention {
    pub(super) runs: u64,
    #[serde(with = "duration")]
    pub(super) age: Duration,
    pub(super) audit: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShutdown {
    #[serde(with = "duration")]
    pub(super) deadline: Duration,
}
