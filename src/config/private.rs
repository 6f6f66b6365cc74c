//! Private keys that stand in a project's text by mistake: nothing that keyform prints shows them.

use std::ops::Range;

/// What private keys begin with: age identities, those of age's plugins, PubNub secret keys, and
/// `openssh-key-v1` in base64 (the first line of an OpenSSH key without its frame).
const WORDS: [&str; 4] = ["age-secret-key-", "age-plugin-", "sec-c-", "b3blbnnzac1rzxktdje"];
/// What a private key in PEM, of OpenSSH for one, begins and ends with.
const BEGIN: &str = "-----begin";
const END: &str = "-----end";

/// Whether the text holds a private key, or what may be one.
pub(super) fn is_private(text: &str) -> bool {
    next(text.as_bytes(), 0).is_some()
}

/// Where private keys stand, in order. One in PEM goes on to the end of the text if nothing ends
/// it.
pub(super) fn places(text: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(place) = next(text.as_bytes(), at) {
        at = place.end;
        places.push(place);
    }
    places
}

fn next(text: &[u8], from: usize) -> Option<Range<usize>> {
    // Each of the words begins with one of these.
    let starts = (from..text.len())
        .filter(|at| matches!(text[*at].to_ascii_lowercase(), b'a' | b'b' | b's' | b'-'));
    for start in starts {
        let rest = &text[start..];
        if begins(rest, BEGIN) {
            let end =
                (BEGIN.len()..rest.len()).find(|at| rest[*at] == b'-' && begins(&rest[*at..], END));
            return Some(start..end.map_or(text.len(), |end| start + end + END.len()));
        }
        for word in WORDS.iter().filter(|word| begins(rest, word)) {
            let key = rest[word.len()..]
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric() || b"-+/=".contains(b))
                .count();
            // The word alone, or with dots after it, only tells of such keys.
            if key > 0 {
                return Some(start..start + word.len() + key);
            }
        }
    }
    None
}

fn begins(text: &[u8], word: &str) -> bool {
    text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_whole() {
        let found = |text: &str| {
            places(text).into_iter().map(|place| text[place].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            found("a = \"AGE-SECRET-KEY-1AB\", 'sec-c-xY9-_'"),
            ["AGE-SECRET-KEY-1AB", "sec-c-xY9-"]
        );
        assert_eq!(
            found("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUA+/= x"),
            ["b3BlbnNzaC1rZXktdjEAAAAABG5vbmUA+/="]
        );
        assert_eq!(
            found("age-secret-key-1ab Age-Plugin-Yubikey-1Q"),
            ["age-secret-key-1ab", "Age-Plugin-Yubikey-1Q"]
        );
        let pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----";
        assert_eq!(
            found(&format!("x{pem}y")),
            ["-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END"]
        );
        assert_eq!(found("x\n-----BEGIN A\nb3Bl\n"), ["-----BEGIN A\nb3Bl\n"]);
        assert_eq!(
            found("ü `AGE-SECRET-KEY-...`, sec-c-…, age1qqq, ----------, -----END"),
            [] as [&str; 0]
        );
    }
}
