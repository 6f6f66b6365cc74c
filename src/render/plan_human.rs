//! A plan for people. Understandable without colour; one summary at the end.

use std::collections::BTreeMap;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use similar::{Algorithm, ChangeTag};

use crate::config::Sources;
use crate::keyset::{Label, Push, Value};
use crate::plan::{
    Change, Mark, Op, OpKind, Plan, PushUpload, ROWS, Refusal, Row, Section, Step, Summary,
};

use super::plan_words::{self as words, quoted, value};
use super::text::{count, terminal};

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// All settings of every create, also where there are many.
    pub verbose: bool,
}

/// Above this many creates each is one line, unless the reader asks for all.
const DETAILED_CREATES: usize = 20;
/// Texts longer than this have their changed parts marked.
const LONG_TEXT: usize = 20;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const CREATE: Style = AnsiColor::Green.on_default();
const UPDATE: Style = AnsiColor::Yellow.on_default();
const FINAL: Style = AnsiColor::Magenta.on_default();
const REFUSE: Style = AnsiColor::Red.on_default().bold();

/// The whole text, ending with a newline, styled for a terminal; print it through `anstream`, which
/// takes the styles out where they are not wanted. `sources`: the files that the plan's origins
/// point into.
pub fn plan(plan: &Plan, sources: &Sources, options: Options) -> String {
    let mut out = String::new();
    for Group { title, entries, urgency: _ } in groups(plan, sources, options) {
        out.push_str(&format!("{BOLD}{title}{BOLD:#}\n"));
        for line in entries.iter().flat_map(|entry| entry.lines()) {
            out.push_str("  ");
            out.push_str(line);
            out.push('\n');
        }
        out.push('\n');
    }
    out.push_str(&summary(plan));
    out
}

/// A part of a plan under a title. Never empty.
pub(super) struct Group {
    pub title: &'static str,
    /// Some lines each, styled.
    pub entries: Vec<String>,
    /// Lower is what a reader must not miss.
    pub urgency: u8,
}

const REFUSALS: u8 = 0;
const REMOVALS: u8 = 1;
const ORDINARY: u8 = 2;

pub(super) fn groups(plan: &Plan, sources: &Sources, options: Options) -> Vec<Group> {
    let compact = plan.summary().count(OpKind::CreateKeyset) > DETAILED_CREATES && !options.verbose;
    let mut sections: BTreeMap<Section, Vec<String>> = BTreeMap::new();
    for each in &plan.steps {
        sections.entry(each.row().section).or_default().push(step(each, compact));
    }
    let urgency = |section| if section == Section::Removals { REMOVALS } else { ORDINARY };
    let mut groups: Vec<Group> = sections
        .into_iter()
        .map(|(section, entries)| Group {
            title: section.title(),
            entries,
            urgency: urgency(section),
        })
        .collect();
    let orphan = |o: &crate::plan::Orphan| {
        format!("{DIM}-{DIM:#} keyset {} ({}): {}\n", o.label, o.id, words::orphan(o))
    };
    for (title, urgency, entries) in [
        (
            "Refused",
            REFUSALS,
            plan.refusals.iter().map(|r| refusal(r, sources)).collect::<Vec<_>>(),
        ),
        ("No longer declared", ORDINARY, plan.orphans.iter().map(orphan).collect()),
        (
            "Notes",
            ORDINARY,
            plan.notes.iter().map(|n| format!("{DIM}*{DIM:#} {}\n", words::note(n))).collect(),
        ),
    ] {
        if !entries.is_empty() {
            groups.push(Group { title, entries, urgency });
        }
    }
    groups
}

/// The last lines as one, without styles.
pub fn summary_line(plan: &Plan) -> String {
    plain(&summary(plan)).trim_end().replace('\n', " ")
}

/// The text without its styles.
pub(super) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn step(step: &Step, compact: bool) -> String {
    match &step.op {
        Op::CreateApp { name, reason } => {
            let plus = mark(step);
            let mut out = head(step, &because(reason));
            let _ = writeln!(out, "    {plus} name: {}", quoted(name));
            let _ = writeln!(out, "    {plus} id: {DIM}(known after apply){DIM:#}");
            out
        }
        Op::RenameApp { from, to } => {
            let values = change_of_text(&quoted(from), &quoted(to));
            head(step, "") + &format!("    {} name: {values}\n", mark(step))
        }
        Op::AdoptApp { name } => {
            let (label, id) = (&step.label, id(step));
            let of_its_own = step.app_id().is_none_or(|id| **name != *id.as_str());
            let name = if of_its_own { format!(" {}", quoted(name)) } else { String::new() };
            format!(
                "{} app {label}:{name}{id} exists and becomes known to the state{}\n",
                mark(step),
                unsent(step)
            )
        }
        Op::CreateKeyset { settings, reason, protect: _ } if compact => {
            let settings = format!("{}{}", count(settings.len(), "setting"), finals(settings));
            head(step, &format!(": {settings}{}", because(reason)))
        }
        Op::CreateKeyset { settings, reason, protect: _ } => {
            create(&head(step, &because(reason)), settings)
        }
        Op::UpdateKeyset { changes } => {
            let fields: String = changes.iter().map(field).collect();
            head(step, "") + &fields
        }
        Op::UploadPush(what) => upload(step, what),
        Op::RotateSecret { why } => {
            let (label, app, id) = (&step.label, app(step), id(step));
            let why = words::rotation(why);
            format!("{} secret key of keyset {label}{app}{id}\n    {why}\n", mark(step))
        }
        Op::MirrorSecret { to, why } => format!(
            "{} secret key of keyset {} to {} {DIM}({}){DIM:#}\n",
            mark(step),
            step.label,
            terminal(&to.to_string()),
            words::mirroring(*why)
        ),
        Op::MoveApp { from } | Op::MoveKeyset { from } => format!(
            "{} {} {from} becomes {}{}{}\n",
            mark(step),
            step.row().noun,
            step.label,
            id(step),
            unsent(step)
        ),
        Op::ProtectKeyset { protect } => {
            let how = if *protect {
                "never to be deleted"
            } else {
                "may be deleted once it is not declared any more"
            };
            head(step, &format!(": {how}{}", unsent(step)))
        }
        Op::DeleteKeyset { keys } => {
            let minus = mark(step);
            let mut out = head(step, &format!(": {REFUSE}for ever{REFUSE:#}"));
            let _ = writeln!(out, "    {minus} publishKey: {}", terminal(&keys.publish_key));
            let _ = writeln!(out, "    {minus} subscribeKey: {}", terminal(&keys.subscribe_key));
            let _ = writeln!(out, "    {minus} its secret key, and its data");
            out
        }
        Op::DeleteApp { name } => {
            format!("{} app {}: {}{}\n", mark(step), step.label, quoted(name), id(step))
        }
        // Whatever needs no words of its own.
        _ => head(step, &format!(": {}", step.row().remark)),
    }
}

/// Said where only the state changes.
fn unsent(step: &Step) -> &'static str {
    if step.row().requests == 0 { "; nothing is sent" } else { "" }
}

/// What is done, to what: one line, which ends with `more`.
fn head(step: &Step, more: &str) -> String {
    let (noun, label) = (step.row().noun, &step.label);
    format!("{} {noun} {label}{}{}{more}\n", mark(step), app(step), id(step))
}

fn mark(step: &Step) -> String {
    let mark = step.row().mark;
    let style = match mark {
        Mark::Create => CREATE,
        Mark::Change | Mark::Upload | Mark::Move => UPDATE,
        Mark::Delete => REFUSE,
        Mark::Forget => DIM,
    };
    format!("{style}{}{style:#}", mark.sign())
}

fn app(step: &Step) -> String {
    step.app.as_ref().map_or_else(String::new, |app| format!(" in app {app}"))
}

fn id(step: &Step) -> String {
    step.id.as_ref().map_or_else(String::new, |id| format!(" ({id})"))
}

fn upload(step: &Step, upload: &PushUpload) -> String {
    let PushUpload { push, file, texts, sha256, why, switch_off } = upload;
    let (up, label) = (mark(step), &step.label);
    let mut out =
        format!("{up} {push} of keyset {label}{}{}: {}\n", app(step), id(step), words::upload(why));
    let _ = writeln!(
        out,
        "    {up} file: {} {DIM}(sha256 {}...){DIM:#}",
        quoted(file),
        &sha256[..16.min(sha256.len())]
    );
    for (name, text) in texts.iter().filter(|(_, text)| !file.ends_with(&***text)) {
        let _ = writeln!(out, "    {up} {name}: {}", quoted(text));
    }
    if let Some(switch) = Push::switch() {
        let then = if *switch_off {
            "turned on by the upload, and off again afterwards"
        } else {
            "turned on by the upload"
        };
        let _ = writeln!(out, "      {DIM}{switch}: {then}{DIM:#}");
    }
    out
}

fn because(reason: &crate::plan::Reason) -> String {
    words::reason(reason).map_or(String::new(), |text| format!(" {UPDATE}({text}){UPDATE:#}"))
}

fn create(head: &str, settings: &[Change]) -> String {
    let mut out = head.to_owned();
    for setting in settings {
        let last = if setting.is_irreversible() {
            format!(" {FINAL}(final: cannot be changed later){FINAL:#}")
        } else {
            String::new()
        };
        let _ = writeln!(
            out,
            "    {CREATE}+{CREATE:#} {}: {}{last}",
            setting.field,
            with_unit(setting, &value(&setting.to))
        );
    }
    let _ = writeln!(
        out,
        "    {CREATE}+{CREATE:#} id, publishKey, subscribeKey: {DIM}(known after apply){DIM:#}"
    );
    let _ = writeln!(
        out,
        "    {CREATE}+{CREATE:#} secret key: {DIM}(known after apply; goes into the secret sink, \
         never shown){DIM:#}"
    );
    out
}

/// Once-set values are shown however short the plan is: they are what a reviewer must not miss.
fn finals(settings: &[Change]) -> String {
    let finals: Vec<String> = settings
        .iter()
        .filter(|s| s.is_irreversible())
        .map(|s| format!("{} {}", s.field, value(&s.to)))
        .collect();
    if finals.is_empty() {
        String::new()
    } else {
        format!("; {FINAL}final: {}{FINAL:#}", finals.join(", "))
    }
}

/// One field of an update.
fn field(change: &Change) -> String {
    if change.companion {
        return format!(
            "      {DIM}{}: {} (sent along){DIM:#}\n",
            change.field,
            with_unit(change, &value(&change.to))
        );
    }
    let from = change.from.as_ref().map_or("(not known)".into(), value);
    let values = with_unit(change, &change_of_text(&from, &value(&change.to)));
    if change.is_irreversible() {
        format!(
            "    {FINAL}!{FINAL:#} {}: {values} {FINAL}(final: cannot be changed later){FINAL:#}\n",
            change.field
        )
    } else {
        format!("    {UPDATE}~{UPDATE:#} {}: {values}\n", change.field)
    }
}

/// Adds the unit, and what a value means that reads like something else.
fn with_unit(change: &Change, values: &str) -> String {
    let field = change.field.field();
    let mut text = values.to_owned();
    if let Some(unit) = field.unit {
        let _ = write!(text, " {unit}");
    }
    let shown = |value: &Value| {
        field.note.is_some_and(|note| note.split(' ').next() == Some(&value.to_string()))
    };
    if let Some(note) = field.note
        && (shown(&change.to) || change.from.as_ref().is_some_and(shown))
    {
        let _ = write!(text, " ({note})");
    }
    text
}

/// `old -> new`, both whole; in long texts the parts that differ stand out.
fn change_of_text(from: &str, to: &str) -> String {
    if from.chars().count().min(to.chars().count()) <= LONG_TEXT {
        return format!("{from} -> {to}");
    }
    let (mut old, mut new) = (String::new(), String::new());
    for (tag, part) in similar::utils::diff_unicode_words(Algorithm::Myers, from, to) {
        let marked = || format!("{UPDATE}{part}{UPDATE:#}");
        match tag {
            ChangeTag::Equal => {
                old.push_str(part);
                new.push_str(part);
            }
            ChangeTag::Delete => old.push_str(&marked()),
            ChangeTag::Insert => new.push_str(&marked()),
        }
    }
    format!("{old} -> {new}")
}

fn refusal(refusal: &Refusal, sources: &Sources) -> String {
    let Refusal { label, why, origin } = refusal;
    let words = words::refused(why);
    let who = |label: &Label| format!("{} {label}: ", if why.is_app() { "app" } else { "keyset" });
    let mut out = format!(
        "{REFUSE}!{REFUSE:#} {}{}\n",
        label.as_ref().map_or(String::new(), who),
        words.what
    );
    if let Some(place) = origin.and_then(|origin| sources.place(origin)) {
        let _ = writeln!(out, "    at {}:{}:{}", terminal(place.path), place.line, place.column);
    }
    let _ = writeln!(out, "    {DIM}why:{DIM:#} {}", words.why);
    for (n, instead) in words.instead.iter().enumerate() {
        let _ = if n == 0 {
            writeln!(out, "    {DIM}do:{DIM:#}  {instead}")
        } else {
            writeln!(out, "         {instead}")
        };
    }
    out
}

fn summary(plan: &Plan) -> String {
    let sum = plan.summary();
    let mut parts = to_do(&sum);
    if sum.refused > 0 {
        parts.push(format!("{} refused", sum.refused));
    }
    parts.push(format!("{} unchanged", sum.unchanged));
    if sum.orphans > 0 {
        parts.push(format!("{} no longer declared", sum.orphans));
    }
    let head = if plan.is_empty() { "Nothing to do" } else { "Plan" };
    let looked = if plan.refreshed { "" } else { " The account was not looked at." };
    let mut out = format!("{BOLD}{head}:{BOLD:#} {}.{looked}\n", parts.join(", "));
    if !plan.refusals.is_empty() {
        let _ = writeln!(out, "{REFUSE}Refused:{REFUSE:#} nothing will be applied.");
    }
    out
}

/// How many of which steps there are to do.
fn to_do(sum: &Summary) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let created: Vec<String> = [OpKind::CreateApp, OpKind::CreateKeyset]
        .into_iter()
        .filter(|kind| sum.count(*kind) > 0)
        .map(|kind| count(sum.count(kind), kind.row().to_do.0))
        .collect();
    if !created.is_empty() {
        parts.push(format!("{} to create", created.join(" and ")));
    }
    // Kinds that say the same are told as one; they are neighbours in the table.
    let told = |row: &&Row| !matches!(row.kind, OpKind::CreateApp | OpKind::CreateKeyset);
    let planned: Vec<&Row> = ROWS.iter().filter(|row| row.planned.is_some()).filter(told).collect();
    for rows in planned.chunk_by(|a, b| a.to_do == b.to_do) {
        let n: usize = rows.iter().map(|row| sum.count(row.kind)).sum();
        let Some(row) = rows.first().filter(|_| n > 0) else { continue };
        let (noun, verb) = row.to_do;
        parts.push(match row.kind {
            OpKind::UpdateKeyset => {
                // Right after "keysets to create" the noun would be said twice.
                let counted = match parts.len() {
                    1 if sum.count(OpKind::CreateKeyset) > 0 => n.to_string(),
                    _ => count(n, noun),
                };
                let finals = match sum.irreversible {
                    0 => String::new(),
                    finals => format!(" ({finals} irreversible)"),
                };
                format!("{counted} {verb}{finals}")
            }
            OpKind::MirrorSecret if n > 1 => format!("{n} copies {verb}"),
            _ => format!("{} {verb}", count(n, noun)),
        });
    }
    parts
}
