//! Binding a listener; when the port is taken, by whom.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use tokio::net::TcpListener;

/// A listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("`{key}`: cannot listen on {address}: {source}{}", held(.holder.as_deref()))]
pub struct BindError {
    /// The settings key of the address.
    pub key: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// The program that has it, with its process number, as far as this user may know.
    pub holder: Option<String>,
    /// What the system said.
    pub source: io::Error,
}

fn held(holder: Option<&str>) -> String {
    holder.map(|holder| format!("; it is held by {holder}")).unwrap_or_default()
}

/// Binds `address`, which the settings have under `key` (`listen.grpc`, `listen.http`).
pub async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| {
        let in_use = source.kind() == io::ErrorKind::AddrInUse;
        let holder = if in_use { holder(address) } else { None };
        BindError { key, address, holder, source }
    })
}

/// The process that listens on `address`. Other users' processes cannot be looked into.
fn holder(address: SocketAddr) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).ok());
    let inode = tables.iter().flatten().flat_map(|table| table.lines()).find_map(|line| {
        let (listens, inode) = listening(line)?;
        let same =
            listens.ip() == address.ip() || listens.ip().is_unspecified() || address.ip().is_unspecified();
        (same && listens.port() == address.port()).then_some(inode)
    })?;
    let socket = format!("socket:[{inode}]");
    let pid = std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut fds = std::fs::read_dir(process.path().join("fd")).ok()?.flatten();
        let is_it =
            |fd: std::fs::DirEntry| std::fs::read_link(fd.path()).is_ok_and(|to| to == Path::new(&socket));
        fds.any(is_it).then_some(pid)
    })?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (process {pid})", name.trim_end()))
}

/// A line of the kernel's table, if it is about a listener: its address and inode.
fn listening(line: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let (address, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (ip, port) = address.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // 0A is TCP_LISTEN.
    (*state == "0A").then_some((SocketAddr::new(table_ip(ip)?, port), inode.parse().ok()?))
}

/// An address as the kernel prints it: words of 32 bits, each in the machine's byte order.
fn table_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_key_address_and_holder() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may have no IPv6; then there is nothing to hold.
            let Ok(holder) = TcpListener::bind(host).await else { continue };
            let address = holder.local_addr().unwrap();
            let error = bind("listen.http", address).await.unwrap_err().to_string();
            let me = format!("(process {})", std::process::id());
            assert!(error.starts_with(&format!("`listen.http`: cannot listen on {address}")), "{error}");
            assert!(error.contains("; it is held by ") && error.ends_with(&me), "{error}");
        }
    }

    #[tokio::test]
    async fn an_address_of_another_machine_has_no_holder() {
        let error = bind("listen.grpc", "192.0.2.1:1".parse().unwrap()).await.unwrap_err();
        assert!(error.holder.is_none() && error.to_string().contains("192.0.2.1:1"), "{error}");
    }

    #[test]
    fn lines_that_are_not_listeners_are_passed_over() {
        assert_eq!(listening("  sl  local_address rem_address   st tx_queue rx_queue"), None);
        assert_eq!(listening("0: 0100007F:1E56 0100007F:1 01 0:0 00:0 0 0 0 77 1"), None);
    }
}
