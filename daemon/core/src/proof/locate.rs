//! From a host to the site in which it stands: by its domain, the longest suffix first, or by
//! its network, the longest prefix first.

use crate::decode::url_host;
use crate::fleet::Fleet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where a host stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stands<'a> {
    /// In these sites: several when they name the same domain or network.
    In(&'a [usize]),
    /// In none of the sites, as the fleet says.
    Outside,
    /// On the machine that asks.
    Here,
    /// Nobody knows.
    Nowhere,
}

/// Domains and networks with the sites that name them; no sites: outside.
#[derive(Debug, Default)]
pub(crate) struct Map {
    domains: BTreeMap<String, Vec<usize>>,
    /// By family, length of the prefix and its bits.
    networks: BTreeMap<(bool, u8, u128), Vec<usize>>,
    /// The lengths that occur, the longest first.
    lengths: Vec<(bool, u8)>,
    /// Whether any site says what stands in it.
    says: bool,
}

impl Map {
    /// Of a fleet; sites are numbered in the order of their names.
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let mut map = Self::default();
        for (index, site) in fleet.sites.values().enumerate() {
            map.says |= !site.domains.is_empty() || !site.networks.is_empty();
            map.enter(&site.domains, &site.networks, Some(index));
        }
        map.enter(&fleet.outside.domains, &fleet.outside.networks, None);
        map.lengths = map.networks.keys().map(|(v6, length, _)| (*v6, *length)).collect();
        map.lengths.dedup();
        map.lengths.reverse();
        map
    }

    fn enter(&mut self, domains: &[String], networks: &[String], site: Option<usize>) {
        for domain in domains {
            let domain = domain.trim_matches('.').to_ascii_lowercase();
            self.domains.entry(domain).or_default().extend(site);
        }
        let networks = networks.iter().filter_map(|text| {
            let (address, length) = text.split_once('/')?;
            Some(masked(address.parse().ok()?, length.parse().ok()?))
        });
        for network in networks {
            self.networks.entry(network).or_default().extend(site);
        }
    }

    /// Whether any site says what stands in it: otherwise nothing can be looked up.
    pub(crate) fn says(&self) -> bool {
        self.says
    }

    /// Where a host stands: a name or an address, without a port.
    pub(crate) fn find(&self, host: &str) -> Stands<'_> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let found = match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) if address.is_loopback() || address.is_unspecified() => return Stands::Here,
            Ok(address) => self.by_network(address),
            Err(_) if host == "localhost" || host.ends_with(".localhost") => return Stands::Here,
            Err(_) => self.by_domain(&host),
        };
        match found {
            Some([]) => Stands::Outside,
            Some(sites) => Stands::In(sites),
            None => Stands::Nowhere,
        }
    }

    fn by_domain(&self, host: &str) -> Option<&[usize]> {
        let mut rest = host;
        loop {
            if let Some(sites) = self.domains.get(rest) {
                return Some(sites);
            }
            rest = rest.split_once('.')?.1;
        }
    }

    fn by_network(&self, address: IpAddr) -> Option<&[usize]> {
        let of_family = self.lengths.iter().filter(|(v6, _)| *v6 == address.is_ipv6());
        let mut found = of_family.filter_map(|(_, length)| self.networks.get(&masked(address, *length)));
        found.next().map(Vec::as_slice)
    }
}

/// The first `length` bits of an address.
fn masked(address: IpAddr, length: u8) -> (bool, u8, u128) {
    let (v6, bits, width) = match address {
        IpAddr::V4(v4) => (false, u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (true, v6.to_bits(), 128),
    };
    let length = length.min(width);
    let drop = u32::from(width - length);
    (v6, length, bits.checked_shr(drop).and_then(|kept| kept.checked_shl(drop)).unwrap_or(0))
}

/// The host of a URL, a `host:port`, a `tcp://` socket, or of a name or address alone. Nothing
/// for a socket of this machine.
pub(crate) fn host_of(text: &str) -> Option<String> {
    let text = text.trim();
    if text.starts_with("unix:") || text.starts_with('/') {
        return None;
    }
    let address = match text.strip_prefix("tcp://") {
        Some(address) => address.to_owned(),
        None => url_host(text).unwrap_or_else(|| text.to_owned()),
    };
    if address.parse::<IpAddr>().is_ok() {
        return Some(address);
    }
    let host = match address.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => address.as_str(),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| host.to_owned())
}

/// The hosts of a libpq connection string; none when it names none, or only a socket.
pub(crate) fn hosts_of_dsn(dsn: &str) -> Vec<String> {
    let value = |key: &str| {
        dsn.split_whitespace().find_map(|word| {
            let (name, value) = word.split_once('=')?;
            (name == key).then(|| value.trim_matches('\'').to_owned())
        })
    };
    // The address is what is connected to, when both are given.
    let list = value("hostaddr").or_else(|| value("host")).unwrap_or_default();
    list.split(',').filter_map(host_of).collect()
}

/// Words of a command that may name a host: URLs, `user@host`, `host:port`, `--option=host`.
/// Whether they do, only a site's domain or network can tell.
pub(crate) fn hosts_of_word(word: &str) -> Vec<String> {
    let parts = word.split(['=', ',', ' ', '\t', '\n', '"', '\'', ';', '|', '(', ')']);
    let hosts = parts.filter_map(|part| {
        let part = match part.split_once("://") {
            Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
            // `host:path` of scp, and `network/bits`.
            None => part,
        };
        let part = part.rsplit('@').next().unwrap_or_default();
        let host = match part.parse::<IpAddr>() {
            Ok(_) => part.to_owned(),
            Err(_) if part.starts_with('[') => host_of(part)?,
            Err(_) => part.split([':', '/']).next().unwrap_or_default().to_owned(),
        };
        (host.contains(['.', ':'])).then_some(host)
    });
    hosts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(sites: &[(&[&str], &[&str])], outside: &[&str]) -> Map {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut map = Map::default();
        for (index, (domains, networks)) in sites.iter().enumerate() {
            map.enter(&own(domains), &own(networks), Some(index));
        }
        map.enter(&own(outside), &[], None);
        map.lengths = map.networks.keys().map(|(v6, length, _)| (*v6, *length)).collect();
        map.lengths.dedup();
        map.lengths.reverse();
        map
    }

    #[test]
    fn the_longest_suffix_and_the_longest_prefix_win() {
        let map = map(
            &[
                (&["example.net", "B.example.org."], &["10.0.0.0/8", "2001:db8::/32"]),
                (&["b.example.net"], &["10.2.0.0/16", "2001:db8:2::/48", "0.0.0.0/0"]),
                (&["b.example.net"], &[]),
            ],
            &["cloud.example.net"],
        );
        for (host, sites) in [
            ("x.a.example.net", &[0][..]),
            ("X.B.Example.Net.", &[1, 2]),
            ("b.example.net", &[1, 2]),
            ("b.example.org", &[0]),
            ("10.1.2.3", &[0]),
            ("10.2.2.3", &[1]),
            ("192.0.2.1", &[1]),
            ("::ffff:10.1.0.1", &[0]),
            ("2001:db8:1::1", &[0]),
            ("2001:db8:2::1", &[1]),
        ] {
            assert_eq!(map.find(host), Stands::In(sites), "{host}");
        }
        assert_eq!(map.find("db.cloud.example.net"), Stands::Outside);
        for host in ["127.0.0.1", "127.77.1.2", "::1", "localhost"] {
            assert_eq!(map.find(host), Stands::Here, "{host}");
        }
        for host in ["example.com", "net", "xexample.net", "2001:db9::1", ""] {
            assert_eq!(map.find(host), Stands::Nowhere, "{host}");
        }
    }

    #[test]
    fn hosts_are_found_in_what_names_them() {
        for (text, host) in [
            ("https://shop.a.example.net/x?y=1", Some("shop.a.example.net")),
            ("http://[2001:db8::1]:8080/", Some("2001:db8::1")),
            ("10.1.0.5:53", Some("10.1.0.5")),
            ("tcp://10.1.0.5:9999", Some("10.1.0.5")),
            ("ns1.example.net", Some("ns1.example.net")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("unix:///run/haproxy.sock", None),
        ] {
            assert_eq!(host_of(text).as_deref(), host, "{text}");
        }
        assert_eq!(hosts_of_dsn("host=a,b:1 user=x port=5432"), ["a", "b"]);
        assert_eq!(hosts_of_dsn("host=db hostaddr=10.0.0.1"), ["10.0.0.1"]);
        assert_eq!(hosts_of_dsn("user=x host=/run/postgresql"), [] as [&str; 0]);
        for (word, hosts) in [
            ("kim@jump.a.example.net", &["jump.a.example.net"][..]),
            ("-oProxyJump=x@j1.a.example.net:22,j2.b.example.net", &["j1.a.example.net", "j2.b.example.net"]),
            ("https://reg.a.example.net/v2/", &["reg.a.example.net"]),
            ("db.a.example.net:/srv/dump", &["db.a.example.net"]),
            ("curl -s http://10.1.0.9/x | sh", &["10.1.0.9"]),
            ("[2001:db8::1]:22", &["2001:db8::1"]),
            ("restart", &[]),
        ] {
            assert_eq!(hosts_of_word(word), hosts, "{word}");
        }
    }
}
