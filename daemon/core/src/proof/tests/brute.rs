//! The graph against a reference that is too simple to be wrong: it walks everything again and
//! again until nothing changes.

use crate::proof::graph::{Graph, Loss, NodeId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What one node needs, and how much of its places must be left.
#[derive(Clone, Debug)]
struct Plain {
    needs: Vec<usize>,
    places: Vec<(usize, u32)>,
    enough: u32,
}

type World = (usize, Vec<Plain>, Vec<BTreeSet<usize>>);

/// A few sites, nodes that need any of the others (in cycles too), and some losses.
fn world() -> impl Strategy<Value = World> {
    (2..5_usize, 1..14_usize).prop_flat_map(|(sites, nodes)| {
        let any = 0..sites + nodes;
        let node = (
            prop::collection::vec(any.clone(), 0..3),
            prop::collection::btree_map(any, prop_oneof![Just(100_u32), 1..100_u32], 0..4),
            prop_oneof![Just(1_u32), 1..150_u32],
        );
        let node = node.prop_map(|(needs, places, enough)| {
            let whole: u32 = places.values().sum();
            Plain { needs, places: places.into_iter().collect(), enough: enough.min(whole) }
        });
        let lost = prop::collection::btree_set(0..sites, 1..=sites);
        (Just(sites), prop::collection::vec(node, nodes), prop::collection::vec(lost, 1..4))
    })
}

fn graph(sites: usize, nodes: &[Plain]) -> Graph<'static> {
    let id = |node: usize| NodeId(node as u32);
    let mut graph = Graph::default();
    for node in 0..sites + nodes.len() {
        graph.add(node.to_string());
    }
    for (number, node) in nodes.iter().enumerate() {
        node.needs.iter().for_each(|need| graph.need(id(sites + number), id(*need)));
        let places = node.places.iter().map(|(place, weight)| (id(*place), *weight)).collect();
        graph.places(id(sites + number), places, node.enough);
    }
    graph
}

/// Whether a node's own places are lost.
fn homeless(node: &Plain, dead: &BTreeSet<usize>) -> bool {
    let left: u32 =
        node.places.iter().filter(|(place, _)| !dead.contains(place)).map(|(_, weight)| weight).sum();
    left < node.enough
}

fn dead(sites: usize, nodes: &[Plain], lost: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut dead = lost.clone();
    loop {
        let before = dead.len();
        for (number, node) in nodes.iter().enumerate() {
            if node.needs.iter().any(|need| dead.contains(need)) || homeless(node, &dead) {
                dead.insert(sites + number);
            }
        }
        if dead.len() == before {
            return dead;
        }
    }
}

/// What is at the bottom of a dead node: all that it reaches over what is dead.
fn bottom(sites: usize, nodes: &[Plain], dead: &BTreeSet<usize>, asked: usize) -> BTreeSet<usize> {
    let (mut seen, mut next, mut found) = (BTreeSet::new(), vec![asked], BTreeSet::new());
    while let Some(node) = next.pop() {
        if !dead.contains(&node) || !seen.insert(node) {
            continue;
        }
        let Some(plain) = node.checked_sub(sites).map(|number| &nodes[number]) else { continue };
        next.extend(plain.needs.iter().copied());
        if homeless(plain, dead) {
            found.insert(node);
            next.extend(plain.places.iter().map(|(place, _)| *place));
        }
    }
    found
}

/// The fewest edges from every dead node to a lost one, over dead needs and, of what is
/// homeless, over the place that `last` names.
fn distances(
    sites: usize,
    nodes: &[Plain],
    dead: &BTreeSet<usize>,
    lost: &BTreeSet<usize>,
    last: impl Fn(usize) -> Option<usize>,
) -> BTreeMap<usize, u32> {
    let mut far: BTreeMap<usize, u32> = lost.iter().map(|site| (*site, 0)).collect();
    loop {
        let before = far.clone();
        for (number, plain) in nodes.iter().enumerate().filter(|(number, _)| dead.contains(&(sites + number)))
        {
            let node = sites + number;
            let causes = plain.needs.iter().copied().chain(last(node));
            if let Some(best) = causes.filter_map(|cause| Some(far.get(&cause)? + 1)).min() {
                let known = far.entry(node).or_insert(best);
                *known = best.min(*known);
            }
        }
        if far == before {
            return far;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_dead_are_those_of_the_reference((sites, nodes, losses) in world()) {
        let graph = graph(sites, &nodes);
        let mut loss = Loss::of(&graph);
        for lost in losses {
            let ids: Vec<NodeId> = lost.iter().map(|site| NodeId(*site as u32)).collect();
            loss.lose(&graph, &ids);
            let wanted = dead(sites, &nodes, &lost);
            let all = 0..sites + nodes.len();
            let found: BTreeSet<usize> = all.clone().filter(|node| loss.is_dead(NodeId(*node as u32))).collect();
            prop_assert_eq!(&found, &wanted);

            // Every way is the shortest one, of dead nodes, over what each died of, to a lost site.
            let last = |node: usize| loss.last_place(NodeId(node as u32)).map(NodeId::index);
            let far = distances(sites, &nodes, &wanted, &lost, last);
            for &node in &wanted {
                let way: Vec<usize> = loss.way(NodeId(node as u32)).into_iter().map(NodeId::index).collect();
                prop_assert_eq!(way.first(), Some(&node));
                prop_assert!(lost.contains(&way[way.len() - 1]), "{:?}", way);
                prop_assert_eq!(way.len() as u32 - 1, far[&node], "{:?}", way);
                for pair in way.windows(2) {
                    let plain = &nodes[pair[0] - sites];
                    let place = homeless(plain, &wanted) && plain.places.iter().any(|(place, _)| *place == pair[1]);
                    prop_assert!(plain.needs.contains(&pair[1]) || place, "{:?}", way);
                    prop_assert!(wanted.contains(&pair[1]));
                }
            }

            // What is asked in turn finds at the bottom what asking alone does, each once.
            let mut told = BTreeSet::new();
            for node in all {
                let alone = bottom(sites, &nodes, &wanted, node);
                for found in loss.bottom(&graph, [NodeId(node as u32)]) {
                    prop_assert!(alone.contains(&found.index()));
                    prop_assert!(told.insert(found.index()), "told twice");
                    prop_assert_eq!(loss.way_down(found)[0], NodeId(node as u32));
                }
                prop_assert!(alone.is_subset(&told));
            }
        }
    }

    /// One loss looks at each edge of what died a fixed number of times, whatever was lost before.
    #[test]
    fn a_loss_costs_what_it_touches((sites, nodes, losses) in world()) {
        let graph = graph(sites, &nodes);
        let mut loss = Loss::of(&graph);
        for lost in losses {
            let before = loss.edges;
            loss.lose(&graph, &lost.iter().map(|site| NodeId(*site as u32)).collect::<Vec<_>>());
            let wanted = dead(sites, &nodes, &lost);
            let touching = nodes.iter().flat_map(|n| n.needs.iter().chain(n.places.iter().map(|(place, _)| place)));
            let edges = touching.filter(|need| wanted.contains(*need)).count() as u64;
            prop_assert_eq!(loss.edges - before, 2 * edges);
        }
    }
}
