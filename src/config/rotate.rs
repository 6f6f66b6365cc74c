//! `rotate`: how often a keyset gets a new secret key.

use std::time::Duration;

use super::codes;
use super::problem::Problem;
use super::reader::{FileReader, Item};
use crate::keyset::views::Rotate;
use crate::keyset::{Origin, duration};

impl FileReader<'_> {
    /// `rotate = { every = "90d", overlap = "24h" }`, or `false` where a profile says otherwise.
    pub(super) fn rotate(&mut self, item: &Item<'_>) -> Option<Option<Rotate>> {
        if item.get_ref().as_bool() == Some(false) {
            return Some(None);
        }
        let table = self.table("rotate", item)?;
        let (mut every, mut overlap) = (None, None);
        let origin = self.at(item.span());
        for (row, _, item) in self.entries("keyset.*.rotate", origin, table).known {
            let parsed = self.duration(row.shown(), item)?;
            *(if row.name() == "every" { &mut every } else { &mut overlap }) = Some(parsed);
        }
        let (Some((every, _)), Some((overlap, at))) = (every, overlap) else {
            let problem = Problem::new(
                codes::MISSING_KEY,
                origin,
                "`rotate` needs `every` and `overlap`",
                "one of them is missing",
            );
            self.report(
                problem.help("for example `rotate = { every = \"90d\", overlap = \"24h\" }`"),
            );
            return None;
        };
        let range = duration::OVERLAP_MIN..=duration::OVERLAP_MAX;
        if !range.contains(&overlap) || overlap >= every {
            let label = if range.contains(&overlap) {
                "as long as `every`, or longer"
            } else {
                "allowed: 60s to 366d"
            };
            let problem =
                Problem::new(codes::OUT_OF_RANGE, at, "wrong value for `rotate.overlap`", label);
            self.report(problem.help("the key of before ends before the next one is due"));
            return None;
        }
        Some(Some(Rotate { every, overlap, origin }))
    }

    fn duration(&mut self, path: &str, item: &Item<'_>) -> Option<(Duration, Origin)> {
        let (text, at) = self.string(path, item)?;
        let parsed = duration::parse(text);
        if parsed.is_none() {
            let title = format!("wrong value for `{path}`");
            self.report(
                Problem::new(codes::OUT_OF_RANGE, at, title, "not a duration")
                    .help("days, hours, minutes or seconds: \"90d\", \"24h\", \"15m\", \"1h 30m\""),
            );
        }
        parsed.map(|duration| (duration, at))
    }
}
