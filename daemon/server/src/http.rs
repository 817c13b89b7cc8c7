//! The HTTP listener: `/livez`, `/readyz`, `/metrics`, and whatever router is added (the
//! JSON API). With TLS every caller shows a certificate; without, it is on loopback.

mod bind;
mod listener;

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header, uri::Authority};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use standfast_core::ids::Identity;
use tokio::net::TcpListener;

pub use bind::{BindError, bind};

use crate::health::{HANGS_AFTER, Health};
use crate::metrics::{self, Metrics};
use crate::tls::Tls;

/// Who sent a request; an axum handler takes it as `ConnectInfo<Caller>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its address.
    pub address: SocketAddr,
    /// The name in its certificate, or `local`.
    pub identity: Identity,
}

/// The routes every member has.
pub fn router(health: Health, metrics: Metrics) -> Router {
    let show = move || async move { ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode()) };
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(health)
        .route("/metrics", get(show))
}

/// Serves `router` until `stop` resolves and what is in flight has been answered.
pub async fn serve(
    listener: TcpListener,
    tls: Option<&Tls>,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let Some(tls) = tls else {
        let router = router.layer(middleware::from_fn(refuse_browsers));
        let service = router.into_make_service_with_connect_info::<Caller>();
        return axum::serve(listener, service).with_graceful_shutdown(stop).await;
    };
    let listener = listener::TlsListener::start(listener, tls.acceptor())?;
    let service = router.into_make_service_with_connect_info::<Caller>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

async fn livez(State(health): State<Health>) -> Response {
    let silence = health.silence();
    if silence < HANGS_AFTER {
        return "alive\n".into_response();
    }
    let text = format!("the event loop has not turned for {:.1} s\n", silence.as_secs_f64());
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn readyz(State(health): State<Health>, headers: HeaderMap) -> Response {
    let conditions = health.readiness();
    let ready = conditions.values().all(Result::is_ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("application/json")) {
        let conditions: serde_json::Map<_, _> = conditions
            .into_iter()
            .map(|(name, state)| {
                let state = match state {
                    Ok(()) => json!({"ok": true}),
                    Err(why) => json!({"ok": false, "why": why}),
                };
                (name.to_owned(), state)
            })
            .collect();
        return (status, axum::Json(json!({"ready": ready, "conditions": conditions}))).into_response();
    }
    let mut text = if ready { "ready\n" } else { "not ready\n" }.to_owned();
    for (name, state) in conditions {
        text += &match state {
            Ok(()) => format!("  ok  {name}\n"),
            Err(why) => format!("  NO  {name}: {why}\n"),
        };
    }
    (status, text).into_response()
}

/// Without TLS whoever reaches loopback is `local`, and a page in a browser does: by a form
/// or script of a foreign site, or by a name that suddenly means 127.0.0.1. A browser tells
/// on itself: it names the host it meant, and the page that asks.
async fn refuse_browsers(request: Request, next: Next) -> Response {
    if is_foreign(request.headers(), request.uri()) {
        let text = "this listener has no TLS and answers only to its own host on loopback\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    next.run(request).await
}

fn is_foreign(headers: &HeaderMap, uri: &Uri) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = header(header::HOST).or_else(|| uri.authority().map(Authority::as_str));
    let foreign_host = host.is_none_or(|host| !is_loopback(host));
    let origin = header(header::ORIGIN).map(|o| o.split_once("://").map_or(o, |(_, host)| host));
    foreign_host || (headers.contains_key(header::ORIGIN) && origin != host)
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
