//! The tree holds against any text.

use super::*;
use crate::bundle::Bundle;
use crate::lint::tests::{FLEET, SHOP};
use proptest::prelude::*;

fn read(text: &str) -> Vec<String> {
    tree(&SourceFile::new("x.yaml", text)).1
}

fn tree(file: &SourceFile) -> (Tree<'_>, Vec<String>) {
    let mut findings = Findings::default();
    let tree = parse(0, file, &mut findings);
    let findings = findings.finish(std::slice::from_ref(file));
    let shown = findings.iter().map(|f| format!("{} {}:{} {}", f.code.id, f.line, f.column, f.message));
    (tree, shown.collect())
}

#[test]
fn a_tree_knows_where_everything_stands() {
    let text = "a:\n  - x\n  - [1, 2]\n\nb: 'q'\n";
    let file = SourceFile::new("x.yaml", text);
    let (tree, findings) = tree(&file);
    assert_eq!(findings, [""; 0]);
    let root = tree.root.unwrap();
    let Kind::Map { entries, cut: false } = &root.kind else { panic!("{root:?}") };
    let slice = |at: Place| &text[at.start as usize..at.end as usize];
    assert_eq!(slice(entries[0].value.at), "- x\n  - [1, 2]", "a block ends with its last child");
    assert_eq!(slice(entries[1].key_at), "b");
    assert_eq!(entries[1].value.kind, Kind::Scalar { text: "q".into(), plain: false });
}

#[test]
fn what_is_not_plain_data_is_refused_and_the_rest_is_read() {
    let file = SourceFile::new("x.yaml", "a: &x 1\nb: *x\nc: *y\nd: !!str 5\n? [k]\n: 6\na: 7\n");
    let (tree, findings) = tree(&file);
    assert_eq!(
        findings,
        [
            "SF002 1:4 anchors (`&`) are not read here: remove it",
            "SF002 2:4 aliases (`*`) are not read here: write the value out",
            "SF002 3:4 aliases (`*`) are not read here: write the value out",
            "SF002 4:4 the tag `!!str` is not read here: remove it",
            "SF002 5:3 a key must be text",
            "SF004 7:1 the key `a` stands here twice",
        ]
    );
    let Some(Node { kind: Kind::Map { entries, .. }, .. }) = tree.root else { panic!() };
    assert_eq!(entries.iter().map(|entry| &*entry.key).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(
        read("%YAML 1.2\n---\na: 1\n"),
        ["SF002 1:1 directives (`%`) are not read here: remove the line"]
    );
    assert_eq!(read("a: 1\n---\nb: 2\n"), ["SF002 2:1 a second document: one file holds one"]);
}

/// An alias bomb, a tower of brackets, a flood of values, a large file: one finding each.
#[test]
fn attacks_on_the_reader_end_at_once() {
    let bomb: String = (1..30).map(|n| format!("a{n}: &a{n} [*a{}, *a{0}]\n", n - 1)).collect();
    assert!(read(&bomb).iter().all(|finding| finding.starts_with("SF002")));
    for deep in ["- ".repeat(200_000), "[".repeat(200_000), "{a: ".repeat(100_000)] {
        let findings = read(&deep);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].starts_with("SF003"), "{findings:?}");
    }
    let flood = format!("[{}]", "1,".repeat(MAX_NODES + 10));
    assert!(read(&flood)[0].contains("more than 400000 values"));
    let large = "a: 1\n".repeat(MAX_BYTES / 5 + 1);
    assert_eq!(read(&large), ["SF003 1:1 this file has 4.0 MiB; at most 4 MiB are read"]);
}

#[test]
fn what_was_cut_is_marked() {
    let text = "steps:\n  - id: one\n  - id: two\n    needs: [one\n  - id: three\n";
    let file = SourceFile::new("x.yaml", text);
    let (tree, findings) = tree(&file);
    assert!(tree.cut);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].starts_with("SF001 5:"), "{findings:?}");
    let Some(Node { kind: Kind::Map { entries, cut: true }, .. }) = tree.root else { panic!() };
    let Kind::List(items) = &entries[0].value.kind else { panic!() };
    assert_eq!(items.len(), 2);
    assert!(matches!(items[1].kind, Kind::Map { cut: true, .. }));
}

/// Loads and renders; the result does not matter, only that there is one.
fn survives(fleet: &str, shop: &str) {
    let files = vec![SourceFile::new("fleet.yaml", fleet), SourceFile::new("shop.yaml", shop)];
    let (bundle, findings) = Bundle::load(files.clone());
    assert_eq!(bundle.is_none(), findings.has_errors());
    let text = findings.to_text(&files, false);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
    for finding in findings.iter().filter(|finding| finding.at.is_some()) {
        assert!(finding.line >= 1 && finding.column >= 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>(), yaml in "[-?:,{}\\[\\]&*!|>'\"%@ \n\t#a-c0-9$.~\u{85}\u{202e}]{0,200}") {
        survives(&text, &yaml);
        survives(&yaml, SHOP);
    }

    /// A good file with a piece cut out, repeated, or replaced.
    #[test]
    fn no_mutation_panics(at in 0.0..1.0f64, len in 0usize..60, put in "[-?:,{}\\[\\]&*!|>'\"% \na-c$\u{1b}é]{0,6}") {
        for good in [FLEET, SHOP] {
            let mut start = (good.len() as f64 * at) as usize;
            while !good.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + len).min(good.len());
            while !good.is_char_boundary(end) {
                end += 1;
            }
            let mutated = format!("{}{put}{}", &good[..start], &good[end..]);
            let doubled = format!("{}{}", &good[..end], &good[start..]);
            for bad in [mutated.as_str(), doubled.as_str(), &good[..start]] {
                if good == FLEET { survives(bad, SHOP) } else { survives(FLEET, bad) }
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        match SourceFile::from_bytes("x", bytes) {
            Ok(file) => survives(&file.text, &file.text),
            Err(finding) => prop_assert!(finding.line >= 1),
        }
    }
}

/// What would take the square of its size is refused by its number.
#[test]
fn steps_and_sites_are_bounded() {
    let step = |n: usize| format!("  - id: s{n}\n    dns.set: {{record: shop-name, to: $to}}\n");
    let steps: String = (0..10_001).map(step).collect();
    let shop = SHOP.split("\nsteps:").next().unwrap().to_owned() + "\nsteps:\n" + &steps;
    let sites: String = (0..140).map(|n| format!("  s{n}: {{role: witness}}\n")).collect();
    let fleet = FLEET.replace("sites:\n", &format!("sites:\n{sites}"));
    let files = vec![SourceFile::new("fleet.yaml", fleet), SourceFile::new("shop.yaml", shop)];
    let (_, findings) = Bundle::load(files);
    let found: Vec<_> = findings.iter().map(|f| (f.code.id, f.message.as_str())).collect();
    assert_eq!(found, [("SF003", "more than 128 sites"), ("SF003", "more than 10000 steps in one playbook")]);
}

/// Behind a block each step waits for all of it: that grows with the square, and is bounded by itself.
#[test]
fn what_waits_for_what_is_bounded() {
    let step = |n: usize| format!("      - {{id: s{n}, dns.set: {{record: shop-name, to: $to}}}}\n");
    let block = |name: &str, steps: std::ops::Range<usize>| {
        format!("  - id: {name}\n    parallel:\n{}", steps.map(step).collect::<String>())
    };
    let blocks = block("first", 0..1_500) + &block("second", 1_500..3_000);
    let shop = SHOP.split("\nsteps:").next().unwrap().to_owned() + "\nsteps:\n" + &blocks;
    let files = vec![SourceFile::new("fleet.yaml", FLEET), SourceFile::new("shop.yaml", shop)];
    for load in [Bundle::load, Bundle::load_applied] {
        let (bundle, findings) = load(files.clone());
        assert!(bundle.is_none());
        let too_much = findings.iter().find(|finding| finding.code.id == "SF003").expect("it is too much");
        assert_eq!(too_much.message, "steps wait for more than 2000000 others in all");
    }
}

/// Ways between many sites times steps are refused before they are bound.
#[test]
fn ways_between_sites_are_bounded() {
    let step =
        |n: usize| format!("  - id: s{n}\n    approval.ask: {{role: incident-commander, message: Go?}}\n");
    let steps: String = (0..100).map(step).collect();
    let playbook = format!(
        "api: standfast/v1\nplaybook: far\ntitle: Far\nservices: [far]\nmodes: [drill]\nsteps:\n{steps}"
    );
    let names = || (0..100).map(|n| format!("s{n}"));
    let sites: String = names().map(|name| format!("  {name}: {{role: standby}}\n")).collect();
    let runs_in: Vec<_> = names().map(|name| format!("{name}: active")).collect();
    let fleet = FLEET
        .replace("sites:\n", &format!("sites:\n{sites}"))
        .replace("services:\n", &format!("services:\n  far: {{runs_in: {{{}}}}}\n", runs_in.join(", ")));
    let files = [("fleet.yaml", fleet.as_str()), ("shop.yaml", SHOP), ("far.yaml", playbook.as_str())];
    let (_, findings) = Bundle::load(files.map(|(name, text)| SourceFile::new(name, text)).to_vec());
    let found: Vec<_> =
        findings.iter().filter(|f| f.code.id == "SF003").map(|f| f.message.as_str()).collect();
    assert_eq!(found, ["`far` can be run in 9900 ways, and that is too many to look at"]);
}

/// A thousand steps are read, bound and judged in a small part of a second; the measured bound
/// is a benchmark's, this only keeps it from growing with the square.
#[test]
fn a_thousand_steps_are_read_in_one_go() {
    let mut shop = SHOP.split("\nsteps:").next().unwrap().to_owned() + "\nsteps:\n";
    for n in 0..1_000 {
        shop += &format!(
            "  - id: s{n}\n    wait.until: {{all: [{{http.get: {{endpoint: shop-web, at: $to}}}}]}}\n    \
             verify: {{within: 1s, all: [{{tcp.connect: {{endpoint: shop-web, at: $to}}}}]}}\n"
        );
    }
    let files = vec![SourceFile::new("fleet.yaml", FLEET), SourceFile::new("shop.yaml", shop)];
    let (bundle, findings) = Bundle::load(files);
    assert!(!findings.has_errors());
    assert_eq!(bundle.unwrap().playbooks.values().next().unwrap().steps.len(), 1_000);
}
