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
