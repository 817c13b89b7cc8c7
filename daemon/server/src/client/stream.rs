//! A connection to an address, from the source address that the settings ask for.

use super::{Error, connected};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};
use tokio::time::Instant;

/// For a connection to be made, however long the whole may take: a first packet that was lost is sent
/// again after one second. A site that is cut off swallows packets, and must not cost a run the time of
/// its steps.
const CONNECT: Duration = Duration::from_secs(2);

/// What a client reads and writes, whatever it is made of.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens a TCP connection to `address` (`host:port`), from `source` if it is of the same family.
pub async fn tcp(address: &str, source: Option<IpAddr>, deadline: Instant) -> Result<TcpStream, Error> {
    connected(address, deadline.min(Instant::now() + CONNECT), async {
        let targets = lookup_host(address)
            .await
            .map_err(|error| Error::Ours(format!("{address} does not resolve: {error}")))?;
        let mut last = Error::Ours(format!("{address} resolves to no address"));
        for target in targets {
            match open(target, source).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = classify(address, &error),
            }
        }
        Err(last)
    })
    .await
}

async fn open(target: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source.filter(|source| source.is_ipv4() == target.is_ipv4()) {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Opens a Unix socket.
pub async fn unix(path: &str, deadline: Instant) -> Result<UnixStream, Error> {
    let connecting = async { UnixStream::connect(path).await.map_err(|error| classify(path, &error)) };
    connected(path, deadline, connecting).await
}

/// What this machine lacks is not evidence against the target.
fn classify(target: &str, error: &io::Error) -> Error {
    use rustix::io::Errno;
    const OURS: [Errno; 5] = [Errno::ADDRNOTAVAIL, Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    let text = format!("{target}: {error}");
    let ours = error.kind() == ErrorKind::PermissionDenied
        || Errno::from_io_error(error).is_some_and(|errno| OURS.contains(&errno));
    if ours { Error::Ours(text) } else { Error::Unreachable(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(2)
    }

    #[tokio::test]
    async fn a_closed_port_is_the_targets_fault_and_a_strange_source_is_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // TEST-NET-1: no interface has it.
        let foreign = Some("192.0.2.1".parse().unwrap());
        assert!(matches!(tcp(&address, foreign, soon()).await, Err(Error::Ours(_))));
        let six = Some("::1".parse().unwrap());
        assert!(tcp(&address, six, soon()).await.is_ok(), "a source of the other family is left out");
        drop(listener);
        let error = tcp(&address, None, soon()).await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable(text) if text.contains(&address)), "{error:?}");
    }

    /// A listener whose queue is full swallows packets, as a cut does.
    #[tokio::test]
    async fn who_swallows_packets_does_not_take_all_the_time_there_is() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let hour = Instant::now() + Duration::from_secs(3_600);
        let mut held = Vec::new();
        let error = loop {
            match tcp(&address, None, hour).await {
                Ok(stream) => held.push(stream),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(&error, Error::Unreachable(text) if text.contains("no connection within 2")),
            "{error:?}"
        );
        assert!(held.len() < 10, "{}", held.len());
    }

    #[tokio::test]
    async fn the_source_address_is_used() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let source: IpAddr = "127.0.0.9".parse().unwrap();
        let _stream = tcp(&address, Some(source), soon()).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1.ip(), source);
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_says_nothing_about_the_target() {
        let error = tcp("nowhere.invalid:1", None, soon()).await.unwrap_err();
        assert!(matches!(&error, Error::Ours(text) if text.contains("nowhere.invalid")), "{error:?}");
    }
}
