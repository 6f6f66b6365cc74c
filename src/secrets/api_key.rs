//! The API key of `keyform login`, one an endpoint, so that a key never goes to another server than
//! it was given for.

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::keyring::{DEADLINE, as_secret};
use super::probe::SERVICE;
use super::worker::Worker;
use crate::keyset::Secret;
use crate::keyset::secret::BadSecret;
use crate::ports::SinkError;

/// API keys in the keyring: service `keyform`, user = host of the endpoint (with its port, where it
/// has one).
pub struct ApiKeyStore {
    worker: Worker,
}

impl ApiKeyStore {
    /// `note`: as [`super::Surroundings::note`].
    pub fn new(note: Option<PathBuf>) -> ApiKeyStore {
        ApiKeyStore { worker: Worker::new(DEADLINE).with_note(note) }
    }

    /// `deadline`: for one call.
    pub fn with_deadline(deadline: Duration) -> ApiKeyStore {
        ApiKeyStore { worker: Worker::new(deadline) }
    }

    /// `None`: nobody has logged in to that host.
    pub async fn get(&self, host: &str) -> Result<Option<Secret>, SinkError> {
        let host = host.to_owned();
        let text = self.worker.run(move |entries| entries.get(SERVICE, &host)).await?;
        text.map(as_secret).transpose()
    }

    /// Writes the key and reads it back.
    pub async fn set(&self, host: &str, key: &Secret) -> Result<(), SinkError> {
        let host = host.to_owned();
        let text = Zeroizing::new(key.expose_secret().to_owned());
        self.worker
            .run(move |entries| {
                entries.put(SERVICE, &host, &text)?;
                match entries.get(SERVICE, &host)? {
                    Some(back) if *back == *text => Ok(()),
                    _ => Err(SinkError::Mismatch("keyring")),
                }
            })
            .await
    }

    /// Whether there was one.
    pub async fn delete(&self, host: &str) -> Result<bool, SinkError> {
        let host = host.to_owned();
        self.worker.run(move |entries| entries.delete(SERVICE, &host)).await
    }
}

/// The content of a key file: the key, and one line end that an editor may have put behind it.
pub fn parse_key_file(bytes: Zeroizing<Vec<u8>>) -> Result<Secret, BadSecret> {
    let text = std::str::from_utf8(&bytes).map_err(|_| BadSecret)?;
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    Secret::parse(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_may_end_with_one_line_end() {
        let parse = |text: &str| {
            parse_key_file(Zeroizing::new(text.into())).map(|key| key.expose_secret().to_owned())
        };
        for good in ["si_abc", "si_abc\n", "si_abc\r\n"] {
            assert_eq!(parse(good), Ok("si_abc".to_owned()), "{good:?}");
        }
        for bad in ["", "\n", "si_abc\n\n", " si_abc", "si_abc\nsi_def\n", "si_\u{e4}"] {
            assert_eq!(parse(bad), Err(BadSecret), "{bad:?}");
        }
        assert!(parse_key_file(Zeroizing::new(vec![0xff])).is_err());
    }
}
