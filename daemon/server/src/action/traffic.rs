//! `traffic.drain` and `traffic.ready`: a server out of and into the rotation of an HAProxy.

use super::{Context, Driver, failure, refused, uninspected, unread};
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
        if self.done(find(self.balancer, &before, self.server).map_err(refused)?) {
            return Ok(format!("{} is {} already", self.place(), self.way.done()));
        }
        let Balancer { socket, backend, .. } = self.balancer;
        let change = format!("set server {backend}/{} state {}", self.server, self.way.state());
        haproxy::change(socket, &[change], cx.env.source, cx.deadline).await.map_err(failure)?;
        let after = servers(self.balancer, cx).await.map_err(failure)?;
        let server = find(self.balancer, &after, self.server).map_err(refused)?;
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

/// The servers of the balancer's backend. Reads only.
pub(super) async fn servers(balancer: &Balancer, cx: &Context) -> Result<Vec<Server>, crate::client::Error> {
    // The runtime API takes one line; a name must not become another command.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if balancer.backend.is_empty() || !balancer.backend.chars().all(plain) {
        return Err(crate::client::Error::Ours(format!("`{}` is no name of a backend", balancer.backend)));
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
