//! Mutual TLS of both listeners and of calls to other members, and who the caller is.
//!
//! The name in a caller's certificate is its identity. On loopback without TLS everyone is
//! `local`; a certificate with that name is refused, so that nobody gets it from afar.

mod files;

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use standfast_core::ids::Identity;
use standfast_proto::reason;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::transport::{Certificate, ClientTlsConfig, Identity as Pair, ServerTlsConfig};
use tonic_types::{ErrorDetails, StatusExt};
use x509_parser::prelude::{FromDer, X509Certificate};

pub use files::TlsError;

use crate::settings::TlsFiles;

/// The identity of a caller on loopback without TLS.
pub const LOCAL: &str = "local";

/// Certificate, key and authority of this process, read and found to fit together.
#[derive(Clone)]
pub struct Tls {
    ca: Vec<u8>,
    cert: Vec<u8>,
    key: Vec<u8>,
    server: Arc<ServerConfig>,
    name: Identity,
    units: Vec<String>,
    expires: i64,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).field("expires", &self.expires).finish()
    }
}

impl Tls {
    /// Reads the files. The key must be closed to others (0600) and belong to the
    /// certificate, and the certificate must carry a name.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        install_provider();
        let ca = files::read(&files.ca)?;
        let cert = files::read(&files.cert)?;
        let key = files::read_key(&files.key)?;
        let unusable =
            |path: &std::path::Path, why: String| TlsError::Unusable { path: path.to_owned(), why };
        let mut roots = RootCertStore::empty();
        for der in files::certificates(&files.ca, &ca)? {
            roots.add(der).map_err(|e| unusable(&files.ca, e.to_string()))?;
        }
        let chain = files::certificates(&files.cert, &cert)?;
        let leaf = chain.first().expect("certificates() returns at least one");
        let name = name_of(leaf).map_err(|e| unusable(&files.cert, e.to_string()))?;
        let units = units_of(leaf).map_err(|e| unusable(&files.cert, e.to_string()))?;
        let expires = expiry_of(leaf).map_err(|e| unusable(&files.cert, e.to_string()))?;
        let private = rustls::pki_types::PrivateKeyDer::from_pem_slice(&key)
            .map_err(|e| unusable(&files.key, format!("no private key in PEM ({e})")))?;
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .build()
            .map_err(|e| unusable(&files.ca, e.to_string()))?;
        let mut server = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, private)
            .map_err(|e| unusable(&files.key, format!("does not fit {}: {e}", files.cert.display())))?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { ca, cert, key, server: Arc::new(server), name, units, expires })
    }

    /// The name in our own certificate.
    pub fn name(&self) -> &Identity {
        &self.name
    }

    /// The organizational units (OU) in our own certificate: a member's site, as `standfast pki`
    /// makes them; none when the authority writes none.
    pub fn units(&self) -> &[String] {
        &self.units
    }

    /// When our own certificate ends, in seconds since 1970.
    pub fn expires(&self) -> i64 {
        self.expires
    }

    /// For the gRPC listener: callers must show a certificate of our authority.
    pub fn server_config(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Pair::from_pem(&self.cert, &self.key))
            .client_ca_root(Certificate::from_pem(&self.ca))
            .timeout(HANDSHAKE_TIMEOUT)
    }

    /// For calls to a member, which must show a certificate of our authority that has the
    /// host that was called among its names.
    pub fn client_config(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .identity(Pair::from_pem(&self.cert, &self.key))
            .ca_certificate(Certificate::from_pem(&self.ca))
    }

    /// For the HTTP listener, with the same demands as [`Tls::server_config`].
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.server))
    }
}

/// How long a caller may take to shake hands.
pub const HANDSHAKE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Chooses ring for all TLS of this process. Two providers are linked in (reqwest brings
/// another), and rustls panics rather than choose; call this before any TLS, as often as
/// you like.
pub fn install_provider() {
    // An error means that one is installed already, which is all that is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Why a certificate gives no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Not an X.509 certificate.
    #[error("no X.509 certificate: {0}")]
    Malformed(String),
    /// Not exactly one common name, or one that is no name.
    #[error(
        "its subject must have exactly one common name: 1 to 63 of letters, digits, `-`, `_`, `.`, \
         beginning with a letter or digit, and not `local`"
    )]
    Name,
    /// A connection that is neither TLS nor on loopback.
    #[error("the caller is neither on loopback nor shows a certificate")]
    Unknown,
}

/// Who sent a gRPC request: an [`Identity`] laid into its extensions (by the JSON
/// interface, which has asked already), else the name in the certificate, else `local`.
pub fn identify<T>(request: &tonic::Request<T>) -> Result<Identity, tonic::Status> {
    let extensions = request.extensions();
    let identity = if let Some(identity) = extensions.get::<Identity>() {
        Ok(identity.clone())
    } else if let Some(tls) = extensions.get::<TlsConnectInfo<TcpConnectInfo>>() {
        identity_of(tls.peer_certs().as_deref().map(Vec::as_slice))
    } else {
        let remote = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
        match remote {
            Some(remote) if remote.ip().to_canonical().is_loopback() => Ok(Identity::new(LOCAL)),
            _ => Err(IdentityError::Unknown),
        }
    };
    identity.map_err(|error| {
        let info = ErrorDetails::with_error_info(reason::NO_CERTIFICATE, reason::DOMAIN, []);
        let message = format!("who are you? {error}");
        tonic::Status::with_error_details(tonic::Code::Unauthenticated, message, info)
    })
}

/// The identity of a TLS peer, whose chain begins with its own certificate.
pub fn identity_of(chain: Option<&[CertificateDer<'_>]>) -> Result<Identity, IdentityError> {
    name_of(chain.and_then(<[_]>::first).ok_or(IdentityError::Unknown)?)
}

/// Whether `name` may be the name of a member or client: it goes into certificates, keys
/// and file names.
pub fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(plain)
        && name != LOCAL
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, IdentityError> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|e| IdentityError::Malformed(e.to_string()))?;
    Ok(certificate)
}

fn name_of(der: &CertificateDer<'_>) -> Result<Identity, IdentityError> {
    let certificate = parse(der)?;
    let names: Vec<_> = certificate.subject().iter_common_name().map(|n| n.as_str()).collect();
    match names[..] {
        [Ok(name)] if is_name(name) => Ok(Identity::new(name)),
        _ => Err(IdentityError::Name),
    }
}

fn units_of(der: &CertificateDer<'_>) -> Result<Vec<String>, IdentityError> {
    let certificate = parse(der)?;
    let units = certificate.subject().iter_organizational_unit();
    Ok(units.filter_map(|unit| unit.as_str().ok().map(str::to_owned)).collect())
}

/// When a certificate ends, in seconds since 1970.
pub(crate) fn expiry_of(der: &CertificateDer<'_>) -> Result<i64, IdentityError> {
    Ok(parse(der)?.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests;
