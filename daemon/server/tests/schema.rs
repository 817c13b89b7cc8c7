//! The schemas for editors: published as they are made, and of one mind with the parser.

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;
use standfast_core::bundle::Bundle;
use standfast_core::date::Date;
use standfast_core::finding::Findings;
use standfast_core::schema::json;
use standfast_core::source::SourceFile;
use standfast_core::yaml::{self, Kind, Node};
use std::fs;
use std::path::{Path, PathBuf};

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Writes the schemas anew when they are out of date, and fails once to say so.
#[test]
fn the_published_schemas_are_up_to_date() {
    let mut stale = Vec::new();
    for (name, schema) in [("fleet", json::fleet()), ("playbook", json::playbook())] {
        let path = folder("playbooks").join(format!("{name}.schema.json"));
        let wanted = format!("{schema:#}\n");
        if fs::read_to_string(&path).unwrap_or_default() != wanted {
            fs::write(path, wanted).unwrap();
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "playbooks/*.schema.json was out of date and is written anew: commit it");
}

/// Both schemas, as a validator of another house reads them.
struct Editor {
    schemas: Schemas,
    fleet: SchemaIndex,
    playbook: SchemaIndex,
}

impl Editor {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let mut compile = |name: &str, schema: Value| {
            let at = format!("test:{name}.json");
            compiler.add_resource(&at, schema).unwrap();
            compiler.compile(&at, &mut schemas).unwrap()
        };
        let (fleet, playbook) = (compile("fleet", json::fleet()), compile("playbook", json::playbook()));
        Self { schemas, fleet, playbook }
    }

    /// What is wrong by the schema of the kind that the file is, or would be.
    fn complaint(&self, file: &SourceFile) -> Option<String> {
        let tree = yaml::parse(0, file, &mut Findings::default());
        let value = as_json(&tree.root.expect("it is YAML"));
        let schema = if value.get("playbook").is_some() { self.playbook } else { self.fleet };
        self.schemas.validate(&value, schema).err().map(|error| error.to_string())
    }
}

/// What an editor makes of YAML: plain words are numbers and truth values where they look so.
fn as_json(node: &Node<'_>) -> Value {
    match &node.kind {
        Kind::Empty | Kind::Bad => Value::Null,
        Kind::List(items) => items.iter().map(as_json).collect(),
        Kind::Map { entries, .. } => {
            entries.iter().map(|entry| (entry.key.to_string(), as_json(&entry.value))).collect()
        }
        Kind::Scalar { text, plain: false } => (&**text).into(),
        Kind::Scalar { text, .. } => match &**text {
            "true" | "True" | "TRUE" => true.into(),
            "false" | "False" | "FALSE" => false.into(),
            _ => text
                .parse::<i64>()
                .map(Value::from)
                .or_else(|_| text.parse::<f64>().map(Value::from))
                .unwrap_or_else(|_| (&**text).into()),
        },
    }
}

/// The files of a folder of the corpus, by name.
fn corpus(kind: &str) -> Vec<SourceFile> {
    let entries = fs::read_dir(folder("daemon/core/tests/corpus").join(kind)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let file = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        SourceFile::new(name, fs::read_to_string(path).unwrap())
    };
    paths.iter().map(file).collect()
}

/// What the example has no use for, and some action has.
const HOSTS: &str = "
  db-host:
    ssh:
      a: {address: \"10.1.0.10:22\", user: kim, host_key: ssh-ed25519 AAAA}
      b: {address: \"10.2.0.10:22\", user: kim, host_key: ssh-ed25519 AAAA}
";

/// The ids that lint finds in a file itself; a playbook is linted beside the example's fleet.
fn found(file: &SourceFile) -> Vec<&'static str> {
    let mut files = vec![file.clone()];
    if file.name.starts_with("playbook") {
        let fleet = fs::read_to_string(folder("playbooks/shop/fleet.yaml")).unwrap();
        files.push(SourceFile::new(
            "fleet.yaml",
            fleet.replacen("\nresources:\n", &format!("\nresources:{HOSTS}"), 1),
        ));
    }
    let (_, findings) = Bundle::load_on(files, Date::parse("2022-10-16").ok());
    findings.iter().filter(|finding| finding.file == file.name).map(|finding| finding.code.id).collect()
}

/// The id that a bad file is there for: its first line.
fn expected(file: &SourceFile) -> &str {
    file.text.lines().next().unwrap().trim_start_matches("# ")
}

#[test]
fn what_is_good_is_good_to_both() {
    let editor = Editor::new();
    let example =
        |name: &str| SourceFile::new(name, fs::read_to_string(folder("playbooks/shop").join(name)).unwrap());
    let examples = [example("fleet.yaml"), example("shop.yaml")];
    let good = corpus("good");
    assert!(good.len() >= 4);
    for file in &good {
        assert_eq!(found(file), [""; 0], "{}", file.name);
    }
    for file in good.iter().chain(&examples) {
        assert_eq!(editor.complaint(file), None, "{}", file.name);
    }
}

#[test]
fn what_is_bad_is_bad_to_both() {
    let editor = Editor::new();
    let bad = corpus("bad");
    assert!(bad.len() >= 60);
    for file in &bad {
        assert!(found(file).contains(&expected(file)), "{}: {:?}", file.name, found(file));
        assert!(editor.complaint(file).is_some(), "the schema accepts {}", file.name);
    }
}

/// Names that point at nothing, days that are over, order: only the parser sees them. One that
/// the schema learns to see belongs among the bad ones.
#[test]
fn what_only_the_parser_sees_is_known() {
    let editor = Editor::new();
    let beyond = corpus("beyond");
    assert!(beyond.len() >= 15);
    for file in &beyond {
        assert!(found(file).contains(&expected(file)), "{}: {:?}", file.name, found(file));
        assert_eq!(editor.complaint(file), None, "the schema sees {} too: move it", file.name);
    }
}

/// No editor marks what the parser takes: every scalar of the good files, replaced by every
/// word of a list, and judged by both.
#[test]
fn the_schema_refuses_nothing_that_the_parser_takes() {
    const WORDS: [&str; 24] = [
        "x",
        "5",
        "0",
        "-1",
        "1.5",
        "true",
        "none",
        "~",
        "''",
        "' '",
        "$to",
        "$from",
        "$inputs.version",
        "a$b",
        "${x}",
        "10s",
        "2022-10-15",
        "http://h",
        "/p",
        "h:1",
        "tcp://h:1",
        "10.0.0.0/8",
        "[]",
        "{}",
    ];
    let editor = Editor::new();
    let mut judged = 0;
    for file in corpus("good") {
        let mut findings = Findings::default();
        let tree = yaml::parse(0, &file, &mut findings);
        let mut places = Vec::new();
        scalars(&tree.root.unwrap(), &mut places);
        for (start, end) in places {
            for word in WORDS {
                let text = format!("{}{word}{}", &file.text[..start], &file.text[end..]);
                let changed = SourceFile::new(file.name.clone(), text);
                let (_, findings) = Bundle::load(vec![changed.clone()]);
                let of_form = |id: &str| id <= "SF014" || ["SF030", "SF031"].contains(&id);
                if findings.iter().any(|finding| of_form(finding.code.id)) {
                    continue;
                }
                judged += 1;
                let complaint = editor.complaint(&changed);
                assert_eq!(complaint, None, "{} with {word} at {start}", file.name);
            }
        }
    }
    assert!(judged > 500, "{judged} were judged");
}

fn scalars(node: &Node<'_>, places: &mut Vec<(usize, usize)>) {
    match &node.kind {
        Kind::Scalar { .. } => places.push((node.at.start as usize, node.at.end as usize)),
        Kind::List(items) => items.iter().for_each(|item| scalars(item, places)),
        Kind::Map { entries, .. } => entries.iter().for_each(|entry| scalars(&entry.value, places)),
        Kind::Empty | Kind::Bad => {}
    }
}
