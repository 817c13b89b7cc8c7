//! Waits for what comes of a disaster, and tells it in the order in which it happened.

use std::time::{Duration, Instant, SystemTime};

use standfast_proto::v1::{Event, Run, RunState, Site, event::Subject};
use tokio::sync::mpsc;

use super::figures::Death;
use super::screen::{Screen, Tone};
use super::story::{Lines, Story};
use crate::lab::api::Api;
use crate::lab::events::{Events, News};
use crate::lab::world::World;
use crate::parts::Result;
use crate::parts::client::Client;

/// From the death of the site to the end of the run, at most; the playbook alone holds the
/// traffic for half a minute.
const END: Duration = Duration::from_secs(150);
/// How often the line at the bottom of a terminal is drawn.
const TICK: Duration = Duration::from_millis(100);
/// How long a line is held back: votes and verdicts come by another way than a run's journal,
/// and later.
const HELD: Duration = Duration::from_millis(500);
/// How often the probes of the site are looked at, until there is a run.
const LOOK: Duration = Duration::from_millis(200);

/// Tells what happens until the run has ended; none when there is no run in time.
pub(super) async fn until_end(
    world: &World,
    events: &mut Events,
    mut story: Story,
    customer: &Client,
    death: Death,
    screen: &mut Screen,
) -> Result<Option<Run>> {
    let Death { killed, moment, gone } = death;
    let mut run: Option<Run> = None;
    let mut looks = look(world.cluster.api()?);
    let mut later = Later::default();
    let mut tick = tokio::time::interval(TICK);
    let mut back = false;
    while moment.elapsed() < END {
        tokio::select! {
            news = events.next() => match news? {
                News::Happened(event) | News::Known(event) => {
                    let when = at(&event).and_then(|at| at.duration_since(killed).ok());
                    // Times are in milliseconds: of one and the same, what is seen comes first.
                    let nudge = match event.subject {
                        Some(Subject::Site(_)) => Duration::ZERO,
                        _ => Duration::from_nanos(1),
                    };
                    later.put(when.unwrap_or_default() + nudge, story.tell(&event));
                    if let Some(Subject::Run(now)) = event.subject {
                        let ended = has_ended(now.state());
                        run = Some(now);
                        if ended {
                            break;
                        }
                    }
                }
                News::Lost { member, why } => {
                    let line = format!("{member} is silent ({why}); listening to another member");
                    later.put(moment.elapsed(), vec![(Tone::Plain, line)]);
                }
                News::Synced => {}
            },
            Some(site) = looks.recv(), if run.is_none() => later.put(moment.elapsed(), story.probes(&site)),
            _ = tick.tick() => {
                if !back && let Some(order) = customer.look(|record| record.first_after(gone).cloned()) {
                    back = true;
                    let line = format!("the customer is served again, by site {}", order.site);
                    later.put(order.acknowledged - moment, vec![(Tone::Good, line)]);
                }
                later.tell(screen, HELD);
                screen.status(&waiting(customer, moment, back));
            }
        }
    }
    later.tell(screen, Duration::ZERO);
    Ok(run)
}

/// Looks at the site again and again, beside everything else: a member that dies is found out
/// only after a while. Ends when nobody listens.
fn look(mut api: Api) -> mpsc::Receiver<Site> {
    let (sites, looks) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            if let Ok(site) = api.site("a").await
                && sites.send(site).await.is_err()
            {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    looks
}

/// Lines that are not told yet.
#[derive(Default)]
struct Later {
    /// When it happened, when it came, and its lines.
    lines: Vec<(Duration, Instant, Lines)>,
}

impl Later {
    fn put(&mut self, when: Duration, lines: Lines) {
        self.lines.push((when, Instant::now(), lines));
    }

    /// Tells, in their order, all that came before the last one that was held for so long.
    fn tell(&mut self, screen: &mut Screen, held: Duration) {
        let due =
            self.lines.iter().filter(|(_, came, _)| came.elapsed() >= held).map(|(when, ..)| *when).max();
        let Some(due) = due else { return };
        self.lines.sort_by_key(|(when, ..)| *when);
        let rest = self.lines.partition_point(|(when, ..)| *when <= due);
        for (when, _, lines) in self.lines.drain(..rest) {
            for (tone, line) in lines {
                screen.line(tone, &format!("{}{line}", stamp(when)));
            }
        }
    }
}

fn stamp(after: Duration) -> String {
    format!("{:6.2}s  ", after.as_secs_f64())
}

fn waiting(customer: &Client, moment: Instant, back: bool) -> String {
    let (orders, failures) = customer.look(|record| (record.orders.len(), record.failures.len()));
    let state = if back { "the customer is served" } else { "the customer is not served" };
    format!("{}{state}: {orders} orders acknowledged, {failures} not", stamp(moment.elapsed()))
}

fn at(event: &Event) -> Option<SystemTime> {
    let at = standfast::cli::human::timestamp(event.at.as_ref())?;
    Some(SystemTime::from(at))
}

/// Whether nothing more will happen by itself.
fn has_ended(state: RunState) -> bool {
    !matches!(state, RunState::Unspecified | RunState::Running | RunState::RollingBack)
}
