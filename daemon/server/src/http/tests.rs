use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::settings::TlsFiles;
use axum::extract::ConnectInfo;

struct Served {
    address: SocketAddr,
    health: Health,
    metrics: Metrics,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

async fn whoami(ConnectInfo(caller): ConnectInfo<Caller>) -> String {
    caller.identity.to_string()
}

async fn start(tls: Option<Tls>) -> Served {
    let listener = bind("listen.http", (Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (health, metrics) = (Health::new(["store"]), Metrics::new());
    let router = router(health.clone(), metrics.clone());
    let router = router.merge(Router::new().route("/whoami", get(whoami)));
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let serving = tokio::spawn(async move { serve(listener, tls.as_ref(), router, stopped).await });
    Served { address, health, metrics, stop, serving }
}

/// Whatever proxy the environment names is not for loopback.
fn client() -> reqwest::Client {
    crate::tls::install_provider();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn get_it(client: &reqwest::Client, url: String, accept: &str) -> (u16, String) {
    let response = client.get(url).header("accept", accept).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn it_is_ready_when_all_conditions_hold_and_says_which_do_not() {
    let served = start(None).await;
    let client = client();
    let readyz =
        async |accept: &str| get_it(&client, format!("http://{}/readyz", served.address), accept).await;
    let (status, text) = readyz("*/*").await;
    assert_eq!((status, text.as_str()), (503, "not ready\n  NO  store: not yet known: starting\n"));
    served.health.not_ready("store", "no endpoint answers");
    let (status, text) = readyz("application/json").await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected =
        json!({"ready": false, "conditions": {"store": {"ok": false, "why": "no endpoint answers"}}});
    assert_eq!((status, json), (503, expected));
    served.health.ready("store");
    assert_eq!(readyz("*/*").await, (200, "ready\n  ok  store\n".to_owned()));
}

#[tokio::test]
async fn it_is_alive_shows_metrics_takes_more_routes_and_stops() {
    let served = start(None).await;
    let client = client();
    let get = async |path: &str| get_it(&client, format!("http://{}{path}", served.address), "*/*").await;
    served.metrics.set_epoch(42);
    served.health.beat();
    assert_eq!(get("/livez").await, (200, "alive\n".to_owned()));
    assert!(get("/metrics").await.1.contains("\nstandfast_epoch 42\n"));
    assert_eq!(get("/whoami").await, (200, "local".to_owned()));
    assert_eq!(get("/nothing").await.0, 404);
    drop(client);
    served.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), served.serving).await.unwrap().unwrap().unwrap();
}

/// Situation: an operator's browser shows a page of a stranger, which asks 127.0.0.1.
/// Danger: it would be `local`. Expectation: 403.
#[tokio::test]
async fn pages_of_strangers_are_refused_without_tls() {
    let served = start(None).await;
    let client = client();
    let own = served.address.to_string();
    let port = served.address.port();
    for (host, origin, status) in [
        (own.clone(), None, 200),
        (format!("localhost:{port}"), None, 200),
        (own.clone(), Some(format!("http://{own}")), 200),
        ("evil.example".to_owned(), None, 403),
        (format!("127.0.0.1.evil.example:{port}"), None, 403),
        (own.clone(), Some("https://evil.example".to_owned()), 403),
        (own.clone(), Some("null".to_owned()), 403),
    ] {
        let mut request = client.get(format!("http://{own}/whoami")).header("host", &host);
        if let Some(origin) = &origin {
            request = request.header("origin", origin);
        }
        assert_eq!(request.send().await.unwrap().status(), status, "{host} {origin:?}");
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    pki: crate::pki::PkiArgs,
}

#[tokio::test]
async fn with_tls_callers_are_known_by_their_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let args = ["pki", "init", "--dir", path, "--member", "a1=a", "--client", "kim"];
    Cli::parse_from(args).pki.run().unwrap();
    let [ca, cert, key] = ["ca.pem", "a1.pem", "a1.key"].map(|file| dir.path().join(file));
    let served = start(Some(Tls::load(&TlsFiles { ca: ca.clone(), cert, key }).unwrap())).await;
    let url = format!("https://{}/whoami", served.address);
    let root = reqwest::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
    let builder = || reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]);
    let pem = ["kim.key", "kim.pem"].map(|file| std::fs::read(dir.path().join(file)).unwrap());
    let kim = reqwest::Identity::from_pem(&pem.concat()).unwrap();
    let known = builder().identity(kim).build().unwrap();
    // A caller that says nothing holds up nobody.
    let _silent = tokio::net::TcpStream::connect(served.address).await.unwrap();
    assert_eq!(get_it(&known, url.clone(), "*/*").await, (200, "kim".to_owned()));
    let unknown = builder().build().unwrap();
    unknown.get(url).send().await.unwrap_err();
    let plain = client().get(format!("http://{}/whoami", served.address));
    plain.send().await.unwrap_err();
}
