//! What must not be seen. No `Debug`, `Display`, `Serialize` or `Clone`; zeroised when dropped.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::names::Fingerprint;

/// A secret key (or API key). The only way to its text is [`Secret::expose_secret`].
pub struct Secret(Zeroizing<String>);

/// Longest secret taken, in bytes; a PubNub secret key has about 54.
const SECRET_MAX: usize = 1024;

impl Secret {
    /// Takes 1 to 1,024 printable ASCII characters without blanks; anything else could not be a key
    /// and might break a header line or a terminal.
    pub fn parse(text: Zeroizing<String>) -> Result<Secret, BadSecret> {
        if text.is_empty() || text.len() > SECRET_MAX || !text.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(BadSecret);
        }
        Ok(Secret(text))
    }

    /// The text itself. Callers: a sink's write, a header, and the commands that exist to show it.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// What state may keep of it.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::new()
            .chain_update(b"keyform fingerprint 1\0")
            .chain_update(self.0.as_bytes())
            .finalize();
        let hex = hex::encode(&digest[..16]);
        Fingerprint::parse(&format!("sha256:{hex}")).expect("16 bytes are 32 hex digits")
    }

    /// Which of a keyset's keys it is, as the API's lists name it.
    pub fn prefix(&self) -> Option<super::key_prefix::KeyPrefix> {
        super::key_prefix::KeyPrefix::of(&self.0)
    }

    /// Whether both hold the same text.
    pub fn same(&self, other: &Secret) -> bool {
        self.0.as_bytes() == other.0.as_bytes()
    }
}

/// The text cannot be a key. It is not shown, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a key: keys are 1 to 1,024 printable ASCII characters without blanks")]
pub struct BadSecret;

/// The content of a file with push credentials. The only way to it is [`PushContent::expose_text`].
pub struct PushContent(Zeroizing<String>);

impl PushContent {
    pub fn new(text: Zeroizing<String>) -> PushContent {
        PushContent(text)
    }
    /// For its digest, and for the upload.
    pub fn expose_text(&self) -> &str {
        &self.0
    }
    /// Whether a text holds a part of it that is worth hiding: letters and digits in a row, however
    /// they are broken up or escaped.
    pub fn is_in(&self, text: &str) -> bool {
        const TELLING: usize = 24;
        let bare = |text: &str| {
            Zeroizing::new(text.bytes().filter(u8::is_ascii_alphanumeric).collect::<Vec<u8>>())
        };
        let (content, text) = (bare(&self.0), bare(text));
        let length = TELLING.min(content.len());
        length > 0
            && text.windows(length).any(|part| content.windows(length).any(|own| own == part))
    }
}

/// The bytes of an answer that holds a secret, as they came. Sealed first, parsed later.
pub struct RawAnswer(Zeroizing<Vec<u8>>);

impl RawAnswer {
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> RawAnswer {
        RawAnswer(bytes)
    }
    /// For the escrow, which seals them, and for [`super::wire::created`], which takes the secret
    /// out.
    pub fn expose_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_file_is_found_however_it_is_told() {
        let file = "{\n  \"type\": \"service_account\",\n  \"private_key\": \"-----BEGIN\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\nBKcwggSjAgEAAoIBAQ\"\n}";
        let content = PushContent::new(Zeroizing::new(file.to_owned()));
        for told in [
            "cannot parse MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
            "bad: IIEvQIBADANBgkqhkiG9w0BAQEFA...",
            "MIIEvQIBADANBgkqhkiG9w0 BAQEFAASC\nBKcwgg",
        ] {
            assert!(content.is_in(told), "{told}");
        }
        for told in [
            "",
            "the private_key_id is missing; a service_account file is expected",
            "not a private_key",
        ] {
            assert!(!content.is_in(told), "{told}");
        }
        assert!(PushContent::new(Zeroizing::new("short".to_owned())).is_in("a short one"));
    }
}
