//! A site that is far away: whatever goes to it or comes from it is late.
//!
//! The kernel packs every packet of the site into a datagram (VXLAN) and sends it to a relay of ours,
//! which keeps it for a while and passes it on; at the other end it is unpacked. So everything is late,
//! the first packet of a connection as well, and cuts do what they always do.
//!
//! The relay stands among the customers: what is sent to the kernel's own address does not leave it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::member::number;
use super::net::run;
use crate::parts::ground::{self, CUSTOMERS, ip};
use crate::parts::{Error, Result};

/// Where the tunnel ends in the site.
const END: u8 = 254;
/// The port that the kernel unpacks at, in the site; in the router every site has one of its own.
const PORT: u16 = 4789;
/// What fits into a datagram that fits into a packet.
const MTU: &str = "1450";
/// Each packet by itself: a datagram that holds several is too large for us.
const SINGLE: &[&str] = &["gso_max_segs", "1"];
/// Datagrams under way in one direction; more than that are lost, as in a router.
const QUEUE: usize = 10_000;

/// A running relay. Dropping it ends it, and with it all that goes to the site.
#[derive(Debug)]
pub struct Far {
    home: CancellationToken,
}

impl Drop for Far {
    fn drop(&mut self) {
        self.home.cancel();
    }
}

impl Far {
    /// Moves a site away: each packet takes so long in each direction.
    pub async fn away(site: &str, late: Duration) -> Result<Far> {
        let n = number(site)?;
        let (customers, number) = CUSTOMERS;
        // Replaced, because another site may be far already.
        let at = format!("{}/24", relay_ip());
        run("ip", &["-n", customers, "addr", "replace", &at, "dev", "eth0"])?;
        let (outside, inside) = (bind(customers)?, bind(customers)?);
        let ports = [&outside, &inside].map(|socket| socket.local_addr().map(|at| at.port().to_string()));
        let [at_site, at_router] = ports;
        let failed = || Error::io("finding a relay's port");
        let router = PORT + u16::from(n);
        lay(site, n, (&at_site.map_err(failed())?, &at_router.map_err(failed())?), router)?;

        let home = CancellationToken::new();
        let (site, router) = (SocketAddr::new(ip(n, END), PORT), SocketAddr::new(ip(number, 1), router));
        for (from, to, target) in [(&outside, &inside, router), (&inside, &outside, site)] {
            let (from, to) = (Arc::clone(from), Arc::clone(to));
            tokio::spawn(home.clone().run_until_cancelled_owned(relay(from, to, target, late)));
        }
        Ok(Far { home })
    }
}

/// The name of the router's end.
pub(super) fn port(site: &str) -> String {
    format!("far-{site}")
}

fn relay_ip() -> IpAddr {
    ip(CUSTOMERS.1, END)
}

/// A socket is where the thread stood that made it, for as long as it lives.
fn bind(namespace: &str) -> Result<Arc<UdpSocket>> {
    let entered = ground::namespace(namespace);
    let made = std::thread::spawn(move || {
        ground::enter(&entered)?;
        let at = SocketAddr::new(relay_ip(), 0);
        let socket = std::net::UdpSocket::bind(at).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        socket.map_err(Error::io(format!("listening on {at}")))
    });
    let socket = made.join().map_err(|_| Error::answer("relay", "its thread ended"))??;
    UdpSocket::from_std(socket).map(Arc::new).map_err(Error::io("listening"))
}

async fn relay(from: Arc<UdpSocket>, to: Arc<UdpSocket>, target: SocketAddr, late: Duration) {
    let (queue, mut queued) = mpsc::channel::<(Instant, Vec<u8>)>(QUEUE);
    let send = async {
        while let Some((due, datagram)) = queued.recv().await {
            sleep_until(due).await;
            // Whoever is not there does not get it.
            let _ = to.send_to(&datagram, target).await;
        }
    };
    let receive = async {
        let mut buffer = [0; 2048];
        loop {
            // That nobody was there for the last one is said here; it is nothing to us.
            if let Ok((length, _)) = from.recv_from(&mut buffer).await {
                let mut datagram = buffer[..length].to_vec();
                sum(&mut datagram);
                let _ = queue.try_send((Instant::now() + late, datagram));
            }
        }
    };
    tokio::join!(send, receive);
}

/// Puts the right sum into the packet within a datagram. The kernel leaves that to the card, and there
/// is none.
fn sum(datagram: &mut [u8]) {
    const VXLAN: usize = 8;
    const ETHERNET: usize = 14;
    const IPV4: [u8; 2] = [0x08, 0x00];
    let Some(packet) = datagram.get_mut(VXLAN + ETHERNET - 2..).filter(|rest| rest.starts_with(&IPV4)) else {
        return;
    };
    let packet = &mut packet[2..];
    if packet.len() < 20 {
        return;
    }
    let (header, length) =
        (usize::from(packet[0] & 0x0f) * 4, usize::from(u16::from_be_bytes([packet[2], packet[3]])));
    let protocol = packet[9];
    let at = match protocol {
        6 => 16,
        17 => 6,
        _ => return,
    };
    let addresses: Vec<u8> = packet[12..20].to_vec();
    // Fragments have no sum of their own.
    let whole = packet[6] & 0x3f == 0 && packet[7] == 0;
    let Some(body) = packet.get_mut(header..length).filter(|body| whole && body.len() >= at + 2) else {
        return;
    };
    body[at..at + 2].fill(0);
    let mut pseudo = addresses;
    pseudo.extend([0, protocol]);
    pseudo.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    let total = !added(added(0, &pseudo).into(), body);
    body[at..at + 2].copy_from_slice(&if total == 0 { u16::MAX } else { total }.to_be_bytes());
}

/// The sum of the internet's protocols: in pairs of bytes, with what is carried added at the end.
fn added(before: u32, bytes: &[u8]) -> u16 {
    let pairs = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    let mut total = pairs.fold(before, |total, pair| total + u32::from(pair));
    while total > u32::from(u16::MAX) {
        total = (total & 0xffff) + (total >> 16);
    }
    u16::try_from(total).unwrap_or(u16::MAX)
}

/// The tunnel, and the routes into it from both ends; `ports` are those of the relay.
fn lay(site: &str, n: u8, ports: (&str, &str), router: u16) -> Result<()> {
    let (end, first, far) = (ip(n, END).to_string(), ip(n, 2).to_string(), port(site));
    let (own, theirs) = (format!("10.78.{n}.1"), format!("10.78.{n}.2"));
    let network = format!("{}/24", ip(n, 0));
    let (id, everyone) = (n.to_string(), "00:00:00:00:00:00");
    let inside = |args: &[&str]| run("ip", &[&["-n", site], args].concat());

    inside(&["addr", "add", &format!("{end}/24"), "dev", "eth0"])?;
    let tunnel = ["type", "vxlan", "id", &id, "local", &end, "dstport", &PORT.to_string(), "nolearning"];
    inside(&[&["link", "add", "far", "mtu", MTU][..], &tunnel].concat())?;
    let (relay, near) = (relay_ip().to_string(), ip(n, 1).to_string());
    inside(&["route", "add", &format!("{relay}/32"), "via", &near, "dev", "eth0"])?;
    run("bridge", &["-n", site, "fdb", "append", everyone, "dev", "far", "dst", &relay, "port", ports.0])?;
    inside(&["addr", "add", &format!("{theirs}/30"), "dev", "far"])?;
    inside(&[&["link", "set", "far", "up"][..], SINGLE].concat())?;

    let (router, local) = (router.to_string(), ip(CUSTOMERS.1, 1).to_string());
    let tunnel = ["type", "vxlan", "id", &id, "local", &local, "dstport", &router, "nolearning"];
    run("ip", &[&["link", "add", &far, "mtu", MTU][..], &tunnel].concat())?;
    run("bridge", &["fdb", "append", everyone, "dev", &far, "dst", &relay, "port", ports.1])?;
    run("ip", &["addr", "add", &format!("{own}/30"), "dev", &far])?;
    run("ip", &[&["link", "set", &far, "up"][..], SINGLE].concat())?;

    // The end of the tunnel is near, everything else in the site is behind it.
    run("ip", &["route", "add", &format!("{end}/32"), "dev", &format!("to-{site}")])?;
    run("ip", &["route", "replace", &network, "via", &theirs, "dev", &far, "src", &near])?;
    inside(&["route", "replace", "default", "via", &own, "dev", "far", "src", &first])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment that the kernel has sent, with its sum.
    const SEGMENT: [u8; 54] = [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00, 0x45, 0x00, 0x00, 0x28, 0x00, 0x00, 0x40, 0x00, 0x40,
        0x06, 0x00, 0x00, 0x0a, 0x4d, 0x01, 0x02, 0x0a, 0x4d, 0x02, 0x02, 0x00, 0x50, 0x1f, 0x90, 0, 0, 0, 1,
        0, 0, 0, 2, 0x50, 0x10, 0x01, 0x00, 0, 0, 0, 0,
    ];

    #[test]
    fn a_packet_gets_the_sum_that_its_receiver_expects() {
        let mut datagram = [vec![0; 8], SEGMENT.to_vec()].concat();
        for wrong in [0, 0x77] {
            datagram[58] = wrong;
            sum(&mut datagram);
            let body = &datagram[42..];
            let pseudo = [&datagram[34..42], &[0, 6, 0, 20]].concat();
            assert_eq!(added(added(0, &pseudo).into(), body), u16::MAX, "{body:?}");
            assert_ne!(&body[16..18], [0, 0]);
        }
    }

    #[test]
    fn what_is_no_such_packet_is_left_as_it_is() {
        for datagram in [vec![], vec![7; 30], [vec![0; 20], vec![8, 0, 0x45]].concat()] {
            let mut same = datagram.clone();
            sum(&mut same);
            assert_eq!(same, datagram);
        }
    }
}
