//! Secrets: one file each, in one folder, readable by the daemon alone.
//!
//! A fleet says `{secret: orders_a}`; the value is the file `orders_a` in the settings'
//! `secrets_dir`. It is read when it is used, so that a changed password needs no restart.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use secrecy::SecretString;

/// More than any password, key or token; a larger file is a mistake.
const LIMIT_BYTES: u64 = 64 * 1024;

/// The folder of secrets. Holds no secret itself: its `Debug` shows the path.
#[derive(Clone, Debug)]
pub struct Secrets {
    dir: PathBuf,
}

/// Why a secret cannot be had. Never contains any part of its value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The name could lead out of the folder, or is no file name.
    #[error(
        "`{name}` cannot name a secret: use 1 to 64 of a-z, A-Z, 0-9, `_`, `-`, `.`, not beginning \
         with a dot"
    )]
    Name {
        /// The name as it was asked for, cut to 80 characters.
        name: String,
    },
    /// There is no such file.
    #[error(
        "secret `{name}` is missing: put its value into {path}, then `chmod 600 {path}`", path = path.display()
    )]
    Missing {
        /// Name of the secret.
        name: String,
        /// The file that was looked for.
        path: PathBuf,
    },
    /// Others than the owner may read or write it.
    #[error(
        "secret `{name}` is open to others than its owner (mode {mode:04o}): `chmod 600 {path}`", path = path.display()
    )]
    Open {
        /// Name of the secret.
        name: String,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A link, a folder, a pipe.
    #[error("secret `{name}` is {what}, and must be a plain file: {path}", path = path.display())]
    NotAFile {
        /// Name of the secret.
        name: String,
        /// The path.
        path: PathBuf,
        /// What stands there.
        what: &'static str,
    },
    /// Empty, too long, or not UTF-8.
    #[error("secret `{name}` is {what}: {path}", path = path.display())]
    Value {
        /// Name of the secret.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with the value.
        what: &'static str,
    },
    /// The system refused.
    #[error("secret `{name}` cannot be read from {path}: {source}", path = path.display())]
    Read {
        /// Name of the secret.
        name: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Secrets {
    /// Secrets in `dir`, which is not looked at before the first [`Secrets::get`].
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the secret `name`; one line end at its end is not part of it.
    pub fn get(&self, name: &str) -> Result<SecretString, SecretError> {
        if !is_name(name) {
            return Err(SecretError::Name { name: name.chars().take(80).collect() });
        }
        let at = Place { name: name.to_owned(), path: self.dir.join(name) };
        // Checked on the open file, not on the path: what is checked is what is read.
        // NOFOLLOW refuses a link, NONBLOCK keeps a pipe from hanging the daemon.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = match rustix::fs::open(&at.path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::NOENT) => return Err(at.missing()),
            Err(rustix::io::Errno::LOOP) => return Err(at.not_a_file("a symbolic link")),
            Err(errno) => return Err(at.unreadable(errno.into())),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|e| at.unreadable(e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(at.not_a_file("not a regular file"));
        }
        let mode = stat.st_mode & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Open { name: at.name, path: at.path, mode });
        }
        let mut text = String::new();
        let mut file = std::fs::File::from(fd).take(LIMIT_BYTES + 1);
        match file.read_to_string(&mut text) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(at.value("not UTF-8 text")),
            Err(e) => return Err(at.unreadable(e)),
        }
        if text.len() as u64 > LIMIT_BYTES {
            return Err(at.value("larger than 64 KiB"));
        }
        let value = text.strip_suffix('\n').unwrap_or(&text);
        let value = value.strip_suffix('\r').unwrap_or(value);
        if value.is_empty() {
            return Err(at.value("empty"));
        }
        Ok(SecretString::from(value))
    }
}

/// Whether `name` may name a secret: a plain file name that leads nowhere else.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

struct Place {
    name: String,
    path: PathBuf,
}

impl Place {
    fn missing(self) -> SecretError {
        SecretError::Missing { name: self.name, path: self.path }
    }
    fn not_a_file(self, what: &'static str) -> SecretError {
        SecretError::NotAFile { name: self.name, path: self.path, what }
    }
    fn value(self, what: &'static str) -> SecretError {
        SecretError::Value { name: self.name, path: self.path, what }
    }
    fn unreadable(&self, source: io::Error) -> SecretError {
        SecretError::Read { name: self.name.clone(), path: self.path.clone(), source }
    }
}

impl fmt::Display for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secrets in {}", self.dir.display())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    fn folder(files: &[(&str, &[u8], u32)]) -> (tempfile::TempDir, Secrets) {
        let dir = tempfile::tempdir().unwrap();
        for (name, value, mode) in files {
            let path = dir.path().join(name);
            std::fs::write(&path, value).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
        }
        let secrets = Secrets::new(dir.path());
        (dir, secrets)
    }

    #[test]
    fn one_line_end_is_cut_and_nothing_else() {
        let (_dir, secrets) = folder(&[
            ("a", b"hunter2\n", 0o600),
            ("b", b"two\nlines\r\n", 0o400),
            ("c", b" space \n\n", 0o600),
        ]);
        let value = |name| secrets.get(name).unwrap().expose_secret().to_owned();
        assert_eq!(value("a"), "hunter2");
        assert_eq!(value("b"), "two\nlines");
        assert_eq!(value("c"), " space \n");
        assert!(!format!("{:?}", secrets.get("a").unwrap()).contains("hunter2"));
    }

    #[test]
    fn a_file_open_to_others_is_refused_with_the_cure() {
        let (dir, secrets) = folder(&[("g", b"x", 0o640), ("o", b"x", 0o604), ("w", b"x", 0o620)]);
        for (name, mode) in [("g", "0640"), ("o", "0604"), ("w", "0620")] {
            let error = secrets.get(name).unwrap_err().to_string();
            let cure = format!("`chmod 600 {}`", dir.path().join(name).display());
            assert!(error.contains(mode) && error.ends_with(&cure), "{error}");
        }
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let (_dir, secrets) = folder(&[]);
        let long = "x".repeat(65);
        for name in ["", ".", "..", "../passwd", "a/b", "/etc/passwd", ".hidden", "a\0b", "ä", &long] {
            assert!(matches!(secrets.get(name), Err(SecretError::Name { .. })), "{name:?}");
        }
        assert!(is_name("orders_a") && is_name("tsig.key") && is_name("A-1"));
    }

    #[test]
    fn what_is_no_plain_filled_file_is_refused() {
        let (dir, secrets) = folder(&[
            ("empty", b"\n", 0o600),
            ("binary", b"\xff\xfe", 0o600),
            ("huge", &vec![b'x'; 70_000], 0o600),
            ("real", b"x", 0o600),
        ]);
        std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        let error = |name| secrets.get(name).unwrap_err().to_string();
        assert!(error("empty").contains("is empty"));
        assert!(error("binary").contains("not UTF-8"));
        assert!(error("huge").contains("larger than 64 KiB"));
        assert!(error("link").contains("a symbolic link"));
        assert!(error("dir").contains("not a regular file"));
        assert!(error("none").contains("is missing: put its value into"));
    }
}
