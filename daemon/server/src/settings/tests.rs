use super::*;

struct Case {
    flags: Flags,
    variables: BTreeMap<String, String>,
    file: Option<String>,
}

fn case() -> Case {
    Case { flags: Flags::default(), variables: BTreeMap::new(), file: None }
}

impl Case {
    fn file(mut self, text: &str) -> Self {
        self.file = Some(text.to_owned());
        self
    }
    fn env(mut self, key: &str, value: &str) -> Self {
        self.variables.insert(key.to_owned(), value.to_owned());
        self
    }
    fn set(mut self, key: &str, value: &str) -> Self {
        self.flags.set.push((key.to_owned(), value.to_owned()));
        self
    }
    fn load(self) -> Result<Loaded, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let system = dir.path().join("standfast.toml");
        if let Some(text) = self.file {
            std::fs::write(&system, text).unwrap();
        }
        load(&self.flags, &self.variables, &system, "host-1")
    }
    fn settings(self) -> Settings {
        self.load().unwrap().settings
    }
    fn error(self) -> String {
        self.load().unwrap_err().to_string()
    }
}

/// Dotted names of all fields of the struct.
fn fields(value: &serde_json::Value) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in value.as_object().unwrap() {
        match value.as_object() {
            Some(section) => names.extend(section.keys().map(|k| format!("{key}.{k}"))),
            None => names.push(key.clone()),
        }
    }
    names.sort();
    names
}

#[test]
fn every_field_is_documented_and_every_documented_key_is_a_field() {
    let loaded = case().set("site", "a").load().unwrap();
    let fields = fields(&serde_json::to_value(&loaded.raw).unwrap());
    let documented: Vec<String> = reference::keys().into_keys().collect();
    assert_eq!(fields, documented);
}

#[test]
fn the_reference_with_all_its_examples_is_a_valid_file() {
    let all: String = DEFAULT
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => key,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let settings = case().file(&all).set("store", "etcd").settings();
    assert_eq!(settings.member.as_str(), "a1");
    assert!(matches!(settings.store, Store::Etcd(etcd) if etcd.endpoints.len() == 3));
}

#[test]
fn defaults_need_only_a_site() {
    let settings = case().set("site", "a").settings();
    assert_eq!(settings.member.as_str(), "host-1");
    assert_eq!(settings.listen.grpc.to_string(), "127.0.0.1:7766");
    assert_eq!(settings.listen.advertised(settings.listen.grpc), "127.0.0.1:7766");
    assert!(matches!(settings.store, Store::Embedded) && settings.tls.is_none());
    let error = case().error();
    assert!(error.contains("`site` is required") && error.contains("--site"), "{error}");
}

#[test]
fn later_layers_override_earlier_ones_key_by_key() {
    let file = "site = \"file\"\n[listen]\ngrpc = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:2\"\n";
    let layered = || {
        case()
            .file(file)
            .env("STANDFAST_LISTEN__GRPC", "127.0.0.1:3")
            .env("STANDFAST_SITE", "env")
            .env("STANDFAST_SERVER", "is for the client")
            .env("HOME", "/nowhere")
    };
    let settings = layered().settings();
    assert_eq!(settings.site.as_str(), "env");
    assert_eq!((settings.listen.grpc.port(), settings.listen.http.port()), (3, 2));
    let mut flags = layered();
    flags.flags.site = Some("flag".to_owned());
    let rendered = flags.set("listen.http", "127.0.0.1:4").load().unwrap().render();
    for line in [
        "site = \"flag\" # flag --site",
        "grpc = \"127.0.0.1:3\" # environment variable STANDFAST_LISTEN__GRPC",
        "http = \"127.0.0.1:4\" # flag --set",
        "member = \"host-1\" # host name",
        "request_timeout = \"1s\" # default",
        "#advertise is not set",
    ] {
        assert!(rendered.lines().any(|l| l == line), "{line} is missing in\n{rendered}");
    }
    // What is printed is a settings file that says the same.
    let again = case().file(&rendered).settings();
    assert_eq!((again.site.as_str(), again.listen.http.port()), ("flag", 4));
}

#[test]
fn unknown_keys_are_refused_by_name_source_and_suggestion_all_at_once() {
    let error = case()
        .file("site = \"a\"\ndatadir = \"/x\"\n[listen]\ngprc = \"127.0.0.1:1\"\n[nonsense]\n")
        .env("STANDFAST_LOG__LEVLE", "debug")
        .set("prefix", "/x/")
        .error();
    for part in [
        "`datadir` is no setting: did you mean `data_dir`? (/",
        "`listen.gprc` is no setting: did you mean `listen.grpc`? (/",
        "`nonsense` is no setting: the default file lists them all (/",
        "`log.levle` is no setting: did you mean `log.level`? (environment variable STANDFAST_LOG__LEVLE)",
        "`prefix` is no setting: did you mean `etcd.prefix`? (flag --set)",
        "settings: 5 problems\n",
    ] {
        assert!(error.contains(part), "{part} is missing in\n{error}");
    }
}

#[test]
fn wrong_kinds_units_words_and_bounds_are_named() {
    let file = |text: &str| case().set("site", "a").file(text).error();
    for (text, part) in [
        (
            "[probes]\nconcurrency = \"many\"",
            "`probes.concurrency` must be a whole number, and is the string \"many\" (/",
        ),
        ("[probes]\nconcurrency = 0", "`probes.concurrency` must be 1 to 1024, and is 0 (/"),
        ("[retention]\nruns = 0", "`retention.runs` must be 1 to 100000, and is 0 (/"),
        ("[retention]\nage = \"12h\"", "`retention.age` must be 1d to 365d, and is 12h (/"),
        ("[shutdown]\ndeadline = 2", "`shutdown.deadline` must be a string, and is a whole number (2) (/"),
        ("[shutdown]\ndeadline = \"2\"", "`shutdown.deadline` `2` has no unit: write `2s`"),
        ("[shutdown]\ndeadline = \"2 parsec\"", "`shutdown.deadline` unknown unit `parsec`: use ms"),
        ("[shutdown]\ndeadline = \"2h\"", "`shutdown.deadline` must be 1s to 10m, and is 2h (/"),
        ("store = \"zookeeper\"", "`store`"),
        ("etcd = \"here\"", "`etcd` is a section"),
        ("[listen]\ngrpc = \"nowhere\"", "`listen.grpc` must be ADDRESS:PORT"),
        ("[log]\nlevel = \"info,=\"", "`log.level = \"info,=\"` is no log filter"),
        ("site = ", "is not TOML"),
        ("member = \"a/b\"", "`member` is \"a/b\", which is no name"),
        ("member = \"local\"", "`local` is taken"),
    ] {
        let error = file(text);
        assert!(error.contains(part), "{part} is missing in\n{error}");
    }
    let error = case().set("site", "a").env("STANDFAST_PROBES__CONCURRENCY", "x").error();
    assert!(error.contains("whole number, and is the string \"x\" (environment variable"), "{error}");
}

#[test]
fn a_listener_that_is_not_loopback_needs_tls() {
    let open = || case().set("site", "a").set("listen.grpc", "10.0.0.1:7766");
    let error = open().error();
    assert!(error.contains("`listen.grpc` is 10.0.0.1:7766, which is not loopback"), "{error}");
    assert!(error.contains("Set tls.ca, tls.cert and tls.key") && error.contains("--set"), "{error}");
    let half = open().set("tls.cert", "/c").error();
    assert!(half.contains("`tls.ca` is required") && half.contains("`tls.key` is required"), "{half}");
    let whole = open().set("tls.ca", "/a").set("tls.cert", "/c").set("tls.key", "/k");
    assert!(whole.settings().tls.is_some());
    let wild = case().set("site", "a").set("listen.grpc", "[::]:7766").error();
    assert!(wild.contains("`listen.advertise` is required"), "{wild}");
    assert!(!case().set("site", "a").set("listen.http", "0.0.0.0:1").error().contains("advertise"));
    for bad in ["host", "host:0", ":80", "a b:80", "[x]:80"] {
        let error = case().set("site", "a").set("listen.advertise", bad).error();
        assert!(error.contains("must be HOST:PORT"), "{error}");
    }
    case().set("site", "a").set("listen.advertise", "[::1]:80").settings();
}

#[test]
fn a_socket_is_a_path_that_the_system_takes() {
    let with = |path: &str| case().set("site", "a").set("listen.socket", path);
    assert_eq!(with("/run/a1.sock").settings().listen.socket.as_deref(), Some(Path::new("/run/a1.sock")));
    assert_eq!(case().set("site", "a").settings().listen.socket, None);
    let error = with("a1.sock").error();
    assert!(error.contains("`listen.socket` must be a path from the root, and is \"a1.sock\""), "{error}");
    let error = with(&format!("/{}", "x".repeat(100))).error();
    assert!(error.contains("must have at most 100 bytes") && error.contains("has 101"), "{error}");
}

#[test]
fn etcd_settings_are_checked_together() {
    let etcd =
        |endpoints: &str| case().set("site", "a").set("store", "etcd").set("etcd.endpoints", endpoints);
    assert!(etcd("").error().contains("`etcd.endpoints` is required"));
    assert!(etcd("http://a:1,https://b:1").error().contains("mixes http and https"));
    assert!(etcd("https://a:1").error().contains("`etcd.ca` is required"));
    assert!(etcd("a:1").error().contains("must begin with http://"));
    let error = etcd("http://user:hunter2@a:1").error();
    assert!(error.contains("holds a user name") && !error.contains("hunter2"), "{error}");
    assert!(etcd("http://a:1").set("etcd.cert", "/c").error().contains("`etcd.key` is required"));
    assert!(etcd("http://a:1").set("etcd.prefix", "/").error().contains("`etcd.prefix`"));
    let Store::Etcd(good) = etcd("http://a:1, http://b:1").settings().store else { panic!() };
    assert_eq!(good.endpoints, ["http://a:1", "http://b:1"]);
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let error = case().env("STANDFAST_CONFIG", "/nonexistent/file.toml").error();
    assert!(error.contains("settings file /nonexistent/file.toml"), "{error}");
    let mut named = case().env("STANDFAST_CONFIG", "/nonexistent/file.toml");
    named.flags.config = Some("/nonexistent/other.toml".into());
    assert!(named.error().contains("other.toml"));
}
