//! Sentries of this site, and members of others that have lost the store.

use super::{Api, refuse, wire};
use crate::site_lease::Said;
use crate::tls::LOCAL;
use standfast_core::ids::SiteId;
use standfast_core::sentry::State;
use standfast_core::time::Span;
use standfast_proto::v1::sentries_server::Sentries;
use standfast_proto::v1::*;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Sentries for Api {
    async fn beat(&self, request: Request<BeatRequest>) -> Result<Response<BeatResponse>, Status> {
        named(&request, &request.get_ref().sentry)?;
        let BeatRequest { sentry, steps, state, failed } = request.into_inner();
        let state = match SentryState::try_from(state) {
            Ok(SentryState::Open) => State::Open,
            Ok(SentryState::Isolating) => State::Isolating,
            Ok(SentryState::Isolated) => State::Isolated,
            Ok(SentryState::Rejoining) => State::Rejoining,
            _ => return Err(refuse::bad_field("state", "is no state of a sentry")),
        };
        let failed = Some(failed).filter(|why| !why.is_empty());
        let said = Said { sentry: sentry.into(), steps: steps.into(), state, failed };
        let (confirmed, fenced) = self.deps.leases.beat(said);
        Ok(Response::new(BeatResponse { confirmed: confirmed.and_then(wire::span), fenced }))
    }

    async fn promise(&self, request: Request<PromiseRequest>) -> Result<Response<PromiseResponse>, Status> {
        named(&request, &request.get_ref().member)?;
        let PromiseRequest { site, member } = request.into_inner();
        // Without the store no bundle can be asked for; the one that is known will do.
        let known = self.deps.bundle.borrow().clone();
        let Some(bundle) = known else {
            return Err(refuse::wrong_state("this member knows no bundle", "no bundle"));
        };
        let timing = &bundle.fleet.timing;
        let (site, confirmed) = (SiteId::new(site), *self.deps.confirmed.borrow());
        let given = self.deps.leases.promise(&site, confirmed, timing);
        given.map_err(|why| refuse::wrong_state(format!("no promise to {site}: {why}"), "quorum"))?;
        tracing::warn!(%site, member, "no quorum: this member will not fence that site for a while");
        let lasts = Span::from(timing.site_ttl.0 + timing.margin.0);
        Ok(Response::new(PromiseResponse { lasts: wire::span(lasts) }))
    }
}

/// Nobody speaks for another; on loopback nobody shows a name.
fn named<T>(request: &Request<T>, name: &str) -> Result<(), Status> {
    let caller = Api::caller(request)?;
    if caller.as_str() == name || caller.as_str() == LOCAL {
        return Ok(());
    }
    Err(refuse::not_allowed(format!("{caller} cannot speak for {name}")))
}
