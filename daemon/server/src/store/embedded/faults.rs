//! A disk in memory that fills up and fails on command, for tests.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

const BLOCK: u64 = 4096;

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    data: Vec<u8>,
    /// Blocks that were ever written: like a file system, it reserves nothing before.
    written: BTreeSet<u64>,
    blocks: Option<usize>,
    /// How many more writes and flushes work.
    working: Option<usize>,
}

impl Disk {
    /// Has room for this many blocks of 4 KiB; `None` for any.
    pub(super) fn room_for(&self, blocks: Option<usize>) {
        self.state().blocks = blocks;
    }

    /// Fails every write and flush after this many; `None` heals it.
    pub(super) fn fail_after(&self, operations: Option<usize>) {
        self.state().working = operations;
    }

    /// How many blocks were written.
    pub(super) fn used(&self) -> usize {
        self.state().written.len()
    }

    /// Overwrites all but the first `from` bytes with nonsense.
    pub(super) fn scribble(&self, from: usize) {
        for byte in self.state().data.iter_mut().skip(from) {
            *byte ^= 0x5a;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the disk")
    }
}

impl State {
    fn wear(&mut self) -> Result<()> {
        match &mut self.working {
            Some(0) => Err(Error::other("the disk broke")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        Ok(self.state().data.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let state = self.state();
        let start = usize::try_from(offset).map_err(Error::other)?;
        let bytes = state.data.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state();
        state.wear()?;
        let len = usize::try_from(len).map_err(Error::other)?;
        state.data.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.state().wear()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.state();
        state.wear()?;
        let last = (offset + data.len() as u64).div_ceil(BLOCK);
        for block in offset / BLOCK..last {
            let full = state.blocks.is_some_and(|room| state.written.len() >= room);
            if full && !state.written.contains(&block) {
                return Err(ErrorKind::StorageFull.into());
            }
            state.written.insert(block);
        }
        let start = usize::try_from(offset).map_err(Error::other)?;
        let target = state.data.get_mut(start..start + data.len());
        target.ok_or(ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        Ok(())
    }
}
