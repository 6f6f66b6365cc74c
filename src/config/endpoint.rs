//! Which endpoints an API key may be sent to.

// Addresses as values; nothing here opens a socket.
use core::net::{Ipv4Addr, Ipv6Addr};

/// The endpoint as `scheme://host[:port]`, without a trailing slash. `https`, or `http` on
/// loopback: an API key never crosses a network in the clear.
///
/// # Errors
/// Why the text is no such URL.
pub fn check_endpoint(text: &str) -> Result<String, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("is not a URL such as `https://host`")?;
    let secure = match scheme {
        "https" => true,
        "http" => false,
        _ => return Err("is neither https nor http"),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains('@') {
        return Err("holds a user name or password");
    }
    if authority.contains(['?', '#']) {
        return Err("holds a query or fragment");
    }
    if authority.contains(['/', '\\']) {
        return Err("holds a path");
    }
    let (host, port) = split_port(authority).ok_or("has no valid host")?;
    if !is_host(host) {
        return Err("has no valid host");
    }
    if port.is_some_and(|port| {
        !port.bytes().all(|b| b.is_ascii_digit())
            || port.parse::<u16>().is_ok_and(|p| p == 0)
            || port.parse::<u16>().is_err()
    }) {
        return Err("has no valid port");
    }
    if !secure && !is_loopback(host) {
        return Err(
            "is http and not on this machine: the API key would cross the network in the clear",
        );
    }
    Ok(format!("{scheme}://{authority}"))
}

fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let (host, rest) = authority.split_at(end);
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            host.starts_with(|c: char| c.is_ascii_alphanumeric())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).is_some_and(|h| {
            h.parse::<Ipv6Addr>().is_ok_and(|address| address == Ipv6Addr::LOCALHOST)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_crosses_a_network_in_the_clear() {
        for good in [
            "https://admin-api.pubnub.com",
            "https://h:8443",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://localhost",
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
}
