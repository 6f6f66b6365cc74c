//! The sink `keyring-files`: for many keysets. One entry of the keyring holds a key, and each
//! secret is in a file sealed for it, among the user's data.
//!
//! Keyrings are made for dozens of entries: GNOME's writes its whole file, twice, for each new one
//! (12 ms for the first, 52 ms for the thousandth), and keeps others waiting meanwhile. A file of
//! one's own costs the same for each.

use std::path::PathBuf;

use tokio::sync::OnceCell;

use super::age::AgeSink;
use super::escrow::{Envelope, key_pair};
use super::keyring::KeyringSink;
use crate::keyset::Secret;
use crate::ports::{self, Item, Namespace, Owner, Probed, SecretName, Sink, SinkError, SinkType};

const NAME: &str = SinkType::KeyringFiles.name();

/// Keeps secrets in files that the keyring opens.
pub struct SealedSink {
    keyring: KeyringSink,
    /// Of the files.
    dir: PathBuf,
    /// The entry of the key: the one that opens the escrow too.
    key: SecretName,
    files: OnceCell<AgeSink>,
}

impl SealedSink {
    /// `data`: keyform's folder among the user's data; each project has one of its own below it.
    pub fn new(keyring: KeyringSink, data: PathBuf, key: SecretName) -> SealedSink {
        let namespace = match key.namespace {
            Namespace::Account => "secrets",
            Namespace::Sandbox => "sandbox-secrets",
        };
        let dir = data.join(namespace).join(key.project.as_str());
        SealedSink {
            keyring,
            dir,
            key: SecretName { item: Item::EscrowKey, ..key },
            files: OnceCell::new(),
        }
    }

    /// The files, with the key that is in the keyring; `None`: there is none yet.
    async fn files(&self) -> Result<Option<&AgeSink>, SinkError> {
        if let Some(files) = self.files.get() {
            return Ok(Some(files));
        }
        let Some(key) = self.keyring.get(&self.key).await? else { return Ok(None) };
        let (readers, with) = key_pair(&key).map_err(|error| failed(error.to_string()))?;
        Ok(Some(
            self.files
                .get_or_init(async || AgeSink::new(self.dir.clone(), readers, vec![with]))
                .await,
        ))
    }
}

fn failed(why: String) -> SinkError {
    SinkError::Broken { sink: NAME, why }
}

/// In this sink's name.
fn ours(error: SinkError) -> SinkError {
    match error {
        SinkError::Broken { why, .. } => failed(why),
        SinkError::WriteOnly { why, .. } => {
            failed(format!("{why}: the key in the keyring is another one than it was sealed for"))
        }
        SinkError::Mismatch(_) => SinkError::Mismatch(NAME),
        other => other,
    }
}

impl Sink for SealedSink {
    fn kind(&self) -> SinkType {
        SinkType::KeyringFiles
    }

    async fn probe(&self) -> Result<(), SinkError> {
        let keyring = Probed::of(&self.keyring).await?;
        ports::escrow_key(keyring, &self.key, Envelope::new_key).await?;
        let files = self.files().await?.ok_or(SinkError::Mismatch(NAME))?;
        files.probe().await.map_err(ours)
    }

    fn readable(&self) -> bool {
        true
    }

    async fn put(
        &self,
        name: &SecretName,
        owner: Option<Owner<'_>>,
        secret: &Secret,
    ) -> Result<(), SinkError> {
        if name.item == Item::EscrowKey {
            return self.keyring.put(name, owner, secret).await;
        }
        let files = self
            .files()
            .await?
            .ok_or_else(|| failed("its key is not in the keyring any more".to_owned()))?;
        files.put(name, owner, secret).await.map_err(ours)
    }

    async fn remove(&self, name: &SecretName) -> Result<bool, SinkError> {
        match self.files().await? {
            Some(files) if name.item != Item::EscrowKey => files.remove(name).await.map_err(ours),
            _ => Ok(false),
        }
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SinkError> {
        if name.item == Item::EscrowKey {
            return self.keyring.get(name).await;
        }
        match self.files().await? {
            Some(files) => files.get(name).await.map_err(ours),
            None => Ok(None),
        }
    }
}
