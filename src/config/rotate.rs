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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, Sources, read};

    /// The rotation of one keyset, or the codes of what is wrong with it.
    fn rotation(rotate: &str) -> Result<(u64, u64), Vec<&'static str>> {
        let text = format!(
            "[project]\nname = \"a\"\n[app.a]\nname = \"A\"\n[keyset.k]\napp = \"a\"\n\
             type = \"testing\"\nrotate = {rotate}\n"
        );
        let loaded = read(Sources { files: vec![Source::new("keyform.toml", text)] });
        let codes = || loaded.problems.iter().map(|problem| problem.code).collect::<Vec<_>>();
        let project = loaded.project.as_ref().ok_or_else(codes)?;
        let keyset = project.desired.keysets.values().next().expect("a keyset");
        let Rotate { every, overlap, origin: _ } = keyset.rotate.as_ref().expect("a rotation");
        Ok((every.as_secs(), overlap.as_secs()))
    }

    #[test]
    fn durations_are_those_of_flags() {
        for (rotate, seconds) in [
            ("{ every = \"90d\", overlap = \"24h\" }", (7_776_000, 86_400)),
            ("{ every = \"12 weeks\", overlap = \"1h 30m\" }", (7_257_600, 5400)),
            ("{ every = \"P7D\", overlap = \"60s\" }", (604_800, 60)),
        ] {
            assert_eq!(rotation(rotate), Ok(seconds), "{rotate}");
        }
        for wrong in [
            "{ every = \"90\", overlap = \"24h\" }",
            "{ every = \"3 months\", overlap = \"24h\" }",
            "{ every = \"24h\", overlap = \"1d\" }",
            "{ every = \"24h\", overlap = \"59s\" }",
            "{ every = \"90d\", overlap = \"-1h\" }",
        ] {
            assert_eq!(rotation(wrong), Err(vec!["KF021"]), "{wrong}");
        }
        assert_eq!(rotation("{ every = \"90d\" }"), Err(vec!["KF070"]));
    }
}
