//! What sites stand on: the loopback of this machine, or network namespaces of their own.
//!
//! One process uses one ground. On loopback a site is an address range, 127.77.SITE.x, and
//! ports are whatever is free. In namespaces it is 10.77.SITE.x behind a router, and every
//! program of the site's folder is started inside.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Error, Result};

/// The file in a site's folder that names its namespace.
const FILE: &str = "netns";

/// Where customers are, in namespaces: the name and the number.
pub const CUSTOMERS: (&str, u8) = ("c", 4);

static ROUTED: OnceLock<()> = OnceLock::new();

/// From now on sites of this process are in namespaces.
pub fn route() {
    ROUTED.get_or_init(|| ());
}

/// Whether they are.
pub fn is_routed() -> bool {
    ROUTED.get().is_some()
}

/// An address in a site: its number, and the number of a host in it.
pub fn ip(site: u8, host: u8) -> IpAddr {
    let first = if is_routed() { 10 } else { 127 };
    Ipv4Addr::new(first, 77, site, host).into()
}

/// All addresses of all sites.
pub fn network() -> &'static str {
    if is_routed() { "10.77.0.0/16" } else { "127.0.0.0/8" }
}

/// Where a namespace of this name is to be found.
pub fn namespace(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// Puts a site's folder, and all that will be started in it, into its namespace.
pub fn settle(folder: &Path, name: &str) -> Result<()> {
    if !is_routed() {
        return Ok(());
    }
    let file = folder.join(FILE);
    fs::write(&file, namespace(name).as_os_str().as_encoded_bytes())
        .map_err(Error::io(format!("writing {}", file.display())))
}

/// Moves this thread into the namespace of a site's folder, if it has one.
pub fn enter_of(folder: &Path) -> Result<()> {
    match fs::read_to_string(folder.join(FILE)) {
        Ok(path) => enter(Path::new(&path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io(format!("reading {}", folder.join(FILE).display()))(error)),
    }
}

/// Moves this thread into a network namespace; what it starts and connects is there.
pub fn enter(namespace: &Path) -> Result<()> {
    let failed = || Error::io(format!("entering {}", namespace.display()));
    let file = fs::File::open(namespace).map_err(failed())?;
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network))
        .map_err(|error| failed()(error.into()))
}
