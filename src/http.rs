//! The one builder of HTTP clients, with the rules that hold for every server that keyform talks to.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderMap;

use crate::keyset::address::is_loopback;

/// What a caller adds to the rules.
pub struct Options {
    /// With every request.
    pub headers: HeaderMap,
    /// For one connection to be made.
    pub connect_timeout: Duration,
    /// For one whole request, answer included.
    pub timeout: Duration,
}

/// A client for the server of `base`, which [`is_secure`]. It follows no redirect, which would
/// carry a key to wherever it points, and repeats nothing by itself. The proxies are those of the
/// environment; there is none on the way to this machine.
///
/// [`is_secure`]: crate::keyset::address::is_secure
///
/// # Errors
/// Why it cannot be set up.
pub fn client(base: &Url, options: Options) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .default_headers(options.headers)
        .user_agent(concat!("keyform/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        .timeout(options.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    if base.scheme() == "http" {
        // Nothing is to be proved: a machine without certificates has a sandbox too.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| innermost(&error))
}

/// The innermost cause of an error, in one line and without the URL.
pub fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "out of time".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
