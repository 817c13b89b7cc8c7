//! The pages of what a run could do wrong, and of what was promised.

use super::Example::{Fleet, Playbook};
use super::Page;
use crate::finding::code;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: code::RETRY,
        why: "What may have been done is never done again by itself: after an attempt whose end is unclear a\n\
              run looks, and asks a person. More attempts would promise what will not happen. Those that a\n\
              step has by default only repeat what did not reach its target. In 2012 a trading program sent\n\
              its orders again and again, because nothing told it that they had been filled: 460 million\n\
              dollars in 45 minutes.",
        wrong: Playbook(
            "steps:\n  - id: tools\n    http.request: {endpoint: deploy-tool, at: $to, path: /start/shop}\n\
             \x20   attempts: 3\n",
        ),
        right: Playbook(
            "steps:\n  - id: tools\n\
             \x20   http.request: {endpoint: deploy-tool, at: $to, path: /start/shop, idempotent: true}\n\
             \x20   attempts: 3\n",
        ),
    },
    Page {
        code: code::NO_UNDO,
        why: "Until the point of no return (a step that says so, or a promotion) a run can be ended, and what\n\
              it has done stays. So each effect before it says how it is taken back, or that leaving it does\n\
              no harm. In 2022 a script removed the sites of 775 customers in minutes; nobody had thought of\n\
              the way back, and it took two weeks.",
        wrong: Playbook(
            "steps:\n  - id: drain\n    traffic.drain: {route: front, at: $from}\n    unreachable: skip\n\
             \x20 - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired]}\n\
             \x20 - id: promote\n    point_of_no_return: true\n    postgres.promote: {cluster: orders, at: $to}\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n",
        ),
        right: Playbook(
            "steps:\n  - id: drain\n    traffic.drain: {route: front, at: $from}\n    unreachable: skip\n\
             \x20   undo: {traffic.ready: {route: front, at: $from}}\n\
             \x20 - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired]}\n\
             \x20 - id: promote\n    point_of_no_return: true\n    postgres.promote: {cluster: orders, at: $to}\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n",
        ),
    },
    Page {
        code: code::LATE_UNDO,
        why: "Once the point of no return has started, a run only goes forward: the new primary has writes\n\
              that the old one lacks. An `undo` there would never be run, and who relies on it relies on\n\
              nothing. In 2018 a database was promoted on another coast after 43 seconds; there was no going\n\
              back to the first without losing what the second had written, and it took 24 hours. The way\n\
              back is a run of its own, in the opposite direction.",
        wrong: Playbook(
            "steps:\n  - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired]}\n\
             \x20 - id: promote\n    postgres.promote: {cluster: orders, at: $to}\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n\
             \x20 - id: name\n    dns.set: {record: shop-name, to: $to}\n\
             \x20   undo: {dns.set: {record: shop-name, to: $from}}\n",
        ),
        right: Playbook(
            "steps:\n  - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired]}\n\
             \x20 - id: promote\n    postgres.promote: {cluster: orders, at: $to}\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n\
             \x20 - id: name\n    dns.set: {record: shop-name, to: $to}\n",
        ),
    },
    Page {
        code: code::EARLY_TRAFFIC,
        why: "Customers who arrive before the database is writable there get errors, retry, and arrive all at\n\
              once. What sends them to `$to` (`dns.set`, `traffic.shift`, `traffic.ready`) waits for every\n\
              promotion of the playbook, and with it for its verification; but for those that the service is\n\
              known not to need (`resource` in the fleet says what each service is). In 2018 applications wrote on one\n\
              coast while the other had just been promoted: each had writes that the other had not.",
        wrong: Playbook(
            "steps:\n  - id: name\n    dns.set: {record: shop-name, to: $to}\n    undo: none\n\
             \x20 - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired]}\n\
             \x20 - id: promote\n    postgres.promote: {cluster: orders, at: $to}\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n",
        ),
        right: Playbook(
            "steps:\n  - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired]}\n\
             \x20 - id: promote\n    postgres.promote: {cluster: orders, at: $to}\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n\
             \x20 - id: name\n    dns.set: {record: shop-name, to: $to}\n",
        ),
    },
    Page {
        code: code::PASSED_OVER,
        why: "`needs` means that a step has ended well; `on_failure: continue` means that it need not. The same\n\
              holds for a promotion or an approval that something follows. In 2017 five kinds of backup had\n\
              been failing in silence, each taken for granted by the next; when the database was deleted,\n\
              none of them could be used. Without `continue` a person is asked, and may skip by name.",
        wrong: Playbook(
            "steps:\n  - id: tools\n    http.request: {endpoint: deploy-tool, at: $to, path: /start/shop}\n\
             \x20   on_failure: continue\n\
             \x20 - id: ramp\n    needs: [tools]\n    traffic.shift: {route: front, to: $to}\n",
        ),
        right: Playbook(
            "steps:\n  - id: tools\n    http.request: {endpoint: deploy-tool, at: $to, path: /start/shop}\n\
             \x20 - id: ramp\n    needs: [tools]\n    traffic.shift: {route: front, to: $to}\n",
        ),
    },
    Page {
        code: code::UNGATED,
        why: "A shift with several weights is there so that it can stop: between two of them its `gates` are\n\
              asked, or what `verify` asks when it has none. Without either it only takes longer to do harm.\n\
              In 2021 a backbone that had been away for six hours was taken back in steps, each watched,\n\
              because all load at once would have brought it down again.",
        wrong: Playbook(
            "steps:\n  - id: ramp\n    traffic.shift: {route: front, to: $to, weights: [5, 50, 100], hold: 10s}\n",
        ),
        right: Playbook(
            "steps:\n  - id: ramp\n\
             \x20   traffic.shift:\n      route: front\n      to: $to\n      weights: [5, 50, 100]\n      hold: 10s\n\
             \x20     gates: [{http.get: {endpoint: shop-web, at: $to, below: 500ms}}]\n",
        ),
    },
    Page {
        code: code::GATES_ASK_FROM,
        why: "Between two weights it counts how those fare who are at the destination already. The site that\n\
              is left may be gone, and then the ramp never gets beyond its first weight; or it is well, and\n\
              says nothing about the other. In 2021 a platform was down for 73 hours, and what should have\n\
              told why was fed by the very system that had failed.",
        wrong: Playbook(
            "steps:\n  - id: ramp\n    traffic.shift: {route: front, to: $to, weights: [5, 100]}\n\
             \x20   verify: {within: 30s, all: [{http.get: {endpoint: shop-web, at: $from}}]}\n",
        ),
        right: Playbook(
            "steps:\n  - id: ramp\n    traffic.shift: {route: front, to: $to, weights: [5, 100]}\n\
             \x20   verify: {within: 30s, all: [{http.get: {endpoint: shop-web, at: $to}}]}\n",
        ),
    },
    Page {
        code: code::PARALLEL_WRITES,
        why: "Of two steps that write one cluster, record or route side by side, the slower one wins. In\n\
              October 2025 two automations wrote one DNS record at the same time, the older plan over the\n\
              newer one; the record ended up empty, and a region was down for most of a day.",
        wrong: Playbook(
            "steps:\n  - id: both\n    parallel:\n\
             \x20     - {id: back, traffic.ready: {route: front, at: $to}}\n\
             \x20     - {id: ramp, traffic.shift: {route: front, to: $to}}\n",
        ),
        right: Playbook(
            "steps:\n  - id: back\n    traffic.ready: {route: front, at: $to}\n\
             \x20 - id: ramp\n    traffic.shift: {route: front, to: $to}\n",
        ),
    },
    Page {
        code: code::APPROVERS,
        why: "An approval by more people than have the role can never be given: the run waits until its\n\
              timeout, on the day on which people are short. In 2022 there were too few of them at hand, and\n\
              nobody was in command.",
        wrong: Playbook(
            "steps:\n  - id: ask\n    approval.ask: {role: incident-commander, quorum: 3, message: Go?}\n\
             \x20   timeout: 2m\n",
        ),
        right: Playbook(
            "steps:\n  - id: ask\n    approval.ask: {role: incident-commander, quorum: 2, message: Go?}\n\
             \x20   timeout: 2m\n",
        ),
    },
    Page {
        code: code::NO_WAY_BACK,
        why: "A site that was left is returned to, and a drill returns to it the same day. The playbook is\n\
              bound from `to` to `from` as well; what it names must have an address there, and a proof of\n\
              fence must be possible there too. In 2022 no plan for the way back existed, and recovery\n\
              waited for the power of the burnt building instead.",
        wrong: Fleet(
            "fence:\n  a: {power_off: {command: [ipmi-fence, rack-a, \"off\"]}}\n\
             probes:\n  a:\n    - http.get: {endpoint: shop-web}\n    - postgres.writable: {cluster: orders}\n\
             resources:\n  orders:\n    postgres:\n\
             \x20     a: {dsn: \"host=10.1.0.10 user=standfast\", password: {secret: orders_a}}\n\
             \x20     b: {dsn: \"host=10.2.0.10 user=standfast\", password: {secret: orders_b}}\n\
             \x20 shop-web: {endpoint: {a: \"https://a.example.net\", b: \"https://b.example.net\"}}\n\
             \x20 deploy-tool: {endpoint: {a: \"https://d.a.example.net\", b: \"https://d.b.example.net\"}}\n\
             \x20 front:\n    route:\n      haproxy: {a: \"tcp://10.1.0.5:9999\", b: \"tcp://10.2.0.5:9999\"}\n\
             \x20     backend: web\n      servers: {a: web-a, b: web-b}\n\
             \x20 shop-name:\n    dns: {zone: example.net, record: shop, server: \"10.3.0.53:53\", key: {secret: tsig},\n\
             \x20         values: {b: 10.2.0.5}}\n",
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
        code: code::TTL,
        why: "After a record has changed, resolvers go on with the old one for its TTL: until then customers\n\
              are sent to a site that is gone. In October 2025 an empty record was mended at 2:25, and\n\
              customers came back as their copies of it expired. Lower the TTL long before the day.",
        wrong: Fleet(
            "services:\n  shop: {objectives: {rto: 20m}, runs_in: {a: active, b: standby}}\n\
             resources:\n  orders:\n    postgres:\n\
             \x20     a: {dsn: \"host=10.1.0.10 user=standfast\", password: {secret: orders_a}}\n\
             \x20     b: {dsn: \"host=10.2.0.10 user=standfast\", password: {secret: orders_b}}\n\
             \x20 shop-web: {endpoint: {a: \"https://a.example.net\", b: \"https://b.example.net\"}}\n\
             \x20 deploy-tool: {endpoint: {a: \"https://d.a.example.net\", b: \"https://d.b.example.net\"}}\n\
             \x20 front:\n    route:\n      haproxy: {a: \"tcp://10.1.0.5:9999\", b: \"tcp://10.2.0.5:9999\"}\n\
             \x20     backend: web\n      servers: {a: web-a, b: web-b}\n\
             \x20 shop-name:\n    dns: {zone: example.net, record: shop, ttl: 1h, server: \"10.3.0.53:53\",\n\
             \x20         key: {secret: tsig}, values: {a: 10.1.0.5, b: 10.2.0.5}}\n",
        ),
        right: Fleet(
            "services:\n  shop: {objectives: {rto: 20m}, runs_in: {a: active, b: standby}}\n\
             resources:\n  orders:\n    postgres:\n\
             \x20     a: {dsn: \"host=10.1.0.10 user=standfast\", password: {secret: orders_a}}\n\
             \x20     b: {dsn: \"host=10.2.0.10 user=standfast\", password: {secret: orders_b}}\n\
             \x20 shop-web: {endpoint: {a: \"https://a.example.net\", b: \"https://b.example.net\"}}\n\
             \x20 deploy-tool: {endpoint: {a: \"https://d.a.example.net\", b: \"https://d.b.example.net\"}}\n\
             \x20 front:\n    route:\n      haproxy: {a: \"tcp://10.1.0.5:9999\", b: \"tcp://10.2.0.5:9999\"}\n\
             \x20     backend: web\n      servers: {a: web-a, b: web-b}\n\
             \x20 shop-name:\n    dns: {zone: example.net, record: shop, ttl: 1m, server: \"10.3.0.53:53\",\n\
             \x20         key: {secret: tsig}, values: {a: 10.1.0.5, b: 10.2.0.5}}\n",
        ),
    },
    Page {
        code: code::CRITICAL_PATH,
        why: "The longest chain of steps until a service is back: the steps that restore it, and all that it\n\
              needs; each with its timeout and the time of its verification (defaults too), after the longest\n\
              time in which a loss is seen, and with the TTL of a record that is changed at its end.\n\
              Nothing is attempted twice in this sum (`standfast plan` counts every attempt too), and people\n\
              who are asked take all the time they have.\n\
              In 2022 a manual said twenty minutes; no run had ever shown it, and it took 127 hours.",
        wrong: Playbook(
            "steps:\n  - id: ask\n    approval.ask: {role: incident-commander, message: Go?}\n\
             \x20 - id: ramp\n    traffic.shift: {route: front, to: $to}\n",
        ),
        right: Playbook(
            "steps:\n  - id: ask\n    approval.ask: {role: incident-commander, message: Go?}\n    timeout: 5m\n\
             \x20 - id: ramp\n    traffic.shift: {route: front, to: $to}\n",
        ),
    },
    Page {
        code: code::ASYNC_RPO,
        why: "Asynchronous replication acknowledges first and copies afterwards: what was acknowledged in the\n\
              last moments before a loss is gone. A service that may lose nothing can neither be nor need\n\
              such data. In 2018 some 950 writes of 43 seconds stood on one coast only, and had to be\n\
              reconciled by hand.",
        wrong: Fleet(
            "services:\n  shop: {objectives: {rpo: 0s}, runs_in: {a: active, b: standby}, needs: [shop-db]}\n\
             \x20 shop-db: {kind: data, resource: orders, replication: async, runs_in: {a: active, b: standby}}\n",
        ),
        right: Fleet(
            "services:\n  shop: {objectives: {rpo: 0s}, runs_in: {a: active, b: standby}, needs: [shop-db]}\n\
             \x20 shop-db: {kind: data, resource: orders, replication: sync, runs_in: {a: active, b: standby}}\n",
        ),
    },
    Page {
        code: code::LATE_SENTRY,
        why: "A sentry begins to stop its host `isolate` after the last renewal of the site's lease. The\n\
              lease ends after `site_ttl`, and after the `margin` that proves the site fenced: another one is\n\
              promoted. What takes longer than that is still writing then. Every step counts with its whole\n\
              timeout, because that is how long it may take on the day on which the host is slow.",
        wrong: Fleet(
            "sentries:\n  db-a:\n    site: a\n    guards: [shop-db]\n    on_isolation:\n\
             \x20     - {run: [/usr/bin/systemctl, stop, postgresql], timeout: 90s}\n",
        ),
        right: Fleet(
            "sentries:\n  db-a:\n    site: a\n    guards: [shop-db]\n    on_isolation:\n\
             \x20     - {run: [/usr/bin/systemctl, kill, --signal=KILL, postgresql], timeout: 3s}\n\
             \x20   on_rejoin:\n      - {run: [/usr/bin/systemctl, start, postgresql], timeout: 60s}\n",
        ),
    },
    Page {
        code: code::LATE_ROLLBACK,
        why: "`on_failure: rollback` takes back what was done, in reverse, and ends the run as RolledBack. That\n\
              is possible only until the point of no return has started, and only where each effect says how\n\
              it is taken back (`standfast explain ACTION` names what naturally does). Half a way back is\n\
              none: who relies on it is left with a site that is neither here nor there.",
        wrong: Playbook(
            "steps:\n  - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired]}\n\
             \x20 - id: promote\n    postgres.promote: {cluster: orders, at: $to}\n    on_failure: rollback\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n",
        ),
        right: Playbook(
            "steps:\n  - id: fenced\n    fence.prove: {site: $from, any_of: [site_lease_expired]}\n\
             \x20   on_failure: rollback\n\
             \x20 - id: promote\n    postgres.promote: {cluster: orders, at: $to}\n\
             \x20   verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}\n",
        ),
    },
    Page {
        code: code::FORBIDDEN,
        why: "What must never be so (`forbid`) is asked before each run begins, and a run that would end so is\n\
              refused. Whatever is run when a site is lost must not end so: it would be refused in that\n\
              night. Nor may the fleet be so now: no run would be let begin.",
        wrong: Fleet("forbid:\n  - {active: {service: shop, in: b}}\n"),
        right: Fleet("forbid:\n  - {active: {service: shop, in: w}}\n  - {apart: [shop, shop-db]}\n"),
    },
    Page {
        code: code::WAIVER_ENDED,
        why: "A waiver says that people have looked at a finding and accept it until a day. After that day\n\
              they look again: what was true of a fleet then need not be true now. A daemon goes on with a\n\
              bundle that was applied before; `lint` and `apply` refuse it.",
        wrong: Fleet("canaries: none\nallow:\n  - {id: SF048, reason: being built, until: 2022-10-15}\n"),
        right: Fleet(
            "canaries: none\nsites: {a: {role: active}, b: {role: standby}}\n\
             allow:\n  - {id: SF048, reason: the third site is being built, until: 9999-12-31}\n",
        ),
    },
    Page {
        code: code::WAIVER_UNUSED,
        why: "A waiver of what is not there hides the finding on the day on which it comes. It holds for the\n\
              file or the step that it stands in.",
        wrong: Fleet("allow:\n  - {id: SF048, reason: the third site is being built}\n"),
        right: Fleet(
            "sites: {a: {role: active}, b: {role: standby}}\n\
             allow:\n  - {id: SF048, reason: the third site is being built}\n",
        ),
    },
    Page {
        code: code::NOT_WAIVABLE,
        why: "What keeps a file from being read, or a plan from being made, cannot be accepted: there would be\n\
              nothing to run. The same goes for windows that contradict each other.",
        wrong: Fleet("allow:\n  - {id: SF022, reason: the service comes later}\n"),
        right: Fleet("fleet: shop\n"),
    },
];
