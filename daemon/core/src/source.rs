//! Files as they were read, and places in them.

use crate::finding::{Finding, code};

/// Files above this are refused unread: 4 MiB, about 20,000 steps.
pub const MAX_BYTES: usize = 4 << 20;

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// As people call it; a path.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

impl SourceFile {
    /// A file of this text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Takes bytes where they come in; what is not UTF-8 is a finding, as is a file too large
    /// to look at.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, Box<Finding>> {
        let name = name.into();
        if bytes.len() > MAX_BYTES {
            return Err(Box::new(Finding::too_large(name, bytes.len())));
        }
        String::from_utf8(bytes).map(|text| Self { name: name.clone(), text }).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            let (line, column) =
                Lines::of(&String::from_utf8_lossy(&error.as_bytes()[..offset])).position(offset);
            let mut finding = Finding::new(
                code::SYNTAX,
                None,
                format!("byte {offset} is not UTF-8: save the file as UTF-8"),
            );
            (finding.file, finding.line, finding.column) = (name, line, column);
            Box::new(finding)
        })
    }
}

/// A range of bytes in one of the files of a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index of the file.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Place {
    /// Where it begins, without its text: that may be long, and its first byte no character.
    pub fn beginning(self) -> Self {
        Self { end: self.start, ..self }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// What.
    pub value: T,
    /// Where.
    pub at: Place,
}

impl<T> Spanned<T> {
    /// `value`, written at `at`.
    pub fn new(value: T, at: Place) -> Self {
        Self { value, at }
    }
}

/// Where the lines of a text begin.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Of a text.
    pub fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        // A carriage return alone ends a line too, as in YAML.
        let ends = |&at: &usize| match bytes[at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let after = (0..bytes.len()).filter(ends).map(|end| end + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.text[start..byte].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let text = "a\nbü c\n";
        let position = |byte| Lines::of(text).position(byte);
        assert_eq!(position(0), (1, 1));
        assert_eq!(position(3), (2, 2));
        assert_eq!(position(4), (2, 2), "inside a character is at it");
        assert_eq!(position(6), (2, 4));
        assert_eq!(position(99), (3, 1));
        let old = |byte| Lines::of("a\rb\r\nc").position(byte);
        assert_eq!((old(2), old(5)), ((2, 1), (3, 1)));
    }

    #[test]
    fn what_is_not_text_is_one_finding() {
        let finding = SourceFile::from_bytes("x.yaml", b"a: b\nc: \xff\n".to_vec()).unwrap_err();
        assert_eq!((finding.code.id, finding.line, finding.column), ("SF001", 2, 4));
        let finding = SourceFile::from_bytes("x.yaml", vec![b'a'; 10 << 20]).unwrap_err();
        assert_eq!(finding.code.id, "SF003");
        assert_eq!(finding.message, "this file has 10.0 MiB; at most 4 MiB are read");
    }
}
