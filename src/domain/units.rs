//! Units of measure, and how non-finite numbers are written.

use serde::{Deserialize, Serialize};

/// What a number in an explanation or a chart is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Records per second of a whole vertex (all subtasks together).
    RecordsPerSecond,
    /// Records.
    Records,
    /// A ratio; 1.0 is the whole.
    Ratio,
    /// Milliseconds per second, 0..=1000 for one subtask.
    MsPerSecond,
    /// Bytes.
    Bytes,
    /// Parallel subtasks of a vertex.
    Subtasks,
    /// TaskManagers.
    TaskManagers,
    /// Task slots.
    Slots,
    /// Cpu cores.
    Cores,
    /// Seconds.
    Seconds,
    /// A plain number.
    None,
}

/// Serde helper for doubles that may be NaN or infinite: finite values are JSON numbers, the others the strings `"NaN"`,
/// `"Infinity"` and `"-Infinity"`. `null` reads as NaN. Use as `#[serde(with = "nonfinite")]`.
pub mod nonfinite {
    use serde::de::{self, Deserializer, Visitor};
    use serde::ser::Serializer;

    /// Writes a double.
    ///
    /// # Errors
    /// Only what the serializer itself reports.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_nan() {
            serializer.serialize_str("NaN")
        } else if value.is_infinite() {
            serializer.serialize_str(if *value > 0.0 { "Infinity" } else { "-Infinity" })
        } else {
            serializer.serialize_f64(*value)
        }
    }

    /// One of the three words.
    pub fn word(text: &str) -> Option<f64> {
        match text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        }
    }

    /// Reads a double: a number, one of the three words, or null.
    ///
    /// # Errors
    /// If the value is neither a number nor one of the three words.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        read(deserializer, "a number, \"NaN\", \"Infinity\" or \"-Infinity\"", word)
    }

    /// Reads a double: a number, a text by `parse`, or null, which is NaN. `expected` says what is wanted.
    ///
    /// # Errors
    /// If the value is none of them.
    pub fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        expected: &'static str,
        parse: fn(&str) -> Option<f64>,
    ) -> Result<f64, D::Error> {
        struct V(&'static str, fn(&str) -> Option<f64>);
        impl Visitor<'_> for V {
            type Value = f64;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<f64, E> {
                Ok(v)
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<f64, E> {
                Ok(v as f64)
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<f64, E> {
                Ok(v as f64)
            }
            fn visit_unit<E: de::Error>(self) -> Result<f64, E> {
                Ok(f64::NAN)
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<f64, E> {
                (self.1)(v).ok_or_else(|| E::invalid_value(de::Unexpected::Str(v), &self))
            }
        }
        deserializer.deserialize_any(V(expected, parse))
    }
}

/// The same for a double that may be missing: `null`.
pub mod nonfinite_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Present(#[serde(with = "super::nonfinite")] f64);

    /// Writes a double or null.
    ///
    /// # Errors
    /// Only what the serializer itself reports.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Present).serialize(serializer)
    }

    /// Reads a double: a number, one of the three words, or null.
    ///
    /// # Errors
    /// If the value is none of these.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Present>::deserialize(deserializer)?.map(|present| present.0))
    }
}
