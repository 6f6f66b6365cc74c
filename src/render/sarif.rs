//! SARIF 2.1.0, which code scanning and editors read: problems of the configuration, and drift.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::drift;
use super::text::{count, terminal};
use crate::config::{CODES, Fix, MAIN_FILE, Place, Problem, Severity, Sources};
use crate::keyset::Origin;
use crate::plan::Drift;

/// GitHub refuses a file with more.
const MOST: usize = 25_000;
/// Where the format is described.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<Result>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invocations: Vec<Invocation>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
struct Driver {
    name: &'static str,
    version: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Message,
    full_description: Message,
    default_configuration: Configuration,
}

#[derive(Debug, Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Debug, Serialize)]
struct Message {
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Result {
    rule_id: &'static str,
    level: &'static str,
    message: Message,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    fixes: Option<[Changes; 1]>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Debug, Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
    #[serde(flatten)]
    end: Option<End>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct End {
    end_line: usize,
    end_column: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Changes {
    artifact_changes: [Change; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    artifact_location: Artifact,
    replacements: [Replacement; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Replacement {
    deleted_region: Region,
    inserted_content: Content,
}

/// Not shown as a message, so nothing in it is escaped.
#[derive(Debug, Serialize)]
struct Content {
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: [Notification; 1],
}

#[derive(Debug, Serialize)]
struct Notification {
    level: &'static str,
    message: Message,
}

pub fn problems(problems: &[Problem], sources: &Sources, version: &str) -> Log {
    let rules = CODES
        .iter()
        .map(|code| rule(code.code, code.title, code.explanation, level(code.severity)));
    let results = problems.iter().map(|problem| {
        let Problem { code, severity, title, origin, label, help, fix } = problem;
        let help = help.as_ref().map_or_else(String::new, |help| format!(" Help: {help}."));
        let place = origin.and_then(|origin| sources.place(origin));
        let text = format!("{title}: {label}.{help}");
        let fix = fix.as_ref().and_then(|fix| replacement(fix, sources));
        Result {
            fixes: fix.map(|fix| [fix]),
            ..result(code, level(*severity), &text, place, sources)
        }
    });
    log(rules.collect(), results, version)
}

pub fn of_drift(found: &Drift, sources: &Sources, version: &str) -> Log {
    let rules = drift::Kind::ALL
        .iter()
        .map(|kind| rule(kind.tag(), kind.title(), kind.explanation(), WARNING));
    let results = found.findings.iter().map(|finding| {
        let place = finding.origin().and_then(|origin| sources.place(origin));
        let tag = drift::kind(finding).tag();
        result(tag, WARNING, &drift::sentence(finding), place, sources)
    });
    log(rules.collect(), results, version)
}

const WARNING: &str = "warning";

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => WARNING,
    }
}

fn log(rules: Vec<Rule>, results: impl ExactSizeIterator<Item = Result>, version: &str) -> Log {
    let left_out = results.len().saturating_sub(MOST);
    let not_shown = (left_out > 0).then(|| Invocation {
        execution_successful: true,
        tool_execution_notifications: [Notification {
            level: WARNING,
            message: Message { text: format!("{} not shown", count(left_out, "more result")) },
        }],
    });
    let run = Run {
        tool: Tool { driver: Driver { name: "keyform", version: version.to_owned(), rules } },
        column_kind: "unicodeCodePoints",
        results: results.take(MOST).collect(),
        invocations: not_shown.into_iter().collect(),
    };
    Log { schema: SCHEMA, version: "2.1.0", runs: [run] }
}

fn rule(
    id: &'static str,
    title: &'static str,
    explanation: &'static str,
    level: &'static str,
) -> Rule {
    Rule {
        id,
        short_description: message(title),
        full_description: message(explanation),
        default_configuration: Configuration { level },
    }
}

fn result(
    rule: &'static str,
    level: &'static str,
    text: &str,
    place: Option<Place<'_>>,
    sources: &Sources,
) -> Result {
    // What stands nowhere is shown at the top of the project: code scanning takes no result without
    // a place.
    let place =
        place.unwrap_or(Place { path: sources.main().unwrap_or(MAIN_FILE), line: 1, column: 1 });
    Result {
        rule_id: rule,
        level,
        message: message(text),
        locations: [Location {
            physical_location: PhysicalLocation {
                artifact_location: Artifact { uri: uri(place.path) },
                region: Region { start_line: place.line, start_column: place.column, end: None },
            },
        }],
        fixes: None,
    }
}

fn replacement(Fix { at, with }: &Fix, sources: &Sources) -> Option<Changes> {
    let (start, end) = (sources.place(*at)?, sources.place(Origin { start: at.end, ..*at })?);
    let end = End { end_line: end.line, end_column: end.column };
    let replacement = Replacement {
        deleted_region: Region {
            start_line: start.line,
            start_column: start.column,
            end: Some(end),
        },
        inserted_content: Content { text: with.clone() },
    };
    Some(Changes {
        artifact_changes: [Change {
            artifact_location: Artifact { uri: uri(start.path) },
            replacements: [replacement],
        }],
    })
}

/// In a message `[text](target)` is a link, unless its brackets are escaped.
fn message(text: &str) -> Message {
    Message { text: escaped(text) }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in terminal(text).chars() {
        if matches!(c, '\\' | '[' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A path as a relative URI.
fn uri(path: &str) -> String {
    // What is no letter and no digit is escaped, but for what RFC 3986 leaves unreserved, and `/`.
    const ESCAPED: AsciiSet =
        NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'-').remove(b'~');
    utf8_percent_encode(path, &ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_is_a_link_and_nothing_in_a_path_is_more_than_a_name() {
        assert_eq!(escaped("see [me](evil) \\"), "see \\[me\\](evil) \\\\");
        assert_eq!(uri("a b/ü:c?#.toml"), "a%20b/%C3%BC%3Ac%3F%23.toml");
    }

    /// One finding of each kind.
    #[test]
    fn every_finding_is_of_a_rule_that_is_declared() {
        let log = of_drift(&drift::tests::one_of_each(), &Sources::default(), "1.2.3");
        let [run] = &log.runs;
        for result in &run.results {
            let declared = run.tool.driver.rules.iter().any(|rule| rule.id == result.rule_id);
            assert!(declared, "no rule {}", result.rule_id);
        }
        assert_eq!(run.results.len(), run.tool.driver.rules.len(), "one of each");
    }
}
