//! The files of an authority: written all or none, and never over another.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why no certificates were made. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file is there already.
    #[error(
        "{path} exists, and nothing is overwritten: choose another --dir or another name; an authority \
         that is there makes further certificates with `standfast pki issue`", path = path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The folder holds no authority.
    #[error("{path}: {source}; `standfast pki init --dir ...` makes an authority", path = path.display())]
    NoAuthority {
        /// The file that was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The authority's files do not serve.
    #[error("the authority in {dir} (ca.pem, ca.key) cannot be used: {source}", dir = dir.display())]
    Authority {
        /// The folder.
        dir: PathBuf,
        /// What is wrong.
        source: rcgen::Error,
    },
    /// A certificate would end after the authority that vouches for it.
    #[error(
        "a certificate of {days} days would outlive its authority, which ends in {left}: give fewer --days"
    )]
    Outlives {
        /// What was asked for.
        days: i64,
        /// What the authority has left, in whole days.
        left: i64,
    },
    /// The same name for two certificates.
    #[error("`{name}` is named twice: each member and client needs its own name")]
    Twice {
        /// The name.
        name: String,
    },
    /// Nobody to issue a certificate for.
    #[error("nothing to issue: name at least one --member or --client")]
    Nothing,
    /// A file or folder cannot be written.
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Making a key or a certificate failed.
    #[error("no certificate could be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// A file to be written.
pub(super) struct PemFile {
    name: String,
    mode: u32,
    pem: String,
}

impl PemFile {
    /// `NAME.pem`, which is public, and `NAME.key`, which is its owner's alone.
    pub(super) fn pair(name: &str, certificate: String, key: String) -> [PemFile; 2] {
        [
            PemFile { name: format!("{name}.key"), mode: 0o600, pem: key },
            PemFile { name: format!("{name}.pem"), mode: 0o644, pem: certificate },
        ]
    }
}

/// Certificate and key of the authority in `dir`, as PEM.
pub(super) fn read_authority(dir: &Path) -> Result<(String, String), PkiError> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read_to_string(&path).map_err(|source| PkiError::NoAuthority { path, source })
    };
    Ok((read("ca.pem")?, read("ca.key")?))
}

/// Writes all files into `dir` (made with 0700 if absent), or none.
pub(super) fn write_all(dir: &Path, files: &[PemFile]) -> Result<Vec<PathBuf>, PkiError> {
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| PkiError::Write { path: dir.to_owned(), source })?;
    let mut written = Vec::new();
    for file in files {
        let path = dir.join(&file.name);
        if let Err(error) = write_new(&path, file, &mut written) {
            for path in written {
                // The error that matters is the first; what cannot be removed shows itself
                // as "exists" the next time.
                let _ = std::fs::remove_file(path);
            }
            return Err(error);
        }
    }
    Ok(written)
}

fn write_new(path: &Path, file: &PemFile, written: &mut Vec<PathBuf>) -> Result<(), PkiError> {
    let failed = |source: io::Error| PkiError::Write { path: path.to_owned(), source };
    // create_new, not a look beforehand: nothing can come in between.
    let open = OpenOptions::new().write(true).create_new(true).mode(file.mode).open(path);
    let mut out = match open {
        Ok(out) => out,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            return Err(PkiError::Exists { path: path.to_owned() });
        }
        Err(e) => return Err(failed(e)),
    };
    written.push(path.to_owned());
    out.write_all(file.pem.as_bytes()).and_then(|()| out.sync_all()).map_err(failed)
}
