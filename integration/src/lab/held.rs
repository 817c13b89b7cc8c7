//! A way to a target on which the first effect is held up: its sender has sent it, the target has not
//! heard of it, and what comes after it passes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::parts::{Error, Result};

/// More than any request or answer here.
const MAX_BYTES: usize = 16 * 1024;

/// What goes this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// HTTP/1.1: a POST is an effect.
    Http,
    /// DNS over TCP: an update that brings an epoch is one; to look, one is sent that brings none.
    Dns,
}

impl Speech {
    /// Whether a request is there as a whole, and is an effect.
    fn is_effect(self, bytes: &[u8]) -> Option<bool> {
        const UPDATE: u8 = 5;
        const EPOCH: &[u8] = b"epoch=";
        match self {
            Speech::Http => {
                let whole = bytes.windows(4).any(|end| end == b"\r\n\r\n");
                whole.then(|| bytes.starts_with(b"POST "))
            }
            Speech::Dns => {
                let length = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
                let whole = length > 2 && bytes.len() >= 2 + length;
                let brings = || bytes.windows(EPOCH.len()).any(|text| text == EPOCH);
                whole.then(|| bytes[4] >> 3 & 0xF == UPDATE && brings())
            }
        }
    }

    /// What the target says to it: the status of HTTP, the code of DNS.
    fn code(self, answer: &[u8]) -> Option<u16> {
        match self {
            Speech::Http => std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok(),
            Speech::Dns => answer.get(5).map(|flags| u16::from(flags & 0xF)),
        }
    }
}

/// Such a way. Dropping it ends it and whatever is on it.
#[derive(Debug)]
pub struct Held {
    /// Where it begins.
    pub address: SocketAddr,
    stage: watch::Sender<Stage>,
    work: JoinHandle<()>,
}

/// How far the first effect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Awaited,
    Waits,
    Goes,
    Answered(u16),
}

impl Held {
    /// Opens it; it leads to `target` as soon as that is known.
    pub async fn open(
        address: SocketAddr,
        target: Arc<OnceLock<SocketAddr>>,
        speech: Speech,
    ) -> Result<Held> {
        let listening = TcpListener::bind(address).await;
        let listener = listening.map_err(Error::io(format!("listening on {address}")))?;
        let stage = watch::Sender::new(Stage::Awaited);
        let told = stage.clone();
        let work = tokio::spawn(async move {
            let first = Arc::new(AtomicBool::new(true));
            let mut visits = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let Some(target) = target.get().copied() else { continue };
                let way = Way { target, speech, first: Arc::clone(&first), stage: told.clone() };
                visits.spawn(async move {
                    // How a visit ends is the concern of those who talk.
                    let _ = way.pass(stream).await;
                });
                while visits.try_join_next().is_some() {}
            }
        });
        Ok(Held { address, stage, work })
    }

    /// Waits until the first effect is on its way.
    pub async fn until_sent(&self, within: Duration) -> Result<()> {
        self.reaches(Stage::Waits, within).await.map(drop)
    }

    /// Lets it go on; answers with what the target says to it: the status of HTTP, the code of DNS.
    pub async fn let_go(&self, within: Duration) -> Result<u16> {
        self.stage.send_replace(Stage::Goes);
        match self.reaches(Stage::Answered(0), within).await? {
            Stage::Answered(code) => Ok(code),
            other => Err(Error::answer("way", format!("{other:?}"))),
        }
    }

    async fn reaches(&self, wanted: Stage, within: Duration) -> Result<Stage> {
        let mut stage = self.stage.subscribe();
        let reached = tokio::time::timeout(within, stage.wait_for(|stage| *stage >= wanted)).await;
        match reached {
            Ok(Ok(stage)) => Ok(*stage),
            _ => {
                let last = *self.stage.borrow();
                Err(Error::answer("way", format!("{wanted:?} was not reached within {within:?}: {last:?}")))
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.work.abort();
    }
}

struct Way {
    target: SocketAddr,
    speech: Speech,
    first: Arc<AtomicBool>,
    stage: watch::Sender<Stage>,
}

impl Way {
    async fn pass(self, mut stream: TcpStream) -> std::io::Result<()> {
        let (mut request, mut effect) = (Vec::new(), None);
        while effect.is_none() && request.len() < MAX_BYTES {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
            effect = self.speech.is_effect(&request);
        }
        let holds = effect == Some(true) && self.first.swap(false, Ordering::SeqCst);
        if holds {
            self.stage.send_replace(Stage::Waits);
            // The sender of this is in the visit itself, so it does not end.
            let _ = self.stage.subscribe().wait_for(|stage| *stage >= Stage::Goes).await;
        }
        let mut target = TcpStream::connect(self.target).await?;
        target.write_all(&request).await?;
        if holds {
            let mut answer = Vec::new();
            let code = loop {
                if target.read_buf(&mut answer).await? == 0 {
                    return Ok(());
                }
                if let Some(code) = self.speech.code(&answer) {
                    break code;
                }
            };
            self.stage.send_replace(Stage::Answered(code));
            // Whoever sent it may be gone.
            stream.write_all(&answer).await?;
        }
        copy_bidirectional(&mut stream, &mut target).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_is_known_when_it_is_whole() {
        assert_eq!(Speech::Http.is_effect(b"POST /act HTTP/1.1\r\nhost: b\r\n"), None);
        assert_eq!(Speech::Http.is_effect(b"POST /act HTTP/1.1\r\nhost: b\r\n\r\n"), Some(true));
        assert_eq!(Speech::Http.is_effect(b"GET / HTTP/1.1\r\n\r\n"), Some(false));
        assert_eq!(Speech::Http.code(b"HTTP/1.1 412 Precondition Failed\r\n"), Some(412));
        let message = |opcode: u8, text: &[u8; 9]| [&[0, 12, 7, 7, opcode << 3][..], text].concat();
        assert_eq!(Speech::Dns.is_effect(&message(5, b"..epoch=7")), Some(true));
        assert_eq!(Speech::Dns.is_effect(&message(5, b"........7")), Some(false));
        assert_eq!(Speech::Dns.is_effect(&message(0, b"..epoch=7")), Some(false));
        assert_eq!(Speech::Dns.is_effect(&message(5, b"..epoch=7")[..13]), None);
        assert_eq!(Speech::Dns.code(&[0, 12, 7, 7, 0xA8, 8]), Some(8));
    }
}
