//! Where something secret may be sent to.

use url::{Host, Url};

/// `https`, or `http` on this machine: nothing secret crosses a network in the clear.
pub fn is_secure(url: &Url) -> bool {
    url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)))
}

/// Whether the host is this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether it names a user, a query or a fragment, which a base of requests does not have.
pub fn has_extras(url: &Url) -> bool {
    !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_clear_on_this_machine_only() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        for good in ["https://h/x", "http://localhost:1", "http://127.9.9.9", "http://[::1]"] {
            assert!(is_secure(&url(good)), "{good}");
        }
        for bad in [
            "http://h",
            "http://127.0.0.1.evil",
            "http://localhost@evil",
            "http://[::ffff:127.0.0.1]",
            "ftp://localhost",
            "file:///etc",
            "data:,x",
        ] {
            assert!(!is_secure(&url(bad)), "{bad}");
        }
        assert!(has_extras(&url("https://a@b")) && has_extras(&url("https://b?")));
        assert!(!has_extras(&url("https://b/c")));
    }
}
