//! DNS over TCP: one question, or one signed update (RFC 2136, RFC 8945), to one server.
//!
//! TCP for questions too: a lost datagram is not evidence, a server that takes updates speaks
//! TCP anyway, and there is one way to read an answer.

mod epoch;
mod privilege;

pub use epoch::{companion, held};
pub use privilege::{Privilege, may_update};

use super::{Error, answered, stream};
use base64::Engine as _;
use hickory_proto::op::update_message::UpdateMessage as _;
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm, TsigError};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType as Wire, TSigner};
use standfast_core::check::RecordType;
use std::net::IpAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Seconds by which our clock and the name server's may differ.
const FUDGE_S: u16 = 300;
/// Writers of one epoch that meet at one name: steps side by side.
const TRIES: usize = 8;

/// What a server holds under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// The set, in the form of [`canonical`], sorted; empty if there is none.
    pub values: Vec<String>,
    /// Time to live in seconds, if there is a set.
    pub ttl_s: Option<u32>,
}

/// A TSIG key.
pub struct Key {
    signer: TSigner,
}

/// A record set to be written.
#[derive(Clone, Debug)]
pub struct RecordSet<'a> {
    /// The zone.
    pub zone: &'a str,
    /// The name, in the zone.
    pub name: &'a str,
    /// Its type.
    pub record_type: RecordType,
    /// Time to live in seconds.
    pub ttl_s: u32,
    /// All values.
    pub values: &'a [String],
}

impl Key {
    /// Reads `NAME:BASE64` or `ALGORITHM:NAME:BASE64`, as `dig -y` and `nsupdate -y` take it.
    /// Algorithms: hmac-sha256 (the default), hmac-sha384, hmac-sha512.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let parts: Vec<_> = text.split(':').map(str::trim).collect();
        let (algorithm, name, secret) = match parts[..] {
            [name, secret] => ("hmac-sha256", name, secret),
            [algorithm, name, secret] => (algorithm, name, secret),
            _ => return Err("is not NAME:BASE64 or ALGORITHM:NAME:BASE64"),
        };
        let algorithm = match algorithm {
            "hmac-sha256" => TsigAlgorithm::HmacSha256,
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            _ => return Err("is not of hmac-sha256, hmac-sha384 or hmac-sha512"),
        };
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(secret)
            .ok()
            .filter(|bytes| !bytes.is_empty())
            .ok_or("has no key in base64 at its end")?;
        let name = fqdn(name).map_err(|_| "does not begin with the name of a key")?;
        let signer = TSigner::new(bytes, algorithm, name, FUDGE_S).map_err(|_| "cannot sign")?;
        Ok(Self { signer })
    }

    /// The key's name, as the server knows it.
    pub fn name(&self) -> String {
        self.signer.signer_name().to_string()
    }
}

/// The form in which values are compared: addresses as they print, names in lower case with
/// their final dot.
pub fn canonical(record_type: RecordType, value: &str) -> Result<String, Error> {
    Ok(show(&rdata(record_type, value)?).unwrap_or_default())
}

/// Asks `server` for the set of `name`. Only an authoritative answer counts.
pub async fn query(
    server: &str,
    name: &str,
    record_type: RecordType,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<Records, Error> {
    let wanted = fqdn(name).map_err(|error| Error::Ours(format!("{server}: {error}")))?;
    let records = ask(server, &wanted, wire(record_type), source, deadline).await?;
    let ttl_s = records.iter().map(|record| record.ttl).min();
    let mut values: Vec<_> = records.iter().filter_map(|record| show(&record.data)).collect();
    values.sort();
    Ok(Records { values, ttl_s })
}

/// The records of one name and type.
async fn ask(
    server: &str,
    name: &Name,
    kind: Wire,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<Vec<Record>, Error> {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name.clone(), kind));
    let mut stream = stream::tcp(server, source, deadline).await?;
    let answer = exchange(&mut stream, server, &message, deadline).await?;
    let answer = decode(server, &message, &answer)?;
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain if answer.authoritative => {}
        ResponseCode::NoError | ResponseCode::NXDomain => {
            return Err(Error::Failed(format!("{server} is not authoritative for {name}")));
        }
        code => return Err(Error::Failed(format!("{server} answers {code} for {name}"))),
    }
    let wanted = |record: &Record| record.name == *name && record.record_type() == kind;
    Ok(answer.answers.into_iter().filter(wanted).collect())
}

/// Replaces a record set in one signed update, which its server refuses once a leader of a higher
/// epoch has written. [`Error::NoAnswer`] may have been applied.
pub async fn replace(
    server: &str,
    set: &RecordSet<'_>,
    epoch: u64,
    key: &Key,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<(), Error> {
    let (name, zone) = (key.name(), set.zone);
    for _ in 0..TRIES {
        let before = held(server, set.name, source, deadline).await.map_err(|error| match error {
            Error::NoAnswer(text) => Error::Unreachable(text),
            other => other,
        })?;
        epoch::may_follow(before, epoch, server, set.name)?;
        let message = update(server, set, before, epoch)?;
        match send(server, zone, message, key, source, deadline).await? {
            (ResponseCode::NoError, Ok(())) => return Ok(()),
            // Somebody wrote after the epoch was read: it is read again.
            (ResponseCode::NXRRSet | ResponseCode::YXRRSet, Ok(())) => {}
            (ResponseCode::ServFail, _) => {
                return Err(Error::Failed(format!("{server} answers SERVFAIL for {zone}")));
            }
            (ResponseCode::NoError | ResponseCode::NXRRSet | ResponseCode::YXRRSet, Err(error)) => {
                return Err(Error::NoAnswer(format!(
                    "{server}: an answer came that key {name} did not sign, so it is not believed: {error}"
                )));
            }
            (code, _) => {
                return Err(Error::Denied(format!(
                    "{server} refuses the update of {} and of the TXT record {} by key {name}: {code}",
                    set.name,
                    companion(set.name)
                )));
            }
        }
    }
    let (name, companion) = (set.name, companion(set.name));
    Err(Error::Failed(format!("{server}: {name} was not set, because others write {companion} all the time")))
}

/// Signs an update, sends it, and says what came back and whether the key had signed it too. A
/// server that does not take the key is [`Error::Denied`].
async fn send(
    server: &str,
    zone: &str,
    mut message: Message,
    key: &Key,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<(ResponseCode, Result<(), String>), Error> {
    let now_s = u64::try_from(crate::clock::wall_ms() / 1_000).unwrap_or(0);
    let unsigned = |error| Error::Ours(format!("{server}: the update cannot be signed: {error}"));
    let mut verifier = message
        .finalize(&key.signer, now_s)
        .map_err(|error| unsigned(error.to_string()))?
        .ok_or_else(|| unsigned("no verifier".into()))?;
    let mut stream = stream::tcp(server, source, deadline).await?;
    let answer = exchange(&mut stream, server, &message, deadline).await?;
    let decoded = decode(server, &message, &answer)?;
    // A server that does not trust the key cannot sign its answer with it.
    let complaint = decoded.signature().and_then(|tsig| tsig.data.error);
    let denied = match complaint {
        Some(TsigError::BadKey) => Some("does not know this key".to_owned()),
        Some(TsigError::BadSig) => Some("knows this key with another secret".to_owned()),
        Some(TsigError::BadTime) => Some(format!("has a clock more than {FUDGE_S} s from ours")),
        Some(error) => Some(format!("answers {error:?}")),
        None => None,
    };
    if let Some(why) = denied {
        let name = key.name();
        return Err(Error::Denied(format!("{server} refuses key {name} for {zone}: it {why}")));
    }
    let signed = verifier.verify(&answer).map(drop).map_err(|error| error.to_string());
    Ok((decoded.response_code, signed))
}

/// The update that holds only while the epoch beside the name is the one that was read.
fn update(server: &str, set: &RecordSet<'_>, before: Option<u64>, epoch: u64) -> Result<Message, Error> {
    let named = |error: String| Error::Ours(format!("{server}: {error}"));
    let (zone, name) = (fqdn(set.zone).map_err(named)?, fqdn(set.name).map_err(named)?);
    if !zone.zone_of(&name) {
        return Err(Error::Ours(format!("{server}: {name} is not in the zone {zone}")));
    }
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_zone(Query::query(zone, Wire::SOA));
    epoch::claim(&mut message, &name, set.ttl_s, before, epoch).map_err(named)?;
    message.add_update(remove(name.clone(), wire(set.record_type)));
    for value in set.values {
        let data = rdata(set.record_type, value)?;
        message.add_update(Record::from_rdata(name.clone(), set.ttl_s, data));
    }
    Ok(message)
}

/// The part of an update that removes a set.
fn remove(name: Name, kind: Wire) -> Record {
    let mut delete = Record::update0(name, 0, kind);
    delete.dns_class = DNSClass::ANY;
    delete
}

async fn exchange(
    stream: &mut TcpStream,
    server: &str,
    message: &Message,
    deadline: Instant,
) -> Result<Vec<u8>, Error> {
    let bytes = message.to_vec().map_err(|error| Error::Ours(format!("{server}: {error}")))?;
    let length =
        u16::try_from(bytes.len()).map_err(|_| Error::Ours(format!("{server}: message over 64 KiB")))?;
    answered(server, deadline, async {
        let exchanged: std::io::Result<_> = async {
            stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).await?;
            let mut answer = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut answer).await?;
            Ok(answer)
        }
        .await;
        exchanged.map_err(|error| Error::NoAnswer(format!("{server}: {error}")))
    })
    .await
}

fn decode(server: &str, request: &Message, bytes: &[u8]) -> Result<Message, Error> {
    let strange = |what: &str| Error::NoAnswer(format!("{server} answered what is no answer: {what}"));
    let answer = Message::from_vec(bytes).map_err(|error| strange(&error.to_string()))?;
    if answer.id != request.id {
        return Err(strange("it is to another question"));
    }
    Ok(answer)
}

fn fqdn(name: &str) -> Result<Name, String> {
    let mut name = Name::from_ascii(name).map_err(|error| format!("`{name}` is no DNS name: {error}"))?;
    name.set_fqdn(true);
    Ok(name)
}

fn wire(record_type: RecordType) -> Wire {
    match record_type {
        RecordType::A => Wire::A,
        RecordType::Aaaa => Wire::AAAA,
        RecordType::Cname => Wire::CNAME,
    }
}

fn rdata(record_type: RecordType, value: &str) -> Result<RData, Error> {
    let wrong = || Error::Ours(format!("`{value}` is no value of a {} record", wire(record_type)));
    Ok(match record_type {
        RecordType::A => RData::A(A(value.parse().map_err(|_| wrong())?)),
        RecordType::Aaaa => RData::AAAA(AAAA(value.parse().map_err(|_| wrong())?)),
        RecordType::Cname => RData::CNAME(CNAME(fqdn(value).map_err(|_| wrong())?)),
    })
}

fn show(data: &RData) -> Option<String> {
    match data {
        RData::A(A(address)) => Some(address.to_string()),
        RData::AAAA(AAAA(address)) => Some(address.to_string()),
        RData::CNAME(CNAME(name)) => Some(name.to_lowercase().to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_dig_reads_them() {
        assert_eq!(Key::parse("demo:c2VjcmV0").unwrap().name(), "demo.");
        assert_eq!(Key::parse("hmac-sha512:demo.:c2VjcmV0").unwrap().name(), "demo.");
        for wrong in ["", "c2VjcmV0", "demo:", "demo:%%%", "hmac-md5:demo:c2VjcmV0", "a:b:c:d", "..:c2VjcmV0"]
        {
            let error = Key::parse(wrong).err().unwrap_or_else(|| panic!("{wrong:?} is taken"));
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
    }

    #[test]
    fn values_have_one_form() {
        let same = |kind, value| canonical(kind, value).unwrap();
        assert_eq!(same(RecordType::A, "10.0.0.1"), "10.0.0.1");
        assert_eq!(same(RecordType::Aaaa, "2001:DB8:0::1"), "2001:db8::1");
        assert_eq!(same(RecordType::Cname, "WWW.example.net"), "www.example.net.");
        assert!(canonical(RecordType::A, "2001:db8::1").is_err());
    }

    #[test]
    fn an_update_outside_its_zone_is_not_sent() {
        let set = RecordSet {
            zone: "example.net",
            name: "shop.example.org",
            record_type: RecordType::A,
            ttl_s: 30,
            values: &["10.0.0.1".into()],
        };
        assert!(
            matches!(update("192.0.2.1:53", &set, None, 7), Err(Error::Ours(text)) if text.contains("zone"))
        );
    }
}
