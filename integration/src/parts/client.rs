//! The customer: knows the shop by its name, and orders without pause.
//!
//! It keeps an address as long as the name server allows, sends one row after the other, and
//! writes down what was acknowledged and when. From that alone follows how long the shop was
//! away and which of its promises were lost.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use super::bind::resolve;
use super::ground::enter;
use super::web::{Acknowledged, Row};
use super::{Error, Result};

/// How long a customer waits for an acknowledgement.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a customer needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name server.
    pub dns: SocketAddr,
    /// The shop's name, such as `shop.example.net`.
    pub name: String,
    /// The port of its front door.
    pub port: u16,
    /// How long the customer thinks between two orders.
    pub between: Duration,
    /// The network namespace that it lives in, if it has one of its own.
    pub namespace: Option<PathBuf>,
}

/// An order that was acknowledged.
#[derive(Debug, Clone)]
pub struct Order {
    /// The id of its row.
    pub id: i64,
    /// When it was sent.
    pub sent: Instant,
    /// When the acknowledgement came.
    pub acknowledged: Instant,
    /// The site that has it.
    pub site: String,
}

/// An order that was not acknowledged; it may still have been written.
#[derive(Debug, Clone)]
pub struct Failure {
    /// When the customer gave up.
    pub at: Instant,
    /// What went wrong.
    pub why: String,
}

/// What a customer has seen.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The acknowledged orders, oldest first.
    pub orders: Vec<Order>,
    /// The others, oldest first.
    pub failures: Vec<Failure>,
}

impl Record {
    /// The acknowledged orders that are not among the rows that a database has.
    pub fn lost(&self, present: &BTreeSet<i64>) -> Vec<&Order> {
        self.orders.iter().filter(|order| !present.contains(&order.id)).collect()
    }

    /// The first order that was sent after a moment and acknowledged.
    pub fn first_after(&self, moment: Instant) -> Option<&Order> {
        self.orders.iter().find(|order| order.sent > moment)
    }

    /// How much acknowledged work a disaster at `moment` has cost: the time from the first
    /// lost acknowledgement to the disaster; zero if nothing is lost.
    pub fn loss(&self, present: &BTreeSet<i64>, moment: Instant) -> Duration {
        let first = self.lost(present).first().map(|order| order.acknowledged);
        first.map_or(Duration::ZERO, |first| moment.saturating_duration_since(first))
    }

    /// The longest time between two acknowledgements.
    pub fn longest_pause(&self) -> Duration {
        let pairs = self.orders.windows(2);
        pairs.map(|pair| pair[1].acknowledged - pair[0].acknowledged).max().unwrap_or_default()
    }
}

/// A customer at work. Dropping it sends it home.
#[derive(Debug)]
pub struct Client {
    record: Arc<Mutex<Record>>,
    home: CancellationToken,
    work: Option<JoinHandle<()>>,
}

impl Client {
    /// Begins to order, in a thread of its own: a thread is what stands in a namespace.
    pub fn start(settings: Settings) -> Result<Client> {
        let record = Arc::<Mutex<Record>>::default();
        let home = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::io("starting a customer"))?;
        let (entered, is_there) = std::sync::mpsc::sync_channel(1);
        let work = {
            let (record, home) = (Arc::clone(&record), home.clone());
            move || {
                let ready = settings.namespace.as_deref().map_or(Ok(()), enter).and_then(|()| http());
                let http = match ready {
                    Ok(http) => http,
                    Err(error) => {
                        let _ = entered.send(Err(error));
                        return;
                    }
                };
                let _ = entered.send(Ok(()));
                let orders = order_forever(settings, http, record);
                runtime.block_on(home.run_until_cancelled(orders));
            }
        };
        let work = std::thread::Builder::new().name("customer".into()).spawn(work);
        let work = work.map_err(Error::io("starting a customer"))?;
        is_there.recv().map_err(|_| Error::answer("customer", "ended before it began"))??;
        Ok(Client { record, home, work: Some(work) })
    }

    /// What it has seen so far.
    pub fn record(&self) -> Record {
        self.look(Record::clone)
    }

    /// Looks at what it has seen so far, without copying it.
    pub fn look<T>(&self, at: impl FnOnce(&Record) -> T) -> T {
        at(&self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends it home; returns all that it has seen.
    pub async fn stop(mut self) -> Record {
        self.go_home();
        self.record()
    }

    /// Its current order is dropped, so this takes no time.
    fn go_home(&mut self) {
        self.home.cancel();
        if let Some(work) = self.work.take() {
            let _ = work.join(); // a customer that panicked has stopped, too
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.go_home();
    }
}

async fn order_forever(settings: Settings, http: reqwest::Client, record: Arc<Mutex<Record>>) {
    let mut known: Option<(Ipv4Addr, Instant)> = None;
    for id in 1.. {
        let outcome = match address(&settings, &mut known).await {
            Ok(ip) => order(&http, SocketAddr::new(ip.into(), settings.port), id).await,
            Err(why) => Err(why),
        };
        {
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(order) => record.orders.push(order),
                Err(why) => record.failures.push(Failure { at: Instant::now(), why }),
            }
        }
        tokio::time::sleep(settings.between).await;
    }
}

/// The shop's address; asked for again when the time it may be kept has passed.
async fn address(
    settings: &Settings,
    known: &mut Option<(Ipv4Addr, Instant)>,
) -> std::result::Result<Ipv4Addr, String> {
    if let Some((ip, until)) = known
        && Instant::now() < *until
    {
        return Ok(*ip);
    }
    let answer = resolve(settings.dns, &settings.name).await?;
    let ip = *answer.addresses.first().ok_or_else(|| format!("{} has no address", settings.name))?;
    *known = Some((ip, Instant::now() + answer.ttl));
    Ok(ip)
}

async fn order(http: &reqwest::Client, shop: SocketAddr, id: i64) -> std::result::Result<Order, String> {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let row = Row { id, at: i64::try_from(since.as_micros()).unwrap_or(i64::MAX) };
    let body = serde_json::to_string(&row).map_err(|e| e.to_string())?;
    let sent = Instant::now();
    let request = http.post(format!("http://{shop}/rows"));
    let request = request.header("content-type", "application/json").timeout(PATIENCE);
    let answer = request.body(body).send().await;
    let answer = answer.map_err(|e| reason(&e))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|e| reason(&e))?;
    let acknowledged = Instant::now();
    if status.as_u16() != 201 {
        return Err(format!("{shop}: {status}"));
    }
    let said: Acknowledged = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    if said.id != id {
        return Err(format!("{shop} acknowledged {} instead of {id}", said.id));
    }
    Ok(Order { id, sent, acknowledged, site: said.site })
}

/// The innermost reason; the layers above only say that a request failed.
fn reason(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// An HTTP client for loopback: no proxy, and no answer takes long.
pub fn http() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy().http1_only().timeout(Duration::from_secs(15));
    let client = client.connect_timeout(Duration::from_millis(500));
    client.build().map_err(|e| Error::answer("HTTP client", e))
}
