//! Which endpoints an API key may be sent to.

use url::{Host, ParseError, Url};

use crate::keyset::address::is_secure;

const NO_HOST: &str = "has no valid host";
const NO_PORT: &str = "has no valid port";

/// The endpoint as `scheme://host[:port]`, without a trailing slash. `https`, or `http` on
/// loopback: an API key never crosses a network in the clear.
///
/// # Errors
/// Why the text is no such URL.
pub fn check_endpoint(text: &str) -> Result<String, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("is not a URL such as `https://host`")?;
    if !["https", "http"].contains(&scheme) {
        return Err("is neither https nor http");
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    // Asked of the text and not of the parsed URL: the parser takes `\` for `/`, skips slashes
    // before the host, and leaves out tabs and line breaks.
    if authority.contains('@') {
        return Err("holds a user name or password");
    }
    if authority.contains(['?', '#']) {
        return Err("holds a query or fragment");
    }
    if authority.contains(['/', '\\']) {
        return Err("holds a path");
    }
    if !authority.chars().all(|c| c.is_ascii_graphic()) {
        return Err(NO_HOST);
    }
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::InvalidPort => NO_PORT,
        _ => NO_HOST,
    })?;
    let port = after_host(&url, authority).ok_or(NO_HOST)?;
    if port == ":" || url.port() == Some(0) {
        return Err(NO_PORT);
    }
    if !is_secure(&url) {
        return Err(
            "is http and not on this machine: the API key would cross the network in the clear",
        );
    }
    Ok(format!("{scheme}://{authority}"))
}

/// What follows the host: nothing, or a colon and the port. `None` if the host is read as another
/// one than is written, as `127.1` and `%68` are, or holds what no name of a host does.
fn after_host<'a>(url: &Url, authority: &'a str) -> Option<&'a str> {
    let host = match url.host()? {
        Host::Ipv6(_) => authority.split_inclusive(']').next()?.len(),
        Host::Ipv4(address) => address.to_string().len(),
        Host::Domain(name) => {
            let plain = name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
            plain.then_some(name.len())?
        }
    };
    let (written, port) = authority.split_at_checked(host)?;
    let same = matches!(url.host(), Some(Host::Ipv6(_)))
        || url.host_str().is_some_and(|read| read.eq_ignore_ascii_case(written));
    (same && (port.is_empty() || port.starts_with(':'))).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_crosses_a_network_in_the_clear() {
        for good in [
            "https://admin-api.pubnub.com",
            "https://h:8443",
            "https://H:443",
            "https://10.0.0.1",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://[0:0:0:0:0:0:0:1]",
            "http://localhost",
            "http://LocalHost:80",
        ] {
            assert_eq!(check_endpoint(good).as_deref(), Ok(good));
        }
        assert_eq!(check_endpoint("https://h/").as_deref(), Ok("https://h"));
        for bad in [
            "",
            "admin-api.pubnub.com",
            "ftp://h",
            "https://",
            "https://h/v2",
            "https://u:p@h",
            "https://h?x",
            "https://h#x",
            "https://h:0",
            "https://h:99999",
            "https://h:",
            "https://h:+1",
            "https://h h",
            "https://[::1",
            "https://[::1]x",
            "http://example.com",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
            "http://127.1",
            "http://localhost.example.com",
            "http://127.0.0.1@example.com",
            "http://127.0.0.1\\@example.com",
            "http://[::2]",
            "https://h\n",
        ] {
            assert!(check_endpoint(bad).is_err(), "{bad:?}");
        }
    }

    /// What the parser would mend, or reads otherwise than a person does.
    #[test]
    fn hostile_addresses_are_refused() {
        for bad in [
            "https:h",
            "https:/h",
            "https:///h",
            "https:\\\\h",
            "HTTPS://h",
            " https://h",
            "https://a@b",
            "https://@h",
            "https://h//",
            "https://h\\",
            "https://h\\.evil",
            "https://h\t.evil",
            "https://ex%61mple.com",
            "https://h%2f.evil",
            "https://bücher.example",
            "https://ex\u{ad}ample.com",
            "https://\u{ff45}xample.com",
            "https://xn--a",
            "https://a_b",
            "https://-a",
            "https://1.2.3.4.5",
            "http://127.0.0.1.evil",
            "http://127.0.0.1.",
            "http://localhost.",
            "http://localhost:1/x",
            "http://0x7f.0.0.1",
            "http://2130706433",
            "http://0177.0.0.1",
            "http://[::ffff:127.0.0.1]",
            "http://[::1%25lo]",
            "http://0.0.0.0",
            "http://localhost:8080:80",
        ] {
            assert!(check_endpoint(bad).is_err(), "{bad:?}");
        }
    }
}
