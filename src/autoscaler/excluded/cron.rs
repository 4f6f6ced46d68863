//! Quartz cron expressions: reading, and whether a second matches (`autoscaler.md` §6.6).
//!
//! Six fields (second, minute, hour, day of month, month, day of week) and an optional year. Day of week counts 1 = Sunday to
//! 7 = Saturday; exactly one of day of month and day of week must be `?`.

use std::str::FromStr;

use chrono::{Datelike, NaiveDate, TimeDelta, Timelike};

use super::Local;

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Wrong number of fields.
    #[error("six or seven fields are needed, there are {0}")]
    Fields(usize),
    /// A field cannot be read.
    #[error("{text:?} is no {field}")]
    Field {
        /// Which field.
        field: &'static str,
        /// Its text.
        text: String,
    },
    /// Both day fields are given, or none.
    #[error("exactly one of day of month and day of week must be ?")]
    Days,
}

/// The values of a field; years are counted from [`YEAR_ZERO`], and earlier ones never come again.
type Set = u128;

const FIRST_YEAR: u32 = 1970;
const YEAR_ZERO: u32 = 1990;
const LAST_YEAR: u32 = YEAR_ZERO + 127;

/// A field: its name, least and greatest value, and names that stand for values.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const SECOND: Field = Field { name: "second", least: 0, most: 59, names: &[] };
const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "day of month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const WEEKDAY: Field =
    Field { name: "day of week", least: 1, most: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };
const YEAR: Field = Field { name: "year", least: FIRST_YEAR, most: LAST_YEAR, names: &[] };

/// The day part of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Days {
    /// Days of the month.
    OfMonth(Set),
    /// So many days before the last day of the month; on the nearest weekday if `weekday`.
    FromLast { before: u32, weekday: bool },
    /// The weekday nearest to a day of the month, in the same month.
    Nearest(u32),
    /// Days of the week.
    OfWeek(Set),
    /// The n-th such day of the week in the month.
    Nth { weekday: u32, nth: u32 },
    /// The last such day of the week in the month.
    Last(u32),
}

/// A cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    seconds: Set,
    minutes: Set,
    hours: Set,
    days: Days,
    months: Set,
    years: Set,
}

impl Field {
    fn error(&self, text: &str) -> CronError {
        CronError::Field { field: self.name, text: text.chars().take(60).collect() }
    }

    /// The value that a text stands for.
    fn value(&self, text: &str) -> Option<u32> {
        if let Some(at) = self.names.iter().position(|name| *name == text) {
            return u32::try_from(at).ok().map(|at| at + 1);
        }
        let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
        let value = if digits { text.parse().ok()? } else { return None };
        (self.least..=self.most).contains(&value).then_some(value)
    }

    fn bit(&self, value: u32) -> Set {
        let zero = if self.least == FIRST_YEAR { YEAR_ZERO } else { 0 };
        value.checked_sub(zero).map_or(0, |bit| 1 << bit)
    }

    /// Values from `start` to `end` in steps; a range that ends before it starts goes round.
    fn range(&self, start: u32, end: u32, step: u32) -> Set {
        let span = self.most - self.least + 1;
        let length = if end >= start { end - start } else { end + span - start };
        let values = (0..=length).step_by(step as usize).map(|by| self.least + (start - self.least + by) % span);
        values.fold(0, |set, value| set | self.bit(value))
    }

    /// The set of a field: values, ranges, steps, lists of them.
    fn set(&self, text: &str) -> Result<Set, CronError> {
        let mut set = 0;
        for item in text.split(',') {
            set |= self.item(item).ok_or_else(|| self.error(text))?;
        }
        Ok(set)
    }

    fn item(&self, item: &str) -> Option<Set> {
        let (values, step) = match item.split_once('/') {
            Some((values, step)) => (values, Some(self.step(step)?)),
            None => (item, None),
        };
        let every = step.unwrap_or(1);
        if values == "*" || (values.is_empty() && step.is_some()) {
            return Some(self.range(self.least, self.most, every));
        }
        if let Some((start, end)) = values.split_once('-') {
            return Some(self.range(self.value(start)?, self.value(end)?, every));
        }
        let start = self.value(values)?;
        match step {
            Some(step) => Some(self.range(start, self.most, step)),
            None => Some(self.bit(start)),
        }
    }

    fn step(&self, text: &str) -> Option<u32> {
        let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
        let step: u32 = if digits { text.parse().ok()? } else { return None };
        (1..=self.most).contains(&step).then_some(step)
    }
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let upper = text.to_ascii_uppercase();
        let fields: Vec<&str> = upper.split_ascii_whitespace().collect();
        let (day, weekday, year) = match fields.as_slice() {
            [_, _, _, day, _, weekday] => (*day, *weekday, "*"),
            [_, _, _, day, _, weekday, year] => (*day, *weekday, *year),
            _ => return Err(CronError::Fields(fields.len())),
        };
        let days = match (day, weekday) {
            ("?", "?") => return Err(CronError::Days),
            (day, "?") => days_of_month(day)?,
            ("?", weekday) => days_of_week(weekday)?,
            _ => return Err(CronError::Days),
        };
        Ok(Self {
            seconds: SECOND.set(fields[0])?,
            minutes: MINUTE.set(fields[1])?,
            hours: HOUR.set(fields[2])?,
            days,
            months: MONTH.set(fields[4])?,
            years: YEAR.set(year)?,
        })
    }
}

fn days_of_month(text: &str) -> Result<Days, CronError> {
    if let Some(rest) = text.strip_prefix('L') {
        let (rest, weekday) = match rest.strip_suffix('W') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let before = match rest.strip_prefix('-') {
            Some(days) => days.parse().ok().filter(|days| *days <= 30),
            None => rest.is_empty().then_some(0),
        };
        return before.map(|before| Days::FromLast { before, weekday }).ok_or_else(|| DAY.error(text));
    }
    if let Some(day) = text.strip_suffix('W') {
        return DAY.value(day).map(Days::Nearest).ok_or_else(|| DAY.error(text));
    }
    DAY.set(text).map(Days::OfMonth)
}

fn days_of_week(text: &str) -> Result<Days, CronError> {
    if let Some((weekday, nth)) = text.split_once('#') {
        let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth));
        let parsed = WEEKDAY.value(weekday).zip(nth).map(|(weekday, nth)| Days::Nth { weekday, nth });
        return parsed.ok_or_else(|| WEEKDAY.error(text));
    }
    match text.strip_suffix('L') {
        // Alone it is the last day of the week.
        Some("") => Ok(Days::OfWeek(WEEKDAY.bit(7))),
        Some(weekday) => WEEKDAY.value(weekday).map(Days::Last).ok_or_else(|| WEEKDAY.error(text)),
        None => WEEKDAY.set(text).map(Days::OfWeek),
    }
}

fn has(set: Set, value: u32) -> bool {
    value < 128 && set & (1 << value) != 0
}

/// Sunday is 1.
fn weekday(date: NaiveDate) -> u32 {
    date.weekday().num_days_from_sunday() + 1
}

fn last_day(date: NaiveDate) -> u32 {
    u32::from(date.num_days_in_month())
}

/// The weekday (Monday to Friday) nearest to a day of the month of `date`, in the same month.
fn nearest_weekday(date: NaiveDate, day: u32) -> Option<u32> {
    let last = last_day(date);
    let day = day.min(last);
    Some(match weekday(date.with_day(day)?) {
        7 if day == 1 => day + 2,
        7 => day - 1,
        1 if day == last => day - 2,
        1 => day + 1,
        _ => day,
    })
}

impl Days {
    fn matches(&self, date: NaiveDate) -> bool {
        let (day, last) = (date.day(), last_day(date));
        match *self {
            Self::OfMonth(set) => has(set, day),
            Self::FromLast { before, weekday: false } => day + before == last,
            Self::FromLast { before, weekday: true } => {
                nearest_weekday(date, last.saturating_sub(before).max(1)) == Some(day)
            }
            Self::Nearest(wanted) => nearest_weekday(date, wanted) == Some(day),
            Self::OfWeek(set) => has(set, weekday(date)),
            Self::Nth { weekday: wanted, nth } => weekday(date) == wanted && (day - 1) / 7 + 1 == nth,
            Self::Last(wanted) => weekday(date) == wanted && day + 7 > last,
        }
    }

    fn every_day(&self) -> bool {
        match *self {
            Self::OfMonth(set) => set == DAY.range(DAY.least, DAY.most, 1),
            Self::OfWeek(set) => set == WEEKDAY.range(WEEKDAY.least, WEEKDAY.most, 1),
            Self::FromLast { .. } | Self::Nearest(_) | Self::Nth { .. } | Self::Last(_) => false,
        }
    }
}

/// How many days, hours, minutes or seconds are looked at to find the end of a period.
const MOST_STEPS: usize = 4000;

impl Cron {
    /// The second that contains the instant matches; milliseconds do not count.
    pub fn matches(&self, at: Local) -> bool {
        let date = at.date_naive();
        has(self.seconds, at.second())
            && has(self.minutes, at.minute())
            && has(self.hours, at.hour())
            && has(self.months, date.month())
            && u32::try_from(date.year())
                .ok()
                .and_then(|year| year.checked_sub(YEAR_ZERO))
                .is_some_and(|year| has(self.years, year))
            && self.days.matches(date)
    }

    /// The first whole second after `at` that does not match; `None` if none is found in sight.
    pub fn end_after(&self, at: Local) -> Option<Local> {
        let every = |field: &Field, set: Set| set == field.range(field.least, field.most, 1);
        let seconds = every(&SECOND, self.seconds);
        let minutes = seconds && every(&MINUTE, self.minutes);
        let hours = minutes && every(&HOUR, self.hours);
        if hours && self.days.every_day() && every(&MONTH, self.months) && every(&YEAR, self.years) {
            return None;
        }
        // Everything below the coarsest restricted field matches throughout, so the search steps over it.
        let midnight = i64::from(at.num_seconds_from_midnight());
        let (into, step) = match (hours, minutes, seconds) {
            (true, _, _) => (midnight, 86_400),
            (_, true, _) => (midnight % 3600, 3600),
            (_, _, true) => (midnight % 60, 60),
            _ => (0, 1),
        };
        let start = at.with_nanosecond(0)?.checked_sub_signed(TimeDelta::seconds(into))?;
        let mut candidates = std::iter::successors(start.checked_add_signed(TimeDelta::seconds(step)), |at| {
            at.checked_add_signed(TimeDelta::seconds(step))
        });
        candidates.by_ref().take(MOST_STEPS).find(|candidate| !self.matches(*candidate))
    }
}
