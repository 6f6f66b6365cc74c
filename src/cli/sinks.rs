//! Wiring of the sinks: which there are, which one is used, what reads a secret back, and what
//! seals the answers.

use zeroize::Zeroizing;

use super::error::{Exit, Failure, SINK_HELP};
use super::places::{data_dir, note};
use super::session::{self, Session};
use super::variables::variable;
use crate::apply::Custody;
use crate::apply::custody::{InHand, NoSink};
use crate::config::{AgeSettings, ExecSettings, SinkKind};
use crate::ports::{self, Item, Probed, SecretName, Sink};
use crate::secrets::{
    AgeSink, AnySink, Envelope, ExecSink, KeyringSink, Readers, SealedSink, Surroundings, Unseal,
};
use crate::state::Snapshot;

/// A file with private keys that open what the sink `age` wrote.
const IDENTITY_FILE: &str = "KEYFORM_AGE_IDENTITY_FILE";
/// The same as text, for CI systems that hand secrets out in variables.
const IDENTITY: &str = "KEYFORM_AGE_IDENTITY";
/// Allows a keyring although `CI` is set.
const KEYRING_IN_CI: &str = "KEYFORM_KEYRING_IN_CI";
/// Longest identity file, in bytes.
const IDENTITY_MAX: u64 = 64 << 10;

/// More keysets than a keyring is made for: beyond it their secrets are in files that one entry
/// opens.
const MANY: usize = 100;
/// As the state names files that the keyring opens.
const KEYRING_FILES: &str = "keyring-files";

/// All sinks of the project, in its order of preference.
pub fn all(session: &Session) -> anyhow::Result<Vec<AnySink>> {
    let many = session.project.desired.keysets.len() > MANY;
    let kinds = session.project.secrets.sinks.iter();
    kinds
        .map(|kind| match keyring_files(session) {
            Some(files) if many && *kind == SinkKind::Keyring => Ok(files),
            _ => build(session, *kind),
        })
        .collect()
}

/// The sink of that name, whether or not the project would still choose it.
pub fn named(session: &Session, name: &str) -> anyhow::Result<AnySink> {
    if name == KEYRING_FILES {
        return keyring_files(session).ok_or_else(|| {
            Failure::new(Exit::Error, "there is no folder for the user's data (HOME is not set)")
                .into()
        });
    }
    match SinkKind::ALL.into_iter().find(|kind| kind.name() == name) {
        Some(kind) => build(session, kind),
        None => Err(Failure::new(Exit::Error, format!("there is no sink `{name}`"))
            .help(format!("the sinks are keyring, {KEYRING_FILES}, age and exec"))
            .into()),
    }
}

/// `None`: there is no folder for the user's data.
fn keyring_files(session: &Session) -> Option<AnySink> {
    let key = SecretName {
        namespace: session.namespace(),
        project: session.project.desired.project.clone(),
        item: Item::EscrowKey,
    };
    Some(AnySink::Sealed(Box::new(SealedSink::new(keyring(), data_dir()?, key))))
}

fn keyring() -> KeyringSink {
    let allowed_in_ci = variable(KEYRING_IN_CI).is_some_and(|v| v == "1");
    KeyringSink::new(Surroundings { in_ci: session::in_ci(), allowed_in_ci, note: note() })
}

fn build(session: &Session, kind: SinkKind) -> anyhow::Result<AnySink> {
    let missing = |table: &str| {
        Failure::new(
            Exit::Error,
            format!("the sink `{}` needs the table `[secrets.{table}]`", kind.name()),
        )
    };
    let secrets = &session.project.secrets;
    Ok(match kind {
        SinkKind::Keyring => AnySink::Keyring(keyring()),
        SinkKind::Age => {
            let AgeSettings { recipients, dir } =
                secrets.age.as_ref().ok_or_else(|| missing("age"))?;
            // What the sandbox gave out is not for the folder that is committed.
            let dir = if session.sandbox {
                session.private().join("secrets")
            } else {
                session.dir.join(dir)
            };
            AnySink::Age(AgeSink::new(dir, readers(recipients)?, identities()?))
        }
        SinkKind::Exec => {
            let ExecSettings { command, timeout } =
                secrets.exec.as_ref().ok_or_else(|| missing("exec"))?;
            let dir =
                if session.dir.as_os_str().is_empty() { ".".into() } else { session.dir.clone() };
            let project = session.project.desired.project.to_string();
            AnySink::Exec(ExecSink::new(
                command.clone(),
                dir,
                *timeout,
                project,
                session.namespace(),
            ))
        }
    })
}

fn readers(recipients: &[String]) -> anyhow::Result<Readers> {
    let parsed = Readers::parse(recipients.iter().map(String::as_str));
    parsed
        .map_err(|bad| Failure::new(Exit::Error, format!("`secrets.age.recipients`: {bad}")).into())
}

/// The private keys at hand; none is no error until something is to be read.
fn identities() -> anyhow::Result<Vec<Unseal>> {
    let text = match (variable(IDENTITY).map(Zeroizing::new), variable(IDENTITY_FILE)) {
        (Some(text), _) => text,
        (None, Some(path)) => read(&path)
            .map_err(|why| Failure::new(Exit::Error, format!("{IDENTITY_FILE} ({path}): {why}")))?,
        (None, None) => return Ok(Vec::new()),
    };
    let which = if variable(IDENTITY).is_some() { IDENTITY } else { IDENTITY_FILE };
    Unseal::parse(&text).map_err(|bad| Failure::new(Exit::Error, format!("{which}: {bad}")).into())
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
        Exit::NoSink,
        format!("no usable place for secrets, so nothing was created: {why}"),
    )
    .help(SINK_HELP)
    .into())
}

/// What seals the answers: a key that the sink keeps, or the readers of the secrets where they are
/// known.
pub async fn envelope(session: &Session, sink: Probed<'_, AnySink>) -> anyhow::Result<Envelope> {
    let readers_of = |age: &AgeSettings| readers(&age.recipients);
    let to_readers = || -> anyhow::Result<Option<Envelope>> {
        let Some(age) = &session.project.secrets.age else { return Ok(None) };
        Ok(Some(Envelope::to_readers(readers_of(age)?, identities()?)))
    };
    if sink.name() == SinkKind::Age.name() {
        return Ok(to_readers()?.unwrap_or_else(Envelope::none));
    }
    if !sink.readable() {
        return Ok(to_readers()?.unwrap_or_else(Envelope::none));
    }
    let name = SecretName {
        namespace: session.namespace(),
        project: session.project.desired.project.clone(),
        item: Item::EscrowKey,
    };
    Ok(Envelope::own(&ports::escrow_key(sink, &name, Envelope::new_key).await?)?)
}

/// As [`envelope`], and opens too what earlier runs sealed for other sinks.
pub async fn opener(
    session: &Session,
    sink: Probed<'_, AnySink>,
    sinks: &[AnySink],
) -> anyhow::Result<Envelope> {
    let mut envelope = envelope(session, sink).await?.opens_with(identities()?);
    let name = SecretName {
        namespace: session.namespace(),
        project: session.project.desired.project.clone(),
        item: Item::EscrowKey,
    };
    for other in sinks
        .iter()
        .filter(|other| other.name() != sink.name() && other.name() != SinkKind::Age.name())
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
pub fn homes(session: &Session) -> Vec<Result<AnySink, NoSink>> {
    let names = SinkKind::ALL.into_iter().map(SinkKind::name).chain([KEYRING_FILES]);
    names
        .map(|name| {
            named(session, name)
                .map_err(|error| NoSink { sink: name.to_owned(), why: error.to_string() })
        })
        .collect()
}

/// What the project's state and journal know of the entries of its sinks.
pub fn custody<'a>(
    session: &'a Session,
    homes: &'a [Result<AnySink, NoSink>],
    snapshot: &'a Snapshot,
) -> Custody<'a, AnySink> {
    Custody {
        sinks: homes,
        project: &session.project.desired.project,
        namespace: session.namespace(),
        recorded: &snapshot.recorded,
        open: snapshot.open.iter().map(|open| open.intent.clone()).collect(),
        in_hand: InHand::default(),
    }
}
