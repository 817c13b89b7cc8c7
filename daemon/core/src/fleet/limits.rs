//! How much a run may touch, as it stands in the fleet.

use super::LimitsAt;
use crate::decode::Object;
use crate::ids::ServiceId;
use crate::limits::{Cap, Forbidden, Limits};
use std::collections::BTreeSet;

pub(super) fn limits(root: &Object) -> Limits {
    let (limits, overrides) = (root.object("limits"), root.object("overrides"));
    let cap = |key| limits.and_then(|limits| limits.object(key)).map(cap).unwrap_or_default();
    Limits {
        min_serving: limits.and_then(|limits| limits.number("min_serving")),
        per_run: cap("per_run"),
        per_day: cap("per_day"),
        forbidden: root.list("forbid").iter().filter_map(|item| forbidden(item.value.object()?)).collect(),
        waived_by: overrides.and_then(|overrides| overrides.text("role")).map(str::to_owned),
        second_person: overrides.and_then(|overrides| overrides.flag("second_person")).unwrap_or(false),
    }
}

pub(super) fn places(root: &Object) -> LimitsAt {
    let stated = root.list("forbid").iter().filter(|item| item.value.object().and_then(forbidden).is_some());
    let limits = root.object("limits");
    LimitsAt {
        forbidden: stated.map(|item| item.at).collect(),
        min_serving: limits.and_then(|limits| limits.get("min_serving")).map(|value| value.at),
    }
}

fn cap(object: &Object) -> Cap {
    Cap {
        sites: object.number("sites"),
        services: object.number("services"),
        servers: object.number("servers"),
    }
}

fn forbidden(object: &Object) -> Option<Forbidden> {
    let services = |key| -> BTreeSet<ServiceId> {
        object.texts(key).into_iter().map(|name| name.value.as_str().into()).collect()
    };
    match object.fields.first()? {
        (key @ "apart", _) => Some(Forbidden::Apart(services(key))),
        (key @ "together", _) => Some(Forbidden::Together(services(key))),
        (_, value) => {
            let active = value.value.object()?;
            Some(Forbidden::Active {
                service: active.text("service")?.into(),
                site: active.text("in")?.into(),
            })
        }
    }
}
