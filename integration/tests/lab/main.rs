//! Sites that are cut off and live on, each in a network namespace of its own: `make lab`.

use std::error::Error;

use standfast_integration::lab::net::Net;
use standfast_integration::lab::world::{Setup, World};
use standfast_integration::parts::scratch::Scratch;

mod chaos;
mod cut;
mod leader_alone;
mod no_store;
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

    /// What came of a scenario; after a failure the folder with the logs stays.
    fn end(mut self, outcome: Outcome) -> Outcome {
        if outcome.is_err() {
            self.scratch.keep();
            eprintln!("logs: {}", self.scratch.path().display());
            for (name, log) in self.world.logs() {
                eprintln!("--- {name}: {log}");
            }
        }
        outcome
    }
}
