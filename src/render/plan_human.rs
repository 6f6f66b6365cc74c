//! A plan for people. Understandable without colour; one summary at the end.

use std::collections::BTreeMap;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use similar::{Algorithm, ChangeTag};

use crate::config::Sources;
use crate::keyset::{Label, Push, Value};
use crate::plan::{Action, Change, Plan, Refusal};

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
    let compact = plan.summary().create > DETAILED_CREATES && !options.verbose;
    let mut actions: BTreeMap<Part, Vec<String>> = BTreeMap::new();
    for each in &plan.actions {
        actions.entry(Part::of(each)).or_default().push(action(each, compact));
    }
    let mut groups: Vec<Group> = actions
        .into_iter()
        .map(|(part, entries)| Group { title: part.title(), entries, urgency: part.urgency() })
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
            plan.notes.iter().map(|n| format!("{DIM}*{DIM:#} {}\n", words::note(n).1)).collect(),
        ),
    ] {
        if !entries.is_empty() {
            groups.push(Group { title, entries, urgency });
        }
    }
    groups
}

/// Under which title an action stands, in the order of the titles.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Moves,
    Apps,
    Creates,
    Updates,
    Uploads,
    Rotations,
    Copies,
    Protection,
    Removals,
}

impl Part {
    fn of(action: &Action) -> Part {
        match action {
            Action::MoveApp { .. } | Action::MoveKeyset { .. } => Part::Moves,
            Action::CreateApp { .. } | Action::RenameApp { .. } | Action::AdoptApp { .. } => {
                Part::Apps
            }
            Action::CreateKeyset { .. } => Part::Creates,
            Action::UpdateKeyset { .. } => Part::Updates,
            Action::UploadPush { .. } => Part::Uploads,
            Action::RotateSecret { .. } => Part::Rotations,
            Action::MirrorSecret { .. } => Part::Copies,
            Action::ProtectKeyset { .. } => Part::Protection,
            Action::DeleteKeyset { .. }
            | Action::DeleteApp { .. }
            | Action::ForgetKeyset { .. }
            | Action::ForgetApp { .. } => Part::Removals,
        }
    }
    fn title(self) -> &'static str {
        match self {
            Part::Moves => "Labels that change",
            Part::Apps => "Apps",
            Part::Creates => "Keysets to create",
            Part::Updates => "Keysets to update",
            Part::Uploads => "Push credentials to upload",
            Part::Rotations => "Secret keys to replace",
            Part::Copies => "Copies of secret keys to send",
            Part::Protection => "Protection",
            Part::Removals => "To delete",
        }
    }
    fn urgency(self) -> u8 {
        if self == Part::Removals { REMOVALS } else { ORDINARY }
    }
}

/// The last lines as one, without styles.
pub fn summary_line(plan: &Plan) -> String {
    plain(&summary(plan)).trim_end().replace('\n', " ")
}

/// The text without its styles.
pub(super) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn action(action: &Action, compact: bool) -> String {
    match action {
        Action::CreateApp { label, name, reason, origin: _ } => {
            let mut out = format!("{CREATE}+{CREATE:#} app {label}{}\n", because(reason));
            let _ = writeln!(out, "    {CREATE}+{CREATE:#} name: {}", quoted(name));
            let _ = writeln!(out, "    {CREATE}+{CREATE:#} id: {DIM}(known after apply){DIM:#}");
            out
        }
        Action::RenameApp { label, id, from, to, origin: _ } => {
            let values = change_of_text(&quoted(from), &quoted(to));
            format!(
                "{UPDATE}~{UPDATE:#} app {label} ({id})\n    {UPDATE}~{UPDATE:#} name: {values}\n"
            )
        }
        Action::AdoptApp { label, id, name, origin: _ } => {
            let name =
                if **name == *id.as_str() { String::new() } else { format!(" {}", quoted(name)) };
            format!(
                "{CREATE}+{CREATE:#} app {label}:{name} ({id}) exists and becomes known to the \
                 state; nothing is sent\n"
            )
        }
        Action::CreateKeyset { label, app, settings, reason, protect: _, origin: _ } => {
            let head = format!("{CREATE}+{CREATE:#} keyset {label} in app {app}");
            if compact {
                format!(
                    "{head}: {}{}{}\n",
                    count(settings.len(), "setting"),
                    finals(settings),
                    because(reason)
                )
            } else {
                create(&format!("{head}{}\n", because(reason)), settings)
            }
        }
        Action::UpdateKeyset { label, id, app, changes, origin: _ } => {
            let mut out = format!("{UPDATE}~{UPDATE:#} keyset {label} in app {app} ({id})\n");
            changes.iter().for_each(|change| out.push_str(&field(change)));
            out
        }
        Action::UploadPush {
            label,
            id,
            app,
            push,
            file,
            texts,
            sha256,
            why,
            switch_off,
            origin: _,
        } => {
            let id = id.as_ref().map_or_else(String::new, |id| format!(" ({id})"));
            let mut out = format!(
                "{UPDATE}^{UPDATE:#} {push} of keyset {label} in app {app}{id}: {}\n",
                words::upload(why)
            );
            let _ = writeln!(
                out,
                "    {UPDATE}^{UPDATE:#} file: {} {DIM}(sha256 {}...){DIM:#}",
                quoted(file),
                &sha256[..16.min(sha256.len())]
            );
            for (name, text) in texts.iter().filter(|(_, text)| !file.ends_with(&***text)) {
                let _ = writeln!(out, "    {UPDATE}^{UPDATE:#} {name}: {}", quoted(text));
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
        Action::RotateSecret { label, id, app, why, origin: _ } => {
            format!(
                "{UPDATE}~{UPDATE:#} secret key of keyset {label} in app {app} ({id})\n    {}\n",
                words::rotation(why)
            )
        }
        Action::MoveApp { label, from, id, origin: _ } => {
            format!("{UPDATE}>{UPDATE:#} app {from} becomes {label} ({id}); nothing is sent\n")
        }
        Action::MoveKeyset { label, from, id, origin: _ } => {
            format!("{UPDATE}>{UPDATE:#} keyset {from} becomes {label} ({id}); nothing is sent\n")
        }
        Action::ProtectKeyset { label, id, protect, origin: _ } => {
            let how = if *protect {
                "never to be deleted"
            } else {
                "may be deleted once it is not declared any more"
            };
            format!("{UPDATE}~{UPDATE:#} keyset {label} ({id}): {how}; nothing is sent\n")
        }
        Action::DeleteKeyset { label, id, app, keys } => {
            let mut out = format!(
                "{REFUSE}-{REFUSE:#} keyset {label} in app {app} ({id}): {REFUSE}for \
                 ever{REFUSE:#}\n"
            );
            let _ = writeln!(
                out,
                "    {REFUSE}-{REFUSE:#} publishKey: {}",
                terminal(&keys.publish_key)
            );
            let _ = writeln!(
                out,
                "    {REFUSE}-{REFUSE:#} subscribeKey: {}",
                terminal(&keys.subscribe_key)
            );
            let _ = writeln!(out, "    {REFUSE}-{REFUSE:#} its secret key, and its data");
            out
        }
        Action::DeleteApp { label, id, name } => {
            format!("{REFUSE}-{REFUSE:#} app {label}: {} ({id})\n", quoted(name))
        }
        Action::ForgetKeyset { label, id } => format!(
            "{DIM}-{DIM:#} keyset {label} ({id}): gone at the server; its record goes too\n"
        ),
        Action::ForgetApp { label, id } => {
            format!("{DIM}-{DIM:#} app {label} ({id}): gone at the server; its record goes too\n")
        }
        Action::MirrorSecret { label, to, why, origin: _ } => {
            format!(
                "{UPDATE}>{UPDATE:#} secret key of keyset {label} to {} {DIM}({}){DIM:#}\n",
                terminal(&to.to_string()),
                words::mirroring(*why)
            )
        }
    }
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
    let mut parts = Vec::new();
    let created: Vec<String> = [(sum.create_apps, "app"), (sum.create, "keyset")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, noun)| count(n, noun))
        .collect();
    if !created.is_empty() {
        parts.push(format!("{} to create", created.join(" and ")));
    }
    if sum.rename_apps > 0 {
        parts.push(format!("{} to rename", count(sum.rename_apps, "app")));
    }
    if sum.adopt_apps > 0 {
        parts.push(format!("{} to note in the state", count(sum.adopt_apps, "app")));
    }
    if sum.update > 0 {
        let noun = if sum.create > 0 && sum.rename_apps + sum.adopt_apps == 0 {
            sum.update.to_string()
        } else {
            count(sum.update, "keyset")
        };
        let last = if sum.irreversible > 0 {
            format!(" ({} irreversible)", sum.irreversible)
        } else {
            String::new()
        };
        parts.push(format!("{noun} to update{last}"));
    }
    if sum.upload > 0 {
        parts.push(format!("{} to upload", count(sum.upload, "push credential")));
    }
    if sum.rotate > 0 {
        parts.push(format!("{} to replace", count(sum.rotate, "secret key")));
    }
    if sum.mirror > 0 {
        parts.push(format!(
            "{} to send",
            if sum.mirror == 1 { "1 copy".to_owned() } else { format!("{} copies", sum.mirror) }
        ));
    }
    if sum.moved > 0 {
        parts.push(format!("{} to move", count(sum.moved, "label")));
    }
    if sum.protect > 0 {
        parts.push(format!("{} to note", count(sum.protect, "protection")));
    }
    for (n, noun) in [(sum.delete, "keyset"), (sum.delete_apps, "app")] {
        if n > 0 {
            parts.push(format!("{} to DELETE", count(n, noun)));
        }
    }
    if sum.forget > 0 {
        parts.push(format!("{} to forget", count(sum.forget, "record")));
    }
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
