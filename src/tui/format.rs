//! Numbers, ages and times as people read them at three in the morning.

use std::time::Duration;

/// An age or a time left, two units at most: `8s`, `3m20s`, `2h04m`, `3d4h`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// The step of [`age`]: its text changes when the age passes a multiple of this.
pub fn age_step(age: Duration) -> Duration {
    match age.as_secs() {
        0..3600 => Duration::from_secs(1),
        3600..86_400 => Duration::from_secs(60),
        _ => Duration::from_secs(3600),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        let texts = [0, 59, 60, 200, 3599, 3600, 7440, 86_400, 273_600].map(|s| age(Duration::from_secs(s)));
        assert_eq!(texts, ["0s", "59s", "1m00s", "3m20s", "59m59s", "1h00m", "2h04m", "1d0h", "3d4h"]);
    }

    proptest! {
        #[test]
        fn the_text_stays_the_same_within_a_step(seconds in 0u64..400_000, millis in 0u64..1000) {
            let at = Duration::from_secs(seconds);
            let step = age_step(at);
            let start = Duration::from_secs(seconds / step.as_secs() * step.as_secs());
            prop_assert_eq!(age(start), age(start + step - Duration::from_millis(1)));
            prop_assert_eq!(age(at), age(at + Duration::from_millis(millis)));
            prop_assert_ne!(age(start), age(start + step));
        }
    }
}
