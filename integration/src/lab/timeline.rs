//! One timeline of all logs: every line with its source, sorted by when it was written.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The name of the file.
pub const FILE: &str = "timeline.log";

/// Writes the timeline of all `*.log` below a folder into it, together with what was `told`: times in
/// milliseconds since 1970, and lines.
pub fn write(folder: &Path, told: &[(i64, String)]) -> io::Result<()> {
    let mut lines: Vec<(i64, String, String)> =
        told.iter().map(|(at, line)| (*at, "lab".to_owned(), format!("*** {line}"))).collect();
    for file in logs(folder)? {
        let source = file.strip_prefix(folder).unwrap_or(&file).with_extension("");
        let source = source.display().to_string();
        let text = fs::read(&file)?;
        let mut last = 0;
        for line in String::from_utf8_lossy(&text).lines() {
            // Without a time of its own it belongs to the line before it.
            last = written_at(line).unwrap_or(last);
            lines.push((last, source.clone(), line.to_owned()));
        }
    }
    // Stable: lines of one source stay in their order.
    lines.sort_by_key(|(at, ..)| *at);
    let width = lines.iter().map(|(_, source, _)| source.len()).max().unwrap_or(0);
    let mut file = io::BufWriter::new(fs::File::create(folder.join(FILE))?);
    for (at, source, line) in lines {
        writeln!(file, "{} {source:width$} {line}", shown(at))?;
    }
    file.flush()
}

fn logs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            if kind.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "log") && !path.ends_with(FILE) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn shown(at: i64) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| format!("{at:.3}"))
}

/// When a line says that it was written, in milliseconds since 1970. Everything of the lab writes UTC:
/// `2026-11-22T13:00:00.1234Z`, `2026-11-22 13:00:00.123 UTC`, `22-Nov-2026 13:00:00.123`.
fn written_at(line: &str) -> Option<i64> {
    let words: Vec<&str> = line.split_ascii_whitespace().take(3).collect();
    let first = words.first()?.trim_start_matches('[');
    if let Ok(at) = first.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    let text = format!("{first} {}", words.get(1)?.trim_end_matches(']'));
    let moment = text.parse::<DateTime>().or_else(|_| DateTime::strptime("%d-%b-%Y %H:%M:%S%.f", &text));
    let at = moment.ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_way_of_writing_times() {
        let at = 1_795_352_400_123;
        for line in [
            "2026-11-22T13:00:00.123456Z  INFO standfast: up",
            "2026-11-22 13:00:00.123 UTC [77] LOG:  started",
            "2026-11-22 13:00:00.123456 I | etcdserver: published",
            "22-Nov-2026 13:00:00.123 running",
            "[2026-11-22 13:00:00.123] something",
        ] {
            assert_eq!(written_at(line), Some(at), "{line}");
        }
        for line in ["", "a backtrace:", "   0: std::panicking", "12 13", "[NOTICE]   (77) : New worker"] {
            assert_eq!(written_at(line), None, "{line}");
        }
    }

    #[test]
    fn lines_of_all_sources_are_in_one_order() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        for site in ["a", "b"] {
            fs::create_dir(folder.path().join(site))?;
        }
        let at = |second: u8| format!("2026-11-22T13:00:0{second}.000Z");
        fs::write(folder.path().join("a/etcd.log"), format!("{} one\nits rest\n{} four\n", at(1), at(4)))?;
        fs::write(folder.path().join("b/b1.log"), format!("{} two\n", at(2)))?;
        fs::write(folder.path().join("b/else.txt"), "not a log\n")?;
        write(folder.path(), &[(1_795_352_403_000, "a is cut off".into())])?;
        let text = fs::read_to_string(folder.path().join(FILE))?;
        let ends: Vec<&str> = text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(ends, ["one", "rest", "two", "off", "four"], "{text}");
        assert!(text.lines().nth(2).is_some_and(|line| line.contains(" b/b1 ")), "{text}");
        // Once more it does not read itself.
        write(folder.path(), &[])?;
        assert_eq!(fs::read_to_string(folder.path().join(FILE))?.lines().count(), 4);
        Ok(())
    }
}
