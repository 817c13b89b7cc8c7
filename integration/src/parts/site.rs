//! A site: a database, a balancer, a web service and the tool that starts it, all of which
//! can lose power at once.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::deploy::Deploy;
use super::ground::ip;
use super::haproxy::{Front, Haproxy};
use super::postgres::Postgres;
use super::process::{Way, power_off, recorded};
use super::web::Web;
use super::{Result, ports, site_program};

/// How long the kernel may take to end what was killed.
const DEATH: Duration = Duration::from_secs(5);

/// Where the parts of a site listen.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The database.
    pub postgres: SocketAddr,
    /// The balancer's front door.
    pub front: SocketAddr,
    /// The balancer's runtime interface.
    pub runtime: SocketAddr,
    /// The web service, once it is started.
    pub web: SocketAddr,
    /// The deploy tool.
    pub deploy: SocketAddr,
}

impl Addresses {
    /// Free ports in site N. The front doors of all sites have the same port, because a
    /// name in the DNS has none.
    pub fn find(number: u8, front: u16) -> Result<Addresses> {
        Ok(Addresses {
            postgres: ports::free(ip(number, 10))?,
            front: SocketAddr::new(ip(number, 5), front),
            runtime: ports::free(ip(number, 5))?,
            web: ports::free(ip(number, 20))?,
            deploy: ports::free(ip(number, 30))?,
        })
    }

    /// A port that is free for the front doors of these sites.
    pub fn front_port(numbers: &[u8]) -> Result<u16> {
        let ips: Vec<IpAddr> = numbers.iter().map(|number| ip(*number, 5)).collect();
        ports::free_on_all(&ips)
    }
}

/// A running site.
#[derive(Debug)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Its folder: logs, data, and the record of its processes.
    pub folder: PathBuf,
    /// Where its parts listen.
    pub addresses: Addresses,
    /// The database.
    pub postgres: Postgres,
    /// The balancer.
    pub haproxy: Haproxy,
    /// The tool that starts the web service.
    pub deploy: Deploy,
}

impl Site {
    /// Puts a balancer and a deploy tool beside a running database. The web service is not
    /// started: that is the tool's work.
    pub async fn around(
        name: &str,
        folder: PathBuf,
        addresses: Addresses,
        postgres: Postgres,
        fronts: &[Front],
    ) -> Result<Site> {
        let web = Web { site: name.into(), listen: addresses.web, database: addresses.postgres };
        let (haproxy, deploy) = tokio::try_join!(
            Haproxy::start(&folder, addresses.runtime, fronts),
            Deploy::start(&folder, addresses.deploy, &web, &postgres.passwords.shop),
        )?;
        Ok(Site { name: name.into(), folder, addresses, postgres, haproxy, deploy })
    }

    /// Kills every process in the site's folder at once, whoever started it there; returns
    /// how many guards and programs are dead.
    pub fn kill_all(&self) -> Result<usize> {
        power_off(&self.folder, DEATH)
    }

    /// Whether every recorded process of the site is dead.
    pub fn all_dead(&self) -> Result<bool> {
        Ok(recorded(&self.folder)?.into_iter().all(|process| !process.is_alive()))
    }

    /// The command that kills, pauses or resumes what serves customers here, from anywhere on this
    /// machine: it ends with 0 only if that is seen.
    pub fn command(&self, way: Way) -> Result<Vec<String>> {
        let program = site_program()?.display().to_string();
        let folder = self.folder.display().to_string();
        let words = ["treat", way.name(), &folder, "postgres", "deploy"];
        Ok(std::iter::once(program).chain(words.map(str::to_owned)).collect())
    }

    /// The command that does the same as [`Site::kill_all`] from anywhere on this machine: it
    /// ends with 0 only if all are dead.
    pub fn power_off_command(&self) -> Result<Vec<String>> {
        let program = site_program()?.display().to_string();
        Ok(vec![program, "power-off".into(), self.folder.display().to_string()])
    }
}
