//! A building: two databases, a balancer with a front door for each tier, a deploy tool with the
//! web service, and stand-ins for the dozens of other services that the fleet has there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use standfast_core::bundle::Bundle;

use crate::parts::ground::ip;
use crate::parts::haproxy::{Front, Server};
use crate::parts::postgres::Postgres;
use crate::parts::scratch::Scratch;
use crate::parts::site::{Addresses, Site};
use crate::parts::tools::{Service, Standing, Tool, Tools};
use crate::parts::{Error, Result, ports, process, site_program};

/// The service that the web service plays.
const SHOP: &str = "talk-text";
/// The front doors: back end, and the service that says whether a server is well.
const DOORS: [(&str, &str); 5] =
    [("talk", SHOP), ("pay", "payment"), ("ride", "taxi"), ("channel", "channel"), ("leisure", "music")];
/// What answers in a standby site before it is needed: all of it works, but for deploy, which
/// waits to be told.
const HOT: [&str; 4] = ["operator-permissions", "key-store", "monitoring", "switcher"];
const READY: &str = "deploy";

/// Where a building will have its parts.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    name: &'static str,
    at: Addresses,
    accounts: SocketAddr,
    tools: SocketAddr,
}

impl Plot {
    /// Free addresses in site N, with this port for the front door of the text messages.
    pub(super) fn find(name: &'static str, number: u8, front: u16) -> Result<Plot> {
        Ok(Plot {
            name,
            at: Addresses::find(number, front)?,
            accounts: ports::free(ip(number, 11))?,
            tools: ports::free(ip(number, 30))?,
        })
    }

    fn room(&self, scratch: &Scratch) -> Result<PathBuf> {
        scratch.site(&format!("{}-accounts", self.name))
    }
}

/// A front door and the service behind it.
#[derive(Debug, Clone)]
pub struct Door {
    /// The back end, such as `pay`.
    pub backend: &'static str,
    /// The service, such as `payment`.
    pub service: &'static str,
    /// Where customers come in.
    pub address: SocketAddr,
}

/// A building with everything in it.
#[derive(Debug)]
pub struct Building {
    /// Its database of messages, balancer, deploy tool and web service.
    pub site: Site,
    /// Its database of accounts, in a folder of its own.
    pub accounts: Postgres,
    /// All its other services.
    pub tools: Tools,
    /// Its front doors, in the order of the tiers.
    pub doors: Vec<Door>,
    rooms: [PathBuf; 2],
}

impl Building {
    /// Two buildings: the first serves, the second stands by, its databases streaming. The web
    /// service is not started.
    pub(super) async fn pair(scratch: &Scratch, example: &Bundle, plots: [Plot; 2]) -> Result<[Building; 2]> {
        let folders = |plot: &Plot| Ok([scratch.site(plot.name)?, plot.room(scratch)?]);
        let [one, other] = &plots;
        let ([messages_1, accounts_1], [messages_2, accounts_2]) = (folders(one)?, folders(other)?);
        let (messages, accounts) = tokio::try_join!(
            databases([messages_1, messages_2], [one.at.postgres, other.at.postgres]),
            databases([accounts_1, accounts_2], [one.accounts, other.accounts]),
        )?;
        let ([messages_1, messages_2], [accounts_1, accounts_2]) = (messages, accounts);
        let (one, other) = tokio::try_join!(
            Building::around(scratch, example, &plots, 0, messages_1, accounts_1),
            Building::around(scratch, example, &plots, 1, messages_2, accounts_2),
        )?;
        Ok([one, other])
    }

    /// Puts everything else beside the databases.
    async fn around(
        scratch: &Scratch,
        example: &Bundle,
        plots: &[Plot; 2],
        number: usize,
        messages: Postgres,
        accounts: Postgres,
    ) -> Result<Building> {
        let plot = &plots[number];
        let folder = scratch.site(plot.name)?;
        let fronts = fronts(plot, plots)?;
        let doors = DOORS.iter().zip(&fronts);
        let doors = doors.map(|((backend, service), front)| Door { backend, service, address: front.listen });
        let doors = doors.collect();
        let tool = Tool {
            listen: plot.tools,
            service: services(example, plot.name),
            shop: SHOP.into(),
            web: plot.at.web,
            starter: plot.at.deploy,
        };
        let tools = Tools::start(&folder, &tool).await?;
        let rooms = [folder.clone(), plot.room(scratch)?];
        let site = Site::around(plot.name, folder, plot.at, messages, &fronts).await?;
        Ok(Building { site, accounts, tools, doors, rooms })
    }

    /// Kills every process in it; answers how many guards and programs are dead.
    pub fn kill_all(&self) -> Result<usize> {
        let dead = self.rooms.iter().map(|room| process::power_off(room, Duration::from_secs(5)));
        dead.sum()
    }

    /// The command that does the same from anywhere on this machine.
    pub fn power_off_command(&self) -> Result<Vec<String>> {
        let program = site_program()?.display().to_string();
        let script = r#""$0" power-off "$1" && "$0" power-off "$2""#;
        let rooms = self.rooms.iter().map(|room| room.display().to_string());
        Ok(["sh", "-c", script].map(str::to_owned).into_iter().chain([program]).chain(rooms).collect())
    }

    /// The share of a back end's traffic that goes to the building of this name.
    pub async fn weight(&self, backend: &str, to: &str) -> Result<u16> {
        self.site.haproxy.weight_in(backend, &format!("{backend}-{to}")).await
    }
}

/// A primary in the first folder, a standby of it in the second.
async fn databases(folders: [PathBuf; 2], at: [SocketAddr; 2]) -> Result<[Postgres; 2]> {
    let primary = Postgres::primary(&folders[0], at[0]).await?;
    let table = "create table orders (id bigint primary key, at timestamptz, site text)";
    let created = primary.shop().await?.batch_execute(table).await;
    created.map_err(|e| Error::answer("PostgreSQL", e))?;
    let standby = Postgres::standby(&folders[1], at[1], &primary).await?;
    Ok([primary, standby])
}

/// The doors of one building; behind each stand both, and the first has the traffic.
fn fronts(plot: &Plot, plots: &[Plot; 2]) -> Result<Vec<Front>> {
    let front = |(backend, service): &(&str, &str)| {
        let is_web = *service == SHOP;
        let servers = plots.iter().zip([100, 0]).map(|(plot, weight)| Server {
            name: format!("{backend}-{}", plot.name),
            address: if is_web { plot.at.web } else { plot.tools },
            weight,
        });
        Ok(Front {
            listen: if is_web { plot.at.front } else { ports::free(plot.at.front.ip())? },
            backend: (*backend).into(),
            check: if is_web { "/".into() } else { format!("/{service}/health") },
            servers: servers.collect(),
        })
    };
    DOORS.iter().map(front).collect()
}

/// The services of a site as the fleet has them, but for the databases, which are real.
fn services(example: &Bundle, site: &str) -> Vec<Service> {
    let fleet = &example.fleet;
    let databases = fleet.databases();
    let is_ours = |name: &str| !databases.contains_key(name);
    let standing = |name: &str, serves: bool| match name {
        _ if serves || HOT.contains(&name) => Standing::Active,
        READY => Standing::Ready,
        _ => Standing::Off,
    };
    let all = fleet.services.iter().filter(|(id, _)| is_ours(id.as_str()));
    all.map(|(id, service)| Service {
        name: id.to_string(),
        standing: standing(id.as_str(), service.is_active_in(&site.into())),
        needs: service.needs.iter().map(|need| need.value.to_string()).filter(|need| is_ours(need)).collect(),
    })
    .collect()
}
