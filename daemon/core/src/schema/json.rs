//! The language as JSON schema, for editors: made from the tables that the parser reads.
//!
//! What the schema refuses, the parser refuses too. The parser sees more: names that point at
//! nothing, keys given twice, days that are none. Draft 07, because all editors read that.

use super::calls;
use super::fleet::FLEET;
use super::playbook::PLAYBOOK;
use super::{CallKind, Field, Need, Spec, Type};
use crate::decode::Context;
use crate::finding::code;
use serde_json::{Map, Value, json};

/// A file of a fleet.
pub fn fleet() -> Value {
    document(Context::Fleet, FLEET, "A fleet of Standfast")
}

/// A file of a playbook.
pub fn playbook() -> Value {
    document(Context::Playbook, PLAYBOOK, "A playbook of Standfast")
}

/// What has no place in a text, within square brackets.
const HIDDEN: &str = r"\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff";
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$";
const HOST: &str = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)";
const PORT: &str =
    ":0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const OCTET: &str = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

fn document(context: Context, fields: &'static [Field], title: &str) -> Value {
    let writer = Writer { context, in_call: false, nested: false };
    let mut schema = writer.object(fields);
    let mut definitions = Map::new();
    let inside = Writer { in_call: true, ..writer };
    let kinds: &[CallKind] = match context {
        Context::Fleet => &[CallKind::Condition],
        Context::Playbook => &[CallKind::Condition, CallKind::Action],
    };
    for kind in kinds {
        definitions.insert(noun(*kind).into(), writer.call(*kind, &[]));
        for spec in calls::table(*kind) {
            definitions.insert(spec.name.into(), inside.arguments(spec));
        }
    }
    // What would be put in the place of something, if anything were.
    let pattern = format!(r"\$\{{|\{{\{{|\$from|\$to|\$inputs|^\${}", &NAME[1..]);
    definitions.insert("interpolation".into(), json!({ "type": "string", "pattern": pattern }));
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!(title);
    schema["definitions"] = Value::Object(definitions);
    schema
}

fn noun(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Action => "action",
        CallKind::Condition => "condition",
    }
}

#[derive(Clone, Copy)]
struct Writer {
    context: Context,
    /// Inside an action or a condition, where variables may stand.
    in_call: bool,
    /// Inside a parallel block, where there is no other.
    nested: bool,
}

impl Writer {
    fn ty(self, ty: &'static Type) -> Value {
        let scalar = match ty {
            Type::Text | Type::Role => {
                let pattern = format!(r"^[^{HIDDEN}]*[^\s{HIDDEN}][^{HIDDEN}]*$");
                whole(json!({ "type": ["string", "number", "boolean"], "pattern": pattern }))
            }
            Type::Site if self.context == Context::Playbook => json!({ "enum": ["$from", "$to"] }),
            Type::Name | Type::Site | Type::Resource(_) | Type::Service | Type::Playbook | Type::Step => {
                json!({ "type": ["string", "integer", "boolean"], "pattern": NAME, "minimum": 0 })
            }
            Type::Flag => json!({ "type": "boolean" }),
            Type::Number(least, u64::MAX) => json!({ "type": "integer", "minimum": least }),
            Type::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Type::Span => text(r"^[0-9]+(\.[0-9]{1,3})?(ms|s|m|h|d)$"),
            Type::Date => json!({ "type": "string", "format": "date" }),
            Type::Finding => json!({ "enum": code::ALL.iter().map(|code| code.id).collect::<Vec<_>>() }),
            Type::Choice(words) => json!({ "enum": words }),
            Type::Url => whole(text(&format!(r"^https?://{HOST}({PORT})?([/?#]\S*)?$"))),
            Type::Path => whole(text(r"^/\S*$")),
            Type::Address => text(&format!("^{HOST}{PORT}$")),
            Type::Socket => whole(text(&format!(r"^(tcp://{HOST}{PORT}|unix:///\S+)$"))),
            Type::Network => text(&format!(
                r"^({OCTET}(\.{OCTET}){{3}}/0*([0-9]|[12][0-9]|3[0-2])|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/0*([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8]))$"
            )),
            _ => return self.composed(ty),
        };
        match self.in_call && self.context == Context::Playbook {
            true => json!({ "anyOf": [scalar, text(&format!(r"^\$inputs\.{}", &NAME[1..]))] }),
            false => scalar,
        }
    }

    fn composed(self, ty: &'static Type) -> Value {
        match ty {
            Type::Secret => {
                let name = Self { in_call: false, ..self }.ty(&Type::Name);
                json!({
                    "type": "object", "properties": { "secret": name }, "required": ["secret"],
                    "additionalProperties": false,
                })
            }
            Type::TextOrSecret => json!({ "anyOf": [self.ty(&Type::Text), self.ty(&Type::Secret)] }),
            Type::NoneOr(inner) => json!({ "anyOf": [{ "const": "none" }, self.ty(inner)] }),
            Type::OneOrMany(inner) => json!({ "anyOf": [self.ty(inner), self.list(inner)] }),
            Type::List(inner) => self.list(inner),
            Type::Brief(word, map) => json!({ "anyOf": [self.ty(word), self.ty(map)] }),
            Type::Map(inner) if matches!(inner, Type::TextOrSecret) => {
                json!({ "type": "object", "minProperties": 1, "additionalProperties": self.ty(inner) })
            }
            Type::Map(inner) | Type::PerSite(inner) | Type::PerService(inner) => json!({
                "type": "object", "minProperties": 1, "propertyNames": { "pattern": NAME },
                "additionalProperties": self.ty(inner),
            }),
            Type::Object(fields) => self.object(fields),
            Type::Variant(fields) => {
                let mut schema = self.object(fields);
                schema["minProperties"] = json!(1);
                schema["maxProperties"] = json!(1);
                schema
            }
            Type::Call(kind, []) => {
                json!({ "allOf": [{ "$ref": format!("#/definitions/{}", noun(*kind)) }] })
            }
            Type::Call(kind, fields) => self.call(*kind, fields),
            _ => unreachable!("a scalar was written before"),
        }
    }

    fn list(self, inner: &'static Type) -> Value {
        let mut schema = json!({ "type": "array", "items": self.ty(inner) });
        // `needs: []` says something: start at once.
        if !matches!(inner, Type::Step) {
            schema["minItems"] = json!(1);
        }
        if matches!(inner, Type::Choice(_) | Type::Step | Type::Service | Type::Name) {
            schema["uniqueItems"] = json!(true);
        }
        schema
    }

    fn object(self, fields: &'static [Field]) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in fields.iter().filter(|field| self.has(field)) {
            if field.need == Need::Required || field.need == Need::InPlaybook {
                required.push(field.name);
            }
            properties.insert(field.name.into(), self.field(field));
        }
        let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    /// Whether the key has a place in this kind of file.
    fn has(self, field: &Field) -> bool {
        match field.need {
            Need::InFleet => self.context == Context::Fleet,
            Need::InPlaybook => self.context == Context::Playbook,
            _ => !(self.nested && field.name == "parallel"),
        }
    }

    fn field(self, field: &'static Field) -> Value {
        let writer = Self { nested: self.nested || field.name == "parallel", ..self };
        let mut schema = writer.ty(&field.ty);
        schema["description"] = json!(field.doc);
        if let Need::Default(text) = field.need {
            schema["default"] = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        }
        schema
    }

    /// A map with exactly one dotted key of this kind, and these keys beside it.
    fn call(self, kind: CallKind, fields: &'static [Field]) -> Value {
        let specs = calls::table(kind);
        let mut schema = self.object(fields);
        for spec in specs {
            let reference = json!({ "$ref": format!("#/definitions/{}", spec.name) });
            schema["properties"][spec.name] = json!({ "description": spec.doc, "allOf": [reference] });
        }
        let mut one: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
        if schema["properties"].get("parallel").is_some() {
            one.push("parallel");
            // Beside `id` alone.
            schema["dependencies"] = json!({ "parallel": { "maxProperties": 2 } });
        }
        schema["oneOf"] = exactly(&one);
        schema
    }

    fn arguments(self, spec: &'static Spec) -> Value {
        let mut schema = self.object(spec.fields);
        schema["description"] = json!(spec.doc);
        let has = |name: &&str| schema["properties"].get(name).is_some();
        let choice: Vec<&str> = spec.one_of.iter().copied().filter(has).collect();
        if !choice.is_empty() {
            schema["oneOf"] = exactly(&choice);
        }
        schema
    }
}

/// One of these keys.
fn exactly(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "required": [name] })).collect()
}

fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// With nothing in it that looks as if it were replaced.
fn whole(mut schema: Value) -> Value {
    schema["not"] = json!({ "$ref": "#/definitions/interpolation" });
    schema
}
