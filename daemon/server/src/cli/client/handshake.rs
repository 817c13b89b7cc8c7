//! Who refuses whose certificate.
//!
//! A member looks at a caller's certificate after the caller takes the connection for open, so
//! what a call comes to then is chance: an alert, a broken pipe. Here nothing is sent, and the
//! member's word is waited for.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::transport::Uri;

use crate::cli::exit::Failure;

/// Whose certificate it is that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The member refuses ours.
    Ours,
    /// We refuse the member's.
    Theirs,
    /// None was shown, and somebody is there.
    None,
}

/// A handshake with one member, as the calls make it.
#[derive(Clone)]
pub(super) struct Handshake {
    config: Arc<ClientConfig>,
    host: String,
    port: u16,
}

impl Handshake {
    /// From the authority, the certificate and its key, each with its file; to nobody yet.
    pub(super) fn new(files: [(&Path, &[u8]); 3]) -> Result<Self, Failure> {
        let [(ca, ca_pem), (cert, cert_pem), (key, key_pem)] = files;
        let unusable = |path: &Path, why: &dyn std::fmt::Display| {
            Failure::usage(format!("the TLS files do not work: {}: {why}", path.display()))
        };
        let certificates = |path: &Path, pem: &[u8]| {
            let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            match all {
                Ok(all) if !all.is_empty() => Ok(all),
                Ok(_) => Err(unusable(path, &"no certificate in PEM")),
                Err(error) => Err(unusable(path, &format!("no certificate in PEM ({error})"))),
            }
        };
        let mut roots = RootCertStore::empty();
        for der in certificates(ca, ca_pem)? {
            roots.add(der).map_err(|error| unusable(ca, &error))?;
        }
        let private = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|error| unusable(key, &format!("no private key in PEM ({error})")))?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(cert, cert_pem)?, private)
            .map_err(|error| unusable(key, &format!("does not fit {}: {error}", cert.display())))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { config: Arc::new(config), host: String::new(), port: 0 })
    }

    /// The same, with the member at `uri`.
    pub(super) fn to(&self, uri: &Uri) -> Self {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { config: self.config.clone(), host, port: uri.port_u16().unwrap_or(443) }
    }

    /// Who refuses whose certificate, and why; none when nobody does, or nobody is there.
    pub(super) async fn refused(&self) -> Option<(Refusal, String)> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.ok()?;
        let name = ServerName::try_from(self.host.clone()).ok()?;
        let connector = tokio_rustls::TlsConnector::from(self.config.clone());
        let said = match connector.connect(name, stream).await {
            Err(error) => error,
            Ok(mut stream) => stream.read_u8().await.err()?,
        };
        self.means(&said)
    }

    /// Whether somebody is there who does not speak in the clear.
    pub(super) async fn missing(uri: &Uri) -> Option<Refusal> {
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        TcpStream::connect((host, uri.port_u16()?)).await.ok().map(|_| Refusal::None)
    }

    fn means(&self, error: &io::Error) -> Option<(Refusal, String)> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        match error {
            rustls::Error::AlertReceived(alert) if is_about_us(*alert) => {
                Some((Refusal::Ours, format!("it refuses your certificate ({alert:?})")))
            }
            rustls::Error::InvalidCertificate(why) => {
                let why = match why {
                    CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                        "its certificate is not of the authority in --tls-ca".to_owned()
                    }
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                        format!("{} is not among the names in its certificate", self.host)
                    }
                    other => format!("its certificate is refused: {other}"),
                };
                Some((Refusal::Theirs, why))
            }
            _ => None,
        }
    }
}

/// Whether an alert is a member's word on our certificate.
fn is_about_us(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}
