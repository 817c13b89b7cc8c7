//! Files of a bundle as they lie on disk: the same folder is the same bundle on every machine.

use standfast_core::finding::Finding;
use standfast_core::source::SourceFile;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Why files were not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder without files for a bundle.
    #[error("there is no *.yaml or *.yml in {path}", path = .0.display())]
    Empty(PathBuf),
    /// Two files of one name.
    #[error("{0} is given twice; files of a bundle are told apart by their names alone")]
    Twice(String),
    /// A file that is too large, or no text.
    #[error("{}: {}", .0.file, .0.message)]
    NotText(Box<Finding>),
}

/// All `*.yaml` and `*.yml` of a folder, by name; not those in folders inside.
///
/// # Errors
/// Any [`ReadError`].
pub fn load_dir(folder: &Path) -> Result<Vec<SourceFile>, ReadError> {
    read_paths(&[folder.to_owned()])
}

/// Files, and of folders all `*.yaml` and `*.yml`, sorted by name.
///
/// # Errors
/// Any [`ReadError`].
pub fn read_paths(paths: &[PathBuf]) -> Result<Vec<SourceFile>, ReadError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let inside =
                inside(path).map_err(|source| ReadError::Unreadable { path: path.clone(), source })?;
            if inside.is_empty() {
                return Err(ReadError::Empty(path.clone()));
            }
            for file in inside {
                files.push(read(&file)?);
            }
        } else {
            files.push(read(path)?);
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    match files.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(ReadError::Twice(pair[0].name.clone())),
        None => Ok(files),
    }
}

fn inside(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let yaml = |file: &PathBuf| file.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let all = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(all.into_iter().filter(yaml).collect())
}

fn read(path: &Path) -> Result<SourceFile, ReadError> {
    let bytes = fs::read(path).map_err(|source| ReadError::Unreadable { path: path.to_owned(), source })?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    SourceFile::from_bytes(name, bytes).map_err(ReadError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_sorted_and_without_other_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["shop.yml", "fleet.yaml", "README.md"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let files = load_dir(folder.path()).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["fleet.yaml", "shop.yml"]);
        assert_eq!(files[0].text, "fleet.yaml");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = load_dir(folder.path()).unwrap_err();
        assert!(error.to_string().starts_with("there is no *.yaml"), "{error}");
        let missing = folder.path().join("fleet.yaml");
        let error = read_paths(std::slice::from_ref(&missing)).unwrap_err();
        assert!(error.to_string().contains(&missing.display().to_string()), "{error}");
        fs::write(&missing, [b'a', 0xff]).unwrap();
        let error = read_paths(std::slice::from_ref(&missing)).unwrap_err();
        assert_eq!(error.to_string(), "fleet.yaml: byte 1 is not UTF-8: save the file as UTF-8");
        fs::write(&missing, "").unwrap();
        let error = read_paths(&[missing.clone(), missing]).unwrap_err();
        assert!(error.to_string().starts_with("fleet.yaml is given twice"), "{error}");
    }
}
