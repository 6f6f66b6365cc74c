//! Where copies of secrets go.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A secret of GitHub Actions: of a repository, or of one of its environments.
///
/// As text `github:OWNER/NAME/SECRET` or `github:OWNER/NAME/ENVIRONMENT/SECRET`. No other part
/// holds a `/` than the environment, so the text is as good as the parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MirrorTarget {
    /// `OWNER/NAME`
    pub repo: Box<str>,
    /// `None`: the secret is the repository's.
    pub environment: Option<Box<str>>,
    pub name: Box<str>,
}

impl fmt::Display for MirrorTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "github:{}/", self.repo)?;
        if let Some(environment) = &self.environment {
            write!(f, "{environment}/")?;
        }
        f.write_str(&self.name)
    }
}

/// Not a target's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not github:OWNER/NAME/SECRET or github:OWNER/NAME/ENVIRONMENT/SECRET")]
pub struct BadTarget;

impl FromStr for MirrorTarget {
    type Err = BadTarget;
    fn from_str(text: &str) -> Result<MirrorTarget, BadTarget> {
        let path = text.strip_prefix("github:").ok_or(BadTarget)?;
        let (rest, name) = path.rsplit_once('/').ok_or(BadTarget)?;
        let (owner, rest) = rest.split_once('/').ok_or(BadTarget)?;
        let (repo, environment) = rest
            .split_once('/')
            .map_or((rest, None), |(repo, environment)| (repo, Some(environment)));
        if [owner, repo, name].contains(&"") || environment == Some("") {
            return Err(BadTarget);
        }
        Ok(MirrorTarget {
            repo: format!("{owner}/{repo}").into(),
            environment: environment.map(Into::into),
            name: name.into(),
        })
    }
}

impl Serialize for MirrorTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for MirrorTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_parts_are_the_same() {
        for text in [
            "github:acme/chat/KEY",
            "github:acme/chat/prod/KEY",
            "github:acme/chat/eu/prod 1/KEY",
            "github:a/b/ /K",
        ] {
            assert_eq!(
                text.parse::<MirrorTarget>().map(|target| target.to_string()).as_deref(),
                Ok(text)
            );
        }
        for text in [
            "",
            "acme/chat/KEY",
            "github:acme/KEY",
            "github:acme/chat//KEY",
            "github:/chat/KEY",
            "github:acme/chat/",
        ] {
            assert_eq!(text.parse::<MirrorTarget>(), Err(BadTarget), "{text}");
        }
    }
}
