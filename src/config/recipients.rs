//! Whom `age` seals for: public keys, judged one by one.

use std::str::FromStr;

use age::ssh::ParseRecipientKeyError as Ssh;

use super::private::is_private;

/// Why a text is no recipient.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// A private key. Nothing of it may be shown.
    Private,
    /// What is said at its place, and what to do.
    Other { label: String, help: &'static str },
}

const TAKEN: &str =
    "a recipient is a public key: `age1...` (of `age-keygen`), `ssh-ed25519 ...` or `ssh-rsa ...`";

/// A recipient without its comment, so that two texts of one key are equal.
pub(super) fn check(text: &str) -> Result<String, Bad> {
    if is_private(text) {
        return Err(Bad::Private);
    }
    let other = |label: &str, help| Err(Bad::Other { label: label.to_owned(), help });
    let kind = text.split(' ').next().unwrap_or("");
    if text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("age1")) {
        return match age::x25519::Recipient::from_str(text) {
            Ok(recipient) => Ok(recipient.to_string()),
            Err(_) => match plugin(text) {
                Some(Plugin::Hybrid) => other(
                    "a post-quantum (hybrid) recipient: not supported by this version of keyform",
                    "use an X25519 recipient: `age-keygen` without `-pq` prints one",
                ),
                Some(Plugin::Named(name)) => Err(Bad::Other {
                    label: format!(
                        "looks like a recipient of the age plugin `{name}`: plugins are not \
                         supported by this version of keyform"
                    ),
                    help: TAKEN,
                }),
                None => other(
                    "mistyped or cut off: its checksum is wrong",
                    "copy the whole line `age1...` of the key once more",
                ),
            },
        };
    }
    if !["ssh-", "ecdsa-", "sk-"].iter().any(|head| kind.starts_with(head)) {
        return other("not a public key that keyform knows", TAKEN);
    }
    match age::ssh::Recipient::from_str(text) {
        Ok(recipient) => {
            let key = recipient.to_string();
            // The parser takes what it needs and leaves the rest, whatever it is.
            let rest = text
                .strip_prefix(key.trim_end_matches('='))
                .map(|rest| rest.trim_start_matches('='));
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')) {
                Ok(key)
            } else {
                other(
                    "there is more in it than the key",
                    "copy the whole line of the `.pub` file once more",
                )
            }
        }
        Err(Ssh::RsaModulusTooSmall) => {
            other("an RSA key of less than 2,048 bits", "use a longer one, or `ssh-ed25519`")
        }
        Err(Ssh::RsaModulusTooLarge) => {
            other("an RSA key of more than 4,096 bits", "use a shorter one, or `ssh-ed25519`")
        }
        Err(Ssh::Unsupported(_)) => other("an SSH key of a kind that age cannot seal for", TAKEN),
        Err(_) => other(
            "not an SSH public key: mistyped or cut off?",
            "copy the whole line of the `.pub` file once more",
        ),
    }
}

enum Plugin<'a> {
    Hybrid,
    Named(&'a str),
}

/// `age1NAME1...`: what stands before the last `1`, which the characters after it do not have.
fn plugin(text: &str) -> Option<Plugin<'_>> {
    const LONGEST: usize = 20;
    let name = text.get(4..text.rfind('1')?)?;
    match name {
        "" => None,
        "pq" | "tagpq" => Some(Plugin::Hybrid),
        _ if name.len() <= LONGEST
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b)) =>
        {
            Some(Plugin::Named(name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: &str = "age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm";
    const SSH: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";

    #[test]
    fn one_key_has_one_text() {
        assert_eq!(check(AGE).as_deref(), Ok(AGE));
        assert_eq!(check(SSH).as_deref(), Ok(SSH));
        assert_eq!(check(&format!("{SSH} me@host")).as_deref(), Ok(SSH));
    }

    #[test]
    fn what_is_no_public_key_is_told_apart() {
        let label = |text: &str| match check(text) {
            Err(Bad::Other { label, .. }) => label,
            other => panic!("{text}: {other:?}"),
        };
        assert!(label(&AGE.replace("cy0", "cy9")).contains("checksum"));
        assert!(label(&AGE[..40]).contains("checksum"));
        assert!(label(&format!("age1pq1{}", "q".repeat(1900))).contains("hybrid"));
        assert!(label("age1tagpq1qqqq").contains("hybrid"));
        assert!(label("age1tag1qqqq").contains("plugin `tag`"));
        assert!(label("age1yubikey1qqqq").contains("plugin `yubikey`"));
        assert!(label("ssh-ed25519 AAAA").contains("cut off"));
        assert!(label(&format!("{SSH}AAAA me@host")).contains("more in it"));
        let ecdsa = "ecdsa-sha2-nistp256 \
                     AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHFliOyIZs1gxGF3fmDxFykQhE88wy6AKDGFBfn0R6ZuvRmENABZQa9+pj9hMki+LX0qDJbmHTiWDbYv/cmFt/Q=";
        assert!(label(ecdsa).contains("kind"));
        for text in ["", "me@example.com", "AGE1", "ü", "age", "https://github.com/me.keys"] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_private_key_is_nothing_but_private() {
        for text in [
            "AGE-SECRET-KEY-1QQQ",
            "age-secret-key-1qqq",
            "AGE-PLUGIN-YUBIKEY-1Q",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
        ] {
            assert_eq!(check(text), Err(Bad::Private), "{text}");
        }
    }
}
