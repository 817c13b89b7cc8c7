//! A bundle: a fleet and its playbooks, immutable, named by digest.

use crate::compose;
use crate::date::Date;
use crate::decode::{Context, Decoder, Object, Reference};
use crate::finding::code::Group;
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::Fleet;
use crate::ids::{Digest, PlaybookId};
use crate::lint;
use crate::playbook::Playbook;
use crate::rules::Rules;
use crate::schema::{fleet::FLEET, playbook::PLAYBOOK};
use crate::source::{Place, SourceFile};
use crate::waiver::{self, Waiver};
use crate::yaml::{self, Kind, Node};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A fleet and its playbooks, without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Over the files' names, without their folders, and texts, whatever their order.
    pub digest: Digest,
    /// The fleet.
    pub fleet: Fleet,
    /// The playbooks, each with the steps of those that it runs.
    pub playbooks: BTreeMap<PlaybookId, Playbook>,
    /// What it was made from, sorted by name.
    pub files: Vec<SourceFile>,
    rules: Arc<Rules>,
}

/// One file, decoded.
pub(crate) enum Document {
    Fleet { fleet: Box<Fleet>, references: Vec<Reference> },
    Playbook { playbook: Box<Playbook>, references: Vec<Reference> },
}

/// All files, decoded, right or wrong.
pub(crate) struct Documents {
    pub(crate) list: Vec<Document>,
    /// Part of some file could not be read: what is named elsewhere may be there.
    pub(crate) cut: bool,
    /// Some file is neither a fleet nor a playbook, as far as it can be read.
    pub(crate) unknown: bool,
    /// What people have accepted, of all files.
    pub(crate) waivers: Vec<Waiver>,
}

impl Bundle {
    /// Reads files in any order. All findings of all files are returned; the bundle only when
    /// none of them is an error. What grows old is not judged: a bundle that was good when it
    /// was applied must not be refused in the night in which it is needed.
    pub fn load(files: Vec<SourceFile>) -> (Option<Self>, Findings) {
        Self::load_on(files, None)
    }

    /// As [`Bundle::load`], and judges what grows old as of `today`.
    pub fn load_on(files: Vec<SourceFile>, today: Option<Date>) -> (Option<Self>, Findings) {
        Self::read(files, today, false)
    }

    /// The bundle of files that were applied before, perhaps by a version that judged less: only
    /// what keeps them from being understood stands against it. Whoever applied them has
    /// answered for the rest, and in the night in which they are needed there is nothing better.
    pub fn load_applied(files: Vec<SourceFile>) -> (Option<Self>, Findings) {
        Self::read(files, None, true)
    }

    fn read(mut files: Vec<SourceFile>, today: Option<Date>, applied: bool) -> (Option<Self>, Findings) {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let mut findings = Findings::default();
        let documents = decode(&files, &mut findings);
        lint::lint(&documents, today, &mut findings);
        waiver::apply(&documents.waivers, today, documents.cut, &mut findings);
        let understood = !findings.has_errors_in(Group::Structure);
        let findings = findings.finish(&files);
        if !understood || (findings.has_errors() && !applied) {
            return (None, findings);
        }
        let mut fleet = None;
        let mut playbooks = BTreeMap::new();
        for document in documents.list {
            match document {
                Document::Fleet { fleet: found, .. } => fleet = Some(*found),
                Document::Playbook { playbook, .. } => {
                    playbooks.insert(playbook.id.value.clone(), *playbook);
                }
            }
        }
        let playbooks = whole(playbooks);
        let digest = digest(&files);
        let bundle = fleet.map(|fleet| {
            let rules = Arc::new(rules(&fleet, &playbooks));
            Self { digest, fleet, playbooks, files, rules }
        });
        (bundle, findings)
    }

    /// What decisions read; made once, when the bundle was.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.clone()
    }
}

/// With the steps of the playbooks that they run; what stands against that has been reported.
fn whole(mut playbooks: BTreeMap<PlaybookId, Playbook>) -> BTreeMap<PlaybookId, Playbook> {
    let named = playbooks.iter().map(|(id, playbook)| (id.as_str(), playbook)).collect();
    let mut composed: BTreeMap<PlaybookId, Option<Playbook>> = BTreeMap::new();
    for (id, playbook) in compose::all(&named, &mut Findings::default()) {
        let new = match playbook {
            Cow::Borrowed(_) => None,
            Cow::Owned(playbook) => Some(playbook),
        };
        composed.insert(id.into(), new);
    }
    playbooks.retain(|id, playbook| match composed.remove(id) {
        Some(new) => {
            new.into_iter().for_each(|new| *playbook = new);
            true
        }
        None => false,
    });
    playbooks
}

fn rules(fleet: &Fleet, playbooks: &BTreeMap<PlaybookId, Playbook>) -> Rules {
    let mut rules = fleet.rules();
    for entry in &mut rules.on_loss {
        let Some(playbook) = playbooks.get(&entry.playbook) else { continue };
        entry.confirm = entry.confirm.max(playbook.confirm.unwrap_or_default());
        let services = fleet.with_needs(playbook.services.iter().map(|service| &service.value));
        entry.moves = services.into_keys().cloned().collect();
    }
    rules
}

/// The same files have the same digest from wherever they are read.
fn digest(files: &[SourceFile]) -> Digest {
    let base = |file: &SourceFile| file.name.rsplit('/').next().unwrap_or_default().to_owned();
    let mut named: Vec<_> = files.iter().map(|file| (base(file), &file.text)).collect();
    named.sort();
    Digest::of(named.iter().flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()]))
}

pub(crate) fn decode(files: &[SourceFile], findings: &mut Findings) -> Documents {
    let mut documents = Documents { list: Vec::new(), cut: false, unknown: false, waivers: Vec::new() };
    for (index, file) in files.iter().enumerate() {
        let tree = yaml::parse(index, file, findings);
        documents.cut |= tree.cut;
        match tree.root {
            Some(root) => {
                let Some((document, waivers)) = document(&root, tree.cut, findings) else {
                    documents.unknown = true;
                    continue;
                };
                documents.list.push(document);
                documents.waivers.extend(waivers);
            }
            None if tree.cut => {}
            None => {
                documents.unknown = true;
                let at = Place { file: u32::try_from(index).unwrap_or(u32::MAX), start: 0, end: 0 };
                findings.push(not_ours(at, "this file is empty"));
            }
        }
    }
    documents
}

fn not_ours(at: Place, message: &str) -> Finding {
    Finding::new(code::NOT_OURS, at, message)
        .help("a fleet begins with `api: standfast/v1` and `fleet: NAME`, a playbook with `api` and `playbook: NAME`")
}

/// Decides by its key what a document is, and decodes it.
fn document(root: &Node<'_>, cut: bool, findings: &mut Findings) -> Option<(Document, Vec<Waiver>)> {
    let start = root.at.beginning();
    let entries = match &root.kind {
        Kind::Map { entries, .. } => entries,
        Kind::Bad => return None,
        _ if cut => return None,
        Kind::Empty => {
            findings.push(not_ours(start, "this file is empty"));
            return None;
        }
        _ => {
            findings.push(not_ours(start, "this file is not a map"));
            return None;
        }
    };
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    // By its own key, or by one that only it has when that is missing.
    let is_fleet = has("fleet") || (has("sites") && !has("playbook"));
    let is_playbook = has("playbook") || has("steps");
    match (is_fleet, is_playbook) {
        (true, false) => {
            let mut decoder = Decoder::new(Context::Fleet, findings);
            let root: Object = decoder.object(entries, FLEET, root.at, cut);
            let references = std::mem::take(&mut decoder.references);
            let document = Document::Fleet { fleet: Box::new(Fleet::build(&root)), references };
            Some((document, waiver::collect(&root)))
        }
        (false, true) => {
            let mut decoder = Decoder::new(Context::Playbook, findings);
            let root: Object = decoder.object(entries, PLAYBOOK, root.at, cut);
            let references = std::mem::take(&mut decoder.references);
            let playbook = Box::new(Playbook::build(&root, findings));
            Some((Document::Playbook { playbook, references }, waiver::collect(&root)))
        }
        (true, true) => {
            findings.push(not_ours(start, "this file is both a fleet and a playbook"));
            None
        }
        (false, false) if cut => None,
        (false, false) => {
            let keys: Vec<_> = entries.iter().take(3).map(|entry| quoted(&entry.key)).collect();
            let message = match keys.is_empty() {
                true => "this file is an empty map".into(),
                false => {
                    format!("this is neither a fleet nor a playbook: it begins with {}", keys.join(", "))
                }
            };
            findings.push(not_ours(start, &message));
            None
        }
    }
}
