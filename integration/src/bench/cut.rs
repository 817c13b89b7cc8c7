//! From a real cut of the active site to the first write of a client that the other site accepts,
//! with the lease of the site as the only fence; and the same of Patroni, beside it.
//!
//! It takes networks of its own, and a process has one ground to stand on: so it is measured by this
//! program started once more, by `integration/lab.sh`.

use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use standfast_core::timing::Profile;
use tokio::process::Command;

use super::figure::{Figure, Judged};
use super::report::Report;
use crate::lab::cluster::Kind;
use crate::lab::net::{End, Net};
use crate::lab::world::{Setup, World};
use crate::parts::client::Record;
use crate::parts::patroni::{Pace, Patroni};
use crate::parts::scratch::Scratch;
use crate::parts::shop::rows;
use crate::parts::{Error, Result, poll};

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lab.sh");
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts this program in networks of its own, and takes over what it has measured.
pub async fn measure(times: usize) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir().map_err(Error::io("making a temporary folder"))?;
    let file = folder.path().join("figures.json");
    let own = std::env::current_exe().map_err(Error::io("finding the running program"))?;
    let status = Command::new(LAB)
        .arg(own)
        .args(["--only", "cut-inside", "--times", &times.to_string(), "--json"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(Error::io(format!("starting {LAB}")))?;
    let text = std::fs::read(&file).map_err(|_| Error::answer("lab.sh", format!("{status}, no figures")))?;
    let report: Report = serde_json::from_slice(&text).map_err(|e| Error::answer("figures", e))?;
    match report.failures.first() {
        Some(failure) => Err(Error::answer("lab.sh", &failure.why)),
        None => Ok(report.figures),
    }
}

/// What came of some cuts.
#[derive(Debug, Default)]
struct Cuts {
    served: Vec<Duration>,
    lost: Vec<usize>,
}

/// Measures it, in networks of its own.
pub async fn inside(times: usize) -> Result<Vec<Figure>> {
    let secs = Duration::from_secs_f64;
    let fast = cuts(times, Profile::Fast, "w").await?;
    let leaders = cuts(times, Profile::Fast, "a").await?;
    let default = cuts(times, Profile::Default, "w").await?;
    let of = "cut of the active site to a client's first accepted write";
    let mut figures = vec![
        Figure::new(
            "cut-fast",
            &format!("{of}, no leader in it, profile fast"),
            Judged::Median,
            secs(7.4),
            fast.served.clone(),
        ),
        Figure::new(
            "cut-fast-leaders",
            &format!("{of}, both leaders in it, profile fast"),
            Judged::Median,
            secs(11.0),
            leaders.served.clone(),
        ),
        Figure::new(
            "cut-fast-leaders-worst",
            "the same, and its worst",
            Judged::Worst,
            secs(17.0),
            leaders.served,
        ),
        Figure::new(
            "cut-default",
            &format!("{of}, no leader in it, profile default"),
            Judged::Median,
            secs(26.3),
            default.served.clone(),
        ),
    ];
    for (name, lost) in [("fast", fast.lost), ("fast-leaders", leaders.lost), ("default", default.lost)] {
        figures.push(Figure::counting(&format!("cut-{name}-rows"), "acknowledged rows lost", lost));
    }
    for (pace, name, ours) in
        [(Pace::Tightest, "tightest", &fast.served), (Pace::Default, "default", &default.served)]
    {
        let patroni = patroni(times, pace).await?;
        let what = format!("Patroni {}, {name} settings: {of}", Patroni::VERSION);
        let figure = Figure::explaining(&format!("patroni-{name}"), &what, patroni.served);
        let own = Figure::explaining("", "", ours.clone());
        let what = format!("cut of the same profile, as a share of Patroni's median, {name} settings");
        let ratio = Figure::ratio(&format!("cut-to-patroni-{name}"), &what, own.median() / figure.median());
        figures.push(figure);
        figures.push(Figure::counting(
            &format!("patroni-{name}-rows"),
            "acknowledged rows lost",
            patroni.lost,
        ));
        figures.push(ratio);
    }
    Ok(figures)
}

/// Each time with sites of their own.
async fn cuts(times: usize, profile: Profile, leaders: &'static str) -> Result<Cuts> {
    let mut cuts = Cuts::default();
    for _ in 0..times {
        let mut net = Net::up()?;
        let scratch = Scratch::new()?;
        let (served, lost) = once(&scratch, &mut net, profile, leaders).await?;
        cuts.served.push(served);
        cuts.lost.push(lost);
    }
    Ok(cuts)
}

async fn once(
    scratch: &Scratch,
    net: &mut Net,
    profile: Profile,
    leaders: &'static str,
) -> Result<(Duration, usize)> {
    let setup = Setup::new(Kind::Etcd).led_from(leaders).guarded().edited(move |bundle| match profile {
        Profile::Fast => Ok(()),
        Profile::Default => bundle.edit_fleet("timing: {profile: fast}", "timing: {profile: default}"),
    });
    let world = World::start(scratch, setup, |_| {}).await?;
    let customer = world.customer().await?;
    world.until_steady().await?;
    world.cluster.lead_from(leaders).await?;
    world.until_steady().await?;
    world.until_enforced().await?;
    let (cut, wall) = (Instant::now(), SystemTime::now());
    net.cut(End::Site("a"))?;
    let served = poll(PATIENCE, || async {
        let by_b = |record: &Record| record.orders.iter().find(|order| order.site == "b").cloned();
        let order = customer.look(by_b);
        order.ok_or_else(|| customer.look(|record| format!("{:?}", record.failures.last())))
    });
    let served = served.await.map_err(|last| Error::answer("customer", format!("is not served: {last}")))?;
    eprintln!(
        "bench: served after {:.1} s; {}",
        (served.acknowledged - cut).as_secs_f64(),
        told(&world, wall).await?
    );
    let record = customer.stop().await;
    let present = rows(&world.shop.b).await?;
    Ok((served.acknowledged - cut, record.lost(&present).len()))
}

/// When what was begun and ended, counted from the cut: where the time went.
async fn told(world: &World, cut: SystemTime) -> Result<String> {
    let mut api = world.cluster.api_of("w")?;
    let Some(run) = api.runs().await?.pop() else { return Ok("no run".into()) };
    let run = api.run(&run.id).await?;
    let after = |at: &Option<pbjson_types::Timestamp>| {
        let at = at.as_ref().and_then(|at| {
            let since = Duration::new(at.seconds.try_into().ok()?, at.nanos.try_into().ok()?);
            (SystemTime::UNIX_EPOCH + since).duration_since(cut).ok()
        });
        at.map_or("-".to_owned(), |at| format!("{:.1}", at.as_secs_f64()))
    };
    let steps = run
        .steps
        .iter()
        .map(|step| format!("{} {} to {}", step.id, after(&step.started_at), after(&step.ended_at)));
    let steps: Vec<String> = steps.collect();
    Ok(format!("run after {}, {}", after(&run.created_at), steps.join(", ")))
}

/// One cluster, whose primary's site is cut off again and again.
async fn patroni(times: usize, pace: Pace) -> Result<Cuts> {
    let mut net = Net::up()?;
    let scratch = Scratch::new()?;
    let patroni = Patroni::start(&scratch, pace).await?;
    let mut cuts = Cuts::default();
    for time in 0..times {
        // At another moment of its loop each time.
        tokio::time::sleep(Duration::from_millis(3_000 + 3_700 * time as u64 % 10_000)).await;
        let writer = patroni.writer().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let cut = Instant::now();
        net.cut(End::Site(writer.site))?;
        let written = writer.stop().await?;
        let served = patroni.until_other_writes(written.site, PATIENCE).await?;
        cuts.served.push(served - cut);
        cuts.lost.push(patroni.lost(&written).await?);
        net.heal()?;
        patroni.until_rejoined(written.site).await?;
    }
    Ok(cuts)
}
