//! Drift as JUnit XML: a test case for each declared app and keyset, and one for each that nobody
//! declares.

use std::collections::BTreeMap;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::drift;
use super::text::terminal;
use crate::config::Sources;
use crate::keyset::views::Desired;
use crate::plan::{Drift, Finding};

pub fn drift(
    found: &Drift,
    desired: &Desired,
    sources: &Sources,
) -> Result<String, quick_junit::SerializeError> {
    let mut cases: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
    cases.extend(desired.apps.keys().map(|label| (format!("app {label}"), Vec::new())));
    cases.extend(desired.keysets.keys().map(|label| (format!("keyset {label}"), Vec::new())));
    for finding in &found.findings {
        cases.entry(drift::about(finding)).or_default().push(finding);
    }
    let mut suite = TestSuite::new("drift");
    for (about, findings) in &cases {
        suite.add_test_case(case(about, findings, desired, sources));
    }
    let mut report = Report::new("keyform");
    report.add_test_suite(suite);
    report.to_string()
}

fn case(about: &str, findings: &[&Finding], desired: &Desired, sources: &Sources) -> TestCase {
    let mut status = TestCaseStatus::success();
    if let Some(first) = findings.first() {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        let more = if findings.len() > 1 {
            format!(" (and {} more)", findings.len() - 1)
        } else {
            String::new()
        };
        status
            .set_type(drift::kind(first).tag())
            .set_message(format!("{}{more}", terminal(&drift::sentence(first))));
        status.set_description(
            findings.iter().map(|finding| line(finding, sources)).collect::<String>(),
        );
    }
    let mut case = TestCase::new(terminal(about).into_owned(), status);
    case.set_classname(desired.project.as_str());
    if let Some(place) = findings.iter().find_map(|finding| sources.place(finding.origin()?)) {
        case.extra.insert("file".into(), terminal(place.path).into_owned().into());
        case.extra.insert("line".into(), place.line.to_string().into());
    }
    case
}

fn line(finding: &Finding, sources: &Sources) -> String {
    let at = finding.origin().and_then(|origin| sources.place(origin));
    let at = at.map_or_else(String::new, |at| {
        format!(" ({}:{}:{})", terminal(at.path), at.line, at.column)
    });
    format!("{}{at}\n", terminal(&drift::sentence(finding)))
}
