//! Small clients for the systems that are asked and changed: one connection a question, a
//! deadline on everything, and errors that say how far it came.
//!
//! Conditions and actions decide what an answer means; here it is only fetched. How far a
//! request came is what matters when a site is dying: "nobody answered" is evidence about the
//! target, "our secret is missing" is not, and "sent, and then silence" may have been done.

pub mod dns;
pub mod haproxy;
pub mod http;
pub mod postgres;
pub mod ssh;
pub mod stream;
pub mod tls;

use standfast_core::time::Span;
use std::fmt::Display;
use tokio::time::Instant;

/// How a request ended that brought no answer. Every text names the target and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It could not be tried from here: a secret, a name that does not resolve, our own
    /// source address. Says nothing about the target.
    #[error("{0}")]
    Ours(String),
    /// No connection: nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The target answered that we may not: nothing was done.
    #[error("{0}")]
    Denied(String),
    /// The target answered with an error of its own.
    #[error("{0}")]
    Failed(String),
    /// The request was sent, and no answer came.
    #[error("{0}")]
    NoAnswer(String),
}

/// Awaits `connecting` until `deadline`; later than that, the target is unreachable.
pub(crate) async fn connected<T>(
    target: impl Display,
    deadline: Instant,
    connecting: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let began = Instant::now();
    match tokio::time::timeout_at(deadline, connecting).await {
        Ok(done) => done,
        Err(_) => {
            Err(Error::Unreachable(format!("{target}: no connection within {}", elapsed(began, deadline))))
        }
    }
}

/// Awaits `answering` until `deadline`; later than that, there was no answer.
pub(crate) async fn answered<T>(
    target: impl Display,
    deadline: Instant,
    answering: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let began = Instant::now();
    match tokio::time::timeout_at(deadline, answering).await {
        Ok(done) => done,
        Err(_) => {
            Err(Error::NoAnswer(format!("{target} did not answer within {}", elapsed(began, deadline))))
        }
    }
}

fn elapsed(began: Instant, deadline: Instant) -> Span {
    let passed = deadline.saturating_duration_since(began);
    // Of 300 ms, some microseconds pass before they begin to be counted.
    Span::ms(u64::try_from(passed.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX))
}

/// Why a target refuses a leader: a later one was there.
pub(crate) fn fenced(held: u64, own: u64) -> String {
    format!(
        "fenced by epoch {held}: a later leader than this one of epoch {own} was here (if the store was made \
         anew or restored, raise its epoch above {held})"
    )
}

/// One short line of what a target said: people read it, and it is journaled.
pub(crate) fn clip(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let Some((cut, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(cut);
        line.push_str("...");
    }
    line
}

/// The innermost cause of an error: "connection refused" rather than "error sending request".
pub(crate) fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    clip(&cause.to_string())
}
