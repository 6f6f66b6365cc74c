//! SHA-256 as it is written: 64 hexadecimal digits.

use std::fmt;

use sha2::{Digest, Sha256};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Hash([u8; 32]);

impl Sha256Hash {
    pub fn of(bytes: impl AsRef<[u8]>) -> Sha256Hash {
        Sha256Hash(Sha256::digest(bytes).into())
    }
    /// `None`: not 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Sha256Hash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Sha256Hash(bytes))
    }
}

impl From<Sha256> for Sha256Hash {
    fn from(hash: Sha256) -> Sha256Hash {
        Sha256Hash(hash.finalize().into())
    }
}
impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
