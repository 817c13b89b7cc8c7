//! Decoded values: of the right type, with their places, not yet resolved.

use crate::date::Date;
use crate::ids::SecretName;
use crate::schema::{Field, Need, Spec, Type};
use crate::source::{Place, Spanned};
use crate::time::Span;

/// A value whose type the tables gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, a name, a word.
    Text(String),
    /// A number.
    Number(u64),
    /// A truth value.
    Flag(bool),
    /// A duration.
    Span(Span),
    /// A day.
    Date(Date),
    /// `none`.
    None,
    /// A variable, resolved when the playbook is bound.
    Var(Var),
    /// A secret by name.
    Secret(SecretName),
    /// A list.
    List(Vec<Spanned<Value>>),
    /// Names and values.
    Map(Vec<(Spanned<String>, Spanned<Value>)>),
    /// Known keys.
    Object(Object),
}

/// A whole value that a run gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Var {
    /// `$from`.
    From,
    /// `$to`.
    To,
    /// `$inputs.x`, to be read as this type.
    Input(String),
}

/// A map of known keys, with its action or condition if it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// The whole map.
    pub at: Place,
    /// Values that were right, defaults included.
    pub fields: Vec<(&'static str, Spanned<Value>)>,
    /// Keys that were written, right or wrong.
    pub given: Vec<(&'static str, Place)>,
    /// The dotted key.
    pub call: Option<Call>,
}

/// An action or a condition with its arguments.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which.
    pub spec: &'static Spec,
    /// Where its name stands.
    pub key_at: Place,
    /// Its arguments.
    pub args: Box<Object>,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.spec.is(other.spec.name) && self.key_at == other.key_at && self.args == other.args
    }
}

impl Eq for Call {}

impl Object {
    /// Nothing yet, with room for so many keys, and for the defaults of these.
    pub(super) fn with_room(at: Place, keys: usize, fields: &[Field]) -> Self {
        let defaults = fields.iter().filter(|field| matches!(field.need, Need::Default(_))).count();
        let (fields, given) = (Vec::with_capacity(keys + defaults), Vec::with_capacity(keys));
        Self { at, fields, given, call: None }
    }

    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&Spanned<Value>> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// Whether the key was written, right or wrong.
    pub fn was_given(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// Text behind a key.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Text behind a key, with its place.
    pub fn spanned_text(&self, name: &str) -> Option<Spanned<String>> {
        Some(Spanned::new(self.text(name)?.to_owned(), self.get(name)?.at))
    }

    /// A number behind a key.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.get(name)?.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// A truth value behind a key.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// A duration behind a key.
    pub fn span(&self, name: &str) -> Option<Span> {
        match self.get(name)?.value {
            Value::Span(span) => Some(span),
            _ => None,
        }
    }

    /// A day behind a key.
    pub fn date(&self, name: &str) -> Option<Date> {
        match self.get(name)?.value {
            Value::Date(date) => Some(date),
            _ => None,
        }
    }

    /// The items of a list behind a key; none when absent.
    pub fn list(&self, name: &str) -> &[Spanned<Value>] {
        match self.get(name).map(|value| &value.value) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// The texts of a list behind a key.
    pub fn texts(&self, name: &str) -> Vec<Spanned<String>> {
        texts(self.list(name))
    }

    /// The entries of a map behind a key; none when absent.
    pub fn map(&self, name: &str) -> &[(Spanned<String>, Spanned<Value>)] {
        match self.get(name).map(|value| &value.value) {
            Some(Value::Map(entries)) => entries,
            _ => &[],
        }
    }

    /// The map of known keys behind a key.
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.get(name)?.value.object()
    }

    /// The actions or conditions of a list behind a key.
    pub fn calls(&self, name: &str) -> Vec<&Call> {
        calls(self.list(name))
    }
}

impl Value {
    /// The map of known keys that this is.
    pub fn object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The texts of the list that this is.
    pub fn texts(&self) -> Vec<Spanned<String>> {
        match self {
            Self::List(items) => texts(items),
            _ => Vec::new(),
        }
    }

    /// The actions or conditions of the list that this is.
    pub fn calls(&self) -> Vec<&Call> {
        match self {
            Self::List(items) => calls(items),
            _ => Vec::new(),
        }
    }

    /// The text that this is.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn texts(list: &[Spanned<Value>]) -> Vec<Spanned<String>> {
    list.iter().filter_map(|item| Some(Spanned::new(item.value.text()?.to_owned(), item.at))).collect()
}

fn calls(list: &[Spanned<Value>]) -> Vec<&Call> {
    list.iter().filter_map(|item| item.value.object()?.call.as_ref()).collect()
}

/// A default of the tables: a scalar, or a list of scalars in brackets.
pub(super) fn default(text: &str, ty: &Type) -> Option<Value> {
    match ty {
        Type::List(inner) | Type::OneOrMany(inner) => {
            let items = text.trim_matches(['[', ']']).split(", ").map(|item| default(item, inner));
            let spanned = |value| Spanned::new(value, Place::default());
            items.map(|item| item.map(spanned)).collect::<Option<_>>().map(Value::List)
        }
        _ => super::scalar::read(text, true, ty).ok(),
    }
}
