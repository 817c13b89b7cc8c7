//! Addresses in settings, refused with an example of what they have to be.

use std::net::{IpAddr, SocketAddr};

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// An address with its port.
pub(super) fn with_port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong =
        |_| D::Error::custom(format!("must be ADDRESS:PORT, as in \"127.0.0.1:7766\", and is {text:?}"));
    text.parse().map_err(wrong)
}

/// An address without one, if there is any.
pub(super) fn alone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let wrong = |_| D::Error::custom(format!("must be an IP address, as in \"10.1.0.2\", and is {text:?}"));
    text.parse().map(Some).map_err(wrong)
}
