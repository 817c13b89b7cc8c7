//! The reasons of failed calls, as constants for the two ends of the wire.

/// Domain of every reason.
pub const DOMAIN: &str = "standfast";

/// Files do not lint.
pub const FINDINGS: &str = "FINDINGS";
/// A field of the request is wrong.
pub const BAD_FIELD: &str = "BAD_FIELD";
/// The request id came before, with another content.
pub const REQUEST_ID_REUSED: &str = "REQUEST_ID_REUSED";
/// There is nothing of that name.
pub const NO_SUCH_THING: &str = "NO_SUCH_THING";
/// A guard refused.
pub const GUARD_REFUSED: &str = "GUARD_REFUSED";
/// A condition of the playbook does not hold.
pub const REQUIRE_UNMET: &str = "REQUIRE_UNMET";
/// Another run holds a site or a service.
pub const LOCKED: &str = "LOCKED";
/// It would take something away from the cluster, and nobody has consented to that.
pub const CONSENT_NEEDED: &str = "CONSENT_NEEDED";
/// Not possible in this state.
pub const WRONG_STATE: &str = "WRONG_STATE";
/// The thing changed since it was read.
pub const STALE_ETAG: &str = "STALE_ETAG";
/// The plan is another one by now.
pub const STALE_PLAN: &str = "STALE_PLAN";
/// The store no longer has that revision.
pub const COMPACTED: &str = "COMPACTED";
/// The listener needs a client certificate.
pub const NO_CERTIFICATE: &str = "NO_CERTIFICATE";
/// The caller does not have the role.
pub const NOT_ALLOWED: &str = "NOT_ALLOWED";
/// More than the store takes.
pub const TOO_LARGE: &str = "TOO_LARGE";
/// The store has no quorum; nothing was written.
pub const NO_QUORUM: &str = "NO_QUORUM";
/// The write may or may not have happened.
pub const UNCERTAIN: &str = "UNCERTAIN";

/// All of them.
pub const ALL: &[&str] = &[
    FINDINGS,
    BAD_FIELD,
    REQUEST_ID_REUSED,
    NO_SUCH_THING,
    GUARD_REFUSED,
    REQUIRE_UNMET,
    LOCKED,
    CONSENT_NEEDED,
    WRONG_STATE,
    STALE_ETAG,
    STALE_PLAN,
    COMPACTED,
    NO_CERTIFICATE,
    NOT_ALLOWED,
    TOO_LARGE,
    NO_QUORUM,
    UNCERTAIN,
];
