//! Where the API key comes from: `PUBNUB_API_KEY`, `PUBNUB_API_KEY_FILE`, or the keyring, in that
//! order.

use zeroize::Zeroizing;

use super::endpoint::Endpoint;
use super::error::{Exit, Failure};
use crate::keyset::Secret;
use crate::ports::SinkError;
use crate::secrets::{self, ApiKeyStore};

const VARIABLE: &str = "PUBNUB_API_KEY";
const FILE_VARIABLE: &str = "PUBNUB_API_KEY_FILE";

/// Largest key file read, in bytes; a key has about a hundred.
const FILE_MAX: u64 = 16 * 1024;

/// Finds the key for `endpoint`, or says which sources were tried and how to get one.
pub async fn find(endpoint: &Endpoint, store: &ApiKeyStore) -> anyhow::Result<Secret> {
    if let Some(key) = from_environment()? {
        return Ok(key);
    }
    let keyring = match store.get(&endpoint.authority()).await {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => format!("the keyring has none for {}", endpoint.authority()),
        Err(error @ SinkError::Hanging { .. }) => return Err(error.into()),
        Err(error) => error.to_string(),
    };
    Err(Failure::new(
        Exit::Error,
        format!(
            "there is no API key: {VARIABLE} is not set, \
                                           {FILE_VARIABLE} is not set, and {keyring}"
        ),
    )
    .help(
        "make a key in the PubNub portal under Service Integrations, then `keyform login`, \
               or set PUBNUB_API_KEY",
    )
    .help("to try keyform without an account, add --sandbox")
    .into())
}

fn from_environment() -> anyhow::Result<Option<Secret>> {
    if let Some(text) = variable(VARIABLE)? {
        let key = Secret::parse(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()));
        return key
            .map(Some)
            .map_err(|bad| Failure::new(Exit::Error, format!("{VARIABLE}: {bad}")).into());
    }
    let Some(path) = variable(FILE_VARIABLE)? else { return Ok(None) };
    let failure =
        |why: String| Failure::new(Exit::Error, format!("{FILE_VARIABLE} ({}): {why}", *path));
    let bytes = read_bounded(&path).map_err(|error| failure(error.to_string()))?;
    Ok(Some(secrets::parse_key_file(bytes).map_err(|bad| failure(bad.to_string()))?))
}

/// An environment variable; set and empty counts as not set, as CI systems set secrets that a fork
/// may not see.
#[expect(clippy::disallowed_methods, reason = "the owner of the API key's variables")]
fn variable(name: &str) -> anyhow::Result<Option<Zeroizing<String>>> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::new(Exit::Error, format!("{name} is not UTF-8")).into())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the owner of the API key's file")]
fn read_bounded(path: &str) -> std::io::Result<Zeroizing<Vec<u8>>> {
    use std::io::Read;
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_MAX as usize + 1));
    std::fs::File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
