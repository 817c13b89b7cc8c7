//! The highest epoch that this member has seen, on its own disk: a store that is restored from a backup
//! goes back, and this does not.

use standfast_core::ids::Epoch;
use standfast_core::leadership::{Regressed, successor};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The file in the data folder.
const NAME: &str = "epoch";

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Watermark(Arc<Mutex<Mark>>);

#[derive(Debug, Default)]
struct Mark {
    seen: Epoch,
    /// None in tests of members that have no disk.
    file: Option<PathBuf>,
    /// What the store said last, if it was too low.
    regressed: Option<Regressed>,
}

impl Watermark {
    /// Reads it from `folder`; 0 when there is none yet.
    ///
    /// # Errors
    /// What the system says; `InvalidData` when the file holds no number.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let file = folder.join(NAME);
        let seen = match fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().map_err(|_| {
                let why = "it is to hold the highest epoch that was seen, a number";
                io::Error::new(io::ErrorKind::InvalidData, why)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(Mutex::new(Mark { seen: Epoch(seen), file: Some(file), regressed: None }))))
    }

    /// Where it is kept in `folder`.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// The highest that was seen.
    pub fn seen(&self) -> Epoch {
        self.mark().seen
    }

    /// Why this member does not lead now, if that is for the store's epoch.
    pub fn regressed(&self) -> Option<Regressed> {
        self.mark().regressed
    }

    /// The epoch after the store's, which may not be lower than one that was seen.
    ///
    /// # Errors
    /// [`Regressed`].
    pub fn successor(&self, stored: Epoch) -> Result<Epoch, Regressed> {
        let mut mark = self.mark();
        let next = successor(stored, mark.seen);
        mark.regressed = next.err();
        next
    }

    /// Keeps that `epoch` was seen. It is known from here on also when the disk does not take it.
    ///
    /// # Errors
    /// What the system says.
    pub fn raise(&self, epoch: Epoch) -> io::Result<()> {
        let mut mark = self.mark();
        if epoch <= mark.seen {
            return Ok(());
        }
        mark.seen = epoch;
        match &mark.file {
            Some(file) => write(file, epoch),
            None => Ok(()),
        }
    }

    fn mark(&self) -> MutexGuard<'_, Mark> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After a crash at any moment either this number or the one before is there.
fn write(file: &Path, epoch: Epoch) -> io::Result<()> {
    let unfinished = file.with_extension("new");
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    writeln!(new, "{epoch}")?;
    new.sync_all()?;
    fs::rename(&unfinished, file)?;
    match file.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_and_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let mark = Watermark::open(folder.path()).unwrap();
        assert_eq!(mark.successor(Epoch(0)), Ok(Epoch(1)));
        mark.raise(Epoch(7)).unwrap();
        mark.raise(Epoch(3)).unwrap();
        let again = Watermark::open(folder.path()).unwrap();
        assert_eq!(again.seen(), Epoch(7));
        let regressed = Regressed { stored: Epoch(6), seen: Epoch(7) };
        assert_eq!(again.successor(Epoch(6)), Err(regressed));
        assert_eq!(again.regressed(), Some(regressed));
        assert_eq!(again.successor(Epoch(7)), Ok(Epoch(8)));
        assert_eq!(again.regressed(), None);
        fs::write(Watermark::file(folder.path()), "seven").unwrap();
        assert_eq!(Watermark::open(folder.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
