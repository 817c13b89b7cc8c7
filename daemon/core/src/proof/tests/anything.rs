//! Whatever stands in the files, there is an answer.

use super::{END, FLEET, SHOP};
use crate::bundle::Bundle;
use crate::date::Date;
use crate::proof::survival::of_files;
use crate::source::SourceFile;
use proptest::prelude::*;

/// Every key that the proof reads.
const KEYS: &str = "proof: full
outside: {networks: [192.0.2.0/24, \"2001:db8::/32\"], domains: [example.com]}
secrets: {orders_a: {service: vault}, orders_b: {host: vault.b.example.net}, tsig: {site: [a, w]}}
control:
  voters: {v1: a, v2: b, v3: w}
  members: {m1: {site: a, updates: Sunday}, m2: {site: b, updates: Monday}}
  incident_owner: incident-commander
  identity: [{service: vault}, {outside: certificates}]
  channels: [{service: shop}, {host: chat.example.com}]
  alerting: {site: [a, w]}
  name_servers: [{host: 10.3.0.53}, {host: \"2001:db8::53\"}]
  mail: {service: shop}
evidence:
  - {kind: drill, scope: site, site: a, date: 2025-10-15, result: passed, took: {shop: 9m}}
  - {kind: simulation, playbook: shop, date: 2025-10-15, result: failed}
drill_max_age: 300d
";
const SERVICES: &str = "services:
  vault: {tier: 0, kind: tooling, survives: 1, load: 7, starts_with: [shop-db], runs_in: {a: active, b: {form: standby, share: 50, copies: 2}}}
";

fn rich() -> String {
    FLEET
        .replace(END, &format!("{KEYS}{END}"))
        .replace("services:\n", SERVICES)
        .replace("power: grid-2", "power: grid-1, fire: hall, capacity: 40")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Words of the files in each other's places: names of the wrong kind, services that need
    /// themselves, dates for numbers, sites that are lost with themselves.
    #[test]
    fn words_in_each_others_places_are_findings(swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..6)) {
        let text = format!("{}\u{0}{SHOP}", rich());
        let word = |c: char| c.is_alphanumeric() || "-_.$/:".contains(c);
        let mut parts: Vec<String> = Vec::new();
        for c in text.chars() {
            match parts.last_mut() {
                Some(last) if last.chars().all(word) && word(c) => last.push(c),
                _ => parts.push(c.to_string()),
            }
        }
        let words: Vec<usize> = (0..parts.len()).filter(|part| parts[*part].chars().all(word)).collect();
        for (from, to) in swaps {
            parts[words[to.index(words.len())]] = parts[words[from.index(words.len())]].clone();
        }
        let text = parts.concat();
        let (fleet, shop) = text.split_once('\u{0}').unwrap();
        let files = vec![SourceFile::new("fleet.yaml", fleet), SourceFile::new("shop.yaml", shop)];
        let (bundle, findings) = Bundle::load_on(files.clone(), Date::parse("2026-02-28").ok());
        prop_assert_eq!(bundle.is_none(), findings.has_errors());
        prop_assert!(findings.iter().all(|finding| finding.at.is_some() || !finding.file.is_empty() || finding.code.id == "SF040"));
        let survival = of_files(files);
        prop_assert!(survival.is_none_or(|sites| sites.iter().all(|site| site.parts.len() == 6)));
    }
}

/// A chain of services as long as a file allows is followed without a deep stack.
#[test]
fn a_long_chain_is_followed_to_its_end() {
    let links = 5_000;
    let mut services = "services:\n".to_owned();
    for link in 0..links {
        let need = if link + 1 < links { format!(", needs: [c{}]", link + 1) } else { String::new() };
        let b = if link + 1 < links { ", b: standby" } else { "" };
        services += &format!("  c{link}: {{runs_in: {{a: active{b}}}{need}}}\n");
    }
    let fleet = FLEET
        .replace("services:\n", &services)
        .replace("needs: [shop-db, deploy-tool]", "needs: [shop-db, c0]");
    let files = vec![SourceFile::new("fleet.yaml", fleet), SourceFile::new("shop.yaml", SHOP)];
    let (_, findings) = Bundle::load(files);
    let found: Vec<_> = findings.iter().map(|f| (f.code.id, f.path.len(), f.path[20].as_str())).collect();
    assert_eq!(found, [("SF104", 40, "… 4963 more …")]);
}
