//! What lint writes as SARIF is SARIF: the parts of its schema that readers rely on.

use boon::{Compiler, Schemas};
use serde_json::{Value, json};
use standfast_core::bundle::Bundle;
use standfast_core::finding::code;
use standfast_core::source::SourceFile;
use std::fs;
use std::path::Path;

/// From the standard: what must be there, and which words and numbers are allowed.
fn sarif() -> Value {
    let message = json!({ "type": "object", "required": ["text"], "properties": { "text": { "type": "string", "minLength": 1 } } });
    let level = json!({ "enum": ["none", "note", "warning", "error"] });
    let position = json!({ "type": "integer", "minimum": 1 });
    let region = json!({
        "type": "object", "additionalProperties": false, "required": ["startLine"],
        "properties": { "startLine": position, "startColumn": position, "endLine": position, "endColumn": position },
    });
    let physical = json!({
        "type": "object", "additionalProperties": false, "required": ["artifactLocation"],
        "properties": {
            "artifactLocation": {
                "type": "object", "required": ["uri"],
                "properties": { "uri": { "type": "string", "format": "uri-reference" } },
            },
            "region": region,
        },
    });
    let suppression = json!({
        "type": "object", "additionalProperties": false, "required": ["kind"],
        "properties": {
            "kind": { "enum": ["inSource", "external"] },
            "status": { "enum": ["accepted", "underReview", "rejected"] },
            "justification": { "type": "string" },
        },
    });
    let result = json!({
        "type": "object", "additionalProperties": false, "required": ["message"],
        "properties": {
            "ruleId": { "type": "string" },
            "ruleIndex": { "type": "integer", "minimum": 0 },
            "level": level,
            "message": message,
            "locations": { "type": "array", "items": {
                "type": "object", "additionalProperties": false,
                "properties": { "physicalLocation": physical },
            }},
            "suppressions": { "type": "array", "items": suppression },
            "properties": { "type": "object" },
        },
    });
    let rule = json!({
        "type": "object", "additionalProperties": false, "required": ["id"],
        "properties": {
            "id": { "type": "string" },
            "shortDescription": message,
            "help": message,
            "defaultConfiguration": { "type": "object", "properties": { "level": level } },
            "properties": { "type": "object", "properties": { "tags": { "type": "array", "uniqueItems": true, "items": { "type": "string" } } } },
        },
    });
    let driver = json!({
        "type": "object", "additionalProperties": false, "required": ["name"],
        "properties": {
            "name": { "type": "string" },
            "semanticVersion": { "type": "string" },
            "rules": { "type": "array", "uniqueItems": true, "items": rule },
        },
    });
    let run = json!({
        "type": "object", "additionalProperties": false, "required": ["tool"],
        "properties": {
            "tool": { "type": "object", "required": ["driver"], "properties": { "driver": driver } },
            "columnKind": { "enum": ["utf16CodeUnits", "unicodeCodePoints"] },
            "results": { "type": "array", "items": result },
            "invocations": { "type": "array", "items": {
                "type": "object", "required": ["executionSuccessful"],
                "properties": { "executionSuccessful": { "type": "boolean" } },
            }},
        },
    });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object", "additionalProperties": false, "required": ["version", "runs"],
        "properties": {
            "$schema": { "type": "string", "format": "uri" },
            "version": { "enum": ["2.1.0"] },
            "runs": { "type": "array", "items": run },
        },
    })
}

/// The example with some of everything: errors, warnings, what is waived, what has no place.
fn judged(change: impl Fn(&mut String, &mut String)) -> Value {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playbooks/shop");
    let read = |name: &str| fs::read_to_string(shop.join(name)).unwrap();
    let (mut fleet, mut playbook) = (read("fleet.yaml"), read("shop.yaml"));
    change(&mut fleet, &mut playbook);
    let files = vec![SourceFile::new("a b/fleet.yaml", fleet), SourceFile::new("a b/shop.yaml", playbook)];
    let (_, findings) = Bundle::load(files.clone());
    let value = findings.to_sarif(&files);
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    compiler.add_resource("test:sarif.json", sarif()).unwrap();
    let schema = compiler.compile("test:sarif.json", &mut schemas).unwrap();
    if let Err(wrong) = schemas.validate(&value, schema) {
        panic!("{wrong:#}\n{value:#}");
    }
    value
}

#[test]
fn every_rule_has_its_page_and_a_clean_bundle_no_result() {
    let value = judged(|_, _| {});
    let run = &value["runs"][0];
    assert_eq!(run["results"], json!([]));
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), code::ALL.len());
    for (rule, code) in rules.iter().zip(code::ALL) {
        assert_eq!(rule["id"], code.id);
        assert!(rule["help"]["text"].as_str().unwrap().contains("Wrong"), "{rule}");
    }
}

#[test]
fn results_stand_where_the_findings_are() {
    let value = judged(|fleet, playbook| {
        fleet.push_str("allow: [{id: SF071, reason: no}]\n");
        *playbook = playbook
            .replace("attempts: 1", "attempts: 4")
            .replace("path: /start/shop}", "path: /start/shop}\n    attempts: 2")
            + "\nallow: [{id: SF062, reason: never}, {id: SF052, reason: \"a \\\"good\\\" reason\", until: 2030-01-31}]\n";
        *playbook = playbook.replace(
            "    undo: none                 # a web tier that runs in both sites does no harm\n",
            "",
        );
    });
    let run = &value["runs"][0];
    let results = run["results"].as_array().unwrap();
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    let found = |id: &str| results.iter().filter(|result| result["ruleId"] == id).collect::<Vec<_>>();
    let [tools, promote] = found("SF051")[..] else { panic!("{results:#?}") };
    assert_eq!((&tools["level"], &promote["level"]), (&json!("error"), &json!("error")));
    let physical = &tools["locations"][0]["physicalLocation"];
    assert_eq!(physical["artifactLocation"]["uri"], "a%20b/shop.yaml");
    assert_eq!(
        physical["region"],
        json!({ "startLine": 15, "startColumn": 5, "endLine": 15, "endColumn": 13 })
    );
    assert_eq!(found("SF071")[0]["level"], "warning");
    assert_eq!(found("SF072").len(), 1);
    let [waived] = found("SF052")[..] else { panic!("{results:#?}") };
    let justification = "until 2030-01-31: a \"good\" reason";
    let suppressions = json!([{ "kind": "inSource", "status": "accepted", "justification": justification }]);
    assert_eq!(waived["suppressions"], suppressions);
    assert!(tools.get("suppressions").is_none());
}

#[test]
fn what_has_no_place_or_does_not_fit_is_said_too() {
    let value = judged(|fleet, _| *fleet = "api: standfast/v1\nplaybook: x\n".into());
    let results = value["runs"][0]["results"].as_array().unwrap();
    let nowhere = results.iter().find(|result| result["ruleId"] == "SF040").unwrap();
    assert!(nowhere.get("locations").is_none());
    let value = judged(|_, playbook| {
        (0..600).for_each(|n| playbook.push_str(&format!("  - {{id: x{n}, dns.sett: {{}}}}\n")));
    });
    let note = &value["runs"][0]["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
    assert_eq!(note, "100 more findings are not shown");
}
