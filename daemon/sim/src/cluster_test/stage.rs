//! A stage for situations that are played by name: one fleet, three members, and what happens when.

use super::*;
use people::Want;
use std::sync::LazyLock;

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// The fleets, by place.
pub(super) const ACT: usize = 0;
pub(super) const ADVISE: usize = 1;
pub(super) const FAST: usize = 2;
pub(super) const LIMITS: usize = 3;
pub(super) const FORBIDS: usize = 4;
pub(super) const CALENDAR: usize = 5;
/// Where three times down is too often.
pub(super) const LOCKED: usize = 6;
/// Where a loss is confirmed for longer than what was read last counts.
pub(super) const PATIENT: usize = 7;

/// All fleets, and nothing broken.
pub(super) static TOWN: LazyLock<Town> = LazyLock::new(|| staged(Town::default()));

/// With the fleets that only some situations need.
pub(super) fn staged(mut town: Town) -> Town {
    town.cases.extend(setting::unusual(town.mutant));
    town
}

pub(super) fn at(second: u32, fault: Fault, seconds: u32) -> Planned {
    Planned { fault, when: When::At(second * SECOND), lasts: seconds * SECOND }
}

pub(super) fn aimed(entry: u64, fault: Fault, seconds: u32) -> Planned {
    Planned { fault, when: When::Entry(entry), lasts: seconds * SECOND }
}

/// What is played: nobody comes before everything is mended, and nobody wants anything but this.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) fleet: usize,
    pub(super) faults: Vec<Planned>,
    pub(super) wants: Vec<(u32, Want)>,
    /// When everything is mended.
    pub(super) mended: u32,
    /// How often people come before.
    pub(super) visits: Option<u32>,
}

impl Scene {
    pub(super) fn new(fleet: usize, faults: &[Planned]) -> Self {
        Self { fleet, faults: faults.to_vec(), wants: Vec::new(), mended: 200, visits: None }
    }

    pub(super) fn wants(mut self, second: u32, want: Want) -> Self {
        self.wants.push((second, want));
        self
    }

    pub(super) fn mended(self, mended: u32) -> Self {
        Self { mended, ..self }
    }

    pub(super) fn visits(self, every: u32) -> Self {
        Self { visits: Some(every), ..self }
    }

    /// Plays it with three members, one in each site; the store's leader is in site a.
    pub(super) fn play(&self, town: &Town, seed: u64, told: bool) -> Outcome {
        let mut cluster = Cluster::new(town, seed, Some(self.faults.clone()), told);
        let (fleet, case) = (self.fleet, &town.cases[self.fleet]);
        let mut made = Dice::new(seed);
        cluster.members = (0..SITES)
            .map(|site| {
                Member::new((site, fleet), site, case.site(site).clone(), case.bundle.fleet.timing, &mut made)
            })
            .collect();
        cluster.case = case;
        cluster.gates = std::array::from_fn(|_| Gate::new(case.bundle.fleet.timing.isolate, fleet));
        cluster.judge = Judge::new(fleet);
        let bundle = Op::Put(Key::Bundle, Value::Bundle(fleet));
        cluster.store.txn(&Txn { then: vec![bundle], ..Txn::default() });
        cluster.service.leader = Some(0);
        cluster.safety = self.mended * SECOND;
        cluster.people.stay_away(self.visits.unwrap_or(self.mended) * SECOND);
        for (second, want) in &self.wants {
            cluster.people.want_at(*second * SECOND, *want);
        }
        cluster.run()
    }
}
