//! Times of the week by cron's five fields, in UTC: `minute hour day-of-month month day-of-week`.
//!
//! This room owns reading such an expression and the next time it names. It must not know a clock: times are passed
//! in. (Two dozen lines of calendar, by Howard Hinnant's "chrono-compatible low-level date algorithms", instead of
//! a crate that would bring its own idea of time zones into the filter.)
#![deny(clippy::indexing_slicing)]

/// Milliseconds of a minute and minutes of a day.
const MINUTE_MS: u64 = 60_000;
const DAY_MINUTES: u64 = 24 * 60;
/// Days looked ahead: a leap day comes again after at most eight years.
const HORIZON_DAYS: u64 = 8 * 366;

/// Name, least and greatest number of each field.
const FIELDS: [(&str, u32, u32); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
];

/// A cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    /// Of each field, bit n is set if n fits.
    fields: [u64; 5],
    /// Whether the day of the month, and that of the week, are restricted: if both are, either may fit.
    days: [bool; 2],
}

// === impl Cron ===

impl Cron {
    /// Reads five fields of `*`, numbers, ranges `a-b`, steps `/n` and lists of these; Sunday is 0 or 7.
    ///
    /// # Errors
    ///
    /// A clause that says which field is wrong, or that no day ever fits.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let Ok(words) = <[&str; 5]>::try_from(words.as_slice()) else {
            return Err(
                "must have five fields: minute, hour, day of the month, month, day of the week".into()
            );
        };
        let mut fields = [0; 5];
        for ((field, word), (name, low, high)) in fields.iter_mut().zip(words).zip(FIELDS) {
            *field = parse_field(word, low, high).ok_or_else(|| {
                format!("has \"{word}\" as its {name}, which must be *, numbers from {low} to {high}, ranges or steps")
            })?;
        }
        let [.., weekdays] = &mut fields;
        *weekdays |= *weekdays >> 7 & 1;
        let [_, _, day, _, weekday] = words;
        let days = [day, weekday].map(|word| !word.starts_with('*'));
        let cron = Self { text: words.join(" "), fields, days };
        match cron.next(0) {
            Some(_) => Ok(cron),
            None => Err("names a day that never comes".into()),
        }
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first time after `after`, both in milliseconds since the Unix epoch.
    pub fn next(&self, after: u64) -> Option<u64> {
        let first = after / MINUTE_MS + 1;
        let today = first / DAY_MINUTES;
        let [minutes, hours, ..] = self.fields;
        for day in (today..today + HORIZON_DAYS).filter(|day| self.holds_on(*day)) {
            let from = if day == today { first % DAY_MINUTES } else { 0 };
            let fits = |minute: &u64| hours >> (minute / 60) & 1 == 1 && minutes >> (minute % 60) & 1 == 1;
            if let Some(minute) = (from..DAY_MINUTES).find(fits) {
                return Some((day * DAY_MINUTES + minute) * MINUTE_MS);
            }
        }
        None
    }

    fn holds_on(&self, day: u64) -> bool {
        let (month, of_month) = month_and_day(day);
        let [_, _, days, months, weekdays] = self.fields;
        // The epoch was a Thursday.
        let weekday = (day + 4) % 7;
        let fits = [days >> of_month & 1 == 1, weekdays >> weekday & 1 == 1];
        let day_fits = if self.days == [true, true] { fits.contains(&true) } else { fits == [true, true] };
        months >> month & 1 == 1 && day_fits
    }
}

fn parse_field(word: &str, low: u32, high: u32) -> Option<u64> {
    word.split(',').try_fold(0, |bits, part| Some(bits | parse_part(part, low, high)?))
}

fn parse_part(part: &str, low: u32, high: u32) -> Option<u64> {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, step.parse::<u32>().ok().filter(|n| *n > 0)?),
        None => (part, 1),
    };
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| (low..=high).contains(n));
    let (from, to) = match range.split_once('-') {
        _ if range == "*" => (low, high),
        Some((from, to)) => (number(from)?, number(to)?),
        // `5/15`: from there on.
        None if part.contains('/') => (number(range)?, high),
        None => (number(range)?, number(range)?),
    };
    (from <= to).then(|| (from..=to).step_by(step as usize).fold(0, |bits, n| bits | 1 << n))
}

/// Month 1..=12 and day 1..=31 of a day since the epoch (Hinnant's `civil_from_days`).
fn month_and_day(day: u64) -> (u64, u64) {
    let of_era = (day + 719_468) % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    (if month < 10 { month + 3 } else { month - 9 }, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T10:30:00Z, a Saturday.
    const NOW: u64 = 1_795_257_000_000;
    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;

    fn next(text: &str) -> u64 {
        Cron::parse(text).unwrap().next(NOW).unwrap()
    }

    #[test]
    fn the_next_time_is_after_now_and_fits_every_field() {
        let midnight = NOW - 10 * HOUR - HOUR / 2;
        assert_eq!(next("*/15 * * * *"), NOW + HOUR / 4);
        assert_eq!(next("30 10 * * *"), NOW + DAY, "now itself is over");
        assert_eq!(next("0 */6 * * *"), midnight + 12 * HOUR);
        assert_eq!(next("0 6 * * 1"), midnight + 2 * DAY + 6 * HOUR, "Monday");
        assert_eq!(next("0 6 * * 0"), next("0 6 * * 7"), "Sunday has two numbers");
        assert_eq!(next("0 0 1 1 *"), midnight + 41 * DAY, "the new year");
        assert_eq!(next("5-10/5,59 10 * * *"), NOW + 29 * MINUTE_MS);
        assert_eq!(next("0 0 22 * 1"), midnight + DAY, "of two restricted days either fits");
    }

    #[test]
    fn leap_days_come_again() {
        // 2028-02-29.
        assert_eq!(next("0 0 29 2 *"), 1_835_395_200_000);
    }

    #[test]
    fn what_names_no_time_is_refused_with_its_field() {
        for (text, part) in [
            ("* * * *", "five fields"),
            ("60 * * * *", "minute"),
            ("* * 0 * *", "day of the month"),
            ("* * * jan *", "month"),
            ("*/0 * * * *", "minute"),
            ("5-1 * * * *", "minute"),
            ("0 0 31 2 *", "never comes"),
        ] {
            let why = Cron::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
