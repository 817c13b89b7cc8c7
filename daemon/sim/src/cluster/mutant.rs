//! Things that are broken on purpose: a simulator that cannot fail proves nothing.

/// Something that is broken on purpose, at the edge between the core and its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
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
}

impl Mutant {
    /// All.
    pub const ALL: [Self; 11] = [
        Self::NoGuards,
        Self::NoDemotion,
        Self::FenceWithoutProof,
        Self::NoVeto,
        Self::NoConfirm,
        Self::NoHoldDown,
        Self::NoAdvice,
        Self::NoSentry,
        Self::NoFencedKey,
        Self::NoLinger,
        Self::NoLag,
    ];

    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
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
        }
    }
}
