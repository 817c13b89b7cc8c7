//! Windows of the calendar in which nothing runs by itself, each in a time zone of its own.
//!
//! The time zones come with the program: a machine that has none, or others, decides the same. The
//! wall clock is asked here and nowhere else, and only whether to hold back. Where a clock is set
//! forward or back, a window is rather too long than too short.

use crate::finding::quoted;
use crate::source::{Place, Spanned};
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The days of a week, as they are written.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A window as it stands in the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where its name stands.
    pub at: Place,
    /// The days on which it begins; none: every day.
    pub days: Vec<Spanned<String>>,
    /// `22:00`, or `2027-01-01T00:00`.
    pub from: Spanned<String>,
    /// Likewise.
    pub until: Spanned<String>,
    /// `Europe/Berlin`.
    pub zone: Spanned<String>,
}

/// A window in which nothing runs by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    zone: String,
    spell: Spell,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Spell {
    /// From one moment to another.
    Once { from: DateTime, until: DateTime },
    /// On these days, counted from Monday, from one time to another, of the next day if that is earlier.
    Daily { days: BTreeSet<i8>, from: Time, until: Time },
}

/// All zones that are known, by name.
pub fn zones() -> Vec<String> {
    TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

impl Written {
    /// What it comes to, or what is wrong with it and where.
    pub fn window(&self) -> Result<Window, (Place, String)> {
        let Self { days, from, until, zone: name, .. } = self;
        if zone(&name.value).is_none() {
            let message =
                format!("{} is no time zone: `Europe/Berlin`, `Asia/Seoul`, `UTC`", quoted(&name.value));
            return Err((name.at, message));
        }
        let spell = match (moment(from)?, moment(until)?) {
            (Moment::At(from), Moment::At(end)) => {
                if let Some(day) = days.first() {
                    return Err((day.at, "a window from one date to another has no days of the week".into()));
                }
                if end <= from {
                    return Err((until.at, "a window ends after it has begun".into()));
                }
                Spell::Once { from, until: end }
            }
            (Moment::Daily(from), Moment::Daily(end)) => {
                if end == from && until.value != MIDNIGHT {
                    let message = "a window that ends when it begins: for a whole day write 00:00 and 24:00";
                    return Err((until.at, message.into()));
                }
                let numbered =
                    days.iter().filter_map(|day| DAYS.iter().position(|known| *known == day.value));
                let numbered: BTreeSet<i8> = numbered.filter_map(|day| i8::try_from(day).ok()).collect();
                let days = if numbered.is_empty() { (0..7).collect() } else { numbered };
                Spell::Daily { days, from, until: end }
            }
            _ => return Err((until.at, "write a time of day twice, or a date with a time twice".into())),
        };
        Ok(Window { zone: name.value.clone(), spell })
    }
}

enum Moment {
    Daily(Time),
    At(DateTime),
}

/// The end of a day, after its last nanosecond.
const MIDNIGHT: &str = "24:00";

fn moment(text: &Spanned<String>) -> Result<Moment, (Place, String)> {
    let (value, digits) = (text.value.as_str(), |c: char| c.is_ascii_digit());
    // What the parser takes beside these forms (seconds, offsets, zones) would only be misread.
    let time = |text: &str| {
        let form = text.len() == 5 && text.as_bytes()[2] == b':' && text.replace(':', "").chars().all(digits);
        if form { text.parse::<Time>().ok() } else { None }
    };
    if value == MIDNIGHT {
        return Ok(Moment::Daily(Time::midnight()));
    }
    if let Some(time) = time(value) {
        return Ok(Moment::Daily(time));
    }
    let parted = value.split_once(['T', ' ']);
    let both = parted
        .and_then(|(date, at)| Some((date.parse::<Date>().ok().filter(|_| date.len() == 10)?, time(at)?)));
    match both {
        Some((date, at)) => Ok(Moment::At(date.to_datetime(at))),
        None => {
            let message =
                format!("{} is neither a time as in `22:00` nor one as in `2027-01-01T00:00`", quoted(value));
            Err((text.at, message))
        }
    }
}

impl Window {
    /// Until when it lasts, in its own zone, if it holds at this Unix time in milliseconds. One whose zone
    /// this version does not know, or a time that is none, holds.
    pub fn holds(&self, wall_ms: i64) -> Option<String> {
        let unknown = || Some(format!("somebody mends it: nothing is known of {}", self.zone));
        let (Some(zone), Ok(now)) = (zone(&self.zone), Timestamp::from_millisecond(wall_ms)) else {
            return unknown();
        };
        let during = |from: DateTime, until: DateTime| {
            let from = zone.to_ambiguous_zoned(from).earlier();
            let until = zone.to_ambiguous_zoned(until).later();
            let (Ok(from), Ok(until)) = (from, until) else { return unknown() };
            let holds = from.timestamp() <= now && now < until.timestamp();
            holds.then(|| format!("{} {}", until.strftime("%F %R"), self.zone))
        };
        match &self.spell {
            Spell::Once { from, until } => during(*from, *until),
            Spell::Daily { days, from, until } => {
                let today = now.to_zoned(zone.clone()).date();
                let yesterday = today.checked_sub(1.day()).ok()?;
                [yesterday, today].into_iter().filter(|day| days.contains(&number(day.weekday()))).find_map(
                    |day| {
                        let last = if until <= from { day.checked_add(1.day()).ok()? } else { day };
                        during(day.to_datetime(*from), last.to_datetime(*until))
                    },
                )
            }
        }
    }
}

fn number(day: Weekday) -> i8 {
    day.to_monday_zero_offset()
}

#[cfg(test)]
#[path = "window_test.rs"]
mod tests;
