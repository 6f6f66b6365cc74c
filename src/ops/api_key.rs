//! Where the API key comes from: `PUBNUB_API_KEY`, `PUBNUB_API_KEY_FILE`, or the keyring, in that
//! order.

use zeroize::Zeroizing;

use super::endpoint::Endpoint;
use super::environment::{Environment, Variable};
use super::error::{Cause, Failure};
use crate::keyset::Secret;
use crate::ports::SinkError;
use crate::secrets::{self, ApiKeyStore};

/// The variable with the key.
pub const API_KEY: &str = "PUBNUB_API_KEY";
/// The variable with the path of a file that holds it.
pub const API_KEY_FILE: &str = "PUBNUB_API_KEY_FILE";

/// Largest key file read, in bytes; a key has about a hundred.
const FILE_MAX: u64 = 16 * 1024;

/// The keyring's entries of API keys.
pub fn api_key_store(environment: &Environment) -> ApiKeyStore {
    ApiKeyStore::new(environment.keyring_users())
}

/// Finds the key for `endpoint`, or says which sources were tried and how to get one.
pub(super) async fn find(environment: &Environment, endpoint: &Endpoint) -> anyhow::Result<Secret> {
    if let Some(key) = from_environment(environment)? {
        return Ok(key);
    }
    let keyring = match api_key_store(environment).get(&endpoint.authority()).await {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => format!("the keyring has none for {}", endpoint.authority()),
        Err(error @ SinkError::Hanging { .. }) => return Err(error.into()),
        Err(error) => error.to_string(),
    };
    Err(Failure::new(
        Cause::Error,
        format!(
            "there is no API key: {API_KEY} is not set, \
                                           {API_KEY_FILE} is not set, and {keyring}"
        ),
    )
    .help(
        "make a key in the PubNub portal under Service Integrations, then `keyform login`, \
               or set PUBNUB_API_KEY",
    )
    .help("to try keyform without an account, add --sandbox")
    .into())
}

fn from_environment(environment: &Environment) -> anyhow::Result<Option<Secret>> {
    if let Some(text) = text_of(&environment.api_key, API_KEY)? {
        let key = Secret::parse(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()));
        return key
            .map(Some)
            .map_err(|bad| Failure::new(Cause::Error, format!("{API_KEY}: {bad}")).into());
    }
    let Some(path) = text_of(&environment.api_key_file, API_KEY_FILE)? else { return Ok(None) };
    let failure =
        |why: String| Failure::new(Cause::Error, format!("{API_KEY_FILE} ({path}): {why}"));
    let bytes = read_bounded(path).map_err(|error| failure(error.to_string()))?;
    Ok(Some(secrets::parse_key_file(bytes).map_err(|bad| failure(bad.to_string()))?))
}

fn text_of<'v>(variable: &'v Variable, name: &str) -> anyhow::Result<Option<&'v str>> {
    match variable {
        Variable::Unset => Ok(None),
        Variable::Text(text) => Ok(Some(text)),
        Variable::NotUtf8 => Err(Failure::new(Cause::Error, format!("{name} is not UTF-8")).into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the owner of the API key's file")]
fn read_bounded(path: &str) -> std::io::Result<Zeroizing<Vec<u8>>> {
    use std::io::Read;
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_MAX as usize + 1));
    std::fs::File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
