//! Certificates: of the servers that a plan asks, and of the member itself.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use standfast_core::look::{Kind, Severity};
use tokio::net::TcpListener;

use super::Outcome;
use super::given::{Standing, finds};

/// A server whose certificate ends so many days from now.
async fn server(days: i64) -> Outcome<SocketAddr> {
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    let now = std::time::SystemTime::now();
    let day = std::time::Duration::from_secs(86_400 * days.unsigned_abs());
    params.not_after = if days < 0 { now - day } else { now + day }.into();
    let key = rcgen::KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    let private = PrivateKeyDer::try_from(key.serialize_der())?;
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], private)?;
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
        }
    });
    Ok(address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_end_and_that_nobody_vouches_for_are_found() -> Outcome {
    let mut standing = Standing::start().await?;
    let web = format!("http://{}", standing.shop.b.addresses.web);
    for (days, severity, words) in [
        (-2, Severity::Error, "ended 48h"),
        (5, Severity::Warning, "ends in 1"),
        (90, Severity::Error, "trust"),
    ] {
        let address = server(days).await?.to_string();
        let seen = standing.look(&[(&web, &format!("https://{address}"))]).await?;
        let of = |about: String| {
            let found = seen
                .troubles
                .iter()
                .find(|f| f.trouble.kind == Kind::Certificate && f.trouble.about == about);
            found.map(|found| (found.trouble.severity, found.trouble.words.clone()))
        };
        let (level, said) =
            of(address.clone()).or(of(format!("trust in {address}"))).ok_or("nothing was found")?;
        assert!(level == severity && said.contains(words) && said.contains(&address), "{level}: {said}");
    }
    // Its own.
    let soon = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs())? + 3 * 86_400;
    standing.given.env.certificates = vec![("tls.cert".into(), soon)];
    let seen = standing.look(&[]).await?;
    let found = finds(&seen, Kind::Certificate, "", &["tls.cert of w1", "ends in 7"]);
    assert_eq!(found.trouble.severity, Severity::Warning);
    standing.given.env.certificates = vec![("tls.cert".into(), 1)];
    let seen = standing.look(&[]).await?;
    assert_eq!(finds(&seen, Kind::Certificate, "", &["ended"]).trouble.severity, Severity::Error);
    Ok(())
}
