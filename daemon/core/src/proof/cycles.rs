//! What cannot be started again once it stands still everywhere: each of it needs another one
//! first.

use super::model::{Model, numbers};
use crate::finding::{Finding, Findings, code};
use crate::fleet::{Body, Home, ServiceKind};
use crate::ids::SecretName;
use crate::source::Place;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Which kind of edge leads from one service to another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Needs,
    Starts,
}

pub(crate) fn lint(model: &Model<'_>, findings: &mut Findings) {
    let edges = edges(model);
    for group in groups(&edges) {
        let inside: BTreeSet<usize> = group.iter().copied().collect();
        let starts = group
            .iter()
            .any(|from| edges[*from].iter().any(|(to, edge)| *edge == Edge::Starts && inside.contains(to)));
        let tools = group.iter().all(|service| model.services[*service].1.kind == ServiceKind::Tooling);
        let cycle = shortest(&edges, &inside);
        let at: Place = model.services[cycle[0]].1.at;
        let path = cycle.iter().map(|service| model.services[*service].0.to_string());
        let more = inside.len() + 1 - cycle.len();
        let others = if more > 0 { format!(" ({more} more hang on them both ways)") } else { String::new() };
        let finding = match starts || tools {
            true => Finding::new(
                code::BOOTSTRAP,
                at,
                format!("once all stands still, none of these can be started: each needs another one first{others}"),
            )
            .help("let one of them start with what lies on the disks of its hosts"),
            false => Finding::new(code::CYCLE, at, format!("these services need each other{others}")),
        };
        findings.push(finding.path(path));
    }
}

/// What must run before each service can be started: what it needs, what it starts with, and
/// where the secrets of its resources live.
fn edges(model: &Model<'_>) -> Vec<Vec<(usize, Edge)>> {
    let fleet = model.fleet;
    let store = |secret: &SecretName| match fleet.secrets.get(secret) {
        Some(Home::Service(service)) => model.service(&service.value),
        _ => None,
    };
    let mut edges: Vec<Vec<(usize, Edge)>> = Vec::with_capacity(model.services.len());
    for (number, (_, service)) in model.services.iter().enumerate() {
        let needs = model.needs_of(number).map(|need| (need, Edge::Needs));
        let starts = numbers(model, &service.starts_with).map(|need| (need, Edge::Starts));
        edges.push(needs.chain(starts).collect());
    }
    for (id, resource) in &fleet.resources {
        let secrets: Vec<&SecretName> = match &resource.body {
            Body::Postgres(servers) => servers.values().filter_map(|s| s.password.as_ref()).collect(),
            _ => Vec::new(),
        };
        for store in secrets.into_iter().filter_map(store) {
            for &owner in model.owners_of(id.as_str()) {
                edges[owner].push((store, Edge::Starts));
            }
        }
    }
    edges
}

/// Every set of services that reach each other (Tarjan), in the order of their first member. A
/// stack of our own: a chain may be as long as there are services.
fn groups(edges: &[Vec<(usize, Edge)>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let mut index = vec![NEW; edges.len()];
    let mut low = vec![0; edges.len()];
    let mut open = vec![false; edges.len()];
    let (mut stack, mut groups, mut next) = (Vec::new(), Vec::new(), 0);
    for start in 0..edges.len() {
        let mut work = if index[start] == NEW { vec![(start, 0)] } else { Vec::new() };
        while let Some((node, edge)) = work.pop() {
            if edge == 0 {
                (index[node], low[node], open[node]) = (next, next, true);
                next += 1;
                stack.push(node);
            }
            match edges[node].get(edge) {
                Some(&(to, _)) => {
                    work.push((node, edge + 1));
                    if index[to] == NEW {
                        work.push((to, 0));
                    } else if open[to] {
                        low[node] = low[node].min(index[to]);
                    }
                }
                None => {
                    if let Some((above, _)) = work.last() {
                        low[*above] = low[*above].min(low[node]);
                    }
                    if low[node] == index[node] {
                        let first = stack.iter().rposition(|other| *other == node).unwrap_or_default();
                        let group = stack.split_off(first);
                        group.iter().for_each(|member| open[*member] = false);
                        if group.len() > 1 || edges[node].iter().any(|(to, _)| *to == node) {
                            groups.push(group);
                        }
                    }
                }
            }
        }
    }
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort_unstable();
    groups
}

/// The shortest cycle through the first member, that one repeated at its end, in the order in
/// which each needs the next.
fn shortest(edges: &[Vec<(usize, Edge)>], inside: &BTreeSet<usize>) -> Vec<usize> {
    let Some(&start) = inside.first() else { return Vec::new() };
    let mut from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &(to, _) in edges[node].iter().filter(|(to, _)| inside.contains(to)) {
            if to == start {
                let mut cycle = vec![start];
                let mut last = node;
                while last != start {
                    cycle.push(last);
                    last = from[&last];
                }
                cycle.push(start);
                cycle.reverse();
                return cycle;
            }
            from.entry(to).or_insert_with(|| {
                queue.push_back(to);
                node
            });
        }
    }
    vec![start]
}
