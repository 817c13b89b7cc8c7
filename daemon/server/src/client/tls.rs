//! What certificate a server shows: a handshake, and no request after it.

use super::{Error, answered, root, stream};
use crate::tls::expiry_of;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// The certificate of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When it ends, in seconds since 1970.
    pub expires_s: i64,
    /// Why this machine does not trust it, its dates apart; none if it does.
    pub distrust: Option<String>,
}

/// Shakes hands with `host`, at `port`.
pub async fn certificate(
    host: &str,
    port: u16,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<Shown, Error> {
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Error::Ours(format!("`{host}` is no name that a certificate can have")))?;
    let provider = Arc::new(ring::default_provider());
    let recorder = Arc::new(Recorder {
        judge: Verifier::new(provider.clone()).ok(),
        provider: provider.clone(),
        shown: Mutex::new(None),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Ours(format!("{target}: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone())
        .with_no_client_auth();
    let stream = stream::tcp(&target, source, deadline).await?;
    let shaking = async {
        let connector = TlsConnector::from(Arc::new(config));
        connector
            .connect(name, stream)
            .await
            .map_err(|error| Error::Failed(format!("{target}: {}", root(&error))))
    };
    // A server that asks for our certificate ends the handshake, but has shown its own by then.
    let shaken = answered(&target, deadline, shaking).await;
    let shown = recorder.shown.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (shown, shaken) {
        (Some(shown), _) => Ok(shown),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(Error::Failed(format!("{target} shows no certificate"))),
    }
}

/// Takes every certificate and notes what it is: nothing is sent to who shows it.
#[derive(Debug)]
struct Recorder {
    judge: Option<Verifier>,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Option<Shown>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let expires_s = expiry_of(end_entity)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let judged = self.judge.as_ref().map(|judge| {
            judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        });
        let dated = |error: &CertificateError| {
            use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
            matches!(error, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
        };
        let distrust = match judged {
            None => Some("this machine trusts no authority at all".to_owned()),
            Some(Ok(_)) => None,
            Some(Err(rustls::Error::InvalidCertificate(error))) if dated(&error) => None,
            Some(Err(error)) => Some(error.to_string()),
        };
        let shown = Shown { expires_s, distrust };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A server whose own certificate ends at the begin of `year`, for one caller.
    async fn server(year: i32) -> u16 {
        let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], private)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = acceptor.accept(stream).await;
        });
        port
    }

    #[tokio::test]
    async fn the_end_is_read_also_when_it_is_past_and_when_nobody_vouches() {
        let soon = Instant::now() + Duration::from_secs(5);
        for (year, expires_s) in [(2021, 1_609_459_200), (2090, 3_786_912_000)] {
            let shown = certificate("127.0.0.1", server(year).await, None, soon).await.unwrap();
            assert_eq!(shown.expires_s, expires_s);
            // Of one that is over, the verifier may say only that.
            assert!(year < 2026 || shown.distrust.is_some(), "{shown:?}");
        }
    }

    #[tokio::test]
    async fn who_speaks_no_tls_shows_none() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let deaf = tokio::spawn(async move { listener.accept().await.unwrap() });
        let soon = Instant::now() + Duration::from_millis(300);
        let error = certificate("127.0.0.1", port, None, soon).await.unwrap_err();
        assert!(matches!(error, Error::NoAnswer(_)), "{error:?}");
        drop(deaf);
    }
}
