//! Why the daemon does not start, or did not end well.

use crate::bundles::{self, BundleError};
use crate::http;
use crate::store::StoreError;
use crate::tls::TlsError;
use standfast_core::ids::Identity;
use standfast_core::time::Span;
use std::path::PathBuf;
use std::time::Duration;

/// Why the daemon does not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A folder cannot be made.
    #[error("the data folder {path} (`data_dir`) cannot be made: {source}", path = path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the settings cannot be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Whose certificate is this?
    #[error("the certificate is {certificate}'s, and this member is {member}: they must be the same")]
    Name {
        /// The name in the certificate.
        certificate: Identity,
        /// The name in the settings.
        member: standfast_core::ids::MemberId,
    },
    /// Where does this member stand?
    #[error(
        "the certificate is of a member in {certificate} (its OU), and `site` is {site}: they must be the same; \
         a certificate without an OU serves in every site"
    )]
    Site {
        /// What the certificate says.
        certificate: String,
        /// What the settings say.
        site: standfast_core::ids::SiteId,
    },
    /// Another process has this member's name, and lives.
    #[error("{0}")]
    Taken(String),
    /// A listener.
    #[error(transparent)]
    Bind(#[from] http::BindError),
    /// The socket.
    #[error(transparent)]
    Socket(#[from] crate::socket::SocketError),
    /// What conditions and actions need.
    #[error("HTTP cannot be spoken: {0}")]
    Client(String),
    /// The bundle folder cannot be read.
    #[error(transparent)]
    Read(#[from] bundles::ReadError),
    /// The bundle folder holds no bundle.
    #[error("the bundle in {dir} has errors:\n{findings}", dir = dir.display())]
    Findings {
        /// The folder.
        dir: PathBuf,
        /// What is wrong, as `lint` shows it.
        findings: String,
    },
    /// The bundle cannot be stored.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Signals, or serving.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// gRPC.
    #[error("gRPC cannot be served: {0}")]
    Grpc(#[from] tonic::transport::Error),
    /// What was under way did not end in time.
    #[error("draining did not end within {}; what acted is looked at by the next leader", Span(*.0))]
    Drain(Duration),
}
