//! What is thrown: files that were written by hand, and those that something was learnt from.

use std::fs;
use std::path::{Path, PathBuf};

use standfast_core::ids::Digest;
use standfast_core::source::SourceFile;

use crate::{Result, Target, at};

/// Several files in one input: a line that begins so names the file that follows.
const MARK: &str = "#=== ";

/// The files of an input.
pub fn split(input: &str) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut file = SourceFile::new("input.yaml", "");
    for line in input.split_inclusive('\n') {
        match line.strip_prefix(MARK) {
            Some(name) => {
                // No two of one name, whatever was done to the names.
                let name = format!("{}-{}", files.len() + 1, name.trim_end());
                files.push(std::mem::replace(&mut file, SourceFile::new(name, "")));
            }
            None => file.text.push_str(line),
        }
    }
    files.push(file);
    // What stands before the first name is a file only if there is something.
    if files.len() > 1 && files[0].text.is_empty() {
        files.remove(0);
    }
    files
}

/// The input of several files.
pub fn join(files: &[SourceFile]) -> String {
    let mut input = String::new();
    for file in files {
        input.push_str(&format!("{MARK}{}\n{}", file.name, file.text));
        if !input.ends_with('\n') {
            input.push('\n');
        }
    }
    input
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Where the corpus of a target is kept.
pub fn folder(target: Target) -> PathBuf {
    here("corpus").join(target.name())
}

/// The inputs of a folder, by name; none when it is not there.
pub fn files(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let problem = || at(format!("reading {}", folder.display()));
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(problem())?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(|path| fs::read(&path).map(|bytes| (path, bytes)).map_err(problem())).collect()
}

/// The stored corpus of a target: what once broke something, and what is odd on purpose.
pub fn stored(target: Target) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    files(&folder(target))
}

/// What a target begins with: its corpus, the corpus of the parser's tests, and the examples.
pub fn seeds(target: Target) -> Result<Vec<Vec<u8>>> {
    let mut seeds: Vec<Vec<u8>> = stored(target)?.into_iter().map(|(_, bytes)| bytes).collect();
    if target == Target::Parser {
        for kind in ["good", "bad", "beyond"] {
            let folder = here("../../daemon/core/tests/corpus").join(kind);
            seeds.extend(files(&folder)?.into_iter().map(|(_, bytes)| bytes));
        }
    }
    if target == Target::Trap {
        return Ok(seeds);
    }
    for folder in folders(&here("../../playbooks"))? {
        let files = files(&folder)?;
        if target == Target::Parser {
            seeds.extend(files.into_iter().map(|(_, bytes)| bytes));
            continue;
        }
        let file = |(path, bytes): &(PathBuf, Vec<u8>)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            SourceFile::new(name, String::from_utf8_lossy(bytes))
        };
        let bundle: Vec<SourceFile> = files.iter().map(file).collect();
        if !bundle.is_empty() {
            seeds.push(join(&bundle).into_bytes());
        }
    }
    Ok(seeds)
}

/// All folders below a folder.
fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut next = vec![root.to_path_buf()];
    while let Some(folder) = next.pop() {
        let entries = fs::read_dir(&folder).map_err(at(format!("reading {}", folder.display())))?;
        next.extend(entries.filter_map(|entry| Some(entry.ok()?.path()).filter(|path| path.is_dir())));
        found.push(folder);
    }
    found.sort();
    Ok(found)
}

/// Keeps an input that broke something, under a name that says which it is.
pub fn keep(folder: &Path, input: &[u8]) -> Result<PathBuf> {
    let path = folder.join(format!("crash-{}.yaml", Digest::of([input]).short()));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, input))
        .map_err(at(format!("writing {}", path.display())))?;
    Ok(path)
}
