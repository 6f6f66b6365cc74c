//! GitLab: the widget of a merge request for plans, and the code quality report for problems.

use std::collections::HashMap;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::terraform::Tally;
use crate::config::{MAIN_FILE, Problem, Severity, Sources};

/// `artifacts:reports:terraform`
#[derive(Debug, Serialize)]
pub struct TerraformReport {
    create: usize,
    update: usize,
    delete: usize,
}

pub fn plan(Tally { create, update, delete }: Tally) -> TerraformReport {
    TerraformReport { create, update, delete }
}

/// An entry of `artifacts:reports:codequality`.
#[derive(Debug, Serialize)]
pub struct CodeQuality {
    description: String,
    check_name: &'static str,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Debug, Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Debug, Serialize)]
struct Lines {
    begin: usize,
}

/// `artifacts:reports:codequality`
pub fn problems(problems: &[Problem], sources: &Sources) -> Vec<CodeQuality> {
    let mut seen: HashMap<[u8; 32], u32> = HashMap::new();
    let one = |problem: &Problem| {
        let Problem { code, severity, title, origin, label, help: _, fix: _ } = problem;
        let place = origin.and_then(|origin| sources.place(origin));
        // A problem of the whole project is shown at its first line: GitLab wants one.
        let (path, line) = place
            .map_or((sources.main().unwrap_or(MAIN_FILE), 1), |place| (place.path, place.line));
        // Not the line: what stands above may change. The same mistake twice in one file is told
        // apart by its number.
        let same: [u8; 32] = Sha256::digest([code, path, title, label].join("\0")).into();
        let nth = seen.entry(same).and_modify(|n| *n += 1).or_insert(0);
        let fingerprint: [u8; 32] = Sha256::digest([&same[..], &nth.to_be_bytes()].concat()).into();
        CodeQuality {
            description: format!("{code}: {title}: {label}"),
            check_name: code,
            fingerprint: hex::encode(&fingerprint[..16]),
            severity: match severity {
                Severity::Error => "major",
                Severity::Warning => "minor",
            },
            location: Location { path: path.to_owned(), lines: Lines { begin: line } },
        }
    };
    problems.iter().map(one).collect()
}
