//! What runs beside the real parts of a site: guards, the janitor, and our own small services.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use standfast_integration::parts::scratch::{self, Scratch};
use standfast_integration::parts::shop::Shop;
use standfast_integration::parts::{Error, Result, deploy, guard, ledger, process, tools, web};

#[derive(Parser)]
#[command(about = "Parts of a site made for demonstrations and tests")]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand)]
enum Commands {
    /// Run a program that ends with whoever started the guard
    Guard(guard::Guard),
    /// Wait for the end of whoever started this, then stop and remove what it left
    Janitor {
        /// The folder with the sites
        folder: PathBuf,
    },
    /// Kill every process of a site; succeeds only when all of them are dead
    PowerOff {
        /// The folder of the site
        site: PathBuf,
    },
    /// Kill, pause or resume all that parts of a site have started; succeeds when it is seen of all
    Treat {
        /// What is done to them
        way: process::Way,
        /// The folder of the site
        site: PathBuf,
        /// The parts
        #[arg(required = true)]
        parts: Vec<String>,
    },
    /// Serve the shop of a site
    Web(web::Web),
    /// Serve the deploy tool of a site (a stand-in)
    Deploy(deploy::Tool),
    /// Serve the other tools, stores and services of a site (a stand-in)
    Tools(tools::Tool),
    /// Serve a target that writes down who acts on it under which epoch, and refuses old ones
    Ear(ledger::Ear),
    /// The same as a command; exits 3 when it refuses
    Act(ledger::Ledger),
    /// Start two sites and a name server, say where they are, and hold them until killed
    Shop,
}

fn main() -> ExitCode {
    let done: Result<u8> = match Cli::parse().command {
        Commands::Guard(guard) => guard.run(),
        Commands::Janitor { folder } => scratch::janitor(&folder).map(|()| 0),
        Commands::PowerOff { site } => process::power_off(&site, Duration::from_secs(5)).map(|n| {
            println!("{n} processes of {} are dead", site.display());
            0
        }),
        Commands::Treat { way, site, parts } => process::treat(&site, &parts, way, Duration::from_secs(2))
            .map(|n| {
                println!("{n} processes: {}", way.name());
                0
            }),
        Commands::Web(web) => block_on(web.serve()),
        Commands::Deploy(tool) => block_on(tool.serve()),
        Commands::Tools(tool) => block_on(tool.serve()),
        Commands::Ear(ear) => block_on(ear.serve()),
        Commands::Act(ledger) => ledger.act(),
        Commands::Shop => block_on(hold_shop()),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("site: {error}");
            ExitCode::FAILURE
        }
    }
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::io("starting the runtime"))?.block_on(work).map(|()| 0)
}

async fn hold_shop() -> Result<()> {
    let scratch = Scratch::new()?;
    let shop = Shop::start(&scratch, Duration::from_secs(1)).await?;
    println!("folder {}", scratch.path().display());
    println!("dns {} {}", shop.bind.address, shop.bind.zone.full_name());
    for site in [&shop.a, &shop.b] {
        println!("site {} {:?}", site.name, site.addresses);
    }
    println!("ready");
    std::future::pending().await
}
