//! Whatever is given to `standfast lint`: one clear finding with its place, never a panic, never
//! more than 1 GiB.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const FLEET: &str = "api: standfast/v1
fleet: f
canaries: none
sites: {a: {role: active}, b: {role: standby}, w: {role: witness}}
";

/// Runs lint over a file with at most 1 GiB of address space, in a place of its own.
fn lint(bytes: &[u8], format: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fleet.yaml"), bytes).unwrap();
    Command::new("bash")
        .arg("-c")
        .arg("ulimit -v 1048576 && exec \"$0\" lint . -o \"$1\"")
        .args([env!("CARGO_BIN_EXE_standfast"), format])
        .current_dir(folder.path())
        // Address space is set aside for each thread; the limit is for what lint needs.
        .env("TOKIO_WORKER_THREADS", "1")
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap()
}

/// The findings: id, line and column.
fn findings(bytes: &[u8]) -> Vec<(String, u64, u64)> {
    let output = lint(bytes, "json");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{:?} {said}", output.status);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let one = |finding: &Value| {
        assert_eq!(finding["file"], "fleet.yaml", "{finding}");
        let number = |key: &str| finding[key].as_u64().unwrap();
        (finding["id"].as_str().unwrap().to_owned(), number("line"), number("column"))
    };
    value["findings"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn each_mistake_is_one_finding_at_its_place() {
    let with = |more: &str| format!("{FLEET}{more}").into_bytes();
    let services = |needs: [&str; 2]| {
        with(&format!(
            "services:\n  x: {{runs_in: {{b: standby}}, needs: [{}]}}\n  y: {{runs_in: {{b: standby}}, needs: [{}]}}\n",
            needs[0], needs[1]
        ))
    };
    type Case<'a> = (&'a str, Vec<u8>, (&'a str, u64, u64));
    let cases: [Case<'_>; 22] = [
        ("a site twice", FLEET.replace("w: {", "a: {role: active}, w: {").into(), ("SF004", 4, 48)),
        ("a dependency on nothing", services(["nobody", "x"]), ("SF022", 6, 38)),
        ("services in a circle", services(["y", "x"]), ("SF027", 6, 3)),
        ("less than no capacity", FLEET.replace("active}", "active, capacity: -5}").into(), ("SF007", 4, 37)),
        ("a waiver without reason", with("allow: [{id: SF048}]\n"), ("SF006", 5, 9)),
        ("10 MB of comments", [FLEET.as_bytes(), &vec![b'#'; 10 << 20]].concat(), ("SF003", 1, 1)),
        ("10 MB of nothing", vec![b' '; 10 << 20], ("SF003", 1, 1)),
        (
            "a name of 3 MB",
            FLEET.replace(": f", &format!(": {}", "x".repeat(3_000_000))).into(),
            ("SF009", 2, 8),
        ),
        ("many values", format!("[{}]", "1,".repeat(500_000)).into(), ("SF003", 1, 800_000)),
        ("deep lists", "- ".repeat(100_000).into(), ("SF003", 1, 65)),
        ("deep brackets", "[".repeat(100_000).into(), ("SF003", 1, 33)),
        ("deep maps", "{a: ".repeat(100_000).into(), ("SF003", 1, 129)),
        ("an alias", with("timing: *t\n"), ("SF002", 5, 9)),
        ("an anchor", with("timing: &t {profile: fast}\n"), ("SF002", 5, 9)),
        ("not UTF-8", with("# caf").into_iter().chain([0xe9, b'\n']).collect(), ("SF001", 5, 6)),
        ("UTF-16", vec![0xff, 0xfe, b'a', 0], ("SF001", 1, 1)),
        ("a NUL", with("lab: \0\n"), ("SF001", 5, 6)),
        ("an escape", with("lab: \u{1b}[2J\n"), ("SF001", 5, 6)),
        ("nothing", Vec::new(), ("SF010", 1, 1)),
        ("a comment", b"# later\n".to_vec(), ("SF010", 1, 1)),
        ("a tab", with("timing:\n\tprofile: fast\n"), ("SF001", 6, 2)),
        ("two documents", with("---\napi: standfast/v1\n"), ("SF002", 5, 1)),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, (id, line, column)) in cases {
        let found = findings(&bytes);
        if found != [(id.to_owned(), line, column)] {
            wrong.push((what, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each alias is shown where it stands; none is followed.
#[test]
fn an_alias_bomb_does_not_go_off() {
    let lines = (1..60).map(|n| format!("  a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1));
    let bomb = format!("{FLEET}timing:\n  a0: &a0 x\n{}", lines.collect::<String>());
    let found = findings(bomb.as_bytes());
    assert_eq!(found[0], ("SF005".to_owned(), 6, 3));
    assert!(found.iter().all(|(id, ..)| id == "SF002" || id == "SF005"), "{found:?}");
    assert!(found.iter().any(|found| *found == ("SF002".to_owned(), 7, 12)));
}

/// Line ends and a byte order mark at the beginning are nobody's mistake, and places stay right.
#[test]
fn line_ends_and_byte_order_marks_are_read() {
    let mark = "\u{feff}";
    for ends in ["\n", "\r\n", "\r"] {
        let text = format!("{mark}{FLEET}").replace('\n', ends);
        assert_eq!(findings(text.as_bytes()), [], "{ends:?}");
        let bad = format!("{FLEET}lab: maybe\n").replace('\n', ends);
        assert_eq!(findings(bad.as_bytes()), [("SF007".to_owned(), 5, 6)], "{ends:?}");
        let shown = lint(bad.as_bytes(), "table");
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("5 | lab: maybe\n"), "{shown}");
    }
    let inside = format!("{FLEET}{mark}lab: true\n");
    assert_eq!(findings(inside.as_bytes()), [("SF001".to_owned(), 5, 1)]);
}

/// Ten thousand mistakes are counted, and five hundred shown.
#[test]
fn many_mistakes_are_cut() {
    let many: String = (0..10_000).map(|n| format!("key-{n}: 1\n")).collect();
    let output = lint(format!("{FLEET}{many}").as_bytes(), "json");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((value["findings"].as_array().unwrap().len(), &value["dropped"]), (500, &Value::from(9_500)));
    assert_eq!(output.status.code(), Some(3));
}

/// What is shown can be piped into a terminal: nothing of the file is obeyed there.
#[test]
fn nothing_of_a_file_reaches_the_terminal_as_it_is() {
    let text = format!("{FLEET}\"\\e[2J\\u202e\": \"\\a\"\n");
    for format in ["table", "json", "yaml", "sarif"] {
        let shown = String::from_utf8(lint(text.as_bytes(), format).stdout).unwrap();
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(bad), "{format}: {shown:?}");
    }
}

/// A folder, a file that is not there, and one that may not be read are no findings.
#[test]
fn what_cannot_be_read_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let lint = |path: &Path| {
        let program = env!("CARGO_BIN_EXE_standfast");
        Command::new(program).arg("lint").arg(path).output().unwrap()
    };
    for path in [folder.path().to_owned(), folder.path().join("none.yaml")] {
        let output = lint(&path);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
    // A folder that looks like a file.
    let odd = folder.path().join("odd.yaml");
    std::fs::create_dir(&odd).unwrap();
    assert_eq!(lint(folder.path()).status.code(), Some(2));
}
