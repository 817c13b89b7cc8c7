//! The pages, by id.

use super::Example::{Command, File, Fleet, Playbook};
use super::Page;
use crate::finding::code;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: code::SYNTAX,
        why: "The parser stops at the first place that is not YAML. What stands before it is still\n\
              checked; what stands after it is not, and neither are names that may be defined there.",
        wrong: Playbook("title: \"Move the shop\n"),
        right: Playbook("title: \"Move the shop\"\n"),
    },
    Page {
        code: code::FEATURE,
        why: "Fleets and playbooks are plain data, so that a file means what it shows: no anchors,\n\
              aliases, tags, directives, keys that are not text, or further documents.",
        wrong: Playbook("modes: &all [emergency, drill]\n"),
        right: Playbook("modes: [emergency, drill]\n"),
    },
    Page {
        code: code::TOO_LARGE,
        why: "At most 4 MiB, 400,000 values and 32 levels are read of one file, 10,000 steps of one\n\
              playbook, which wait for each other 2,000,000 times at most, and 128 sites, so that no file can keep a member from its work.",
        wrong: Playbook("title: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[deep]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"),
        right: Playbook("title: deep\n"),
    },
    Page {
        code: code::DUPLICATE_KEY,
        why: "Of two equal keys YAML readers take the first, the last, or neither. Keep one.",
        wrong: Playbook("title: Move the shop\ntitle: Move it\n"),
        right: Playbook("title: Move the shop\n"),
    },
    Page {
        code: code::UNKNOWN_KEY,
        why: "A key that nothing reads is a wish that nothing grants: a mistyped `atempts` would\n\
              silently be the default.",
        wrong: Playbook(
            "steps:\n  - id: ask\n    atempts: 1\n    approval.ask: {role: incident-commander, message: Go?}\n",
        ),
        right: Playbook(
            "steps:\n  - id: ask\n    attempts: 1\n    approval.ask: {role: incident-commander, message: Go?}\n    timeout: 2m\n",
        ),
    },
    Page {
        code: code::MISSING_KEY,
        why: "Some keys have no sensible default. The help line says what stands behind the key.",
        wrong: Playbook("steps:\n  - approval.ask: {role: incident-commander, message: Go?}\n"),
        right: Playbook(
            "steps:\n  - id: ask\n    approval.ask: {role: incident-commander, message: Go?}\n    timeout: 2m\n",
        ),
    },
    Page {
        code: code::WRONG_TYPE,
        why: "Nothing is converted: a list is not a word, and a number or `true` in quotes is text.",
        wrong: Playbook("modes: emergency\n"),
        right: Playbook("modes: [emergency, drill]\n"),
    },
    Page {
        code: code::WRONG_VALUE,
        why: "The value is of the right type and not one of those allowed: another word, a number out\n\
              of range, a duration without its unit, an address without a port, an empty list.",
        wrong: Fleet("timing: {interval: 2}\n"),
        right: Fleet("timing: {interval: 2s}\n"),
    },
    Page {
        code: code::NOT_A_NAME,
        why: "Names appear in keys of the store, in metrics and in commands. They begin with a letter\n\
              or a digit and hold letters, digits, `-` and `_`, at most 63.",
        wrong: Playbook(
            "steps:\n  - id: ask kim\n    approval.ask: {role: incident-commander, message: Go?}\n",
        ),
        right: Playbook(
            "steps:\n  - id: ask-kim\n    approval.ask: {role: incident-commander, message: Go?}\n    timeout: 2m\n",
        ),
    },
    Page {
        code: code::NOT_OURS,
        why: "Every file of a bundle is a fleet (`fleet: NAME`) or a playbook (`playbook: NAME`). A\n\
              file that is neither is perhaps of another program, or empty.",
        wrong: File("version: 3\n"),
        right: File(
            "api: standfast/v1\nplaybook: ask\ntitle: Ask\nservices: [shop]\nmodes: [drill]\n\
             steps:\n  - id: ask\n    approval.ask: {role: incident-commander, message: Go?}\n",
        ),
    },
    Page {
        code: code::UNKNOWN_ACTION,
        why: "A dotted key names an action in a step and a condition in `require`, `verify`,\n\
              `wait.until`, probes and canaries. The two are not exchanged.",
        wrong: Playbook("steps:\n  - id: look\n    http.get: {endpoint: shop-web, at: $to}\n"),
        right: Playbook(
            "steps:\n  - id: look\n    wait.until: {all: [{http.get: {endpoint: shop-web, at: $to}}]}\n",
        ),
    },
    Page {
        code: code::ONE_ACTION,
        why: "A step does one thing, so that it can be inspected, verified and repeated as one.",
        wrong: Playbook(
            "steps:\n  - id: move\n    dns.set: {record: shop-name, to: $to}\n\
             \x20   traffic.shift: {route: front, to: $to}\n",
        ),
        right: Playbook(
            "steps:\n  - id: name\n    dns.set: {record: shop-name, to: $to}\n\
             \x20 - id: ramp\n    traffic.shift: {route: front, to: $to}\n",
        ),
    },
    Page {
        code: code::EXCLUSIVE,
        why: "Of some keys exactly one is given: one kind of a resource, one limit of a lag, a step's\n\
              action or `parallel`. Others belong to a fleet only (`url`, `address`: what a playbook\n\
              touches is named in the fleet) or to a playbook only (`at`: a probe asks its own site).",
        wrong: Playbook(
            "require:\n  - postgres.lag: {cluster: orders, at: $to, below: 5s, below_bytes: 4096}\n",
        ),
        right: Playbook("require:\n  - postgres.lag: {cluster: orders, at: $to, below: 5s}\n"),
    },
    Page {
        code: code::DUPLICATE_ID,
        why: "A name stands for one thing: a step in journals and `needs`, a playbook in `on_loss`.",
        wrong: Playbook(
            "steps:\n  - id: name\n    dns.set: {record: shop-name, to: $to}\n\
             \x20 - id: name\n    traffic.shift: {route: front, to: $to}\n",
        ),
        right: Playbook(
            "steps:\n  - id: name\n    dns.set: {record: shop-name, to: $to}\n\
             \x20 - id: ramp\n    traffic.shift: {route: front, to: $to}\n",
        ),
    },
    Page {
        code: code::UNKNOWN_SITE,
        why: "Sites are defined under `sites`; everything else only names them.",
        wrong: Fleet("on_loss:\n  - {site: a, run: shop, to: c}\n"),
        right: Fleet("on_loss:\n  - {site: a, run: shop, to: b}\n"),
    },
    Page {
        code: code::UNKNOWN_RESOURCE,
        why: "Everything that an action or a condition touches is a resource of the fleet, of the kind\n\
              that it works on: a cluster is promoted, a route is shifted.",
        wrong: Playbook("steps:\n  - id: name\n    dns.set: {record: shop-web, to: $to}\n"),
        right: Playbook("steps:\n  - id: name\n    dns.set: {record: shop-name, to: $to}\n"),
    },
    Page {
        code: code::UNKNOWN_SERVICE,
        why: "Services are defined under `services` of the fleet. A run locks those of its playbook, so\n\
              a name that is none would lock nothing.",
        wrong: Playbook("services: [shoop]\n"),
        right: Playbook("services: [shop]\n"),
    },
    Page {
        code: code::UNKNOWN_ROLE,
        why: "A role without people can approve and waive nothing: the run would wait for ever.",
        wrong: Playbook("steps:\n  - id: ask\n    approval.ask: {role: commander, message: Go?}\n"),
        right: Playbook(
            "steps:\n  - id: ask\n    approval.ask: {role: incident-commander, message: Go?}\n    timeout: 2m\n",
        ),
    },
    Page {
        code: code::UNKNOWN_STEP,
        why: "`needs` names steps or parallel blocks of the same playbook.",
        wrong: Playbook(
            "steps:\n  - id: name\n    needs: [promote]\n    dns.set: {record: shop-name, to: $to}\n",
        ),
        right: Playbook("steps:\n  - id: name\n    needs: []\n    dns.set: {record: shop-name, to: $to}\n"),
    },
    Page {
        code: code::UNKNOWN_PLAYBOOK,
        why: "`on_loss` names a playbook among the files given. A loss would find nothing to run.",
        wrong: Fleet("on_loss:\n  - {site: a, run: shopp, to: b}\n"),
        right: Fleet("on_loss:\n  - {site: a, run: shop, to: b}\n"),
    },
    Page {
        code: code::UNKNOWN_INPUT,
        why: "What a run may give is declared under `inputs`, so that a missing one is noticed when\n\
              the run is asked for and not in the middle of it.",
        wrong: Playbook(
            "steps:\n  - id: tools\n    http.request: {endpoint: deploy-tool, at: $to, body: $inputs.version}\n",
        ),
        right: Playbook(
            "inputs: {version: {default: stable}}\nsteps:\n  - id: tools\n\
             \x20   http.request: {endpoint: deploy-tool, at: $to, body: $inputs.version}\n",
        ),
    },
    Page {
        code: code::CYCLE,
        why: "Steps that wait for each other never start; services that need each other can never be\n\
              started in order. The path shows the way round.",
        wrong: Playbook(
            "steps:\n  - id: name\n    needs: [ramp]\n    dns.set: {record: shop-name, to: $to}\n\
             \x20 - id: ramp\n    traffic.shift: {route: front, to: $to}\n",
        ),
        right: Playbook(
            "steps:\n  - id: name\n    dns.set: {record: shop-name, to: $to}\n\
             \x20 - id: ramp\n    traffic.shift: {route: front, to: $to}\n",
        ),
    },
    Page {
        code: code::LITERAL_SITE,
        why: "The same playbook serves both directions, drills included. A literal site would act on\n\
              the site that is presumed lost as soon as it is run the other way round.",
        wrong: Playbook("steps:\n  - id: name\n    dns.set: {record: shop-name, to: b}\n"),
        right: Playbook("steps:\n  - id: name\n    dns.set: {record: shop-name, to: $to}\n"),
    },
    Page {
        code: code::INTERPOLATION,
        why: "Nothing is replaced inside a text: `shop-$to` would be taken as it stands. `$from`, `$to`\n\
              and `$inputs.x` are whole values; what differs by site belongs into the fleet.",
        wrong: Playbook(
            "steps:\n  - id: tools\n    http.request: {endpoint: deploy-tool, at: $to, path: \"/start/$to\"}\n",
        ),
        right: Playbook(
            "steps:\n  - id: tools\n    http.request: {endpoint: deploy-tool, at: $to, path: /start/shop}\n",
        ),
    },
    Page {
        code: code::UNFENCED,
        why: "Two primaries are worse than none. Before a promotion, in every mode it runs in, a\n\
              `fence.prove` of `$from` must have succeeded; one with `on_failure: continue` or\n\
              `unreachable: skip` can be passed over and does not count.",
        wrong: Playbook(
            "steps:\n  - id: promote\n    postgres.promote: {cluster: orders, at: $to}\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n",
        ),
        right: Playbook(
            "steps:\n  - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired, power_off]}\n\
             \x20 - id: promote\n    postgres.promote: {cluster: orders, at: $to}\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n",
        ),
    },
    Page {
        code: code::UNVERIFIED,
        why: "An exit status of 0 is not success. The promoted server itself is asked:\n\
              `postgres.writable`, or `postgres.role` with `is: primary`, of the same cluster at the\n\
              same site.",
        wrong: Playbook(
            "steps:\n  - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired, power_off]}\n\
             \x20 - id: promote\n    postgres.promote: {cluster: orders, at: $to}\n",
        ),
        right: Playbook(
            "steps:\n  - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired, power_off]}\n\
             \x20 - id: promote\n    postgres.promote: {cluster: orders, at: $to}\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n",
        ),
    },
    Page {
        code: code::NOT_THERE,
        why: "The playbook can be run between two sites, and what it names has no address in one of\n\
              them. It is bound for every pair that `on_loss` or the placement of its services allows.",
        wrong: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}}\n\
             probes:\n  a:\n    - postgres.role: {cluster: orders, is: primary}\n    - http.get: {endpoint: shop-web}\n\
             \x20 w:\n    - postgres.role: {cluster: orders, is: standby}\n    - http.get: {endpoint: shop-web}\n",
        ),
        right: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}}\n\
             probes:\n  a:\n    - postgres.role: {cluster: orders, is: primary}\n    - http.get: {endpoint: shop-web}\n\
             \x20 b:\n    - postgres.role: {cluster: orders, is: standby}\n    - http.get: {endpoint: deploy-tool}\n",
        ),
    },
    Page {
        code: code::NO_PROOF,
        why: "`power_off` needs a command under `fence` of that site, `writes_refused` a cluster with\n\
              servers in both sites, `operator_word` the `role` whose word counts. When none of the\n\
              proofs can be given, the run would stop at the fence.",
        wrong: Playbook("steps:\n  - id: fenced\n    fence.prove: {site: $from, any_of: [operator_word]}\n"),
        right: Playbook(
            "steps:\n  - id: fenced\n\
             \x20   fence.prove: {site: $from, any_of: [operator_word], role: incident-commander}\n",
        ),
    },
    Page {
        code: code::COMPOSED,
        why: "A step that names a playbook stands for all its steps, in every mode in which it runs.\n\
              A mode that the named playbook is not for would leave them out in silence, and an\n\
              input that nobody gives would have no value.",
        wrong: File(
            "api: standfast/v1\nplaybook: third\ntitle: All of it\nservices: [shop]\nmodes: [planned]\nsteps:\n\
             \x20 - id: shop\n    playbook.run: {playbook: shop}\n",
        ),
        right: File(
            "api: standfast/v1\nplaybook: third\ntitle: All of it\nservices: [shop]\nmodes: [drill]\nsteps:\n\
             \x20 - id: shop\n    playbook.run: {playbook: shop}\n",
        ),
    },
    Page {
        code: code::NO_FLEET,
        why: "A bundle is one fleet and its playbooks. Names of playbooks are checked against it.",
        wrong: File(
            "api: standfast/v1\nfleet: other\ncanaries: none\nsites:\n  x: {role: active}\n  y: {role: standby}\n\
             \x20 z: {role: witness}\n",
        ),
        right: Fleet("fleet: shop\n"),
    },
    Page {
        code: code::ONE_KIND,
        why: "A member says DOWN when at least two kinds of probe fail (http, tcp, dns, postgres): one\n\
              kind failing is a fault of that service, not the loss of a site. A site probed in one\n\
              kind, or not at all, is never found lost.",
        wrong: Fleet(
            "probes:\n  a:\n    - http.get: {endpoint: shop-web}\n    - http.get: {endpoint: deploy-tool}\n",
        ),
        right: Fleet(
            "probes:\n  a:\n    - http.get: {endpoint: shop-web}\n    - tcp.connect: {endpoint: deploy-tool}\n",
        ),
    },
    Page {
        code: code::NO_CANARIES,
        why: "An observer that is itself cut off sees every site down. It counts only while two of at\n\
              least three addresses outside of the fleet answer it. `canaries: none` gives that up.",
        wrong: Fleet("canaries:\n  - tcp.connect: {address: \"192.0.2.53:53\"}\n"),
        right: Fleet("canaries: none\n"),
    },
    Page {
        code: code::ON_LOSS,
        why: "For every site with active services exactly one `on_loss` says what is run, and it is a\n\
              playbook for emergencies. None would leave the loss unanswered, two would leave a choice.",
        wrong: Fleet("on_loss:\n  - {site: a, run: shop, to: b}\n  - {site: a, run: shop, to: b}\n"),
        right: Fleet("on_loss:\n  - {site: a, run: shop, to: b}\n"),
    },
    Page {
        code: code::NOT_ENFORCED,
        why: "A site that is cut off and lives on goes on writing, and another one that takes over is the\n\
              second to write. In 2018 that lasted 43 seconds in one business, and a day of repair followed.\n\
              So a site is left without a person only if each of its services has a sentry that stops it, or\n\
              its power can be cut. Otherwise `advise` proposes the run and waits for approval.",
        wrong: Fleet(
            "automation: act\nfence:\n  b: {power_off: {command: [/usr/local/sbin/cut-power, b]}}\n",
        ),
        right: Fleet(
            "automation: act\nfence:\n  a: {power_off: {command: [/usr/local/sbin/cut-power, a]}}\n",
        ),
    },
    Page {
        code: code::TIMING,
        why: "The windows depend on each other: a leader renews before its validity ends, its effects\n\
              end before its lease does, a probe ends before the next round.",
        wrong: Fleet("timing: {profile: fast, validity: 5s}\n"),
        right: Fleet("timing: {profile: fast, confirm: 5s}\n"),
    },
    Page {
        code: code::DESTINATION,
        why: "The services of a lost site go to another site in which each of them has a place\n\
              (`runs_in`), and that carries load.",
        wrong: Fleet("on_loss:\n  - {site: a, run: shop, to: w}\n"),
        right: Fleet("on_loss:\n  - {site: a, run: shop, to: b}\n"),
    },
    Page {
        code: code::CLEAR_SECRET,
        why: "Bundles are kept in the store, shown and compared. Passwords come by name from files that\n\
              only the daemon may read.",
        wrong: Fleet(
            "resources:\n  orders:\n    postgres:\n\
             \x20     a: {dsn: \"host=10.1.0.10 user=standfast password=tulip\"}\n\
             \x20     b: {dsn: \"host=10.2.0.10 user=standfast\", password: {secret: orders_b}}\n",
        ),
        right: Fleet(
            "resources:\n  orders:\n    postgres:\n\
             \x20     a: {dsn: \"host=10.1.0.10 user=standfast\", password: {secret: orders_a}}\n\
             \x20     b: {dsn: \"host=10.2.0.10 user=standfast\", password: {secret: orders_b}}\n\
             \x20 shop-web: {endpoint: {a: \"https://a.example.net\", b: \"https://b.example.net\"}}\n\
             \x20 deploy-tool: {endpoint: {a: \"https://d.a.example.net\", b: \"https://d.b.example.net\"}}\n\
             \x20 front:\n    route:\n      haproxy: {a: \"tcp://10.1.0.5:9999\", b: \"tcp://10.2.0.5:9999\"}\n\
             \x20     backend: web\n      servers: {a: web-a, b: web-b}\n\
             \x20 shop-name:\n    dns: {zone: example.net, record: shop, server: \"10.3.0.53:53\", key: {secret: tsig},\n\
             \x20         values: {a: 10.1.0.5, b: 10.2.0.5}}\n",
        ),
    },
    Page {
        code: code::NO_WITNESS,
        why: "With two sites the loss of one leaves no majority: nothing happens by itself. A third site\n\
              with `role: witness` votes and carries no load.",
        wrong: Fleet("sites:\n  a: {role: active}\n  b: {role: standby}\n"),
        right: Fleet("sites:\n  a: {role: active}\n  b: {role: standby}\n  w: {role: witness}\n"),
    },
    Page {
        code: code::REQUEST,
        why: "A run is asked for with a playbook, two different sites of the fleet in which its services\n\
              have a place, one of the playbook's modes, and the inputs that have no default.",
        wrong: Command("standfast run start shop --mode drill --from a --to a --reason test"),
        right: Command("standfast run start shop --mode drill --from a --to b --reason test"),
    },
];
