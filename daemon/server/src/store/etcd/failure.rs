//! What an error of etcd means for the one question that matters: did it happen?

use std::error::Error as _;

use etcd_client::Error;
use tonic::{Code, Status};

use crate::store::{LeaseId, StoreError, limits};

/// Why a call at one endpoint failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// etcd has spoken: asking another member would not help.
    Final(StoreError),
    /// Certainly not applied; another member may do better.
    NotSent(String),
    /// Sent, and then nothing: it may have been applied.
    Unclear(String),
}

impl Failure {
    pub(super) fn of(endpoint: &str, error: Error) -> Self {
        match error {
            Error::GRpcStatus(status) => Self::of_status(endpoint, &status),
            Error::TransportError(error) if never_connected(&error) => {
                Self::NotSent(format!("{endpoint}: {}", chain(&error)))
            }
            Error::LeaseKeepAliveError(_) => Self::Final(StoreError::LeaseExpired(LeaseId(0))),
            Error::InvalidArgs(_) | Error::InvalidUri(_) => Self::Final(settings(endpoint, &error)),
            other => Self::Unclear(format!("{endpoint}: {other}")),
        }
    }

    /// An error in the settings of an endpoint.
    pub(super) fn settings(endpoint: &str, error: &Error) -> StoreError {
        settings(endpoint, error)
    }

    /// What a caller is told.
    pub(super) fn into_error(self, endpoint: &str) -> StoreError {
        let at = endpoint.to_owned();
        match self {
            Self::Final(error) => error,
            Self::NotSent(why) => StoreError::Unavailable { at, why },
            Self::Unclear(why) => StoreError::Ambiguous { at, why },
        }
    }

    pub(super) fn into_text(self) -> String {
        match self {
            Self::Final(error) => error.to_string(),
            Self::NotSent(why) | Self::Unclear(why) => why,
        }
    }

    fn of_status(endpoint: &str, status: &Status) -> Self {
        let says = |text| status.message().contains(text);
        let (at, why) = (endpoint.to_owned(), status.message().to_owned());

        if says("no leader") || says("too many requests") {
            // Refused at the door.
            return Self::NotSent(format!("{at}: {why}"));
        }
        if status.source().is_some_and(never_connected) {
            let reason = status.source().map_or(why, chain);
            return Self::NotSent(format!("{at}: {reason}"));
        }
        if says("required revision has been compacted") {
            return Self::Final(StoreError::Compacted { at: 0 });
        }
        if says("lease not found") {
            return Self::Final(StoreError::LeaseExpired(LeaseId(0)));
        }
        if says("database space exceeded") {
            let why = format!(
                "{why}; compact its history and defragment every member (etcdctl compact REVISION, etcdctl \
                 defrag), or raise --quota-backend-bytes; then clear the alarm: etcdctl alarm disarm"
            );
            return Self::Final(StoreError::NoSpace { at, why });
        }
        if says("request is too large") || says("too many operations") {
            return Self::Final(too_large("bytes or operations of a request"));
        }
        if status.code() == Code::OutOfRange && says("message length too large") {
            return Self::Final(StoreError::TooLarge {
                what: "bytes of a reply".into(),
                size: limits::MAX_REPLY_BYTES + 1,
                limit: limits::MAX_REPLY_BYTES,
            });
        }
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => {
                let why = format!("{why}; check the certificate, the user and its role");
                Self::Final(StoreError::Denied { at, why })
            }
            Code::DataLoss => Self::Final(StoreError::Corrupt { at, why }),
            Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => {
                Self::Final(StoreError::Invalid(format!("{at}: {why}")))
            }
            _ => Self::Unclear(format!("{at}: {why}")),
        }
    }
}

fn too_large(what: &str) -> StoreError {
    StoreError::TooLarge {
        what: what.into(),
        size: limits::MAX_REQUEST_BYTES + 1,
        limit: limits::MAX_REQUEST_BYTES,
    }
}

fn settings(endpoint: &str, error: &Error) -> StoreError {
    StoreError::Invalid(format!("the etcd endpoint {endpoint:?}: {error}"))
}

/// Whether the connection itself failed, so that no request can have gone out.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(link) = error {
        if link.is::<tonic::ConnectError>() {
            return true;
        }
        error = link.source();
    }
    false
}

/// An error with everything below it, in one line, each thing said once.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(link) = below {
        let said = link.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        below = link.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: Code, message: &str) -> Failure {
        Failure::of("http://e", Error::GRpcStatus(Status::new(code, message)))
    }

    /// What etcd says when a proposal may already be on its way must never be called "not
    /// sent", and what it says at the door never "unclear".
    #[test]
    fn only_what_was_refused_at_the_door_is_sent_again() {
        for message in ["etcdserver: no leader", "etcdserver: too many requests"] {
            let failure = of(Code::Unavailable, message);
            assert!(matches!(failure, Failure::NotSent(_)), "{failure:?}");
        }
        let unclear = [
            (Code::Unavailable, "etcdserver: request timed out"),
            (Code::Unavailable, "etcdserver: request timed out, possibly due to previous leader failure"),
            (Code::Unavailable, "etcdserver: leader changed"),
            (Code::Unavailable, "etcdserver: server stopped"),
            (Code::Unavailable, "transport is closing"),
            (Code::Cancelled, "operation was canceled"),
            (Code::DeadlineExceeded, "context deadline exceeded"),
            (Code::Internal, "h2 protocol error: error reading a body from connection"),
            (Code::Unknown, "something new"),
        ];
        for (code, message) in unclear {
            let failure = of(code, message);
            assert!(matches!(failure, Failure::Unclear(_)), "{failure:?}");
            assert!(failure.into_error("http://e").is_ambiguous());
        }
    }

    #[test]
    fn what_etcd_refuses_is_told_apart() {
        let kind = |code, message| match of(code, message) {
            Failure::Final(error) => error,
            other => panic!("{message}: {other:?}"),
        };
        let denied = kind(Code::PermissionDenied, "etcdserver: permission denied");
        assert!(matches!(denied, StoreError::Denied { .. }), "{denied:?}");
        let full = kind(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");
        assert!(matches!(full, StoreError::NoSpace { .. }), "{full:?}");
        let damaged = kind(Code::DataLoss, "etcdserver: corrupt cluster");
        assert!(matches!(damaged, StoreError::Corrupt { .. }), "{damaged:?}");
        let large = kind(Code::InvalidArgument, "etcdserver: request is too large");
        assert!(matches!(large, StoreError::TooLarge { .. }), "{large:?}");
        let past = kind(Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted");
        assert!(matches!(past, StoreError::Compacted { .. }), "{past:?}");
        let future = kind(Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision");
        assert!(matches!(future, StoreError::Invalid(_)), "{future:?}");
        let lease = kind(Code::NotFound, "etcdserver: requested lease not found");
        assert!(matches!(lease, StoreError::LeaseExpired(_)), "{lease:?}");
    }
}
