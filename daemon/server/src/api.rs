//! The gRPC interface `standfast.v1`, as one member answers it.
//!
//! Any member answers: what it reads, it reads from the store; what somebody wants done, it
//! writes there as a request, for the leader to judge. It decides nothing, and it holds nothing
//! that another member would not say as well, but for when it has heard of whom.

mod asks;
mod audit;
mod bundles;
mod cluster;
mod events;
mod health;
mod heard;
mod local;
mod plans;
mod refuse;
mod reports;
mod runs;
mod sentries;
mod sites;
mod state;
mod wire;

use crate::condition::Env;
use crate::lead::Me;
use crate::site_lease::SiteLeases;
use crate::store::Store;
use crate::tls::{Tls, identify};
use crate::watermark::Watermark;
use futures::Stream;
use standfast_core::bundle::Bundle;
use standfast_core::ids::Identity;
use standfast_core::time::Mono;
use standfast_proto::v1::audit_server::AuditServer;
use standfast_proto::v1::bundles_server::BundlesServer;
use standfast_proto::v1::cluster_server::ClusterServer;
use standfast_proto::v1::events_server::EventsServer;
use standfast_proto::v1::local_server::LocalServer;
use standfast_proto::v1::plans_server::PlansServer;
use standfast_proto::v1::runs_server::RunsServer;
use standfast_proto::v1::sentries_server::SentriesServer;
use standfast_proto::v1::sites_server::SitesServer;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};

/// A request may have this many bytes: the files of a bundle.
const MAX_REQUEST_BYTES: usize = 32 * 1024 * 1024;
/// How often a silent caller is asked whether it still lives.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What answering needs. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    /// Who this member is.
    pub me: Me,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The current bundle, as this member knows it.
    pub bundle: watch::Receiver<Option<Arc<Bundle>>>,
    /// When this member's last write was sent that the store has confirmed.
    pub confirmed: watch::Receiver<Option<Mono>>,
    /// The part of this member in the leases of sites.
    pub leases: SiteLeases,
    /// The highest epoch that this member has seen.
    pub watermark: Watermark,
    /// What looking at targets needs.
    pub env: Env,
    /// Cancelled when this member stops: watches end, and say that another member goes on.
    pub stop: CancellationToken,
}

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// All services, with health and reflection. Begins the tasks that keep health and what was
/// heard up to date; they end with `stop`. Needs a running tokio runtime.
pub fn routes(deps: Deps) -> Routes {
    let heard = heard::listen(deps.store.clone(), deps.stop.clone());
    let health = health::serve(deps.store.clone(), deps.stop.clone());
    let api = Api { deps: Arc::new(deps), heard };
    let bundles = BundlesServer::new(api.clone())
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_REQUEST_BYTES);
    let local = LocalServer::new(api.clone()).max_decoding_message_size(MAX_REQUEST_BYTES);
    Routes::new(health)
        .add_service(reflection(|builder| builder.build_v1()))
        .add_service(reflection(|builder| builder.build_v1alpha()))
        .add_service(InterceptedService::new(bundles, known))
        .add_service(AuditServer::with_interceptor(api.clone(), known))
        .add_service(ClusterServer::with_interceptor(api.clone(), known))
        .add_service(EventsServer::with_interceptor(api.clone(), known))
        .add_service(InterceptedService::new(local, known))
        .add_service(PlansServer::with_interceptor(api.clone(), known))
        .add_service(RunsServer::with_interceptor(api.clone(), known))
        .add_service(SentriesServer::with_interceptor(api.clone(), known))
        .add_service(SitesServer::with_interceptor(api, known))
}

/// Serves all services on `listener` until `deps.stop` is cancelled and what is in flight has
/// been answered.
///
/// # Errors
/// When TLS cannot be set up, or the listener breaks.
pub async fn serve(
    deps: Deps,
    listener: TcpListener,
    tls: Option<&Tls>,
) -> Result<(), tonic::transport::Error> {
    let stop = deps.stop.clone();
    answer(routes(deps), listener, tls, stop).await
}

/// The same for services that are there already.
///
/// # Errors
/// As [`serve`].
pub async fn answer(
    routes: Routes,
    listener: TcpListener,
    tls: Option<&Tls>,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let mut server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE));
    if let Some(tls) = tls {
        server = server.tls_config(tls.server_config())?;
    }
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server.add_routes(routes).serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await
}

fn reflection<S, E: std::fmt::Debug>(
    build: impl FnOnce(tonic_reflection::server::Builder<'static>) -> Result<S, E>,
) -> S {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(standfast_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    build(builder).expect("the descriptors are those that the code was made of")
}

/// Lets nobody in without a name.
fn known(mut request: Request<()>) -> Result<Request<()>, Status> {
    let identity = identify(&request)?;
    request.extensions_mut().insert(identity);
    Ok(request)
}

/// The one server behind all services.
#[derive(Clone)]
struct Api {
    deps: Arc<Deps>,
    heard: heard::Heard,
}

impl Api {
    fn store(&self) -> &dyn Store {
        &*self.deps.store
    }

    /// The current bundle; a request for anything that it decides fails without one. A member
    /// that knows of none asks the store first: it may not have heard of it yet.
    async fn bundle(&self) -> Result<Arc<Bundle>, Status> {
        let known = self.deps.bundle.borrow().clone();
        let current = match known {
            Some(bundle) => Some(bundle),
            None => crate::bundles::current(self.store()).await.map_err(refuse::bundle)?,
        };
        current.ok_or_else(|| {
            let message = "no bundle is applied; do: standfast apply DIRECTORY";
            refuse::wrong_state(message, "no bundle")
        })
    }

    /// Who asks, as the interceptor has found out.
    fn caller<T>(request: &Request<T>) -> Result<Identity, Status> {
        identify(request)
    }
}
