//! The current bundle on this member's own disk, for the day on which the store is away when
//! the member starts.

use super::{File, make};
use serde::{Deserialize, Serialize};
use standfast_core::bundle::Bundle;
use standfast_core::ids::Digest;
use standfast_core::source::SourceFile;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The file, replaced as a whole.
const NAME: &str = "bundle.json";

#[derive(Serialize, Deserialize)]
struct Cached {
    digest: Digest,
    files: Vec<File>,
}

/// Keeps `bundle` in `folder`, which is made if it is missing. After a crash at any moment
/// either this one or the one before is there.
///
/// # Errors
/// What the system says.
pub fn write(folder: &Path, bundle: &Bundle) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let files = bundle.files.iter().map(|file| File { name: file.name.clone(), text: file.text.clone() });
    let cached = Cached { digest: bundle.digest.clone(), files: files.collect() };
    let unfinished = folder.join(format!("{NAME}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(&serde_json::to_vec(&cached)?)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(NAME))?;
    fs::File::open(folder)?.sync_all()
}

/// The bundle that was kept last; none if there is none yet.
///
/// # Errors
/// What the system says; `InvalidData` when it is not a bundle to this version.
pub fn read(folder: &Path) -> io::Result<Option<Bundle>> {
    let json = match fs::read(folder.join(NAME)) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Cached { digest, files } = serde_json::from_slice(&json)?;
    let files = files.into_iter().map(|file| SourceFile::new(file.name, file.text)).collect();
    make(&digest, files).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
