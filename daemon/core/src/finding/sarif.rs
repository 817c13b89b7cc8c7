//! Findings in the form that code hosts and editors read: SARIF 2.1.0.

use super::{Finding, Findings, Waived, code, printable};
use crate::explain;
use crate::finding::code::Severity;
use crate::source::{Lines, SourceFile};
use serde_json::{Value, json};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

impl Findings {
    /// One run of `standfast`: every kind of finding as a rule with its page, every finding as a
    /// result; what is waived is suppressed in the source.
    pub fn to_sarif(&self, files: &[SourceFile]) -> Value {
        let lines: Vec<_> = files.iter().map(|file| Lines::of(&file.text)).collect();
        let stand = self.iter().map(|finding| result(finding, &lines));
        let waived = self.waived().iter().map(|waived| suppressed(waived, &lines));
        let mut run = json!({
            "tool": { "driver": {
                "name": "standfast",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": code::ALL.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": stand.chain(waived).collect::<Vec<_>>(),
        });
        if self.dropped() > 0 {
            let text = format!("{} more findings are not shown", self.dropped());
            run["invocations"] = json!([{
                "executionSuccessful": true,
                "toolExecutionNotifications": [{ "level": "warning", "message": { "text": text } }],
            }]);
        }
        json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] })
    }
}

fn level(severity: Severity) -> &'static str {
    severity.name()
}

fn rule(code: &code::Code) -> Value {
    let page = explain::all().find(|page| page.code == *code).map(ToString::to_string).unwrap_or_default();
    json!({
        "id": code.id,
        "shortDescription": { "text": code.title },
        "help": { "text": page },
        "defaultConfiguration": { "level": level(code.severity) },
        "properties": { "tags": [code.group.name()] },
    })
}

fn result(finding: &Finding, lines: &[Lines<'_>]) -> Value {
    let mut text = finding.message.clone();
    if !finding.path.is_empty() {
        text.push_str(&format!(" ({})", finding.path.join(" -> ")));
    }
    if let Some(help) = &finding.help {
        text.push_str(&format!(". {help}"));
    }
    let mut result = json!({
        "ruleId": finding.code.id,
        "ruleIndex": code::ALL.iter().position(|code| *code == finding.code),
        "level": level(finding.code.severity),
        "message": { "text": text },
        "properties": { "path": finding.path },
    });
    if !finding.file.is_empty() {
        result["locations"] = json!([{ "physicalLocation": location(finding, lines) }]);
    }
    result
}

fn suppressed(waived: &Waived, lines: &[Lines<'_>]) -> Value {
    let mut result = result(&waived.finding, lines);
    result["suppressions"] =
        json!([{ "kind": "inSource", "status": "accepted", "justification": waived.terms() }]);
    result
}

fn location(finding: &Finding, lines: &[Lines<'_>]) -> Value {
    let mut location = json!({ "artifactLocation": { "uri": uri(&printable(&finding.file)) } });
    if finding.line == 0 {
        return location;
    }
    let mut region = json!({ "startLine": finding.line, "startColumn": finding.column });
    if let Some(at) = finding.at
        && let Some(lines) = lines.get(at.file as usize)
    {
        let (end_line, end_column) = lines.position(at.end as usize);
        region["endLine"] = json!(end_line);
        region["endColumn"] = json!(end_column);
    }
    location["region"] = region;
    location
}

/// The path of a file as a reference: relative to where lint was called, or absolute.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    // The first part of a relative path must not look like a scheme.
    if !path.starts_with('/') && path.split('/').next().is_some_and(|part| part.contains(':')) {
        uri.push_str("./");
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_references() {
        assert_eq!(uri("playbooks/shop/fleet.yaml"), "playbooks/shop/fleet.yaml");
        assert_eq!(uri("/srv/a b/ü.yaml"), "file:///srv/a%20b/%C3%BC.yaml");
        assert_eq!(uri("c:x/y#1.yaml"), "./c:x/y%231.yaml");
    }
}
