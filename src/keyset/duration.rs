//! Durations as people write them: `90d`, `24h`, `15m`, `60s`.

use std::time::Duration;

/// How long a key may go on working beside the one that took its place (Admin API: rotate secret
/// key; documented).
pub const OVERLAP_MIN: Duration = Duration::from_secs(60);
pub const OVERLAP_MAX: Duration = Duration::from_secs(366 * DAY);
/// How long the key of now goes on working where it cannot be told who uses it.
pub const OVERLAP_UNASKED: Duration = Duration::from_secs(DAY);
/// Keys that may be waiting for their end beside the permanent one (Admin API: secret keys
/// introduction; documented).
pub const EXPIRING_MAX: usize = 5;

const DAY: u64 = 24 * 3600;

/// A whole number and a unit. `None`: it is something else, or longer than a hundred years.
pub fn parse(text: &str) -> Option<Duration> {
    const LONGEST: u64 = 100 * 366 * DAY;
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => DAY,
        _ => return None,
    };
    let seconds =
        number.parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| *seconds <= LONGEST)?;
    Some(Duration::from_secs(seconds))
}

/// In the largest unit that leaves nothing over.
pub fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (n, unit) = [(DAY, "day"), (3600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit))
        .map_or((seconds, "second"), |(unit, name)| (seconds / unit, name));
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_meant() {
        let of = |text: &str| parse(text).map(|duration| duration.as_secs());
        assert_eq!(
            [of("90d"), of("24h"), of("15m"), of("60s")],
            [7_776_000, 86_400, 900, 60].map(Some)
        );
        for bad in
            ["", "d", "60", "1.5h", "-1d", "1 d", "1w", "99999999999999999999d", "40000d", "1ä"]
        {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(
            ["90d", "36h", "60s", "1d", "61s"]
                .map(|text| parse(text).map(show).unwrap_or_default()),
            ["90 days", "36 hours", "1 minute", "1 day", "61 seconds"]
        );
    }
}
