//! Who is no leader any more, and does not know it yet: each real target is played with two leaders,
//! epochs 5 and 6, of which the old one comes late.

mod dns;
mod postgres;
mod ssh;
mod traffic;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

use standfast::action::Context;
use standfast_core::ids::Epoch;
use standfast_integration::given::Given;
use std::time::Duration;

const ENOUGH: Duration = Duration::from_secs(20);

/// What a leader of this epoch is given.
fn leader(given: &Given, epoch: u64) -> Context {
    let mut cx = given.context(ENOUGH);
    cx.attempt.epoch = Epoch(epoch);
    cx
}
