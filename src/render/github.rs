//! GitHub Actions: annotations at lines, and what a step hands on to the next ones.

use std::fmt::Write as _;

use super::text::{count, github};
use crate::config::{Place, Problem, Severity, Sources};
use crate::keyset::Bounded;
use crate::plan::{Op, Plan, Step};

use super::plan_words as words;

/// GitHub shows ten of a kind for a step; more than this many only make the log long.
const SHOWN: usize = 50;

#[derive(Clone, Copy)]
pub enum Level {
    Error,
    Warning,
    Notice,
}

/// One workflow command; `message`: its lines. Text of others cannot begin another command,
/// property or line.
pub fn annotation(
    level: Level,
    place: Option<&Place<'_>>,
    title: &str,
    message: &[&str],
) -> String {
    let level = match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Notice => "notice",
    };
    let at = place.map_or_else(String::new, |at| {
        format!("file={},line={},col={},", github(at.path, true), at.line, at.column)
    });
    let message: Vec<String> = message.iter().map(|line| github(line, false)).collect();
    format!("::{level} {at}title={}::{}\n", github(title, true), message.join("%0A"))
}

/// The first of them, and a count of the rest.
pub fn bounded(annotations: impl ExactSizeIterator<Item = String>) -> String {
    let all = annotations.len();
    let mut out: String = annotations.take(SHOWN).collect();
    if all > SHOWN {
        out.push_str(&annotation(
            Level::Notice,
            None,
            "keyform",
            &[&format!("{} not shown", count(all - SHOWN, "more annotation"))],
        ));
    }
    out
}

/// Refusals are errors, what cannot be taken back is a warning, and the rest is one line.
pub fn plan(plan: &Plan, sources: &Sources, summary: &str) -> String {
    let refusals = plan.refusals.iter().map(|refusal| {
        let said = words::refused(&refusal.why);
        let about = refusal.label.as_ref().map_or_else(
            || "plan".to_owned(),
            |label| format!("{} {label}", if refusal.why.is_app() { "app" } else { "keyset" }),
        );
        let place = refusal.origin.and_then(|origin| sources.place(origin));
        let message: Vec<&str> = [said.what.as_str(), &said.why]
            .into_iter()
            .chain(said.instead.iter().map(String::as_str))
            .collect();
        annotation(Level::Error, place.as_ref(), &format!("refused: {about}"), &message)
    });
    let finals: Vec<String> =
        plan.steps.iter().flat_map(|step| irreversible(step, sources)).collect();
    let all: Vec<String> = refusals.chain(finals).collect();
    bounded(all.into_iter()) + &annotation(Level::Notice, None, "plan", &[summary])
}

fn irreversible(step: &Step, sources: &Sources) -> Vec<String> {
    let warning = |place: Option<&Place<'_>>, what: &str, message: String| {
        let title = format!("{what}: {} {}", step.row().noun, step.label);
        annotation(Level::Warning, place, &title, &[&message])
    };
    let id = || step.id.as_ref().map_or_else(String::new, |id| format!(" {id}"));
    match &step.op {
        Op::UpdateKeyset { changes } => {
            let finals = changes.iter().filter(|change| change.is_irreversible());
            let told = finals.map(|change| {
                let place = sources.place(change.origin);
                let (field, to) = (change.field, words::value(&change.to));
                let message = format!("{field} becomes {to}, and can never be changed again");
                warning(place.as_ref(), "final", message)
            });
            told.collect()
        }
        Op::DeleteKeyset { .. } => {
            let lost = "its keys stop working, and its data is gone";
            vec![warning(None, "delete", format!("keyset{} is deleted for ever: {lost}", id()))]
        }
        _ if step.row().limit == Some(Bounded::Delete) => {
            let noun = step.row().noun;
            vec![warning(None, "delete", format!("{noun}{} is deleted for ever", id()))]
        }
        _ => Vec::new(),
    }
}

/// A problem is an error or a warning at its line.
pub fn problems(problems: &[Problem], sources: &Sources) -> String {
    bounded(problems.iter().map(|problem| {
        let Problem { code, severity, title, origin, label, help, fix: _ } = problem;
        let level = match severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        };
        let place = origin.and_then(|origin| sources.place(origin));
        let message: Vec<&str> = std::iter::once(label.as_str()).chain(help.as_deref()).collect();
        annotation(level, place.as_ref(), &format!("{code} {title}"), &message)
    }))
}

/// Lines for the file of `GITHUB_OUTPUT`. `mark` must be new and random: whoever wrote a value must
/// not know the line that ends it.
pub fn outputs(values: &[(String, String)], mark: &str) -> String {
    let mut out = String::new();
    for (name, value) in values {
        let _ = writeln!(out, "{name}<<{mark}\n{value}\n{mark}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_and_a_hostile_title_stay_where_they_belong() {
        let place = Place { path: "a,b:c%.toml", line: 3, column: 7 };
        assert_eq!(
            annotation(Level::Error, Some(&place), "x,line=1::y", &["50%\r\n::error::z", "b"]),
            "::error file=a%2Cb%3Ac%25.toml,line=3,col=7,title=x%2Cline=1%3A%3Ay::50%25\\u{d}\\u{a}::error::z%0Ab\n"
        );
    }

    #[test]
    fn many_annotations_are_counted() {
        let out =
            bounded((0..52).map(|n| annotation(Level::Warning, None, "t", &[&n.to_string()])));
        assert_eq!(out.lines().count(), 51);
        assert!(out.ends_with("::notice title=keyform::2 more annotations not shown\n"), "{out}");
    }
}
