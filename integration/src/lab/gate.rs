//! A door in front of a part that can be shut to some visitors: what one observer cannot
//! reach, and another can.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::parts::{Error, Result};

/// A running gate. Dropping it ends it and every connection through it.
#[derive(Debug)]
pub struct Gate {
    /// Where it stands.
    pub address: SocketAddr,
    shut: watch::Sender<BTreeSet<IpAddr>>,
    work: JoinHandle<()>,
}

impl Gate {
    /// Puts a gate at an address, open to all.
    pub async fn before(target: SocketAddr, address: SocketAddr) -> Result<Gate> {
        let listening = TcpListener::bind(address).await;
        let listener = listening.map_err(Error::io(format!("listening on {address}")))?;
        let (shut, is_shut) = watch::channel(BTreeSet::new());
        let work = tokio::spawn(async move {
            let mut visits = tokio::task::JoinSet::new();
            while let Ok((stream, visitor)) = listener.accept().await {
                visits.spawn(pass(stream, visitor.ip(), target, is_shut.clone()));
                while visits.try_join_next().is_some() {}
            }
        });
        Ok(Gate { address, shut, work })
    }

    /// Shuts it to a visitor; who is inside is thrown out.
    pub fn shut_to(&self, visitor: IpAddr) {
        self.shut.send_modify(|shut| {
            shut.insert(visitor);
        });
    }

    /// Opens it to a visitor again.
    pub fn open_to(&self, visitor: IpAddr) {
        self.shut.send_modify(|shut| {
            shut.remove(&visitor);
        });
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn pass(
    mut stream: TcpStream,
    visitor: IpAddr,
    target: SocketAddr,
    mut is_shut: watch::Receiver<BTreeSet<IpAddr>>,
) {
    let visit = async {
        let Ok(mut inside) = TcpStream::connect(target).await else { return };
        // How a visit ends is no concern of the gate.
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut inside).await;
    };
    tokio::select! {
        _ = is_shut.wait_for(|shut| shut.contains(&visitor)) => {}
        () = visit => {}
    }
}
