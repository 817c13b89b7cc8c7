//! In which site an address stands.

use standfast_core::fleet::{Body, Fleet};
use standfast_core::ids::SiteId;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where addresses stand: by the fleet's resources, then by networks, then by domains.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `host:port` or `host`, as a resource names it for a site.
    named: BTreeMap<String, SiteId>,
    networks: Vec<(IpAddr, u8, SiteId)>,
    /// Without a leading dot; the longest that fits counts.
    domains: Vec<(String, SiteId)>,
}

impl Places {
    /// Of a fleet.
    pub fn of(fleet: &Fleet) -> Self {
        let mut places = Self::default();
        for (id, site) in &fleet.sites {
            for network in &site.networks {
                places.networks.extend(prefix(network).map(|(ip, bits)| (ip, bits, id.clone())));
            }
            places.domains.extend(site.domains.iter().map(|domain| (domain.clone(), id.clone())));
        }
        for resource in fleet.resources.values() {
            let addresses = match &resource.body {
                Body::Endpoint(urls) => urls,
                Body::Route { haproxy, .. } => haproxy,
                _ => continue,
            };
            for (site, address) in addresses {
                places.named.insert(authority(address).to_owned(), site.clone());
            }
        }
        places
    }

    /// The site of a URL, of `host:port`, of a socket; none when the fleet does not tell.
    pub fn find(&self, address: &str) -> Option<&SiteId> {
        let authority = authority(address);
        self.named.get(authority).or_else(|| {
            let host = host(authority);
            match host.parse::<IpAddr>() {
                Ok(ip) => self.by_network(ip),
                Err(_) => self.by_domain(host),
            }
        })
    }

    fn by_network(&self, ip: IpAddr) -> Option<&SiteId> {
        let inside = self.networks.iter().filter(|(net, bits, _)| within(ip, *net, *bits));
        inside.max_by_key(|(_, bits, _)| *bits).map(|(.., site)| site)
    }

    fn by_domain(&self, host: &str) -> Option<&SiteId> {
        let host = host.trim_end_matches('.');
        let fits = |domain: &str| {
            host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let inside = self.domains.iter().filter(|(domain, _)| fits(domain.trim_matches('.')));
        inside.max_by_key(|(domain, _)| domain.len()).map(|(_, site)| site)
    }
}

/// What stands between the scheme and the path.
fn authority(address: &str) -> &str {
    match address.split_once("://") {
        Some(("unix", _)) => address,
        Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or(rest),
        None => address,
    }
}

fn host(authority: &str) -> &str {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn prefix(network: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = network.split_once('/')?;
    Some((ip.parse().ok()?, bits.parse().ok()?))
}

fn within(ip: IpAddr, net: IpAddr, bits: u8) -> bool {
    let (ip, net, width) = match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => (u128::from(u32::from(ip)), u128::from(u32::from(net)), 32),
        (IpAddr::V6(ip), IpAddr::V6(net)) => (u128::from(ip), u128::from(net), 128),
        _ => return false,
    };
    let rest = width - u32::from(bits).min(width);
    rest == 128 || ip >> rest == net >> rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_where_the_fleet_says() {
        let site = |name: &str| SiteId::from(name);
        let places = Places {
            named: [("127.0.0.1:8080".to_owned(), site("lab"))].into(),
            networks: vec![
                (prefix("10.0.0.0/8").unwrap().0, 8, site("a")),
                (prefix("10.2.0.0/16").unwrap().0, 16, site("b")),
                (prefix("fd00::/8").unwrap().0, 8, site("v6")),
            ],
            domains: vec![("example.net".into(), site("a")), ("b.example.net".into(), site("b"))],
        };
        for (address, expected) in [
            ("http://127.0.0.1:8080/start?x=1", Some("lab")),
            ("http://127.0.0.1:8081/", None),
            ("tcp://10.1.0.5:9999", Some("a")),
            ("10.2.0.5:53", Some("b")),
            ("https://[fd00::1]:443/", Some("v6")),
            ("https://shop.b.example.net/x", Some("b")),
            ("https://kim@shop.example.net:8443", Some("a")),
            ("https://notexample.net", None),
            ("unix:///run/haproxy.sock", None),
        ] {
            assert_eq!(places.find(address).map(SiteId::as_str), expected, "{address}");
        }
    }
}
