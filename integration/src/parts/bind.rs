//! A BIND with one zone that takes signed updates (RFC 2136 with TSIG).

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;

use super::part::{Part, Spec};
use super::{Error, Result, ground, program};

const READY: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_millis(500);

/// A zone as it is when the server starts.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Its name, such as `example.net`.
    pub name: String,
    /// The label of the record that may be changed, such as `shop`.
    pub record: String,
    /// Labels of further ones.
    pub more: Vec<String>,
    /// The first address of each.
    pub address: Ipv4Addr,
    /// How long answers may be kept.
    pub ttl: Duration,
}

/// A running name server.
#[derive(Debug)]
pub struct Bind {
    /// Where it listens, TCP and UDP. On 127.0.0.1: BIND listens on no address that no
    /// interface has.
    pub address: SocketAddr,
    /// The zone it serves.
    pub zone: Zone,
    /// The name of the key that may update the records (HMAC-SHA256).
    pub key_name: String,
    /// The key's secret, in base64.
    pub key: String,
    /// The key as a file for `nsupdate -k`.
    pub key_file: PathBuf,
    part: Part,
}

impl Bind {
    /// Starts it.
    pub async fn start(site: &Path, address: SocketAddr, zone: Zone) -> Result<Bind> {
        let key_name = "standfast".to_string();
        let key = base64(&rand::random::<[u8; 32]>());
        let folder = site.join("bind");
        let key_file = folder.join("key");
        let key_text = format!("key \"{key_name}\" {{ algorithm hmac-sha256; secret \"{key}\"; }};\n");
        let write = || {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("zone"), zone.text())?;
            fs::write(folder.join("named.conf"), configuration(&folder, address, &zone, &key_name))?;
            let mut secret = fs::OpenOptions::new();
            let file = secret.write(true).create(true).truncate(true).mode(0o600).open(&key_file)?;
            std::io::Write::write_all(&mut &file, key_text.as_bytes())
        };
        write().map_err(Error::io(format!("writing into {}", folder.display())))?;
        let mut part = Spec::new(site, "bind", "named")?
            .args(["-4", "-g", "-n", "1", "-c"])
            .args([folder.join("named.conf")])
            .start()
            .await?;
        let name = zone.full_name();
        part.until("the record", READY, || async {
            match resolve(address, &name).await {
                Ok(answer) if !answer.addresses.is_empty() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
        Ok(Bind { address, zone, key_name, key, key_file, part })
    }

    /// What it answers for the first record now.
    pub async fn addresses(&self) -> Result<Vec<Ipv4Addr>> {
        let answer = resolve(self.address, &self.zone.full_name()).await;
        Ok(answer.map_err(|e| Error::answer("BIND", e))?.addresses)
    }

    /// Its process: alive, killed, paused.
    pub fn part(&mut self) -> &mut Part {
        &mut self.part
    }
}

impl Zone {
    /// The first record's name with the zone's, such as `shop.example.net`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.record, self.name)
    }

    fn text(&self) -> String {
        let Zone { address, ttl, .. } = self;
        let ttl = ttl.as_secs();
        let mut text = format!(
            "$TTL {ttl}\n\
             @ SOA ns hostmaster 1 60 60 600 {ttl}\n\
             @ NS ns\n\
             ns A 127.0.0.1\n"
        );
        for record in self.records() {
            let _ = writeln!(text, "{record} A {address}");
        }
        text
    }

    fn records(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.record).chain(&self.more)
    }
}

/// The key may change the addresses of the records, and texts at them and below them.
fn configuration(folder: &Path, address: SocketAddr, zone: &Zone, key: &str) -> String {
    let (folder, ip, port) = (folder.display(), address.ip(), address.port());
    let name = &zone.name;
    let network = ground::network();
    let grants =
        zone.records().map(|record| format!("\n        grant {key} subdomain {record}.{name}. A TXT;"));
    let grants: String = grants.collect();
    let mut text = format!(
        "include \"{folder}/key\";
controls {{ }};
options {{
    directory \"{folder}\";
    pid-file none;
    session-keyfile none;
    listen-on port {port} {{ {ip}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    notify no;
    dnssec-validation no;
    allow-query {{ {network}; }};
    minimal-responses yes;
"
    );
    if has_lock_file() {
        text.push_str("    lock-file none;\n");
    }
    let _ = write!(
        text,
        "}};
zone \"{name}\" {{
    type primary;
    file \"zone\";
    update-policy {{{grants}
    }};
}};
"
    );
    text
}

/// Up to 9.18, BIND allows itself only once unless told otherwise; later it knows no such thing.
fn has_lock_file() -> bool {
    let version = program("named").ok().and_then(|named| Command::new(named).arg("-v").output().ok());
    let text = version.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let minor = text.as_deref().and_then(|t| t.split('.').nth(1)?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor <= 18)
}

/// What a name server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The addresses of the name, sorted.
    pub addresses: Vec<Ipv4Addr>,
    /// How long they may be kept.
    pub ttl: Duration,
}

/// Asks a name server for the addresses of a name, once.
pub async fn resolve(server: SocketAddr, name: &str) -> std::result::Result<Answer, String> {
    let name = Name::from_str(&format!("{name}.")).map_err(|e| e.to_string())?;
    let mut question = Message::query();
    question.metadata.id = rand::random();
    question.add_query(Query::query(name, RecordType::A));
    let bytes = question.to_vec().map_err(|e| e.to_string())?;
    let exchange = async {
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        socket.connect(server).await?;
        socket.send(&bytes).await?;
        let mut buffer = vec![0; 4096];
        let length = socket.recv(&mut buffer).await?;
        buffer.truncate(length);
        Ok::<_, std::io::Error>(buffer)
    };
    let received = tokio::time::timeout(ANSWER, exchange).await;
    let received = received.map_err(|_| format!("{server} does not answer"))?;
    let answer = Message::from_vec(&received.map_err(|e| format!("{server}: {e}"))?);
    let answer = answer.map_err(|e| format!("{server}: {e}"))?;
    if answer.metadata.id != question.metadata.id {
        return Err(format!("{server}: an answer to another question"));
    }
    if answer.metadata.response_code != ResponseCode::NoError {
        return Err(format!("{server}: {}", answer.metadata.response_code));
    }
    let mut addresses = Vec::new();
    let mut ttl = u32::MAX;
    for record in &answer.answers {
        if let RData::A(address) = &record.data {
            addresses.push(address.0);
            ttl = ttl.min(record.ttl);
        }
    }
    addresses.sort();
    let ttl = Duration::from_secs(if addresses.is_empty() { 0 } else { ttl.into() });
    Ok(Answer { addresses, ttl })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |w, i| w << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
        for digit in 0..=chunk.len() {
            text.push(DIGITS[(word >> (18 - 6 * digit)) as usize & 63].into());
        }
        text.extend(std::iter::repeat_n('=', 3 - chunk.len()));
    }
    text
}
