//! `adopt`: takes over what exists in the account. Nothing in the account is changed.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::account::ConnectOptions;
use super::clock::SystemClock;
use super::error::{Cause, Failure};
use super::workspace::Workspace;
use super::writer::{Finished, Writer, Writing};
use crate::apply::adopt::{self, Adoption};
use crate::apply::refresh;
use crate::config::{self, Project, Severity, Source, Sources};
use crate::disk;
use crate::keyset::views::{AppSource, Desired, DesiredKeyset, Live, LiveKeyset, Recorded};
use crate::keyset::{AppId, FieldId, KeysetId, Label};
use crate::ports::Api;
use crate::render::adopt::{Declaration, Found, declare};
use crate::render::problems;
use crate::render::text::{nearest, terminal};
use crate::state::Store;

/// What is asked for.
pub struct Request {
    /// The label of a keyset that is declared and not created yet; the one id says which it is.
    pub label: Option<String>,
    /// Of keysets.
    pub ids: Vec<String>,
    /// Every keyset of the account that nobody manages.
    pub all: bool,
    /// Every such keyset of these apps, by id or name.
    pub apps: Vec<String>,
    pub connect: ConnectOptions,
}

/// What was taken over.
pub struct Adopted {
    /// Keysets that are recorded now.
    pub keysets: Vec<(Label, KeysetId)>,
    /// How many of them got a declaration at the end of keyform.toml.
    pub declared: usize,
    /// What could not be declared as the account shows it, in words.
    pub notes: Vec<String>,
}

/// Adopts. What is declared and waits for a create takes its keyset by name; the rest gets a
/// declaration.
pub async fn run(
    workspace: &Workspace,
    request: &Request,
    writing: Writing<'_>,
) -> anyhow::Result<Finished<Adopted>> {
    Writer::run(workspace, writing, async |writer, snapshot| {
        if !snapshot.open.is_empty() {
            let told = "an earlier run began something whose end is not known: nothing was adopted";
            let help = "`keyform apply` finds out what became of it, and may find the keyset that \
                        you want to adopt";
            return Err(Failure::new(Cause::Refused, told).help(help).into());
        }
        let api = writer.account(&request.connect).await?;
        let (recorded, parallelism) = (&snapshot.recorded, request.connect.parallelism);
        let account = &refresh::listed(api, &SystemClock, recorded, parallelism).await?;
        let chosen = with_config(api, chosen(request, account, recorded)?, parallelism).await?;
        let desired = &workspace.project.desired;
        let apps = app_labels(desired, recorded, account);
        let adopting = Adopting { workspace, recorded, account, apps };
        let sorted = match (&request.label, &chosen[..]) {
            (Some(text), [live]) => {
                let label = one(desired, recorded, &adopting.apps, text, live)?;
                Sorted { declared: vec![(label, live.clone())], others: Vec::new() }
            }
            _ => adopting.sort(chosen)?,
        };
        adopting.adopt(sorted, writer.store()).await
    })
    .await
}

/// With the configuration of each, in order.
async fn with_config(
    api: &impl Api,
    chosen: Vec<LiveKeyset>,
    parallelism: usize,
) -> anyhow::Result<Vec<LiveKeyset>> {
    let mut chosen: Vec<LiveKeyset> = stream::iter(chosen)
        .map(|live| adopt::with_config(api, live))
        .buffer_unordered(parallelism)
        .try_collect()
        .await?;
    chosen.sort_by(|a, b| (&a.app_id, &a.id).cmp(&(&b.app_id, &b.id)));
    Ok(chosen)
}

/// What an adoption stands on.
struct Adopting<'a> {
    workspace: &'a Workspace,
    recorded: &'a Recorded,
    account: &'a Live,
    /// Labels that the account's apps have before anything is declared.
    apps: BTreeMap<AppId, Label>,
}

/// The chosen keysets.
struct Sorted {
    /// Under the labels that wait for them.
    declared: Vec<(Label, LiveKeyset)>,
    /// No declaration waits for these.
    others: Vec<LiveKeyset>,
}

impl Adopting<'_> {
    fn sort(&self, chosen: Vec<LiveKeyset>) -> anyhow::Result<Sorted> {
        let desired = &self.workspace.project.desired;
        let mut sorted = Sorted { declared: Vec::new(), others: Vec::new() };
        for live in chosen {
            let Some(label) = waiting(desired, self.recorded, &self.apps, &live) else {
                sorted.others.push(live);
                continue;
            };
            if let Some((_, first)) = sorted.declared.iter().find(|(other, _)| *other == label) {
                let told = format!(
                    "keysets {} and {} have the app and name that `{label}` declares: nothing was \
                     adopted",
                    first.id, live.id
                );
                let help = format!(
                    "say which one it is: keyform adopt {label} --id ID; and declare the other one \
                     under a name of its own"
                );
                return Err(Failure::new(Cause::Refused, told).help(help).into());
            }
            sorted.declared.push((label, live));
        }
        Ok(sorted)
    }

    /// Declares what has no declaration, and records all.
    async fn adopt(&self, sorted: Sorted, store: &Store) -> anyhow::Result<Adopted> {
        let Sorted { declared, others } = sorted;
        let (project, declaration) = if others.is_empty() {
            (None, Declaration::default())
        } else {
            declaration(self.workspace, self.recorded, self.account, &self.apps, &others)?
        };
        let desired = &project.as_ref().unwrap_or(&self.workspace.project).desired;
        let others = declaration.keysets.iter().filter_map(|(label, id)| {
            Some((label.clone(), others.iter().find(|k| k.id == *id)?.clone()))
        });
        let all: Vec<(Label, LiveKeyset)> = declared.into_iter().chain(others).collect();
        Ok(Adopted {
            keysets: self.record(desired, &all, store).await?,
            declared: declaration.keysets.len(),
            notes: declaration.notes,
        })
    }

    /// Records the keysets, and their apps where those are not recorded yet.
    async fn record(
        &self,
        desired: &Desired,
        all: &[(Label, LiveKeyset)],
        store: &Store,
    ) -> anyhow::Result<Vec<(Label, KeysetId)>> {
        let (recorded, account) = (self.recorded, self.account);
        let labels = app_labels(desired, recorded, account);
        let by_label: BTreeMap<&Label, &AppId> =
            labels.iter().map(|(id, label)| (label, id)).collect();
        let mut adopted = Vec::new();
        for (label, live) in all {
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
            adopted.push((label.clone(), live.id.clone()));
        }
        Ok(adopted)
    }
}

/// The keysets that were asked for and are not managed yet.
fn chosen(
    request: &Request,
    account: &Live,
    recorded: &Recorded,
) -> anyhow::Result<Vec<LiveKeyset>> {
    let known: BTreeMap<&KeysetId, &Label> =
        recorded.keysets.iter().map(|(label, keyset)| (&keyset.id, label)).collect();
    let mut chosen: BTreeMap<KeysetId, LiveKeyset> = BTreeMap::new();
    for text in &request.ids {
        let live = by_id(account, &known, text)?;
        chosen.insert(live.id.clone(), live.clone());
    }
    if request.label.is_some() && chosen.len() != 1 {
        return Err(
            Failure::new(Cause::Error, "a label stands for one keyset: name one --id").into()
        );
    }
    let apps = request.apps.iter().map(|text| app(account, text));
    let apps: BTreeSet<&AppId> = apps.collect::<anyhow::Result<_>>()?;
    for (id, live) in account.keysets.iter().filter(|(id, _)| !known.contains_key(id)) {
        if request.all || apps.contains(&live.app_id) {
            chosen.insert(id.clone(), live.clone());
        }
    }
    Ok(chosen.into_values().collect())
}

/// The keyset of the account that has this id; nobody may manage it.
fn by_id<'a>(
    account: &'a Live,
    known: &BTreeMap<&KeysetId, &Label>,
    text: &str,
) -> anyhow::Result<&'a LiveKeyset> {
    let Some((id, live)) = account.keysets.iter().find(|(id, _)| id.as_str() == text) else {
        let failure = Failure::new(
            Cause::Error,
            format!("the account does not show a keyset {}: nothing was adopted", terminal(text)),
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
    Ok(live)
}

/// The app of the account that has this id or name.
fn app<'a>(account: &'a Live, text: &str) -> anyhow::Result<&'a AppId> {
    let found: Vec<&AppId> = account
        .apps
        .values()
        .filter(|app| app.id.as_str() == text || *app.name == *text)
        .map(|app| &app.id)
        .collect();
    match found[..] {
        [id] => Ok(id),
        [] => {
            let failure = Failure::new(
                Cause::Error,
                format!("the account does not show an app {}: nothing was adopted", terminal(text)),
            );
            let names = account.apps.values().flat_map(|app| [&*app.name, app.id.as_str()]);
            Err(match nearest(text, names) {
                Some(near) => failure.help(format!("did you mean {}?", terminal(near))).into(),
                None => failure.into(),
            })
        }
        _ => {
            let ids: Vec<&str> = found.iter().map(|id| id.as_str()).collect();
            let failure = Failure::new(
                Cause::Error,
                format!("several apps have the name {}: nothing was adopted", terminal(text)),
            );
            Err(failure.help(format!("name one by its id: {}", ids.join(", "))).into())
        }
    }
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
    let same = |keyset: &DesiredKeyset| {
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
    let needed: BTreeSet<&AppId> =
        others.iter().map(|live| &live.app_id).filter(|id| !apps.contains_key(*id)).collect();
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
        taken: used_names(workspace, recorded),
    };
    let declaration = declare(&found);
    let project = append(workspace, &declaration.toml)?;
    Ok((project, declaration))
}

/// Names that no new declaration may have, in lower case.
fn used_names(workspace: &Workspace, recorded: &Recorded) -> BTreeSet<String> {
    let desired = &workspace.project.desired;
    let labels = desired
        .apps
        .keys()
        .chain(desired.keysets.keys())
        .chain(recorded.apps.keys())
        .chain(recorded.keysets.keys());
    let mut names: BTreeSet<String> = labels.map(|label| label.as_str().to_lowercase()).collect();
    names.extend(workspace.sources.files.iter().flat_map(|source| profile_names(&source.text)));
    names
}

/// Writes the text to the end of keyform.toml. Gives back the project as it is then; `None`: there
/// is no such file.
fn append(workspace: &Workspace, toml: &str) -> anyhow::Result<Option<Project>> {
    let [main, included @ ..] = &workspace.sources.files[..] else { return Ok(None) };
    let gap = if main.text.ends_with('\n') || main.text.is_empty() { "" } else { "\n" };
    let text = format!("{}{gap}{toml}", main.text);
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
    Ok(loaded.project)
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
