//! `tcp.connect`.

use super::Env;
use crate::client::{Error, stream};
use standfast_core::check::Answer;
use standfast_core::time::Span;
use tokio::time::Instant;

/// Holds if a connection opens.
pub(super) async fn connect(address: &str, env: &Env, deadline: Instant) -> Result<Answer, Error> {
    let began = Instant::now();
    stream::tcp(address, env.source, deadline).await?;
    Ok(Answer::Holds(format!("{address} connects in {}", Span(began.elapsed()))))
}
