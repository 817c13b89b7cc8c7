//! Where the demonstration is told: colours and a line that changes on a terminal, plain lines
//! elsewhere.

use std::io::{IsTerminal, Write};

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As any other.
    Plain,
    /// A heading.
    Loud,
    /// It goes well.
    Good,
    /// It moves.
    Busy,
    /// It is bad.
    Bad,
}

/// The screen.
pub struct Screen {
    out: Box<dyn Write + Send>,
    color: bool,
    /// Columns of a terminal; the changing line needs one.
    columns: Option<usize>,
    status: String,
}

impl Screen {
    /// The standard output.
    pub fn standard() -> Screen {
        let out = std::io::stdout();
        let terminal = out.is_terminal();
        let size = terminal.then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten();
        let columns = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Screen { color: terminal && !no_color, columns, out: Box::new(out), status: String::new() }
    }

    /// Something that is no terminal.
    pub fn plain(out: impl Write + Send + 'static) -> Screen {
        Screen { out: Box::new(out), color: false, columns: None, status: String::new() }
    }

    /// A terminal of this width.
    #[cfg(test)]
    fn terminal(out: impl Write + Send + 'static, columns: usize) -> Screen {
        Screen { out: Box::new(out), color: true, columns: Some(columns), status: String::new() }
    }

    /// A line, above the changing one.
    pub fn line(&mut self, tone: Tone, line: &str) {
        let code = match tone {
            Tone::Plain => "",
            Tone::Loud => "1",
            Tone::Good => "32",
            Tone::Busy => "33",
            Tone::Bad => "31",
        };
        // What a target answered must not move the cursor.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = match code {
            code if self.color && !code.is_empty() => format!("\x1b[{code}m{line}\x1b[0m"),
            _ => line,
        };
        let clear = if self.columns.is_some() { "\r\x1b[K" } else { "" };
        let status = std::mem::take(&mut self.status);
        self.write(&format!("{clear}{line}\n"));
        self.status(&status);
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.line(Tone::Plain, "");
    }

    /// Changes the line at the bottom; nothing where there is no terminal.
    pub fn status(&mut self, status: &str) {
        let Some(columns) = self.columns else { return };
        if self.status != status {
            let fits: String = status.chars().take(columns.saturating_sub(1)).collect();
            self.write(&format!("\r\x1b[K{fits}"));
            self.status = status.to_string();
        }
    }

    /// A reader that has seen enough is no reason to stop: the figures decide.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
        }
    }

    #[test]
    fn elsewhere_there_are_plain_lines_only() {
        let paper = Paper::default();
        let mut screen = Screen::plain(paper.clone());
        screen.status("12 orders");
        screen.line(Tone::Bad, "site a \x1b[2Jdies");
        assert_eq!(paper.text(), "site a  [2Jdies\n");
    }

    #[test]
    fn on_a_terminal_the_last_line_changes_in_its_place() {
        let paper = Paper::default();
        let mut screen = Screen::terminal(paper.clone(), 10);
        screen.status("12 orders and more");
        screen.line(Tone::Good, "served");
        screen.status("");
        let expected = "\r\x1b[K12 orders\r\x1b[K\x1b[32mserved\x1b[0m\n\r\x1b[K12 orders\r\x1b[K";
        assert_eq!(paper.text(), expected);
    }
}
