//! A folder for the parts of one run, which is gone afterwards together with all that ran in
//! it, also when the program that made it was killed.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::memory::Segment;
use super::process::{kill_trees, recorded};
use super::{Error, Result, site_program};

/// What is written to the janitor if the folder is to be left.
const KEEP: u8 = b'k';

/// How long the kernel may take to end what was killed.
const DEATH: Duration = Duration::from_secs(10);

/// A temporary folder, one folder a site below it. A janitor process waits for the end of
/// the process that made it, kills what still runs in the sites, and removes the folder.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    janitor: Child,
}

impl Scratch {
    /// Makes the folder, and starts its janitor.
    pub fn new() -> Result<Scratch> {
        let path = tempfile::Builder::new()
            .prefix("standfast-")
            .tempdir()
            .map_err(Error::io("making a temporary folder"))?
            .keep();
        // PostgreSQL may run as another user and must be able to pass.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .map_err(Error::io(format!("opening {}", path.display())))?;
        let janitor = Command::new(site_program()?)
            .arg("janitor")
            .arg(&path)
            .stdin(Stdio::piped())
            .process_group(0) // Ctrl-C is for the program in front, not for the janitor
            .spawn()
            .map_err(Error::io("starting the janitor"))?;
        Ok(Scratch { path, janitor })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder of a site.
    pub fn site(&self, name: &str) -> Result<PathBuf> {
        let folder = self.path.join(name);
        fs::create_dir_all(&folder).map_err(Error::io(format!("making {}", folder.display())))?;
        super::ground::settle(&folder, name)?;
        Ok(folder)
    }

    /// Leaves the folder for a person to look at; what runs in it still ends.
    pub fn keep(&mut self) {
        if let Some(pipe) = &mut self.janitor.stdin {
            let _ = pipe.write_all(&[KEEP]);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// What the janitor process does: waits for the end of its pipe, then cleans up.
pub fn janitor(folder: &Path) -> Result<()> {
    let mut told = Vec::new();
    std::io::stdin().read_to_end(&mut told).map_err(Error::io("waiting for the end"))?;
    let sites = fs::read_dir(folder).map_err(Error::io(format!("reading {}", folder.display())))?;
    let (mut running, mut segments) = (Vec::new(), Vec::new());
    for site in sites.filter_map(|entry| Some(entry.ok()?.path())) {
        if site.join("pids").is_dir() {
            running.extend(recorded(&site)?);
            segments.extend(Segment::of(&site)?);
        }
    }
    if !kill_trees(&running, DEATH) {
        let problem = format!("not everything in {} could be killed", folder.display());
        return Err(Error::answer("janitor", problem));
    }
    // Whatever cannot be removed, the rest is.
    let swept: Vec<Result<()>> = segments.into_iter().map(Segment::remove).collect();
    if !told.contains(&KEEP) {
        fs::remove_dir_all(folder).map_err(Error::io(format!("removing {}", folder.display())))?;
    }
    swept.into_iter().collect()
}
