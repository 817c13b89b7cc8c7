//! What must come before what.

use std::collections::{BTreeMap, BTreeSet};

/// All of them, each after what it needs, otherwise in their own order. `Err`: a cycle in the
/// order of running, the first one repeated at its end.
pub(crate) fn sorted(needs: &[BTreeSet<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for (step, before) in needs.iter().enumerate() {
        for &need in before {
            followers[need].push(step);
        }
    }
    let mut ready: BTreeSet<usize> = (0..waiting.len()).filter(|&step| waiting[step] == 0).collect();
    let mut sorted = Vec::with_capacity(waiting.len());
    while let Some(step) = ready.pop_first() {
        sorted.push(step);
        for &follower in &followers[step] {
            waiting[follower] -= 1;
            if waiting[follower] == 0 {
                ready.insert(follower);
            }
        }
    }
    match (0..waiting.len()).find(|&step| waiting[step] > 0) {
        None => Ok(sorted),
        Some(start) => Err(cycle(needs, start, &waiting)),
    }
}

/// Walks back from one that never becomes ready; each of those needs another.
fn cycle(needs: &[BTreeSet<usize>], start: usize, waiting: &[usize]) -> Vec<usize> {
    let mut path = vec![start];
    let mut seen = BTreeMap::from([(start, 0)]);
    loop {
        let last = path[path.len() - 1];
        let Some(&next) = needs[last].iter().find(|&&need| waiting[need] > 0) else {
            return path;
        };
        if let Some(&first) = seen.get(&next) {
            path.push(next);
            // From waiting-for to what runs first: read it in the order of running.
            let mut cycle = path.split_off(first);
            cycle.reverse();
            return cycle;
        }
        seen.insert(next, path.len());
        path.push(next);
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_stable_and_cycles_are_shown() {
        let needs = |list: &[&[usize]]| list.iter().map(|n| n.iter().copied().collect()).collect::<Vec<_>>();
        assert_eq!(sorted(&needs(&[&[2], &[], &[1], &[]])), Ok(vec![1, 2, 0, 3]));
        assert_eq!(sorted(&needs(&[&[], &[2], &[1, 0], &[2]])), Err(vec![1, 2, 1]));
        assert_eq!(sorted(&needs(&[&[0]])), Err(vec![0, 0]));
    }
}
