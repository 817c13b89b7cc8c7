//! Sites on which somebody works.

use super::super::Api;
use super::super::asks::{Wish, reason};
use super::super::cluster::freeze::lasting;
use standfast_core::controller::Ask;
use standfast_proto::v1::{self, MaintainSiteRequest, ReleaseSiteRequest};
use tonic::{Request, Status};

pub(super) async fn maintain(api: &Api, request: Request<MaintainSiteRequest>) -> Result<v1::Site, Status> {
    let by = Api::caller(&request)?;
    let message = request.into_inner();
    let wish = Wish::new(&message.request_id, by, &message)?;
    let reason = reason(&message.reason, true)?;
    let bundle = api.bundle().await?;
    let site = Api::site_id(&bundle, &message.name)?;
    // Who repeats a request gets its answer, also when what they said has passed since.
    let left = if api.known(&wish).await? { None } else { lasting(message.lasting, message.until)? };
    api.ask(&wish, Ask::Maintain { site: site.clone(), reason, left }, Vec::new()).await?;
    api.site(&bundle, &site).await
}

pub(super) async fn release(api: &Api, request: Request<ReleaseSiteRequest>) -> Result<v1::Site, Status> {
    let by = Api::caller(&request)?;
    let message = request.into_inner();
    let wish = Wish::new(&message.request_id, by, &message)?;
    let reason = reason(&message.reason, true)?;
    let bundle = api.bundle().await?;
    let site = Api::site_id(&bundle, &message.name)?;
    api.ask(&wish, Ask::Release { site: site.clone(), reason }, Vec::new()).await?;
    api.site(&bundle, &site).await
}
