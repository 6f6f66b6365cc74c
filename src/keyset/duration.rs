//! Durations as people write them: `90d`, `24h`, `15m`, `1h 30m`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

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

/// Longer than anything that is waited for; what is longer is a slip.
const LONGEST: Duration = Duration::from_secs(100 * 366 * DAY);

/// The one grammar of durations, in TOML and in flags: jiff's, in which a day has 24 hours. `None`:
/// it is something else, below zero, longer than a hundred years, or has months or years, which
/// differ in length.
pub fn parse(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(signed).ok().filter(|duration| *duration <= LONGEST)
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
        assert_eq!(
            [of("7d"), of("5m"), of("1h 30m"), of("90 days"), of("1.5h"), of("1w"), of("0s")],
            [604_800, 300, 5400, 7_776_000, 5400, 604_800, 0].map(Some)
        );
        for bad in
            ["", "d", "60", "-1d", "1d ago", "1mo", "1y", "99999999999999999999d", "40000d", "1ä"]
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
