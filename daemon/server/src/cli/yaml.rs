//! JSON values as YAML, for people who read them.
//!
//! A string is written plainly only where no reader, of any version of YAML, can take it for
//! something else; every other one is quoted as JSON is, which YAML contains.

use serde_json::Value;

/// `value` as one YAML document, with a newline at its end.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(map, 0, &mut out),
        Value::Array(list) if !list.is_empty() => sequence(list, 0, &mut out),
        scalar => {
            out.push_str(&flow(scalar));
            out.push('\n');
        }
    }
    out
}

fn mapping(map: &serde_json::Map<String, Value>, depth: usize, out: &mut String) {
    for (i, (key, value)) in map.iter().enumerate() {
        if i > 0 || depth == 0 || out.ends_with('\n') {
            indent(depth, out);
        }
        out.push_str(&string(key));
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                mapping(inner, depth + 1, out);
            }
            Value::Array(list) if !list.is_empty() => {
                out.push('\n');
                sequence(list, depth + 1, out);
            }
            Value::String(text) if is_prose(text) => block(text, depth + 1, out),
            scalar => {
                out.push(' ');
                out.push_str(&flow(scalar));
                out.push('\n');
            }
        }
    }
}

fn sequence(list: &[Value], depth: usize, out: &mut String) {
    for item in list {
        indent(depth, out);
        out.push_str("- ");
        match item {
            // The first key stands on the line of the dash, the others below it.
            Value::Object(inner) if !inner.is_empty() => mapping(inner, depth + 1, out),
            Value::Array(inner) if !inner.is_empty() => {
                out.pop();
                out.push('\n');
                sequence(inner, depth + 1, out);
            }
            scalar => {
                out.push_str(&flow(scalar));
                out.push('\n');
            }
        }
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn flow(scalar: &Value) -> String {
    match scalar {
        Value::String(text) => string(text),
        other => other.to_string(), // null, true, numbers, [] and {} are the same in both
    }
}

fn string(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// As JSON quotes it, and with what JSON takes as it is and YAML does not.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().chars().fold(String::new(), |mut out, c| {
        if is_printable(c) {
            out.push(c);
        } else {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
        out
    })
}

/// What stands in YAML as itself and is no end of a line. All others are below U+10000.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}'
        | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

/// Words that some version of YAML reads as something other than a string.
const RESERVED: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

fn is_plain(text: &str) -> bool {
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let inner = |c: char| c.is_ascii_alphanumeric() || " _./@+()%=-".contains(c);
    begins_well
        && !text.ends_with(' ')
        && text.chars().all(inner)
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

/// Several lines of printable text, which a literal block keeps as they are.
fn is_prose(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.chars().all(|c| c == '\n' || is_printable(c))
}

fn block(text: &str, depth: usize, out: &mut String) {
    out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
    for line in text.trim_end_matches('\n').split('\n') {
        if !line.is_empty() {
            indent(depth, out);
            out.push_str(line);
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use granit_parser::{Event, Parser, ScalarStyle};
    use proptest::prelude::*;
    use serde_json::json;

    /// Reads YAML as its core schema has it.
    fn read(text: &str) -> Value {
        let mut events = Parser::new_from_str(text)
            .map(|event| event.unwrap_or_else(|e| panic!("{e} in\n{text}")).0)
            .filter(|event| {
                !matches!(event, Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd)
            });
        let value = node(events.next().expect("a node"), &mut events);
        assert!(matches!(events.next(), Some(Event::StreamEnd)), "one document in\n{text}");
        value
    }

    fn node<'a>(event: Event<'a>, events: &mut dyn Iterator<Item = Event<'a>>) -> Value {
        match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) => match &*text {
                "[]" | "{}" => panic!("a plain {text}"),
                text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            },
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut list = Vec::new();
                loop {
                    match events.next().expect("an item or the end") {
                        Event::SequenceEnd => return list.into(),
                        item => list.push(node(item, events)),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut map = serde_json::Map::new();
                loop {
                    match events.next().expect("a key or the end") {
                        Event::MappingEnd => return map.into(),
                        Event::Scalar(key, ..) => {
                            let value = events.next().expect("a value");
                            map.insert(key.into_owned(), node(value, events));
                        }
                        other => panic!("a key, not {other:?}"),
                    }
                }
            }
            other => panic!("a node, not {other:?}"),
        }
    }

    #[test]
    fn a_run_reads_well() {
        let run = json!({
            "id": "shop-7kq2",
            "at": "2022-10-15T02:13:20+00:00",
            "epoch": "7",
            "steps": [{"id": "tools", "needs": []}, {"id": "promote", "needs": ["tools"]}],
            "markdown": "# Report\n\n- one\n",
        });
        assert_eq!(
            to_yaml(&run),
            "at: \"2022-10-15T02:13:20+00:00\"\n\
             epoch: \"7\"\n\
             id: shop-7kq2\n\
             markdown: |\n  # Report\n\n  - one\n\
             steps:\n  - id: tools\n    needs: []\n  - id: promote\n    needs:\n      - tools\n"
        );
        assert_eq!(read(&to_yaml(&run)), run);
    }

    #[test]
    fn what_looks_like_something_else_is_quoted() {
        for text in ["no", "True", "~", "", "1", "1e3", "- a", "a: b", "a #b", " a", "a ", ".inf"] {
            let value = json!({"k": text});
            assert_eq!(read(&to_yaml(&value)), value);
            assert!(to_yaml(&value).contains('"'), "{text:?} stands plainly");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![".*", "[a-z \n#:'\"-]{0,12}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(text.clone(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value in any_value()) {
            prop_assert_eq!(read(&to_yaml(&value)), value);
        }
    }
}
