//! A PostgreSQL server: a primary, or a standby that streams from one.
//!
//! It is set up as a careful operator would, apart from its durability (nobody pulls the
//! plug here): passwords for everyone, and a role `standfast` that may look and promote and
//! nothing else.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio_postgres::{Client, NoTls};

use super::part::{Part, Spec};
use super::{Error, Result, ground};

/// The database and the role of the application.
pub const SHOP: &str = "shop";
/// The role of the daemon, and the name of its own database.
pub const STANDFAST: &str = "standfast";
const REPLICATOR: &str = "replicator";
const SUPERUSER: &str = "postgres";

const READY: Duration = Duration::from_secs(30);

/// The passwords of the roles, the same on both servers of a pair.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// Of `standfast`.
    pub standfast: String,
    /// Of `shop`, which owns the database `shop`.
    pub shop: String,
    replicator: String,
    superuser: String,
}

impl Passwords {
    /// New ones.
    pub fn random() -> Passwords {
        let one = || format!("{:032x}", rand::random::<u128>());
        Passwords { standfast: one(), shop: one(), replicator: one(), superuser: one() }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    /// Where it listens.
    pub address: SocketAddr,
    /// The passwords of its roles.
    pub passwords: Passwords,
    site: PathBuf,
    part: Part,
}

impl Postgres {
    /// Makes a primary in the site's folder, with its roles and databases, and starts it.
    pub async fn primary(site: &Path, address: SocketAddr) -> Result<Postgres> {
        let passwords = Passwords::random();
        make_data_folder(site)?;
        let password_file = data(site).with_extension("password");
        let failed = || format!("writing {}", password_file.display());
        fs::write(&password_file, &passwords.superuser).map_err(Error::io(failed()))?;
        let initdb = tool(site, "initdb")?
            .args(["--username", SUPERUSER, "--encoding=UTF8", "--locale=C", "--no-sync"])
            .args(["--auth=scram-sha-256".into(), path_arg("--pwfile=", &password_file)])
            .args([path_arg("--pgdata=", &data(site))]);
        initdb.finish(READY).await?;
        fs::remove_file(&password_file).map_err(Error::io(failed()))?;
        let access = data(site).join("pg_hba.conf");
        fs::write(&access, access_rules()).map_err(Error::io(format!("writing {}", access.display())))?;
        let server = Postgres::start(site, address, passwords).await?;
        server.make_roles().await?;
        Ok(server)
    }

    /// Copies a primary into the site's folder and starts the copy as its standby; returns
    /// when it streams.
    pub async fn standby(site: &Path, address: SocketAddr, of: &Postgres) -> Result<Postgres> {
        make_data_folder(site)?;
        let name = site.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let source = format!(
            "host={} port={} user={REPLICATOR} password={} application_name={name} connect_timeout=2",
            of.address.ip(),
            of.address.port(),
            of.passwords.replicator,
        );
        let copy = tool(site, "pg_basebackup")?
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .args(["--wal-method=stream".into(), format!("--dbname={source}")])
            .args([path_arg("--pgdata=", &data(site))]);
        copy.finish(READY).await?;
        let mut standby = Postgres::start(site, address, of.passwords.clone()).await?;
        let primary = of.superuser().await?;
        let part = &mut standby.part;
        part.until("streaming from the primary", READY, || async {
            let sql = "select state from pg_stat_replication where application_name = $1";
            let rows = primary.query_opt(sql, &[&name]).await.map_err(|e| e.to_string())?;
            let state = rows.map_or("no connection".into(), |row| row.get::<_, String>(0));
            if state == "streaming" { Ok(()) } else { Err(state) }
        })
        .await?;
        Ok(standby)
    }

    async fn start(site: &Path, address: SocketAddr, passwords: Passwords) -> Result<Postgres> {
        let part = spawn(site, address).await?;
        let mut server = Postgres { address, passwords, site: site.to_path_buf(), part };
        server.until_answers().await?;
        Ok(server)
    }

    /// Waits until it answers SQL.
    pub async fn until_answers(&mut self) -> Result<()> {
        let login = self.login(SUPERUSER, SUPERUSER, &self.passwords.superuser);
        let ask = || async { open(&login).await.map(drop).map_err(|e| e.to_string()) };
        self.part.until("an answer to SQL", READY, ask).await
    }

    async fn make_roles(&self) -> Result<()> {
        let Passwords { standfast, shop, replicator, .. } = &self.passwords;
        let admin = self.superuser().await?;
        // One statement each: a database is not created within a transaction.
        for sql in [
            format!("create role {REPLICATOR} login replication password '{replicator}'"),
            format!("create role {SHOP} login password '{shop}'"),
            format!("create database {SHOP} owner {SHOP}"),
            format!("create role {STANDFAST} login password '{standfast}' in role pg_monitor"),
            format!("create database {STANDFAST} owner {STANDFAST}"),
        ] {
            admin.batch_execute(&sql).await.map_err(|e| self.refused(&e))?;
        }
        // Rights on functions are kept per database.
        for database in [SUPERUSER, STANDFAST, SHOP] {
            let login = self.login(database, SUPERUSER, &self.passwords.superuser);
            let admin = open(&login).await.map_err(|e| self.refused(&e))?;
            let sql = format!("grant execute on function pg_promote to {STANDFAST}");
            admin.batch_execute(&sql).await.map_err(|e| self.refused(&e))?;
        }
        Ok(())
    }

    /// How the daemon connects, without the password: `host=... port=... user=standfast`.
    pub fn dsn(&self) -> String {
        format!("host={} port={} user={STANDFAST}", self.address.ip(), self.address.port())
    }

    /// A connection of the role `standfast` to its own database.
    pub async fn standfast(&self) -> Result<Client> {
        self.connect(STANDFAST, STANDFAST, &self.passwords.standfast).await
    }

    /// A connection of the application to its database.
    pub async fn shop(&self) -> Result<Client> {
        self.connect(SHOP, SHOP, &self.passwords.shop).await
    }

    /// A connection that may do everything, to the database `postgres`.
    pub async fn superuser(&self) -> Result<Client> {
        self.connect(SUPERUSER, SUPERUSER, &self.passwords.superuser).await
    }

    /// The same beside the network, by a socket in the site's folder: also when the site is cut off
    /// from everybody.
    pub async fn superuser_beside(&self) -> Result<Client> {
        let folder = sockets(&self.site);
        let login = login_at(&folder.display().to_string(), self.address.port(), SUPERUSER, SUPERUSER);
        let login = format!("{login} password={}", self.passwords.superuser);
        open(&login).await.map_err(|e| self.refused(&e))
    }

    /// A connection of any role to any database.
    pub async fn connect(&self, database: &str, role: &str, password: &str) -> Result<Client> {
        open(&self.login(database, role, password)).await.map_err(|e| self.refused(&e))
    }

    /// Whether it follows a primary, as it says itself.
    pub async fn is_standby(&self) -> Result<bool> {
        let client = self.superuser().await?;
        let row = client.query_one("select pg_is_in_recovery()", &[]).await;
        Ok(row.map_err(|e| self.refused(&e))?.get(0))
    }

    /// Its process: alive, killed, paused.
    pub fn part(&mut self) -> &mut Part {
        &mut self.part
    }

    /// Ends it in good order, with its clients cut off.
    pub async fn stop(&mut self) -> Result<()> {
        self.part.stop(Signal::INT, READY).await
    }

    /// Starts it again on the same data, in whatever role the data say.
    pub async fn restart(&mut self) -> Result<()> {
        self.revive().await?;
        self.until_answers().await
    }

    /// The same without waiting for more than its process.
    pub async fn revive(&mut self) -> Result<()> {
        self.part.kill();
        self.part = spawn(&self.site, self.address).await?;
        Ok(())
    }

    fn login(&self, database: &str, role: &str, password: &str) -> String {
        login(self.address, database, role, password)
    }

    fn refused(&self, error: &tokio_postgres::Error) -> Error {
        let detail = error.as_db_error().map(|e| format!(": {}", e.message())).unwrap_or_default();
        Error::answer(format!("PostgreSQL on {}", self.address), format!("{error}{detail}"))
    }
}

/// Who may come in: everyone with a password; the superuser also by the socket.
fn access_rules() -> String {
    let network = ground::network();
    let socket = format!("local all {SUPERUSER} scram-sha-256\n");
    format!(
        "{socket}host all all {network} scram-sha-256\nhost replication {REPLICATOR} {network} scram-sha-256\n"
    )
}

/// Given on the command line, so that a copy of the data starts with the same.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "wal_log_hints=on", // pg_rewind needs it
    "wal_keep_size=128MB",
    "max_wal_size=128MB",
    "shared_buffers=16MB",
    "max_connections=60",
    // In its own folder, where it goes with the rest; elsewhere it outlives a killed server.
    "dynamic_shared_memory_type=mmap",
    // A peer that is gone is noticed within seconds.
    "wal_receiver_timeout=2s",
    "wal_sender_timeout=2s",
    "wal_retrieve_retry_interval=200ms",
    "tcp_user_timeout=2000",
    "log_line_prefix=%m [%p] ",
];

/// Where the data of a site are.
pub(super) fn data(site: &Path) -> PathBuf {
    site.join("postgres")
}

/// Outside of the data, so that a copy of them has none.
fn sockets(site: &Path) -> PathBuf {
    site.join("sockets")
}

fn path_arg(option: &str, path: &Path) -> String {
    format!("{option}{}", path.display())
}

async fn spawn(site: &Path, address: SocketAddr) -> Result<Part> {
    tool(site, "postgres")?
        .args([path_arg("-D", &data(site))])
        .args(["-c".into(), format!("listen_addresses={}", address.ip())])
        .args(["-c".into(), format!("port={}", address.port())])
        .args(["-c".into(), path_arg("unix_socket_directories=", &sockets(site))])
        .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
        .start()
        .await
}

/// A program of PostgreSQL, as the user that owns the data.
fn tool(site: &Path, program: &str) -> Result<Spec> {
    let spec = Spec::new(site, program, program)?.env("PGCONNECT_TIMEOUT", "5");
    Ok(spec.user(unprivileged()?))
}

/// The folders of the data and of the socket, empty, owned by the user that PostgreSQL will run as.
fn make_data_folder(site: &Path) -> Result<()> {
    own_folder(&data(site))?;
    own_folder(&sockets(site))
}

/// An empty folder, owned by the user that PostgreSQL will run as.
pub(super) fn own_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::{PermissionsExt, chown};
    let make = || {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let user = unprivileged().map_err(std::io::Error::other)?;
        user.map_or(Ok(()), |user| chown(folder, Some(user), Some(user)))
    };
    make().map_err(Error::io(format!("making {}", folder.display())))
}

/// PostgreSQL refuses to run as root; then it is run as `nobody`.
pub(super) fn unprivileged() -> Result<Option<u32>> {
    if !rustix::process::getuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(Error::io("reading /etc/passwd"))?;
    let nobody = users.lines().find_map(|line| line.strip_prefix("nobody:"));
    let number = nobody.and_then(|line| line.split(':').nth(1)?.parse().ok());
    number.map(Some).ok_or_else(|| Error::answer("PostgreSQL", "there is no user `nobody`"))
}

fn login(address: SocketAddr, database: &str, role: &str, password: &str) -> String {
    let at = login_at(&address.ip().to_string(), address.port(), database, role);
    format!("{at} password={password}")
}

/// Without the password; a host that is a path is the folder of a socket.
fn login_at(host: &str, port: u16, database: &str, role: &str) -> String {
    format!("host={host} port={port} dbname={database} user={role} connect_timeout=2")
}

pub(super) async fn open(login: &str) -> std::result::Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(login, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
