//! A wire to a store that can lose an answer: the request arrives and is carried out, and whoever sent
//! it is not told.
//!
//! It passes on what goes through it, of connections in the clear. Asked to, it waits for a request with
//! certain words in it, passes that on as well, and from then on lets nothing back through that
//! connection. Whoever plays the scenario looks for the effect at the target itself, and then cuts the
//! connection, or all of them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::parts::{Error, Result, ports};

/// What goes through next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// Everything, both ways.
    Open,
    /// Everything, until a request with these words has passed.
    Until(Vec<u8>),
    /// It has passed: its connection is silent. Others are as ever.
    Passed,
    /// Nothing, and nobody is let in.
    Cut,
}

/// A running relay. Dropping it ends it and every connection through it.
#[derive(Debug)]
pub struct Relay {
    /// Where it stands.
    pub address: SocketAddr,
    way: watch::Sender<Way>,
    work: JoinHandle<()>,
}

impl Relay {
    /// Puts an open one before a target, at a free port of the target's address.
    pub async fn before(target: SocketAddr) -> Result<Relay> {
        let address = ports::free(target.ip())?;
        let listening = TcpListener::bind(address).await;
        let listener = listening.map_err(Error::io(format!("listening on {address}")))?;
        let way = watch::Sender::new(Way::Open);
        let ways = way.clone();
        let work = tokio::spawn(async move {
            let mut visits = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                if *ways.borrow() != Way::Cut {
                    visits.spawn(pass(stream, target, ways.clone()));
                }
                while visits.try_join_next().is_some() {}
            }
        });
        Ok(Relay { address, way, work })
    }

    /// From now on it waits for a request with these words, whose answer it loses.
    pub fn lose_answer_to(&self, words: &str) {
        self.way.send_replace(Way::Until(words.as_bytes().to_vec()));
    }

    /// Waits until that request has passed.
    pub async fn passed(&self) {
        let mut way = self.way.subscribe();
        // The sender is here.
        let _ = way.wait_for(|way| *way == Way::Passed).await;
    }

    /// Ends the connection that is silent; new ones are as ever.
    pub fn mend(&self) {
        self.way.send_replace(Way::Open);
    }

    /// Ends all connections, and lets nobody in until it is mended.
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn pass(stream: TcpStream, target: SocketAddr, way: watch::Sender<Way>) {
    let Ok(inside) = TcpStream::connect(target).await else { return };
    let ((from, back), (answers, to)) = (stream.into_split(), inside.into_split());
    let silent = watch::Sender::new(false);
    let (mut cut, mut mended) = (way.subscribe(), way.subscribe());
    let mut quiet = silent.subscribe();
    // How a visit ends is no concern of the relay.
    tokio::select! {
        _ = there(from, to, &way, &silent) => {}
        _ = back_again(answers, back, &silent) => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
        () = async {
            let _ = quiet.wait_for(|silent| *silent).await;
            let _ = mended.wait_for(|way| *way != Way::Passed).await;
        } => {}
    }
}

/// Requests: all of them pass. One that is waited for makes the connection silent first.
async fn there(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: &watch::Sender<Way>,
    silent: &watch::Sender<bool>,
) -> std::io::Result<()> {
    let (mut buffer, mut seen) = (vec![0; 64 * 1024], Vec::new());
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        seen.extend_from_slice(&buffer[..read]);
        way.send_if_modified(|way| {
            let Way::Until(words) = way else { return false };
            let found = seen.windows(words.len()).any(|part| part == words);
            if found {
                silent.send_replace(true);
                *way = Way::Passed;
            }
            found
        });
        // Words may come in two pieces.
        seen.drain(..seen.len().saturating_sub(256));
        to.write_all(&buffer[..read]).await?;
    }
}

/// Answers, as long as the connection is not silent.
async fn back_again(
    mut answers: OwnedReadHalf,
    mut back: OwnedWriteHalf,
    silent: &watch::Sender<bool>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = answers.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if !*silent.borrow() {
            back.write_all(&buffer[..read]).await?;
        }
    }
}
