//! The beginning of a secret key, which tells a keyset's keys apart and gives none away.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which key of a keyset it is: `sec-c-` and five characters. Public, by the API's own use of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPrefix(Box<str>);

impl KeyPrefix {
    pub fn of(text: &str) -> Option<KeyPrefix> {
        let prefix = text.get(..11)?;
        let five = prefix.strip_prefix("sec-c-")?;
        five.bytes().all(|b| b.is_ascii_alphanumeric()).then(|| KeyPrefix(prefix.into()))
    }
}

impl Serialize for KeyPrefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for KeyPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A longer one would be a part of a secret that is not to be kept.
        let text = Box::<str>::deserialize(deserializer)?;
        KeyPrefix::of(&text)
            .filter(|prefix| prefix.0.len() == text.len())
            .ok_or_else(|| serde::de::Error::custom("no prefix of a key"))
    }
}

impl std::fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
