//! The path of a savepoint or checkpoint: whether a text can be one.

/// What the operator writes where it has no path to show (`operator.md` §4.2).
pub const LAST_STATE: &str = "KUBERNETES_OPERATOR_LAST_STATE";
/// A path longer than this is none.
const LONGEST: usize = 2048;

/// Whether a text has the shape of a savepoint's path: a scheme and a path, or an absolute path.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_path(path: &str) -> Result<(), String> {
    let wrong = |why: &str| {
        Err(format!("{:?} is not the path of a savepoint: {why}", path.chars().take(80).collect::<String>()))
    };
    if path == LAST_STATE {
        return wrong("it is the operator's mark for \"the last state, wherever it is\"");
    }
    if path.is_empty() || path.len() > LONGEST {
        return wrong("it is empty or too long");
    }
    if path.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return wrong("it has blanks or control characters");
    }
    let (scheme, rest) = match path.split_once(':') {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, path),
    };
    let scheme_ok = scheme.is_none_or(|s| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    if !scheme_ok {
        return wrong("what stands before the colon is no scheme such as s3 or file");
    }
    if !rest.starts_with('/') {
        return wrong("write it with its scheme, such as s3://bucket/savepoint-1, or as an absolute path");
    }
    if rest.trim_start_matches('/').is_empty() {
        return wrong("it names only a root");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_scheme_or_is_absolute() {
        for good in [
            "s3://bucket/sp/savepoint-a-1",
            "file:///data/sp",
            "file:/data/sp",
            "/data/sp",
            "abfss://c@a.net/sp",
            "gs://b/x",
        ] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        let long = format!("/{}", "x".repeat(5000));
        for bad in [
            "",
            "savepoint-1",
            "KUBERNETES_OPERATOR_LAST_STATE",
            "s3:bucket/x",
            "s3://",
            "/",
            "/a b",
            "/a\u{1b}[2J",
            "1:/x",
            "a b:/x",
            &long,
        ] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }
}
