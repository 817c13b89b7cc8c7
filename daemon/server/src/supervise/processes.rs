//! The supervisor's children: found, signalled, reaped.

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait};

/// The children of this process, orphans that it took in included.
pub(super) fn children() -> Vec<Pid> {
    let me = getpid();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
        .filter(|pid| parent(*pid) == Some(me))
        .collect()
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    parent_in(&stat)
}

/// The fourth field. The second is the program's name in parentheses, and may hold any.
fn parent_in(stat: &str) -> Option<Pid> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(1)?.parse().ok().and_then(Pid::from_raw)
}

/// Signals every child. Errors are left to the count of those that stay: a child may have
/// died meanwhile, or run as another user.
pub(super) fn signal_children(signal: Signal) {
    for child in children() {
        let _ = kill_process(child, signal);
    }
}

/// What [`reap`] found.
pub(super) struct Reaped {
    /// The status of the awaited child, if it was among the dead.
    pub(super) status: Option<WaitStatus>,
    /// Whether no child is left, dead or alive.
    pub(super) none_left: bool,
}

/// Reaps all that are dead.
pub(super) fn reap(awaited: Pid) -> Reaped {
    let mut status = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, its))) if pid == awaited => status = Some(its),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return Reaped { status, none_left: false },
            // ECHILD, the only other error there is.
            Err(_) => return Reaped { status, none_left: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_hide_the_parent() {
        assert_eq!(parent_in("7 (a) S 1 (b) R 42 7 7 0").map(|p| p.as_raw_nonzero().get()), Some(42));
        assert_eq!(parent_in("7 (sleep) S 0 7"), None);
        assert_eq!(parent_in("nonsense"), None);
    }

    #[test]
    fn a_child_is_found_and_a_grandchild_is_not() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(children().contains(&pid));
        assert!(!children().contains(&getpid()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children().contains(&pid));
    }
}
