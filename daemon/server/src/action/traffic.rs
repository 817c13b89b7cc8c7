//! `traffic.drain` and `traffic.ready`: a server out of and into the rotation of an HAProxy.
//!
//! HAProxy cannot refuse a leader whose time is over. It keeps the epoch of who changed a backend last,
//! which is looked at before every change, and read back after it.

use super::{Context, Driver, failure, refused, uninspected, unread};
use crate::client::Error;
use crate::client::haproxy::{self, Server};
use async_trait::async_trait;
use standfast_core::action::{Balancer, Failure, FailureKind, Inspection};

/// Which way a server goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// `drain`: no new connections, those that are open end by themselves.
    Out,
    /// `ready`: as its configuration says.
    In,
}

pub(super) struct Rotate<'a> {
    pub(super) balancer: &'a Balancer,
    pub(super) server: &'a str,
    pub(super) way: Way,
}

#[async_trait]
impl Driver for Rotate<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        match late(self.balancer, cx).await {
            Ok(None) => {}
            Ok(Some(why)) => return Inspection::Conflict(format!("{} is {why}", self.place())),
            Err(error) => return uninspected(error),
        }
        match servers(self.balancer, cx).await {
            Err(error) => uninspected(error),
            Ok(servers) => match find(self.balancer, &servers, self.server) {
                Err(why) => Inspection::Conflict(why),
                Ok(server) if self.done(server) => Inspection::Satisfied(self.seen(server)),
                Ok(server) => Inspection::Needed(self.seen(server)),
            },
        }
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        let before = servers(self.balancer, cx).await.map_err(unread)?;
        let done = self.done(find(self.balancer, &before, self.server).map_err(refused)?);
        claim(self.balancer, cx).await?;
        if done {
            return Ok(format!("{} is {} already", self.place(), self.way.done()));
        }
        let Balancer { socket, backend, .. } = self.balancer;
        let change = format!("set server {backend}/{} state {}", self.server, self.way.state());
        cx.may_act()?;
        haproxy::change(socket, &[change], cx.env.source, cx.deadline).await.map_err(failure)?;
        let after = servers(self.balancer, cx).await.map_err(failure)?;
        let server = find(self.balancer, &after, self.server).map_err(refused)?;
        still_ours(self.balancer, cx).await?;
        if !self.done(server) {
            let message = format!("{} was told to, and still: {}", self.place(), self.seen(server));
            return Err(Failure { kind: FailureKind::Failed, message });
        }
        Ok(self.seen(server))
    }
}

impl Rotate<'_> {
    fn done(&self, server: &Server) -> bool {
        server.out_by_force() == (self.way == Way::Out)
    }

    fn seen(&self, server: &Server) -> String {
        let way = if server.out_by_force() { Way::Out } else { Way::In };
        format!("{} is {}, weight {}", self.place(), way.done(), server.weight)
    }

    fn place(&self) -> String {
        format!("{}/{} at {}", self.balancer.backend, self.server, self.balancer.socket)
    }
}

impl Way {
    fn state(self) -> &'static str {
        match self {
            Self::Out => "drain",
            Self::In => "ready",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Out => "out of rotation",
            Self::In => "in rotation",
        }
    }
}

/// Why a later leader's backend is not ours to change, if it is one's.
pub(super) async fn late(balancer: &Balancer, cx: &Context) -> Result<Option<String>, Error> {
    let held = haproxy::held(&balancer.socket, &balancer.backend, cx.env.source, cx.deadline).await?;
    Ok(held.and_then(|held| cx.fenced_by(held)))
}

/// Looks for a later leader, and leaves our epoch for earlier ones.
pub(super) async fn claim(balancer: &Balancer, cx: &Context) -> Result<(), Failure> {
    let Balancer { socket, backend, .. } = balancer;
    let own = cx.attempt.epoch.0;
    let held = haproxy::held(socket, backend, cx.env.source, cx.deadline).await.map_err(unread)?;
    if let Some(why) = held.and_then(|held| cx.fenced_by(held)) {
        return Err(refused(format!("{backend} at {socket} is {why}")));
    }
    if held == Some(own) {
        return Ok(());
    }
    haproxy::keep(socket, backend, own, cx.env.source, cx.deadline).await.map_err(unread)
}

/// After a change: a later leader that came at the very same time has the last word, and ours did not
/// last or must not.
pub(super) async fn still_ours(balancer: &Balancer, cx: &Context) -> Result<(), Failure> {
    match late(balancer, cx).await.map_err(failure)? {
        None => Ok(()),
        Some(why) => Err(refused(format!("{} at {} is {why}", balancer.backend, balancer.socket))),
    }
}

/// The servers of the balancer's backend. Reads only.
pub(super) async fn servers(balancer: &Balancer, cx: &Context) -> Result<Vec<Server>, Error> {
    // The runtime API takes one line; a name must not become another command.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if balancer.backend.is_empty() || !balancer.backend.chars().all(plain) {
        return Err(Error::Ours(format!("`{}` is no name of a backend", balancer.backend)));
    }
    haproxy::servers(&balancer.socket, &balancer.backend, cx.env.source, cx.deadline).await
}

/// The server of that name: what HAProxy itself lists, so no other text is ever sent back to it.
pub(super) fn find<'a>(balancer: &Balancer, servers: &'a [Server], name: &str) -> Result<&'a Server, String> {
    servers.iter().find(|server| server.name == name).ok_or_else(|| {
        let known: Vec<_> = servers.iter().map(|server| server.name.as_str()).collect();
        let Balancer { socket, backend, .. } = balancer;
        format!("backend {backend} at {socket} has no server `{name}`, only {}", known.join(", "))
    })
}
