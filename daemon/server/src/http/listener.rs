//! Connections for axum, with the caller of each: plain ones on loopback, and TLS.

use std::io;
use std::net::SocketAddr;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use standfast_core::ids::Identity;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;

use super::Caller;
use crate::tls::{HANDSHAKE_TIMEOUT, LOCAL, identity_of};

/// How many callers may shake hands at once; more wait to be accepted.
const HANDSHAKES: usize = 64;

impl Connected<IncomingStream<'_, TcpListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        // The settings allow no listener without TLS but on loopback.
        Self { address: *stream.remote_addr(), identity: Identity::new(LOCAL) }
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Hands out callers that have shaken hands. Each does so in a task of its own: one that
/// is slow, or says nothing, holds up nobody.
pub(super) struct TlsListener {
    local: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, Caller)>,
    _accepting: AbortOnDropHandle<()>,
}

impl TlsListener {
    pub(super) fn start(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<Self> {
        let local = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(HANDSHAKES);
        let accepting = tokio::spawn(accept(listener, acceptor, sender));
        Ok(Self { local, ready, _accepting: AbortOnDropHandle::new(accepting) })
    }
}

type Sender = mpsc::Sender<(TlsStream<TcpStream>, Caller)>;

async fn accept(mut listener: TcpListener, acceptor: TlsAcceptor, sender: Sender) {
    // Its permits are the places in the channel: who has one, finds room at the end.
    while let Ok(place) = sender.clone().reserve_owned().await {
        let (stream, address) = Listener::accept(&mut listener).await;
        let handshake = acceptor.accept(stream);
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                Ok(Ok(stream)) => match identity_of(stream.get_ref().1.peer_certificates()) {
                    Ok(identity) => drop(place.send((stream, Caller { address, identity }))),
                    Err(error) => tracing::debug!(%address, %error, "refused an HTTP caller"),
                },
                Ok(Err(error)) => tracing::debug!(%address, %error, "refused an HTTP caller"),
                Err(_) => tracing::debug!(%address, "an HTTP caller did not shake hands in time"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = Caller;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The accepting task ends only with the receiver.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Caller { address: self.local, identity: Identity::new(LOCAL) })
    }
}
