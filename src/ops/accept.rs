//! `drift --accept`: what the account has becomes what the TOML says.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Cause, Failure};
use super::workspace::Workspace;
use crate::config::edit::{self, Target};
use crate::config::{self, Severity, Source, Sources};
use crate::disk;
use crate::keyset::views::{AppSource, Desired};
use crate::keyset::{FieldId, Label, Origin, Value};
use crate::plan::{Drift, Finding, Who};
use crate::render::problems;
use crate::render::text::{nearest, terminal};

/// What was written.
pub struct Accepted {
    /// In the order of the TOML.
    pub values: Vec<AcceptedValue>,
    /// What was left as it is, in words.
    pub notes: Vec<String>,
}

/// A value that was written into the TOML.
pub struct AcceptedValue {
    pub target: Target,
    pub from: Value,
    pub to: Value,
    /// The file that was changed.
    pub path: String,
}

/// One value to be written.
struct Edit {
    target: Target,
    /// Of the table that is to say it.
    table: Origin,
    from: Value,
    to: Value,
}

/// Writes what the account has into the TOML, for what was named: `LABEL`, `LABEL.FIELD`,
/// `LABEL.SECTION` or `app:LABEL`. All of it or nothing, once it is proved that the project then
/// says exactly this more.
pub fn run(workspace: &Workspace, drift: &Drift, wanted: &[String]) -> anyhow::Result<Accepted> {
    let desired = &workspace.project.desired;
    let mut edits: Vec<Edit> = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    for text in wanted {
        let before = edits.len() + notes.len();
        match Wanted::parse(desired, text)? {
            Wanted::App(label) => edits.extend(
                drift.findings.iter().filter_map(|finding| app_name(desired, finding, label)),
            ),
            Wanted::Keyset(label, among) => {
                let (found, left) = of_keyset(desired, drift, label, among.as_ref());
                edits.extend(found);
                notes.extend(left);
            }
        }
        if edits.len() + notes.len() == before {
            notes
                .push(format!("{}: the account has nothing else than is declared", terminal(text)));
        }
    }
    edits.sort_by(|a, b| (&a.table, name_of(&a.target)).cmp(&(&b.table, name_of(&b.target))));
    edits.dedup_by(|a, b| a.target == b.target);
    let files = edited(workspace, &edits)?;
    prove(workspace, &edits, &files)?;
    write(workspace, &files)?;
    let accepted = |Edit { target, table, from, to }| {
        let source = workspace.sources.files.get(table.file as usize);
        let path = source.map(|source| source.path.clone()).unwrap_or_default();
        AcceptedValue { target, from, to, path }
    };
    Ok(Accepted { values: edits.into_iter().map(accepted).collect(), notes })
}

/// What is to be written for a keyset, and notes about what is not. `among`: only these fields.
fn of_keyset(
    desired: &Desired,
    drift: &Drift,
    wanted: &Label,
    among: Option<&BTreeSet<FieldId>>,
) -> (Vec<Edit>, Vec<String>) {
    let (mut edits, mut notes) = (Vec::new(), Vec::new());
    let keyset = desired.keysets.get(wanted);
    let table = keyset.map_or(Origin { file: 0, start: 0, end: 0 }, |keyset| keyset.origin);
    for finding in &drift.findings {
        let Finding::Field { label, field, who, declared, live, .. } = finding else { continue };
        if label != wanted || !among.is_none_or(|among| among.contains(field)) {
            continue;
        }
        // Nobody changed it in the account, so there is nothing to take over; who names the field
        // means it.
        if *who == Who::Toml && among.is_none() {
            notes.push(format!(
                "{label}: {field} was changed in the TOML and not in the account; it is left as it \
                 is"
            ));
            continue;
        }
        let target = Target::Field(label.clone(), *field);
        edits.push(Edit { target, table, from: declared.clone(), to: live.clone() });
    }
    (edits, notes)
}

enum Wanted<'a> {
    Keyset(&'a Label, Option<BTreeSet<FieldId>>),
    App(&'a Label),
}

impl<'a> Wanted<'a> {
    fn parse(desired: &'a Desired, text: &str) -> anyhow::Result<Wanted<'a>> {
        if let Some(app) = text.strip_prefix("app:") {
            return match desired.apps.keys().find(|label| label.as_str() == app) {
                Some(label) => Ok(Wanted::App(label)),
                None => Err(unknown("app", app, desired.apps.keys())),
            };
        }
        // Labels may hold dots, so the longest one that fits is meant.
        let fits = |label: &&Label| {
            text.strip_prefix(label.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let Some(label) =
            desired.keysets.keys().filter(fits).max_by_key(|label| label.as_str().len())
        else {
            return Err(unknown("keyset", text, desired.keysets.keys()));
        };
        let Some(name) = text.get(label.as_str().len() + 1..).filter(|name| !name.is_empty())
        else {
            return Ok(Wanted::Keyset(label, None));
        };
        let fields: BTreeSet<FieldId> = FieldId::all()
            .filter(|id| id.to_string() == name || id.section().name == name)
            .collect();
        if fields.is_empty() {
            let failure = Failure::new(
                Cause::Error,
                format!("there is no field {}: nothing was accepted", terminal(name)),
            );
            let names: Vec<String> = FieldId::all().map(|id| id.to_string()).collect();
            return Err(match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => failure.help(format!("did you mean `{label}.{near}`?")).into(),
                None => failure.into(),
            });
        }
        Ok(Wanted::Keyset(label, Some(fields)))
    }
}

fn unknown<'l>(what: &str, text: &str, labels: impl Iterator<Item = &'l Label>) -> anyhow::Error {
    let failure = Failure::new(
        Cause::Error,
        format!("no {what} `{}` is declared: nothing was accepted", terminal(text)),
    );
    match nearest(text, labels.map(Label::as_str)) {
        Some(near) => failure.help(format!("did you mean `{near}`?")).into(),
        None => failure.help("what nobody declares is taken over with `keyform adopt`").into(),
    }
}

fn app_name(desired: &Desired, finding: &Finding, wanted: &Label) -> Option<Edit> {
    let Finding::AppName { label, declared, live, .. } = finding else { return None };
    let table = desired.apps.get(label).filter(|_| label == wanted)?.origin;
    let text = |text: &str| Value::Text(text.into());
    Some(Edit {
        target: Target::AppName(label.clone()),
        table,
        from: text(declared),
        to: text(live),
    })
}

/// New texts by the number of their file.
fn edited(workspace: &Workspace, edits: &[Edit]) -> anyhow::Result<BTreeMap<usize, String>> {
    let mut files: BTreeMap<usize, String> = BTreeMap::new();
    for Edit { target, table, to, .. } in edits {
        let file = table.file as usize;
        let Some(source) = workspace.sources.files.get(file) else { continue };
        let text = files.entry(file).or_insert_with(|| source.text.clone());
        let refused = |why: String| {
            Failure::new(Cause::Refused, format!("{}: {why}: nothing was written", name_of(target)))
        };
        if let Target::Field(_, field) = target
            && field.field().accept(to.clone()).is_err()
        {
            let why =
                format!("the account has {}, which cannot be declared", terminal(&to.to_string()));
            return Err(refused(why)
                .help(
                    "take the line out by hand, or name it in `ignore`: then the account's value \
                       is left alone",
                )
                .into());
        }
        *text = edit::set(text, target, to).map_err(refused)?;
    }
    Ok(files)
}

/// The project as it will be is one, and differs from the one of now in nothing else.
fn prove(
    workspace: &Workspace,
    edits: &[Edit],
    files: &BTreeMap<usize, String>,
) -> anyhow::Result<()> {
    let source = |(n, source): (usize, &Source)| {
        Source::new(source.path.clone(), files.get(&n).unwrap_or(&source.text).clone())
    };
    let loaded = config::read(Sources {
        files: workspace.sources.files.iter().enumerate().map(source).collect(),
    });
    let errors: Vec<_> = loaded
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .cloned()
        .collect();
    let Some(project) = loaded.project.filter(|_| errors.is_empty()) else {
        let told = "with what the account has the project would not be valid: nothing was written";
        return Err(Failure::new(
            Cause::Refused,
            format!("{told}\n{}", problems::human(&errors, &loaded.sources, false).trim_end()),
        )
        .help("accept what belongs together at once: `keyform drift --accept LABEL`")
        .into());
    };
    let mut expected = values(&workspace.project.desired);
    expected.extend(edits.iter().map(|edit| (name_of(&edit.target), edit.to.clone())));
    if values(&project.desired) != expected {
        let told = "editing the TOML would change something else too, which is a bug in keyform: \
                    nothing was written";
        return Err(Failure::new(Cause::Error, told)
            .help("please report it with the TOML; change the values by hand meanwhile")
            .into());
    }
    Ok(())
}

/// Every declared value by its name.
fn values(desired: &Desired) -> BTreeMap<String, Value> {
    let fields = desired.keysets.iter().flat_map(|(label, keyset)| {
        keyset.settings.iter().map(|setting| {
            (name_of(&Target::Field(label.clone(), setting.field)), setting.value.clone())
        })
    });
    let apps = desired.apps.iter().filter_map(|(label, app)| match &app.source {
        AppSource::Managed { name, .. } => {
            Some((name_of(&Target::AppName(label.clone())), Value::Text(name.clone())))
        }
        AppSource::Existing { .. } => None,
    });
    fields.chain(apps).collect()
}

/// `LABEL.FIELD` or `app:LABEL`.
pub fn name_of(target: &Target) -> String {
    match target {
        Target::Field(label, field) => format!("{label}.{field}"),
        Target::AppName(label) => format!("app:{label}"),
    }
}

fn write(workspace: &Workspace, files: &BTreeMap<usize, String>) -> anyhow::Result<()> {
    let sources: Vec<(&Source, &String)> = files
        .iter()
        .filter_map(|(n, text)| Some((workspace.sources.files.get(*n)?, text)))
        .collect();
    for (source, _) in &sources {
        let path = workspace.dir.join(&source.path);
        if disk::read(&path)?.unwrap_or_default() != source.text.as_bytes() {
            return Err(Failure::new(
                Cause::Refused,
                format!("{} was changed meanwhile: nothing was written", path.display()),
            )
            .help("run again")
            .into());
        }
    }
    for (source, text) in sources {
        disk::replace(&workspace.dir.join(&source.path), text.as_bytes())?;
    }
    Ok(())
}
