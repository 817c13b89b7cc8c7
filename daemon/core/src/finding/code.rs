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

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The files cannot be read, or contradict themselves.
    Structure,
    /// Carrying it out could do harm.
    Safety,
    /// Something that is needed for leaving a site goes down with that site.
    SiteLoss,
    /// What was promised cannot be kept, or is not shown.
    Objectives,
    /// Standfast itself, and the people who command it.
    ControlPlane,
}

impl Group {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Safety => "safety",
            Self::SiteLoss => "site loss",
            Self::Objectives => "objectives",
            Self::ControlPlane => "control plane",
        }
    }
}

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// `SF005`.
    pub id: &'static str,
    /// What it is about.
    pub group: Group,
    /// Whether it forbids the use of the files.
    pub severity: Severity,
    /// In a few words.
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident $id:literal $severity:ident $group:ident $title:literal)+) => {
        $(
            #[doc = $title]
            pub const $name: Code = Code {
                id: $id,
                group: Group::$group,
                severity: Severity::$severity,
                title: $title,
            };
        )+
        /// All of them, by id.
        pub const ALL: &[Code] = &[$($name),+];
    };
}

codes! {
    SYNTAX "SF001" Error Structure "the file is not YAML"
    FEATURE "SF002" Error Structure "a feature of YAML that is not read here"
    TOO_LARGE "SF003" Error Structure "too large or too deep"
    DUPLICATE_KEY "SF004" Error Structure "a key twice"
    UNKNOWN_KEY "SF005" Error Structure "an unknown key"
    MISSING_KEY "SF006" Error Structure "a key is missing"
    WRONG_TYPE "SF007" Error Structure "another type of value is wanted"
    WRONG_VALUE "SF008" Error Structure "the value is not one of those allowed, or has the wrong unit"
    NOT_A_NAME "SF009" Error Structure "not a name"
    NOT_OURS "SF010" Error Structure "neither a fleet nor a playbook"
    UNKNOWN_ACTION "SF011" Error Structure "an unknown action or condition"
    ONE_ACTION "SF012" Error Structure "not exactly one action or condition"
    EXCLUSIVE "SF013" Error Structure "keys that exclude each other, or have no place here"
    DUPLICATE_ID "SF014" Error Structure "a name given twice"
    UNKNOWN_SITE "SF020" Error Structure "an unknown site"
    UNKNOWN_RESOURCE "SF021" Error Structure "an unknown resource, or one of another kind"
    UNKNOWN_SERVICE "SF022" Error Structure "an unknown service"
    UNKNOWN_ROLE "SF023" Error Structure "an unknown role"
    UNKNOWN_STEP "SF024" Error Structure "an unknown step"
    UNKNOWN_PLAYBOOK "SF025" Error Structure "an unknown playbook"
    UNKNOWN_INPUT "SF026" Error Structure "an input that is not declared"
    CYCLE "SF027" Error Structure "a cycle"
    LITERAL_SITE "SF030" Error Structure "a literal site in a step"
    INTERPOLATION "SF031" Error Structure "text that looks like interpolation"
    UNFENCED "SF032" Error Safety "a promotion without a fence before it"
    UNVERIFIED "SF033" Error Safety "a promotion without verification"
    NOT_THERE "SF034" Error Structure "a resource has nothing in that site"
    NO_PROOF "SF035" Error Safety "a proof that this fleet cannot give"
    COMPOSED "SF036" Error Structure "a playbook that cannot be run as a step here"
    NO_FLEET "SF040" Error Structure "not exactly one fleet"
    ONE_KIND "SF041" Error Safety "a site probed in one kind only"
    NO_CANARIES "SF042" Error Safety "a fleet without canaries"
    ON_LOSS "SF043" Error Structure "not exactly one on_loss for a site with active services"
    ACT_OUTSIDE_LAB "SF044" Error Safety "automation act outside of a laboratory"
    TIMING "SF045" Error Safety "timing that contradicts itself"
    DESTINATION "SF046" Error SiteLoss "a destination that cannot take the services"
    CLEAR_SECRET "SF047" Error Safety "a secret in the clear"
    NO_WITNESS "SF048" Warning ControlPlane "fewer than three sites"
    REQUEST "SF050" Error Structure "the request does not fit the playbook"
    RETRY "SF051" Error Safety "a retry of an action that is not idempotent"
    NO_UNDO "SF052" Error Safety "an effect before the point of no return with neither `undo` nor `undo: none`"
    LATE_UNDO "SF053" Error Safety "taking back across the point of no return"
    EARLY_TRAFFIC "SF054" Error Safety "traffic before a verified promotion"
    PASSED_OVER "SF055" Error Safety "a failure that is passed over although others need the step"
    UNGATED "SF056" Error Safety "a ramp without gates"
    GATES_ASK_FROM "SF057" Error Safety "gates that ask the site that is left"
    PARALLEL_WRITES "SF058" Error Safety "two steps that write one resource side by side"
    APPROVERS "SF059" Error Safety "fewer approvers than are asked for"
    NO_WAY_BACK "SF060" Warning Safety "the opposite direction cannot be bound"
    TTL "SF061" Error Objectives "a record that resolvers keep longer than the time objective"
    CRITICAL_PATH "SF062" Warning Objectives "timeouts that add up to more than the time objective"
    ASYNC_RPO "SF063" Error Objectives "nothing may be lost, and replication is asynchronous"
    WAIVER_ENDED "SF070" Error Structure "a waiver that has ended"
    WAIVER_UNUSED "SF071" Warning Structure "a waiver that waives nothing"
    NOT_WAIVABLE "SF072" Error Structure "a waiver of what cannot be waived"
}
