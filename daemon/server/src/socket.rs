//! The socket of a member: what it knows, for whoever is on its machine, also when nobody reaches it
//! over a network.
//!
//! It has the services of [`crate::api`] and the pages of [`crate::http`], and takes no certificate: the
//! kernel says who calls. The user that the daemon runs as, and root, may read; nobody may do anything.

mod bind;
mod reading;

use std::time::Duration;

use axum::Router;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use bind::{Socket, SocketError};

/// How often a silent caller is asked whether it still lives.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Answers on `socket` until `stop` is cancelled and what is in flight has been answered; then takes
/// the file away.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    socket: Socket,
    routes: Routes,
    pages: Router,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let (listener, _file) = socket.split();
    let all = routes.into_axum_router().merge(pages).layer(axum::middleware::from_fn(reading::only));
    tonic::transport::Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .add_routes(Routes::from(all))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop.cancelled_owned())
        .await
}
