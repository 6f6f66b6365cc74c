//! GitHub Actions: annotations at lines, and what a step hands on to the next ones.

use std::fmt::Write as _;

use super::text::{count, github};
use crate::config::{Place, Problem, Severity, Sources};
use crate::plan::{Action, Plan};

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
        plan.actions.iter().flat_map(|action| irreversible(action, sources)).collect();
    let all: Vec<String> = refusals.chain(finals).collect();
    bounded(all.into_iter()) + &annotation(Level::Notice, None, "plan", &[summary])
}

fn irreversible(action: &Action, sources: &Sources) -> Vec<String> {
    match action {
        Action::UpdateKeyset { label, changes, .. } => {
            let finals = changes.iter().filter(|change| change.is_irreversible());
            let told = finals.map(|change| {
                let message = format!(
                    "{} becomes {}, and can never be changed again",
                    change.field,
                    words::value(&change.to)
                );
                annotation(
                    Level::Warning,
                    sources.place(change.origin).as_ref(),
                    &format!("final: keyset {label}"),
                    &[&message],
                )
            });
            told.collect()
        }
        Action::DeleteKeyset { label, id, .. } => {
            let message = format!(
                "keyset {id} is deleted for ever: its keys stop working, and its data is gone"
            );
            vec![annotation(Level::Warning, None, &format!("delete: keyset {label}"), &[&message])]
        }
        Action::DeleteApp { label, id, .. } => {
            vec![annotation(
                Level::Warning,
                None,
                &format!("delete: app {label}"),
                &[&format!("app {id} is deleted for ever")],
            )]
        }
        Action::CreateApp { .. }
        | Action::RenameApp { .. }
        | Action::AdoptApp { .. }
        | Action::CreateKeyset { .. }
        | Action::UploadPush { .. }
        | Action::RotateSecret { .. }
        | Action::MoveApp { .. }
        | Action::MoveKeyset { .. }
        | Action::ProtectKeyset { .. }
        | Action::ForgetKeyset { .. }
        | Action::ForgetApp { .. }
        | Action::MirrorSecret { .. } => Vec::new(),
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
