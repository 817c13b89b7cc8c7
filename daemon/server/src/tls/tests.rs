use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Parser;

use super::*;
use crate::pki::PkiArgs;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    pki: PkiArgs,
}

/// An authority in a fresh folder, with a certificate for each argument.
fn authority(args: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let cli = Cli::parse_from(["pki", "init", "--dir", path].iter().chain(args));
    cli.pki.run().unwrap();
    dir
}

fn files(dir: &Path, name: &str) -> TlsFiles {
    let [ca, cert, key] = ["ca.pem", &format!("{name}.pem"), &format!("{name}.key")].map(|f| dir.join(f));
    TlsFiles { ca, cert, key }
}

#[test]
fn what_was_issued_loads_and_says_its_name_and_end() {
    let dir = authority(&["--member", "a1=a"]);
    let tls = Tls::load(&files(dir.path(), "a1")).unwrap();
    assert_eq!(tls.name().as_str(), "a1");
    assert_eq!(tls.units(), ["a"]);
    let days = (tls.expires() - crate::clock::wall_ms() / 1000) / 86_400;
    assert!((729..=730).contains(&days), "{days}");
    assert!(!format!("{tls:?}").contains("PRIVATE"));
}

#[test]
fn files_that_do_not_serve_are_refused_by_path() {
    let dir = authority(&["--member", "a1=a", "--client", "kim"]);
    let good = files(dir.path(), "a1");
    let error = |files: &TlsFiles| Tls::load(files).unwrap_err().to_string();
    let absent = TlsFiles { ca: dir.path().join("none.pem"), ..good.clone() };
    assert!(error(&absent).contains("none.pem: No such file"));
    let foreign = TlsFiles { key: dir.path().join("kim.key"), ..good.clone() };
    assert!(error(&foreign).contains("kim.key: does not fit"), "{}", error(&foreign));
    let swapped = TlsFiles { cert: good.key.clone(), ..good.clone() };
    assert!(error(&swapped).contains("a1.key: no certificate in PEM"), "{}", error(&swapped));
    let swapped = TlsFiles { key: dir.path().join("kim.pem"), ..good.clone() };
    std::fs::set_permissions(&swapped.key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(error(&swapped).contains("kim.pem: no private key in PEM"), "{}", error(&swapped));
    std::fs::set_permissions(&good.key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(error(&good).contains("(mode 0640): `chmod 600"), "{}", error(&good));
}

#[test]
fn a_certificate_without_a_proper_name_gives_no_identity() {
    let named = |names: &[&str]| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in names {
            params.distinguished_name.push(rcgen::DnType::CommonName, *name);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        identity_of(Some(&[der]))
    };
    assert_eq!(named(&["kim"]).unwrap().as_str(), "kim");
    for names in [&[][..], &["local"], &["a b"], &[""], &["../x"]] {
        assert!(matches!(named(names), Err(IdentityError::Name)), "{names:?}");
    }
    assert!(matches!(identity_of(None), Err(IdentityError::Unknown)));
    let junk = CertificateDer::from(vec![1, 2, 3]);
    assert!(matches!(identity_of(Some(&[junk])), Err(IdentityError::Malformed(_))));
}

#[test]
fn without_tls_only_loopback_is_local() {
    let from = |remote: Option<&str>| {
        let mut request = tonic::Request::new(());
        request
            .extensions_mut()
            .insert(TcpConnectInfo { local_addr: None, remote_addr: remote.map(|r| r.parse().unwrap()) });
        identify(&request)
    };
    assert_eq!(from(Some("127.0.0.1:5")).unwrap().as_str(), "local");
    assert_eq!(from(Some("[::ffff:127.0.0.1]:5")).unwrap().as_str(), "local");
    for remote in [Some("10.0.0.1:5"), None] {
        assert_eq!(from(remote).unwrap_err().code(), tonic::Code::Unauthenticated);
    }
    let bare = tonic::Request::new(());
    assert_eq!(identify(&bare).unwrap_err().code(), tonic::Code::Unauthenticated);
    let mut known = tonic::Request::new(());
    known.extensions_mut().insert(Identity::new("kim"));
    assert_eq!(identify(&known).unwrap().as_str(), "kim");
}

/// A gRPC server with mutual TLS: who is asked, with which certificate, and who is let in.
#[tokio::test]
async fn grpc_knows_its_callers_by_certificate() {
    use tonic_health::pb::health_client::HealthClient;

    let dir = authority(&["--member", "a1=a", "--client", "kim"]);
    let other = authority(&["--client", "kim"]);
    let server = Tls::load(&files(dir.path(), "a1")).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (heard, mut names) = tokio::sync::mpsc::unbounded_channel();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let asking = tonic::service::InterceptorLayer::new(move |request: tonic::Request<()>| {
        heard.send(identify(&request)?).expect("the test listens");
        Ok(request)
    });
    let serving = tonic::transport::Server::builder()
        .tls_config(server.server_config())
        .unwrap()
        .layer(asking)
        .add_service(health)
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
    let serving = tokio::spawn(serving);
    let call = async |config: ClientTlsConfig| {
        let endpoint = tonic::transport::Endpoint::from_shared(url.clone())?.tls_config(config)?;
        let mut client = HealthClient::new(endpoint.connect().await?);
        client.check(tonic_health::pb::HealthCheckRequest::default()).await?;
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    let kim = Tls::load(&files(dir.path(), "kim")).unwrap();
    call(kim.client_config()).await.unwrap();
    assert_eq!(names.recv().await.unwrap().as_str(), "kim");
    // Of the same name, from another authority; and with no certificate at all.
    let stranger = files(other.path(), "kim");
    let stranger = Tls::load(&TlsFiles { ca: dir.path().join("ca.pem"), ..stranger }).unwrap();
    call(stranger.client_config()).await.unwrap_err();
    let ca = std::fs::read(dir.path().join("ca.pem")).unwrap();
    call(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca))).await.unwrap_err();
    assert!(names.try_recv().is_err(), "neither came as far as to be asked for its name");
    serving.abort();
}
