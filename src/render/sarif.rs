//! SARIF 2.1.0, which code scanning and editors read: problems of the configuration, and drift.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};

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

pub fn problems(problems: &[Problem], sources: &Sources, version: &str) -> Json {
    let rules = CODES
        .iter()
        .map(|code| rule(code.code, code.title, code.explanation, level(code.severity)));
    let results = problems.iter().map(|problem| {
        let Problem { code, severity, title, origin, label, help, fix } = problem;
        let help = help.as_ref().map_or_else(String::new, |help| format!(" Help: {help}."));
        let text = format!("{title}: {label}.{help}");
        let mut result = result(
            code,
            level(*severity),
            &text,
            origin.and_then(|origin| sources.place(origin)),
            sources,
        );
        if let Some(fix) = fix.as_ref().and_then(|fix| replacement(fix, sources)) {
            result["fixes"] = json!([fix]);
        }
        result
    });
    log(rules.collect(), results, version)
}

pub fn of_drift(found: &Drift, sources: &Sources, version: &str) -> Json {
    let rules = drift::KINDS
        .iter()
        .map(|(tag, title, explanation)| rule(tag, title, explanation, "warning"));
    let results = found.findings.iter().map(|finding| {
        let place = finding.origin().and_then(|origin| sources.place(origin));
        result(drift::tag(finding), "warning", &drift::sentence(finding), place, sources)
    });
    log(rules.collect(), results, version)
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn log(rules: Vec<Json>, results: impl ExactSizeIterator<Item = Json>, version: &str) -> Json {
    let left_out = results.len().saturating_sub(MOST);
    let mut run = json!({
        "tool": { "driver": { "name": "keyform", "version": version, "rules": rules } },
        "columnKind": "unicodeCodePoints",
        "results": results.take(MOST).collect::<Vec<_>>(),
    });
    if left_out > 0 {
        let said = json!({ "level": "warning", "message": { "text": format!("{} not shown", count(left_out, "more result")) } });
        run["invocations"] =
            json!([{ "executionSuccessful": true, "toolExecutionNotifications": [said] }]);
    }
    json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] })
}

fn rule(id: &str, title: &str, explanation: &str, level: &str) -> Json {
    json!({
        "id": id,
        "shortDescription": { "text": message(title) },
        "fullDescription": { "text": message(explanation) },
        "defaultConfiguration": { "level": level },
    })
}

fn result(
    rule: &str,
    level: &str,
    text: &str,
    place: Option<Place<'_>>,
    sources: &Sources,
) -> Json {
    // What stands nowhere is shown at the top of the project: code scanning takes no result without
    // a place.
    let place =
        place.unwrap_or(Place { path: sources.main().unwrap_or(MAIN_FILE), line: 1, column: 1 });
    json!({
        "ruleId": rule,
        "level": level,
        "message": { "text": message(text) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(place.path) },
            "region": { "startLine": place.line, "startColumn": place.column },
        } }],
    })
}

fn replacement(Fix { at, with }: &Fix, sources: &Sources) -> Option<Json> {
    let (start, end) = (sources.place(*at)?, sources.place(Origin { start: at.end, ..*at })?);
    Some(json!({ "artifactChanges": [{
        "artifactLocation": { "uri": uri(start.path) },
        "replacements": [{
            "deletedRegion": {
                "startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column,
            },
            "insertedContent": { "text": with },
        }],
    }] }))
}

/// In a message `[text](target)` is a link, unless its brackets are escaped.
fn message(text: &str) -> String {
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
        assert_eq!(message("see [me](evil) \\"), "see \\[me\\](evil) \\\\");
        assert_eq!(uri("a b/ü:c?#.toml"), "a%20b/%C3%BC%3Ac%3F%23.toml");
    }
}
