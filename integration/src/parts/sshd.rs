//! An sshd that lets one key in, as an ordinary user with a home in its site's folder.
//!
//! As an ordinary user it can only become that very user. Under root it is one that a private copy
//! of /etc/passwd, in a mount namespace of the server alone, makes of the number of `nobody`: who has
//! no shell, and no login.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::part::{Part, Spec};
use super::{Error, Result, program};

const READY: Duration = Duration::from_secs(10);
/// Who logs in under root.
const OWN: &str = "failover";
/// Gives the server a passwd file of its own, then becomes who is said.
const PRIVATELY: &str = r#"mount --bind "$1" /etc/passwd && shift && exec "$@""#;

/// A running server.
#[derive(Debug)]
pub struct Sshd {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who logs in.
    pub user: String,
    /// Its public key, as a fleet names it.
    pub host_key: String,
    /// The private key that it lets in.
    pub key: String,
    /// The home of the user.
    pub home: PathBuf,
    part: Part,
}

impl Sshd {
    /// Starts it.
    pub async fn start(site: &Path, address: SocketAddr) -> Result<Sshd> {
        let folder = site.join("ssh");
        let failed = || Error::io(format!("writing into {}", folder.display()));
        let home = folder.join("home");
        fs::create_dir_all(&home).map_err(failed())?;
        let login = User::of(&folder)?;
        let (host, client) = (folder.join("host"), folder.join("client"));
        for key in [&host, &client] {
            generate(key)?;
        }
        let public = |key: &Path| fs::read_to_string(key.with_extension("pub")).map_err(failed());
        let config = folder.join("config");
        let write = || {
            fs::copy(client.with_extension("pub"), folder.join("allowed"))?;
            fs::write(&config, configuration(&folder, address)?)?;
            if let Some((uid, gid)) = login.becomes {
                for path in [&folder, &home, &host, &folder.join("allowed"), &config] {
                    chown(path, Some(uid), Some(gid))?;
                }
            }
            Ok(())
        };
        write().map_err(failed())?;
        let server = program("sshd")?.display().to_string();
        let own =
            [&server, "-D", "-e", "-f"].map(str::to_owned).into_iter().chain([config.display().to_string()]);
        let spec = match login.becomes {
            None => Spec::new(site, "sshd", "sshd")?.args(own.skip(1)),
            Some((uid, gid)) => Spec::new(site, "sshd", "unshare")?
                .args(["--mount", "sh", "-c", PRIVATELY, "sh"])
                .args([folder.join("passwd")])
                .args(["setpriv".into(), format!("--reuid={uid}"), format!("--regid={gid}")])
                .args(["--clear-groups", "--"])
                .args(own),
        };
        let mut part = spec.start().await?;
        part.until_listening(address, READY).await?;
        let host_key = public(&host)?.trim().to_owned();
        let key = fs::read_to_string(&client).map_err(failed())?;
        Ok(Sshd { address, user: login.name, host_key, key, home, part })
    }

    /// Its process: alive, killed, paused.
    pub fn part(&mut self) -> &mut Part {
        &mut self.part
    }
}

/// Who logs in.
struct User {
    name: String,
    /// The numbers to become, for root.
    becomes: Option<(u32, u32)>,
}

impl User {
    fn of(folder: &Path) -> Result<User> {
        let users = fs::read_to_string("/etc/passwd").map_err(Error::io("reading /etc/passwd"))?;
        let root = rustix::process::getuid().is_root();
        let uid = rustix::process::getuid().as_raw().to_string();
        let is_wanted = |line: &&str| match root {
            true => line.starts_with("nobody:"),
            false => line.split(':').nth(2) == Some(&uid),
        };
        let line = users.lines().find(is_wanted).unwrap_or_default();
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, ..] = fields[..] else {
            return Err(Error::answer("sshd", "there is no user in /etc/passwd to log in as"));
        };
        let numbers = uid.parse().ok().zip(gid.parse().ok());
        if root {
            let own = format!("{OWN}:x:{uid}:{gid}::{}:/bin/sh\n", folder.join("home").display());
            let file = folder.join("passwd");
            fs::write(&file, own + &users)
                .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o644)))
                .map_err(Error::io(format!("writing {}", file.display())))?;
        }
        let name = if root { OWN } else { name };
        Ok(User { name: name.to_owned(), becomes: numbers.filter(|_| root) })
    }
}

fn generate(file: &Path) -> Result<()> {
    let made = Command::new(program("ssh-keygen")?)
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(file)
        .stdin(Stdio::null())
        .status()
        .map_err(Error::io("starting ssh-keygen"))?;
    if made.success() { Ok(()) } else { Err(Error::answer("ssh-keygen", made)) }
}

fn configuration(folder: &Path, address: SocketAddr) -> std::io::Result<String> {
    let (ip, port, folder) = (address.ip(), address.port(), folder.display());
    let mut text = format!(
        "ListenAddress {ip}:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/allowed
SetEnv HOME={folder}/home
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
LogLevel VERBOSE
"
    );
    // Since version 10 the server is several programs, which it looks for where it was built for.
    let server = program("sshd").map_err(std::io::Error::other)?;
    let tree = server.parent().and_then(Path::parent).map(|tree| tree.join("usr/lib/openssh"));
    for (name, setting) in [("sshd-session", "SshdSessionPath"), ("sshd-auth", "SshdAuthPath")] {
        let file = tree.as_ref().map(|tree| tree.join(name)).filter(|file| file.exists());
        text += &file.map_or(String::new(), |file| format!("{setting} {}\n", file.display()));
    }
    Ok(text)
}
