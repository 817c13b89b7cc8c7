//! Chance from a seed: the same numbers for ever, on every machine.
//!
//! SplitMix64 (Steele, Lea and Flood 2014): a counter that goes up by an odd number, and a
//! function that scatters it. Small, fast, and more than good enough to roll faults with. It is
//! our own so that no version of a library can change what a seed means.
//!
//! Dice *fork* by a label. What a fork rolls depends on the seed and on the labels alone, not on
//! how often others were rolled before, so that one more roll in one place shifts no other.

use std::fmt;
use std::time::Duration;

/// Odd, and without a pattern in its bits: the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dice {
    origin: u64,
    state: u64,
}

/// Scatters every bit of `x` over all bits; no two numbers come to the same.
const fn scatter(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Dice {
    /// The stream of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { origin: seed, state: seed }
    }

    /// A stream of its own for `label`.
    pub const fn fork(&self, label: u64) -> Self {
        Self::new(scatter(self.origin ^ scatter(label.wrapping_add(STEP))))
    }

    /// A stream of its own for a name.
    pub fn fork_named(&self, name: &str) -> Self {
        // FNV-1a, then scattered by `fork`.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.fork(hash)
    }

    /// 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        scatter(self.state)
    }

    /// A number below `n`; 0 when there is none. The bias is below n / 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.roll()) * u128::from(n)) >> 64) as u64
    }

    /// A number from 0 up to, never quite, 1.
    pub fn unit(&mut self) -> f64 {
        (self.roll() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Whether it happens this time.
    pub fn happens(&mut self, share: Share) -> bool {
        self.below(u64::from(Share::ALWAYS.0)) < u64::from(share.0)
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len() as u64) as usize)
    }

    /// A time from `least` up to `most`, each as likely as any other, in whole microseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let width = most.saturating_sub(least).as_micros() as u64;
        least + Duration::from_micros(self.below(width.saturating_add(1)))
    }
}

/// How often something happens, in parts per million. Written as `2%`, `0.5%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// It does not happen.
    pub const NEVER: Self = Self(0);
    /// It happens every time.
    pub const ALWAYS: Self = Self(1_000_000);

    /// So many per cent, at most 100.
    pub const fn percent(percent: u32) -> Self {
        Self(if percent < 100 { percent * 10_000 } else { 1_000_000 })
    }

    /// Reads `2%`, `0.5%`, `100%`; at most four decimals.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').ok_or_else(|| format!("`{text}` is not a share: write `2%`"))?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let fits = (1..=3).contains(&whole.len()) && fraction.len() <= 4 && !number.ends_with('.');
        if !fits || !digits(whole) || !digits(fraction) {
            return Err(format!("`{text}` is not a share: write `2%` or `0.5%`, at most four decimals"));
        }
        let ppm: u32 =
            format!("{whole}{fraction:0<4}").parse().map_err(|_| format!("`{text}` is too much"))?;
        if ppm > Self::ALWAYS.0 { Err(format!("`{text}` is more than always")) } else { Ok(Self(ppm)) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 10_000, self.0 % 10_000);
        match fraction {
            0 => write!(f, "{whole}%"),
            _ => write!(f, "{whole}.{}%", format!("{fraction:04}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These numbers may never change: what a seed means depends on them.
    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut dice = Dice::new(0);
        // The first numbers of SplitMix64 from 0, as its authors publish them.
        assert_eq!([dice.roll(), dice.roll()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        let dice = Dice::new(7);
        assert_eq!(dice.fork(3).roll(), GOLDEN[0]);
        assert_eq!(dice.fork_named("promote").roll(), GOLDEN[1]);
        assert_eq!(dice.fork(3).below(1_000), GOLDEN[2]);
        assert_eq!(dice.fork(3).unit().to_bits(), GOLDEN[3]);
    }

    const GOLDEN: [u64; 4] = [0x649e25419b48acd3, 0xbb6c10654b6f6101, 393, 0x3fd927895066d22a];

    #[test]
    fn a_fork_does_not_depend_on_what_was_rolled_before() {
        let mut dice = Dice::new(42);
        let before = dice.fork_named("faults");
        dice.roll();
        assert_eq!(dice.fork_named("faults"), before);
        assert_ne!(dice.fork_named("faults"), dice.fork_named("people"));
        assert_ne!(dice.fork(1).fork(2), dice.fork(2).fork(1));
    }

    #[test]
    fn shares_come_true() {
        let mut dice = Dice::new(1);
        let mut count = |share| (0..100_000).filter(|_| dice.happens(share)).count();
        assert_eq!((count(Share::NEVER), count(Share::ALWAYS)), (0, 100_000));
        let half = count(Share::percent(50));
        assert!((49_000..51_000).contains(&half), "{half}");
        let rare = count(Share::parse("0.5%").unwrap());
        assert!((400..600).contains(&rare), "{rare}");
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut dice = Dice::new(9);
        let (least, most) = (Duration::from_micros(3), Duration::from_micros(5));
        let mut seen = [0; 3];
        for _ in 0..3_000 {
            let drawn = dice.between(least, most);
            seen[(drawn - least).as_micros() as usize] += 1;
            let unit = dice.unit();
            assert!((0.0..1.0).contains(&unit));
        }
        assert!(seen.iter().all(|count| *count > 800), "{seen:?}");
        assert_eq!((dice.below(0), dice.pick::<u8>(&[])), (0, None));
    }

    #[test]
    fn shares_read_and_print() {
        for (text, shown) in [("2%", "2%"), ("0.5%", "0.5%"), ("100%", "100%"), ("0.0001%", "0.0001%")] {
            assert_eq!(Share::parse(text).unwrap().to_string(), shown);
        }
        for text in ["2", "%", "101%", "-1%", "1.%", "1.23456%", "1000%", "x%"] {
            assert!(Share::parse(text).is_err(), "{text}");
        }
    }
}
