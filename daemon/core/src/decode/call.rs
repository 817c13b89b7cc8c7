//! Steps, actions and conditions: maps with exactly one dotted key.

use super::{Call, Context, Decoder, Object};
use crate::finding::{Finding, code, quoted};
use crate::schema::{CallKind, Field, Need, Spec, Type, calls};
use crate::source::Place;
use crate::yaml::{Entry, Kind};

impl Decoder<'_> {
    /// A map with exactly one dotted key of this kind, and these keys beside it.
    pub(super) fn call(
        &mut self,
        entries: &[Entry<'_>],
        kind: CallKind,
        fields: &'static [Field],
        at: Place,
        cut: bool,
    ) -> Object {
        let is_dotted = |entry: &&Entry<'_>| entry.key.contains('.');
        let dotted: Vec<&Entry<'_>> = entries.iter().filter(is_dotted).collect();
        let mut object = Object::with_room(at, entries.len(), fields);
        for entry in entries.iter().filter(|entry| !is_dotted(entry)) {
            match fields.iter().find(|field| field.name == entry.key) {
                Some(field) => self.field(entry, field, &mut object),
                None => {
                    let known = fields.iter().map(|field| field.name);
                    self.unknown_key(entry, known.chain(calls::table(kind).iter().map(|spec| spec.name)));
                }
            }
        }
        let block = object.was_given("parallel");
        if block {
            for (name, at) in object.given.iter().filter(|(name, _)| !matches!(*name, "id" | "parallel")) {
                let message = format!("{} has no place beside `parallel`", quoted(name));
                let help = "a parallel block has an `id` and steps, nothing else: put it on the steps";
                self.findings.push(Finding::new(code::EXCLUSIVE, *at, message).help(help));
            }
        }
        self.complete(&mut object, fields, cut);
        let noun = if kind == CallKind::Action { "action" } else { "condition" };
        match dotted.as_slice() {
            [] if block || cut => {}
            [] => {
                let start = at.beginning();
                let message = format!("there is no {noun} here: exactly one dotted key names it");
                self.report(Finding::new(code::ONE_ACTION, start, message));
            }
            [first, ..] => {
                for extra in dotted.iter().skip(usize::from(!block)) {
                    let message = match block {
                        true => format!("{} beside `parallel`: a step does one thing", quoted(&extra.key)),
                        false => format!("{} is a second {noun}: a step has exactly one", quoted(&extra.key)),
                    };
                    self.report(Finding::new(code::ONE_ACTION, extra.key_at, message));
                }
                object.call = self.one_call(first, kind);
            }
        }
        object
    }

    fn one_call(&mut self, entry: &Entry<'_>, kind: CallKind) -> Option<Call> {
        let Some(spec) = calls::table(kind).iter().find(|spec| spec.name == entry.key) else {
            self.unknown_call(entry, kind);
            return None;
        };
        let outer = std::mem::replace(&mut self.in_call, true);
        let call = self.arguments(entry, spec);
        self.in_call = outer;
        call
    }

    fn arguments(&mut self, entry: &Entry<'_>, spec: &'static Spec) -> Option<Call> {
        let Kind::Map { entries, cut } = &entry.value.kind else {
            return self.wrong_type(&entry.value, &Type::Object(spec.fields));
        };
        let args = self.object(entries, spec.fields, entry.value.at, *cut);
        if !spec.one_of.is_empty() {
            self.exactly_one(&args, spec.one_of, *cut);
        }
        let at = spec.fields.iter().find(|field| field.need == Need::InPlaybook);
        if let Some(at) = at
            && self.context == Context::Playbook
            && !args.was_given(at.name)
            && !cut
        {
            let message = format!("the key {} is missing", quoted(at.name));
            self.report(
                Finding::new(code::MISSING_KEY, entry.key_at, message)
                    .help(format!("{}: {}", at.name, at.doc)),
            );
        }
        Some(Call { spec, key_at: entry.key_at, args: Box::new(args) })
    }

    fn unknown_call(&mut self, entry: &Entry<'_>, kind: CallKind) {
        let (noun, other) = match kind {
            CallKind::Action => ("action", CallKind::Condition),
            CallKind::Condition => ("condition", CallKind::Action),
        };
        let finding = Finding::new(
            code::UNKNOWN_ACTION,
            entry.key_at,
            format!("unknown {noun} {}", quoted(&entry.key)),
        );
        let elsewhere = calls::table(other).iter().any(|spec| spec.name == entry.key);
        self.report(match (elsewhere, kind) {
            (true, CallKind::Action) => finding.help("it is a condition: ask it in `verify` or `wait.until`"),
            (true, CallKind::Condition) => finding.help("it is an action: make it a step"),
            _ => finding.did_you_mean(&entry.key, calls::table(kind).iter().map(|spec| spec.name)),
        });
    }
}
