//! The file: opening it, owning it, and saying what is wrong with it.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database};

use super::Fault;
use super::tables::{
    FIRST_REVISION, FORMAT, LEASE_KEYS, LEASES, LIVE, LOG, META, META_FORMAT, META_REVISION, VERSIONS, number,
};
use crate::store::StoreError;

/// What redb may keep of the file in memory.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Where the data is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// In this file, which only this process may have open.
    File(PathBuf),
    /// Nowhere: gone with the process.
    Memory,
    /// On a disk that a test has made.
    #[cfg(test)]
    Disk(super::faults::Disk),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Memory => f.write_str("memory"),
            #[cfg(test)]
            Self::Disk(_) => f.write_str("a test's disk"),
        }
    }
}

impl Place {
    /// Opens the database, or makes it, with all its tables.
    pub(super) fn open(&self) -> Result<Database, StoreError> {
        self.try_open().map_err(|fault| self.explain(fault))
    }

    fn try_open(&self) -> Result<Database, Fault> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let db = match self {
            Self::File(path) => {
                let backend = FileBackend::new(open_file(path)?)?;
                builder.create_with_backend(backend)?
            }
            Self::Memory => builder.create_with_backend(InMemoryBackend::new())?,
            #[cfg(test)]
            Self::Disk(disk) => builder.create_with_backend(disk.clone())?,
        };
        make_tables(&db)?;
        Ok(db)
    }

    /// The size on disk in bytes; zero in memory.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::File(path) => fs::metadata(path).map_or(0, |meta| meta.len()),
            _ => 0,
        }
    }

    /// Says what a fault means, where, and what to do.
    pub(super) fn explain(&self, fault: Fault) -> StoreError {
        let error = match fault {
            Fault::Refused(error) => return error,
            Fault::Storage(error) => error,
        };
        let at = self.to_string();
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => StoreError::Unavailable {
                why: format!(
                    "the file is in use by {}; stop it, or give this daemon a folder of its own",
                    self.holder()
                ),
                at,
            },
            redb::Error::Io(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    StoreError::NoSpace {
                        at,
                        why: format!("{error}; free space on its disk, and it goes on by itself"),
                    }
                }
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    let why = format!("{error}; `data_dir` must be a folder in which this user may write");
                    StoreError::Denied { at, why }
                }
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => StoreError::Corrupt {
                    at,
                    why: format!("this is no store of Standfast, or a part of it is gone: {error}"),
                },
                _ => StoreError::Unavailable { at, why: error.to_string() },
            },
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
                StoreError::Unavailable { at, why: error.to_string() }
            }
            damaged => StoreError::Corrupt { at, why: damaged.to_string() },
        }
    }

    /// Who else has the file open, as far as this user may see.
    fn holder(&self) -> String {
        let Self::File(path) = self else {
            return "another store".into();
        };
        let Ok(path) = path.canonicalize() else {
            return "another process".into();
        };
        let own = std::process::id();
        match holders(&path).find(|pid| *pid != own) {
            Some(pid) => {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                format!("process {pid} ({})", name.trim())
            }
            None if holders(&path).count() > 0 => "this very process".into(),
            None => "a process of another user".into(),
        }
    }
}

/// The processes that have `path` open.
pub(super) fn holders(path: &Path) -> impl Iterator<Item = u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(move |pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"));
        let mut open = open.into_iter().flatten().flatten();
        open.any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == path))
    })
}

fn open_file(path: &Path) -> Result<File, Fault> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(file)
}

fn make_tables(db: &Database) -> Result<(), Fault> {
    let txn = db.begin_write()?;
    let made = {
        let mut meta = txn.open_table(META)?;
        txn.open_table(LIVE)?;
        txn.open_table(VERSIONS)?;
        txn.open_table(LOG)?;
        txn.open_table(LEASES)?;
        txn.open_table(LEASE_KEYS)?;
        match number(&meta, META_FORMAT)? {
            0 => {
                meta.insert(META_FORMAT, FORMAT)?;
                meta.insert(META_REVISION, FIRST_REVISION)?;
                true
            }
            FORMAT => false,
            other => {
                return Err(Fault::Refused(StoreError::Invalid(format!(
                    "the store was written in format {other}, this release reads {FORMAT}: \
                     use the release that wrote it"
                ))));
            }
        }
    };
    if made {
        txn.commit()?;
    } else {
        txn.abort()?;
    }
    Ok(())
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Storage(redb::Error::Io(error))
    }
}
