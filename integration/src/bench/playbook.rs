//! Bundles to measure with, long ones.

use std::fmt::Write as _;

use standfast_core::source::SourceFile;

/// Of a long playbook.
pub const STEPS: usize = 1_000;

/// The fleet that the example's playbooks are for.
const FLEET: &str = include_str!("../../../playbooks/shop/fleet.yaml");

/// The playbook's head; `on_loss` of the example names it.
const HEAD: &str = "api: standfast/v1
playbook: shop
title: Move the shop in a thousand steps
services: [shop]
modes: [emergency, drill]

require:
  - postgres.lag: {cluster: orders, at: $to, below: 5s}
    override: incident-commander

steps:
";

/// Kinds of steps that take turns; each is nine lines or less, like those that people write.
const BODIES: [&str; 5] = [
    "    http.request: {endpoint: deploy-tool, at: $to, method: POST, path: /start/shop, idempotent: true}
    verify: {within: 60s, all: [{http.get: {endpoint: shop-web, at: $to, status: 200}}]}
    undo: none
",
    "    traffic.drain: {route: front, at: $from}
    unreachable: skip
    undo: {traffic.ready: {route: front, at: $from}}
",
    "    dns.set: {record: shop-name, to: $to}
    timeout: 30s
    verify: {within: 30s, all: [{dns.answers: {record: shop-name, is: $to}}]}
",
    "    wait.until:
      all:
        - tcp.connect: {endpoint: shop-web, at: $to}
        - postgres.writable: {cluster: orders, at: $to}
    timeout: 2m
    on_failure: abort
",
    "    command.run:
      command: [restore-queue, --all, orders]
      env: {QUEUE: orders}
      idempotent: true
    attempts: 5
    backoff: 2s
",
];

/// The example's fleet and a playbook of [`STEPS`] steps of all kinds, a third of which names
/// what it waits for.
pub fn mixed() -> Vec<SourceFile> {
    let mut text = HEAD.to_string();
    for step in 0..STEPS {
        let _ = writeln!(text, "  - id: step-{step:04}");
        if step % 3 == 2 {
            let _ = writeln!(text, "    needs: [step-{:04}, step-{:04}]", step - 1, step - 2);
        }
        text.push_str(BODIES[step % BODIES.len()]);
    }
    let file = |name: &str, text: String| SourceFile { name: name.into(), text };
    vec![file("fleet.yaml", FLEET.into()), file("shop.yaml", text)]
}

/// What every failover begins with.
const FAILOVER: &str = "  - id: fenced
    fence.prove: {site: $from, any_of: [site_lease_expired, power_off]}
  - id: promote
    point_of_no_return: true
    postgres.promote: {cluster: orders, at: $to}
    attempts: 1
    verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}
";

/// What follows it, in turn.
const THEN: [&str; 4] = [
    "http.request: {endpoint: deploy-tool, at: $to, method: PUT, path: /start/shop}
    verify: {within: 60s, all: [{http.get: {endpoint: shop-web, at: $to, status: 200}}]}
",
    "command.run: {command: [restore-queue, --all, orders], idempotent: true}
    timeout: 30s
",
    "wait.until: {all: [{tcp.connect: {endpoint: shop-web, at: $to}}]}
    timeout: 60s
",
    "traffic.ready: {route: front, at: $to}
",
];

/// A failover of so many steps, ten at least: a fence, a promotion, then five steps one after the
/// other and five side by side, and so on.
pub fn failover(steps: usize) -> Vec<SourceFile> {
    let mut text = HEAD.to_string();
    text.push_str(FAILOVER);
    for step in 2..steps {
        // Side by side only what does not write the same.
        let (body, indent) = match step % 10 {
            0..5 => (THEN[step % 4], ""),
            5 => (THEN[0], "    "),
            _ => (THEN[1 + step % 2], "    "),
        };
        if step % 10 == 5 {
            let _ = writeln!(text, "  - id: block-{step:04}\n    parallel:");
        }
        let _ = writeln!(text, "{indent}  - id: step-{step:04}");
        body.lines().for_each(|line| {
            let _ = writeln!(text, "{indent}    {}", line.trim_start());
        });
    }
    // What is promised is not what is measured.
    let fleet = FLEET.replace("rto: 10m", "rto: 300d");
    let file = |name: &str, text: String| SourceFile { name: name.into(), text };
    vec![file("fleet.yaml", fleet), file("shop.yaml", text)]
}

#[cfg(test)]
mod tests {
    use standfast_core::bundle::Bundle;

    use super::*;

    #[test]
    fn the_long_playbook_lints_clean_and_is_as_long_as_it_says() {
        let (bundle, findings) = Bundle::load(mixed());
        let bundle = bundle.unwrap_or_else(|| panic!("{}", findings.to_text(&mixed(), false)));
        let steps: usize = bundle.playbooks.values().map(|playbook| playbook.flat().count()).sum();
        assert_eq!(steps, STEPS);
    }
}
