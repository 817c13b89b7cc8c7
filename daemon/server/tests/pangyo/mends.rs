//! One fact of `actual/` after the other, put right by a small edit, and the findings that go
//! with it.

/// A fact and what hangs on it. Findings are named by id and by the first name in them.
pub(crate) struct Mend {
    /// In the words of the README.
    pub(crate) fact: &'static str,
    /// In which file, what, and what instead.
    pub(crate) edits: &'static [(&'static str, &'static str, &'static str)],
    /// These vanish: the fact's own finding first, then those that had no other cause.
    pub(crate) gone: &'static [&'static str],
    /// These say something else: they had several causes, and the next one is named now.
    pub(crate) changed: &'static [&'static str],
}

const FLEET: &str = "fleet.yaml";
const MANUAL: &str = "manual.yaml";

/// In the order of the README.
pub(crate) const MENDS: &[Mend] = &[
    Mend {
        fact: "the only switcher is in pangyo",
        edits: &[(FLEET, "{switcher: {site: pangyo}}", "{switcher: {site: pangyo}, second: {site: gasan}}")],
        gone: &["SF130 switcher"],
        changed: &[],
    },
    Mend {
        fact: "operator permissions are redundant inside of pangyo only",
        edits: &[(
            FLEET,
            "{pangyo: {form: active, copies: 2}}",
            "{pangyo: {form: active, copies: 2}, anyang: standby}",
        )],
        gone: &["SF102 operator-permissions"],
        // The approvers can be let in now, and still nobody reaches them.
        changed: &["SF100 authorise"],
    },
    Mend {
        fact: "the key store has no usable copy outside of pangyo",
        edits: &[(
            FLEET,
            "key-store: {tier: 0, kind: data, load: 100, runs_in: {pangyo: active}}",
            "key-store: {tier: 0, kind: data, load: 100, runs_in: {pangyo: active, anyang: standby}, replication: sync}",
        )],
        // The passwords with which the databases are promoted and probed are in it.
        gone: &["SF103 key-store", "SF100 promote-accounts", "SF100 promote-messages", "SF100 pangyo"],
        changed: &[],
    },
    Mend {
        fact: "the registry is in pangyo only",
        edits: &[(
            FLEET,
            "registry: {tier: 0, kind: tooling, runs_in: {pangyo: active}}",
            "registry: {tier: 0, kind: tooling, runs_in: {pangyo: active, anyang: standby}}",
        )],
        gone: &["SF101 registry"],
        changed: &[],
    },
    Mend {
        fact: "deploy is in pangyo only",
        edits: &[(
            FLEET,
            "deploy: {tier: 0, kind: tooling, runs_in: {pangyo: active},",
            "deploy: {tier: 0, kind: tooling, runs_in: {pangyo: active, anyang: standby},",
        )],
        gone: &["SF101 deploy"],
        // Deploy is dead all the same, of the registry and of source hosting.
        changed: &[
            "SF100 start-payment-and-taxi",
            "SF100 start-login",
            "SF100 start-talk",
            "SF100 start-maps",
            "SF100 start-rest",
        ],
    },
    Mend {
        fact: "source hosting is in pangyo only",
        edits: &[(
            FLEET,
            "source-hosting: {tier: 0, kind: tooling, runs_in: {pangyo: active}}",
            "source-hosting: {tier: 0, kind: tooling, runs_in: {pangyo: active, anyang: standby}}",
        )],
        gone: &["SF101 source-hosting"],
        changed: &[],
    },
    Mend {
        fact: "what watches pangyo runs in pangyo",
        edits: &[(
            FLEET,
            "monitoring: {tier: 0, kind: tooling, runs_in: {pangyo: active}}",
            "monitoring: {tier: 0, kind: tooling, runs_in: {pangyo: active, gasan: standby}}",
        )],
        gone: &["SF134 pangyo"],
        changed: &[],
    },
    Mend {
        fact: "object storage has one site",
        edits: &[(
            FLEET,
            "load: 4400, runs_in: {pangyo: active}",
            "load: 4400, replication: async, runs_in: {pangyo: active, anyang: standby}",
        )],
        gone: &["SF103 object-storage"],
        changed: &[],
    },
    Mend {
        fact: "the metadata of object storage have one site",
        edits: &[(
            FLEET,
            "load: 300, runs_in: {pangyo: active}",
            "load: 300, replication: sync, runs_in: {pangyo: active, anyang: standby}",
        )],
        gone: &["SF103 object-metadata"],
        changed: &[],
    },
    Mend {
        fact: "the login cache has no full copy outside of pangyo",
        edits: &[(
            FLEET,
            "{pangyo: {form: active, share: 30}, anyang: {form: standby, share: 70}}",
            "{pangyo: active, anyang: standby}",
        )],
        // Nothing else kept text messages from coming back: neither their traffic, nor what people
        // say over them, nor what was claimed for them.
        gone: &["SF103 login-cache", "SF100 talk-traffic", "SF135 pangyo", "SF107 talk-text"],
        changed: &[],
    },
    Mend {
        fact: "nobody knows what the standby can carry",
        edits: &[(FLEET, "power: anyang, fire: anyang}", "power: anyang, fire: anyang, capacity: 33000}")],
        gone: &["SF111 anyang"],
        changed: &[],
    },
    Mend {
        fact: "text messages claim a redundancy that the login cache does not have",
        edits: &[(FLEET, "    survives: 1\n", "")],
        gone: &["SF107 talk-text"],
        changed: &[],
    },
    Mend {
        fact: "payment and taxi start before login",
        edits: &[
            (MANUAL, "    needs: [databases]\n", "    needs: [start-maps]\n"),
            (MANUAL, "    needs: [start-payment-and-taxi]\n", "    needs: [databases]\n"),
        ],
        // Tier 2 came before tier 1 for no other reason.
        gone: &["SF109 start-payment-and-taxi", "SF117 start-talk"],
        changed: &[],
    },
    Mend {
        fact: "no whole site was ever switched off",
        edits: &[(FLEET, "scope: load,", "scope: site,")],
        gone: &["SF142 pangyo"],
        changed: &[],
    },
    Mend {
        fact: "nothing supports the 20 minutes of the manual",
        edits: &[(
            FLEET,
            "\nevidence:\n",
            "\nevidence:\n  - {kind: simulation, playbook: manual, date: 2022-09-01, result: passed, took: {talk-text: 18m}}\n",
        )],
        gone: &["SF144 talk-text"],
        changed: &[],
    },
    Mend {
        fact: "a step waits for pangyo's power",
        edits: &[(
            MANUAL,
            "  - id: power
    wait.until: {all: [{http.get: {endpoint: power-room, at: $from, path: /mains}}]}
    timeout: 3m\n",
            "",
        )],
        gone: &["SF100 power"],
        changed: &[],
    },
    Mend {
        fact: "that a majority of the votes survives is not declared",
        edits: &[(FLEET, "control:\n", "control:\n  voters: {v1: anyang, v2: gasan, v3: dc4}\n")],
        gone: &["SF133"],
        changed: &[],
    },
    Mend {
        fact: "replication of HBase to another site is not shown",
        edits: &[(FLEET, "hbase: {tier: 0, kind: data,", "hbase: {tier: 0, kind: data, replication: async,")],
        gone: &["SF114 hbase"],
        changed: &[],
    },
    Mend {
        fact: "replication of Druid to another site is not shown",
        edits: &[(FLEET, "druid: {tier: 0, kind: data,", "druid: {tier: 0, kind: data, replication: async,")],
        gone: &["SF114 druid"],
        changed: &[],
    },
    Mend {
        fact: "replication of Hadoop to another site is not shown",
        edits: &[(
            FLEET,
            "hadoop: {tier: 0, kind: data,",
            "hadoop: {tier: 0, kind: data, replication: async,",
        )],
        gone: &["SF114 hadoop"],
        changed: &[],
    },
    Mend {
        fact: "text messages are opened to everybody at once",
        edits: &[(
            MANUAL,
            "{route: talk-front, to: $to}",
            "{route: talk-front, to: $to, weights: [5, 25, 50, 100], hold: 30s}",
        )],
        gone: &["SF116 talk-traffic"],
        changed: &[],
    },
    Mend {
        fact: "responders talk over what they are there to bring back",
        edits: &[(FLEET, "[{service: talk-text}]", "[{service: talk-text}, {outside: a telephone chain}]")],
        gone: &["SF136 talk-text", "SF135 pangyo"],
        changed: &[],
    },
    Mend {
        fact: "nobody commands",
        edits: &[(FLEET, "control:\n", "control:\n  incident_owner: operators\n")],
        gone: &["SF140"],
        changed: &[],
    },
    Mend {
        fact: "there is no second place that takes mail in",
        edits: &[(
            FLEET,
            "[{host: mx.pangyo.example.net}]",
            "[{host: mx.pangyo.example.net}, {host: mx.gasan.example.net}]",
        )],
        gone: &["SF141 pangyo"],
        changed: &[],
    },
    Mend {
        fact: "the standby of payment covers some of it",
        edits: &[(FLEET, "anyang: {form: standby, share: 60}", "anyang: standby")],
        gone: &["SF108 payment"],
        changed: &[],
    },
    Mend {
        fact: "the status page is in pangyo",
        edits: &[(FLEET, "status.pangyo.example.net", "status.dc4.example.net")],
        gone: &["SF138 pangyo"],
        changed: &[],
    },
    Mend {
        fact: "there is no way back",
        edits: &[(MANUAL, "modes: [emergency, drill]", "modes: [emergency, drill, planned]")],
        gone: &["SF115 planned"],
        changed: &[],
    },
];
