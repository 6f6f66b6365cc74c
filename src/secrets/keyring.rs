//! The sink `keyring`: one entry a keyset.
//!
//! | | service | user |
//! | --- | --- | --- |
//! | a project's keysets | `keyform:PROJECT` | label |
//! | those of its sandbox | `keyform-sandbox:PROJECT` | label |
//! | what opens the escrow | the same | `escrow key` |

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::worker::Worker;
use crate::keyset::Secret;
use crate::ports::{Item, Namespace, Owner, SecretName, Sink, SinkError, SinkType};

/// How long one call may take. A write takes 5 to 250 ms; beyond ten seconds somebody has to be
/// told.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// What the caller knows of the machine it runs on.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// A CI job, whose machine is thrown away with everything in its keyring, however persistent
    /// that claims to be.
    pub in_ci: bool,
    /// Somebody has said that the keyring outlives the job.
    pub allowed_in_ci: bool,
    /// The file in which is noted through which service the keyring is written; `None`: there is no
    /// place for it.
    pub note: Option<PathBuf>,
}

/// Keeps secrets in the keyring of the operating system.
pub struct KeyringSink {
    worker: Worker,
    surroundings: Surroundings,
}

impl KeyringSink {
    pub fn new(surroundings: Surroundings) -> KeyringSink {
        KeyringSink::with_deadline(surroundings, DEADLINE)
    }

    /// `deadline`: for one call, the probe being one.
    pub fn with_deadline(surroundings: Surroundings, deadline: Duration) -> KeyringSink {
        KeyringSink {
            worker: Worker::new(deadline).with_note(surroundings.note.clone()),
            surroundings,
        }
    }

    /// Reading needs no such consent: what is there is there.
    fn may_write_here(&self) -> Result<(), SinkError> {
        if self.surroundings.in_ci && !self.surroundings.allowed_in_ci {
            return Err(SinkError::Unavailable(
                "this is a CI job (CI is set), and its keyring is thrown away with the machine; \
                 if it is kept, say so with KEYFORM_KEYRING_IN_CI=1"
                    .into(),
            ));
        }
        Ok(())
    }
}

impl Sink for KeyringSink {
    fn kind(&self) -> SinkType {
        SinkType::Keyring
    }

    async fn probe(&self) -> Result<(), SinkError> {
        self.may_write_here()?;
        self.worker.run(|entries| entries.probe()).await
    }

    fn readable(&self) -> bool {
        true
    }

    async fn put(
        &self,
        name: &SecretName,
        _: Option<Owner<'_>>,
        secret: &Secret,
    ) -> Result<(), SinkError> {
        self.may_write_here()?;
        let (service, user) = entry(name);
        // The thread may outlive this call, so it gets a copy of its own, wiped when dropped.
        let text = Zeroizing::new(secret.expose_secret().to_owned());
        self.worker.run(move |entries| entries.put(&service, &user, &text)).await
    }

    async fn remove(&self, name: &SecretName) -> Result<bool, SinkError> {
        self.may_write_here()?;
        let (service, user) = entry(name);
        self.worker.run(move |entries| entries.delete(&service, &user)).await
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SinkError> {
        let (service, user) = entry(name);
        let text = self.worker.run(move |entries| entries.get(&service, &user)).await?;
        // A daemon that is killed while it writes leaves an entry without content.
        text.filter(|text| !text.is_empty()).map(as_secret).transpose()
    }
}

pub(super) fn as_secret(text: Zeroizing<String>) -> Result<Secret, SinkError> {
    Secret::parse(text).map_err(|_| {
        SinkError::Failed(
            "the entry holds something that is no key; keyform did not write it".into(),
        )
    })
}

fn entry(name: &SecretName) -> (String, String) {
    let service = match name.namespace {
        Namespace::Account => format!("keyform:{}", name.project),
        Namespace::Sandbox => format!("keyform-sandbox:{}", name.project),
    };
    let user = match &name.item {
        Item::Keyset(label) => label.to_string(),
        // With a blank, which no label has.
        Item::EscrowKey => "escrow key".to_owned(),
    };
    (service, user)
}
