//! Sites, and what lies between them.

use std::time::Duration;

/// How many sites there are; the fleet of the simulator has as many.
pub(super) const SITES: usize = 3;
/// The world outside, where the canaries stand.
pub(super) const OUTSIDE: usize = SITES;

/// Which ways are open. A way that is cut twice has to be mended twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Net {
    cuts: [[u8; SITES + 1]; SITES + 1],
    slow: [[u8; SITES + 1]; SITES + 1],
    /// Sites without power.
    dark: [u8; SITES],
}

impl Net {
    /// Cuts one way, or mends one cut.
    pub(super) fn cut(&mut self, from: usize, to: usize, cut: bool) {
        count(&mut self.cuts[from][to], cut);
    }

    /// Slows a way down in both directions.
    pub(super) fn slow(&mut self, from: usize, to: usize, slow: bool) {
        count(&mut self.slow[from][to], slow);
        count(&mut self.slow[to][from], slow);
    }

    /// Takes a site's power, or gives it back; whether that changed it.
    pub(super) fn power(&mut self, site: usize, off: bool) -> bool {
        let before = self.dark[site] > 0;
        count(&mut self.dark[site], off);
        before != (self.dark[site] > 0)
    }

    pub(super) fn has_power(&self, site: usize) -> bool {
        site >= SITES || self.dark[site] == 0
    }

    /// Whether what is sent from one site comes to the other.
    pub(super) fn carries(&self, from: usize, to: usize) -> bool {
        let lit = self.has_power(from) && self.has_power(to);
        lit && (from == to || self.cuts[from][to] == 0)
    }

    /// Whether a connection can be opened.
    pub(super) fn connects(&self, from: usize, to: usize) -> bool {
        self.carries(from, to) && self.carries(to, from)
    }

    /// What a slow way adds.
    pub(super) fn delay(&self, from: usize, to: usize) -> Duration {
        Duration::from_millis(if self.slow[from][to] > 0 { 400 } else { 0 })
    }
}

fn count(counter: &mut u8, up: bool) {
    *counter = if up { counter.saturating_add(1) } else { counter.saturating_sub(1) };
}
