//! Where requests, and with them the API key, go.

use super::environment::Environment;
use super::error::{Cause, Failure};
use crate::config::{self, Project};

/// The vendor's endpoint.
const VENDOR: &str = "https://admin-api.pubnub.com";
/// The variable that overrides `[api] endpoint`.
pub const ENDPOINT: &str = "KEYFORM_ENDPOINT";

/// A checked endpoint: https, or http on loopback, without path.
pub struct Endpoint(String);

impl Endpoint {
    /// The variable first, then the project, then the vendor. A host that only the TOML names gets
    /// no key: whoever can open a pull request could send the key anywhere.
    pub fn of(environment: &Environment, project: Option<&Project>) -> anyhow::Result<Endpoint> {
        if let Some(endpoint) = &environment.endpoint {
            let failure = |why| Failure::new(Cause::Error, format!("{ENDPOINT}: {why}"));
            return Ok(Endpoint(config::check_endpoint(endpoint).map_err(failure)?));
        }
        let Some((endpoint, _)) = project.and_then(|p| p.api.endpoint.as_ref()) else {
            return Ok(Endpoint(VENDOR.to_owned()));
        };
        let endpoint = Endpoint(endpoint.clone());
        let authority = endpoint.authority();
        let host = authority.split(':').next().unwrap_or(&authority);
        if host == "pubnub.com" || host.ends_with(".pubnub.com") {
            return Ok(endpoint);
        }
        Err(Failure::new(
            Cause::Error,
            format!(
                "[api] endpoint is {}: the API key is not sent to a host that only the TOML names",
                endpoint.0
            ),
        )
        .help(format!("if you trust it, set {ENDPOINT}={}", endpoint.0))
        .into())
    }

    pub fn url(&self) -> &str {
        &self.0
    }

    /// Host, and port if one is given: the keyring entry of the key is named by it.
    pub fn authority(&self) -> String {
        let rest = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or(rest).to_ascii_lowercase()
    }
}
