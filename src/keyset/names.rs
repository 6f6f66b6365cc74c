//! Names that cannot be mixed up: one newtype each, checked where it is made.

use std::fmt;

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                $name::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Why a text is not a name of some kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {why}")]
pub struct BadName {
    pub what: &'static str,
    pub why: &'static str,
}

/// Most characters of a label. It becomes part of file names and keyring entries.
pub const LABEL_MAX: usize = 128;

text_newtype! {
    /// The name of an app's or keyset's table in TOML, its identity in state, in commands and in
    /// the sink: 1 to 128 of `a-z A-Z 0-9 . _ -`, starting with a letter or digit. So it is safe as
    /// a file name and on a terminal.
    Label
}
text_newtype! {
    /// `[project] name`: namespaces the sink and marks the state. Same rule as [`Label`].
    ProjectName
}
text_newtype! {
    /// Server id of an app: opaque and not empty. (Documentation shows both digits and prefixed
    /// words.)
    AppId
}
text_newtype! {
    /// Server id of a keyset: opaque and not empty.
    KeysetId
}
text_newtype! {
    /// What state keeps of a secret: `sha256:` and 32 hex digits of a salted digest. A PubNub
    /// secret is long and random, so the digest tells nothing about it.
    Fingerprint
}
text_newtype! {
    /// Value of the `PubNub-Version` header, a date.
    ApiVersion
}

fn label_rule(what: &'static str, text: &str) -> Result<Box<str>, BadName> {
    let bad = |why| Err(BadName { what, why });
    if text.is_empty() {
        return bad("is empty");
    }
    if text.len() > LABEL_MAX {
        return bad("is longer than 128 characters");
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return bad("does not start with a letter or digit");
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        return bad("may hold letters, digits, `.`, `_` and `-` only");
    }
    Ok(text.into())
}

fn id_rule(what: &'static str, text: &str) -> Result<Box<str>, BadName> {
    if text.is_empty() || text.len() > 256 {
        return Err(BadName { what, why: "is empty or longer than 256 characters" });
    }
    // Ids go into URL paths; nothing that could leave its segment gets that far.
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-:".contains(&b))
        || text.bytes().all(|b| b == b'.')
    {
        return Err(BadName { what, why: "may hold letters, digits and `._~-:` only" });
    }
    Ok(text.into())
}

impl Label {
    pub fn parse(text: &str) -> Result<Label, BadName> {
        label_rule("a label", text).map(Label)
    }
}
impl ProjectName {
    pub fn parse(text: &str) -> Result<ProjectName, BadName> {
        label_rule("a project name", text).map(ProjectName)
    }
}
impl AppId {
    pub fn parse(text: &str) -> Result<AppId, BadName> {
        id_rule("an app id", text).map(AppId)
    }
}
impl KeysetId {
    pub fn parse(text: &str) -> Result<KeysetId, BadName> {
        id_rule("a keyset id", text).map(KeysetId)
    }
}
impl Fingerprint {
    pub fn parse(text: &str) -> Result<Fingerprint, BadName> {
        let hex = text.strip_prefix("sha256:").unwrap_or("");
        if hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Fingerprint(text.into()))
        } else {
            Err(BadName { what: "a fingerprint", why: "is `sha256:` and 32 hex digits" })
        }
    }
}
impl ApiVersion {
    /// What keyform was written against: the version that the vendor's own client pins.
    pub const DEFAULT: &'static str = "2026-03-23";
    /// Versions seen in the vendor's documentation or client.
    pub const KNOWN: [&'static str; 7] = [
        "2025-11-01",
        "2025-11-15",
        "2026-02-09",
        "2026-03-01",
        "2026-03-23",
        "2026-05-26",
        "2026-09-03",
    ];

    pub fn parse(text: &str) -> Result<ApiVersion, BadName> {
        text.parse::<jiff::civil::Date>()
            .ok()
            .filter(|date| date.to_string() == text)
            .map(|_| ApiVersion(text.into()))
            .ok_or(BadName { what: "an API version", why: "is a date, YYYY-MM-DD" })
    }
}
impl Default for ApiVersion {
    fn default() -> Self {
        ApiVersion(ApiVersion::DEFAULT.into())
    }
}

/// The two keys of a keyset that are no secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKeys {
    /// `pub-c-...`
    pub publish_key: Box<str>,
    /// `sub-c-...`; identifies the data namespace.
    pub subscribe_key: Box<str>,
}
