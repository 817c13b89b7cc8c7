//! Sites: what the leader thinks of them, and why nothing happens.

mod maintenance;
mod view;

use super::asks::{Wish, reason};
use super::state::{State, all};
use super::{Api, refuse, wire};
use crate::records::{self, JUDGEMENT, REFUSALS};
use crate::store::Range;
use standfast_core::bundle::Bundle;
use standfast_core::controller::{Ask, Refused};
use standfast_core::guard::{self, Guard};
use standfast_core::ids::SiteId;
use standfast_proto::v1::sites_server::Sites;
use standfast_proto::v1::{self, *};
use std::time::Duration;
use tonic::{Request, Response, Status};

pub(super) use view::{Detail, QUIET, View, evidence, refusal};

/// Refusals that are shown.
const SHOWN: usize = 20;
/// How long a new judgement is waited for: several beats of a leader, and no longer than a person
/// would wait.
const JUDGED_WITHIN: Duration = Duration::from_secs(3);

impl Api {
    /// A site of the fleet by its name.
    pub(super) fn site_id(bundle: &Bundle, name: &str) -> Result<SiteId, Status> {
        let site = SiteId::new(name);
        if bundle.fleet.sites.contains_key(&site) {
            return Ok(site);
        }
        let known: Vec<&str> = bundle.fleet.sites.keys().map(SiteId::as_str).collect();
        Err(refuse::not_found("site", name, &format!("the fleet has {}", known.join(", "))))
    }

    /// All sites as `state` has them.
    pub(super) fn view<'a>(&'a self, bundle: &'a Bundle, state: &'a State) -> View<'a> {
        View { bundle, state, heard: &self.heard }
    }

    async fn site(&self, bundle: &Bundle, site: &SiteId) -> Result<v1::Site, Status> {
        let state = self.state().await?;
        Ok(self.view(bundle, &state).site(site, Detail::Full))
    }

    /// Waits until the leader has judged the site without its hold-down.
    async fn released(&self, site: &SiteId) -> Result<(), Status> {
        loop {
            let state = self.state().await?;
            if state.hold(site).is_none() {
                return Ok(());
            }
            let mut changes = self.store().watch(JUDGEMENT, state.revision + 1).await;
            // A watch that ends is begun anew by reading again.
            drop(changes.next().await);
        }
    }

    /// The refusals of one site, newest first.
    pub(super) async fn refusals(&self, site: &SiteId) -> Result<Vec<Refused>, Status> {
        let newest = self.store().range(Range::key(records::LEADER)).await.map_err(refuse::store)?;
        let kvs = all(self.store(), &format!("{REFUSALS}{site}/"), newest.revision).await;
        let kvs = kvs.map_err(refuse::store)?;
        let refused = kvs.iter().map(records::decode).collect::<Result<Vec<Refused>, _>>();
        let mut refused = refused.map_err(refuse::internal)?;
        refused.sort_by_key(|refused| std::cmp::Reverse(refused.wall_ms));
        Ok(refused)
    }
}

#[tonic::async_trait]
impl Sites for Api {
    async fn list_sites(&self, _: Request<ListSitesRequest>) -> Result<Response<ListSitesResponse>, Status> {
        let bundle = self.bundle().await?;
        let state = self.state().await?;
        Ok(Response::new(ListSitesResponse { sites: self.view(&bundle, &state).sites() }))
    }

    async fn get_site(&self, request: Request<GetSiteRequest>) -> Result<Response<v1::Site>, Status> {
        let bundle = self.bundle().await?;
        let site = Self::site_id(&bundle, &request.get_ref().name)?;
        Ok(Response::new(self.site(&bundle, &site).await?))
    }

    async fn ack_site(&self, request: Request<AckSiteRequest>) -> Result<Response<v1::Site>, Status> {
        let by = Self::caller(&request)?;
        let message = request.into_inner();
        let wish = Wish::new(&message.request_id, by, &message)?;
        let reason = reason(&message.reason, true)?;
        let bundle = self.bundle().await?;
        let site = Self::site_id(&bundle, &message.name)?;
        let known = self.known(&wish).await?;
        let seen = Some(message.etag).filter(|etag| !etag.is_empty());
        self.ask(&wish, Ask::Acknowledge { site: site.clone(), reason, seen }, Vec::new()).await?;
        if !known {
            // A site is shown as it was judged last, and that may have been before.
            let judged = tokio::time::timeout(JUDGED_WITHIN, self.released(&site)).await;
            judged.unwrap_or(Ok(()))?;
        }
        Ok(Response::new(self.site(&bundle, &site).await?))
    }

    async fn rejoin_site(&self, request: Request<RejoinSiteRequest>) -> Result<Response<v1::Site>, Status> {
        let by = Self::caller(&request)?;
        let message = request.into_inner();
        let wish = Wish::new(&message.request_id, by, &message)?;
        let reason = reason(&message.reason, true)?;
        let bundle = self.bundle().await?;
        let site = Self::site_id(&bundle, &message.name)?;
        self.ask(&wish, Ask::Rejoin { site: site.clone(), reason }, Vec::new()).await?;
        Ok(Response::new(self.site(&bundle, &site).await?))
    }

    async fn maintain_site(
        &self,
        request: Request<MaintainSiteRequest>,
    ) -> Result<Response<v1::Site>, Status> {
        Ok(Response::new(maintenance::maintain(self, request).await?))
    }

    async fn release_site(&self, request: Request<ReleaseSiteRequest>) -> Result<Response<v1::Site>, Status> {
        Ok(Response::new(maintenance::release(self, request).await?))
    }

    async fn why_not(&self, request: Request<WhyNotRequest>) -> Result<Response<WhyNotResponse>, Status> {
        let bundle = self.bundle().await?;
        let site = Self::site_id(&bundle, &request.get_ref().site)?;
        let state = self.state().await?;
        let rules = bundle.rules();
        let entry = rules.on_loss(&site);
        let judged = state.judged();
        let rulings = judged.and_then(|judgement| {
            let judged = judgement.sites.iter().find(|judged| judged.finding.site == site)?;
            Some(judged.rulings.as_slice()).filter(|rulings| !rulings.is_empty())
        });
        let (guards, refused_by) = match rulings {
            Some(rulings) => (
                rulings.iter().map(wire::ruling).collect(),
                guard::refusing(rulings).map(|ruling| ruling.guard.id()).unwrap_or_default(),
            ),
            None => {
                let (refuses, why) = match (entry, judged) {
                    (None, _) => (Guard::Automation, format!("on_loss names no playbook for {site}")),
                    (_, None) => (Guard::Quorum, state.unjudged()),
                    (_, Some(_)) => (Guard::Quorum, "the leader has not judged this site yet".to_owned()),
                };
                (unasked(refuses, &why), refuses.id())
            }
        };
        let refusals = self.refusals(&site).await?;
        let entry =
            |of: fn(&standfast_core::rules::OnLoss) -> &str| entry.map(of).unwrap_or_default().to_owned();
        Ok(Response::new(WhyNotResponse {
            playbook: entry(|entry| entry.playbook.as_str()),
            to: entry(|entry| entry.to.as_str()),
            guards,
            refused_by,
            refusals: refusals.iter().take(SHOWN).map(|refused| refusal(refused, Some(&rules))).collect(),
            at: judged.map_or_else(wire::now, |judgement| wire::time(judgement.wall_ms)),
            member: judged.map_or(&self.deps.me.id, |judgement| &judgement.member).to_string(),
            site: site.to_string(),
        }))
    }
}

/// All guards when one refuses before the others could be asked.
fn unasked(refuses: Guard, why: &str) -> Vec<GuardDecision> {
    let decision = |guard: Guard| match guard == refuses {
        true => wire::guard(guard, GuardOutcome::Refused, why),
        false => wire::guard(guard, GuardOutcome::NotAsked, ""),
    };
    Guard::ALL.into_iter().map(decision).collect()
}
