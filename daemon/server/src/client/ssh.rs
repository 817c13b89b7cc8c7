//! The system's ssh: one connection a host, shared by all that is run there within a minute.
//!
//! The system's, so that jump hosts, agents and hardware keys work as they do by hand; what decides
//! about safety is said on the command line, which comes before any configuration. A host is believed
//! by the keys that the fleet names and by nothing else, and nobody is ever asked.
//!
//! To log in changes nothing, so it is done before anything is run: whoever is not reached then has
//! not been told anything. A connection runs under a supervisor of its own and ends with the daemon.

use super::{Error, clip};
use crate::secrets::Secrets;
use crate::supervise::{Ended, Outcome, Spec, SuperviseError, Supervisor};
use sha2::{Digest as _, Sha256};
use standfast_core::action::Host;
use standfast_core::ids::SecretName;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::{Mutex as Slot, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Since it was used last, a connection is kept this long.
const KEEP: Duration = Duration::from_secs(60);
/// A connection older than half of this is not used for anything new.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// Between two looks whether it stands.
const LOOK: Duration = Duration::from_millis(10);
/// ssh's own exit code when it fails, rather than what it runs.
pub const SSH_FAILED: i32 = 255;

/// What a connection needs besides the host.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// Where the private key is.
    pub secrets: &'a Secrets,
    /// What ssh runs under.
    pub supervisor: &'a Supervisor,
    /// The address that connections leave from.
    pub source: Option<IpAddr>,
}

/// The connections of this member. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Links {
    folder: Option<PathBuf>,
    open: Arc<Mutex<BTreeMap<String, Known>>>,
    made: Arc<AtomicU64>,
}

/// The connection to one host, if somebody still has it; held while one is made.
type Known = Arc<Slot<Weak<Master>>>;

#[derive(Debug)]
struct Master {
    since: Instant,
    socket: PathBuf,
    task: AbortOnDropHandle<Result<Outcome, SuperviseError>>,
}

impl Drop for Master {
    fn drop(&mut self) {
        // ssh removes it itself when it ends in good order.
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// A host that is logged in to; as long as this lives the connection is not ended from here.
#[derive(Debug)]
pub struct Link {
    /// Arguments of ssh up to the host.
    argv: Vec<String>,
    folder: PathBuf,
    supervisor: Supervisor,
    master: Arc<Master>,
}

impl Links {
    /// With sockets and the known keys in `folder`, which is made when it is needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Self { folder: Some(folder), ..Self::default() }
    }

    /// Logs in, or takes a connection that stands.
    pub async fn connect(&self, host: &Host, means: Means<'_>, deadline: Instant) -> Result<Link, Error> {
        let name = name(host);
        let ours = |error: String| Error::Ours(format!("{name}: {error}"));
        let folder = self.folder.as_deref().ok_or_else(|| ours("this member has no folder for it".into()))?;
        let id = id(host);
        let slot =
            self.open.lock().expect("nothing panics while it is held").entry(id.clone()).or_default().clone();
        let late = || Error::Unreachable(format!("{name}: no login in time"));
        let mut known = tokio::time::timeout_at(deadline, slot.lock()).await.map_err(|_| late())?;
        let fresh = |master: &Arc<Master>| {
            !master.task.is_finished() && master.socket.exists() && master.since.elapsed() < LONGEST / 2
        };
        if let Some(master) = known.upgrade().filter(fresh) {
            return self.link(host, means, folder, &id, master).map_err(ours);
        }
        prepare(folder, &id, host).map_err(|error| ours(format!("{}: {error}", folder.display())))?;
        let socket = format!("{id}-{}", self.made.fetch_add(1, Ordering::Relaxed));
        let left = deadline.saturating_duration_since(Instant::now());
        let mut argv = arguments(host, means, &id, &socket, left).map_err(ours)?;
        argv.extend(["-oControlMaster=yes", "-oControlPersist=no", "-N"].map(str::to_owned));
        argv.extend(target(host));
        let (path, supervisor) = (folder.join(&socket), means.supervisor.clone());
        // What a killed daemon left behind.
        let _ = std::fs::remove_file(&path);
        let spec = spec(argv, folder, LONGEST);
        let mut task = AbortOnDropHandle::new(tokio::spawn(async move { supervisor.run(&spec, None).await }));
        while !path.exists() {
            tokio::select! {
                ended = &mut task => return Err(no_login(&name, ended.ok())),
                () = tokio::time::sleep_until(deadline) => return Err(late()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        let master = Arc::new(Master { since: Instant::now(), socket: path, task });
        *known = Arc::downgrade(&master);
        self.link(host, means, folder, &id, master).map_err(ours)
    }

    fn link(
        &self,
        host: &Host,
        means: Means<'_>,
        folder: &Path,
        id: &str,
        master: Arc<Master>,
    ) -> Result<Link, String> {
        let socket = master.socket.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut argv = arguments(host, means, id, &socket, Duration::from_secs(5))?;
        argv.push("-oControlMaster=no".into());
        argv.extend(target(host));
        let kept = master.clone();
        tokio::spawn(async move {
            tokio::time::sleep(KEEP).await;
            drop(kept);
        });
        Ok(Link { argv, folder: folder.to_owned(), supervisor: means.supervisor.clone(), master })
    }
}

impl Link {
    /// Runs a command line of the host's login shell, under supervision here: its end here is not its
    /// end there.
    pub async fn run(
        &self,
        line: String,
        within: Duration,
        grace: Duration,
        leash: Option<watch::Receiver<Duration>>,
    ) -> Result<Outcome, SuperviseError> {
        let mut argv = self.argv.clone();
        argv.push(line);
        let spec = Spec { grace, ..spec(argv, &self.folder, within) };
        let outcome = self.supervisor.run(&spec, leash).await;
        if matches!(&outcome, Ok(outcome) if outcome.code == Some(SSH_FAILED)) {
            // Not to be used again; who else is using it will see for themselves.
            let _ = std::fs::remove_file(&self.master.socket);
        }
        outcome
    }
}

/// Names a host for people: `db-host in b`.
pub fn name(host: &Host) -> String {
    format!("{} in {}", host.name, host.site)
}

/// One word for the shell of the host.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Short, as a socket's path must be, and another one as soon as anything is different.
fn id(host: &Host) -> String {
    let key = host.key.as_ref().map_or("", SecretName::as_str);
    let whole = [&host.address, &host.user, key, &host.host_keys.join("\n")].map(|part| part.to_string());
    let digest = Sha256::digest(whole.join("\0"));
    digest.iter().take(6).fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// The folder, closed to others, and in it the keys that the host may show.
fn prepare(folder: &Path, id: &str, host: &Host) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let known = host.host_keys.iter().fold(String::new(), |text, key| text + id + " " + key + "\n");
    let (new, file) = (folder.join(format!("{id}.new")), folder.join(format!("{id}.keys")));
    std::fs::write(&new, known)?;
    std::fs::rename(new, file)
}

/// The folder is the working directory, so that the path of the socket is short however deep it is.
fn spec(argv: Vec<String>, folder: &Path, within: Duration) -> Spec {
    let mut spec = Spec::new(argv, within);
    spec.cwd = Some(folder.to_owned());
    let agent = std::env::var("SSH_AUTH_SOCK").ok().map(|socket| ("SSH_AUTH_SOCK".to_owned(), socket));
    spec.env = BTreeMap::from_iter(agent);
    spec
}

fn arguments(
    host: &Host,
    means: Means<'_>,
    id: &str,
    socket: &str,
    connect: Duration,
) -> Result<Vec<String>, String> {
    let mut argv: Vec<String> = [
        "ssh",
        "-oBatchMode=yes",
        "-oStrictHostKeyChecking=yes",
        "-oGlobalKnownHostsFile=/dev/null",
        "-oVerifyHostKeyDNS=no",
        "-oNoHostAuthenticationForLocalhost=no",
        "-oCheckHostIP=no",
        "-oUpdateHostKeys=no",
        "-oClearAllForwardings=yes",
        "-oForwardAgent=no",
        "-oForwardX11=no",
        "-oPermitLocalCommand=no",
        "-oRequestTTY=no",
        "-oLogLevel=ERROR",
        "-oServerAliveInterval=2",
        "-oServerAliveCountMax=3",
    ]
    .map(str::to_owned)
    .to_vec();
    argv.push(format!("-oUserKnownHostsFile={id}.keys"));
    argv.push(format!("-oHostKeyAlias={id}"));
    argv.push(format!("-oControlPath={socket}"));
    argv.push(format!("-oConnectTimeout={}", connect.as_secs().max(1)));
    argv.extend(means.source.map(|source| format!("-oBindAddress={source}")));
    if let Some(key) = &host.key {
        // Read for its checks: ssh reads the file itself.
        means.secrets.get(key.as_str()).map_err(|error| error.to_string())?;
        let file = means.secrets.dir().join(key.as_str());
        let file = std::path::absolute(&file).unwrap_or(file);
        argv.extend(["-oIdentitiesOnly=yes".to_owned(), "-i".to_owned(), file.display().to_string()]);
    }
    Ok(argv)
}

fn target(host: &Host) -> Vec<String> {
    let (address, port) = host.address.rsplit_once(':').unwrap_or((&host.address, "22"));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    ["-l", &host.user, "-p", port, "--", address].map(str::to_owned).to_vec()
}

/// Why there is no connection, from what ssh says on its way out.
fn no_login(name: &str, ended: Option<Result<Outcome, SuperviseError>>) -> Error {
    let outcome = match ended {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => return Error::Ours(format!("{name}: {error}")),
        None => return Error::Ours(format!("{name}: the login was given up")),
    };
    if let Ended::NotStarted { error, .. } = &outcome.ended {
        return Error::Ours(format!("{name}: ssh cannot be started on this member: {error}"));
    }
    let said = &outcome.stderr.text;
    let last = clip(said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("ssh gave no reason"));
    if said.contains("Host key verification failed") {
        return Error::Denied(format!(
            "{name} shows another host key than the fleet names: either it is not that host, or its key was \
             changed and `host_key` must be too"
        ));
    }
    if said.contains("Permission denied") || said.contains("Too many authentication failures") {
        return Error::Denied(format!("{name} does not let us in: {last}"));
    }
    Error::Unreachable(format!("{name}: {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words_in_a_shell() {
        for word in ["", "a b", "it's", "$HOME `x` \\ \"", "a\nb", "-n"] {
            let line = format!("printf %s {}", quoted(word));
            let said = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
        }
    }

    #[test]
    fn a_host_is_named_without_becoming_an_option() {
        let host = |address: &str| Host {
            fleet: "shop".into(),
            name: "db".into(),
            site: "a".into(),
            address: address.into(),
            user: "kim".into(),
            host_keys: vec!["ssh-ed25519 AAAA".into()],
            key: None,
        };
        assert_eq!(target(&host("10.1.0.10:2222")), ["-l", "kim", "-p", "2222", "--", "10.1.0.10"]);
        assert_eq!(target(&host("[2001:db8::1]:22")), ["-l", "kim", "-p", "22", "--", "2001:db8::1"]);
        assert_ne!(id(&host("a:22")), id(&host("b:22")));
    }
}
