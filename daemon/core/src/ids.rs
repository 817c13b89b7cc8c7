//! Names and numbers that must not be mixed up.
//!
//! A name is shared, not copied: every entry of a journal carries several, and a run makes many
//! of them from one plan.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $id:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id(Arc<str>);

        impl $id {
            /// Takes the name as it is; the parser has checked its form.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into().into())
            }

            /// The name as written in the fleet or the playbook.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $id {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl From<String> for $id {
            fn from(name: String) -> Self {
                Self(name.into())
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self(String::deserialize(deserializer)?.into()))
            }
        }

        impl std::borrow::Borrow<str> for $id {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A failure domain: one building, one power feed, one fire compartment.
    SiteId
);
name!(
    /// A business or tooling service of the fleet.
    ServiceId
);
name!(
    /// What playbooks name: a database cluster, a route, a DNS record, an endpoint.
    ResourceId
);
name!(
    /// A playbook of the bundle.
    PlaybookId
);
name!(
    /// A step of a playbook.
    StepId
);
name!(
    /// A running daemon.
    MemberId
);
name!(
    /// A process on a data host that stops it when its site is cut off.
    SentryId
);
name!(
    /// One execution of a plan.
    RunId
);
name!(
    /// A secret by name; its value never enters the core.
    SecretName
);
name!(
    /// The identity of a person or a program: the name in its certificate.
    Identity
);
name!(
    /// Lower-case SHA-256 in hex of an immutable thing: a bundle, a plan, an entry of the audit.
    Digest
);

/// The fencing token: grows with every new leader, never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Digest {
    /// The SHA-256 of `parts`, each preceded by its length so that no two lists collide.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self::hex(&hash.finalize())
    }

    /// The SHA-256 of `bytes` as they are: what `sha256sum` prints.
    pub fn plain(bytes: &[u8]) -> Self {
        use sha2::{Digest as _, Sha256};
        Self::hex(&Sha256::digest(bytes))
    }

    fn hex(bytes: &[u8]) -> Self {
        Self::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}
