//! The one thing that a killed PostgreSQL leaves outside of its folder: a small piece of System V
//! shared memory, by which it knows that nobody else has its data. Only a server that starts on
//! the same data removes it; in a folder that is itself removed, none ever does.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use super::process::Process;
use super::{Error, Result, postgres, program};

/// Where the kernel lists all segments, a line each: key, id, ... the seventh is how many
/// processes have it.
const LIST: &str = "/proc/sysvipc/shm";

/// A segment. The kernel gives ids out again; together with the key, which is made of the data's
/// place on the disk, it is this one and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    key: u32,
    id: i32,
}

impl Segment {
    /// That of the server whose data are in a site's folder, if it is running or was killed.
    pub fn of(site: &Path) -> Result<Option<Segment>> {
        let file = postgres::data(site).join("postmaster.pid");
        match fs::read_to_string(&file) {
            // The seventh line; it is written when the segment is there.
            Ok(text) => Ok(text.lines().nth(6).and_then(Segment::named)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(format!("reading {}", file.display()))(e)),
        }
    }

    fn named(line: &str) -> Option<Segment> {
        let (key, id) = line.trim().split_once(' ')?;
        let key: u64 = key.parse().ok()?;
        // The key is 32 bits wide; a negative one is written wider.
        Some(Segment { key: u32::try_from(key & 0xffff_ffff).ok()?, id: id.trim().parse().ok()? })
    }

    /// How many processes have it; `None` if there is no such segment.
    pub fn attached(self) -> Result<Option<usize>> {
        let list = fs::read_to_string(LIST).map_err(Error::io(format!("reading {LIST}")))?;
        Ok(list.lines().find_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let key: i32 = fields.next()?.parse().ok()?;
            let id: i32 = fields.next()?.parse().ok()?;
            let attached = fields.nth(4)?.parse().ok()?;
            (key.cast_unsigned() == self.key && id == self.id).then_some(attached)
        }))
    }

    /// Removes it, if it is there and nobody has it.
    pub fn remove(self) -> Result<()> {
        if self.attached()? != Some(0) {
            return Ok(());
        }
        let id = self.id.to_string();
        let done = Command::new(program("ipcrm")?).args(["-m", &id]).output();
        let done = done.map_err(Error::io("running ipcrm"))?;
        match done.status.success() || self.attached()?.is_none() {
            true => Ok(()),
            false => Err(Error::answer("ipcrm", String::from_utf8_lossy(&done.stderr).trim())),
        }
    }
}

/// Whether a process has something in memory that lies in `/dev/shm`.
pub fn is_in_dev_shm(process: Process) -> bool {
    let maps = fs::read_to_string(format!("/proc/{}/maps", process.pid)).unwrap_or_default();
    maps.contains("/dev/shm/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_wide_as_it_is() {
        assert_eq!(Segment::named(" 10128374    458752"), Some(Segment { key: 10_128_374, id: 458_752 }));
        assert_eq!(Segment::named("18446744073709551615 7"), Some(Segment { key: u32::MAX, id: 7 }));
        assert_eq!(Segment::named("none"), None);
    }
}
