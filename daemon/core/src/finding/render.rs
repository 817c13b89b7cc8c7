//! Findings for people, in rustc's form, and for programs, as JSON.

use super::{Finding, Findings, hides, printable};
use crate::finding::code::Severity;
use crate::source::{Place, SourceFile};
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use serde_json::json;
use std::fmt::Write as _;

/// Lines longer than this are named, not shown.
const MAX_LINE: usize = 400;

impl Findings {
    /// Every finding with its source line, and a summary; empty when nothing was found.
    pub fn to_text(&self, files: &[SourceFile], colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for finding in &self.list {
            text.push_str(&render(&renderer, finding, None, files));
            text.push_str("\n\n");
        }
        for waived in &self.waived {
            text.push_str(&render(&renderer, &waived.finding, Some(&waived.terms()), files));
            text.push_str("\n\n");
        }
        if !self.is_empty() || !self.waived.is_empty() {
            let count = |severity| self.list.iter().filter(|f| f.code.severity == severity).count();
            let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
            let plural = |n: usize| if n == 1 { "" } else { "s" };
            let _ = write!(text, "{errors} error{}, {warnings} warning{}", plural(errors), plural(warnings));
            if !self.waived.is_empty() {
                let _ = write!(text, ", {} waived", self.waived.len());
            }
            if self.dropped > 0 {
                let _ = write!(text, ", and {} more that are not shown", self.dropped);
            }
            text.push_str("; `standfast explain ID` tells more\n");
        }
        text
    }

    /// `{"findings": [{id, severity, group, file, line, column, message, help, path}],
    /// "waived": [the same, and reason, until], "dropped": 0}`.
    pub fn to_json(&self) -> serde_json::Value {
        let waived = self.waived.iter().map(|waived| {
            let mut value = json(&waived.finding);
            value["reason"] = json!(waived.reason);
            value["until"] = json!(waived.until.map(|until| until.to_string()));
            value
        });
        json!({
            "findings": self.list.iter().map(json).collect::<Vec<_>>(),
            "waived": waived.collect::<Vec<_>>(),
            "dropped": self.dropped,
        })
    }
}

fn json(finding: &Finding) -> serde_json::Value {
    let Finding { code, message, file, line, column, help, path, .. } = finding;
    json!({
        "id": code.id, "severity": code.severity.name(), "group": code.group.name(),
        "file": printable(file), "line": line, "column": column,
        "message": message, "help": help, "path": path,
    })
}

/// One finding; with the terms of its waiver when it has one.
fn render(renderer: &Renderer, finding: &Finding, waived: Option<&str>, files: &[SourceFile]) -> String {
    let level = match finding.code.severity {
        _ if waived.is_some() => Level::NOTE.with_name("waived"),
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let file = printable(&finding.file);
    let mut group = level
        .primary_title(finding.message.as_str())
        .id(finding.code.id)
        .elements([] as [annotate_snippets::Message<'_>; 0]);
    let source = finding.at.and_then(|at| Some((at, files.get(at.file as usize)?)));
    let window = source.and_then(|(at, file)| window(&file.text, at));
    if let Some((window, range)) = &window {
        let span = AnnotationKind::Primary.span(range.clone()).label(finding.label.as_deref());
        group = group.element(
            Snippet::source(window.as_str())
                .line_start(finding.line)
                .path(file.as_str())
                .fold(false)
                .annotation(span),
        );
    } else if !file.is_empty() {
        let mut origin = Origin::path(file.as_str());
        if finding.line > 0 {
            origin = origin.line(finding.line).char_column(finding.column);
        }
        group = group.element(origin);
    }
    if !finding.path.is_empty() {
        let ends = finding.path_ends.map(|ends| format!(" ({ends})")).unwrap_or_default();
        group = group.element(Level::NOTE.message(finding.path.join(" -> ") + &ends));
    }
    if let Some(terms) = waived {
        group = group.element(Level::NOTE.message(terms));
    } else if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// The line of a place, and the place in it, cut at the line's end. Showing the renderer the
/// whole file would cost 25 ms a finding.
fn window(text: &str, at: Place) -> Option<(String, std::ops::Range<usize>)> {
    let start = at.start as usize;
    let line_start = text.get(..start)?.rfind(['\n', '\r']).map_or(0, |newline| newline + 1);
    let line = text.get(line_start..)?.split(['\n', '\r']).next()?;
    if line.len() > MAX_LINE {
        return None;
    }
    // Same length in bytes, so that the place stays where it is.
    let shown: String = line
        .chars()
        .flat_map(|c| {
            let (hidden, width) = (hides(c) && c != '\t', c.len_utf8());
            std::iter::repeat_n(if hidden { '?' } else { c }, if hidden { width } else { 1 })
        })
        .collect();
    let from = (start - line_start).min(shown.len());
    let to = (at.end as usize).saturating_sub(line_start).clamp(from, shown.len());
    let ok = shown.is_char_boundary(from) && shown.is_char_boundary(to);
    ok.then_some((shown, from..to))
}
