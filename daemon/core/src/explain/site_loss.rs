//! The pages of what is lost with a site.

use super::Example::{Both, Fleet, Playbook};
use super::Page;
use crate::finding::code;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: code::CANNOT_RUN,
        why: "A playbook that leaves a site is run when that site is gone. So everything that a step, its\n\
              verification, a requirement or a probe of the destination needs is followed: the services that\n\
              own what it names and what those need, the hosts behind URLs, connection strings and commands,\n\
              name servers, secrets and where they are kept, people and what lets them in. The path is the\n\
              shortest one that leads into the site. In October 2022 a third of a company's servers lost\n\
              power at once; what should have moved the services elsewhere needed some of those servers.",
        wrong: Playbook(
            "steps:\n  - id: calm\n    wait.until: {all: [{http.get: {endpoint: shop-web, at: $from}}]}\n\
             \x20   timeout: 60s\n",
        ),
        right: Playbook(
            "steps:\n  - id: calm\n    wait.until: {all: [{http.get: {endpoint: shop-web, at: $to}}]}\n\
             \x20   timeout: 60s\n",
        ),
    },
    Page {
        code: code::TOOLING_TRAP,
        why: "Data and applications are made redundant first, and the tools that operate them last. Then the\n\
              deployment, the registry or the permissions burn with the site that they would have to empty.\n\
              That is what turned the fire of October 2022 from an hour into 127: the standbys were there, and\n\
              the tools to start them with were not.",
        wrong: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}, needs: [deploy-tool]}\n\
             \x20 deploy-tool: {tier: 0, kind: tooling, runs_in: {a: active}}\n",
        ),
        right: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}, needs: [deploy-tool]}\n\
             \x20 deploy-tool: {tier: 0, kind: tooling, runs_in: {a: active, b: standby}}\n",
        ),
    },
    Page {
        code: code::INSIDE_ONLY,
        why: "Three copies in one building are one copy when the building burns, and so are copies in two\n\
              buildings on one power feed or in one fire compartment. In Strasbourg in March 2021 backups\n\
              burnt with what they were backups of: they lay in the next room. In Paris in 2023 three zones\n\
              turned out to have one cellar, and it was full of water.",
        wrong: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}, needs: [permissions]}\n\
             \x20 permissions: {tier: 0, kind: tooling, runs_in: {a: {form: active, copies: 3}}}\n",
        ),
        right: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}, needs: [permissions]}\n\
             \x20 permissions: {tier: 0, kind: tooling, runs_in: {a: {form: active, copies: 2}, b: standby}}\n",
        ),
    },
    Page {
        code: code::NO_COPY,
        why: "A part of the data is not the data: of a cache of which a third is gone, each third customer is\n\
              unknown; of a store without its index nothing is found. In 2022 pictures, channels and music\n\
              came back last, because the object storage and its metadata had one home.",
        wrong: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}, needs: [sessions]}\n\
             \x20 sessions: {tier: 0, kind: data, runs_in: {a: {form: active, share: 30}, b: {form: standby, share: 70}}}\n",
        ),
        right: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}, needs: [sessions]}\n\
             \x20 sessions: {tier: 0, kind: data, runs_in: {a: {form: active, share: 30}, b: standby}}\n",
        ),
    },
    Page {
        code: code::ONLY_THERE,
        why: "What is moved needs this service, and it has no second home. Run it elsewhere too, or make it\n\
              something that is only wanted (`wants`): then the others come back without it.",
        wrong: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}, needs: [prices]}\n  prices: {runs_in: {a: active}}\n",
        ),
        right: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}, wants: [prices]}\n  prices: {runs_in: {a: active}}\n",
        ),
    },
    Page {
        code: code::UNPLACED,
        why: "A host whose site nobody knows may stand in the site that is lost. Every host that a fleet names\n\
              stands in a site, by its domain (the longest suffix counts) or by its network (the longest\n\
              prefix), or in none of them: then it is named under `outside`. Loopback addresses and unix\n\
              sockets stand where the asking member stands.",
        wrong: Fleet("control: {status_page: {host: status.example.org}}\n"),
        right: Fleet(
            "outside: {domains: [status.example.org]}\ncontrol: {status_page: {host: status.example.org}}\n",
        ),
    },
    Page {
        code: code::BOOTSTRAP,
        why: "While everything runs nobody notices that the deployment pulls its images from a registry which\n\
              is deployed by the deployment. Once all of it stands still, nothing can be started first. What\n\
              counts here is `needs`, `starts_with`, and the store of the secrets of a service's resources.\n\
              In October 2021 a backbone was gone, and with it the name servers, and with these the doors of\n\
              the buildings in which the routers stood.",
        wrong: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}}\n\
             \x20 deploy-tool: {tier: 0, kind: tooling, runs_in: {a: active, b: standby}, needs: [registry]}\n\
             \x20 registry: {tier: 0, kind: tooling, runs_in: {a: active, b: standby}, starts_with: [deploy-tool]}\n",
        ),
        right: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}}\n\
             \x20 deploy-tool: {tier: 0, kind: tooling, runs_in: {a: active, b: standby}, needs: [registry]}\n\
             \x20 registry: {tier: 0, kind: tooling, runs_in: {a: active, b: standby}}\n",
        ),
    },
    Page {
        code: code::WEAKER,
        why: "`survives: 1` claims that a service goes on in full when a site, a power feed or a fire\n\
              compartment is lost. It goes on as long as the weakest thing that it needs. In 2025 a fire in\n\
              one hall stopped 709 systems of a state; many of them had a second site, and needed something\n\
              that had none.",
        wrong: Fleet(
            "services:\n  shop: {survives: 1, runs_in: {a: active, b: standby}, needs: [ledger]}\n\
             \x20 ledger: {tier: 0, kind: data, runs_in: {b: active}}\n\
             on_loss: [{site: a, run: shop, to: b}, {site: b, run: shop, to: a}]\n",
        ),
        right: Fleet(
            "services:\n  shop: {survives: 1, runs_in: {a: active, b: standby}, needs: [ledger]}\n\
             \x20 ledger: {tier: 0, kind: data, runs_in: {b: standby, a: active}}\n",
        ),
    },
    Page {
        code: code::PARTIAL,
        why: "Not everything comes back: a place elsewhere carries a part of the service, or a step is passed\n\
              over because what it needs is gone. The run can only end PARTIAL. That may be what was agreed;\n\
              then waive this, by name and until when.",
        wrong: Fleet("services:\n  shop: {runs_in: {a: active, b: {form: standby, share: 40}}}\n"),
        right: Fleet("services:\n  shop: {runs_in: {a: active, b: standby}}\n"),
    },
    Page {
        code: code::TOO_EARLY,
        why: "A service that is started before what it needs fails, is started again, and is in the way. In\n\
              2022 payment and taxis were tried before people could log in. What a step brings back is what\n\
              it `restores`, else the services whose resource it acts on at `$to`. Side by side is not before.",
        wrong: Playbook(
            "steps:\n  - id: shop\n    command.run: {command: [start, shop]}\n    restores: [shop]\n    undo: none\n\
             \x20 - id: tools\n    http.request: {endpoint: deploy-tool, at: $to, path: /start/shop}\n    undo: none\n",
        ),
        right: Playbook(
            "steps:\n  - id: tools\n    http.request: {endpoint: deploy-tool, at: $to, path: /start/shop}\n    undo: none\n\
             \x20 - id: shop\n    command.run: {command: [start, shop]}\n    restores: [shop]\n    undo: none\n",
        ),
    },
    Page {
        code: code::CAPACITY,
        why: "What the destination carries already, and what comes, must fit into its `capacity`. The tiers\n\
              are counted in the order in which they return; what does not fit is named. In 2022 the standby\n\
              sites were there and could not carry what came.",
        wrong: Fleet(
            "sites:\n  a: {role: active, capacity: 100}\n  b: {role: standby, capacity: 50}\n  w: {role: witness}\n\
             services:\n  shop: {load: 80, runs_in: {a: active, b: standby}}\n",
        ),
        right: Fleet(
            "sites:\n  a: {role: active, capacity: 100}\n  b: {role: standby, capacity: 90}\n  w: {role: witness}\n\
             services:\n  shop: {load: 80, runs_in: {a: active, b: standby}}\n",
        ),
    },
    Page {
        code: code::CAPACITY_UNKNOWN,
        why: "A load is declared and the destination's capacity is not (or, where the proof is to be full,\n\
              neither is). Unknown capacity counts as none: in 2022 nobody could say whether the other sites\n\
              would carry 32,000 servers' load, and they did not.",
        wrong: Fleet("services:\n  shop: {load: 80, runs_in: {a: active, b: standby}}\n"),
        right: Fleet(
            "sites:\n  a: {role: active}\n  b: {role: standby, capacity: 90}\n  w: {role: witness}\n\
             services:\n  shop: {load: 80, runs_in: {a: active, b: standby}}\n",
        ),
    },
    Page {
        code: code::SHARED_FATE,
        why: "The site that is left and the one that takes over hang on one power feed, or stand in one fire\n\
              compartment: what takes the one takes the other. In Strasbourg the building next door was\n\
              switched off with the one that burnt.",
        wrong: Fleet(
            "sites:\n  a: {role: active, power: grid-1}\n  b: {role: standby, power: grid-1}\n  w: {role: witness}\n",
        ),
        right: Fleet(
            "sites:\n  a: {role: active, power: grid-1}\n  b: {role: standby, power: grid-2}\n  w: {role: witness}\n",
        ),
    },
    Page {
        code: code::CANARIES_INSIDE,
        why: "An observer that reaches too few canaries takes itself for cut off and abstains. When so many\n\
              canaries stand in one site, every observer abstains once it is lost, and nobody sees the loss.",
        wrong: Fleet(
            "canaries:\n  - tcp.connect: {address: \"10.1.0.53:53\"}\n  - tcp.connect: {address: \"10.1.0.54:53\"}\n\
             \x20 - tcp.connect: {address: \"203.0.113.53:53\"}\n",
        ),
        right: Fleet(
            "canaries:\n  - tcp.connect: {address: \"192.0.2.53:53\"}\n  - tcp.connect: {address: \"198.51.100.53:53\"}\n\
             \x20 - tcp.connect: {address: \"203.0.113.53:53\"}\n",
        ),
    },
    Page {
        code: code::REPLICATION,
        why: "The proof is to be full, this data is to be used in another site, and nothing says how it gets\n\
              there. What would be lost is then unknown, and counts as too much.",
        wrong: Fleet(
            "proof: full\nservices:\n  shop: {runs_in: {a: active, b: standby}, needs: [shop-db]}\n\
             \x20 shop-db: {tier: 0, kind: data, resource: orders, runs_in: {a: active, b: standby}}\n",
        ),
        right: Fleet(
            "services:\n  shop: {runs_in: {a: active, b: standby}, needs: [shop-db]}\n\
             \x20 shop-db: {tier: 0, kind: data, resource: orders, replication: async, runs_in: {a: active, b: standby}}\n",
        ),
    },
    Page {
        code: code::NO_RETURN,
        why: "The proof is to be full, and nothing brings the services back to the site that was left. An\n\
              emergency that lasts for ever is another one. Write a playbook of mode `planned` for the way\n\
              back, or let this one have that mode too.",
        wrong: Both("proof: full\n# and in the playbook:\nmodes: [emergency, drill]\n"),
        right: Playbook("modes: [emergency, planned, drill]\n"),
    },
    Page {
        code: code::NO_RAMP,
        why: "The proof is to be full, and customers who were away for an hour all come back in the same\n\
              minute. In 2022 text messages returned first, and a notice warned that people logging in made\n\
              them slow; in 2021 a network that had been dark was let back in by and by, on purpose.",
        wrong: Both(
            "proof: full\n# and in the playbook:\nsteps:\n  - id: all\n    traffic.shift: {route: front, to: $to}\n",
        ),
        right: Playbook(
            "steps:\n  - id: ramp\n    traffic.shift:\n      route: front\n      to: $to\n      weights: [5, 25, 50, 100]\n\
             \x20     hold: 10s\n      gates: [{http.get: {endpoint: shop-web, at: $to}}]\n",
        ),
    },
    Page {
        code: code::TIER_ORDER,
        why: "A step that brings back a lower tier waits for one that brings back a higher tier, and neither\n\
              needs the other. What everything else stands on comes first; what need not wait can run in\n\
              `parallel`.",
        wrong: Both(
            "services:\n  shop: {tier: 1, runs_in: {a: active, b: standby}}\n\
             \x20 keys: {tier: 0, kind: tooling, runs_in: {a: active, b: standby}}\n# and in the playbook:\n\
             steps:\n  - id: shop\n    command.run: {command: [start, shop]}\n    restores: [shop]\n    undo: none\n\
             \x20 - id: keys\n    command.run: {command: [start, keys]}\n    restores: [keys]\n    undo: none\n",
        ),
        right: Both(
            "services:\n  shop: {tier: 1, runs_in: {a: active, b: standby}}\n\
             \x20 keys: {tier: 0, kind: tooling, runs_in: {a: active, b: standby}}\n# and in the playbook:\n\
             steps:\n  - id: keys\n    command.run: {command: [start, keys]}\n    restores: [keys]\n    undo: none\n\
             \x20 - id: shop\n    command.run: {command: [start, shop]}\n    restores: [shop]\n    undo: none\n",
        ),
    },
];
