//! Where requests, and with them the API key, go.

use super::error::{Exit, Failure};
use super::variables::variable;
use crate::config::{self, Project};

/// The vendor's endpoint.
const VENDOR: &str = "https://admin-api.pubnub.com";
/// Overrides `[api] endpoint`.
const ENDPOINT_VARIABLE: &str = "KEYFORM_ENDPOINT";

/// A checked endpoint: https, or http on loopback, without path.
pub struct Endpoint(String);

impl Endpoint {
    /// The variable first, then the project, then the vendor. A host that only the TOML names gets no key: whoever can
    /// open a pull request could send the key anywhere.
    pub fn of(project: Option<&Project>) -> anyhow::Result<Endpoint> {
        if let Some(endpoint) = variable(ENDPOINT_VARIABLE) {
            let failure = |why| Failure::new(Exit::Error, format!("{ENDPOINT_VARIABLE}: {why}"));
            return Ok(Endpoint(config::check_endpoint(&endpoint).map_err(failure)?));
        }
        let Some((endpoint, _)) = project.and_then(|p| p.api.endpoint.as_ref()) else { return Ok(Endpoint(VENDOR.to_owned())) };
        let endpoint = Endpoint(endpoint.clone());
        let host = endpoint.host();
        if host == "pubnub.com" || host.ends_with(".pubnub.com") || is_loopback(&host) {
            return Ok(endpoint);
        }
        Err(Failure::new(
            Exit::Error,
            format!("[api] endpoint is {}: the API key is not sent to a host that only the TOML names", endpoint.0),
        )
        .help(format!("if you trust it, set {ENDPOINT_VARIABLE}={}", endpoint.0))
        .into())
    }

    pub fn url(&self) -> &str {
        &self.0
    }

    /// Host without port, as the keyring entry of the key is named.
    pub fn host(&self) -> String {
        let rest = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = if let Some(v6) = authority.strip_prefix('[') {
            v6.split(']').next().unwrap_or(v6)
        } else {
            authority.split(':').next().unwrap_or(authority)
        };
        host.to_ascii_lowercase()
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
