//! HTTP: a connection a request, no redirects, no proxies, certificates verified.

use super::{Error, root};
use std::net::IpAddr;
use std::time::Duration;

/// Long enough for any network in use; a target that takes longer is not there. A deadline
/// that ends sooner cuts it shorter.
const CONNECT: Duration = Duration::from_secs(5);

/// A client whose connections leave from `source`.
pub fn client(source: Option<IpAddr>) -> Result<reqwest::Client, Error> {
    // On a machine that trusts no authority at all, only https fails, each time it is asked.
    let built = builder(source).build().or_else(|_| builder(source).tls_certs_only([]).build());
    built.map_err(|error| Error::Ours(format!("the HTTP client cannot be made: {}", root(&error))))
}

fn builder(source: Option<IpAddr>) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .local_address(source)
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        // A proxy of our environment is not what the fleet names, and may be in the lost site.
        .no_proxy()
        .pool_max_idle_per_host(0)
        .user_agent(concat!("standfast/", env!("CARGO_PKG_VERSION")))
}

/// How far a request to `url` came. The URL is shown without credentials and query.
pub fn classify(url: &str, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let text = format!("{}: {}", shown(url), root(&error));
    match error {
        error if error.is_builder() || error.is_dns() => Error::Ours(text),
        error if error.is_connect() => Error::Unreachable(text),
        _ => Error::NoAnswer(text),
    }
}

/// A URL for people: neither the credentials nor the query, which may hold a token.
pub fn shown(url: &str) -> String {
    let Ok(mut parsed) = reqwest::Url::parse(url) else { return super::clip(url) };
    parsed.set_query(None);
    // Only a URL without a host refuses these, and that has no credentials.
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    super::clip(parsed.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that shows a certificate nobody vouches for, to one caller.
    async fn stranger() -> std::net::SocketAddr {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let ring = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = acceptor.accept(stream).await;
        });
        address
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_vouches_for_is_refused() {
        let url = format!("https://{}/", stranger().await);
        let error = client(None).unwrap().get(&url).send().await.unwrap_err();
        let error = classify(&url, error);
        assert!(
            matches!(&error, Error::Unreachable(text) if text.contains("certificate")),
            "nothing was sent, and the certificate is named: {error:?}"
        );
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        assert_eq!(shown("http://kim:pw@10.0.0.1:80/x?token=t"), "http://10.0.0.1/x");
        assert_eq!(shown("not a url"), "not a url");
    }
}
