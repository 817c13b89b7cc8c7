//! What has to be switched on before anything runs by itself.

use super::super::asks::{Wish, reason};
use super::super::state::State;
use super::super::{Api, wire};
use standfast_core::controller::Ask;
use standfast_core::rules::Rules;
use standfast_proto::v1::{self, SetSwitchRequest, SetSwitchResponse};
use tonic::{Request, Status};

pub(super) async fn set(api: &Api, request: Request<SetSwitchRequest>) -> Result<SetSwitchResponse, Status> {
    let by = Api::caller(&request)?;
    let message = request.into_inner();
    let wish = Wish::new(&message.request_id, by, &message)?;
    let reason = reason(&message.reason, true)?;
    api.ask(&wish, Ask::Switch { name: message.name, on: message.on, reason }, Vec::new()).await?;
    let rules = api.bundle().await?.rules();
    Ok(SetSwitchResponse { switches: list(&api.state().await?, Some(&rules)) })
}

/// The switches of the fleet, by name.
pub(super) fn list(state: &State, rules: Option<&Rules>) -> Vec<v1::Switch> {
    let switches = rules.into_iter().flat_map(|rules| &rules.switches);
    switches
        .map(|(name, switch)| {
            let on = state.switches.get(name);
            v1::Switch {
                name: name.clone(),
                means: switch.means.clone(),
                services: switch.services.iter().map(ToString::to_string).collect(),
                on: on.is_some(),
                by: on.map(|order| order.by.to_string()).unwrap_or_default(),
                reason: on.map(|order| order.reason.clone()).unwrap_or_default(),
                since: on.and_then(|order| wire::time(order.since_wall_ms)),
            }
        })
        .collect()
}
