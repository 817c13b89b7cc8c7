//! Sites that are cut off and live on, each in a network namespace of its own: `make lab`.

use std::error::Error;

use standfast_integration::lab::net::Net;
use standfast_integration::lab::timeline;
use standfast_integration::lab::world::{Setup, World};
use standfast_integration::parts::scratch::Scratch;

mod cable;
mod chaos;
mod cut;
mod far_away;
mod leader_alone;
mod no_store;
mod on_rejoin;
mod one_way;
mod returning_leader;
mod sentry;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Lives as long as a scenario.
struct Lab {
    world: World,
    net: Net,
    scratch: Scratch,
}

impl Lab {
    async fn start(setup: Setup) -> Outcome<Lab> {
        let net = Net::up()?;
        let scratch = Scratch::new()?;
        let world = World::start(&scratch, setup, |_| {}).await?;
        world.until_steady().await?;
        Ok(Lab { world, net, scratch })
    }

    /// What came of a scenario.
    fn end(mut self, outcome: Outcome) -> Outcome {
        if outcome.is_err() {
            self.keep();
        }
        outcome
    }

    /// Leaves the folder with the logs and one timeline of them, and shows the end of each.
    fn keep(&mut self) {
        self.scratch.keep();
        let folder = self.scratch.path();
        match timeline::write(folder, self.net.told()) {
            Ok(()) => eprintln!("logs: {}, all of them in {}", folder.display(), timeline::FILE),
            Err(error) => eprintln!("logs: {} (no timeline: {error})", folder.display()),
        }
        for (name, log) in self.world.logs() {
            eprintln!("--- {name}: {log}");
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // An assertion that fails does not come to the end.
        if std::thread::panicking() {
            self.keep();
        }
    }
}
