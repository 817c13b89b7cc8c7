//! What the proof walks grows with what there is, and no faster.

use crate::bundle::Bundle;
use crate::finding::Findings;
use crate::proof::generate::{Size, bundle};
use crate::proof::prove_counting;

/// Edges walked, and how many services there are.
fn walked(size: Size) -> (u64, u64) {
    let (loaded, findings) = Bundle::load(bundle(size));
    assert!(findings.is_empty(), "{:?}", findings.iter().next());
    let loaded = loaded.unwrap();
    let playbooks = loaded.playbooks.iter().map(|(id, playbook)| (id.as_str(), playbook)).collect();
    let mut findings = Findings::default();
    let inner = Default::default();
    (prove_counting(&loaded.fleet, &playbooks, &inner, None, &mut findings), size.services as u64)
}

#[test]
fn ten_times_the_fleet_is_ten_times_the_walk() {
    let (small, few) = walked(Size::part(30));
    let (large, many) = walked(Size::part(5));
    assert!(small > few / 10, "{small} edges of {few} services: something dies");
    // n log n, and half as much again for what is rounded at the small end.
    let log = |n: u64| u64::from(n.ilog2());
    assert!(
        large * few * log(few) * 2 <= small * many * log(many) * 3,
        "{small} edges of {few} services, {large} of {many}"
    );
}
