//! What goes wrong, by seed.

use crate::dice::{Dice, Share};
use standfast_core::action::FailureKind;
use std::fmt;
use std::time::Duration;

/// How often each thing goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// An act fails: most have done nothing, some could not reach their target, some were
    /// refused.
    pub fail: Share,
    /// An act hangs until its timeout and has done nothing.
    pub hang: Share,
    /// An act is done, and its answer is lost.
    pub silent: Share,
    /// In a run the destination degrades: from some moment on everything there takes two to five
    /// times as long.
    pub slow: Share,
    /// In a run the replica was further behind than is allowed.
    pub lag: Share,
    /// In an emergency the lost site is only cut off, and lives on.
    pub alive: Share,
    /// In a run the leader is lost, right before or right after one of its entries is durable.
    pub leader: Share,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            fail: Share::percent(2),
            hang: Share::percent(1),
            silent: Share::percent(1),
            slow: Share::percent(10),
            lag: Share::percent(1),
            alive: Share::percent(50),
            leader: Share::ALWAYS,
        }
    }
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        fail: Share::NEVER,
        hang: Share::NEVER,
        silent: Share::NEVER,
        slow: Share::NEVER,
        lag: Share::NEVER,
        alive: Share::NEVER,
        leader: Share::NEVER,
    };

    /// Each with its name, as it is written.
    pub fn named(&self) -> [(&'static str, Share); 7] {
        let Self { fail, hang, silent, slow, lag, alive, leader } = *self;
        [
            ("fail", fail),
            ("hang", hang),
            ("silent", silent),
            ("slow", slow),
            ("lag", lag),
            ("alive", alive),
            ("leader", leader),
        ]
    }

    /// Reads `none`, or what differs from the defaults, as in `fail=5%,leader=0%`. After `none,`
    /// it is what differs from nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut faults = Self::default();
        for (place, part) in text.split(',').enumerate() {
            if part == "none" && place == 0 {
                faults = Self::NONE;
                continue;
            }
            let known = faults.named().map(|(name, _)| name).join(", ");
            let (name, share) = part.split_once('=').ok_or_else(|| {
                format!("`{part}` is not a fault: write `fail=5%`, or `none`; there are {known}")
            })?;
            let field = match name {
                "fail" => &mut faults.fail,
                "hang" => &mut faults.hang,
                "silent" => &mut faults.silent,
                "slow" => &mut faults.slow,
                "lag" => &mut faults.lag,
                "alive" => &mut faults.alive,
                "leader" => &mut faults.leader,
                _ => return Err(format!("there is no fault `{name}`: there are {known}")),
            };
            *field = Share::parse(share)?;
        }
        Ok(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("none");
        }
        let parts = self.named().map(|(name, share)| format!("{name}={share}"));
        f.write_str(&parts.join(","))
    }
}

/// Where a leader is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// The entry of the journal, from 1.
    pub entry: u64,
    /// Whether the entry is durable; if so, the leader never hears of it.
    pub durable: bool,
}

/// What a whole run meets.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    pub(super) alive: bool,
    pub(super) lag: bool,
    /// Since when, and how many times as long everything at the destination takes, in per cent.
    pub(super) slow: Option<(Duration, u32)>,
    pub(super) loss: Option<Loss>,
}

impl Fate {
    /// For a run that takes about `length` and writes about `entries`, if nothing happens.
    pub(super) fn draw(faults: &Faults, dice: &Dice, length: Duration, entries: u64) -> Self {
        let mut dice = dice.fork_named("fate");
        let (alive, lag) = (dice.happens(faults.alive), dice.happens(faults.lag));
        let slow = dice.happens(faults.slow);
        let slowed = (dice.between(Duration::ZERO, length), 200 + dice.below(301) as u32);
        let lost = dice.happens(faults.leader);
        // The first entry is there before a leader begins with the run.
        let loss = Loss { entry: 2 + dice.below(entries.saturating_sub(1)), durable: dice.below(2) == 1 };
        Self { alive, lag, slow: slow.then_some(slowed), loss: lost.then_some(loss) }
    }
}

/// What happens to one act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// Nothing.
    None,
    /// It fails like this, after so much of its time, in per cent.
    Fails(FailureKind, u32),
    /// It hangs, and nothing is done.
    Hangs,
    /// It is done, and nobody hears of it.
    Silent,
}

impl Mishap {
    pub(super) fn draw(faults: &Faults, dice: &mut Dice) -> Self {
        let (fails, hangs, silent) =
            (dice.happens(faults.fail), dice.happens(faults.hang), dice.happens(faults.silent));
        let (kind, part) = (dice.below(100), dice.below(101) as u32);
        let kind = match kind {
            0..60 => FailureKind::Failed,
            60..85 => FailureKind::Unreachable,
            _ => FailureKind::Refused,
        };
        match (fails, hangs, silent) {
            (true, ..) => Self::Fails(kind, part),
            (_, true, _) => Self::Hangs,
            (.., true) => Self::Silent,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_and_print() {
        assert_eq!(Faults::parse("none"), Ok(Faults::NONE));
        assert_eq!(Faults::NONE.to_string(), "none");
        let given = Faults::parse("fail=5%,leader=0%").unwrap();
        assert_eq!(given, Faults { fail: Share::percent(5), leader: Share::NEVER, ..Faults::default() });
        assert_eq!(Faults::parse(&given.to_string()), Ok(given));
        let only = Faults::parse("none,silent=1%").unwrap();
        assert_eq!(only, Faults { silent: Share::percent(1), ..Faults::NONE });
        for text in ["", "fail", "fail=2", "fire=2%", "fail=2%,none"] {
            assert!(Faults::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_same_seed_meets_the_same_fate_whatever_else_is_asked() {
        let (dice, faults) = (Dice::new(5), Faults::default());
        let fate = |faults: &Faults| Fate::draw(faults, &dice, Duration::from_secs(60), 20);
        let (all, none) = (fate(&faults), fate(&Faults::NONE));
        assert_eq!((none.alive, none.lag, none.slow, none.loss), (false, false, None, None));
        assert_eq!(fate(&Faults { alive: Share::NEVER, ..faults }).loss, all.loss);
        let lost: Vec<Loss> = (0..200)
            .filter_map(|seed| Fate::draw(&faults, &Dice::new(seed), Duration::from_secs(60), 20).loss)
            .collect();
        assert_eq!(lost.len(), 200);
        assert!((2..=20).all(|entry| lost.iter().any(|loss| loss.entry == entry)), "{lost:?}");
    }
}
