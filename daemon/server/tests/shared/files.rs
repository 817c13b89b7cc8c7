//! A fleet and its playbooks, as people write them.

/// A fleet of three sites whose only tool listens on `port`.
pub(crate) fn fleet(port: u16) -> String {
    format!(
        "api: standfast/v1
fleet: test
sites:
  a: {{role: active, networks: [10.1.0.0/16], domains: [a.example.net], power: grid-1}}
  b: {{role: standby, networks: [10.2.0.0/16], domains: [b.example.net], power: grid-2}}
  w: {{role: witness, networks: [10.3.0.0/16], domains: [w.example.net], power: grid-3}}
timing: {{profile: fast}}
canaries: none
automation: advise
roles: {{commander: [local], chief: [kim]}}
probes:
  a: [{{http.get: {{endpoint: tool, status: 200}}}}, {{tcp.connect: {{endpoint: tool}}}}]
  b: [{{http.get: {{endpoint: tool, status: 200}}}}, {{tcp.connect: {{endpoint: tool}}}}]
services:
  shop: {{tier: 1, owner: team, objectives: {{rto: 10m, rpo: 5s}}, runs_in: {{a: active, b: standby}}}}
resources:
  tool: {{endpoint: {{a: \"http://127.0.0.1:{port}\", b: \"http://127.0.0.1:{port}\"}}}}
on_loss:
  - {{site: a, run: shop, to: b}}
"
    )
}

/// A playbook: what it requires and its steps are `rest`.
pub(crate) fn playbook(name: &str, rest: &str) -> String {
    format!(
        "api: standfast/v1
playbook: {name}
title: Move the shop
services: [shop]
modes: [emergency, drill]
{rest}"
    )
}
