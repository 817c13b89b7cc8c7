//! A small fleet for the tests of this crate.

use crate::ids::SiteId;
use crate::rules::{Automation, Looks, OnLoss, Role, Rules};
use crate::time::Span;
use crate::timing::Timing;
use std::collections::BTreeMap;

/// Sites a (active), b (standby) and w (witness) with three canaries; `shop` moves a to b.
pub(crate) fn three_sites() -> Rules {
    let roles = [("a", Role::Active), ("b", Role::Standby), ("w", Role::Witness)];
    Rules {
        sites: roles.into_iter().map(|(site, role)| (SiteId::from(site), role)).collect(),
        timing: Timing::default(),
        automation: Automation::Act,
        single_observer: false,
        lab: true,
        canaries: 3,
        readiness: Looks::default(),
        on_loss: vec![OnLoss {
            site: "a".into(),
            playbook: "shop".into(),
            to: "b".into(),
            confirm: Span::secs(10),
            moves: Default::default(),
        }],
        roles: BTreeMap::new(),
        probes: BTreeMap::new(),
        services: BTreeMap::new(),
        sentries: BTreeMap::new(),
        power_off: Default::default(),
        switches: BTreeMap::new(),
        windows: BTreeMap::new(),
        limits: Default::default(),
        serving: BTreeMap::new(),
    }
}
