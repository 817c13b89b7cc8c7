//! Freezing the cluster, so that nothing begins by itself, and thawing it.

use super::super::asks::{Wish, reason};
use super::super::{Api, refuse, wire};
use crate::clock;
use crate::records::{self, FREEZE};
use crate::store::Range;
use standfast_core::controller::{Ask, Order};
use standfast_core::time::Span;
use standfast_proto::v1::{FreezeRequest, FreezeResponse, ThawRequest, ThawResponse};
use std::time::Duration;
use tonic::{Request, Status};

/// A freeze that would last longer is a setting of the fleet.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

impl Api {
    /// Why nothing begins by itself, if that is so.
    pub(in crate::api) async fn frozen(&self) -> Result<Option<Order>, Status> {
        let reply = self.store().range(Range::key(FREEZE)).await.map_err(refuse::store)?;
        reply.kvs.first().map(records::decode).transpose().map_err(refuse::internal)
    }
}

pub(super) async fn freeze(api: &Api, request: Request<FreezeRequest>) -> Result<FreezeResponse, Status> {
    let by = Api::caller(&request)?;
    let message = request.into_inner();
    let wish = Wish::new(&message.request_id, by, &message)?;
    let reason = reason(&message.reason, true)?;
    // Who repeats a request gets its answer, also when what they said has passed since.
    let left = if api.known(&wish).await? { None } else { lasting(message.lasting, message.until)? };
    api.ask(&wish, Ask::Freeze { reason, left }, Vec::new()).await?;
    Ok(FreezeResponse { freeze: api.frozen().await?.as_ref().map(wire::freeze) })
}

pub(super) async fn thaw(api: &Api, request: Request<ThawRequest>) -> Result<ThawResponse, Status> {
    let by = Api::caller(&request)?;
    let message = request.into_inner();
    let wish = Wish::new(&message.request_id, by, &message)?;
    let reason = reason(&message.reason, true)?;
    api.ask(&wish, Ask::Thaw { reason }, Vec::new()).await?;
    Ok(ThawResponse {})
}

/// For how long an order is; none: until somebody ends it.
pub(in crate::api) fn lasting(
    lasting: Option<pbjson_types::Duration>,
    until: Option<pbjson_types::Timestamp>,
) -> Result<Option<Span>, Status> {
    let (field, lasting) = match (lasting, until) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(refuse::bad_field("until", "say `lasting` or `until`, not both"));
        }
        (Some(lasting), None) => ("lasting", Duration::try_from(lasting).ok()),
        (None, Some(until)) => {
            let ms = until.seconds.saturating_mul(1_000).saturating_add(i64::from(until.nanos) / 1_000_000);
            ("until", u64::try_from(ms.saturating_sub(clock::wall_ms())).ok().map(Duration::from_millis))
        }
    };
    match lasting {
        Some(lasting) if lasting >= Duration::from_millis(1) && lasting <= LONGEST => {
            Ok(Some(lasting.into()))
        }
        _ => Err(refuse::bad_field(field, "it has to end in the future, within 366 days")),
    }
}
