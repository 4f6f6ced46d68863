//! Values as Flink writes them in a configuration: booleans, numbers, durations, memory sizes, enums, lists and maps.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::autoscaler::generation::Generation;

/// A value that can be read from the text of a Flink configuration (`autoscaler.md` §13.1).
pub trait OptionValue: Sized + Default {
    /// The type as documentation names it.
    const KIND: &'static str;
    /// What a text must look like, for error messages.
    const EXPECTED: &'static str;

    /// Reads a text. `None` if it has not the expected form.
    fn parse(text: &str, generation: Generation) -> Option<Self>;
}

/// An optional value; unset unless configured.
impl<T: OptionValue> OptionValue for Option<T> {
    const KIND: &'static str = T::KIND;
    const EXPECTED: &'static str = T::EXPECTED;

    fn parse(text: &str, generation: Generation) -> Option<Self> {
        T::parse(text, generation).map(Some)
    }
}

impl OptionValue for bool {
    const KIND: &'static str = "boolean";
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str, _: Generation) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

impl OptionValue for i32 {
    const KIND: &'static str = "integer";
    const EXPECTED: &'static str = "a whole number such as 200";

    fn parse(text: &str, _: Generation) -> Option<Self> {
        text.parse().ok()
    }
}

/// A decimal text as Java reads it: blanks around it and a type letter after it are allowed, Rust's spellings of infinity are not.
fn java_decimal(text: &str) -> Option<&str> {
    let text = text.trim();
    let unsigned = text.trim_start_matches(['+', '-']);
    match unsigned {
        "NaN" | "Infinity" => Some(text),
        _ if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            Some(text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text))
        }
        _ => None,
    }
}

impl OptionValue for f64 {
    const KIND: &'static str = "number";
    const EXPECTED: &'static str = "a number such as 0.7";

    fn parse(text: &str, _: Generation) -> Option<Self> {
        java_decimal(text)?.parse().ok()
    }
}

/// Flink keeps memory fractions as 32-bit floats; they are widened to double before use (`autoscaler.md` §0.3).
impl OptionValue for f32 {
    const KIND: &'static str = "fraction";
    const EXPECTED: &'static str = "a number such as 0.4";

    fn parse(text: &str, _: Generation) -> Option<Self> {
        java_decimal(text)?.parse().ok()
    }
}

/// Splits leading digits from the unit behind them; blanks around both do not count.
fn number_and_unit(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim().to_ascii_lowercase()))
}

impl OptionValue for Duration {
    const KIND: &'static str = "duration";
    const EXPECTED: &'static str =
        "a duration: a whole number and one of d, h, min, s, ms, such as \"5 min\"; a bare number is milliseconds";

    fn parse(text: &str, _: Generation) -> Option<Self> {
        let (number, unit) = number_and_unit(text)?;
        let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
        match unit.as_str() {
            "d" | "day" | "days" => seconds(86_400),
            "h" | "hour" | "hours" => seconds(3_600),
            "min" | "m" | "minute" | "minutes" => seconds(60),
            "s" | "sec" | "secs" | "second" | "seconds" => seconds(1),
            "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => Some(Duration::from_millis(number)),
            "µs" | "micro" | "micros" | "microsecond" | "microseconds" => Some(Duration::from_micros(number)),
            "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => Some(Duration::from_nanos(number)),
            _ => None,
        }
        .filter(|d| i64::try_from(d.as_millis()).is_ok())
    }
}

/// A size of memory in bytes, read and written as Flink does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct MemorySize(pub u64);

impl MemorySize {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    const TIB: u64 = 1 << 40;

    /// So many mebibytes.
    pub const fn mib(mebibytes: u64) -> Self {
        Self(mebibytes * Self::MIB)
    }
}

/// `<number> <unit>` in the largest of bytes, kb, mb, gb that divides the value; a multiple of 1 TiB (0 too) in bytes (§7.6).
impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (divisor, unit) = [(Self::TIB, ""), (Self::GIB, "gb"), (Self::MIB, "mb"), (Self::KIB, "kb")]
            .into_iter()
            .find(|(divisor, _)| self.0.is_multiple_of(*divisor))
            .unwrap_or((1, ""));
        match unit {
            "" => write!(f, "{} bytes", self.0),
            _ => write!(f, "{} {unit}", self.0 / divisor),
        }
    }
}

impl OptionValue for MemorySize {
    const KIND: &'static str = "memory size";
    const EXPECTED: &'static str =
        "a memory size: a whole number and one of b, kb, mb, gb, tb, such as \"4 gb\"; a bare number is bytes";

    fn parse(text: &str, _: Generation) -> Option<Self> {
        let (number, unit) = number_and_unit(text)?;
        let factor = match unit.as_str() {
            "" | "b" | "bytes" => 1,
            "k" | "kb" | "kibibytes" => Self::KIB,
            "m" | "mb" | "mebibytes" => Self::MIB,
            "g" | "gb" | "gibibytes" => Self::GIB,
            "t" | "tb" | "tebibytes" => Self::TIB,
            _ => return None,
        };
        number.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok()).map(Self)
    }
}

impl OptionValue for String {
    const KIND: &'static str = "text";
    const EXPECTED: &'static str = "a text";

    fn parse(text: &str, _: Generation) -> Option<Self> {
        Some(text.to_owned())
    }
}

macro_rules! option_enum {
    ($(#[$doc:meta])* $name:ident ($kind:literal) { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// The name as configured.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
        impl OptionValue for $name {
            const KIND: &'static str = $kind;
            const EXPECTED: &'static str = concat!("one of", $(" ", $text),+);

            fn parse(text: &str, _: Generation) -> Option<Self> {
                [$(Self::$variant),+].into_iter().find(|v| v.name().eq_ignore_ascii_case(text))
            }
        }
    };
}

option_enum! {
    /// How the busy gauge of the subtasks of a vertex becomes one number (`autoscaler.md` §2.6, §4.6).
    BusyTimeAggregator ("MAX, AVG or MIN") {
        /// The busiest subtask counts.
        #[default]
        Max = "MAX",
        /// The mean of the subtasks counts.
        Avg = "AVG",
        /// The least busy subtask counts.
        Min = "MIN",
    }
}

option_enum! {
    /// The legacy alignment mode (`autoscaler.md` §5.3).
    KeyGroupAdjustMode ("EVENLY_SPREAD or MAXIMIZE_UTILISATION") {
        /// Only divisors of the key groups or partitions.
        #[default]
        EvenlySpread = "EVENLY_SPREAD",
        /// Also values that lower the load of the fullest subtask.
        MaximizeUtilisation = "MAXIMIZE_UTILISATION",
    }
}

impl OptionValue for Vec<String> {
    const KIND: &'static str = "list";
    const EXPECTED: &'static str = "a list with ; between its elements";

    fn parse(text: &str, generation: Generation) -> Option<Self> {
        let flow = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match (generation, flow) {
            // Flink 1.20 reads YAML flow lists too.
            (Generation::Main, Some(inner)) => split_escaped(inner, ','),
            _ => split_escaped(text, ';'),
        }
    }
}

impl OptionValue for BTreeMap<String, String> {
    const KIND: &'static str = "map";
    const EXPECTED: &'static str = "a map such as key1:value1,key2:value2";

    fn parse(text: &str, generation: Generation) -> Option<Self> {
        let flow = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let (text, yaml) = match (generation, flow) {
            (Generation::Main, Some(inner)) => (inner, true),
            _ => (text, false),
        };
        let mut map = Self::new();
        for entry in split_quoted(text, ',')? {
            // An entry that is quoted as a whole still holds its delimiter inside.
            let entry = if yaml { entry } else { unquote(&entry)? };
            match split_escaped(&entry, ':')?.as_slice() {
                [key, value] => map.insert(key.clone(), value.clone()),
                _ => return None,
            };
        }
        Some(map)
    }
}

/// Splits at a delimiter outside of quotes, takes the quotes away and drops blanks around and empty elements.
fn split_escaped(text: &str, delimiter: char) -> Option<Vec<String>> {
    split_quoted(text, delimiter)?.iter().map(|element| unquote(element)).collect()
}

/// Splits at a delimiter outside of quotes and keeps the quotes. `None` if a quote is not closed.
fn split_quoted(text: &str, delimiter: char) -> Option<Vec<String>> {
    let mut elements = vec![String::new()];
    let mut quote = None;
    for c in text.chars() {
        match quote {
            None if c == delimiter => {
                elements.push(String::new());
                continue;
            }
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        if let Some(last) = elements.last_mut() {
            last.push(c);
        }
    }
    let trimmed = elements.iter().map(|e| e.trim().to_owned()).filter(|e| !e.is_empty()).collect();
    quote.is_none().then_some(trimmed)
}

/// Takes the quotes from an element; a doubled quote inside stands for one. `None` if there are quotes only in the middle.
fn unquote(element: &str) -> Option<String> {
    for quote in ['\'', '"'] {
        if let Some(rest) = element.strip_prefix(quote) {
            return rest.strip_suffix(quote).map(|inner| inner.replace(&format!("{quote}{quote}"), &quote.to_string()));
        }
    }
    Some(element.to_owned())
}
