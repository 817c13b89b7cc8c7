//! `make fuzz`: files that nobody would write, thrown at what reads them.
//!
//! A worker process with little memory changes good and bad files by chance and reads them; who
//! finds something new is kept and changed further. Its parent waits for it to die or to stand
//! still, keeps what it was reading as a file of the corpus, and goes on. All of it runs on
//! stable Rust without plug-ins: nothing tells the worker which code it has reached, so it takes
//! a set of findings that it has not seen for a sign of that.

pub mod dice;
pub mod hunt;
pub mod mutate;
pub mod pool;
pub mod worker;

use std::collections::BTreeSet;
use std::io;

use clap::ValueEnum;
use standfast_core::bind::bind;
use standfast_core::bundle::Bundle;
use standfast_core::date::Date;
use standfast_core::finding::{Findings, MAX_SHOWN};
use standfast_core::plan::Request;
use standfast_core::source::SourceFile;

/// What went wrong with the machine, not with what is read.
pub type Result<T> = io::Result<T>;

/// Says what was tried.
pub fn at(what: impl Into<String>) -> impl FnOnce(io::Error) -> io::Error {
    let what = what.into();
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// What the files are thrown at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// One file, byte for byte: bytes, YAML, the tables, rendering.
    Parser,
    /// A fleet and its playbooks, changed so that most of it can still be read: lint, the proof of
    /// every site's loss, binding.
    Proof,
    /// Breaks by words, to try the runner itself.
    #[value(hide = true)]
    Trap,
}

impl Target {
    /// As it is written, and the folder of its corpus.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parser => "parser",
            Self::Proof => "proof",
            Self::Trap => "trap",
        }
    }

    /// Reads an input and checks what is promised of any input. Says what was found, so that
    /// inputs of a new kind can be told.
    ///
    /// # Panics
    /// When a promise is broken.
    pub fn read(self, input: &[u8]) -> BTreeSet<&'static str> {
        match self {
            Self::Parser => parse(input),
            Self::Proof => prove(input),
            Self::Trap => trap(input),
        }
    }
}

/// The day on which all files are judged, so that every run judges alike.
const TODAY: &str = "2022-10-15";

fn load(files: &[SourceFile]) -> (Option<Bundle>, Findings) {
    let (bundle, findings) = Bundle::load_on(files.to_vec(), Date::parse(TODAY).ok());
    check(files, &bundle, &findings);
    (bundle, findings)
}

/// What holds for whatever was read.
fn check(files: &[SourceFile], bundle: &Option<Bundle>, findings: &Findings) {
    assert_eq!(bundle.is_none(), findings.has_errors(), "a bundle is what has no errors");
    assert!(findings.iter().count() <= MAX_SHOWN, "more findings than anybody reads");
    let mut sorted = files.to_vec();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let shown = findings.iter().chain(findings.waived().iter().map(|waived| &waived.finding));
    for finding in shown {
        assert!(!finding.message.trim().is_empty() && !finding.message.contains('\n'), "{finding:?}");
        if let Some(at) = finding.at {
            let text = &sorted[at.file as usize].text;
            assert!(text.get(at.start as usize..at.end as usize).is_some(), "a place outside: {finding:?}");
            assert!(finding.line >= 1 && finding.column >= 1, "{finding:?}");
        }
    }
    // Showing them all takes longer than finding them.
    if findings.iter().count() <= 30 || sorted.iter().map(|file| file.text.len()).sum::<usize>() % 16 == 0 {
        shown_well(&sorted, findings);
    }
}

fn shown_well(files: &[SourceFile], findings: &Findings) {
    let text = findings.to_text(files, false);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "a terminal would obey this");
    let json = findings.to_json();
    assert_eq!(json["findings"].as_array().map(Vec::len), Some(findings.iter().count()));
    assert_eq!(findings.to_sarif(files)["version"], "2.1.0");
}

fn ids(findings: &Findings) -> BTreeSet<&'static str> {
    findings.iter().map(|finding| finding.code.id).collect()
}

fn parse(input: &[u8]) -> BTreeSet<&'static str> {
    match SourceFile::from_bytes("input.yaml", input.to_vec()) {
        Ok(file) => ids(&load(&[file]).1),
        Err(finding) => {
            assert!(finding.line >= 1, "{finding:?}");
            BTreeSet::from([finding.code.id])
        }
    }
}

/// Files in any order are the same bundle; whatever lints clean binds without a panic in every
/// direction that people can ask for.
fn prove(input: &[u8]) -> BTreeSet<&'static str> {
    let files = pool::split(&String::from_utf8_lossy(input));
    let (bundle, findings) = load(&files);
    let turned: Vec<SourceFile> = files.iter().rev().cloned().collect();
    let (_, again) = load(&turned);
    assert_eq!(findings, again, "the order of files, or chance, decides what is found");
    for bundle in bundle.iter() {
        // Enough of them to see each once in a while, few enough to stay quick.
        for playbook in bundle.playbooks.values().take(4) {
            let sites = || bundle.fleet.sites.keys().take(4);
            for (from, to) in sites().flat_map(|from| sites().map(move |to| (from, to))) {
                for &mode in &playbook.modes {
                    let request = Request {
                        playbook: playbook.id.value.clone(),
                        from: from.clone(),
                        to: to.clone(),
                        mode,
                        inputs: Default::default(),
                    };
                    if let Ok(plan) = bind(bundle, &request) {
                        let before = |(place, step): (usize, &standfast_core::plan::Step)| {
                            step.needs.iter().all(|need| *need < place)
                        };
                        assert!(plan.steps.iter().enumerate().all(before), "a step before what it needs");
                        assert_eq!(plan.critical_path().0.is_empty(), plan.steps.is_empty());
                    }
                }
            }
        }
    }
    ids(&findings)
}

fn trap(input: &[u8]) -> BTreeSet<&'static str> {
    let has = |word: &str| input.windows(word.len()).any(|part| part == word.as_bytes());
    assert!(!has("boom"), "boom");
    if has("much") {
        // Zeros are not written, so that this is over soon.
        let hoard: Vec<Vec<u8>> = (0..128).map(|_| vec![0; 1 << 24]).collect();
        assert!(hoard.len() > 1);
    }
    while has("forever") {
        std::hint::spin_loop();
    }
    BTreeSet::new()
}
