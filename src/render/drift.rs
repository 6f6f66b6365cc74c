//! Drift for people, for programs, for a pull request or issue, and as annotations of GitHub
//! Actions.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::comment::Comment;
use super::github::{Level, annotation, bounded};
use super::plan_words::{quoted, upload, value};
use super::style::{BOLD, DIM, GOOD, WARN};
use super::text::{count, markdown, terminal};
use crate::config::{Place, Sources};
use crate::keyset::wire::to_json;
use crate::plan::{Drift, Finding, IgnoredDrift, Upload, Who};

/// A finding in words: what it is about, what differs, and who changed it.
struct Words {
    /// Stable, for programs.
    tag: &'static str,
    about: String,
    what: String,
    who: &'static str,
}

/// Every tag, with what it stands for.
pub(super) const KINDS: &[(&str, &str, &str)] = &[
    ("field", "a field differs", "A declared field of a keyset has another value in the account."),
    (
        "app_name",
        "an app's name differs",
        "The name of an app that keyform manages is another one in the account.",
    ),
    (
        "gone",
        "a keyset is gone",
        "A keyset that keyform made or adopted is not in the account any more.",
    ),
    (
        "app_gone",
        "an app is gone",
        "An app that keyform made or refers to is not in the account any more, or not visible to \
         the API key.",
    ),
    ("moved", "a keyset is in another app", "A keyset is in another app than the state says."),
    (
        "not_applied",
        "a keyset is not created yet",
        "The keyset is declared, and no apply has created it.",
    ),
    (
        "app_not_applied",
        "an app is not created yet",
        "The app is declared, and no apply has created it.",
    ),
    (
        "not_declared",
        "a keyset is not declared any more",
        "The keyset exists and is recorded, and no file declares it.",
    ),
    (
        "app_not_declared",
        "an app is not declared any more",
        "The app exists and is recorded, and no file declares it.",
    ),
    (
        "unmanaged",
        "a keyset is not managed",
        "The account has a keyset that keyform does not know.",
    ),
    (
        "app_unmanaged",
        "an app is not managed",
        "The account has an app that keyform does not know.",
    ),
];

/// One of [`KINDS`].
pub(super) fn tag(finding: &Finding) -> &'static str {
    words(finding).tag
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
    let of = |tag, about: String, what: String, who| Words { tag, about, what, who };
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
            of("field", format!("keyset {label}"), what, who(*by))
        }
        Finding::Push { label, push, why, .. } => {
            let who = match why {
                Upload::New | Upload::Changed => "changed in the project since the last apply",
                Upload::ChangedOutside { .. } => "changed in the account",
            };
            of("push", format!("keyset {label}"), format!("{push}: {}", upload(why)), who)
        }
        Finding::AppName { label, who: by, declared, live, .. } => of(
            "app_name",
            format!("app {label}"),
            format!("name: declared {}, the account has {}", quoted(declared), quoted(live)),
            who(*by),
        ),
        Finding::Gone { label, id, .. } => {
            of("gone", format!("keyset {label}"), format!("gone ({id})"), "deleted in the account")
        }
        Finding::AppGone { label, id, .. } => of(
            "app_gone",
            format!("app {label}"),
            format!("gone ({id})"),
            "deleted in the account, or not visible to this API key",
        ),
        Finding::Moved { label, from, to, .. } => of(
            "moved",
            format!("keyset {label}"),
            format!("in app {to}, and was in app {from}"),
            "moved in the account",
        ),
        Finding::NotApplied { label, .. } => of(
            "not_applied",
            format!("keyset {label}"),
            "not created yet".into(),
            "declared since the last apply",
        ),
        Finding::AppNotApplied { label, .. } => of(
            "app_not_applied",
            format!("app {label}"),
            "not created yet".into(),
            "declared since the last apply",
        ),
        Finding::NotDeclared { label, id } => of(
            "not_declared",
            format!("keyset {label}"),
            format!("exists ({id}), and is not declared any more"),
            "taken out of the TOML",
        ),
        Finding::AppNotDeclared { label, id } => of(
            "app_not_declared",
            format!("app {label}"),
            format!("exists ({id}), and is not declared any more"),
            "taken out of the TOML",
        ),
        Finding::Unmanaged { id, name, app } => {
            let name = name.as_ref().map_or_else(String::new, |name| format!(" {}", quoted(name)));
            of(
                "unmanaged",
                format!("keyset {id}"),
                format!("not managed:{name} in app {app}"),
                "made outside keyform",
            )
        }
        Finding::AppUnmanaged { id, name } => of(
            "app_unmanaged",
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

fn who_tag(who: Who) -> &'static str {
    match who {
        Who::Toml => "toml",
        Who::Account => "account",
        Who::Both => "both",
        Who::Server => "server",
    }
}

fn place<'s>(finding: &Finding, sources: &'s Sources) -> Option<Place<'s>> {
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

/// `{"format_version":1,"kind":"drift",...}`. Holds no secret.
///
/// ```text
/// findings[]   {what, message, who, place: {path, line, column} | null} and, by `what`:
///   "field"           label, id, field, by: "toml" | "account" | "both" | "server", declared, applied (or null), live
///   "push"            label, id, push, by: "toml" | "account"
///   "app_name"        label, id, by, declared, applied, live
///   "gone" "app_gone" "not_declared" "app_not_declared"   label, id
///   "moved"           label, id, from, to (ids of apps)
///   "not_applied" "app_not_applied"   label
///   "unmanaged"       id, name (or null), app;   "app_unmanaged"   id, name
/// in_order     how many declared apps and keysets are as they should be
/// ignored[]    {label, field, declared, live, reason (or null)}: what `ignore` leaves alone; no finding
/// ```
pub fn json(drift: &Drift, sources: &Sources, exit_code: u8) -> Json {
    let findings: Vec<Json> = drift
        .findings
        .iter()
        .map(|finding| {
            let words = words(finding);
            let mut json = match finding {
                Finding::Field { label, id, field, who, declared, applied, live, origin: _ } => json!({
                    "label": label, "id": id, "field": field.to_string(), "by": who_tag(*who), "declared": to_json(declared),
                    "applied": applied.as_ref().map(to_json), "live": to_json(live),
                }),
                Finding::Push { label, id, push, why, origin: _ } => {
                    let by = if matches!(why, Upload::ChangedOutside { .. }) { Who::Account } else { Who::Toml };
                    json!({ "label": label, "id": id, "push": push, "by": who_tag(by) })
                }
                Finding::AppName { label, id, who, declared, applied, live, origin: _ } => {
                    json!({ "label": label, "id": id, "by": who_tag(*who), "declared": declared, "applied": applied, "live": live })
                }
                Finding::Gone { label, id, .. } | Finding::NotDeclared { label, id } => json!({ "label": label, "id": id }),
                Finding::AppGone { label, id, .. } | Finding::AppNotDeclared { label, id } => json!({ "label": label, "id": id }),
                Finding::Moved { label, id, from, to, .. } => json!({ "label": label, "id": id, "from": from, "to": to }),
                Finding::NotApplied { label, .. } | Finding::AppNotApplied { label, .. } => json!({ "label": label }),
                Finding::Unmanaged { id, name, app } => json!({ "id": id, "name": name, "app": app }),
                Finding::AppUnmanaged { id, name } => json!({ "id": id, "name": name }),
            };
            json["what"] = words.tag.into();
            json["message"] = format!("{}: {}", words.about, words.what).into();
            json["who"] = words.who.into();
            json["place"] = place(finding, sources).map_or(Json::Null, |p| json!({ "path": p.path, "line": p.line, "column": p.column }));
            json
        })
        .collect();
    let ignored = drift.ignored.iter().map(|IgnoredDrift { label, field, declared, live, reason }| {
        json!({ "label": label, "field": field.to_string(), "declared": to_json(declared), "live": to_json(live), "reason": reason })
    });
    json!({
        "format_version": 1, "kind": "drift", "exit_code": exit_code, "in_order": drift.in_order, "findings": findings,
        "ignored": ignored.collect::<Vec<_>>(),
    })
}
