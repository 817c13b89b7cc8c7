//! Which faults a seed has.
//!
//! The list is drawn before anything happens, so that a shorter one can be tried: what is left when
//! no fault can be taken away is the shrunk trace.

use super::super::net::SITES;
use super::{Fault, LEADER, Planned, When};
use crate::dice::Dice;
use std::time::Duration;

/// The faults of a seed: one or two that may lose a site, and whatever else.
pub(crate) fn draw(dice: &mut Dice, members: usize, safety: Duration) -> Vec<Planned> {
    let mut planned = Vec::new();
    let secs = Duration::from_secs;
    for _ in 0..1 + dice.below(2) {
        let site = dice.below(2) as usize;
        let fault = match dice.below(4) {
            0 | 1 => Fault::Cut(site),
            2 => Fault::Power(site),
            _ => Fault::Flap(site),
        };
        let when = When::At(dice.between(secs(15), safety * 2 / 3));
        planned.push(Planned { fault, when, lasts: dice.between(secs(20), secs(110)) });
    }
    for _ in 0..dice.below(8) {
        let fault = any(dice, members);
        let when = When::At(dice.between(secs(5), safety));
        let most = if dice.below(3) == 0 { secs(90) } else { secs(12) };
        planned.push(Planned { fault, when, lasts: dice.between(Duration::from_millis(200), most) });
    }
    for _ in 0..dice.below(4) {
        let fault = match (any(dice, members), dice.below(2)) {
            (Fault::Nic(_), 0) => Fault::Nic(LEADER),
            (Fault::NoStore(_), 0) => Fault::NoStore(LEADER),
            (Fault::Kill(_), 0) => Fault::Kill(LEADER),
            (Fault::Stop(_), 0) => Fault::Stop(LEADER),
            (fault, _) => fault,
        };
        let when = When::Entry(1 + dice.below(24));
        let most = if dice.below(2) == 0 { secs(40) } else { secs(4) };
        planned.push(Planned { fault, when, lasts: dice.between(Duration::from_millis(200), most) });
    }
    planned
}

fn any(dice: &mut Dice, members: usize) -> Fault {
    let site = dice.below(SITES as u64) as usize;
    let other = (site + 1 + dice.below(SITES as u64 - 1) as usize) % SITES;
    let member = dice.below(members as u64) as usize;
    match dice.below(Fault::DRAWN as u64) {
        0 => Fault::Cut(site),
        1 => Fault::Pair(site, other),
        2 => Fault::OneWay(site, other),
        3 => Fault::Slow(site, other),
        4 => Fault::Flap(site),
        5 => Fault::Power(site),
        6 => Fault::Web(site),
        7 => Fault::Nic(member),
        8 => Fault::NoStore(member),
        9 => Fault::Kill(member),
        10 => Fault::Stop(member),
        11 => Fault::Jump(member),
        12 => Fault::Down(site),
        13 => Fault::Hang(site),
        14 => Fault::Disk,
        15 => Fault::Full,
        16 => Fault::Lossy,
        17 => Fault::Past,
        18 => Fault::Mute,
        19 => Fault::Revoke,
        20 => Fault::Behind,
        21 => Fault::Probes(site),
        22 => Fault::Blind(site),
        23 => Fault::Sentry(site % 2),
        24 => Fault::Lease(site % 2),
        25 => Fault::Unready,
        _ => Fault::Targets,
    }
}
