//! A page for every finding: what it says, why it is one, a wrong and a right example.
//!
//! A test lints every example: the wrong one has the finding, the right one has not.

mod action;
mod control;
mod pages;
mod safety;
mod site_loss;

pub use action::{ActionPage, action};

use crate::finding::code::{self, Code};
use crate::finding::{Finding, quoted};
use std::fmt;

/// By range of ids.
const PAGES: &[&[Page]] = &[pages::PAGES, safety::PAGES, site_loss::PAGES, control::PAGES];

/// What is said about a finding.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Which.
    pub code: Code,
    /// Why it is a finding, and what to do.
    pub why: &'static str,
    /// Has the finding.
    pub wrong: Example,
    /// Has it not.
    pub right: Example,
}

/// What stands between the keys of a fleet and those of a playbook.
pub const PLAYBOOK_KEYS: &str = "# and in the playbook:\n";

/// Part of a file, or a command.
#[derive(Clone, Copy, Debug)]
pub enum Example {
    /// Keys of a fleet.
    Fleet(&'static str),
    /// Keys of a playbook.
    Playbook(&'static str),
    /// Keys of a fleet, a line [`PLAYBOOK_KEYS`], and keys of a playbook.
    Both(&'static str),
    /// A whole file beside a fleet and its playbooks.
    File(&'static str),
    /// A command.
    Command(&'static str),
}

/// The page of an id such as `SF005`, whatever its case.
pub fn page(id: &str) -> Result<&'static Page, Box<Finding>> {
    let wanted = id.trim().to_ascii_uppercase();
    all().find(|page| page.code.id == wanted).ok_or_else(|| {
        let known = code::ALL.iter().map(|code| code.id);
        let message = format!("there is no finding {}", quoted(id));
        Box::new(Finding::new(code::REQUEST, None, message).did_you_mean(&wanted, known))
    })
}

/// All pages, by id.
pub fn all() -> impl Iterator<Item = &'static Page> {
    PAGES.iter().copied().flatten()
}

impl Example {
    /// As it is written.
    pub fn text(&self) -> &'static str {
        match self {
            Self::Fleet(text) | Self::Playbook(text) | Self::Both(text) => text,
            Self::File(text) | Self::Command(text) => text,
        }
    }

    fn place(&self) -> &'static str {
        match self {
            Self::Fleet(_) => " (in a fleet)",
            Self::Playbook(_) => " (in a playbook)",
            Self::Both(_) => " (in a fleet, and in a playbook)",
            Self::File(_) => " (a file)",
            Self::Command(_) => "",
        }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Code { id, group, severity, title } = self.code;
        writeln!(f, "{id} ({}, {}): {title}\n\n{}", severity.name(), group.name(), self.why)?;
        for (word, example) in [("Wrong", self.wrong), ("Right", self.right)] {
            writeln!(f, "\n{word}{}:\n", example.place())?;
            for line in example.text().trim_end().lines() {
                writeln!(f, "{}", format!("    {line}").trim_end())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bind::bind;
    use crate::bundle::Bundle;
    use crate::date::Date;
    use crate::finding::Findings;
    use crate::lint::tests::{FLEET, SHOP};
    use crate::plan::{Mode, Request};
    use crate::source::SourceFile;

    /// Top-level keys with their text, in order.
    fn sections(text: &str) -> Vec<(String, String)> {
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            let opens = line.starts_with(|c: char| !c.is_whitespace() && c != '#');
            if opens || sections.is_empty() {
                let key = line.split(':').next().unwrap_or_default();
                sections.push((key.to_owned(), String::new()));
            }
            let body = &mut sections.last_mut().unwrap().1;
            *body += &format!("{line}\n");
        }
        sections
    }

    /// `base` with the sections of `snippet` in place of its own. A base section that the
    /// snippet names with an empty `# without` line is left out.
    fn merged(base: &str, snippet: &str) -> String {
        let new = sections(snippet);
        let gone = |key: &str| snippet.contains(&format!("# without {key}\n"));
        let is_new = |key: &String| new.iter().any(|(name, _)| name == key);
        let kept = sections(base).into_iter().filter(|(key, _)| !is_new(key) && !gone(key));
        kept.chain(new.clone()).map(|(_, text)| text).collect()
    }

    fn findings(example: Example) -> Findings {
        let file = SourceFile::new;
        let [fleet, shop] = [("fleet.yaml", FLEET), ("shop.yaml", SHOP)];
        let mut files = vec![file(fleet.0, fleet.1), file(shop.0, shop.1)];
        match example {
            Example::Fleet(text) => files[0].text = merged(FLEET, text),
            Example::Playbook(text) => files[1].text = merged(SHOP, text),
            Example::Both(text) => {
                let (fleet, playbook) = text.split_once(PLAYBOOK_KEYS).unwrap();
                files[0].text = merged(FLEET, fleet);
                files[1].text = merged(SHOP, playbook);
            }
            Example::File(text) => files.push(file("third.yaml", text)),
            Example::Command(_) => {}
        }
        let (bundle, findings) = Bundle::load_on(files, Date::parse("2026-02-28").ok());
        let Example::Command(command) = example else { return findings };
        let words: Vec<&str> = command.split_whitespace().collect();
        let option = |name: &str| words[words.iter().position(|word| *word == name).unwrap() + 1];
        let request = Request {
            playbook: words[3].into(),
            from: option("--from").into(),
            to: option("--to").into(),
            mode: Mode::Drill,
            inputs: Default::default(),
        };
        bind(&bundle.unwrap(), &request).err().unwrap_or_default()
    }

    #[test]
    fn every_finding_has_its_page() {
        let codes: Vec<_> = code::ALL.iter().map(|code| code.id).collect();
        let pages: Vec<_> = all().map(|page| page.code.id).collect();
        assert_eq!(pages, codes);
        assert!(codes.is_sorted_by(|a, b| a < b), "ids are given once, in order");
    }

    #[test]
    fn every_wrong_example_is_wrong_and_every_right_one_is_clean() {
        let mut failed = Vec::new();
        for page in all() {
            let found = findings(page.wrong);
            if !found.iter().any(|finding| finding.code == page.code) {
                failed.push((page.code.id, "wrong", found));
            }
            let found = findings(page.right);
            if !found.is_empty() {
                failed.push((page.code.id, "right", found));
            }
        }
        assert!(failed.is_empty(), "{failed:#?}");
    }

    #[test]
    fn pages_are_found_in_any_case_and_others_are_suggested() {
        assert_eq!(page(" sf005 ").unwrap().code, code::UNKNOWN_KEY);
        assert_eq!(page("SF05").unwrap_err().message, "there is no finding `SF05`");
        assert!(page("SF05").unwrap_err().help.unwrap().starts_with("did you mean `SF0"));
    }
}
