//! The report as a document: Markdown that reads well as plain text, too.

use super::{Held, Report};
use crate::finding::printable;
use crate::run::State;
use crate::time::Span;
use std::fmt::Write as _;

impl Report {
    /// The whole report as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        let title = if self.title.is_empty() { self.playbook.as_str() } else { &self.title };
        heading(&mut text, 1, &format!("Run {}: {}", self.run, cell(title)));
        let state = match self.state {
            State::Ended(_) => self.state.to_string(),
            state => format!("{state} (not ended: this is so far)"),
        };
        let facts = [
            ("state", state),
            ("playbook", self.playbook.to_string()),
            ("from, to", format!("{} -> {} ({})", self.from, self.to, self.mode)),
            ("started by", self.started_by.to_string()),
            ("reason", self.reason.clone()),
            ("begun", self.timeline.first().map_or_else(dash, |entry| utc(entry.wall_ms))),
        ];
        let facts = facts.map(|(name, value)| vec![name.to_owned(), value]);
        table(&mut text, &["", ""], &facts);
        self.objectives(&mut text);
        self.time(&mut text);
        self.loss(&mut text);
        self.events(&mut text);
        self.people(&mut text);
        self.proofs(&mut text);
        text
    }

    fn objectives(&self, text: &mut String) {
        heading(text, 2, "Objectives");
        let held = |held: Option<Held>| match held {
            Some(Held::Met) => "met",
            Some(Held::Missed) => "MISSED",
            Some(Held::Unknown) => "unknown",
            None => "-",
        };
        let rows: Vec<Vec<String>> = self
            .objectives
            .iter()
            .map(|objective| {
                vec![
                    objective.promise.service.to_string(),
                    span(objective.promise.rto),
                    span(objective.rto),
                    held(objective.rto_held).into(),
                    span(objective.promise.rpo),
                    span(objective.rpo),
                    held(objective.rpo_held).into(),
                ]
            })
            .collect();
        let head = ["service", "RTO", "measured", "", "RPO", "measured", ""];
        listed(text, &head, &rows, "Nothing was promised for these services.");
    }

    fn time(&self, text: &mut String) {
        heading(text, 2, "Time");
        let measured = &self.measured;
        let rows: Vec<Vec<String>> = [
            ("detection", measured.detection),
            ("tools", measured.tools),
            ("promotion", measured.promotion),
            ("traffic", measured.traffic),
            ("total", measured.total),
        ]
        .into_iter()
        .map(|(part, took)| vec![part.to_owned(), span(took)])
        .collect();
        table(text, &["part", "took"], &rows);
    }

    fn loss(&self, text: &mut String) {
        heading(text, 2, "Data");
        let rows: Vec<Vec<String>> = self
            .losses
            .iter()
            .map(|loss| {
                let least = if loss.at_least { "at least " } else { "" };
                vec![
                    loss.data_set.to_string(),
                    loss.time.map_or_else(dash, |time| format!("{least}{time}")),
                    loss.bytes.map_or_else(dash, |bytes| bytes.to_string()),
                    loss.primary_seen_ms.map_or_else(dash, utc),
                    loss.explanation.clone(),
                ]
            })
            .collect();
        let head = ["data set", "time lost", "bytes lost", "primary seen at", "how it is known"];
        listed(text, &head, &rows, "No data set was promoted.");
    }

    fn events(&self, text: &mut String) {
        heading(text, 2, "Timeline");
        let rows: Vec<Vec<String>> = self
            .timeline
            .iter()
            .map(|entry| {
                vec![
                    utc(entry.wall_ms),
                    format!("+{}", seconds(entry.offset)),
                    entry.step.as_ref().map(ToString::to_string).unwrap_or_default(),
                    entry.text.clone(),
                ]
            })
            .collect();
        table(text, &["at (UTC)", "since", "step", "what"], &rows);
    }

    fn people(&self, text: &mut String) {
        heading(text, 2, "People");
        let row = |word: &super::Word| {
            let (by, reason) = (word.by.to_string(), word.reason.clone());
            vec![utc(word.wall_ms), word.did.to_string(), word.about.clone(), by, reason]
        };
        let rows: Vec<Vec<String>> = self.people.iter().map(row).collect();
        let head = ["at (UTC)", "", "what", "who", "why"];
        listed(text, &head, &rows, "Nobody had to do anything.");
        if !self.refused.is_empty() {
            heading(text, 2, "Refused before");
            let rows: Vec<Vec<String>> = self
                .refused
                .iter()
                .map(|no| vec![utc(no.wall_ms), no.guard.clone(), no.reason.clone()])
                .collect();
            table(text, &["at (UTC)", "guard", "why"], &rows);
        }
    }

    fn proofs(&self, text: &mut String) {
        heading(text, 2, "Evidence");
        let rows: Vec<Vec<String>> = self
            .evidence
            .iter()
            .map(|proof| vec![utc(proof.wall_ms), proof.what.clone(), proof.answer.clone()])
            .collect();
        listed(text, &["at (UTC)", "asked", "answered"], &rows, "None yet.");
    }
}

fn heading(text: &mut String, level: usize, title: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{} {title}\n", "#".repeat(level));
}

fn listed(text: &mut String, head: &[&str], rows: &[Vec<String>], none: &str) {
    match rows {
        [] => {
            let _ = writeln!(text, "{none}");
        }
        rows => table(text, head, rows),
    }
}

/// A last column that is wider is prose, and is not padded.
const PROSE: usize = 40;

/// A table whose columns are aligned.
fn table(text: &mut String, head: &[&str], rows: &[Vec<String>]) {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|value| cell(value)).collect()).collect();
    let last = head.len() - 1;
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count(), 3]).max().unwrap_or(3)
    };
    let padded = |column: usize| match width(column) {
        width if column == last && width > PROSE => 3,
        width => width,
    };
    let widths: Vec<usize> = (0..head.len()).map(padded).collect();
    let mut line = |cells: &[String]| {
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
    };
    line(&head.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
}

/// What stands in a table, so that it stays in its cell and is nothing but text.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for c in printable(&text.replace(['\n', '\r', '\t'], " ")).chars() {
        match c {
            '\\' | '|' | '`' | '*' | '[' | ']' => cell.extend(['\\', c]),
            '<' => cell.push_str("&lt;"),
            '&' => cell.push_str("&amp;"),
            c => cell.push(c),
        }
    }
    cell
}

fn dash() -> String {
    "-".to_owned()
}

fn span(span: Option<Span>) -> String {
    span.map_or_else(dash, |span| span.to_string())
}

/// With milliseconds, so that a column of them can be compared.
fn seconds(span: Span) -> String {
    format!("{}.{:03} s", span.as_ms() / 1_000, span.as_ms() % 1_000)
}

/// `2022-10-15 06:30:00.000`, from Unix time in milliseconds.
fn utc(wall_ms: i64) -> String {
    let (days, ms) = (wall_ms.div_euclid(86_400_000), wall_ms.rem_euclid(86_400_000));
    // Days are counted in eras of 400 years that begin on 1 March 0000.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day_of_month:02} {hours:02}:{minutes:02}:{seconds:02}.{:03}", ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (wall_ms, date) in [
            (0, "1970-01-01 00:00:00.000"),
            (1_665_815_580_123, "2022-10-15 06:33:00.123"),
            (951_782_400_000, "2000-02-29 00:00:00.000"),
            (4_107_542_399_999, "2100-02-28 23:59:59.999"),
            (-1, "1969-12-31 23:59:59.999"),
        ] {
            assert_eq!(utc(wall_ms), date);
        }
    }

    #[test]
    fn a_cell_is_one_line_of_plain_text() {
        assert_eq!(cell("a | b\n<b>&\u{1b}[1m `x`"), "a \\| b &lt;b>&amp;\u{fffd}\\[1m \\`x\\`");
    }
}
