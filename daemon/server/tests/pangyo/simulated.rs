//! What playbooks/pangyo-2022/fixed promises, against what its plan does in many seeds.

use standfast_core::bundle::Bundle;
use standfast_core::fleet::control::Kind;
use standfast_core::plan::{Mode, Request};
use standfast_core::time::Span;
use standfast_sim::simulate::{Case, Options, Report, Tally};
use std::collections::BTreeMap;
use std::sync::Arc;

/// As `standfast simulate` does when nothing else is said.
const SEEDS: u64 = 1_000;

fn fixed() -> Arc<Bundle> {
    let files = super::files("fixed");
    let (bundle, findings) = Bundle::load(files.clone());
    Arc::new(bundle.unwrap_or_else(|| panic!("{}", findings.to_text(&files, false))))
}

/// Things go wrong as often as `standfast simulate` lets them, and a person comes after five
/// minutes.
fn simulate(bundle: &Arc<Bundle>) -> Report {
    let request = Request {
        playbook: "evacuate".into(),
        from: "pangyo".into(),
        to: "anyang".into(),
        mode: Mode::Emergency,
        inputs: BTreeMap::new(),
    };
    let options = Options { people: Some(Span::secs(300)), ..Options::default() };
    let case = Case::new(bundle.clone(), &request, options).unwrap();
    let mut tally = Tally::new(&case);
    (1..=SEEDS).for_each(|seed| tally.add(&case.seed(seed)));
    tally.report(None)
}

/// Every service is back within its objective in 95 of 100 runs, and what the fleet has on
/// record of that is hardly better than it is, nor much worse.
#[test]
fn the_simulation_on_record_is_true() {
    let bundle = fixed();
    let report = simulate(&bundle);
    assert_eq!(report.broken, []);
    let mut simulations = bundle.fleet.evidence.iter().filter(|record| record.kind == Kind::Simulation);
    let on_record = &simulations.next_back().expect("a simulation").took;
    let promised: Vec<_> =
        bundle.fleet.services.iter().filter(|(_, service)| service.rto.is_some()).collect();
    assert_eq!((report.objectives.len(), on_record.len()), (promised.len(), promised.len()));
    for objective in &report.objectives {
        assert!(objective.held, "{objective:?}");
        let p95 = objective.p95.expect("held").as_ms();
        let said = on_record[&objective.service].as_ms();
        let near = p95 * 95 / 100..=p95 * 5 / 4 + 60_000;
        assert!(near.contains(&said), "{said} ms are on record, {objective:?}");
    }
}
