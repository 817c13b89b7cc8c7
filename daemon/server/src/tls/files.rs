//! The PEM files of TLS: read, and refused with the path and the cure.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key that others may read.
    #[error(
        "{path} is open to others than its owner (mode {mode:04o}): `chmod 600 {path}`", path = path.display()
    )]
    Open {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that was read, and does not serve.
    #[error("{path}: {why}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(unreadable(path))
}

/// Reads a private key, which nobody but its owner may read.
pub(super) fn read_key(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut file = std::fs::File::open(path).map_err(unreadable(path))?;
    let mode = file.metadata().map_err(unreadable(path))?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(TlsError::Open { path: path.to_owned(), mode });
    }
    let mut pem = Vec::new();
    file.read_to_end(&mut pem).map_err(unreadable(path))?;
    Ok(pem)
}

/// The certificates in `pem`, at least one.
pub(super) fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |why: String| TlsError::Unusable { path: path.to_owned(), why };
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|e| unusable(format!("no certificate in PEM ({e})")))?;
    match all.is_empty() {
        true => Err(unusable("no certificate in PEM".to_owned())),
        false => Ok(all),
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> TlsError {
    move |source| TlsError::Unreadable { path: path.to_owned(), source }
}
