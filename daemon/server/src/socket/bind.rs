//! The file of a socket: closed to others from its first moment on, and never another process's.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers there.
    #[error(
        "`listen.socket`: {path} is the socket of a process that runs: give each member its own",
        path = .0.display()
    )]
    Taken(PathBuf),
    /// Something else is there.
    #[error(
        "`listen.socket`: {path} is no socket, and is not replaced: move it away, or name another path",
        path = .0.display()
    )]
    NoSocket(PathBuf),
    /// It cannot be made.
    #[error("`listen.socket`: cannot listen on {path}: {source}", path = path.display())]
    Failed {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A socket that listens. Dropped, its file is gone.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// Takes the file away when it is dropped, if it is still the same one.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Socket {
    /// Listens at `path`, as its owner alone. What a process that died has left there is replaced.
    /// Needs a running tokio runtime.
    ///
    /// # Errors
    /// When a living process listens there, or what is there is no socket.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Failed { path: path.to_owned(), source };
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => match UnixStream::connect(path) {
                // Only this says that nobody listens any more.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Ok(_) => return Err(SocketError::Taken(path.to_owned())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(SocketError::Taken(path.to_owned()));
                }
                Err(error) => return Err(failed(error)),
            },
            Ok(_) => return Err(SocketError::NoSocket(path.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // Under its name nobody finds it before it is closed to others.
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        let make = || {
            match fs::remove_file(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&new)?;
            fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
            fs::rename(&new, path)?;
            Ok((listener, inode(path)?))
        };
        let (listener, inode) = make().map_err(failed)?;
        Ok(Self { listener, file: SocketFile { path: path.to_owned(), inode } })
    }

    pub(super) fn split(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|found| found == self.inode)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_dead_process_left_is_replaced_and_what_lives_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a1.sock");
        // Closed, its file stays: as after SIGKILL.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let (listener, file) = socket.split();
        let taken = Socket::bind(&path).unwrap_err();
        assert!(matches!(taken, SocketError::Taken(_)), "{taken}");
        UnixStream::connect(&path).expect("it is still the first one's");
        drop((listener, file));
        assert!(!path.exists(), "it is taken away at the end");
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter");
        fs::write(&path, "dear reader").unwrap();
        let refused = Socket::bind(&path).unwrap_err().to_string();
        assert!(refused.contains("no socket") && refused.contains("move it away"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "dear reader");
        let nowhere = Socket::bind(&folder.path().join("none/a1.sock")).unwrap_err().to_string();
        assert!(nowhere.contains("none/a1.sock"), "{nowhere}");
    }

    /// Situation: the path is given to another member while the first one ends. Danger: it takes the
    /// other's file away. Expectation: it leaves what is not its own.
    #[tokio::test]
    async fn the_file_of_another_is_not_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a1.sock");
        let first = Socket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = Socket::bind(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).expect("the second one's");
        drop(second);
    }
}
