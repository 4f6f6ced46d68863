//! Kubernetes' quantities: `500m`, `2`, `1.5`, `4Gi`, `1000M`, `1e3`.

/// The value of a quantity in its base unit (cores, bytes, pieces); `None` if it is none.
pub fn value(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let exponent = suffix.strip_prefix(['e', 'E']).filter(|rest| !rest.is_empty()).and_then(|e| e.parse::<i32>().ok());
    let factor = match (exponent, suffix) {
        (Some(exponent), _) => 10f64.powi(exponent),
        (None, "") => 1.0,
        (None, "n") => 1e-9,
        (None, "u") => 1e-6,
        (None, "m") => 1e-3,
        (None, "k") => 1e3,
        (None, "M") => 1e6,
        (None, "G") => 1e9,
        (None, "T") => 1e12,
        (None, "P") => 1e15,
        (None, "E") => 1e18,
        (None, "Ki") => 1024.0,
        (None, "Mi") => 1024f64.powi(2),
        (None, "Gi") => 1024f64.powi(3),
        (None, "Ti") => 1024f64.powi(4),
        (None, "Pi") => 1024f64.powi(5),
        (None, "Ei") => 1024f64.powi(6),
        _ => return None,
    };
    number.parse::<f64>().ok().map(|n| n * factor).filter(|v| v.is_finite() && *v >= 0.0)
}

/// Thousandths of a core, rounded up as the scheduler does.
pub fn milli_cores(text: &str) -> Option<u64> {
    value(text).map(|v| (v * 1000.0).ceil() as u64)
}

/// Bytes or pieces, rounded up.
pub fn whole(text: &str) -> Option<u64> {
    value(text).map(|v| v.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suffix_counts() {
        for (text, cpu, bytes) in [
            ("500m", 500, 1),
            ("2", 2000, 2),
            ("1.5", 1500, 2),
            ("4Gi", 0, 4 << 30),
            ("1000M", 0, 1_000_000_000),
            ("1e3", 1_000_000, 1000),
            ("0.5Gi", 0, 512 << 20),
            ("1k", 1_000_000, 1000),
            ("128974848", 0, 128_974_848),
        ] {
            if cpu != 0 {
                assert_eq!(milli_cores(text), Some(cpu), "{text}");
            }
            assert_eq!(whole(text), Some(bytes), "{text}");
        }
        assert_eq!(milli_cores("0.0001"), Some(1), "rounded up");
        for wrong in ["", "x", "1Q", "1 Gi", "-1", "1e", "e3", "NaN", "inf"] {
            assert_eq!(whole(wrong), None, "{wrong}");
        }
    }
}
