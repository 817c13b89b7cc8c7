//! Whether a key may change a record set, asked without changing it.
//!
//! A signed update is sent whose prerequisite cannot hold: that the zone has no SOA record. A
//! server that lets the key do it answers that the prerequisite fails (YXRRSET), one that does
//! not answers REFUSED. Should a server ever pass over the prerequisite, still nothing changes: the
//! update adds a record that is there, or deletes a set that is not.
//!
//! BIND tests the key's grants before the prerequisites (since 9.18.11). A server that does it the
//! other way round, as RFC 2136 has it, says YXRRSET to every key that it knows. It is recognised
//! by an update outside its zone, which it finds wrong only after the prerequisites.

use super::{Error, Key, Records, ask, epoch, fqdn, rdata, remove, send, wire};
use hickory_proto::op::update_message::UpdateMessage as _;
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType as Wire};
use standfast_core::check::RecordType;
use std::net::IpAddr;
use tokio::time::Instant;

/// What a key may do to a record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Change it.
    Granted,
    /// Not change it; the server's words.
    Missing(String),
    /// The server takes the key, and does not say what it may do before it would do it.
    Unknown(String),
}

/// Whether `key` may change the set of `name` in `zone`, which is `now`. Changes nothing.
/// [`Error::Denied`] when the server does not take the key at all.
pub async fn may_update(
    server: &str,
    zone: &str,
    (name, record_type): (&str, RecordType),
    now: &Records,
    key: &Key,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<Privilege, Error> {
    let named = |error: String| Error::Ours(format!("{server}: {error}"));
    let (apex, fqdn_name) = (fqdn(zone).map_err(named)?, fqdn(name).map_err(named)?);
    let inside = match (now.values.first(), now.ttl_s) {
        (Some(value), Some(ttl_s)) => {
            Record::from_rdata(fqdn_name.clone(), ttl_s, rdata(record_type, value)?)
        }
        _ => remove(fqdn_name.clone(), wire(record_type)),
    };
    let beside = epoch::beside(&fqdn_name).map_err(named)?;
    let epoch = ask(server, &beside, Wire::TXT, source, deadline).await?.into_iter().next();
    let epoch = epoch.unwrap_or_else(|| remove(beside.clone(), Wire::TXT));
    let told = |code| {
        let key = key.name();
        format!("{server} answers {code} to an update of {name} and of the TXT record {beside} by key {key}")
    };
    let message = impossible(&apex, [inside, epoch]);
    match send(server, zone, message, key, source, deadline).await? {
        (ResponseCode::YXRRSet, _) => {}
        (code @ (ResponseCode::Refused | ResponseCode::NotAuth | ResponseCode::NotImp), _) => {
            return Ok(Privilege::Missing(told(code)));
        }
        (code, _) => return Err(Error::Failed(told(code))),
    }
    // What of it was tested first? Outside of every zone there is the root.
    let message = impossible(&apex, [remove(Name::root(), Wire::TXT)]);
    match send(server, zone, message, key, source, deadline).await? {
        (ResponseCode::YXRRSet, _) => Ok(Privilege::Unknown(format!(
            "{server} takes key {} and does not say beforehand whether it may change {name}",
            key.name()
        ))),
        _ => Ok(Privilege::Granted),
    }
}

/// An update with a prerequisite that no zone meets.
fn impossible(apex: &Name, updates: impl IntoIterator<Item = Record>) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_zone(Query::query(apex.clone(), Wire::SOA));
    let mut no_soa = Record::update0(apex.clone(), 0, Wire::SOA);
    no_soa.dns_class = DNSClass::NONE;
    message.add_pre_requisite(no_soa);
    for update in updates {
        message.add_update(update);
    }
    message
}
