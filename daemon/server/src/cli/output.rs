//! Where a command writes to: data on stdout, progress on stderr.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use serde::Serialize;
use standfast_core::finding::{hides, printable, printable_lines};

use super::exit::{Exit, Failure};
use super::yaml::to_yaml;

/// How data is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// The messages of the API as JSON; one line each where there are several.
    Json,
    /// The same as YAML; one document each where there are several.
    Yaml,
    /// SARIF 2.1.0, for code hosts and editors; only what `lint` finds.
    Sarif,
    /// A plan as a Mermaid flowchart: `plan`, and dry runs.
    Mermaid,
}

/// One of the two streams.
pub struct Stream {
    writer: Box<dyn Write + Send>,
    /// A terminal, and its colours are wanted.
    color: bool,
    /// Columns and rows, when it is a terminal.
    size: Option<(u16, u16)>,
}

impl Stream {
    /// Something that is not a terminal.
    pub fn plain(writer: impl Write + Send + 'static) -> Self {
        Self { writer: Box::new(writer), color: false, size: None }
    }

    /// A terminal of so many columns and rows.
    pub fn terminal(writer: impl Write + Send + 'static, columns: u16, rows: u16) -> Self {
        Self { writer: Box::new(writer), color: true, size: Some((columns, rows)) }
    }

    fn standard<S>(stream: S) -> Self
    where
        S: Write + Send + IsTerminal + rustix::fd::AsFd + 'static,
    {
        let size = stream
            .is_terminal()
            .then(|| rustix::termios::tcgetwinsize(&stream).ok())
            .flatten()
            .filter(|size| size.ws_col > 0 && size.ws_row > 0)
            .map(|size| (size.ws_col, size.ws_row));
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { color: stream.is_terminal() && !no_color, writer: Box::new(stream), size }
    }

    /// Whether colours may be used.
    pub fn color(&self) -> bool {
        self.color
    }

    /// Columns and rows, when it is a terminal.
    pub fn size(&self) -> Option<(u16, u16)> {
        self.size
    }

    /// Writes text as it is.
    pub fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.writer.write_all(text.as_bytes()).and_then(|()| self.writer.flush()).map_err(broken)
    }

    /// Writes a line, or several. What a terminal would obey comes from afar, and is replaced.
    pub fn line(&mut self, line: impl AsRef<str>) -> Result<(), Failure> {
        self.write(&format!("{}\n", printable_lines(line.as_ref())))
    }
}

/// A reader that has seen enough (`| head`) is no failure; a full disk is.
fn broken(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::new(Exit::Done, "")
    } else {
        Failure::new(Exit::Failed, format!("cannot write the output: {error}"))
    }
}

/// Both streams and the format.
pub struct Output {
    /// For data.
    pub out: Stream,
    /// For progress.
    pub err: Stream,
    /// How data is written.
    pub format: Format,
}

impl Output {
    /// Two streams, and data for people.
    pub fn new(out: Stream, err: Stream) -> Self {
        Self { out, err, format: Format::Table }
    }

    /// The streams of this process.
    pub fn standard() -> Self {
        Self::new(Stream::standard(io::stdout()), Stream::standard(io::stderr()))
    }

    /// Writes `value`: as `table` says for people, otherwise as its own JSON mapping.
    pub fn data<T: Serialize>(
        &mut self,
        value: &T,
        table: impl FnOnce(&T, &mut Stream) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table => table(value, &mut self.out),
            Format::Json | Format::Sarif => {
                let text = serde_json::to_string_pretty(value).map_err(unwritable)?;
                self.out.write(&format!("{}\n", escaped(&text)))
            }
            Format::Yaml => {
                let value = serde_json::to_value(value).map_err(unwritable)?;
                self.out.write(&to_yaml(&value))
            }
            Format::Mermaid => Err(undrawable()),
        }
    }

    /// Writes one of several values: a line of JSON, a document of YAML.
    pub fn item<T: Serialize>(
        &mut self,
        value: &T,
        line: impl FnOnce(&T, &mut Stream) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table => line(value, &mut self.out),
            Format::Json | Format::Sarif => {
                let text = serde_json::to_string(value).map_err(unwritable)?;
                self.out.write(&format!("{}\n", escaped(&text)))
            }
            Format::Yaml => {
                let value = serde_json::to_value(value).map_err(unwritable)?;
                self.out.write(&format!("---\n{}", to_yaml(&value)))
            }
            Format::Mermaid => Err(undrawable()),
        }
    }
}

/// JSON in which nothing is left that a terminal would obey, and which means the same: such
/// characters stand only in its texts.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c == '\n' || !hides(c) {
            true => text.push(c),
            false => {
                let mut units = [0; 2];
                text.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    text
}

fn unwritable(error: serde_json::Error) -> Failure {
    Failure::new(Exit::Failed, format!("a member answered what has no JSON form: {error}"))
        .hint("is this program older or newer than that member? standfast version")
}

/// Says of what there are drawings.
pub(super) fn undrawable() -> Failure {
    Failure::usage("only a plan can be drawn: `-o mermaid` is for `plan` and `run start --dry-run`")
}

/// How a cell is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As any other.
    Plain,
    /// It is well.
    Good,
    /// It moves, or somebody should look.
    Busy,
    /// It is bad, or waits for a person.
    Bad,
}

/// Rows under headings, for people.
pub struct Rows {
    table: Table,
    color: bool,
}

impl Rows {
    /// An empty table for `stream`.
    pub fn new(stream: &Stream, headings: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        if stream.color() {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(headings.iter().map(|heading| {
            let cell = Cell::new(heading);
            if stream.color() { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
        Self { table, color: stream.color() }
    }

    /// Adds a row. Cells come from afar, a probe's answer say: what would move the cursor is
    /// replaced, and a line break is a space.
    pub fn row<const N: usize>(&mut self, cells: [(Tone, String); N]) {
        let color = self.color;
        self.table.add_row(cells.into_iter().map(|(tone, text)| (tone, one_line(&text))).map(
            |(tone, text)| match tone {
                Tone::Good if color => Cell::new(text).fg(Color::Green),
                Tone::Busy if color => Cell::new(text).fg(Color::Yellow),
                Tone::Bad if color => Cell::new(text).fg(Color::Red),
                _ => Cell::new(text),
            },
        ));
    }

    /// Makes the table fit into so many columns, each row in one line: cells are cut.
    pub fn limit(&mut self, columns: u16) {
        self.table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
        for row in self.table.row_iter_mut() {
            row.max_height(1);
        }
    }

    /// The table as lines.
    pub fn lines(&mut self) -> Vec<String> {
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.table.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Writes the table.
    pub fn write(mut self, stream: &mut Stream) -> Result<(), Failure> {
        // Its colours are ours, and its cells are made harmless.
        self.lines().iter().try_for_each(|line| stream.write(&format!("{line}\n")))
    }
}

/// A cell like any other.
pub fn plain(text: impl Into<String>) -> (Tone, String) {
    (Tone::Plain, text.into())
}

/// Text from afar, on one line and without anything that a terminal would obey.
pub fn one_line(text: &str) -> String {
    printable(&text.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_afar_does_not_move_the_cursor() {
        let stream = Stream::plain(io::sink());
        let mut rows = Rows::new(&stream, &["ANSWER", "AGO"]);
        rows.row([plain("no\nway\x1b[2J"), plain("1s")]);
        assert_eq!(rows.lines(), ["ANSWER      AGO", "no way\u{fffd}[2J  1s"]);
        let title = serde_json::json!({ "title": "a\u{9b}2J\u{202e}\u{7f}이\n" });
        let text = escaped(&serde_json::to_string_pretty(&title).unwrap());
        assert_eq!(text, "{\n  \"title\": \"a\\u009b2J\\u202e\\u007f이\\n\"\n}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), title);
    }
}
