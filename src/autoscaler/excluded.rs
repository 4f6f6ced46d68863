//! Excluded periods: daily ranges and Quartz cron expressions (`autoscaler.md` §6.6).
//!
//! Owns reading and matching them. The local time zone comes in as data: its offset, and when that changes next.

use std::str::FromStr;

use chrono::{DateTime, FixedOffset, NaiveTime, Offset, TimeDelta, Timelike, Utc};

pub mod cron;
#[cfg(test)]
mod tests;

use cron::Cron;

use crate::domain::Timestamp;

/// A local instant.
pub type Local = DateTime<FixedOffset>;

/// The local time zone around an instant. The operator takes that of its JVM (§6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// The offset at the instant.
    offset: FixedOffset,
    /// When the offset changes next, and to what.
    change: Option<(Timestamp, FixedOffset)>,
}

impl Zone {
    /// No offset, ever.
    pub fn utc() -> Self {
        Self { offset: Utc.fix(), change: None }
    }

    /// The zone around `now` by its rule, which is asked for up to a year ahead.
    pub fn around(now: Timestamp, rule: impl Fn(Timestamp) -> FixedOffset) -> Self {
        let offset = rule(now);
        // Seasons are longer than the steps, so no change is stepped over.
        let weeks = (1..=53).map(|week| now + TimeDelta::weeks(week));
        let change = weeks.into_iter().find(|at| rule(*at) != offset).map(|mut after| {
            let mut before = after - TimeDelta::weeks(1);
            while after - before > TimeDelta::seconds(1) {
                let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
                if rule(middle) == offset {
                    before = middle;
                } else {
                    after = middle;
                }
            }
            // Offsets change on the second.
            let after = after.with_nanosecond(0).unwrap_or(after);
            (after, rule(after))
        });
        Self { offset, change }
    }

    fn local(&self, at: Timestamp) -> Local {
        at.with_timezone(&self.offset)
    }

    /// The change of the offset, if it is still to come.
    fn change_after(&self, at: Local) -> Option<Local> {
        self.change.filter(|(when, _)| at < *when).map(|(when, offset)| when.with_timezone(&offset))
    }
}

/// Why a text is no excluded period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// More than two parts.
    #[error("{0:?} has more than two parts joined by &&")]
    TooManyParts(String),
    /// A part is neither daily nor cron.
    #[error("{part:?} is neither a daily range such as 09:00-11:30 nor a Quartz cron expression: {why}")]
    Unreadable {
        /// The part.
        part: String,
        /// Why it is no cron expression.
        why: String,
    },
    /// Two parts of the same kind.
    #[error("{0:?} joins two daily ranges or two cron expressions; only one of each may be joined")]
    SameKind(String),
}

/// A daily range, both ends inclusive to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Daily {
    start: NaiveTime,
    end: NaiveTime,
}

/// One sub-expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Daily(Daily),
    Cron(Box<Cron>),
}

/// One expression: one or two parts that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    parts: Vec<Part>,
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let shown = || text.chars().take(200).collect::<String>();
        let parts: Vec<Part> = text.split("&&").map(|part| Part::parse(part.trim())).collect::<Result<_, _>>()?;
        match parts.as_slice() {
            [_] | [Part::Daily(_), Part::Cron(_)] | [Part::Cron(_), Part::Daily(_)] => Ok(Self { parts }),
            [_, _] => Err(PeriodError::SameKind(shown())),
            _ => Err(PeriodError::TooManyParts(shown())),
        }
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, PeriodError> {
        if let Some(daily) = Daily::parse(text) {
            return Ok(Self::Daily(daily));
        }
        match text.parse::<Cron>() {
            Ok(cron) => Ok(Self::Cron(Box::new(cron))),
            Err(why) => Err(PeriodError::Unreadable { part: text.chars().take(200).collect(), why: why.to_string() }),
        }
    }

    fn contains(&self, at: Local) -> bool {
        match self {
            Self::Daily(daily) => daily.contains(at),
            Self::Cron(cron) => cron.matches(at),
        }
    }

    /// The first instant after `at` at which this part no longer holds, if there is one in sight.
    fn end_after(&self, at: Local) -> Option<Local> {
        match self {
            Self::Daily(daily) => daily.end_after(at),
            Self::Cron(cron) => cron.end_after(at),
        }
    }
}

impl Daily {
    /// `HH:MM[:SS[:mmm]]-HH:MM[:SS[:mmm]]`, start strictly before end; `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('-')?;
        let (start, end) = (time_of_day(start)?, time_of_day(end)?);
        (start < end).then_some(Self { start, end })
    }

    fn contains(&self, at: Local) -> bool {
        let millis = at.nanosecond() / 1_000_000 * 1_000_000;
        let time = at.time().with_nanosecond(millis).unwrap_or(at.time());
        self.start <= time && time <= self.end
    }

    fn end_after(&self, at: Local) -> Option<Local> {
        let end = at.date_naive().and_time(self.end).checked_add_signed(TimeDelta::milliseconds(1))?;
        end.and_local_timezone(*at.offset()).single()
    }
}

/// `H:MM`, `HH:MM`, with seconds, with milliseconds; no blanks.
fn time_of_day(text: &str) -> Option<NaiveTime> {
    let fields: Vec<&str> = text.split(':').collect();
    let number = |at: usize, most_digits: usize| -> Option<u32> {
        let Some(field) = fields.get(at) else { return Some(0) };
        let digits = (1..=most_digits).contains(&field.len()) && field.bytes().all(|b| b.is_ascii_digit());
        if digits { field.parse().ok() } else { None }
    };
    if !(2..=4).contains(&fields.len()) {
        return None;
    }
    NaiveTime::from_hms_milli_opt(number(0, 2)?, number(1, 2)?, number(2, 2)?, number(3, 3)?)
}

/// How many period ends are followed at most to find the end of overlapping periods.
const MOST_STEPS: usize = 64;

impl Period {
    /// All parts hold at this instant.
    pub fn contains(&self, at: Local) -> bool {
        self.parts.iter().all(|part| part.contains(at))
    }

    /// The first instant after `at` at which some part no longer holds.
    fn end_after(&self, at: Local) -> Option<Local> {
        self.parts.iter().filter_map(|part| part.end_after(at)).min()
    }
}

/// The period that excludes an instant, and when all exclusion ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Excluded<'a> {
    /// The expression that matched first.
    pub expression: &'a str,
    /// The first instant that is not excluded; `None` if there is none in sight.
    pub until: Option<Timestamp>,
}

/// Whether an instant is excluded by any of the expressions.
///
/// # Errors
/// If an expression cannot be read; those before it are still looked at, as the operator does.
pub fn excluded(expressions: &[String], now: Timestamp, zone: Zone) -> Result<Option<Excluded<'_>>, PeriodError> {
    let at = zone.local(now);
    for expression in expressions {
        if expression.parse::<Period>()?.contains(at) {
            return Ok(Some(Excluded { expression, until: until(expressions, at, zone).map(|until| until.to_utc()) }));
        }
    }
    Ok(None)
}

/// The first instant that no expression excludes.
fn until(expressions: &[String], mut at: Local, zone: Zone) -> Option<Local> {
    let periods: Vec<Period> = expressions.iter().filter_map(|e| e.parse().ok()).collect();
    for _ in 0..MOST_STEPS {
        let Some(period) = periods.iter().find(|period| period.contains(at)) else { return Some(at) };
        // Where the clocks change, the wall says another time: it is looked at anew from there.
        at = [period.end_after(at), zone.change_after(at)].into_iter().flatten().min()?;
    }
    None
}
