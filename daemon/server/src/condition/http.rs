//! `http.get`.

use super::{Env, judged};
use crate::client::http::{classify, shown};
use crate::client::{Error, answered, clip};
use standfast_core::check::Answer;
use standfast_core::time::Span;
use tokio::time::Instant;

/// As far as a body is searched.
const LONGEST_BYTES: usize = 1024 * 1024;

/// Holds if `url` answers with `status`, with `body` somewhere in it, completely `below` that.
pub(super) async fn get(
    url: &str,
    status: u16,
    body: Option<&str>,
    below: Option<Span>,
    env: &Env,
    deadline: Instant,
) -> Result<Answer, Error> {
    let began = Instant::now();
    let target = shown(url);
    let asking = async {
        let mut response = env.http.get(url).send().await.map_err(|error| classify(url, error))?;
        let got = response.status().as_u16();
        let mut page = Vec::new();
        // Without a question about it, an answer that never ends is still an answer.
        while (body.is_some() || below.is_some()) && page.len() < LONGEST_BYTES {
            match response.chunk().await.map_err(|error| classify(url, error))? {
                Some(chunk) => page.extend_from_slice(&chunk),
                None => break,
            }
        }
        Ok((got, page))
    };
    let (got, page) = answered(&target, deadline, asking).await?;
    let took = Span(began.elapsed());
    if got != status {
        return Ok(Answer::Fails(format!("{target} answers {got}, not {status}, in {took}")));
    }
    let seen = format!("{target} answers {got} in {took}");
    if let Some(body) = body.filter(|body| !contains(&page, body.as_bytes())) {
        return Ok(Answer::Fails(format!("{seen}, without `{}`", clip(body))));
    }
    Ok(match below {
        Some(below) if took >= below => Answer::Fails(format!("{seen}, not below {below}")),
        _ => judged(true, seen),
    })
}

fn contains(page: &[u8], text: &[u8]) -> bool {
    text.is_empty() || page.windows(text.len()).any(|window| window == text)
}
