//! Things that are broken on purpose: a simulator that cannot fail proves nothing.

use standfast_core::guard::Guard;
use std::fmt;

/// Something that is broken on purpose: a guard that is taken out of the core, or something at the edge
/// between the core and its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The controller does without this guard. Only in builds for tests, and with the feature `mutants`.
    Without(Guard),
    /// The store does not compare: whoever once led may write.
    NoGuards,
    /// A member that may not lead any more goes on.
    NoDemotion,
    /// A fence is proven without looking.
    FenceWithoutProof,
    /// Nobody hears of members that are alive in site a.
    NoVeto,
    /// Members confirm no loss.
    NoConfirm,
    /// Members hold no site down.
    NoHoldDown,
    /// Members act where they should advise.
    NoAdvice,
    /// Sites that cannot renew their lease go on serving.
    NoSentry,
    /// A site renews its lease although it was fenced.
    NoFencedKey,
    /// What an earlier leader began is not waited out.
    NoLinger,
    /// A replica that is too far behind is said to be near enough.
    NoLag,
    /// The name server takes an update whatever the epoch beside the name is.
    NoPrerequisite,
    /// Members forget which epochs they have seen.
    NoWatermark,
    /// Nobody promises a site that lost the store not to fence it.
    NoFailsafe,
}

/// What is broken at the edge.
const EDGE: [Mutant; 14] = [
    Mutant::NoGuards,
    Mutant::NoDemotion,
    Mutant::FenceWithoutProof,
    Mutant::NoVeto,
    Mutant::NoConfirm,
    Mutant::NoHoldDown,
    Mutant::NoAdvice,
    Mutant::NoSentry,
    Mutant::NoFencedKey,
    Mutant::NoLinger,
    Mutant::NoLag,
    Mutant::NoPrerequisite,
    Mutant::NoWatermark,
    Mutant::NoFailsafe,
];

impl Mutant {
    /// All: the guards in their order, each once, then what is no guard.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |guard| EDGE.into_iter().find(move |mutant| mutant.guard() == Some(guard));
        let guards = Guard::ALL.into_iter().map(move |guard| of(guard).unwrap_or(Self::Without(guard)));
        guards.chain(EDGE.into_iter().filter(|mutant| mutant.guard().is_none()))
    }

    /// The guard that it takes away, if it is one with a number.
    pub fn guard(self) -> Option<Guard> {
        match self {
            Self::Without(guard) => Some(guard),
            Self::NoConfirm => Some(Guard::Confirm),
            Self::NoVeto => Some(Guard::Veto),
            Self::NoHoldDown => Some(Guard::HoldDown),
            Self::NoAdvice => Some(Guard::Automation),
            Self::NoLag => Some(Guard::Lag),
            Self::FenceWithoutProof => Some(Guard::Fence),
            _ => None,
        }
    }
}

/// As it is called on the command line.
impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Without(guard) => return write!(f, "no-{}", guard.name()),
            Self::NoGuards => "no-guards",
            Self::NoDemotion => "no-demotion",
            Self::FenceWithoutProof => "fence-without-proof",
            Self::NoVeto => "no-veto",
            Self::NoConfirm => "no-confirm",
            Self::NoHoldDown => "no-hold-down",
            Self::NoAdvice => "no-advice",
            Self::NoSentry => "no-sentry",
            Self::NoFencedKey => "no-fenced-key",
            Self::NoLinger => "no-linger",
            Self::NoLag => "no-lag",
            Self::NoPrerequisite => "no-prerequisite",
            Self::NoWatermark => "no-watermark",
            Self::NoFailsafe => "no-failsafe",
        })
    }
}
