//! YAML as a tree that knows where everything was written.
//!
//! Serde stops at its first error; this tree lets the decoder report all of them. Only plain
//! data is read: no anchors, aliases, tags, directives or further documents, so that a file
//! means what it shows. On a syntax error the parser stops; what was finished before is kept
//! and decoded, and what was cut is marked so that nothing is reported as missing in it.

use crate::finding::{Finding, Findings, code, quoted};
use crate::source::{MAX_BYTES, Place, SourceFile};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, options};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Deeper nesting is refused.
pub const MAX_DEPTH: usize = 32;
/// More values than this in one file are refused.
pub const MAX_NODES: usize = 400_000;

/// A value and where it stands, borrowed from the text of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// Where.
    pub at: Place,
    /// What.
    pub kind: Kind<'a>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Text; `plain` when written without quotes.
    Scalar {
        /// After escapes.
        text: Cow<'a, str>,
        /// Without quotes: only then can it be a number or a truth value.
        plain: bool,
    },
    /// Nothing, `~` or `null`.
    Empty,
    /// A list.
    List(Vec<Node<'a>>),
    /// A map in the order of the file, its keys distinct.
    Map {
        /// Keys and values.
        entries: Vec<Entry<'a>>,
        /// Cut off by a syntax error: keys may be missing.
        cut: bool,
    },
    /// Something that was reported already; never report it again.
    Bad,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key.
    pub key: Cow<'a, str>,
    /// Where the key stands.
    pub key_at: Place,
    /// The value.
    pub value: Node<'a>,
}

/// What was read of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree<'a> {
    /// The document, if there is anything.
    pub root: Option<Node<'a>>,
    /// Whether part of the file could not be read.
    pub cut: bool,
}

/// A collection that is still open.
struct Open<'a> {
    at: Place,
    body: Body<'a>,
}

enum Body<'a> {
    List(Vec<Node<'a>>),
    Map { entries: Vec<Entry<'a>>, key: Option<Key<'a>> },
}

/// A key that waits for its value; without text when it cannot be used.
struct Key<'a> {
    text: Option<Cow<'a, str>>,
    at: Place,
}

struct Builder<'a, 'f> {
    file: u32,
    limit: u32,
    findings: &'f mut Findings,
    stack: Vec<Open<'a>>,
    root: Option<Node<'a>>,
    nodes: usize,
    documents: usize,
}

/// Reads a file; what is wrong with it goes to `findings`. Never panics, on any text.
pub fn parse<'a>(index: usize, file: &'a SourceFile, findings: &mut Findings) -> Tree<'a> {
    if file.text.len() > MAX_BYTES {
        findings.push(Finding::too_large(&file.name, file.text.len()));
        return Tree { root: None, cut: true };
    }
    let options = options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder {
        file: u32::try_from(index).unwrap_or(u32::MAX),
        limit: u32::try_from(file.text.len()).unwrap_or(u32::MAX),
        findings,
        stack: Vec::new(),
        root: None,
        nodes: 0,
        documents: 0,
    };
    let mut cut = false;
    for event in Parser::new_from_str_with_options(&file.text, options) {
        let stop = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => {
                let place = builder.place(&Span::empty(*error.marker()));
                builder.syntax(place, error.kind());
                Err(())
            }
        };
        if stop.is_err() {
            cut = true;
            break;
        }
    }
    builder.abandon();
    Tree { root: builder.root, cut }
}

impl<'a> Builder<'a, '_> {
    fn place(&self, span: &Span) -> Place {
        let range = span.byte_range().unwrap_or_default();
        let clamp = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX).min(self.limit);
        let (start, end) = (clamp(range.start), clamp(range.end));
        Place { file: self.file, start, end: end.max(start) }
    }

    fn report(&mut self, code: code::Code, at: Place, message: String) {
        self.findings.push(Finding::new(code, at, message));
    }

    fn syntax(&mut self, at: Place, kind: &ErrorKind) {
        match kind {
            ErrorKind::DirectiveDisallowed => {
                self.report(code::FEATURE, at, "directives (`%`) are not read here: remove the line".into());
            }
            ErrorKind::RecursionLimitExceeded => {
                self.report(code::TOO_LARGE, at, format!("nested deeper than {MAX_DEPTH}"));
            }
            _ => self.report(code::SYNTAX, at, format!("not YAML from here on: {kind}")),
        }
    }

    /// Takes one event; `Err` when nothing after it can be read.
    fn event(&mut self, event: Event<'a>, span: &Span) -> Result<(), ()> {
        let at = self.place(span);
        if self.documents > 1 {
            return Ok(());
        }
        if event.is_node() {
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                self.report(code::TOO_LARGE, at, format!("more than {MAX_NODES} values in one file"));
                return Err(());
            }
            if let Some(tag) = event.tag() {
                let place = span.tag_span().map_or(at, |tag| self.place(&tag));
                let message = format!("the tag {} is not read here: remove it", quoted(&tag.original()));
                self.report(code::FEATURE, place, message);
            }
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 2 {
                    self.report(code::FEATURE, at, "a second document: one file holds one".into());
                }
            }
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                let kind = match &*text {
                    "" | "~" | "null" if plain => Kind::Empty,
                    _ => Kind::Scalar { text, plain },
                };
                self.add(Node { at, kind });
            }
            Event::Alias(..) | Event::UnresolvedAlias(..) => {
                self.report(code::FEATURE, at, "aliases (`*`) are not read here: write the value out".into());
                self.add(Node { at, kind: Kind::Bad });
            }
            Event::Anchor(..) => {
                self.report(code::FEATURE, at, "anchors (`&`) are not read here: remove it".into());
            }
            Event::SequenceStart(..) => self.open(at, Body::List(Vec::new()))?,
            Event::MappingStart(..) => self.open(at, Body::Map { entries: Vec::new(), key: None })?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.stack.pop() {
                    let node = self.close(open, Some(at));
                    self.add(node);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, at: Place, body: Body<'a>) -> Result<(), ()> {
        if self.stack.len() >= MAX_DEPTH {
            self.report(code::TOO_LARGE, at, format!("nested deeper than {MAX_DEPTH}"));
            return Err(());
        }
        self.stack.push(Open { at, body });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node<'a>) {
        let Some(open) = self.stack.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        match &mut open.body {
            Body::List(items) => items.push(node),
            Body::Map { entries, key } => match key.take() {
                Some(Key { text: Some(text), at }) => {
                    entries.push(Entry { key: text, key_at: at, value: node })
                }
                Some(Key { text: None, .. }) => {}
                None => {
                    let at = node.at;
                    let (text, odd) = match node.kind {
                        Kind::Scalar { text, .. } => (Some(text), false),
                        kind => (None, kind != Kind::Bad),
                    };
                    *key = Some(Key { at, text });
                    if odd {
                        self.report(code::FEATURE, at, "a key must be text".into());
                    }
                }
            },
        }
    }

    /// Closes what a syntax error left open: finished items and entries are kept, the
    /// innermost unfinished collection is not.
    fn abandon(&mut self) {
        let mut innermost = true;
        while let Some(open) = self.stack.pop() {
            let mut node = self.close(open, None);
            let nothing = match &mut node.kind {
                Kind::Map { cut, .. } => {
                    *cut = true;
                    innermost
                }
                Kind::List(items) => items.iter().all(|item| item.kind == Kind::Bad),
                _ => false,
            };
            if nothing && !self.stack.is_empty() {
                node.kind = Kind::Bad;
            }
            innermost = false;
            self.add(node);
        }
    }

    /// A collection as a node. A flow collection ends at its bracket; a block collection is
    /// closed by whatever comes next, so it ends with its last child.
    fn close(&mut self, open: Open<'a>, end: Option<Place>) -> Node<'a> {
        let mut at = open.at;
        let (kind, last) = match open.body {
            Body::List(items) => {
                let last = items.last().map(|item| item.at.end);
                (Kind::List(items), last)
            }
            Body::Map { mut entries, .. } => {
                let last = entries.last().map(|entry| entry.value.at.end.max(entry.key_at.end));
                self.distinct(&mut entries);
                (Kind::Map { entries, cut: false }, last)
            }
        };
        let bracket = end.filter(|end| end.start < end.end).map(|end| end.end);
        at.end = bracket.or(last).unwrap_or(at.end).max(at.end);
        Node { at, kind }
    }

    /// Reports a key that stands there twice; the first one counts.
    fn distinct(&mut self, entries: &mut Vec<Entry<'a>>) {
        let mut keys: Vec<&str> = entries.iter().map(|entry| &*entry.key).collect();
        keys.sort_unstable();
        if keys.windows(2).all(|pair| pair[0] != pair[1]) {
            return;
        }
        let mut seen = BTreeSet::new();
        let mut repeated = Vec::new();
        entries.retain(|entry| {
            let new = seen.insert(entry.key.clone());
            if !new {
                repeated.push((entry.key_at, format!("the key {} stands here twice", quoted(&entry.key))));
            }
            new
        });
        for (at, message) in repeated {
            self.report(code::DUPLICATE_KEY, at, message);
        }
    }
}

#[cfg(test)]
mod tests;
