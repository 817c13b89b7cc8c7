//! Sites as network namespaces, joined by a router, and the ways to cut them off.
//!
//! This process stands in the router's namespace: its own connections reach every site
//! whatever is dropped between sites, so that a cut site can still be looked at. Customers
//! have a namespace of their own. All of it is private to this process and its children
//! (`integration/lab.sh` sees to that) and is gone with them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use super::far;
use super::member::SITES;
use crate::parts::ground::{self, CUSTOMERS, ip};
use crate::parts::ledger::now_ms;
use crate::parts::{Error, Result, program};

/// The hosts of a site: etcd, balancer, database, web, deploy tool, daemon, name server.
const HOSTS: [u8; 7] = [2, 5, 10, 20, 30, 40, 53];
/// The router's own host number in every site.
const ROUTER: u8 = 1;

/// One end of what is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A whole site, or the customers.
    Site(&'static str),
    /// One address of one site.
    Host(IpAddr),
    /// All sites and customers.
    Anywhere,
}

/// A running network. One process has one; dropping it removes the namespaces.
#[derive(Debug)]
pub struct Net {
    /// From where to where, and how many percent of the packets.
    dropped: BTreeMap<(End, End), u8>,
    told: Vec<(i64, String)>,
}

impl Net {
    /// Sets all namespaces up.
    pub fn up() -> Result<Net> {
        let private = std::fs::read_dir("/run/netns").is_ok_and(|mut entries| entries.next().is_none());
        if !private {
            let problem = "is not a lab of its own: start this by `make lab`";
            return Err(Error::answer("/run/netns", problem));
        }
        ground::route();
        let net = Net { dropped: BTreeMap::new(), told: Vec::new() };
        run("sysctl", &["-qw", "net.ipv4.ip_forward=1"])?;
        for (site, number) in SITES.into_iter().chain([CUSTOMERS]) {
            let inside = |args: &[&str]| run("ip", &[&["-n", site], args].concat());
            let router = ip(number, ROUTER);
            let port = port(site);
            run("ip", &["netns", "add", site])?;
            run("ip", &["link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", site])?;
            run("ip", &["addr", "add", &format!("{router}/24"), "dev", &port])?;
            run("ip", &["link", "set", &port, "up"])?;
            for host in HOSTS {
                inside(&["addr", "add", &format!("{}/24", ip(number, host)), "dev", "eth0"])?;
            }
            inside(&["link", "set", "lo", "up"])?;
            inside(&["link", "set", "eth0", "up"])?;
            inside(&["route", "add", "default", "via", &router.to_string()])?;
        }
        net.render()?;
        Ok(net)
    }

    /// Drops everything that comes from there and goes there, customers' traffic included.
    pub fn cut(&mut self, end: End) -> Result<()> {
        self.tell(format!("{end} is cut off"));
        self.dropped.insert((end, End::Anywhere), 100);
        self.dropped.insert((End::Anywhere, end), 100);
        self.render()
    }

    /// Drops this share, in percent, of what goes from one end to the other: one way.
    pub fn drop(&mut self, from: End, to: End, percent: u8) -> Result<()> {
        self.tell(format!("{percent} % from {from} to {to} is dropped"));
        self.dropped.insert((from, to), percent.min(100));
        self.render()
    }

    /// Drops exactly this from now on, in percent.
    pub fn drops(&mut self, dropped: BTreeMap<(End, End), u8>) -> Result<()> {
        self.dropped = dropped;
        self.render()
    }

    /// Takes every drop back.
    pub fn heal(&mut self) -> Result<()> {
        self.tell("the network is mended".into());
        self.dropped.clear();
        self.render()
    }

    /// Pulls a site's cable, or puts it back.
    pub fn link(&self, site: &str, up: bool) -> Result<()> {
        run("ip", &["link", "set", &port(site), if up { "up" } else { "down" }])
    }

    /// What was cut and mended, and when: milliseconds since 1970, and a line.
    pub fn told(&self) -> &[(i64, String)] {
        &self.told
    }

    fn tell(&mut self, line: String) {
        self.told.push((now_ms(), line));
    }

    /// One transaction: there is no moment with half of it.
    fn render(&self) -> Result<()> {
        let mut rules = String::from("table inet lab {}\ndelete table inet lab\n");
        rules.push_str("table inet lab {\n chain cut {\n  type filter hook forward priority 0;\n");
        for ((from, to), percent) in &self.dropped {
            let share = match percent {
                100 => String::new(),
                percent => format!("numgen random mod 100 < {percent} "),
            };
            let (from, to) = (from.matches("iifname", "saddr"), to.matches("oifname", "daddr"));
            let _ = writeln!(rules, "  {from}{to}{share}drop");
        }
        rules.push_str(" }\n}\n");
        feed("nft", &["-f", "-"], &rules)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for (site, _) in SITES.into_iter().chain([CUSTOMERS]) {
            // The kernel takes a namespace down later; its cable, and our end of it, at once.
            let _ = run("ip", &["link", "del", &port(site)]);
            let _ = run("ip", &["link", "del", &far::port(site)]); // most sites are near
            let _ = run("ip", &["netns", "del", site]);
        }
    }
}

impl End {
    fn matches(self, port_word: &str, address_word: &str) -> String {
        match self {
            End::Site(site) => format!("{port_word} {{ {:?}, {:?} }} ", port(site), far::port(site)),
            End::Host(address) => format!("ip {address_word} {address} "),
            End::Anywhere => String::new(),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Site(site) => write!(f, "{site}"),
            End::Host(address) => write!(f, "{address}"),
            End::Anywhere => write!(f, "anywhere"),
        }
    }
}

/// The router's end of a site's cable.
fn port(site: &str) -> String {
    format!("to-{site}")
}

pub(super) fn run(name: &str, args: &[&str]) -> Result<()> {
    feed(name, args, "")
}

fn feed(name: &str, args: &[&str], input: &str) -> Result<()> {
    let failed = || Error::io(format!("running {name} {}", args.join(" ")));
    let mut child = Command::new(program(name)?)
        .args(args)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed())?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input.as_bytes()).map_err(failed())?;
    }
    let done = child.wait_with_output().map_err(failed())?;
    match done.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&done.stderr);
            Err(Error::answer(format!("{name} {}", args.join(" ")), said.trim()))
        }
    }
}
