//! Wiring of the sinks: which there are, which one is used, what reads a secret back, and what
//! seals the answers.

use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::{Cause, Failure};
use super::workspace::Workspace;
use crate::apply::Custody;
use crate::apply::custody::{InHand, NoSink};
use crate::config::{AgeSettings, ExecSettings, SinkKind};
use crate::ports::{self, Item, Probed, SecretName, Sink, SinkType};
use crate::secrets::{
    AgeSink, AnySink, Envelope, ExecSink, KeyringSink, Readers, SealedSink, Surroundings, Unseal,
};
use crate::state::Snapshot;

/// A file with private keys that open what the sink `age` wrote.
pub const IDENTITY_FILE: &str = "KEYFORM_AGE_IDENTITY_FILE";
/// The same as text, for CI systems that hand secrets out in variables.
pub const IDENTITY: &str = "KEYFORM_AGE_IDENTITY";
/// Allows a keyring although `CI` is set.
pub const KEYRING_IN_CI: &str = "KEYFORM_KEYRING_IN_CI";
/// Longest identity file, in bytes.
const IDENTITY_MAX: u64 = 64 << 10;

/// More keysets than a keyring is made for: beyond it their secrets are in files that one entry
/// opens.
const MANY: usize = 100;

/// All sinks of the project, in its order of preference.
pub fn all(workspace: &Workspace) -> anyhow::Result<Vec<AnySink>> {
    let many = workspace.project.desired.keysets.len() > MANY;
    let chosen = workspace.project.secrets.sinks.iter();
    chosen
        .map(|chosen| match (chosen, keyring_files(workspace)) {
            (SinkKind::Keyring, Some(files)) if many => Ok(files),
            (chosen, _) => build(workspace, kind_of(*chosen)),
        })
        .collect()
}

/// The sink of that name, whether or not the project would still choose it.
pub fn named(workspace: &Workspace, name: &str) -> anyhow::Result<AnySink> {
    match SinkType::find(name) {
        Some(kind) => build(workspace, kind),
        None => Err(Failure::new(Cause::Error, format!("there is no sink `{name}`"))
            .help(format!("the sinks are {}", listed(&SinkType::ALL.map(SinkType::name))))
            .into()),
    }
}

/// `a, b and c`
fn listed(names: &[&str]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        names => names.concat(),
    }
}

/// The kind that the configuration means.
fn kind_of(chosen: SinkKind) -> SinkType {
    match chosen {
        SinkKind::Keyring => SinkType::Keyring,
        SinkKind::Age => SinkType::Age,
        SinkKind::Exec => SinkType::Exec,
    }
}

/// `None`: there is no folder for the user's data.
fn keyring_files(workspace: &Workspace) -> Option<AnySink> {
    let key = SecretName {
        namespace: workspace.namespace(),
        project: workspace.project.desired.project.clone(),
        item: Item::EscrowKey,
    };
    Some(AnySink::KeyringFiles(Box::new(SealedSink::new(
        keyring(&workspace.environment),
        workspace.environment.data_dir.clone()?,
        key,
    ))))
}

fn keyring(environment: &Environment) -> KeyringSink {
    KeyringSink::new(Surroundings {
        in_ci: environment.in_ci,
        allowed_in_ci: environment.keyring_in_ci,
        note: environment.keyring_users(),
    })
}

fn build(workspace: &Workspace, kind: SinkType) -> anyhow::Result<AnySink> {
    let missing = |table: &str| {
        Failure::new(
            Cause::Error,
            format!("the sink `{}` needs the table `[secrets.{table}]`", kind.name()),
        )
    };
    let secrets = &workspace.project.secrets;
    Ok(match kind {
        SinkType::Keyring => AnySink::Keyring(keyring(&workspace.environment)),
        SinkType::KeyringFiles => keyring_files(workspace).ok_or_else(|| {
            Failure::new(Cause::Error, "there is no folder for the user's data (HOME is not set)")
        })?,
        SinkType::Age => {
            let AgeSettings { recipients, dir } =
                secrets.age.as_ref().ok_or_else(|| missing("age"))?;
            // What the sandbox gave out is not for the folder that is committed.
            let dir = if workspace.sandbox {
                workspace.private().join("secrets")
            } else {
                workspace.dir.join(dir)
            };
            AnySink::Age(AgeSink::new(
                dir,
                readers(recipients)?,
                identities(&workspace.environment)?,
            ))
        }
        SinkType::Exec => {
            let ExecSettings { command, timeout } =
                secrets.exec.as_ref().ok_or_else(|| missing("exec"))?;
            let dir = if workspace.dir.as_os_str().is_empty() {
                ".".into()
            } else {
                workspace.dir.clone()
            };
            let project = workspace.project.desired.project.to_string();
            AnySink::Exec(ExecSink::new(
                command.clone(),
                dir,
                *timeout,
                project,
                workspace.namespace(),
            ))
        }
    })
}

fn readers(recipients: &[String]) -> anyhow::Result<Readers> {
    let parsed = Readers::parse(recipients.iter().map(String::as_str));
    parsed.map_err(|bad| {
        Failure::new(Cause::Error, format!("`secrets.age.recipients`: {bad}")).into()
    })
}

/// The private keys at hand; none is no error until something is to be read.
fn identities(environment: &Environment) -> anyhow::Result<Vec<Unseal>> {
    let from_file;
    let (which, text) = match (&environment.age_identity, &environment.age_identity_file) {
        (Some(text), _) => (IDENTITY, text),
        (None, Some(path)) => {
            from_file = read(path).map_err(|why| {
                Failure::new(Cause::Error, format!("{IDENTITY_FILE} ({path}): {why}"))
            })?;
            (IDENTITY_FILE, &from_file)
        }
        (None, None) => return Ok(Vec::new()),
    };
    Unseal::parse(text).map_err(|bad| Failure::new(Cause::Error, format!("{which}: {bad}")).into())
}

fn read(path: &str) -> Result<Zeroizing<String>, String> {
    let bytes = crate::disk::read_at_most(std::path::Path::new(path), IDENTITY_MAX)
        .map_err(|error| error.source.to_string())?;
    let bytes = Zeroizing::new(bytes.ok_or_else(|| "there is no such file".to_owned())?);
    std::str::from_utf8(&bytes)
        .map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| "it is not UTF-8".to_owned())
}

/// The first sink that passes its probe; or why none does.
pub async fn first_usable(sinks: &[AnySink]) -> anyhow::Result<Probed<'_, AnySink>> {
    let mut reasons = Vec::new();
    for sink in sinks {
        match Probed::of(sink).await {
            Ok(probed) => {
                for reason in &reasons {
                    tracing::warn!(%reason, using = sink.name(), "a preferred sink cannot be used");
                }
                return Ok(probed);
            }
            Err(error) => reasons.push(error.to_string()),
        }
    }
    let why = reasons.join("; ");
    Err(Failure::new(
        Cause::NoSink,
        format!("no usable place for secrets, so nothing was created: {why}"),
    )
    .help(SINK_HELP)
    .into())
}

/// What seals the answers: a key that the sink keeps, or the readers of the secrets where they are
/// known.
pub async fn envelope(
    workspace: &Workspace,
    sink: Probed<'_, AnySink>,
) -> anyhow::Result<Envelope> {
    let readers_of = |age: &AgeSettings| readers(&age.recipients);
    let to_readers = || -> anyhow::Result<Option<Envelope>> {
        let Some(age) = &workspace.project.secrets.age else { return Ok(None) };
        Ok(Some(Envelope::to_readers(readers_of(age)?, identities(&workspace.environment)?)))
    };
    if !sink.kind().takes_escrow_key() || !sink.readable() {
        return Ok(to_readers()?.unwrap_or_else(Envelope::none));
    }
    let name = SecretName {
        namespace: workspace.namespace(),
        project: workspace.project.desired.project.clone(),
        item: Item::EscrowKey,
    };
    Ok(Envelope::own(&ports::escrow_key(sink, &name, Envelope::new_key).await?)?)
}

/// As [`envelope`], and opens too what earlier runs sealed for other sinks.
pub async fn opener(
    workspace: &Workspace,
    sink: Probed<'_, AnySink>,
    sinks: &[AnySink],
) -> anyhow::Result<Envelope> {
    let mut envelope =
        envelope(workspace, sink).await?.opens_with(identities(&workspace.environment)?);
    let name = SecretName {
        namespace: workspace.namespace(),
        project: workspace.project.desired.project.clone(),
        item: Item::EscrowKey,
    };
    for other in
        sinks.iter().filter(|other| other.kind() != sink.kind() && other.kind().takes_escrow_key())
    {
        // One that cannot be asked has no key to give.
        if let Ok(Some(key)) = other.get(&name).await {
            envelope = envelope.opens_too(&key);
        }
    }
    Ok(envelope)
}

/// Every sink that the project describes, to read what is in it, chosen or not; or why it cannot be
/// set up.
pub fn homes(workspace: &Workspace) -> Vec<Result<AnySink, NoSink>> {
    let all = SinkType::ALL.into_iter();
    all.map(|kind| {
        build(workspace, kind)
            .map_err(|error| NoSink { sink: kind.name().to_owned(), why: error.to_string() })
    })
    .collect()
}

/// What the project's state and journal know of the entries of its sinks.
pub fn custody<'a>(
    workspace: &'a Workspace,
    homes: &'a [Result<AnySink, NoSink>],
    snapshot: &'a Snapshot,
) -> Custody<'a, AnySink> {
    Custody {
        sinks: homes,
        project: &workspace.project.desired.project,
        namespace: workspace.namespace(),
        recorded: &snapshot.recorded,
        open: snapshot.open.iter().map(|open| open.intent.clone()).collect(),
        in_hand: InHand::default(),
    }
}

/// What to do without a usable keyring.
pub const SINK_HELP: &str = "secret keys are shown once, at creation, so keyform creates nothing \
                             before it has a safe place for them: \
                             unlock or start the keyring, or on a headless machine run keyform \
                             below tests/with-keyring";
