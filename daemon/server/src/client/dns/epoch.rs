//! The epoch beside a name: a TXT record that tells who wrote last, and lets the server itself
//! refuse whoever is late.
//!
//! Beside `www.example.net` stands `_standfast.www.example.net TXT "epoch=7"`. Every update of the
//! name replaces both in one message, on condition that the TXT record is still the one that was
//! read. The server decides that in one step: an update that was held up while a later leader wrote
//! fails, however long after. The value of the name itself could not serve as the condition: moved
//! there and back it looks as if nobody had been there.

use super::super::fenced;
use super::{Error, Message, Name, RData, Record, Wire, ask, fqdn, remove};
use hickory_proto::op::update_message::UpdateMessage as _;
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::rdata::TXT;
use std::net::IpAddr;
use tokio::time::Instant;

const LABEL: &str = "_standfast";
const PREFIX: &str = "epoch=";

/// The name of the record beside `name`, for people.
pub fn companion(name: &str) -> String {
    format!("{LABEL}.{name}")
}

pub(super) fn beside(name: &Name) -> Result<Name, String> {
    name.prepend_label(LABEL).map_err(|error| format!("`{LABEL}.{name}` is no DNS name: {error}"))
}

/// The epoch of who wrote `name` last; none if nobody did.
pub async fn held(
    server: &str,
    name: &str,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<Option<u64>, Error> {
    let named = |error: String| Error::Ours(format!("{server}: {error}"));
    let beside = beside(&fqdn(name).map_err(named)?).map_err(named)?;
    let records = ask(server, &beside, Wire::TXT, source, deadline).await?;
    let [record] = records.as_slice() else {
        return match records.as_slice() {
            [] => Ok(None),
            _ => Err(strange(server, &beside)),
        };
    };
    read(&record.data).map(Some).ok_or_else(|| strange(server, &beside))
}

fn strange(server: &str, beside: &Name) -> Error {
    Error::Denied(format!(
        "{server} holds at {beside} a TXT record that is no epoch (\"{PREFIX}7\"): if nobody else needs \
         it, remove it"
    ))
}

fn read(data: &RData) -> Option<u64> {
    let RData::TXT(txt) = data else { return None };
    let [text] = &*txt.txt_data else { return None };
    let digits = std::str::from_utf8(text).ok()?.strip_prefix(PREFIX)?;
    let epoch = digits.parse().ok()?;
    // The prerequisite compares bytes: only what we would write ourselves can be named in it.
    (written(epoch) == *data).then_some(epoch)
}

fn written(epoch: u64) -> RData {
    RData::TXT(TXT::new(vec![format!("{PREFIX}{epoch}")]))
}

/// Whether a leader of `epoch` may still write; the look before the server's own.
pub(super) fn may_follow(before: Option<u64>, epoch: u64, server: &str, name: &str) -> Result<(), Error> {
    match before {
        Some(held) if held > epoch => {
            Err(Error::Denied(format!("{name} at {server} is {}", fenced(held, epoch))))
        }
        _ => Ok(()),
    }
}

/// Puts into an update of `name` that it holds only while the epoch is `before`, and that it is
/// `epoch` from then on.
pub(super) fn claim(
    message: &mut Message,
    name: &Name,
    ttl_s: u32,
    before: Option<u64>,
    epoch: u64,
) -> Result<(), String> {
    let beside = beside(name)?;
    message.add_pre_requisite(match before {
        // Of a set that must be there the TTL is zero, else it is a malformed message.
        Some(held) => Record::from_rdata(beside.clone(), 0, written(held)),
        None => {
            let mut absent = Record::update0(beside.clone(), 0, Wire::TXT);
            absent.dns_class = DNSClass::NONE;
            absent
        }
    });
    message.add_update(remove(beside.clone(), Wire::TXT));
    message.add_update(Record::from_rdata(beside, ttl_s, written(epoch)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_here_is_an_epoch() {
        assert_eq!(read(&written(7)), Some(7));
        assert_eq!(read(&written(u64::MAX)), Some(u64::MAX));
        for text in ["", "7", "epoch=", "epoch=07", "epoch=-1", "epoch=7 ", "EPOCH=7"] {
            assert_eq!(read(&RData::TXT(TXT::new(vec![text.into()]))), None, "{text:?}");
        }
        assert_eq!(read(&RData::TXT(TXT::new(vec!["epoch=".into(), "7".into()]))), None);
    }
}
