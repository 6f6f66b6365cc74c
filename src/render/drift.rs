//! Drift for people, for programs, for a pull request or issue, and as annotations of GitHub
//! Actions.

use std::fmt::Write as _;

use super::comment::Comment;
use super::github::{Level, annotation, bounded};
use super::plan_words::{quoted, upload, value};
use super::style::{BOLD, DIM, GOOD, WARN};
use super::text::{count, markdown, terminal};
use crate::config::{self, Sources};
use crate::documents::drift as documents;
use crate::documents::drift::What;
use crate::documents::{FieldName, Place};
use crate::plan::{Drift, Finding, IgnoredDrift, Upload, Who};

/// A finding in words: what it is about, what differs, and who changed it.
struct Words {
    kind: Kind,
    about: String,
    what: String,
    who: &'static str,
}

/// The kinds of findings, and of each a row: its tag, its title and what it stands for. Enum and
/// rows are one list, so no finding is of a kind that formats with rules do not declare.
macro_rules! kinds {
    ($($kind:ident, $tag:literal, $title:literal, $explanation:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Kind {
            $($kind,)*
        }

        impl Kind {
            pub(super) const ALL: &[Kind] = &[$(Kind::$kind,)*];

            /// Stable, for programs.
            pub(super) fn tag(self) -> &'static str {
                match self {
                    $(Kind::$kind => $tag,)*
                }
            }
            pub(super) fn title(self) -> &'static str {
                match self {
                    $(Kind::$kind => $title,)*
                }
            }
            pub(super) fn explanation(self) -> &'static str {
                match self {
                    $(Kind::$kind => $explanation,)*
                }
            }
        }
    };
}

kinds! {
    Field, "field", "a field differs",
        "A declared field of a keyset has another value in the account.";
    Push, "push", "push credentials differ",
        "Push credentials that are declared are not those that were uploaded last.";
    AppName, "app_name", "an app's name differs",
        "The name of an app that keyform manages is another one in the account.";
    Gone, "gone", "a keyset is gone",
        "A keyset that keyform made or adopted is not in the account any more.";
    AppGone, "app_gone", "an app is gone",
        "An app that keyform made or refers to is not in the account any more, or not \
         visible to the API key.";
    Moved, "moved", "a keyset is in another app",
        "A keyset is in another app than the state says.";
    NotApplied, "not_applied", "a keyset is not created yet",
        "The keyset is declared, and no apply has created it.";
    AppNotApplied, "app_not_applied", "an app is not created yet",
        "The app is declared, and no apply has created it.";
    NotDeclared, "not_declared", "a keyset is not declared any more",
        "The keyset exists and is recorded, and no file declares it.";
    AppNotDeclared, "app_not_declared", "an app is not declared any more",
        "The app exists and is recorded, and no file declares it.";
    Unmanaged, "unmanaged", "a keyset is not managed",
        "The account has a keyset that keyform does not know.";
    AppUnmanaged, "app_unmanaged", "an app is not managed",
        "The account has an app that keyform does not know.";
}

pub(super) fn kind(finding: &Finding) -> Kind {
    words(finding).kind
}

/// `keyset LABEL`; of what nobody manages, its id.
pub(super) fn about(finding: &Finding) -> String {
    words(finding).about
}

pub(super) fn sentence(finding: &Finding) -> String {
    let Words { about, what, who, .. } = words(finding);
    format!("{about}: {what} ({who})")
}

fn words(finding: &Finding) -> Words {
    let of = |kind, about: String, what: String, who| Words { kind, about, what, who };
    match finding {
        Finding::Field { label, field, who: by, declared, applied, live, .. } => {
            let before = match applied {
                Some(applied) if applied != declared && applied != live => {
                    format!(" (applied: {})", value(applied))
                }
                _ => String::new(),
            };
            let what = format!(
                "{field}: declared {}, the account has {}{before}",
                value(declared),
                value(live)
            );
            of(Kind::Field, format!("keyset {label}"), what, who(*by))
        }
        Finding::Push { label, push, why, .. } => {
            let who = match why {
                Upload::New | Upload::Changed => "changed in the project since the last apply",
                Upload::ChangedOutside { .. } => "changed in the account",
            };
            of(Kind::Push, format!("keyset {label}"), format!("{push}: {}", upload(why)), who)
        }
        Finding::AppName { label, who: by, declared, live, .. } => of(
            Kind::AppName,
            format!("app {label}"),
            format!("name: declared {}, the account has {}", quoted(declared), quoted(live)),
            who(*by),
        ),
        Finding::Gone { label, id, .. } => of(
            Kind::Gone,
            format!("keyset {label}"),
            format!("gone ({id})"),
            "deleted in the account",
        ),
        Finding::AppGone { label, id, .. } => of(
            Kind::AppGone,
            format!("app {label}"),
            format!("gone ({id})"),
            "deleted in the account, or not visible to this API key",
        ),
        Finding::Moved { label, from, to, .. } => of(
            Kind::Moved,
            format!("keyset {label}"),
            format!("in app {to}, and was in app {from}"),
            "moved in the account",
        ),
        Finding::NotApplied { label, .. } => of(
            Kind::NotApplied,
            format!("keyset {label}"),
            "not created yet".into(),
            "declared since the last apply",
        ),
        Finding::AppNotApplied { label, .. } => of(
            Kind::AppNotApplied,
            format!("app {label}"),
            "not created yet".into(),
            "declared since the last apply",
        ),
        Finding::NotDeclared { label, id } => of(
            Kind::NotDeclared,
            format!("keyset {label}"),
            format!("exists ({id}), and is not declared any more"),
            "taken out of the TOML",
        ),
        Finding::AppNotDeclared { label, id } => of(
            Kind::AppNotDeclared,
            format!("app {label}"),
            format!("exists ({id}), and is not declared any more"),
            "taken out of the TOML",
        ),
        Finding::Unmanaged { id, name, app } => {
            let name = name.as_ref().map_or_else(String::new, |name| format!(" {}", quoted(name)));
            of(
                Kind::Unmanaged,
                format!("keyset {id}"),
                format!("not managed:{name} in app {app}"),
                "made outside keyform",
            )
        }
        Finding::AppUnmanaged { id, name } => of(
            Kind::AppUnmanaged,
            format!("app {id}"),
            format!("not managed: {}", quoted(name)),
            "made outside keyform",
        ),
    }
}

fn who(who: Who) -> &'static str {
    match who {
        Who::Toml => "changed in the TOML since the last apply",
        Who::Account => "changed in the account",
        Who::Both => "changed in the TOML and in the account",
        Who::Server => "never applied with success: the account has the server's own value",
    }
}

fn place<'s>(finding: &Finding, sources: &'s Sources) -> Option<config::Place<'s>> {
    sources.place(finding.origin()?)
}

fn summary(drift: &Drift) -> String {
    let ignored = match drift.ignored.len() {
        0 => String::new(),
        n => format!(", {} ignored", count(n, "difference")),
    };
    match drift.findings.len() {
        0 => format!("No drift: {} in order{ignored}.", drift.in_order),
        n => format!("{}, {} in order{ignored}.", count(n, "difference"), drift.in_order),
    }
}

/// For a terminal; ends with a newline.
pub fn human(drift: &Drift, sources: &Sources) -> String {
    let mut out = String::new();
    let mut last = String::new();
    for finding in &drift.findings {
        let Words { about, what, who, .. } = words(finding);
        if about != last {
            let _ = writeln!(out, "{BOLD}{about}{BOLD:#}");
            last = about;
        }
        let _ = writeln!(out, "  {WARN}≠{WARN:#} {what}");
        let at = place(finding, sources).map_or_else(String::new, |at| {
            format!("; {}:{}:{}", terminal(at.path), at.line, at.column)
        });
        let _ = writeln!(out, "    {DIM}{who}{at}{DIM:#}");
    }
    if !drift.is_empty() {
        out.push('\n');
    }
    let style = if drift.is_empty() { GOOD } else { WARN };
    let _ = writeln!(out, "{style}{}{style:#}", summary(drift));
    out
}

/// For a comment or an issue. Everything foreign is in code spans, where nothing is interpreted.
pub fn for_markdown(drift: &Drift, sources: &Sources) -> String {
    let mut comment = Comment::new(&summary(drift));
    let rows = drift.findings.iter().map(|finding| {
        let Words { about, what, who, .. } = words(finding);
        let at = place(finding, sources)
            .map_or_else(String::new, |at| markdown(&format!("{}:{}", at.path, at.line)));
        vec![markdown(&about), markdown(&what), who.to_owned(), at]
    });
    comment.table("", &["what", "difference", "who", "where"], rows);
    comment.finish()
}

/// Workflow commands: an annotation for each finding, at its line.
pub fn for_github(drift: &Drift, sources: &Sources) -> String {
    let findings = drift.findings.iter().map(|finding| {
        let Words { about, what, who, .. } = words(finding);
        annotation(
            Level::Warning,
            place(finding, sources).as_ref(),
            &format!("drift: {about}"),
            &[&format!("{what} ({who})")],
        )
    });
    bounded(findings) + &annotation(Level::Notice, None, "drift", &[&summary(drift)])
}

/// The document of `--format json`.
pub fn document(drift: &Drift, sources: &Sources) -> documents::Drift {
    let findings = drift.findings.iter().map(|finding| {
        let Words { about, what, who, .. } = words(finding);
        documents::Finding {
            message: format!("{about}: {what}"),
            who: who.to_owned(),
            place: finding.origin().and_then(|origin| Place::of(origin, sources)),
            what: what_differs(finding),
        }
    });
    let ignored = drift.ignored.iter().map(|ignored| {
        let IgnoredDrift { label, field, declared, live, reason } = ignored;
        documents::Ignored {
            label: label.clone(),
            field: FieldName(*field),
            declared: declared.into(),
            live: live.into(),
            reason: reason.as_deref().map(str::to_owned),
        }
    });
    documents::Drift {
        in_order: drift.in_order,
        findings: findings.collect(),
        ignored: ignored.collect(),
    }
}

fn what_differs(finding: &Finding) -> What {
    match finding.clone() {
        Finding::Field { label, id, field, who, declared, applied, live, origin: _ } => {
            What::Field {
                label,
                id,
                field: FieldName(field),
                by: by(who),
                declared: (&declared).into(),
                applied: applied.as_ref().map(Into::into),
                live: (&live).into(),
            }
        }
        Finding::Push { label, id, push, why, origin: _ } => {
            let by = match why {
                Upload::ChangedOutside { .. } => documents::Who::Account,
                Upload::New | Upload::Changed => documents::Who::Toml,
            };
            What::Push { label, id, push, by }
        }
        Finding::AppName { label, id, who, declared, applied, live, origin: _ } => {
            let (declared, applied, live) = (declared.into(), applied.into(), live.into());
            What::AppName { label, id, by: by(who), declared, applied, live }
        }
        Finding::Gone { label, id, origin: _ } => What::Gone { label, id },
        Finding::AppGone { label, id, origin: _ } => What::AppGone { label, id },
        Finding::Moved { label, id, from, to, origin: _ } => What::Moved { label, id, from, to },
        Finding::NotApplied { label, origin: _ } => What::NotApplied { label },
        Finding::AppNotApplied { label, origin: _ } => What::AppNotApplied { label },
        Finding::NotDeclared { label, id } => What::NotDeclared { label, id },
        Finding::AppNotDeclared { label, id } => What::AppNotDeclared { label, id },
        Finding::Unmanaged { id, name, app } => {
            What::Unmanaged { id, name: name.map(Into::into), app }
        }
        Finding::AppUnmanaged { id, name } => What::AppUnmanaged { id, name: name.into() },
    }
}

fn by(who: Who) -> documents::Who {
    match who {
        Who::Toml => documents::Who::Toml,
        Who::Account => documents::Who::Account,
        Who::Both => documents::Who::Both,
        Who::Server => documents::Who::Server,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::documents::to_json;
    use crate::keyset::{AppId, FieldId, KeysetId, Label, Origin, Push, Value};

    /// A finding of every kind.
    pub(in super::super) fn one_of_each() -> Drift {
        let label = || Label::parse("dev").expect("a label");
        let id = || KeysetId::parse("1").expect("an id");
        let app = || AppId::parse("2").expect("an id");
        let origin = Origin { file: 0, start: 0, end: 0 };
        let field = FieldId::all().next().expect("a field");
        let push = Push::all().next().expect("a push service");
        let (declared, live) = (Value::Int(1), Value::Int(2));
        let why = Upload::Changed;
        let who = Who::Both;
        let findings = vec![
            Finding::Field {
                label: label(),
                id: id(),
                field,
                who,
                declared,
                applied: None,
                live,
                origin,
            },
            Finding::Push { label: label(), id: id(), push, why, origin },
            Finding::AppName {
                label: label(),
                id: app(),
                who,
                declared: "a".into(),
                applied: "b".into(),
                live: "c".into(),
                origin,
            },
            Finding::Gone { label: label(), id: id(), origin: None },
            Finding::AppGone { label: label(), id: app(), origin: None },
            Finding::Moved { label: label(), id: id(), from: app(), to: app(), origin: None },
            Finding::NotApplied { label: label(), origin },
            Finding::AppNotApplied { label: label(), origin },
            Finding::NotDeclared { label: label(), id: id() },
            Finding::AppNotDeclared { label: label(), id: app() },
            Finding::Unmanaged { id: id(), name: None, app: app() },
            Finding::AppUnmanaged { id: app(), name: "theirs".into() },
        ];
        Drift { findings, ..Drift::default() }
    }

    #[test]
    fn the_document_and_the_rules_name_a_finding_alike() {
        let drift = one_of_each();
        let mut seen = BTreeSet::new();
        for finding in &drift.findings {
            let kind = kind(finding);
            assert_eq!(to_json(&what_differs(finding))["what"], kind.tag());
            seen.insert(kind);
        }
        assert_eq!(seen, Kind::ALL.iter().copied().collect(), "one of each");
    }
}
