//! Changes to files: by bytes, by words, and by the shape of the YAML.

use std::sync::LazyLock;

use standfast_core::finding::{Findings, code};
use standfast_core::schema::calls::{ACTIONS, CONDITIONS};
use standfast_core::schema::fleet::FLEET;
use standfast_core::schema::playbook::{ENVELOPE, PLAYBOOK};
use standfast_core::schema::{Field, Type};
use standfast_core::yaml::{self, Kind, Node};

use crate::dice::Dice;
use crate::{Target, pool};

/// Inputs grow no larger than this: what is slow for its size is found in small ones too.
const MAX_BYTES: usize = 64 << 10;

/// What means something to some reader.
const ODD: [&str; 48] = [
    "",
    "~",
    "null",
    "true",
    "False",
    "0",
    "-1",
    "1.5",
    "1e9",
    "18446744073709551616",
    "0x1f",
    "''",
    "\"",
    "{}",
    "[]",
    "[[",
    "{a: ",
    "- ",
    "? ",
    ": ",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "%YAML 1.2\n",
    "---\n",
    "...\n",
    "|\n",
    ">-\n",
    "#",
    "\t",
    "\r",
    "\r\n",
    "\u{0}",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{10ffff}",
    "$to",
    "$from",
    "$inputs.x",
    "${x}",
    "250ms",
    "9999d",
    "9999-12-31",
    "10.0.0.0/0",
    "https://[::1]:0/",
];

/// Every key and every word of the language.
static WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut words: Vec<&str> = ODD.to_vec();
    words.extend(code::ALL.iter().map(|code| code.id));
    words.extend([
        "a",
        "b",
        "w",
        "shop",
        "shop-db",
        "deploy-tool",
        "shop-web",
        "orders",
        "front",
        "shop-name",
    ]);
    let mut fields: Vec<&'static Field> = FLEET.iter().chain(PLAYBOOK).chain(ENVELOPE).collect();
    for spec in ACTIONS.iter().chain(CONDITIONS) {
        words.push(spec.name);
        fields.extend(spec.fields);
    }
    while let Some(field) = fields.pop() {
        words.push(field.name);
        inside(&field.ty, &mut fields, &mut words);
    }
    words.sort_unstable();
    words.dedup();
    words
});

fn inside(ty: &'static Type, fields: &mut Vec<&'static Field>, words: &mut Vec<&'static str>) {
    match ty {
        Type::Choice(choice) => words.extend(*choice),
        Type::Object(inner) | Type::Variant(inner) => fields.extend(*inner),
        Type::NoneOr(inner)
        | Type::OneOrMany(inner)
        | Type::List(inner)
        | Type::Map(inner)
        | Type::PerSite(inner)
        | Type::PerService(inner) => inside(inner, fields, words),
        Type::Brief(word, map) => {
            inside(word, fields, words);
            inside(map, fields, words);
        }
        _ => {}
    }
}

/// A changed copy of one of the pool, with parts of another.
pub fn mutate(target: Target, pool: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let Some(mut input) = dice.one_of(pool).cloned() else { return Vec::new() };
    let donor = dice.one_of(pool).cloned().unwrap_or_default();
    // Mostly one change; the proof needs files that can still be read.
    let most = if dice.once_in(4) { 6 } else { 2 };
    let changes = 1 + dice.below(most);
    for _ in 0..changes {
        let by_shape = match target {
            Target::Parser => dice.once_in(2),
            Target::Proof => !dice.once_in(12),
            Target::Trap => false,
        };
        if !(by_shape && shape(&mut input, &donor, dice)) {
            bytes(&mut input, &donor, dice);
        }
    }
    input.truncate(MAX_BYTES);
    input
}

/// Some range of a length.
fn range(length: usize, dice: &mut Dice) -> std::ops::Range<usize> {
    let start = dice.below(length + 1);
    let most = if dice.once_in(8) { length } else { 40 };
    start..(start + dice.below(most + 1)).min(length)
}

fn bytes(input: &mut Vec<u8>, donor: &[u8], dice: &mut Dice) {
    let at = range(input.len(), dice);
    match dice.below(7) {
        0 => drop(input.drain(at)),
        1 => {
            let part = input[at.clone()].to_vec();
            let times = 1 + if dice.once_in(10) { dice.below(2_000) } else { dice.below(3) };
            let room = MAX_BYTES.saturating_sub(input.len());
            let times = times.min(room / part.len().max(1));
            input.splice(at.end..at.end, part.repeat(times));
        }
        2 => {
            let word = dice.one_of(&WORDS).copied().unwrap_or_default();
            input.splice(at, word.bytes());
        }
        3 => {
            let part = range(donor.len(), dice);
            input.splice(at, donor[part].iter().copied());
        }
        4 => {
            let byte = dice.byte();
            if let Some(place) = input.get_mut(at.start) {
                *place = byte;
            }
        }
        5 => input.truncate(at.start),
        _ => {
            let byte = dice.byte();
            input.insert(at.start, byte);
        }
    }
}

/// A part of a file, as bytes of the whole input.
struct Part {
    start: usize,
    end: usize,
    /// A key, an entry with its key, or a value.
    kind: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Key,
    Entry,
    Value,
}

/// Changes the shape of what can be read of an input; false when there is nothing.
fn shape(input: &mut Vec<u8>, donor: &[u8], dice: &mut Dice) -> bool {
    let parts = parts(input);
    let Some(part) = dice.one_of(&parts) else { return false };
    let text = |part: &Part, of: &[u8]| of[part.start..part.end].to_vec();
    let new: Vec<u8> = match dice.below(8) {
        0 => Vec::new(),
        1..=3 => dice.one_of(&WORDS).map(|word| word.as_bytes().to_vec()).unwrap_or_default(),
        4 | 5 => {
            // What stands elsewhere in the same file: most names there point at something.
            let same: Vec<&Part> = parts.iter().filter(|other| other.kind == part.kind).collect();
            dice.one_of(&same).map(|other| text(other, input)).unwrap_or_default()
        }
        6 => {
            let others = self::parts(donor);
            let same: Vec<&Part> = others.iter().filter(|other| other.kind == part.kind).collect();
            dice.one_of(&same).map(|other| text(other, donor)).unwrap_or_default()
        }
        _ => {
            // Twice, under another name: a sibling.
            let own = text(part, input);
            let name = format!("x{}", dice.below(50));
            let own = String::from_utf8_lossy(&own).into_owned();
            let copy = match (part.kind, own.split_once(':')) {
                (What::Entry, Some((_, rest))) => format!("{name}:{rest}"),
                _ => name,
            };
            let line = input[..part.start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let indent = " ".repeat(part.start - line);
            let block = own.contains('\n') || input[part.end..].first().is_none_or(|byte| *byte == b'\n');
            let between = if block { format!("\n{indent}") } else { ", ".into() };
            format!("{own}{between}{copy}").into_bytes()
        }
    };
    let (start, end) = (part.start, part.end);
    input.splice(start..end, new);
    true
}

/// Keys, entries and values of all files of an input.
fn parts(input: &[u8]) -> Vec<Part> {
    let Ok(text) = std::str::from_utf8(input) else { return Vec::new() };
    let mut parts = Vec::new();
    let mut offset = 0;
    for file in pool::split(text) {
        // Where its text stands in the input: files come in their order.
        let Some(at) = text[offset..].find(&file.text).map(|found| offset + found) else { continue };
        offset = at + file.text.len();
        let tree = yaml::parse(0, &file, &mut Findings::default());
        if let Some(root) = tree.root {
            walk(&root, at, &mut parts);
        }
    }
    parts.retain(|part| part.end <= input.len() && part.start <= part.end);
    parts
}

fn walk(node: &Node<'_>, offset: usize, parts: &mut Vec<Part>) {
    let part = |start: u32, end: u32, kind| Part {
        start: offset + start as usize,
        end: offset + end as usize,
        kind,
    };
    parts.push(part(node.at.start, node.at.end, What::Value));
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| walk(item, offset, parts)),
        Kind::Map { entries, .. } => {
            for entry in entries {
                parts.push(part(entry.key_at.start, entry.key_at.end, What::Key));
                let end = entry.value.at.end.max(entry.key_at.end);
                parts.push(part(entry.key_at.start, end, What::Entry));
                walk(&entry.value, offset, parts);
            }
        }
        _ => {}
    }
}
