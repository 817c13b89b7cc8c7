//! Every finding there is. An id never changes its meaning and is never given twice.

/// Whether a finding forbids the use of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is done with these files.
    Error,
    /// They can be used; someone should look.
    Warning,
}

impl Severity {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// `SF005`.
    pub id: &'static str,
    /// Whether it forbids the use of the files.
    pub severity: Severity,
    /// In a few words.
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident $id:literal $severity:ident $title:literal)+) => {
        $(
            #[doc = $title]
            pub const $name: Code = Code { id: $id, severity: Severity::$severity, title: $title };
        )+
        /// All of them, by id.
        pub const ALL: &[Code] = &[$($name),+];
    };
}

codes! {
    SYNTAX "SF001" Error "the file is not YAML"
    FEATURE "SF002" Error "a feature of YAML that is not read here"
    TOO_LARGE "SF003" Error "too large or too deep"
    DUPLICATE_KEY "SF004" Error "a key twice"
    UNKNOWN_KEY "SF005" Error "an unknown key"
    MISSING_KEY "SF006" Error "a key is missing"
    WRONG_TYPE "SF007" Error "another type of value is wanted"
    WRONG_VALUE "SF008" Error "the value is not one of those allowed, or has the wrong unit"
    NOT_A_NAME "SF009" Error "not a name"
    NOT_OURS "SF010" Error "neither a fleet nor a playbook"
    UNKNOWN_ACTION "SF011" Error "an unknown action or condition"
    ONE_ACTION "SF012" Error "not exactly one action or condition"
    EXCLUSIVE "SF013" Error "keys that exclude each other, or have no place here"
    DUPLICATE_ID "SF014" Error "a name given twice"
    UNKNOWN_SITE "SF020" Error "an unknown site"
    UNKNOWN_RESOURCE "SF021" Error "an unknown resource, or one of another kind"
    UNKNOWN_SERVICE "SF022" Error "an unknown service"
    UNKNOWN_ROLE "SF023" Error "an unknown role"
    UNKNOWN_STEP "SF024" Error "an unknown step"
    UNKNOWN_PLAYBOOK "SF025" Error "an unknown playbook"
    UNKNOWN_INPUT "SF026" Error "an input that is not declared"
    CYCLE "SF027" Error "a cycle"
    LITERAL_SITE "SF030" Error "a literal site in a step"
    INTERPOLATION "SF031" Error "text that looks like interpolation"
    UNFENCED "SF032" Error "a promotion without a fence before it"
    UNVERIFIED "SF033" Error "a promotion without verification"
    NOT_THERE "SF034" Error "a resource has nothing in that site"
    NO_PROOF "SF035" Error "a proof that this fleet cannot give"
    NO_FLEET "SF040" Error "not exactly one fleet"
    ONE_KIND "SF041" Error "a site probed in one kind only"
    NO_CANARIES "SF042" Error "a fleet without canaries"
    ON_LOSS "SF043" Error "not exactly one on_loss for a site with active services"
    ACT_OUTSIDE_LAB "SF044" Error "automation act outside of a laboratory"
    TIMING "SF045" Error "timing that contradicts itself"
    DESTINATION "SF046" Error "a destination that cannot take the services"
    CLEAR_SECRET "SF047" Error "a secret in the clear"
    NO_WITNESS "SF048" Warning "fewer than three sites"
    REQUEST "SF050" Error "the request does not fit the playbook"
}
