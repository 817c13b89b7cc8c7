//! `http.request`: one request to a tool or a service.
//!
//! What a request does cannot be seen beforehand, so it is never found Satisfied; the headers
//! let the target see that it was done before (`Idempotency-Key` is the same for every attempt
//! of a step of a run) and refuse what an older leader sent (`X-Standfast-Epoch`).

use super::values::Values;
use super::{Context, Driver, failure, refused};
use crate::client::http::{classify, shown};
use crate::client::{Error, stream};
use async_trait::async_trait;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use standfast_core::action::{Failure, FailureKind, Inspection, Value};
use standfast_core::time::Span;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// For a look whether anybody listens.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Request<'a> {
    pub(super) url: &'a str,
    pub(super) method: &'a str,
    pub(super) headers: &'a BTreeMap<String, Value>,
    pub(super) body: Option<&'a str>,
    pub(super) status: &'a [u16],
}

#[async_trait]
impl Driver for Request<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        let what = self.what();
        let Some(address) = Url::parse(self.url).ok().as_ref().and_then(address) else {
            return Inspection::Conflict(format!("{what}: this is no URL"));
        };
        if let Err(failure) = Values::resolve(self.headers, &cx.env.secrets) {
            return Inspection::Conflict(format!("{what}: {}", failure.message));
        }
        let soon = cx.deadline.min(Instant::now() + LOOK);
        match stream::tcp(&address, cx.env.source, soon).await {
            Ok(_) => Inspection::Unknown(format!("would send {what}; whether it is needed cannot be seen")),
            Err(error) => Inspection::Unknown(format!("would send {what}, now unreachable: {error}")),
        }
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        let what = self.what();
        let values = Values::resolve(self.headers, &cx.env.secrets)?;
        let request = self.build(&values, cx).map_err(|why| refused(format!("{what}: {why}")))?;
        // Whether nothing was sent cannot be told from a request that was late. So look first.
        let host = Url::parse(self.url).ok().as_ref().and_then(address);
        let host = host.ok_or_else(|| refused(format!("{what}: this is no URL")))?;
        let began = Instant::now();
        let soon = began + cx.deadline.saturating_duration_since(began) / 2;
        stream::tcp(&host, cx.env.source, soon).await.map_err(failure)?;
        let sending = async { request.send().await.map_err(|error| classify(self.url, error)) };
        let response = match tokio::time::timeout_at(cx.deadline, sending).await {
            Ok(response) => response.map_err(failure)?,
            Err(_) => {
                let text = format!("{what} was not answered within {}", Span(began.elapsed()));
                return Err(failure(Error::NoAnswer(text)));
            }
        };
        let status = response.status();
        let seen = format!("{what} answers {}", status.as_u16());
        if self.status.contains(&status.as_u16()) {
            return Ok(format!("{seen} in {}", Span(began.elapsed())));
        }
        Err(Failure { kind: kind(status), message: format!("{seen}{}", said(response, &values, cx).await) })
    }
}

impl Request<'_> {
    fn what(&self) -> String {
        format!("{} {}", self.method, shown(self.url))
    }

    fn build(&self, values: &Values, cx: &Context) -> Result<reqwest::RequestBuilder, String> {
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| "this is no method")?;
        let mut request = cx.env.http.request(method, self.url);
        // The text of these errors would hold the value, which may be a secret.
        for (name, value) in values.iter() {
            let header =
                HeaderName::try_from(name).map_err(|_| format!("`{name}` is no name of a header"))?;
            let mut value = HeaderValue::try_from(value).map_err(|_| {
                format!("the value of header `{name}` has characters that no header may have")
            })?;
            value.set_sensitive(true);
            request = request.header(header, value);
        }
        let attempt = &cx.attempt;
        let own = [
            ("x-standfast-run", attempt.run.to_string()),
            ("x-standfast-step", attempt.step.to_string()),
            ("x-standfast-attempt", attempt.attempt.to_string()),
            ("x-standfast-epoch", attempt.epoch.to_string()),
            ("idempotency-key", attempt.idempotency_key()),
        ];
        for (name, value) in own {
            request = request.header(name, value);
        }
        Ok(match self.body {
            Some(body) => request.body(body.to_owned()),
            None => request,
        })
    }
}

/// `host:port` of a URL.
fn address(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// A server error, and what asks to come again, may go better the next time; a no does not.
fn kind(status: StatusCode) -> FailureKind {
    let again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if status.is_server_error() || again.contains(&status) {
        FailureKind::Failed
    } else {
        FailureKind::Refused
    }
}

/// The beginning of the body, if it comes in time.
async fn said(mut response: reqwest::Response, values: &Values, cx: &Context) -> String {
    match tokio::time::timeout_at(cx.deadline, response.chunk()).await {
        Ok(Ok(Some(chunk))) => format!(": {}", values.clip(&String::from_utf8_lossy(&chunk))),
        _ => String::new(),
    }
}
