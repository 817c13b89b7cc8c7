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
    ON_LOSS "SF043" Error SiteLoss "not exactly one on_loss for a site with active services"
    NOT_ENFORCED "SF044" Error Safety "automation act where nothing stops a site that is cut off"
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
    LATE_SENTRY "SF064" Error Safety "a sentry that may not stop its host in time"
    LATE_ROLLBACK "SF065" Error Safety "a rollback that cannot be made"
    FORBIDDEN "SF066" Error Safety "a state that the fleet forbids"
    WAIVER_ENDED "SF070" Error Structure "a waiver that has ended"
    WAIVER_UNUSED "SF071" Warning Structure "a waiver that waives nothing"
    NOT_WAIVABLE "SF072" Error Structure "a waiver of what cannot be waived"
    CANNOT_RUN "SF100" Error SiteLoss "something that cannot be done once the site is lost"
    TOOLING_TRAP "SF101" Error SiteLoss "a tool that lives only in the site that is left with it"
    INSIDE_ONLY "SF102" Error SiteLoss "redundancy that exists only inside of what is lost"
    NO_COPY "SF103" Error SiteLoss "data without a full copy elsewhere"
    ONLY_THERE "SF104" Error SiteLoss "a service that others need and that lives only there"
    UNPLACED "SF105" Error SiteLoss "a host that stands in no site that is known"
    BOOTSTRAP "SF106" Error SiteLoss "services that cannot be started because each needs another first"
    WEAKER "SF107" Error SiteLoss "less redundancy than is claimed"
    PARTIAL "SF108" Warning SiteLoss "a loss after which not everything comes back"
    TOO_EARLY "SF109" Error SiteLoss "a service started before what it needs"
    CAPACITY "SF110" Error SiteLoss "a destination without room for what comes"
    CAPACITY_UNKNOWN "SF111" Error SiteLoss "a destination of which nobody knows what it can carry"
    SHARED_FATE "SF112" Error SiteLoss "a destination that is lost with the site"
    CANARIES_INSIDE "SF113" Error SiteLoss "canaries that are lost with the site"
    REPLICATION "SF114" Error Objectives "data of which nobody knows how much would be lost"
    NO_RETURN "SF115" Warning Objectives "a way on which nobody comes back"
    NO_RAMP "SF116" Error SiteLoss "customers who come back all at once"
    TIER_ORDER "SF117" Warning SiteLoss "a lower tier brought back after a higher one"
    NO_MEMBER "SF130" Error ControlPlane "no member outside of the site that is lost"
    NO_MAJORITY "SF131" Error ControlPlane "a loss that leaves no majority of the voters"
    FEW_DOMAINS "SF132" Error ControlPlane "voters in fewer than three failure domains"
    UNDECLARED "SF133" Error ControlPlane "a control plane that is not declared"
    NO_ALARM "SF134" Error ControlPlane "nothing left that sees the loss and calls people"
    NO_CHANNEL "SF135" Error ControlPlane "no way left to reach people"
    CHANNEL_RECOVERED "SF136" Warning ControlPlane "responders who talk over what they are to bring back"
    NO_IDENTITY "SF137" Error ControlPlane "nobody can be let in to approve"
    STATUS_PAGE "SF138" Warning ControlPlane "no status page left"
    NAME_SERVERS "SF139" Error ControlPlane "no name server left"
    NO_OWNER "SF140" Warning ControlPlane "nobody named who commands"
    MAIL_BOUNCES "SF141" Warning ControlPlane "nobody left who takes mail in"
    NO_DRILL "SF142" Error Objectives "a site that was never left as a whole"
    OLD_DRILL "SF143" Error Objectives "a drill that is too old"
    NO_EVIDENCE "SF144" Error Objectives "a time that nothing on record shows"
    SAME_UPDATES "SF145" Warning ControlPlane "members whose hosts are updated at the same time"
    NO_REGISTRY "SF146" Error ControlPlane "no registry left"
}
