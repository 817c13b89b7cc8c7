//! Whether a step acts on this member now: then nothing is looked at from here.

use tokio::sync::watch;

/// How many steps act here. Cheap to clone: all clones count the same.
#[derive(Clone, Debug)]
pub struct Acting(watch::Sender<usize>);

/// A step that acts, as long as this lives.
#[derive(Debug)]
pub struct Act(watch::Sender<usize>);

impl Default for Acting {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Acting {
    /// A step begins to act, or to be verified.
    pub fn begin(&self) -> Act {
        self.0.send_modify(|acts| *acts += 1);
        Act(self.0.clone())
    }

    /// Waits until none acts.
    pub async fn over(&self) {
        // The sender lives in here, so the wait ends only when none acts.
        let _ = self.0.subscribe().wait_for(|acts| *acts == 0).await;
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        self.0.send_modify(|acts| *acts -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn it_is_over_when_every_act_is() {
        let acting = Acting::default();
        assert_eq!(acting.over().now_or_never(), Some(()));
        let (one, two) = (acting.begin(), acting.clone().begin());
        drop(one);
        assert_eq!(acting.over().now_or_never(), None);
        drop(two);
        assert_eq!(acting.over().now_or_never(), Some(()));
    }
}
