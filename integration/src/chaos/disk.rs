//! A small disk of its own for what a member keeps, that can be filled.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::schedule::Site;
use crate::parts::{Error, Result, program};

const FILLER: &str = "filler";

/// A file system in memory. Dropping it takes it away.
#[derive(Debug)]
pub struct Disk {
    /// Whose member keeps its state there.
    pub site: Site,
    at: PathBuf,
}

impl Disk {
    /// Mounts it at an empty folder. Only in a lab: the mount is private to it.
    pub fn mount(site: Site, at: &Path) -> Result<Disk> {
        fs::create_dir_all(at).map_err(Error::io(format!("making {}", at.display())))?;
        run(Command::new(program("mount")?)
            .args(["-t", "tmpfs", "-o", "size=256k,mode=700", "none"])
            .arg(at))?;
        Ok(Disk { site, at: at.to_path_buf() })
    }

    /// Leaves no room on it.
    pub fn fill(&self) -> Result<()> {
        let file = self.at.join(FILLER);
        let failed = || Error::io(format!("filling {}", file.display()));
        let mut filler = fs::File::create(&file).map_err(failed())?;
        loop {
            match filler.write_all(&[0; 4096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(failed()(error)),
            }
        }
    }

    /// Makes room again.
    pub fn empty(&self) -> Result<()> {
        let file = self.at.join(FILLER);
        fs::remove_file(&file).map_err(Error::io(format!("removing {}", file.display())))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still stands in it keeps it until they are gone.
        let unmount = program("umount").map(|umount| Command::new(umount).arg("-l").arg(&self.at).status());
        if !matches!(unmount, Ok(Ok(status)) if status.success()) {
            eprintln!("chaos: {} stays mounted", self.at.display());
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let done = command.output().map_err(Error::io("mounting"))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(Error::answer("mount", String::from_utf8_lossy(&done.stderr).trim())),
    }
}
