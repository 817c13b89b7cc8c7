//! HAProxy's runtime API: one line sent, the answer read to its end.
//!
//! It has a place for an epoch, a variable of the process, and no way to compare it as it changes
//! something: who writes has to look before. A balancer that starts anew has forgotten the variable, as
//! it has what was set beside it.

use super::{Error, answered, clip, stream};
use std::net::IpAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

/// More than the state of the largest backend; what is longer is not HAProxy.
const LONGEST_BYTES: u64 = 4 * 1024 * 1024;

/// `srv_admin_state`: taken out by force, as opposed to by its configuration or a health check.
const FORCED_MAINT: u32 = 0x01;
const FORCED_DRAIN: u32 = 0x08;

/// One server of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// HAProxy's bits for why it is out of rotation; 0 if nobody took it out.
    pub admin: u32,
    /// The weight set last, 0 to 256.
    pub weight: u32,
}

impl Server {
    /// Someone took it out of rotation through this socket.
    pub fn out_by_force(&self) -> bool {
        self.admin & (FORCED_MAINT | FORCED_DRAIN) != 0
    }
}

/// The servers of `backend`.
pub async fn servers(
    socket: &str,
    backend: &str,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<Vec<Server>, Error> {
    let answer = command(socket, &format!("show servers state {backend}"), source, deadline).await?;
    let mut lines = answer.lines();
    if lines.next().map(str::trim) != Some("1") {
        return Err(refusal(socket, &format!("backend {backend}"), &answer));
    }
    lines
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            server(line).ok_or_else(|| Error::Failed(format!("{socket}: strange state: {}", clip(line))))
        })
        .collect()
}

/// Columns: be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight ...
fn server(line: &str) -> Option<Server> {
    let columns: Vec<_> = line.split_ascii_whitespace().collect();
    Some(Server {
        name: (*columns.get(3)?).to_owned(),
        admin: columns.get(6)?.parse().ok()?,
        weight: columns.get(7)?.parse().ok()?,
    })
}

/// Sends changes, several in one line; HAProxy answers a change that it made with nothing.
pub async fn change(
    socket: &str,
    changes: &[String],
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<(), Error> {
    let answer = command(socket, &changes.join("; "), source, deadline).await?;
    if answer.trim().is_empty() { Ok(()) } else { Err(refusal(socket, &changes.join("; "), &answer)) }
}

/// The epoch of who changed `backend` last; none if nobody left one since the balancer was started, or
/// if it is too old to keep one.
pub async fn held(
    socket: &str,
    backend: &str,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<Option<u64>, Error> {
    let answer = command(socket, &format!("get var {}", variable(backend)), source, deadline).await?;
    let value = answer.split_once("value=<").and_then(|(_, rest)| rest.split_once('>'));
    Ok(value.and_then(|(value, _)| value.parse().ok()))
}

/// Keeps the epoch, where the balancer is able to.
pub async fn keep(
    socket: &str,
    backend: &str,
    epoch: u64,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<(), Error> {
    let line = format!("experimental-mode on; set var {} int({epoch})", variable(backend));
    command(socket, &line, source, deadline).await.map(drop)
}

/// Names of variables have fewer characters than those of backends.
fn variable(backend: &str) -> String {
    let plain = backend.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("proc.standfast.{}", plain.collect::<String>())
}

/// The level of what is asked through this socket: `user`, `operator` or `admin`, which alone may
/// change weights and states.
pub async fn level(socket: &str, source: Option<IpAddr>, deadline: Instant) -> Result<String, Error> {
    let answer = command(socket, "show cli level", source, deadline).await?;
    match answer.trim() {
        level @ ("user" | "operator" | "admin") => Ok(level.to_owned()),
        _ => Err(Error::Failed(format!("{socket}: strange level: {}", clip(&answer)))),
    }
}

fn refusal(socket: &str, asked: &str, answer: &str) -> Error {
    let hint = if answer.contains("Permission denied") { " (the socket needs `level admin`)" } else { "" };
    Error::Denied(format!("{socket} refuses {asked}: {}{hint}", clip(answer)))
}

async fn command(
    socket: &str,
    line: &str,
    source: Option<IpAddr>,
    deadline: Instant,
) -> Result<String, Error> {
    let mut stream: Box<dyn stream::Stream> = match socket.split_once("://") {
        Some(("tcp", address)) => Box::new(stream::tcp(address, source, deadline).await?),
        Some(("unix", path)) => Box::new(stream::unix(path, deadline).await?),
        _ => {
            return Err(Error::Ours(format!(
                "`{socket}` is no balancer: write tcp://host:port or unix:///path"
            )));
        }
    };
    answered(socket, deadline, async {
        let exchanged: std::io::Result<_> = async {
            stream.write_all(format!("{line}\n").as_bytes()).await?;
            let mut answer = String::new();
            stream.take(LONGEST_BYTES).read_to_string(&mut answer).await?;
            Ok(answer)
        }
        .await;
        exchanged.map_err(|error| Error::NoAnswer(format!("{socket}: {error}")))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_state_is_read() {
        let line = "3 web 1 web-a 127.77.1.5 2 8 50 1 12 6 3 4 6 0 0 0 - 8080 - 0 0 - - 0";
        let read = server(line).unwrap();
        assert_eq!(read, Server { name: "web-a".into(), admin: 8, weight: 50 });
        assert!(read.out_by_force());
        assert_eq!(server("3 web 1"), None);
    }

    #[tokio::test]
    async fn a_socket_of_another_kind_is_named() {
        let soon = Instant::now() + std::time::Duration::from_secs(1);
        let error = servers("http://10.0.0.1:80", "web", None, soon).await.unwrap_err();
        assert!(matches!(&error, Error::Ours(text) if text.contains("http://10.0.0.1:80")), "{error:?}");
    }
}
