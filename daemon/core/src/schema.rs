//! The language as tables: every key of fleets and playbooks, its type, its default, its
//! meaning.
//!
//! The decoder, its suggestions and the reference documentation read the same tables, so
//! that what is written there is what is accepted.

pub mod calls;
pub mod fleet;
pub mod json;
pub mod playbook;

use crate::time::Span;

/// What stands behind a key.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// Any text that is not empty, of characters that can be seen, spaces, tabs and line breaks.
    Text,
    /// A new name: letters, digits, `-` and `_`.
    Name,
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Number(u64, u64),
    /// One number and one unit.
    Span,
    /// `2022-10-15`.
    Date,
    /// The id of a finding: `SF041`.
    Finding,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `http://` or `https://`.
    Url,
    /// Starts with `/`.
    Path,
    /// `host:port`.
    Address,
    /// `tcp://host:port` or `unix:///path`.
    Socket,
    /// `10.1.0.0/16`.
    Network,
    /// A site of the fleet.
    Site,
    /// A resource of this kind.
    Resource(ResourceKind),
    /// A service of the fleet.
    Service,
    /// A role of the fleet.
    Role,
    /// A playbook of the bundle.
    Playbook,
    /// Another step of the playbook.
    Step,
    /// `{secret: name}`.
    Secret,
    /// Text, or `{secret: name}`.
    TextOrSecret,
    /// `none`, or this.
    NoneOr(&'static Type),
    /// One, or a list of them.
    OneOrMany(&'static Type),
    /// A list that is not empty.
    List(&'static Type),
    /// New names, each with one of these.
    Map(&'static Type),
    /// Names of sites, each with one of these.
    PerSite(&'static Type),
    /// Names of services, each with one of these.
    PerService(&'static Type),
    /// One word of the first, or a map of the second that says more.
    Brief(&'static Type, &'static Type),
    /// Exactly these keys.
    Object(&'static [Field]),
    /// Exactly one of these keys.
    Variant(&'static [Field]),
    /// Exactly one dotted key, and these keys beside it.
    Call(CallKind, &'static [Field]),
}

/// The kinds of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// A URL per site.
    Endpoint,
    /// A PostgreSQL server per site.
    Postgres,
    /// Balancers.
    Route,
    /// A DNS record.
    Dns,
    /// Hosts that are logged in to.
    Ssh,
}

impl ResourceKind {
    /// Its key in the fleet.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Postgres => "postgres",
            Self::Route => "route",
            Self::Dns => "dns",
            Self::Ssh => "ssh",
        }
    }
}

/// The two kinds of dotted keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// Does something.
    Action,
    /// Asks something.
    Condition,
}

static WAIVER: Type = Type::Object(&[
    Field::required("id", Type::Finding, "which finding"),
    Field::required("reason", Type::Text, "why it is accepted"),
    Field::optional("until", Type::Date, "the last day on which it is; ended, it is an error"),
]);

/// Findings that people have accepted.
pub const ALLOW: Field = Field::optional(
    "allow",
    Type::List(&WAIVER),
    "findings that were looked at and accepted; they are shown as waived, and counted",
);

/// Whether a key must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Always.
    Required,
    /// Never.
    Optional,
    /// When absent, this is read instead.
    Default(&'static str),
    /// In a playbook, beside a resource; in the fleet the probed site is meant.
    InPlaybook,
    /// It may stand in the fleet only.
    InFleet,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// As it is written.
    pub name: &'static str,
    /// What stands behind it.
    pub ty: Type,
    /// Whether it must be there.
    pub need: Need,
    /// What it means.
    pub doc: &'static str,
}

impl Field {
    /// A key that must be there.
    pub const fn required(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Self { name, ty, need: Need::Required, doc }
    }

    /// A key that may be left out.
    pub const fn optional(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Self { name, ty, need: Need::Optional, doc }
    }

    /// A key with a default.
    pub const fn default(name: &'static str, ty: Type, default: &'static str, doc: &'static str) -> Self {
        Self { name, ty, need: Need::Default(default), doc }
    }

    /// A key of a condition that playbooks must give.
    pub const fn in_playbook(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Self { name, ty, need: Need::InPlaybook, doc }
    }

    /// A key of a condition that only the fleet may give.
    pub const fn in_fleet(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Self { name, ty, need: Need::InFleet, doc }
    }
}

/// An action or a condition.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The dotted key.
    pub name: &'static str,
    /// What it does or asks.
    pub doc: &'static str,
    /// Its arguments.
    pub fields: &'static [Field],
    /// Of these arguments exactly one is given; empty when there is no such choice.
    pub one_of: &'static [&'static str],
    /// For one act, when the step does not say; actions only.
    pub timeout: Span,
    /// When the step does not say; actions only.
    pub attempts: u32,
}

impl Spec {
    /// Two specs are the same when their names are.
    pub fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

impl Type {
    /// In words, for findings and the reference.
    pub fn words(&self) -> String {
        let keys = |fields: &[Field]| fields.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
        match self {
            Self::Text => "text".into(),
            Self::Name => "a name".into(),
            Self::Flag => "`true` or `false`".into(),
            Self::Number(0, u64::MAX) => "a whole number".into(),
            Self::Number(least, most) if least == most => format!("`{least}`"),
            Self::Number(least, u64::MAX) => format!("a whole number, at least {least}"),
            Self::Number(least, most) => format!("a whole number, {least} to {most}"),
            Self::Span => "a duration (`10s`, `5m`)".into(),
            Self::Finding => "the id of a finding (`SF041`)".into(),
            Self::Date => "a date (`2022-10-15`)".into(),
            Self::Choice(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
            }
            Self::Url => "a URL (`http://` or `https://`)".into(),
            Self::Path => "a path that starts with `/`".into(),
            Self::Address => "`host:port`".into(),
            Self::Socket => "`tcp://host:port` or `unix:///path`".into(),
            Self::Network => "a network (`10.1.0.0/16`)".into(),
            Self::Site => "a site".into(),
            Self::Resource(kind) => format!("a resource of kind `{}`", kind.name()),
            Self::Service => "a service".into(),
            Self::Role => "a role".into(),
            Self::Playbook => "a playbook".into(),
            Self::Step => "a step".into(),
            Self::Secret => "`{secret: name}`".into(),
            Self::TextOrSecret => "text or `{secret: name}`".into(),
            Self::NoneOr(inner) => format!("`none` or {}", inner.words()),
            Self::OneOrMany(inner) => format!("{}, or a list of them", inner.words()),
            Self::List(inner) => format!("a list, each {}", inner.words()),
            Self::Map(inner) => format!("a map of names, each with {}", inner.words()),
            Self::PerSite(inner) => format!("a map of sites, each with {}", inner.words()),
            Self::PerService(inner) => format!("a map of services, each with {}", inner.words()),
            Self::Brief(word, map) => format!("{}, or {}", word.words(), map.words()),
            Self::Object(fields) => format!("a map of {}", keys(fields)),
            Self::Variant(fields) => format!("a map with exactly one of {}", keys(fields)),
            Self::Call(CallKind::Action, []) => "an action".into(),
            Self::Call(CallKind::Action, _) => "a step".into(),
            Self::Call(CallKind::Condition, _) => "a condition".into(),
        }
    }
}
