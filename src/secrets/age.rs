//! The sink `age`: one armored file per keyset, sealed for the readers that the project names. Safe
//! to commit; who writes needs public keys only.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{Decryptor, Encryptor, ssh, x25519};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::disk;
use crate::keyset::{Label, Secret};
use crate::ports::{Item, Owner, SecretName, Sink, SinkError, SinkType};

const NAME: &str = SinkType::Age.name();
/// Longest sealed file that is read, in bytes. One for fifty readers has about 12 KiB.
const FILE_MAX: u64 = 1 << 20;

/// For whom is sealed.
#[derive(Clone)]
enum Reader {
    X25519(x25519::Recipient),
    Ssh(Box<ssh::Recipient>),
}

/// Those who can open what is sealed; at least one.
#[derive(Clone)]
pub struct Readers(Vec<Reader>);

/// A text is no public key of a kind that keyform can seal for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no age or ssh public key")]
pub struct BadReader;

impl Readers {
    /// `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Readers, BadReader> {
        let one = |text: &str| {
            x25519::Recipient::from_str(text)
                .map(Reader::X25519)
                .or_else(|_| ssh::Recipient::from_str(text).map(|ssh| Reader::Ssh(Box::new(ssh))))
                .map_err(|_| BadReader)
        };
        let readers = texts.into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
        if readers.is_empty() { Err(BadReader) } else { Ok(Readers(readers)) }
    }

    pub(super) fn one(reader: x25519::Recipient) -> Readers {
        Readers(vec![Reader::X25519(reader)])
    }

    /// Seals what `write` writes into `out`.
    pub(super) fn seal<W: Write>(
        &self,
        out: W,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<W> {
        let recipients = self.0.iter().map(|reader| match reader {
            Reader::X25519(one) => one as &dyn age::Recipient,
            Reader::Ssh(one) => &**one,
        });
        let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        let mut writer = encryptor.wrap_output(out)?;
        write(&mut writer)?;
        writer.finish()
    }
}

/// A private key that opens what is sealed.
#[derive(Clone)]
pub enum Unseal {
    X25519(x25519::Identity),
    Ssh(Box<ssh::Identity>),
}

/// Why an identity file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    #[error("it holds no age or ssh private key")]
    None,
    #[error("its ssh key has a passphrase; use an age key, or a copy without one")]
    Passphrase,
}

impl Unseal {
    pub(super) fn own(identity: x25519::Identity) -> Unseal {
        Unseal::X25519(identity)
    }

    /// The keys of an identity file: `AGE-SECRET-KEY-1...` lines, or one ssh private key.
    pub fn parse(text: &str) -> Result<Vec<Unseal>, BadIdentity> {
        if text.trim_start().starts_with("-----BEGIN") {
            return match ssh::Identity::from_buffer(text.as_bytes(), None) {
                Ok(identity @ ssh::Identity::Unencrypted(_)) => {
                    Ok(vec![Unseal::Ssh(Box::new(identity))])
                }
                Ok(ssh::Identity::Encrypted(_)) => Err(BadIdentity::Passphrase),
                _ => Err(BadIdentity::None),
            };
        }
        let lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys = lines
            .map(|line| x25519::Identity::from_str(line).map(Unseal::X25519))
            .collect::<Result<Vec<_>, _>>();
        keys.ok().filter(|keys| !keys.is_empty()).ok_or(BadIdentity::None)
    }

    pub(super) fn identity(&self) -> &dyn age::Identity {
        match self {
            Unseal::X25519(one) => one,
            Unseal::Ssh(one) => &**one,
        }
    }
}

/// Keeps secrets in sealed files.
pub struct AgeSink {
    dir: PathBuf,
    readers: Readers,
    with: Arc<Vec<Unseal>>,
    /// Whether `with` opens what is sealed for `readers`. Known after the probe.
    readable: AtomicBool,
}

/// What is sealed. Label and project are compared on reading: otherwise two files that are
/// exchanged exchange two secrets.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    keyform: u32,
    project: String,
    label: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyset_id: Option<String>,
    secret_key: String,
}

impl Drop for Content {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.secret_key);
    }
}

impl AgeSink {
    /// `with`: private keys that are at hand, to read secrets; writing needs none.
    pub fn new(dir: PathBuf, readers: Readers, with: Vec<Unseal>) -> AgeSink {
        let readable = AtomicBool::new(!with.is_empty());
        AgeSink { dir, readers, with: Arc::new(with), readable }
    }

    /// The file of a keyset's secret.
    pub fn file(&self, label: &Label) -> PathBuf {
        self.dir.join(format!("{label}.age"))
    }

    fn opens(&self, sealed: &[u8]) -> bool {
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(sealed)).ok();
        decryptor.is_some_and(|d| d.decrypt(self.with.iter().map(Unseal::identity)).is_ok())
    }
}

fn failed(why: impl ToString) -> SinkError {
    SinkError::Broken { sink: NAME, why: why.to_string() }
}

fn keyset(name: &SecretName) -> Result<&Label, SinkError> {
    match &name.item {
        Item::Keyset(label) => Ok(label),
        Item::EscrowKey => Err(failed("it keeps secrets of keysets only")),
    }
}

fn armored(readers: &Readers, plain: &[u8]) -> io::Result<Vec<u8>> {
    let out = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    readers.seal(out, |writer| writer.write_all(plain))?.finish()
}

/// The folder, made if need be. Not through a link: a project may come from somebody else.
fn ready(dir: &Path) -> Result<(), SinkError> {
    if std::fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_symlink()) {
        return Err(failed(format!("{} is a symbolic link; remove it", dir.display())));
    }
    std::fs::create_dir_all(dir)
        .map_err(|error| failed(format!("cannot make the folder {}: {error}", dir.display())))
}

/// Off the thread that everybody shares: a sync takes milliseconds.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
) -> Result<T, SinkError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(failed("its thread ended unexpectedly; run the command again")))
}

impl Sink for AgeSink {
    fn kind(&self) -> SinkType {
        SinkType::Age
    }

    async fn probe(&self) -> Result<(), SinkError> {
        let sealed = armored(&self.readers, b"canary").map_err(failed)?;
        self.readable.store(self.opens(&sealed), Ordering::Relaxed);
        let dir = self.dir.clone();
        blocking(move || {
            ready(&dir)?;
            disk::prove_writable(&dir).map_err(failed)
        })
        .await
    }

    fn readable(&self) -> bool {
        self.readable.load(Ordering::Relaxed)
    }

    async fn put(
        &self,
        name: &SecretName,
        owner: Option<Owner<'_>>,
        secret: &Secret,
    ) -> Result<(), SinkError> {
        let label = keyset(name)?;
        let content = Content {
            keyform: 1,
            project: name.project.to_string(),
            label: label.clone(),
            keyset_id: owner.map(|owner| owner.id.to_string()),
            secret_key: secret.expose_secret().to_owned(),
        };
        let (readers, path, dir) = (self.readers.clone(), self.file(label), self.dir.clone());
        blocking(move || {
            // With room for all of it, so that no half-grown copy is left behind unwiped.
            let mut plain = Zeroizing::new(Vec::with_capacity(4096));
            serde_json::to_writer(&mut *plain, &content).map_err(failed)?;
            let sealed = armored(&readers, &plain).map_err(failed)?;
            ready(&dir)?;
            disk::write(&path, &dir, &sealed).map_err(failed)?;
            match disk::read_at_most(&path, FILE_MAX).map_err(failed)? {
                Some(back) if back == sealed => Ok(()),
                _ => Err(SinkError::Mismatch(NAME)),
            }
        })
        .await
    }

    /// It takes no key to see that there is a file.
    async fn has(&self, name: &SecretName) -> Result<Option<bool>, SinkError> {
        let path = self.file(keyset(name)?);
        blocking(move || {
            disk::read_at_most(&path, FILE_MAX).map_err(failed).map(|found| Some(found.is_some()))
        })
        .await
    }

    async fn remove(&self, name: &SecretName) -> Result<bool, SinkError> {
        let (path, dir) = (self.file(keyset(name)?), self.dir.clone());
        blocking(move || disk::remove(&path, &dir).map_err(failed)).await
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SinkError> {
        let label = keyset(name)?.clone();
        let (path, project, with) =
            (self.file(&label), name.project.to_string(), self.with.clone());
        blocking(move || {
            let Some(sealed) = disk::read_at_most(&path, FILE_MAX).map_err(failed)? else {
                return Ok(None);
            };
            if with.is_empty() {
                let why = "it takes a private key: set KEYFORM_AGE_IDENTITY_FILE to a file that \
                           holds one"
                    .to_owned();
                return Err(SinkError::WriteOnly { sink: NAME, why });
            }
            let damaged = || {
                failed(format!("{} is damaged; restore it from version control", path.display()))
            };
            let decryptor =
                Decryptor::new_buffered(ArmoredReader::new(&*sealed)).map_err(|_| damaged())?;
            let reader =
                decryptor.decrypt(with.iter().map(Unseal::identity)).map_err(
                    |error| match error {
                        age::DecryptError::NoMatchingKeys => SinkError::WriteOnly {
                            sink: NAME,
                            why: format!(
                                "{} is not sealed for the private key that is at hand",
                                path.display()
                            ),
                        },
                        _ => damaged(),
                    },
                )?;
            let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
            reader.take(FILE_MAX).read_to_end(&mut plain).map_err(|_| damaged())?;
            let mut content: Content = serde_json::from_slice(&plain).map_err(|_| damaged())?;
            if content.label != label || content.project != project {
                let whose = format!("{} of project {}", content.label, content.project);
                return Err(failed(format!(
                    "{} holds the secret of {whose}: was it renamed or \
                                           copied?",
                    path.display()
                )));
            }
            let text = Zeroizing::new(std::mem::take(&mut content.secret_key));
            Secret::parse(text).map(Some).map_err(|_| damaged())
        })
        .await
    }
}
