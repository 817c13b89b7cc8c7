//! The proof of a site's loss: with the site gone, and with all that dies of it, can every step
//! of the playbooks that leave it still be done?
//!
//! Nothing here reads a finding from a field. Sites, hosts, secrets, resources, services and
//! people become one graph of needs; a loss is a set of its sites, and what dies is what is
//! reached from there. Every site that a playbook may leave is lost once, and every set of
//! sites that share a power feed or a fire compartment with it.

mod areas;
mod capacity;
mod claims;
mod control;
mod cycles;
mod evidence;
pub mod generate;
mod graph;
mod locate;
mod model;
mod needs;
mod order;
mod quorum;
mod ramp;
mod site_loss;
pub mod survival;
#[cfg(test)]
mod tests;

use crate::date::Date;
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::Fleet;
use crate::lint::bindings;
use crate::plan::{Mode, Unreachable};
use crate::playbook::{Playbook, Step};
use crate::source::Place;
use graph::Loss;
use model::Model;
use needs::{Between, Needs};
use std::collections::{BTreeMap, BTreeSet};

/// A playbook that may be run when a site is gone.
struct Book<'a> {
    playbook: &'a Playbook,
    /// From top to bottom.
    steps: Vec<&'a Step>,
    /// From which site to which, by number.
    ways: BTreeSet<(usize, usize)>,
    /// What it moves, and what that needs, by number.
    moved: BTreeSet<usize>,
}

impl Book<'_> {
    /// Whether it leads out of an area.
    fn leaves(&self, area: &areas::Area) -> bool {
        self.ways.iter().any(|(from, to)| area.has(*from) && !area.has(*to))
    }
}

/// Something that must work while a site is gone.
struct Asked<'a> {
    what: What<'a>,
    at: Place,
    needs: Needs,
    /// By number of the book, and the sites between which it runs.
    book: usize,
    to: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What<'a> {
    Require(&'static str),
    Act(&'a Step),
    Verify(&'a Step),
    Probe(&'static str, &'a str),
}

/// Adds what a loss would leave undone. The names in these files were all found, playbooks are
/// composed, and `inner` are those that others run: they are proven there.
pub(crate) fn prove(
    fleet: &Fleet,
    playbooks: &BTreeMap<&str, &Playbook>,
    inner: &BTreeSet<&str>,
    today: Option<Date>,
    findings: &mut Findings,
) {
    prove_counting(fleet, playbooks, inner, today, findings);
}

/// Adds the cycles among services alone, when names in these files point at nothing.
pub(crate) fn cycles(fleet: &Fleet, findings: &mut Findings) {
    cycles::lint(&Model::of(fleet), findings);
}

/// As [`prove`]; returns how many edges were looked at, which is what its time grows with.
fn prove_counting(
    fleet: &Fleet,
    playbooks: &BTreeMap<&str, &Playbook>,
    inner: &BTreeSet<&str>,
    today: Option<Date>,
    findings: &mut Findings,
) -> u64 {
    let mut model = Model::of(fleet);
    let books = books(&model, playbooks, inner);
    let asked = asked(&mut model, &books);
    // Nothing is added to the graph from here on.
    let mut loss = Loss::of(&model.graph);
    let mut seen = site_loss::Seen::default();
    for area in areas::of(&model, &books) {
        let lost: Vec<_> = area.sites.iter().map(|site| model.site_node(*site)).collect();
        loss.lose(&model.graph, &lost);
        site_loss::judge(&model, &books, &asked, &area, &mut loss, &mut seen, findings);
        control::judge(&model, &books, &area, &loss, &mut seen, findings);
    }
    unplaced(&model, findings);
    quorum::lint(&model, findings);
    control::lint(&model, findings);
    cycles::lint(&model, findings);
    claims::lint(&model, findings);
    let orders: Vec<_> = books.iter().map(|book| order::Order::of(&model, book)).collect();
    order::lint(&model, &orders, findings);
    capacity::lint(&model, &books, &orders, findings);
    evidence::lint(&model, &books, playbooks, today, findings);
    ramp::lint(&model, &books, findings);
    loss.edges
}

/// The playbooks that are run in emergencies; of those that others run, only those that
/// `on_loss` names too.
fn books<'a>(
    model: &Model<'a>,
    playbooks: &BTreeMap<&str, &'a Playbook>,
    inner: &BTreeSet<&str>,
) -> Vec<Book<'a>> {
    let named: BTreeSet<&str> =
        model.fleet.on_loss.iter().map(|entry| entry.playbook.value.as_str()).collect();
    let outer = playbooks.iter().filter(|(name, _)| !inner.contains(*name) || named.contains(*name));
    let emergency = outer.filter(|(_, playbook)| playbook.modes.contains(&Mode::Emergency));
    let number = |(from, to)| Some((model.site(from)?, model.site(to)?));
    emergency
        .map(|(_, playbook)| Book {
            playbook,
            steps: playbook.flat().filter(|step| step.runs_in(Mode::Emergency)).collect(),
            ways: bindings::pairs(model.fleet, playbook).into_iter().filter_map(number).collect(),
            moved: closure(model, model::numbers(model, &playbook.services)),
        })
        .collect()
}

/// These services and all that they need, directly or through others.
fn closure(model: &Model<'_>, services: impl Iterator<Item = usize>) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    let mut next: Vec<usize> = services.collect();
    while let Some(service) = next.pop() {
        if all.insert(service) {
            next.extend(model.needs_of(service));
        }
    }
    all
}

/// Everything that must work, by the site that is left.
fn asked<'a>(model: &mut Model<'a>, books: &[Book<'a>]) -> BTreeMap<usize, Vec<Asked<'a>>> {
    let mut asked: BTreeMap<usize, Vec<Asked<'a>>> = BTreeMap::new();
    for (book, Book { playbook, steps, ways, .. }) in books.iter().enumerate() {
        for &(from, to) in ways {
            let between = Between::Sites(from, to);
            let list = asked.entry(from).or_default();
            let mut ask = |what, at, needs| list.push(Asked { what, at, needs, book, to });
            // What a person may waive does not stop a run.
            for required in playbook.require.iter().filter(|required| required.override_by.is_none()) {
                let call = &required.call;
                ask(What::Require(call.spec.name), call.key_at, model.needs(call, between));
            }
            // A step that may be passed over when its target does not answer is no need.
            for step in steps.iter().filter(|step| step.unreachable != Unreachable::Skip) {
                let mut needs = model.needs(&step.call, between);
                let uses: Vec<_> = model::numbers(model, &step.uses).collect();
                needs.add(uses.into_iter().map(|service| model.service_node(service)));
                ask(What::Act(step), step.call.key_at, needs);
                for call in step.verify.iter().flat_map(|verify| &verify.all) {
                    ask(What::Verify(step), call.key_at, model.needs(call, between));
                }
            }
            let probes = model.fleet.probes.get(model.sites[to]);
            for call in probes.iter().flat_map(|probes| &probes.calls) {
                let mut needs = model.needs(call, Between::Probe(to));
                // What is asked may be down; that it can be asked is what counts.
                needs.retain(|node| model.service_of(node).is_none());
                ask(What::Probe(call.spec.name, model.sites[to].as_str()), call.key_at, needs);
            }
        }
    }
    asked
}

/// Hosts that stand nowhere. A fleet that says of no site what stands in it cannot say it of a
/// host, and is only asked to when its proof is to be full.
fn unplaced(model: &Model<'_>, findings: &mut Findings) {
    if !model.map.says() && !model.fleet.full_proof {
        return;
    }
    for (at, host) in &model.nowhere {
        let message = format!("nothing says in which site {} stands", quoted(host));
        findings.push(
            Finding::new(code::UNPLACED, *at, message)
                .help("add its domain or network to a site, or to `outside` if it stands in none of them"),
        );
    }
}
