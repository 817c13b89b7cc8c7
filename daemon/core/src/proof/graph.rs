//! What needs what, and what is left of it when sites are lost.
//!
//! A node is dead when one of its needs is dead, or when too little of its places is left. One
//! pass over the dead set finds it, a second one finds the shortest way from each dead node to
//! a lost site, a third one what lies at the bottom. None of them looks at what is alive, and
//! none is repeated for a step: steps look their needs up.

use std::borrow::Cow;
use std::collections::VecDeque;

/// A node, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Default)]
struct Node<'a> {
    label: Cow<'a, str>,
    /// All of these.
    needs: Vec<NodeId>,
    /// Of these so much that `enough` is left.
    places: Vec<(NodeId, u32)>,
    /// The weight of all places together.
    whole: u32,
    enough: u32,
    /// Who needs this; with a weight, whose place this is.
    needed_by: Vec<(NodeId, Option<u32>)>,
}

/// Nodes and what each needs.
#[derive(Debug, Default)]
pub(crate) struct Graph<'a> {
    nodes: Vec<Node<'a>>,
}

impl<'a> Graph<'a> {
    /// A node that needs nothing yet.
    pub(crate) fn add(&mut self, label: impl Into<Cow<'a, str>>) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).expect("fewer nodes than bytes in the files"));
        self.nodes.push(Node { label: label.into(), ..Node::default() });
        id
    }

    /// `node` is dead when `need` is.
    pub(crate) fn need(&mut self, node: NodeId, need: NodeId) {
        self.nodes[node.index()].needs.push(need);
        self.nodes[need.index()].needed_by.push((node, None));
    }

    /// `node` is dead when less than `enough` is left of its places. It must not ask for more
    /// than they are together: what is missing from the start is no site's loss.
    pub(crate) fn places(&mut self, node: NodeId, places: Vec<(NodeId, u32)>, enough: u32) {
        for &(place, weight) in &places {
            self.nodes[place.index()].needed_by.push((node, Some(weight)));
        }
        let node = &mut self.nodes[node.index()];
        node.whole = places.iter().fold(0, |sum, (_, weight)| sum.saturating_add(*weight));
        (node.places, node.enough) = (places, enough);
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn label(&self, node: NodeId) -> &str {
        &self.nodes[node.index()].label
    }

    /// Who needs this node directly, or has a place in it.
    pub(crate) fn needed_by(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.nodes[node.index()].needed_by.iter().map(|(node, _)| *node)
    }
}

/// What a loss does to each node. Kept from one loss to the next, so that a loss costs what it
/// touches and not what there is.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    state: Vec<State>,
    /// The dead, in the order of dying.
    dead: Vec<NodeId>,
    /// Alive, but with fewer places.
    hurt: Vec<NodeId>,
    /// How many edges were looked at, over all losses.
    pub(crate) edges: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    dead: bool,
    hurt: bool,
    /// The place with whose loss too little was left.
    last_place: Option<NodeId>,
    /// Weight of the places that are lost.
    lost: u32,
    /// Steps to the nearest lost site.
    far: u32,
    /// The next node on that way.
    next: Option<NodeId>,
    /// The node that led here from what asked.
    from: Option<NodeId>,
    asked: bool,
}

impl Loss {
    /// For a graph that is complete.
    pub(crate) fn of(graph: &Graph<'_>) -> Self {
        Self { state: vec![State::default(); graph.len()], ..Self::default() }
    }

    /// Forgets the loss before, and loses these.
    pub(crate) fn lose(&mut self, graph: &Graph<'_>, lost: &[NodeId]) {
        for node in self.dead.drain(..).chain(self.hurt.drain(..)) {
            self.state[node.index()] = State::default();
        }
        for &node in lost {
            self.kill(node);
        }
        let mut done = 0;
        while let Some(&node) = self.dead.get(done) {
            done += 1;
            for &(by, weight) in &graph.nodes[node.index()].needed_by {
                self.edges += 1;
                self.strike(graph, by, node, weight);
            }
        }
        self.measure(graph, lost);
    }

    fn kill(&mut self, node: NodeId) {
        let state = &mut self.state[node.index()];
        if !state.dead {
            state.dead = true;
            self.dead.push(node);
        }
    }

    /// `died` is dead: a need of `node`, or a place with this weight.
    fn strike(&mut self, graph: &Graph<'_>, node: NodeId, died: NodeId, weight: Option<u32>) {
        let state = &mut self.state[node.index()];
        let Some(weight) = weight else { return self.kill(node) };
        state.lost = state.lost.saturating_add(weight);
        if !state.hurt {
            state.hurt = true;
            self.hurt.push(node);
        }
        let Node { whole, enough, .. } = &graph.nodes[node.index()];
        if whole.saturating_sub(state.lost) < *enough {
            state.last_place.get_or_insert(died);
            self.kill(node);
        }
    }

    /// The shortest way from each dead node to a lost one, over what it died of: of its places,
    /// the one that was left longest.
    fn measure(&mut self, graph: &Graph<'_>, lost: &[NodeId]) {
        let mut seen = 0;
        let mut queue: VecDeque<NodeId> = lost.iter().copied().collect();
        for node in lost {
            self.state[node.index()].next = Some(*node);
        }
        while let Some(node) = queue.pop_front() {
            seen += 1;
            let far = self.state[node.index()].far + 1;
            for &(by, weight) in &graph.nodes[node.index()].needed_by {
                self.edges += 1;
                let state = &mut self.state[by.index()];
                let cause = state.dead && (weight.is_none() || state.last_place == Some(node));
                if cause && state.next.is_none() {
                    (state.next, state.far) = (Some(node), far);
                    queue.push_back(by);
                }
            }
        }
        debug_assert_eq!(seen, self.dead.len(), "each dead node died of something");
    }

    pub(crate) fn is_dead(&self, node: NodeId) -> bool {
        self.state[node.index()].dead
    }

    /// The place with whose loss a node had too little left; nothing when it died of a need.
    pub(crate) fn last_place(&self, node: NodeId) -> Option<NodeId> {
        self.state[node.index()].last_place
    }

    /// How many steps a dead node is from a lost site.
    pub(crate) fn far(&self, node: NodeId) -> u32 {
        self.state[node.index()].far
    }

    /// The shortest way from a dead node to a lost site, both included.
    pub(crate) fn way(&self, node: NodeId) -> Vec<NodeId> {
        let mut way = vec![node];
        let mut last = node;
        while let Some(next) = self.state[last.index()].next.filter(|next| *next != last) {
            way.push(next);
            last = next;
        }
        way
    }

    /// What the dead among `asked` died of in the end: nodes whose own places are lost. In the
    /// order of nearness to what asked, and each once for a loss, however often this is called.
    pub(crate) fn bottom(
        &mut self,
        graph: &Graph<'_>,
        asked: impl IntoIterator<Item = NodeId>,
    ) -> Vec<NodeId> {
        let mut queue = VecDeque::new();
        for node in asked {
            let state = &mut self.state[node.index()];
            if state.dead && !state.asked {
                state.asked = true;
                queue.push_back(node);
            }
        }
        let mut bottom = Vec::new();
        while let Some(node) = queue.pop_front() {
            let homeless = self.last_place(node).is_some();
            if homeless {
                bottom.push(node);
            }
            let Node { needs, places, .. } = &graph.nodes[node.index()];
            let places = places.iter().filter(|_| homeless).map(|(place, _)| place);
            for need in needs.iter().chain(places) {
                self.edges += 1;
                let state = &mut self.state[need.index()];
                if state.dead && !state.asked {
                    (state.asked, state.from) = (true, Some(node));
                    queue.push_back(*need);
                }
            }
        }
        bottom
    }

    /// The way from what asked to a node that [`Loss::bottom`] found, both included.
    pub(crate) fn way_down(&self, node: NodeId) -> Vec<NodeId> {
        let mut way = vec![node];
        while let Some(from) = way.last().and_then(|last| self.state[last.index()].from) {
            way.push(from);
        }
        way.reverse();
        way
    }
}
