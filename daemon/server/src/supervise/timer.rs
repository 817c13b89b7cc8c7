//! A timer on the boot clock. tokio's stands still while the machine is suspended.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::sync::mpsc;

/// A thread waits on the timer, and tells of it here: the supervisor has one timer, and
/// waiting for a file descriptor of one's own in tokio is not without `unsafe`.
pub(super) struct BootTimer {
    timer: Arc<File>,
    fired: mpsc::Receiver<io::Result<()>>,
}

impl BootTimer {
    pub(super) fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
        let timer = Arc::new(File::from(fd));
        let waiting = Arc::clone(&timer);
        let (sender, fired) = mpsc::channel(1);
        std::thread::Builder::new().name("boot-timer".to_owned()).spawn(move || {
            // Ends with the receiver, which is dropped with the timer.
            while sender.blocking_send((&*waiting).read_exact(&mut [0; 8])).is_ok() {}
        })?;
        Ok(Self { timer, fired })
    }

    /// Fires once at `at` on the boot clock, or at once if that is over.
    pub(super) fn arm(&self, at: Duration) -> io::Result<()> {
        // Zero would disarm it.
        let at = at.max(Duration::from_nanos(1));
        let it_value = Timespec {
            tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(at.subsec_nanos()),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let new = Itimerspec { it_interval, it_value };
        timerfd_settime(&*self.timer, TimerfdTimerFlags::ABSTIME, &new)?;
        Ok(())
    }

    /// Waits until it fires. May be dropped and called again.
    pub(super) async fn fired(&mut self) -> io::Result<()> {
        self.fired.recv().await.unwrap_or_else(|| Err(io::Error::other("the timer's thread ended")))
    }
}

impl Drop for BootTimer {
    fn drop(&mut self) {
        self.fired.close();
        // Wakes the thread, so that it sees that nobody listens. If that fails it stays,
        // asleep, until the process ends.
        let _ = self.arm(Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[tokio::test]
    async fn it_fires_when_due_and_again_when_armed_again() {
        let mut timer = BootTimer::new().unwrap();
        let due = clock::boot() + Duration::from_millis(20);
        timer.arm(due).unwrap();
        timer.fired().await.unwrap();
        assert!(clock::boot() >= due);
        timer.arm(Duration::ZERO).unwrap();
        timer.fired().await.unwrap();
        let again = tokio::time::timeout(Duration::from_millis(20), timer.fired()).await;
        assert!(again.is_err(), "it fires once");
    }
}
