//! The escrow: raw answers sealed with age, to the key that the sink keeps for the project or to
//! the readers of its secrets.

use std::io::Read;
use std::str::FromStr;

use age::x25519;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::age::{Readers, Unseal};
use crate::keyset::{RawAnswer, Secret};
use crate::ports::{Escrow, EscrowError};

/// Longest answer that is taken out of an envelope, in bytes; as much as an answer may have.
const MAX: u64 = 1 << 20;

/// An age envelope around raw answers.
pub struct Envelope {
    to: Option<Readers>,
    with: Vec<Unseal>,
}

impl Envelope {
    /// Sealed to a key of its own, which the sink keeps.
    pub fn own(key: &Secret) -> Result<Envelope, EscrowError> {
        let (to, with) = key_pair(key)?;
        Ok(Envelope { to: Some(to), with: vec![with] })
    }

    /// Sealed to those who read the secrets; opened with what is at hand, which may be nothing.
    pub fn to_readers(to: Readers, with: Vec<Unseal>) -> Envelope {
        Envelope { to: Some(to), with }
    }

    /// Seals nothing: answers live in memory only.
    pub fn none() -> Envelope {
        Envelope { to: None, with: Vec::new() }
    }

    /// Opens what was sealed to this key too, as an earlier run with another sink did.
    pub fn opens_too(mut self, key: &Secret) -> Envelope {
        self.with.extend(x25519::Identity::from_str(key.expose_secret()).ok().map(Unseal::own));
        self
    }

    /// The same with keys at hand.
    pub fn opens_with(mut self, keys: Vec<Unseal>) -> Envelope {
        self.with.extend(keys);
        self
    }

    /// A new key for [`Envelope::own`].
    pub fn new_key() -> Result<Secret, EscrowError> {
        use age::secrecy::ExposeSecret as _;
        let text = x25519::Identity::generate().to_string();
        Secret::parse(Zeroizing::new(text.expose_secret().to_owned()))
            .map_err(|_| EscrowError::NoKey)
    }
}

/// Both halves of a key that [`Envelope::new_key`] made.
pub(super) fn key_pair(key: &Secret) -> Result<(Readers, Unseal), EscrowError> {
    let identity =
        x25519::Identity::from_str(key.expose_secret()).map_err(|_| EscrowError::NoKey)?;
    Ok((Readers::one(identity.to_public()), Unseal::own(identity)))
}

impl Escrow for Envelope {
    fn seal(&self, raw: &RawAnswer) -> Result<Option<Box<str>>, EscrowError> {
        let Some(readers) = &self.to else { return Ok(None) };
        let mut sealed = Vec::with_capacity(raw.expose_bytes().len() + 1024);
        let written = readers.seal(&mut sealed, |writer| writer.write_all(raw.expose_bytes()));
        written.map_err(|_| EscrowError::Damaged)?;
        Ok(Some(STANDARD.encode(sealed).into()))
    }

    fn open(&self, sealed: &str) -> Result<RawAnswer, EscrowError> {
        if self.with.is_empty() {
            return Err(EscrowError::NoKey);
        }
        let bytes = STANDARD.decode(sealed).map_err(|_| EscrowError::Damaged)?;
        let decryptor = age::Decryptor::new_buffered(&*bytes).map_err(|_| EscrowError::Damaged)?;
        let reader = decryptor.decrypt(self.with.iter().map(Unseal::identity)).map_err(
            |error| match error {
                age::DecryptError::NoMatchingKeys => EscrowError::OtherKey,
                _ => EscrowError::Damaged,
            },
        )?;
        // Enough at once, so that no half-grown copy is left behind unwiped.
        let mut raw = Zeroizing::new(Vec::with_capacity(bytes.len()));
        reader.take(MAX).read_to_end(&mut raw).map_err(|_| EscrowError::Damaged)?;
        Ok(RawAnswer::new(raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_its_key_and_by_no_other() {
        let key = Envelope::new_key().expect("a key");
        let envelope = || Envelope::own(&key).expect("an envelope");
        let sealed = envelope()
            .seal(&RawAnswer::new(b"sec-c-canary".to_vec().into()))
            .expect("sealed")
            .expect("to somebody");
        assert!(!sealed.contains("canary"));
        assert_eq!(envelope().open(&sealed).expect("opened").expose_bytes(), b"sec-c-canary");

        let other = Envelope::own(&Envelope::new_key().expect("a key")).expect("an envelope");
        assert_eq!(other.open(&sealed).err(), Some(EscrowError::OtherKey));
        assert_eq!(Envelope::none().open(&sealed).err(), Some(EscrowError::NoKey));
        let mut bytes = STANDARD.decode(&*sealed).expect("base64");
        *bytes.last_mut().expect("it is not empty") ^= 1;
        for damaged in ["", "!", &sealed[..sealed.len() / 2], &STANDARD.encode(bytes)] {
            assert_eq!(envelope().open(damaged).err(), Some(EscrowError::Damaged), "{damaged:?}");
        }
    }
}
