//! `adopt`: takes over what exists in the account. Nothing in the account is changed.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Global;
use super::error::{Cause, Exit, Failure};
use super::output::Output;
use super::project::LockArgs;
use super::project::{self, ConnectArgs};
use crate::apply::adopt::{self, Adoption};
use crate::apply::refresh;
use crate::config::{self, Project, Severity, Source, Sources};
use crate::disk;
use crate::documents::adopt::{Adopt, Adopted};
use crate::keyset::views::{AppSource, Desired, Live, LiveKeyset, Recorded};
use crate::keyset::{AppId, FieldId, KeysetId, Label};
use crate::ops::SystemClock;
use crate::ops::{Workspace, Writer};
use crate::ports::Api;
use crate::render::adopt::{Declaration, Found, declare};
use crate::render::problems;
use crate::render::style::{DIM, GOOD, WARN};
use crate::render::text::{count, nearest, terminal};
use crate::state::{Snapshot, Store};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The label of a keyset that is declared and not created yet; --id says which one of the
    /// account it is
    #[arg(requires = "id", conflicts_with_all = ["all", "app"])]
    label: Option<String>,
    /// A keyset's id; may be repeated where no label is named
    #[arg(long, value_name = "ID", required_unless_present_any = ["all", "app"])]
    id: Vec<String>,
    /// Every keyset of the account that nobody manages
    #[arg(long)]
    all: bool,
    /// Every such keyset of this app, by id or name; may be repeated
    #[arg(long, value_name = "APP")]
    app: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let workspace = project::open(global, output)?;
    let writing = args.lock.writing("adopt", output);
    let finished = Writer::run(&workspace, writing, async |writer, snapshot| {
        if !snapshot.open.is_empty() {
            return Err(Failure::new(
                Cause::Refused,
                "an earlier run began something whose end is not \
                                                known: nothing was adopted",
            )
            .help(
                "`keyform apply` finds out what became of it, and may find the keyset that you \
                   want to adopt",
            )
            .into());
        }
        let client = writer.account(&args.connect.options()).await?;
        adopt(&workspace, args, output, client, writer.store(), &snapshot).await
    });
    finished.await?.whole()
}

async fn adopt(
    workspace: &Workspace,
    args: &Args,
    output: &Output,
    api: &impl Api,
    store: &Store,
    snapshot: &Snapshot,
) -> anyhow::Result<Exit> {
    let (recorded, parallelism) = (&snapshot.recorded, args.connect.options().parallelism);
    let account = refresh::listed(api, &SystemClock, recorded, parallelism).await?;
    let chosen = chosen(args, &account, recorded)?;
    let mut chosen: Vec<LiveKeyset> = stream::iter(chosen)
        .map(|live| adopt::with_config(api, live))
        .buffer_unordered(parallelism)
        .try_collect()
        .await?;
    chosen.sort_by(|a, b| (&a.app_id, &a.id).cmp(&(&b.app_id, &b.id)));

    // What is declared and waits for a create takes its keyset by name; the rest gets a
    // declaration.
    let desired = &workspace.project.desired;
    let mut declared: Vec<(Label, LiveKeyset)> = Vec::new();
    let mut others: Vec<LiveKeyset> = Vec::new();
    let apps = app_labels(desired, recorded, &account);
    if let (Some(text), [live]) = (&args.label, &chosen[..]) {
        declared.push((one(desired, recorded, &apps, text, live)?, live.clone()));
    } else {
        for live in chosen {
            match waiting(desired, recorded, &apps, &live) {
                Some(label) => {
                    if let Some((_, first)) = declared.iter().find(|(other, _)| *other == label) {
                        let told = format!(
                            "keysets {} and {} have the app and name that `{label}` declares: \
                             nothing was adopted",
                            first.id, live.id
                        );
                        let help = format!(
                            "say which one it is: keyform adopt {label} --id ID; and declare the \
                             other one under a name of its own"
                        );
                        return Err(Failure::new(Cause::Refused, told).help(help).into());
                    }
                    declared.push((label, live));
                }
                None => others.push(live),
            }
        }
    }
    let (project, declaration) = if others.is_empty() {
        (None, Declaration::default())
    } else {
        declaration(workspace, recorded, &account, &apps, &others)?
    };
    let desired = project.as_ref().map_or(desired, |project| &project.desired);

    let mut text = String::new();
    let mut adopted: Vec<(Label, KeysetId)> = Vec::new();
    let others = declaration.keysets.iter().filter_map(|(label, id)| {
        Some((label.clone(), others.iter().find(|k| k.id == *id)?.clone()))
    });
    let all: Vec<(Label, LiveKeyset)> = declared.into_iter().chain(others).collect();
    let labels = app_labels(desired, recorded, &account);
    let by_label: BTreeMap<&Label, &AppId> = labels.iter().map(|(id, label)| (label, id)).collect();
    for (label, live) in &all {
        let Some(keyset) = desired.keysets.get(label) else { continue };
        if let (None, Some(app)) = (
            recorded.apps.get(&keyset.app),
            by_label.get(&keyset.app).and_then(|id| account.apps.get(*id)),
        ) {
            let managed = desired
                .apps
                .get(&keyset.app)
                .is_some_and(|app| matches!(app.source, AppSource::Managed { .. }));
            adopt::app(store, &keyset.app, app, managed).await?;
        }
        adopt::keyset(store, &Adoption { label, desired: keyset, live }).await?;
        text.push_str(&format!(
            "{GOOD}✓{GOOD:#} keyset {label} adopted {DIM}(id {}){DIM:#}\n",
            live.id
        ));
        adopted.push((label.clone(), live.id.clone()));
    }
    for note in &declaration.notes {
        text.push_str(&format!("{WARN}*{WARN:#} {}\n", terminal(note)));
    }
    if output.is_json() {
        let keysets = adopted.into_iter().map(|(label, id)| Adopted { label, id }).collect();
        let (declared, notes) = (declaration.keysets.len(), declaration.notes.clone());
        output.document(Adopt { keysets, declared, notes }, Exit::Done);
        return Ok(Exit::Done);
    }
    let new = declaration.keysets.len();
    if new > 0 {
        text.push_str(&format!(
            "{} declared at the end of {}.\n",
            count(new, "keyset"),
            config::MAIN_FILE
        ));
    }
    text.push_str(&match adopted.len() {
        0 => "Nothing to adopt: every keyset that was asked for is managed already.\n".to_owned(),
        n => format!(
            "{} adopted. Their secret keys are in other hands: `keyform secrets import` takes one \
             that you have, `keyform secrets rotate` \
             makes a new one.\n",
            count(n, "keyset")
        ),
    });
    output.result(&text);
    Ok(Exit::Done)
}

/// The keysets that were asked for and are not managed yet.
fn chosen(args: &Args, account: &Live, recorded: &Recorded) -> anyhow::Result<Vec<LiveKeyset>> {
    let known: BTreeMap<&KeysetId, &Label> =
        recorded.keysets.iter().map(|(label, keyset)| (&keyset.id, label)).collect();
    let mut chosen: BTreeMap<KeysetId, LiveKeyset> = BTreeMap::new();
    for text in &args.id {
        let Some((id, live)) = account.keysets.iter().find(|(id, _)| id.as_str() == text) else {
            let failure = Failure::new(
                Cause::Error,
                format!(
                    "the account does not show a keyset {}: nothing was adopted",
                    terminal(text)
                ),
            );
            return Err(match nearest(text, account.keysets.keys().map(KeysetId::as_str)) {
                Some(near) => failure.help(format!("did you mean {near}?")),
                None => failure.help("`keyform drift` lists what nobody manages"),
            }
            .into());
        };
        if let Some(label) = known.get(id) {
            let failure = Failure::new(
                Cause::Refused,
                format!("keyset {id} is managed already, as `{label}`: nothing was adopted"),
            );
            return Err(failure
                .help(format!("to give it another label: keyform state mv {label} NEW"))
                .into());
        }
        chosen.insert(id.clone(), live.clone());
    }
    if args.label.is_some() && chosen.len() != 1 {
        return Err(
            Failure::new(Cause::Error, "a label stands for one keyset: name one --id").into()
        );
    }
    let mut wanted: BTreeSet<&AppId> = BTreeSet::new();
    for text in &args.app {
        let found: Vec<&AppId> = account
            .apps
            .values()
            .filter(|app| app.id.as_str() == text || *app.name == **text)
            .map(|app| &app.id)
            .collect();
        match found[..] {
            [id] => _ = wanted.insert(id),
            [] => {
                let failure = Failure::new(
                    Cause::Error,
                    format!(
                        "the account does not show an app {}: nothing was adopted",
                        terminal(text)
                    ),
                );
                let names = account.apps.values().flat_map(|app| [&*app.name, app.id.as_str()]);
                return Err(match nearest(text, names) {
                    Some(near) => failure.help(format!("did you mean {}?", terminal(near))).into(),
                    None => failure.into(),
                });
            }
            _ => {
                let ids: Vec<&str> = found.iter().map(|id| id.as_str()).collect();
                let failure = Failure::new(
                    Cause::Error,
                    format!("several apps have the name {}: nothing was adopted", terminal(text)),
                );
                return Err(failure.help(format!("name one by its id: {}", ids.join(", "))).into());
            }
        }
    }
    for (id, live) in account.keysets.iter().filter(|(id, _)| !known.contains_key(id)) {
        if args.all || wanted.contains(&live.app_id) {
            chosen.insert(id.clone(), live.clone());
        }
    }
    Ok(chosen.into_values().collect())
}

/// Which label each app of the account has: as recorded, as declared by id, or by a name that only
/// one app has.
fn app_labels(desired: &Desired, recorded: &Recorded, account: &Live) -> BTreeMap<AppId, Label> {
    let mut labels: BTreeMap<AppId, Label> = BTreeMap::new();
    for (label, app) in &desired.apps {
        let id = match (&app.source, recorded.apps.get(label)) {
            (AppSource::Existing { id, .. }, _) => Some(id.clone()),
            (AppSource::Managed { .. }, Some(known)) => Some(known.id.clone()),
            (AppSource::Managed { name, .. }, None) => {
                let mut named = account.apps.values().filter(|live| live.name == *name);
                named.next().filter(|_| named.next().is_none()).map(|live| live.id.clone())
            }
        };
        if let Some(id) = id {
            labels.insert(id, label.clone());
        }
    }
    labels
}

/// The keyset that is declared under that label and is to be this one.
fn one(
    desired: &Desired,
    recorded: &Recorded,
    apps: &BTreeMap<AppId, Label>,
    text: &str,
    live: &LiveKeyset,
) -> anyhow::Result<Label> {
    let Some((label, keyset)) = desired.keysets.iter().find(|(label, _)| label.as_str() == text)
    else {
        let failure = Failure::new(
            Cause::Error,
            format!("no keyset `{}` is declared: nothing was adopted", terminal(text)),
        );
        return Err(match nearest(text, desired.keysets.keys().map(Label::as_str)) {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None => failure.help("without a label `keyform adopt --id ID` writes a declaration"),
        }
        .into());
    };
    if let Some(known) = recorded.keysets.get(label) {
        let failure = Failure::new(
            Cause::Refused,
            format!("`{label}` stands for keyset {} already: nothing was adopted", known.id),
        );
        return Err(failure
            .help(format!("if that one is of no more use: keyform state rm {label}"))
            .into());
    }
    if apps.get(&live.app_id) != Some(&keyset.app) {
        let told = format!(
            "keyset {} is in app {}, and `{label}` is declared in app `{}`: nothing was adopted",
            live.id, live.app_id, keyset.app
        );
        return Err(Failure::new(Cause::Refused, told)
            .help("a keyset never moves to another app: declare it in the app it is in")
            .into());
    }
    Ok(label.clone())
}

/// A keyset that is declared with that app and name, and not created yet.
fn waiting(
    desired: &Desired,
    recorded: &Recorded,
    apps: &BTreeMap<AppId, Label>,
    live: &LiveKeyset,
) -> Option<Label> {
    let field = FieldId::find("keyset", "name")?;
    let (app, name) = (apps.get(&live.app_id)?, live.observed.get(field)?);
    let same = |keyset: &crate::keyset::views::DesiredKeyset| {
        keyset.app == *app
            && keyset.settings.get(field).is_some_and(|setting| setting.value == *name)
    };
    let mut found = desired
        .keysets
        .iter()
        .filter(|(label, keyset)| !recorded.keysets.contains_key(label) && same(keyset));
    found.next().map(|(label, _)| label.clone())
}

/// Writes what declares the keysets to the end of keyform.toml, after it is proved that the project
/// stays one. Gives back the project as it is then.
fn declaration(
    workspace: &Workspace,
    recorded: &Recorded,
    account: &Live,
    apps: &BTreeMap<AppId, Label>,
    others: &[LiveKeyset],
) -> anyhow::Result<(Option<Project>, Declaration)> {
    let desired = &workspace.project.desired;
    let needed: BTreeSet<&AppId> =
        others.iter().map(|live| &live.app_id).filter(|id| !apps.contains_key(*id)).collect();
    let labels = desired
        .apps
        .keys()
        .chain(desired.keysets.keys())
        .chain(recorded.apps.keys())
        .chain(recorded.keysets.keys());
    let mut taken: BTreeSet<String> = labels.map(|label| label.as_str().to_lowercase()).collect();
    taken.extend(workspace.sources.files.iter().flat_map(|source| profile_names(&source.text)));
    let mut seen = BTreeSet::new();
    let found = Found {
        ambiguous: account
            .apps
            .values()
            .map(|app| &*app.name)
            .filter(|name| !seen.insert(*name))
            .collect(),
        apps: needed.into_iter().filter_map(|id| account.apps.get(id)).collect(),
        keysets: others.iter().collect(),
        known_apps: apps,
        taken,
    };
    let declaration = declare(&found);
    let [main, included @ ..] = &workspace.sources.files[..] else {
        return Ok((None, declaration));
    };
    let gap = if main.text.ends_with('\n') || main.text.is_empty() { "" } else { "\n" };
    let text = format!("{}{gap}{}", main.text, declaration.toml);
    let files = std::iter::once(Source::new(main.path.clone(), text.clone()))
        .chain(included.iter().map(|source| Source::new(source.path.clone(), source.text.clone())))
        .collect();
    let loaded = config::read(Sources { files });
    let errors: Vec<_> = loaded
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .cloned()
        .collect();
    if loaded.project.is_none() || !errors.is_empty() {
        let told = "what the account has could not be declared: nothing was written";
        return Err(Failure::new(
            Cause::Error,
            format!("{told}\n{}", problems::human(&errors, &loaded.sources, false).trim_end()),
        )
        .help("adopt the others by --id, and declare these by hand: `keyform adopt LABEL --id ID`")
        .into());
    }
    let path = workspace.dir.join(config::MAIN_FILE);
    let now = disk::read(&path)?.unwrap_or_default();
    if now != main.text.as_bytes() {
        return Err(Failure::new(
            Cause::Refused,
            format!("{} was changed meanwhile: nothing was written", path.display()),
        )
        .help("run again")
        .into());
    }
    disk::replace(&path, text.as_bytes())?;
    Ok((loaded.project, declaration))
}

/// Names of profiles, as the text has them: a new one is to have another name.
fn profile_names(text: &str) -> Vec<String> {
    let named = |line: &str| {
        Some(
            line.trim()
                .strip_prefix("[profile.")?
                .trim_end_matches(']')
                .trim_matches('"')
                .to_lowercase(),
        )
    };
    text.lines().filter_map(named).collect()
}
