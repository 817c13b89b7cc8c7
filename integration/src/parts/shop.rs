//! The whole business: site a serves, site b stands by, a name server in the witness site
//! says where the shop is.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::bind::{Bind, Zone};
use super::client::{Client, Settings};
use super::haproxy::{Front, Server};
use super::postgres::Postgres;
use super::scratch::Scratch;
use super::site::{Addresses, Site};
use super::{Error, Result, ground, ports};

/// The zone and its record that the playbook `shop` changes.
const ZONE: (&str, &str) = ("example.net", "shop");

/// A running business.
#[derive(Debug)]
pub struct Shop {
    /// The site that serves, 127.77.1.x.
    pub a: Site,
    /// The site that stands by, 127.77.2.x: its database streams, its web service is off.
    pub b: Site,
    /// The name server.
    pub bind: Bind,
    /// The folder of the witness site.
    pub witness: PathBuf,
}

impl Shop {
    /// Starts everything, and returns when customers are served by site a. `ttl` is that of
    /// the shop's name.
    pub async fn start(scratch: &Scratch, ttl: Duration) -> Result<Shop> {
        let port = Addresses::front_port(&[1, 2])?;
        let (at_a, at_b) = (Addresses::find(1, port)?, Addresses::find(2, port)?);
        let (folder_a, folder_b) = (scratch.site("a")?, scratch.site("b")?);
        let witness = scratch.site("w")?;
        let IpAddr::V4(address) = at_a.front.ip() else {
            return Err(Error::answer("shop", "sites have IPv4 addresses"));
        };
        let zone = Zone { name: ZONE.0.into(), record: ZONE.1.into(), more: Vec::new(), address, ttl };
        let name_server = match ground::is_routed() {
            true => SocketAddr::new(ground::ip(3, 53), 53),
            false => ports::free(Ipv4Addr::LOCALHOST.into())?,
        };
        let (primary, bind) = tokio::try_join!(
            Postgres::primary(&folder_a, at_a.postgres),
            Bind::start(&witness, name_server, zone),
        )?;
        let table = "create table orders (id bigint primary key, at timestamptz, site text)";
        let created = primary.shop().await?.batch_execute(table).await;
        created.map_err(|e| Error::answer("PostgreSQL", e))?;
        let standby = Postgres::standby(&folder_b, at_b.postgres, &primary).await?;
        // Both balancers know both web services; all traffic goes to site a.
        let servers = [
            Server { name: "web-a".into(), address: at_a.web, weight: 100 },
            Server { name: "web-b".into(), address: at_b.web, weight: 0 },
        ];
        let [front_a, front_b] = [at_a, at_b].map(|at| [Front::web(at.front, &servers)]);
        let (mut a, mut b) = tokio::try_join!(
            Site::around("a", folder_a, at_a, primary, &front_a),
            Site::around("b", folder_b, at_b, standby, &front_b),
        )?;
        a.deploy.start_shop().await?;
        a.haproxy.until_status("web-a", "UP").await?;
        b.haproxy.until_status("web-a", "UP").await?;
        Ok(Shop { a, b, bind, witness })
    }

    /// A customer of this shop.
    pub fn client(&self, between: Duration) -> Result<Client> {
        Client::start(Settings {
            dns: self.bind.address,
            name: self.bind.zone.full_name(),
            port: self.a.addresses.front.port(),
            between,
            namespace: ground::is_routed().then(|| ground::namespace(ground::CUSTOMERS.0)),
        })
    }
}

/// The ids of the rows that a site's database has.
pub async fn rows(site: &Site) -> Result<BTreeSet<i64>> {
    let rows = site.postgres.shop().await?.query("select id from orders", &[]).await;
    let rows = rows.map_err(|e| Error::answer(format!("rows of site {}", site.name), e))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// All rows that a site's database has: the id, who wrote it, and when the customer sent it, in
/// milliseconds since 1970.
pub async fn stored(site: &Site) -> Result<Vec<(i64, String, i64)>> {
    let sql = "select id, site, (extract(epoch from at) * 1000)::bigint from orders order by id";
    let rows = site.postgres.shop().await?.query(sql, &[]).await;
    let rows = rows.map_err(|e| Error::answer(format!("rows of site {}", site.name), e))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}
