//! Days of the calendar. Only people's promises are dated: drills, waivers. Nothing is started
//! or stopped by a date.

use std::fmt;

/// A day, in days since 1 January 1970, proleptic Gregorian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(i64);

const DAY_MS: i64 = 86_400_000;

impl Date {
    /// Reads `2022-10-15`: four digits, two, two.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a date: write `2022-10-15`", crate::finding::printable(text));
        let digits = |part: &str, width: usize| {
            let fits = part.len() == width && part.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| part.parse::<i64>().ok()).flatten()
        };
        let mut parts = text.splitn(3, '-');
        let mut part = |width| digits(parts.next().unwrap_or_default(), width).ok_or_else(wrong);
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        let date = Self::from_civil(year, month, day);
        match (1..=12).contains(&month) && day >= 1 && date.civil() == (year, month, day) {
            true => Ok(date),
            false => Err(format!("`{text}` is not a day of the calendar")),
        }
    }

    /// The day of a wall time, in milliseconds since 1970 (UTC).
    pub fn of_wall_ms(wall_ms: i64) -> Self {
        Self(wall_ms.div_euclid(DAY_MS))
    }

    /// Whole days from `earlier` to this day; negative when it is later.
    pub fn days_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// Years begin in March here, so that the leap day is the last one of its year; 146,097
    /// days are 400 years.
    fn from_civil(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        Self(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + in_year - 719_468)
    }

    fn civil(self) -> (i64, i64, i64) {
        let days = self.0 + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let in_year = of_era - (365 * year + year / 4 - year / 100);
        let march = (5 * in_year + 2) / 153;
        let month = if march < 10 { march + 3 } else { march - 9 };
        let day = in_year - (153 * march + 2) / 5 + 1;
        (era * 400 + year + i64::from(month <= 2), month, day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_counted_and_shown() {
        let date = |text: &str| Date::parse(text).unwrap();
        for (text, days) in
            [("1970-01-01", 0), ("2000-02-29", 11_016), ("2022-10-15", 19_280), ("0001-01-01", -719_162)]
        {
            assert_eq!((date(text).0, date(text).to_string().as_str()), (days, text));
        }
        assert_eq!(date("2024-03-01").days_since(date("2024-02-28")), 2);
        assert_eq!(date("2023-03-01").days_since(date("2023-02-28")), 1);
        assert_eq!(Date::of_wall_ms(-1), date("1969-12-31"));
        assert_eq!(Date::of_wall_ms(1_665_815_940_000), date("2022-10-15"));
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        let first = Date::parse("1900-01-01").unwrap();
        for days in 0..146_097 {
            let day = Date(first.0 + days);
            assert_eq!(Date::parse(&day.to_string()), Ok(day));
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "2023-02-29",
            "2022-13-01",
            "2022-00-10",
            "2022-1-1",
            "15.10.2022",
            "",
            "2022-10-15x",
            "+022-10-15",
        ] {
            assert!(Date::parse(text).is_err(), "{text}");
        }
    }
}
