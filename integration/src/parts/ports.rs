//! Finds ports that nobody uses.
//!
//! A port found free may be taken before it is used. Two things make that rare enough to be
//! an error: ports are chosen below the range that the kernel hands out to outgoing
//! connections, and a chosen port stays reserved among our own processes, through the name
//! of an abstract socket, which vanishes with the process that holds it.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;

use super::{Error, Result};

const LOWEST: u16 = 20_000;

static RESERVED: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());

/// An address on `ip` whose port is free for TCP and UDP.
pub fn free(ip: IpAddr) -> Result<SocketAddr> {
    Ok(SocketAddr::new(ip, free_on_all(&[ip])?))
}

/// A port that is free for TCP and UDP on every one of the addresses.
pub fn free_on_all(ips: &[IpAddr]) -> Result<u16> {
    let below = outgoing_from().filter(|from| *from > LOWEST + 1_000).unwrap_or(32_768);
    let count = below - LOWEST;
    let first = rand::random_range(0..count);
    for n in 0..count {
        let port = LOWEST + (first + n) % count;
        if ips.iter().all(|ip| is_free(SocketAddr::new(*ip, port))) && reserve(port) {
            return Ok(port);
        }
    }
    let problem = format!("no port from {LOWEST} to {below} is free on {ips:?}");
    Err(Error::answer("ports", problem))
}

fn is_free(address: SocketAddr) -> bool {
    // In a namespace of its own nobody else is.
    super::ground::is_routed() || TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

fn reserve(port: u16) -> bool {
    let name = format!("standfast-port-{port}");
    let Ok(address) = std::os::unix::net::SocketAddr::from_abstract_name(name) else {
        return false;
    };
    let Ok(socket) = UnixDatagram::bind_addr(&address) else { return false };
    RESERVED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(socket);
    true
}

/// The first port that the kernel hands out to outgoing connections.
fn outgoing_from() -> Option<u16> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_ascii_whitespace().next()?.parse().ok()
}
