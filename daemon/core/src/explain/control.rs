//! The pages of Standfast itself, of the people who command it, and of what shows that they can.

use super::Example::Fleet;
use super::Page;
use crate::finding::code;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: code::NO_MEMBER,
        why: "All members stand in a site that they are there to leave. In 2022 the system that would have\n\
              switched over existed in the site that burnt, and nowhere else; so people had to switch, by\n\
              hand, 32,000 servers.",
        wrong: Fleet("control:\n  members: {switcher: {site: a}}\n"),
        right: Fleet("control:\n  members: {x: {site: a}, y: {site: b}, z: {site: w}}\n"),
    },
    Page {
        code: code::NO_MAJORITY,
        why: "The coordination decides by majority. A site, a power feed or a fire compartment that holds half\n\
              of the voters takes the decision with it. With an even number of voters half is no majority.",
        wrong: Fleet("control:\n  voters: {v1: a, v2: a, v3: b, v4: w}\n"),
        right: Fleet("control:\n  voters: {v1: a, v2: b, v3: w}\n"),
    },
    Page {
        code: code::FEW_DOMAINS,
        why: "With voters in fewer than three failure domains there is always one whose loss leaves no\n\
              majority. Sites that share a power feed or a fire compartment are one domain, whatever they are\n\
              called: in Paris in 2023 zones of three names shared a cellar.",
        wrong: Fleet("control:\n  voters: {v1: a, v2: a, v3: b}\n"),
        right: Fleet("control:\n  voters: {v1: a, v2: b, v3: w}\n"),
    },
    Page {
        code: code::UNDECLARED,
        why: "The proof is to be full, and the fleet does not say where the voters or the members stand. What\n\
              is not said counts as failed: nobody knows whether they survive.",
        wrong: Fleet("proof: full\n"),
        right: Fleet(
            "control:\n  voters: {v1: a, v2: b, v3: w}\n  members: {x: {site: a}, y: {site: b}, z: {site: w}}\n",
        ),
    },
    Page {
        code: code::NO_ALARM,
        why: "What watches a site and calls people stands in that site: a lost site then reads as `no data`,\n\
              and nobody is called. In 2022 the company learnt of the fire by calling the landlord itself, 40\n\
              minutes in. In 2021 a game was away for 73 hours, and its monitoring ran on what had failed.",
        wrong: Fleet("control:\n  alerting: {site: a}\n"),
        right: Fleet("control:\n  alerting: {site: [a, w]}\n"),
    },
    Page {
        code: code::NO_CHANNEL,
        why: "Nobody can be reached once the site is gone: no approval, no word about a fence. Name several\n\
              channels, one of them `outside` of everything that is operated here.",
        wrong: Fleet("control:\n  channels: [{host: chat.a.example.net}]\n"),
        right: Fleet(
            "control:\n  channels: [{host: chat.a.example.net}, {outside: the carrier's conference bridge}]\n",
        ),
    },
    Page {
        code: code::CHANNEL_RECOVERED,
        why: "Responders talk over a service that this plan is there to bring back. Until it is back they have\n\
              no word with each other. In 2022 those who were to repair the messenger were called over the\n\
              messenger.",
        wrong: Fleet("control:\n  channels: [{service: shop}]\n"),
        right: Fleet("control:\n  channels: [{service: shop}, {outside: the carrier's conference bridge}]\n"),
    },
    Page {
        code: code::NO_IDENTITY,
        why: "What lets approvers in goes with the site: they are there, and may do nothing. In October 2021\n\
              people stood before doors that asked a system in the dark whether to open.",
        wrong: Fleet("control:\n  identity: {host: login.a.example.net}\n"),
        right: Fleet(
            "control:\n  identity: [{host: login.a.example.net}, {outside: certificates on their own machines}]\n",
        ),
    },
    Page {
        code: code::STATUS_PAGE,
        why: "Customers read nothing while they most want to. The first public word of 2022 came after 40\n\
              minutes, over another company's network.",
        wrong: Fleet("control:\n  status_page: {site: a}\n"),
        right: Fleet("control:\n  status_page: {outside: a provider of another continent}\n"),
    },
    Page {
        code: code::NAME_SERVERS,
        why: "Without name servers nothing of the business is found, wherever it runs. In October 2021 every\n\
              server of a network was up, and the name servers that led to them had withdrawn themselves.",
        wrong: Fleet("control:\n  name_servers: [{host: 10.1.0.53}, {host: 10.1.1.53}]\n"),
        right: Fleet("control:\n  name_servers: [{host: 10.1.0.53}, {host: 10.3.0.53}]\n"),
    },
    Page {
        code: code::NO_OWNER,
        why: "The proof is to be full, and nobody is named who commands. In 2022 every team repaired what was\n\
              its own, and nobody decided what came first.",
        wrong: Fleet("proof: full\n"),
        right: Fleet("control:\n  incident_owner: incident-commander\n"),
    },
    Page {
        code: code::MAIL_BOUNCES,
        why: "Mail that nobody takes in is sent back to who wrote it, and does not come again. A second\n\
              exchanger elsewhere keeps it until the store is back. In 2022 mail returned after 87 hours, and\n\
              what had been written meanwhile had bounced.",
        wrong: Fleet("control:\n  mail: [{host: mx1.a.example.net}]\n"),
        right: Fleet("control:\n  mail: [{host: mx1.a.example.net}, {outside: a provider's backup MX}]\n"),
    },
    Page {
        code: code::NO_DRILL,
        why: "The proof is to be full, and no record says that the whole site was ever left. Drills of load or\n\
              of single services do not show it: in 2022 there had been some, and none had ever switched a\n\
              whole site off.",
        wrong: Fleet("proof: full\n"),
        right: Fleet(
            "evidence:\n  - {kind: drill, scope: site, site: a, date: 2026-01-10, result: passed}\n",
        ),
    },
    Page {
        code: code::OLD_DRILL,
        why: "What was rehearsed long ago was rehearsed for another fleet. The age that is allowed is the\n\
              fleet's `drill_max_age`. It is judged when files are linted or applied; a daemon does not refuse\n\
              a bundle because it grew old.",
        wrong: Fleet(
            "evidence:\n  - {kind: drill, scope: site, site: a, date: 2022-01-10, result: passed}\n",
        ),
        right: Fleet(
            "evidence:\n  - {kind: drill, scope: site, site: a, date: 2026-01-10, result: passed}\n",
        ),
    },
    Page {
        code: code::NO_EVIDENCE,
        why: "The proof is to be full, a service promises to be back in time, and no run, drill or simulation\n\
              on record shows it. In 2022 the manual said 20 minutes. Measure it, or simulate it, and put the\n\
              time that it took on record.",
        wrong: Fleet("proof: full\n"),
        right: Fleet(
            "evidence:\n  - {kind: simulation, playbook: shop, date: 2026-01-10, result: passed, took: {shop: 7m}}\n",
        ),
    },
    Page {
        code: code::SAME_UPDATES,
        why: "Hosts of members in two sites are updated at the same time, by themselves. In March 2023 one\n\
              security update, installed everywhere within the hour, took the network from 60 percent of a\n\
              company's machines on three clouds.",
        wrong: Fleet(
            "control:\n  members:\n    x: {site: a, updates: Sunday 03:00}\n    y: {site: b, updates: Sunday 03:00}\n",
        ),
        right: Fleet(
            "control:\n  members:\n    x: {site: a, updates: Sunday 03:00}\n    y: {site: b, updates: Monday 03:00}\n",
        ),
    },
    Page {
        code: code::NO_REGISTRY,
        why: "What images and artefacts come from goes with the site: what runs goes on, and nothing that was\n\
              stopped is started again.",
        wrong: Fleet("control:\n  registries: {host: registry.a.example.net}\n"),
        right: Fleet(
            "control:\n  registries: [{host: registry.a.example.net}, {host: registry.b.example.net}]\n",
        ),
    },
];
