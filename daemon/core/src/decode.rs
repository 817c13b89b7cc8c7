//! From a tree to values, by the tables of the language.
//!
//! One decoder for every key of fleets and playbooks. It goes on after whatever is wrong, so
//! that all findings come at once, and keeps every name that points at something else, so
//! that references are checked when everything is known.

mod call;
mod scalar;
mod value;

pub use value::{Call, Object, Value, Var};

use crate::finding::{Finding, Findings, code, quoted};
use crate::schema::{Field, Need, ResourceKind, Type};
use crate::source::{Place, Spanned};
use crate::yaml::{Entry, Kind, Node};
use std::collections::BTreeSet;

/// What kind of file is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Literal sites, no variables.
    Fleet,
    /// `$from`, `$to` and `$inputs.x`, no literal sites.
    Playbook,
}

/// What a name points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A site.
    Site,
    /// A resource of a kind.
    Resource(ResourceKind),
    /// A service.
    Service,
    /// A role.
    Role,
    /// A playbook.
    Playbook,
    /// An input of this playbook.
    Input,
}

/// A name that points at something.
#[derive(Clone, Debug)]
pub struct Reference {
    /// At what.
    pub target: Target,
    /// By which name.
    pub name: String,
    /// Where.
    pub at: Place,
}

/// Decodes one file.
pub struct Decoder<'a> {
    context: Context,
    findings: &'a mut Findings,
    /// Every name that points at something.
    pub references: Vec<Reference>,
    /// Whether we are inside an action or a condition, where variables may stand.
    in_call: bool,
}

impl<'a> Decoder<'a> {
    /// For one file of this kind.
    pub fn new(context: Context, findings: &'a mut Findings) -> Self {
        Self { context, findings, references: Vec::new(), in_call: false }
    }

    /// The value of a node, or nothing when it is wrong; then that was reported.
    pub fn value(&mut self, node: &Node<'_>, ty: &Type) -> Option<Spanned<Value>> {
        let value = match (&node.kind, ty) {
            (Kind::Bad, _) => return None,
            (Kind::Scalar { text, .. }, Type::NoneOr(_)) if text == "none" => Value::None,
            (_, Type::NoneOr(inner)) => return self.value(node, inner),
            (Kind::List(items), Type::OneOrMany(inner) | Type::List(inner)) => {
                self.list(items, inner, node.at)?
            }
            (_, Type::OneOrMany(inner)) => Value::List(vec![self.value(node, inner)?]),
            (Kind::Map { entries, .. }, Type::Map(inner)) => self.map(entries, inner, node.at)?,
            (Kind::Map { entries, .. }, Type::PerSite(inner)) => {
                self.per(Target::Site, entries, inner, node.at)?
            }
            (Kind::Map { entries, .. }, Type::PerService(inner)) => {
                self.per(Target::Service, entries, inner, node.at)?
            }
            (Kind::Map { .. }, Type::Brief(_, map)) => return self.value(node, map),
            (_, Type::Brief(word, _)) => return self.value(node, word),
            (Kind::Map { entries, cut }, Type::Object(fields)) => {
                Value::Object(self.object(entries, fields, node.at, *cut))
            }
            (Kind::Map { entries, cut }, Type::Variant(fields)) => {
                Value::Object(self.variant(entries, fields, node.at, *cut))
            }
            (Kind::Map { entries, cut }, Type::Call(kind, fields)) => {
                Value::Object(self.call(entries, *kind, fields, node.at, *cut))
            }
            (Kind::Map { entries, cut }, Type::Secret | Type::TextOrSecret) => {
                self.secret(entries, node.at, *cut)?
            }
            (Kind::Scalar { text, plain }, _) => self.scalar(text, *plain, ty, node.at)?,
            _ => return self.wrong_type(node, ty),
        };
        Some(Spanned::new(value, node.at))
    }

    fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn wrong_type<T>(&mut self, node: &Node<'_>, ty: &Type) -> Option<T> {
        let found = match &node.kind {
            Kind::Scalar { text, .. } => format!("text: {}", quoted(text)),
            Kind::Empty => "nothing".into(),
            Kind::List(_) => "a list".into(),
            Kind::Map { .. } => "a map".into(),
            Kind::Bad => return None,
        };
        self.report(
            Finding::new(code::WRONG_TYPE, node.at, format!("this must be {}", ty.words()))
                .label(format!("found {found}")),
        );
        None
    }

    fn list(&mut self, items: &[Node<'_>], inner: &'static Type, at: Place) -> Option<Value> {
        // `needs: []` says something: start at once. No other empty list does.
        if items.is_empty() && !matches!(inner, Type::Step) {
            self.report(Finding::new(code::WRONG_VALUE, at, "this list must not be empty"));
            return None;
        }
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.extend(self.value(item, inner));
        }
        if matches!(inner, Type::Choice(_) | Type::Step | Type::Service | Type::Name) {
            let mut seen = BTreeSet::new();
            for value in &values {
                if let Value::Text(text) = &value.value
                    && !seen.insert(text)
                {
                    let message = format!("{} stands in this list twice", quoted(text));
                    self.findings.push(Finding::new(code::DUPLICATE_ID, value.at, message));
                }
            }
        }
        Some(Value::List(values))
    }

    fn map(&mut self, entries: &[Entry<'_>], inner: &Type, at: Place) -> Option<Value> {
        if entries.is_empty() {
            self.report(Finding::new(code::WRONG_VALUE, at, "this map must not be empty"));
            return None;
        }
        let free = matches!(inner, Type::TextOrSecret);
        let mut values = Vec::with_capacity(entries.len());
        for entry in entries {
            let named = free || self.name(&entry.key, entry.key_at);
            // What is wrong keeps its name, so that those who point at it are not wrong too.
            let value = self.value(&entry.value, inner);
            let value = value.unwrap_or_else(|| Spanned::new(Value::None, entry.value.at));
            if named {
                values.push((Spanned::new(entry.key.clone().into_owned(), entry.key_at), value));
            }
        }
        Some(Value::Map(values))
    }

    /// A map whose keys point at something.
    fn per(&mut self, target: Target, entries: &[Entry<'_>], inner: &Type, at: Place) -> Option<Value> {
        for entry in entries {
            self.refer(target, &entry.key, entry.key_at);
        }
        self.map(entries, inner, at)
    }

    /// A map with these keys; unknown and missing ones are reported.
    pub fn object(
        &mut self,
        entries: &[Entry<'_>],
        fields: &'static [Field],
        at: Place,
        cut: bool,
    ) -> Object {
        let mut object = Object::with_room(at, entries.len(), fields);
        for entry in entries {
            match fields.iter().find(|field| field.name == entry.key) {
                Some(field) => self.field(entry, field, &mut object),
                None => self.unknown_key(entry, fields.iter().map(|field| field.name)),
            }
        }
        self.complete(&mut object, fields, cut);
        object
    }

    fn field(&mut self, entry: &Entry<'_>, field: &'static Field, object: &mut Object) {
        object.given.push((field.name, entry.key_at));
        let misplaced = match field.need {
            Need::InFleet => self.context == Context::Playbook,
            Need::InPlaybook => self.context == Context::Fleet,
            _ => false,
        };
        if misplaced {
            let (here, help) = match self.context {
                Context::Playbook => (
                    "playbook",
                    "name a resource of the fleet, so that what a playbook needs can be resolved",
                ),
                Context::Fleet => ("fleet", "leave it out: the site whose probe this is, is meant"),
            };
            let message = format!("{} has no place in a {here}", quoted(field.name));
            self.report(Finding::new(code::EXCLUSIVE, entry.key_at, message).help(help));
            return;
        }
        if let Some(value) = self.value(&entry.value, &field.ty) {
            object.fields.push((field.name, value));
        }
    }

    /// Fills in defaults and reports what is missing.
    fn complete(&mut self, object: &mut Object, fields: &'static [Field], cut: bool) {
        for field in fields {
            if object.was_given(field.name) {
                continue;
            }
            match field.need {
                Need::Required if !cut => {
                    let start = object.at.beginning();
                    let message = format!("the key {} is missing", quoted(field.name));
                    self.report(Finding::new(code::MISSING_KEY, start, message).help(format!(
                        "{}: {}",
                        field.name,
                        field.ty.words()
                    )));
                }
                Need::Default(text) => {
                    let value = value::default(text, &field.ty);
                    object.fields.extend(value.map(|value| (field.name, Spanned::new(value, object.at))));
                }
                _ => {}
            }
        }
    }

    fn unknown_key<'b>(&mut self, entry: &Entry<'_>, known: impl IntoIterator<Item = &'b str>) {
        let finding =
            Finding::new(code::UNKNOWN_KEY, entry.key_at, format!("unknown key {}", quoted(&entry.key)));
        self.report(finding.did_you_mean(&entry.key, known));
    }

    fn variant(&mut self, entries: &[Entry<'_>], fields: &'static [Field], at: Place, cut: bool) -> Object {
        let object = self.object(entries, fields, at, cut);
        let names: Vec<_> = fields.iter().map(|field| field.name).collect();
        self.exactly_one(&object, &names, cut);
        object
    }

    /// Reports when none or several of `names` were given.
    fn exactly_one(&mut self, object: &Object, names: &[&str], cut: bool) {
        let mut given = object.given.iter().filter(|(name, _)| names.contains(name));
        let (at, wrong) = match (given.next(), given.next()) {
            (Some(_), None) => return,
            (None, _) if cut => return,
            (None, _) => (object.at, "there is none"),
            (Some(_), Some((_, second))) => (*second, "this is another"),
        };
        let choice = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("exactly one of {choice} must be given; {wrong}");
        self.report(Finding::new(code::EXCLUSIVE, at, message));
    }

    fn secret(&mut self, entries: &[Entry<'_>], at: Place, cut: bool) -> Option<Value> {
        static FIELDS: [Field; 1] =
            [Field::required("secret", Type::Name, "the name of a file in the folder of secrets")];
        // A variable would be a secret that nobody reads.
        let outer = std::mem::replace(&mut self.in_call, false);
        let object = self.object(entries, &FIELDS, at, cut);
        self.in_call = outer;
        object.text("secret").map(|name| Value::Secret(name.into()))
    }

    fn refer(&mut self, target: Target, name: &str, at: Place) {
        self.references.push(Reference { target, name: name.into(), at });
    }
}

/// Reads the value that a run gave for an input.
pub fn literal(text: &str, ty: &Type) -> Result<Value, String> {
    scalar::read(text, true, ty).map_err(|wrong| wrong.why)
}

pub use scalar::url_host;
