//! What an action or a condition needs: every name in its arguments, by the tables of the
//! language, so that an action that is new there is understood here.

use super::graph::{Loss, NodeId};
use super::locate::hosts_of_word;
use super::model::Model;
use crate::decode::{Call, Object, Value, Var};
use crate::ids::SiteId;
use crate::schema::Type;
use std::collections::BTreeSet;

/// Between which sites a call is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Between {
    /// A playbook, run from one site to another.
    Sites(usize, usize),
    /// A probe of a site.
    Probe(usize),
}

/// What a call needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs {
    /// All of these.
    pub(crate) all: BTreeSet<NodeId>,
    /// One of these, each a list of nodes that are all needed; empty when there is no choice.
    pub(crate) any: Vec<BTreeSet<NodeId>>,
}

impl Needs {
    /// These too.
    pub(crate) fn add(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        self.all.extend(nodes);
    }

    /// Only those of all that are kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(NodeId) -> bool) {
        self.all.retain(|node| keep(*node));
    }

    /// What of it is dead: the needed nodes, the nearest to a lost site first; empty when all
    /// that is needed is left.
    pub(crate) fn dead(&self, loss: &Loss) -> Vec<NodeId> {
        let dead = |nodes: &BTreeSet<NodeId>| -> Vec<NodeId> {
            nodes.iter().copied().filter(|node| loss.is_dead(*node)).collect()
        };
        let mut found = dead(&self.all);
        let choices: Vec<_> = self.any.iter().map(dead).collect();
        if choices.iter().all(|dead| !dead.is_empty()) {
            found.extend(choices.into_iter().flatten());
        }
        found.sort_by_key(|node| (loss.far(*node), *node));
        found.dedup();
        found
    }
}

impl Model<'_> {
    /// What a call needs.
    pub(crate) fn needs(&mut self, call: &Call, between: Between) -> Needs {
        let mut needs = Needs::default();
        match call.spec.name {
            "fence.prove" => needs.any = self.proofs(call, between),
            _ => self.arguments(call, between, &mut needs.all),
        }
        needs
    }

    fn arguments(&mut self, call: &Call, between: Between, all: &mut BTreeSet<NodeId>) {
        let at = self.site_of(call, between);
        for field in call.spec.fields {
            if let Some(value) = call.args.get(field.name) {
                match field.name {
                    "command" | "run" => self.words(&value.value, all),
                    _ => self.value(&value.value, &field.ty, at, between, all),
                }
            }
        }
    }

    /// The site that a call is about.
    fn site_of(&self, call: &Call, between: Between) -> Option<usize> {
        let sites = call.spec.fields.iter().filter(|field| matches!(field.ty, Type::Site));
        let named = sites.filter_map(|field| call.args.get(field.name)).find_map(|value| {
            match (&value.value, between) {
                (Value::Var(Var::From), Between::Sites(from, _)) => Some(from),
                (Value::Var(Var::To), Between::Sites(_, to)) => Some(to),
                (Value::Text(name), _) => self.site(&SiteId::new(name.as_str())),
                _ => None,
            }
        });
        named.or(match between {
            Between::Probe(site) => Some(site),
            Between::Sites(..) => None,
        })
    }

    fn value(
        &mut self,
        value: &Value,
        ty: &Type,
        at: Option<usize>,
        between: Between,
        all: &mut BTreeSet<NodeId>,
    ) {
        match (value, ty) {
            (Value::Text(name), Type::Resource(_)) => {
                all.extend(self.side(name, at));
                let owners: Vec<usize> = self.owners_of(name).to_vec();
                all.extend(owners.into_iter().map(|owner| self.service_node(owner)));
            }
            (Value::Text(name), Type::Service) => {
                let number = self.service(&name.as_str().into());
                all.extend(number.map(|number| self.service_node(number)));
            }
            (Value::Text(name), Type::Role) => all.extend(self.role(name)),
            (Value::Text(text), Type::Url | Type::Address | Type::Socket) => {
                if let Some(host) = super::locate::host_of(text) {
                    all.extend(self.host(&host, None));
                }
            }
            (Value::Secret(name), _) => all.extend(self.secret(name)),
            (Value::List(items), Type::List(inner) | Type::OneOrMany(inner)) => {
                for item in items {
                    self.value(&item.value, inner, at, between, all);
                }
            }
            (Value::Map(entries), Type::Map(inner)) => {
                for (_, item) in entries {
                    self.value(&item.value, inner, at, between, all);
                }
            }
            (Value::Object(object), _) => self.object(object, between, all),
            _ => {}
        }
    }

    /// Conditions inside of an action: what is waited for, gates.
    fn object(&mut self, object: &Object, between: Between, all: &mut BTreeSet<NodeId>) {
        if let Some(call) = &object.call {
            self.arguments(call, between, all);
        }
        for (_, value) in &object.fields {
            match &value.value {
                Value::Object(inner) => self.object(inner, between, all),
                Value::List(items) => {
                    for inner in items.iter().filter_map(|item| item.value.object()) {
                        self.object(inner, between, all);
                    }
                }
                Value::Secret(name) => all.extend(self.secret(name)),
                _ => {}
            }
        }
    }

    /// Words of a command name hosts only where a site's domain or network says so.
    fn words(&mut self, value: &Value, all: &mut BTreeSet<NodeId>) {
        for word in value.texts() {
            all.extend(self.hosts_in_word(&word.value));
        }
    }

    fn hosts_in_word(&mut self, word: &str) -> Vec<NodeId> {
        hosts_of_word(word).iter().filter_map(|host| self.host(host, None)).collect()
    }

    /// What each proof of a fence needs; one is enough.
    fn proofs(&mut self, call: &Call, between: Between) -> Vec<BTreeSet<NodeId>> {
        let Some(site) = self.site_of(call, between) else { return Vec::new() };
        let mut proofs = Vec::new();
        for proof in call.args.texts("any_of") {
            proofs.push(match proof.value.as_str() {
                // The old primary itself would have to answer.
                "writes_refused" => BTreeSet::from([self.site_node(site)]),
                "power_off" => match self.fleet.power_off(self.sites[site]) {
                    Some(command) => command.iter().flat_map(|word| self.hosts_in_word(word)).collect(),
                    None => continue,
                },
                "operator_word" => {
                    call.args.text("role").and_then(|role| self.role(role)).into_iter().collect()
                }
                _ => BTreeSet::new(),
            });
        }
        proofs
    }
}
