//! The reference of the format, from the tables that the decoder reads.

use crate::finding::code;
use crate::schema::calls::{ACTIONS, CONDITIONS};
use crate::schema::fleet::FLEET;
use crate::schema::playbook::{ENVELOPE, PLAYBOOK};
use crate::schema::{Field, Need, Spec, Type};
use crate::timing::{Profile, Timing};
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# Fleets and playbooks

A *fleet* says what there is: sites, services, resources, probes, numbers. A *playbook* says how
a service leaves a site. Both are YAML in files of their own; the files of one fleet and its
playbooks together are a *bundle*. [shop/](shop/) and [jobs/](jobs/) are examples; `standfast lint shop/` checks one,
`standfast explain SF005` explains a finding.

Editors read [fleet.schema.json](fleet.schema.json) and [playbook.schema.json](playbook.schema.json);
`standfast schema` prints them. The first line of a file says where its schema is:

    # yaml-language-server: $schema=playbook.schema.json

This page is made from the tables that the parser reads; a test keeps it so.

- Plain data only: no anchors, aliases, tags, directives or several documents.
- Names begin with a letter or a digit and hold letters, digits, `-` and `_`, at most 63.
- Durations are one number and one unit: `250ms`, `1.5s`, `5m`, `2h`, `1d`.
- In the arguments of a playbook's actions and conditions, `$from` and `$to` stand for the two
  sites and `$inputs.x` for an input, always as whole values. Nothing is replaced inside a text.
- Secrets are `{secret: name}`: a file of that name in the daemon's folder of secrets.
- A list of steps runs from top to bottom: each waits for the one above it. The steps of a
  `parallel` block wait for what stands above the block, and what stands below it waits for all of
  them. `needs` replaces the one above. What a step waits for and does not run in this mode, is
  passed over: what *it* waits for is waited for.
";

/// The whole page, in Markdown.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## A fleet\n\n");
    let mut shown = Shown::new();
    keys(&mut page, "", FLEET, &mut shown);
    timing(&mut page);
    page.push_str("\n## A playbook\n\n");
    keys(&mut page, "", PLAYBOOK, &mut shown);
    page.push_str("\n## A step\n\nExactly one action, or `parallel`, and:\n\n");
    keys(&mut page, "", ENVELOPE, &mut shown);
    page.push_str("\n## Actions\n");
    ACTIONS.iter().for_each(|spec| call(&mut page, spec, true));
    page.push_str(
        "\n## Conditions\n\nTyped read-only questions: in `require`, `verify`, `wait.until`, `probes` and \
         `canaries`. In a\nplaybook `at` must be given; a probe asks what stands in its own site, and a canary \
         asks a\n`url` or an `address`, which only a fleet may hold.\n",
    );
    CONDITIONS.iter().for_each(|spec| call(&mut page, spec, false));
    page.push_str("\n## Findings\n\n| id | severity | group | |\n|---|---|---|---|\n");
    for code in code::ALL {
        let (severity, group) = (code.severity.name(), code.group.name());
        let _ = writeln!(page, "| {} | {severity} | {group} | {} |", code.id, code.title);
    }
    page
}

/// Where each map of keys was shown first.
type Shown = Vec<(&'static [Field], String)>;

/// A table of keys, then one for each map among them.
fn keys(page: &mut String, path: &str, fields: &'static [Field], shown: &mut Shown) {
    table(page, fields);
    for field in fields {
        let path = match path {
            "" => field.name.to_owned(),
            _ => format!("{path}.{}", field.name),
        };
        nested(page, &path, &field.ty, shown);
    }
}

fn nested(page: &mut String, path: &str, ty: &'static Type, shown: &mut Shown) {
    let (heading, fields) = match ty {
        Type::Object(fields) => (path.to_owned(), *fields),
        Type::Variant(fields) => (format!("{path}\n\nExactly one of:"), *fields),
        Type::Map(inner) => return nested(page, &format!("{path}.NAME"), inner, shown),
        Type::PerSite(inner) => return nested(page, &format!("{path}.SITE"), inner, shown),
        Type::PerService(inner) => return nested(page, &format!("{path}.SERVICE"), inner, shown),
        Type::Brief(_, map) => return nested(page, path, map, shown),
        Type::List(inner) | Type::NoneOr(inner) | Type::OneOrMany(inner) => {
            return nested(page, &format!("{path}[]"), inner, shown);
        }
        // Steps, actions and conditions have parts of their own.
        Type::Call(_, fields) if fields.len() != ENVELOPE.len() && !fields.is_empty() => {
            (format!("{path}, beside the condition"), *fields)
        }
        _ => return,
    };
    // The same keys in another place are shown once.
    if let Some((_, first)) = shown.iter().find(|(other, _)| std::ptr::eq(*other, fields)) {
        let _ = writeln!(page, "\n### {path}\n\nAs [{first}](#{}).", anchor(first));
        return;
    }
    shown.push((fields, path.to_owned()));
    let _ = writeln!(page, "\n### {heading}\n");
    keys(page, path, fields, shown);
}

/// The name that a heading gets where Markdown is shown.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn table(page: &mut String, fields: &[Field]) {
    page.push_str("| key | value | | meaning |\n|---|---|---|---|\n");
    for Field { name, ty, need, doc } in fields {
        let need = match need {
            Need::Required => "required".to_owned(),
            Need::Optional => String::new(),
            Need::Default(value) => format!("default `{value}`"),
            Need::InPlaybook => "in a playbook".to_owned(),
            Need::InFleet => "in a fleet".to_owned(),
        };
        let _ = writeln!(page, "| `{name}` | {} | {need} | {doc} |", ty.words());
    }
}

fn call(page: &mut String, spec: &Spec, action: bool) {
    let _ = writeln!(page, "\n### {}\n\n{}", spec.name, spec.doc);
    if action {
        let (timeout, attempts) = (spec.timeout, spec.attempts);
        let _ = writeln!(page, "Default timeout {timeout}, attempts {attempts}.");
    }
    if !spec.one_of.is_empty() {
        let choice: Vec<_> = spec.one_of.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(page, "Exactly one of {}.", choice.join(", "));
    }
    page.push('\n');
    table(page, spec.fields);
}

fn timing(page: &mut String) {
    page.push_str("\n### The presets of timing\n\n| key | default | fast |\n|---|---|---|\n");
    let [slow, fast] = [Profile::Default, Profile::Fast].map(Timing::of);
    for ((name, slow), (_, fast)) in slow.values().into_iter().zip(fast.values()) {
        let _ = writeln!(page, "| `{name}` | {slow} | {fast} |");
    }
    for (name, timing) in [("default", slow), ("fast", fast)] {
        let _ = writeln!(page, "\nWith `{name}`, {}.", timing.bounds());
    }
}
