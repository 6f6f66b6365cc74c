//! Foreign text made safe for its target, and small words. The one place where text from TOML or
//! the API is escaped.

use std::borrow::Cow;

use crate::keyset::settings::is_format;

/// For a terminal or a log: control, bidirectional and invisible characters come out as `\u{..}`;
/// newlines too, so that a message stays on its line. At most `MAX` characters, then an honest "…".
pub fn terminal(text: &str) -> Cow<'_, str> {
    const MAX: usize = 500;
    let hostile = |c: char| c.is_control() || is_format(c);
    if text.len() <= MAX && !text.chars().any(hostile) && !text.contains(OLD_COMMAND) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().min(4 * MAX));
    for (n, c) in text.chars().enumerate() {
        if n == MAX {
            out.push('…');
            break;
        }
        if hostile(c) || (c == '[' && out.ends_with("##")) {
            out.extend(c.escape_unicode())
        } else {
            out.push(c)
        }
    }
    Cow::Owned(out)
}

/// How a workflow command of GitHub Actions may begin anywhere in a line of the log, in the old way
/// that its runners still read.
const OLD_COMMAND: &str = "##[";

/// A code span of Markdown, fit for a table's cell: nothing in it is a link, a mention, HTML or the
/// end of the cell.
pub fn markdown(text: &str) -> String {
    // A bar ends a cell unless a backslash is before it; readers do not agree on what a backslash
    // before that one means.
    let text = terminal(text).replace("\\|", "\\u{5c}|").replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A blank at each end is taken off again by whoever reads it, and keeps backticks apart from
    // the fence.
    format!("{fence} {text} {fence}")
}

/// A value in a workflow command of GitHub Actions; `property`: before the `::`, where more
/// characters have a meaning.
pub fn github(text: &str, property: bool) -> String {
    let text = terminal(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if property { text.replace(':', "%3A").replace(',', "%2C") } else { text }
}

/// JSON as it goes to stdout, which may lead into a log or to a terminal: the same JSON, without an
/// old workflow command in one of its texts, and with what moves or hides text there written as
/// `\uXXXX`.
pub fn json(text: &str) -> String {
    let text = text.replace(OLD_COMMAND, "##\\u005b");
    // Below U+0020 JSON has none of them in its texts; between its tokens there are newlines.
    let hidden = |c: char| c >= '\u{7f}' && (c.is_control() || is_format(c));
    if !text.contains(hidden) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if hidden(c) {
            c.encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

/// `1 keyset`, `2 keysets`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// The name most like `text`, if one is like it at all.
pub fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let names: Vec<&str> = names.collect();
    similar::get_close_matches(text, &names, 1, 0.6).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        assert_eq!(terminal("plain ünïcode"), "plain ünïcode");
        assert_eq!(terminal("\u{1b}[31mred\n"), "\\u{1b}[31mred\\u{a}");
        assert_eq!(terminal("a ##[set-output name=a;]b"), "a ##\\u{5b}set-output name=a;]b");
        assert_eq!(terminal("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(terminal(&"x".repeat(10_000)).chars().count(), 501);
    }

    #[test]
    fn markdown_and_workflows_see_text_and_nothing_else() {
        assert_eq!(markdown("a"), "` a `");
        assert_eq!(markdown("a | b\n`c` ``d"), "``` a \\| b\\u{a}`c` ``d ```");
        assert_eq!(markdown("a\\| @team"), "` a\\u{5c}\\| @team `");
        assert_eq!(json(r###"["##[set-env]"]"###), r###"["##\u005bset-env]"]"###);
        assert_eq!(json("[\"a\u{202e}b\u{85}ü\"]"), r#"["a\u202eb\u0085ü"]"#);
        assert_eq!(github("50%: a,b\n::error::x", false), "50%25: a,b\\u{a}::error::x");
        assert_eq!(github("a,b:c", true), "a%2Cb%3Ac");
    }
}
