//! Java's number semantics (`autoscaler.md` §0.2, §0.3): rounding on the shortest decimal text, NaN-keeping minimum and
//! maximum, `Math.round`, and the texts of doubles in events.
//!
//! Owns nothing but arithmetic. Rust's own `f64::max`, `f64::round` and `{:.2}` differ from Java's in the cases named here.

use std::io::Write;

/// Which way a decimal is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, ties away from zero.
    HalfUp,
    /// Towards positive infinity.
    Ceiling,
}

/// `Math.max`: NaN if either is NaN.
pub fn max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// `Math.min`: NaN if either is NaN.
pub fn min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// `Math.round` as a double: nearest whole number, ties towards positive infinity; NaN gives 0, the result is a 64-bit integer.
pub fn round(x: f64) -> f64 {
    let floor = x.floor();
    let nearest = if x - floor >= 0.5 { floor + 1.0 } else { floor };
    // The cast is Java's: it saturates, and NaN gives 0.
    nearest as i64 as f64
}

/// The rounding of every stored metric (§0.2): three decimals, ties away from zero, but never down to zero.
pub fn round3(x: f64) -> f64 {
    if x.fract() == 0.0 || !x.is_finite() {
        return x;
    }
    // Scaling by 1000 is off by less than 1e-4 below this limit, so away from a tie the nearest whole number is certain, and
    // dividing it by 1000 gives the double nearest to that decimal: the same as going through text, without the text.
    let scaled = x * 1000.0;
    let whole = scaled.round();
    let certain = scaled.abs() < 1e11 && ((scaled - scaled.floor()) - 0.5).abs() > 1e-4;
    let rounded = if certain { whole / 1000.0 } else { round_decimal(x, 3, Rounding::HalfUp) };
    if rounded == 0.0 { x } else { rounded }
}

/// Rounds the shortest decimal text of a double to `places` decimals. Non-finite doubles stay as they are.
pub fn round_decimal(x: f64, places: u32, rounding: Rounding) -> f64 {
    if !x.is_finite() {
        return x;
    }
    let digits = Digits::of(x);
    if digits.kept(places) >= digits.len as i64 {
        return x;
    }
    let sign = if digits.negative { "-" } else { "" };
    let whole = digits.scaled(places, rounding);
    format!("{sign}{whole}e-{places}").parse().unwrap_or(x)
}

/// The text of `%.2f`: half up on the shortest decimal text.
pub fn two_decimals(x: f64) -> String {
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    // As in `round3`: away from a tie the nearest whole number of hundredths is certain.
    let scaled = x.abs() * 100.0;
    if scaled < 1e11 && ((scaled - scaled.floor()) - 0.5).abs() > 1e-4 {
        let hundredths = scaled.round() as u64;
        let sign = if x.is_sign_negative() { "-" } else { "" };
        return format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100);
    }
    two_decimals_by_digits(x)
}

/// The text of `%.2f` of a finite double, by its shortest decimal text.
fn two_decimals_by_digits(x: f64) -> String {
    let digits = Digits::of(x);
    let kept = digits.kept(2);
    let mut text = if kept >= digits.len as i64 {
        let zeros = usize::try_from(kept - digits.len as i64).unwrap_or(0);
        format!("{}{}", digits.text(), "0".repeat(zeros))
    } else {
        digits.scaled(2, Rounding::HalfUp).to_string()
    };
    while text.len() < 3 {
        text.insert(0, '0');
    }
    text.insert(text.len() - 2, '.');
    if digits.negative {
        text.insert(0, '-');
    }
    text
}

/// `Double.toString`: always a fraction, exponent form below 1e-3 and from 1e7.
pub fn double_text(x: f64) -> String {
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = x.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{x:?}");
    }
    Digits::of(x).exponent_form()
}

/// `Float.toString` of a finite float, by the same rules.
pub fn float_text(x: f32) -> String {
    let magnitude = x.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{x:?}");
    }
    if (TWO_25..TWO_63).contains(&f64::from(magnitude)) {
        // Java 17 prints whole floats as it prints whole doubles, with more digits than would be needed.
        return Digits::of_large(magnitude as u64, 24, x.is_sign_negative()).exponent_form();
    }
    let text = format!("{x:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let fraction = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{fraction}E{exponent}")
}

const TWO_25: f64 = (1u64 << 25) as f64;
const TWO_54: f64 = (1u64 << 54) as f64;
const TWO_63: f64 = (1u64 << 63) as f64;

/// The decimal digits of a finite double as Java prints them, the shortest that read as the same double:
/// `0.DIGITS * 10^point`. From 2^54 to 2^63 Java prints the whole number itself and only leaves away, rounded half up,
/// as many digits as the lowest bits of the double cannot tell apart.
#[derive(Debug)]
struct Digits {
    negative: bool,
    /// ASCII digits without trailing zeros (one zero for zero itself).
    digits: [u8; 20],
    len: usize,
    point: i64,
}

impl Digits {
    fn of(x: f64) -> Self {
        let magnitude = x.abs();
        if (TWO_54..TWO_63).contains(&magnitude) {
            return Self::of_large(magnitude as u64, 53, x.is_sign_negative());
        }
        // The longest text is like -1.2345678901234567e-308.
        let mut buffer = [0u8; 32];
        let mut rest = &mut buffer[..];
        let fits = write!(rest, "{magnitude:e}").is_ok();
        debug_assert!(fits);
        let unused = rest.len();
        let written = buffer.len() - unused;
        let text = &buffer[..written];
        let split = text.iter().position(|b| *b == b'e').unwrap_or(written);
        let mut digits = [0u8; 20];
        let mut len = 0;
        for digit in text[..split].iter().filter(|b| b.is_ascii_digit()) {
            digits[len] = *digit;
            len += 1;
        }
        let exponent = std::str::from_utf8(&text[(split + 1).min(written)..]).ok().and_then(|e| e.parse::<i64>().ok());
        Self { negative: x.is_sign_negative(), digits, len, point: exponent.unwrap_or(0) + 1 }
    }

    /// Of a whole number that is a binary number of so many significant bits, at least two more in all.
    fn of_large(whole: u64, significant_bits: u32, negative: bool) -> Self {
        // The distance between two such numbers is 2^(place of the highest bit - significant bits + 1); half of it is left open.
        let unit = 10u64.pow((1u64 << (whole.ilog2() - significant_bits - 1)).ilog10());
        let (quotient, remainder) = (whole / unit, whole % unit);
        let text = (quotient + u64::from(unit > 1 && remainder >= unit / 2)).to_string();
        let point = text.len() as i64 + i64::from(unit.ilog10());
        let mut digits = [0u8; 20];
        let mut len = 0;
        for digit in text.trim_end_matches('0').bytes() {
            digits[len] = digit;
            len += 1;
        }
        Self { negative, digits, len, point }
    }

    /// `1.25E7`: always a fraction.
    fn exponent_form(&self) -> String {
        let (first, rest) = self.text().split_at(1);
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{first}.{}E{}", if rest.is_empty() { "0" } else { rest }, self.point - 1)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.len]).unwrap_or("0")
    }

    /// How many of the digits stand before or at the last kept decimal.
    fn kept(&self, places: u32) -> i64 {
        self.point + i64::from(places)
    }

    /// The magnitude times `10^places`, rounded to a whole number. Only for fewer kept digits than there are.
    fn scaled(&self, places: u32, rounding: Rounding) -> u64 {
        let kept = self.kept(places);
        let up = match rounding {
            Rounding::HalfUp => usize::try_from(kept).is_ok_and(|at| self.digits[at] >= b'5'),
            // Digits are dropped, and the last one is no zero.
            Rounding::Ceiling => !self.negative,
        };
        let prefix = usize::try_from(kept).unwrap_or(0);
        let whole = self.digits[..prefix].iter().fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'));
        whole + u64::from(up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn round3_as_in_the_table_of_the_contract() {
        let table = [
            (0.0004, 0.0004),
            (0.0005, 0.001),
            (0.00049, 0.00049),
            (1.0005, 1.001),
            (2.0015, 2.002),
            (2.675, 2.675),
            (420.8335, 420.834),
            (123456789.123456, 123456789.123),
            (-1.0005, -1.001),
            (1e-10, 1e-10),
            (1e300, 1e300),
            (f64::INFINITY, f64::INFINITY),
        ];
        for (x, rounded) in table {
            assert_eq!(round3(x).to_bits(), f64::to_bits(rounded), "{x}");
        }
        assert!(round3(f64::NAN).is_nan());
    }

    #[test]
    fn java_minimum_maximum_and_rounding() {
        assert!(max(f64::NAN, 1.0).is_nan() && min(1.0, f64::NAN).is_nan());
        assert_eq!((max(1.0, 2.0), min(1.0, f64::INFINITY)), (2.0, 1.0));
        assert_eq!((round(2.5), round(-2.5), round(-2.51), round(0.49999999999999994)), (3.0, -2.0, -3.0, 0.0));
        assert_eq!((round(f64::NAN), round(f64::INFINITY)), (0.0, i64::MAX as f64));
    }

    #[test]
    fn texts_of_doubles() {
        let two = [
            (1.005, "1.01"),
            (0.125, "0.13"),
            (0.001, "0.00"),
            (-0.001, "-0.00"),
            (0.0, "0.00"),
            (100.0, "100.00"),
            (12424.678, "12424.68"),
            (9.995, "10.00"),
            (1e15, "1000000000000000.00"),
            (1.333_5e16, "13335000000000000.00"),
            (70_014_217_841_133_664.0, "70014217841133664.00"),
            (-6_754_910_133_341_463_552.0, "-6754910133341463600.00"),
            (9.1e18, "9100000000000000000.00"),
            (TWO_63, "9223372036854776000.00"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
        ];
        for (x, text) in two {
            assert_eq!(two_decimals(x), text);
        }
        let full = [
            (90.0, "90.0"),
            (5.0, "5.0"),
            (1e7, "1.0E7"),
            (12345678.9, "1.23456789E7"),
            (0.00012, "1.2E-4"),
            (0.001, "0.001"),
            (-0.0, "-0.0"),
            (TWO_54, "1.8014398509481984E16"),
            (70_014_217_841_133_664.0, "7.0014217841133664E16"),
            (244_352_396_493_717_728.0, "2.44352396493717728E17"),
            (4_611_686_018_427_387_904.0, "4.6116860184273879E18"),
            (1e18, "1.0E18"),
            (TWO_63, "9.223372036854776E18"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (x, text) in full {
            assert_eq!(double_text(x), text);
        }
        let floats = [(0.1, "0.1"), (5e-4, "5.0E-4"), (1e7, "1.0E7"), (12_345_678.0, "1.2345678E7"), (0.0, "0.0")];
        for (x, text) in floats {
            assert_eq!(float_text(x), text);
        }
        // As Java 17 prints them; fewer digits would read as the same float.
        let whole = [
            (43_082_328.0, "4.3082328E7"),
            (201_326_592.0, "2.01326592E8"),
            (1_940_747_648.0, "1.94074765E9"),
            (709_905_728.0, "7.0990573E8"),
            (280_379_743_272_960.0, "2.80379743E14"),
        ];
        for (x, text) in whole {
            assert_eq!(float_text(x), text);
        }
    }

    #[test]
    fn ceiling_goes_up_from_the_decimal_text() {
        assert_eq!(round_decimal(0.6825396825396826, 2, Rounding::Ceiling), 0.69);
        assert_eq!(round_decimal(0.7, 2, Rounding::Ceiling), 0.7);
        assert_eq!(round_decimal(0.0002, 3, Rounding::Ceiling), 0.001);
        assert_eq!(round_decimal(-0.0002, 3, Rounding::Ceiling), 0.0);
    }

    proptest! {
        #[test]
        fn the_short_way_of_round3_gives_the_same_bits_as_the_text(x in prop_oneof![
            any::<f64>(), -1e9..1e9f64, -10.0..10.0f64, (-2_000_000i64..2_000_000).prop_map(|n| n as f64 / 2000.0),
        ]) {
            let by_text = round_decimal(x, 3, Rounding::HalfUp);
            let expected = if by_text == 0.0 { x } else { by_text };
            prop_assert_eq!(round3(x).to_bits(), expected.to_bits());
        }

        #[test]
        fn the_short_way_of_two_decimals_gives_the_same_text(x in prop_oneof![
            any::<f64>(), -1e9..1e9f64, -10.0..10.0f64, (-2_000_000i64..2_000_000).prop_map(|n| n as f64 / 200.0),
        ]) {
            if x.is_finite() {
                prop_assert_eq!(two_decimals(x), two_decimals_by_digits(x));
            }
        }

        #[test]
        fn rounding_twice_changes_nothing(x in -1e12..1e12f64) {
            prop_assert_eq!(round3(round3(x)).to_bits(), round3(x).to_bits());
        }
    }
}
