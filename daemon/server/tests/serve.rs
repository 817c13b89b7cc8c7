//! The daemon as a process: settings that it cannot start with, a store that is not there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A settings file for member `name` of `site`, which listens where nothing else does.
fn settings(dir: &Path, name: &str, site: &str, rest: &str) -> String {
    let dir = dir.display();
    format!(
        "member = \"{name}\"\nsite = \"{site}\"\ndata_dir = \"{dir}/data\"\n{rest}\n[listen]\n\
         grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n"
    )
}

fn standfast(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_standfast"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STANDFAST_"))
    {
        command.env_remove(name);
    }
    command.args(words);
    command
}

fn program(words: &[&str]) -> Output {
    standfast(words).output().expect("it starts")
}

/// Killed with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is said when `text` are the settings, all of it on stderr; the exit code is 2.
fn refused(dir: &Path, text: &str, words: &[&str]) -> String {
    let file = dir.join("standfast.toml");
    std::fs::write(&file, text).unwrap();
    let config = file.display().to_string();
    let output = program(&[&["serve", "--config", &config], words].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty(), "it never listened");
    said
}

#[test]
fn a_member_starts_only_with_a_certificate_of_its_own_for_its_site() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let pki = dir.join("pki").display().to_string();
    let made = program(&["pki", "init", "--dir", &pki, "--member", "a1=a", "--member", "b1=b"]);
    assert!(made.status.success(), "{made:?}");
    let with = |certificate: &str, name: &str, site: &str| {
        let tls = format!(
            "tls.ca = \"{pki}/ca.pem\"\ntls.cert = \"{pki}/{certificate}.pem\"\ntls.key = \"{pki}/{certificate}.key\""
        );
        refused(dir, &settings(dir, name, site, &tls), &[])
    };
    let said = with("a1", "a1", "b");
    assert!(said.contains("a member in a (its OU)") && said.contains("`site` is b"), "{said}");
    let said = with("b1", "a1", "a");
    assert!(said.contains("the certificate is b1's, and this member is a1"), "{said}");
    let key = dir.join("pki/a1.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = with("a1", "a1", "a");
    assert!(said.contains("chmod 600"), "{said}");
}

#[test]
fn a_port_that_is_taken_and_a_folder_that_is_closed_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let good = settings(dir, "a1", "a", "");
    let said = refused(dir, &good, &["--listen-grpc", &address]);
    assert!(said.contains("listen.grpc") && said.contains(&address), "{said}");

    // A folder in which nobody may write, not even root.
    let said = refused(dir, &good, &["--data-dir", "/sys"]);
    assert!(said.contains("/sys") && said.contains("data_dir"), "{said}");
    assert!(!said.contains("certificate"), "{said}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let good = settings(dir, "a1", "a", "");
    for (words, key, why) in [
        (
            ["--log-level", "blah"],
            "`log.level`",
            "\"blah\" is no level: write error, warn, info, debug or trace",
        ),
        (["--log-level", "info,h2"], "`log.level`", "\"h2\" is no level"),
        (["--log-format", "xml"], "`log.format`", "must be text or json, and is \"xml\""),
        (["--store", "redis"], "`store`", "must be embedded or etcd, and is \"redis\""),
        (
            ["--listen-grpc", "127.0.0.1"],
            "`listen.grpc`",
            "must be ADDRESS:PORT, as in \"127.0.0.1:7766\", and is \"127.0.0.1\"",
        ),
        (["--listen-http", "localhost:7767"], "`listen.http`", "must be ADDRESS:PORT"),
        (
            ["--set", "probes.source=lo"],
            "`probes.source`",
            "must be an IP address, as in \"10.1.0.2\", and is \"lo\"",
        ),
    ] {
        let said = refused(dir, &good, &words);
        assert!(said.contains(key) && said.contains(why), "{words:?}: {said}");
    }
}

#[test]
fn a_store_that_is_away_is_told_once_and_then_at_growing_intervals() {
    // Situation: etcd is dead all night. Danger: six lines a second hide whatever else happens.
    // Expectation: each loop tells its trouble at once, again after two seconds, then more rarely.
    let dir = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let etcd = format!("store = \"etcd\"\netcd.endpoints = [\"http://{nobody}\"]");
    let file = dir.path().join("standfast.toml");
    std::fs::write(&file, settings(dir.path(), "a1", "a", &etcd)).unwrap();
    let config = file.display().to_string();
    let mut command = standfast(&["serve", "--config", &config, "--log-format", "json"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut daemon = Daemon(child);
    let lines = BufReader::new(daemon.0.stderr.take().unwrap()).lines();
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let message = line["message"].as_str().unwrap().to_owned();
        *told.entry(message.clone()).or_default() += 1;
        // The third time: after six seconds, in which it was met more often than it was told.
        if message == "this member cannot register" && told[&message] == 3 {
            assert!(line["why"].as_str().unwrap().contains(&nobody.to_string()), "{line}");
            assert!(line["untold"].as_u64().unwrap() > 0 && line["lasts"].as_str().is_some(), "{line}");
            break;
        }
    }
    assert!(told.contains_key("the current bundle cannot be followed"), "{told:?}");
    assert!(told.values().all(|times| *times <= 4), "{told:?}");
    assert_eq!(told["this member cannot register"], 3);
}

/// What a client sees with these words, and its exit code.
fn asks(words: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program(words);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A member of site a with a socket, and certificates that only members know.
fn with_socket(dir: &Path) -> (Daemon, String) {
    let pki = dir.join("pki").display().to_string();
    let made = program(&["pki", "init", "--dir", &pki, "--member", "a1=a,127.0.0.1"]);
    assert!(made.status.success(), "{made:?}");
    let tls = format!("tls.ca = \"{pki}/ca.pem\"\ntls.cert = \"{pki}/a1.pem\"\ntls.key = \"{pki}/a1.key\"");
    let socket = dir.join("a1.sock").display().to_string();
    let text = settings(dir, "a1", "a", &tls) + &format!("socket = \"{socket}\"\n");
    let file = dir.join("standfast.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = standfast(&["serve", "--config", &file.display().to_string()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("member a1 of site a listens"), "{line}");
    (Daemon(child), format!("unix:{socket}"))
}

#[test]
fn the_socket_of_a_member_is_for_reading_without_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (mut daemon, socket) = with_socket(dir.path());
    let (code, seen, said) = asks(&["--server", &socket, "status", "-o", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!((seen["member"].as_str(), seen["memberSite"].as_str()), (Some("a1"), Some("a")), "{seen}");
    let identity = seen["identity"].as_str().unwrap_or_default();
    assert_eq!(identity, format!("local:{}", rustix::process::geteuid().as_raw()));
    let (code, ..) = asks(&["--server", &socket, "run", "list"]);
    assert_eq!(code, Some(0));

    let writes: [&[&str]; 3] = [
        &["freeze", "--reason", "by the back door"],
        &["member", "bump-epoch", "--reason", "by the back door"],
        &["site", "ack", "a", "--reason", "by the back door"],
    ];
    for words in writes {
        let (code, _, said) = asks(&[&["--server", &socket], words].concat());
        assert_eq!(code, Some(6), "{words:?}: {said}");
        assert!(said.contains("for reading only") && said.contains("--server HOST:PORT"), "{said}");
    }

    // The pages, as curl would ask for them.
    let page = |request: &str| {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket["unix:".len()..]).unwrap();
        let all = format!("{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, all.as_bytes()).unwrap();
        std::io::read_to_string(stream).unwrap()
    };
    assert!(page("GET /readyz").contains("NO  bundle: no bundle is applied"), "{}", page("GET /readyz"));
    assert!(page("GET /metrics").contains("standfast_leader "));
    let answer = page("POST /metrics");
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("for reading only"), "{answer}");

    // What is left behind by SIGKILL is no hindrance, and a living member's socket is none to give away.
    daemon.0.kill().unwrap();
    daemon.0.wait().unwrap();
    assert!(Path::new(&socket["unix:".len()..]).exists());
    let (code, _, said) = asks(&["--server", &socket, "status"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("refused"), "{said}");
    std::fs::remove_dir_all(dir.path().join("pki")).unwrap();
    let (_living, same) = with_socket(dir.path());
    assert_eq!((same.as_str(), asks(&["--server", &same, "status"]).0), (socket.as_str(), Some(0)));
    let other = tempfile::tempdir().unwrap();
    let text =
        settings(other.path(), "a2", "a", "") + &format!("socket = \"{}\"\n", &socket["unix:".len()..]);
    let said = refused(other.path(), &text, &[]);
    assert!(said.contains("the socket of a process that runs"), "{said}");
    assert_eq!(asks(&["--server", &same, "status"]).0, Some(0), "it is not stolen");
}
