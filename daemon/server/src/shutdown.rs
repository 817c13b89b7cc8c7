//! From a signal to a clean end: the first SIGTERM or SIGINT asks, the second insists.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code after a second signal, or when draining took too long: 1, the code of what
/// was asked and not completed.
pub const FORCED: i32 = 1;

/// Listens for SIGTERM and SIGINT from now on. The token is cancelled by the first; the
/// second ends the process at once with [`FORCED`].
///
/// Needs a running tokio runtime.
pub fn on_signals() -> io::Result<CancellationToken> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let asked = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
            }
        };
        let signal = next().await;
        tracing::info!(signal, "shutting down; a second signal ends at once");
        asked.cancel();
        let signal = next().await;
        tracing::warn!(signal, "ended at once by a second signal");
        std::process::exit(FORCED);
    });
    Ok(token)
}

/// Draining did not end in time.
#[derive(Debug, thiserror::Error)]
#[error("still draining after {deadline:?} (`shutdown.deadline`): ended without waiting longer")]
pub struct DrainTimeout {
    /// How long was waited.
    pub deadline: Duration,
}

/// Awaits `drain` for at most `deadline`, then drops it.
pub async fn drain<T>(deadline: Duration, drain: impl Future<Output = T>) -> Result<T, DrainTimeout> {
    tokio::time::timeout(deadline, drain).await.map_err(|_| DrainTimeout { deadline })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn drain_returns_what_ends_and_gives_up_on_what_does_not() {
        assert_eq!(drain(Duration::from_secs(5), async { 7 }).await.unwrap(), 7);
        let never = std::future::pending::<()>();
        let error = drain(Duration::from_millis(1), never).await.unwrap_err();
        assert!(error.to_string().contains("shutdown.deadline"));
    }

    /// Set in the process that the test below starts: this very test, playing the daemon.
    const PLAYS_DAEMON: &str = "STANDFAST_TEST_PLAYS_DAEMON";

    #[test]
    fn the_first_signal_asks_and_the_second_ends_at_once() {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};

        use rustix::process::{Pid, Signal, kill_process};

        if std::env::var_os(PLAYS_DAEMON).is_some() {
            return drain_for_ever();
        }
        let name = "shutdown::tests::the_first_signal_asks_and_the_second_ends_at_once";
        let mut daemon = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(PLAYS_DAEMON, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&daemon);
        let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.ends_with("listening")));
        kill_process(pid, Signal::TERM).unwrap();
        assert!(lines.any(|line| line.ends_with("draining")));
        assert!(daemon.try_wait().unwrap().is_none(), "it drains, and has not ended");
        kill_process(pid, Signal::INT).unwrap();
        assert_eq!(daemon.wait().unwrap().code(), Some(FORCED));
    }

    fn drain_for_ever() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let asked = on_signals().unwrap();
            println!("listening");
            asked.cancelled().await;
            println!("draining");
            // Bounded, should the test that started this die.
            let _ = drain(Duration::from_secs(60), std::future::pending::<()>()).await;
        });
    }
}
