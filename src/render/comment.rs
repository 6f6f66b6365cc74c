//! Markdown that fits a comment, however much there is to say.
//!
//! GitHub takes 65,536 characters. Bytes are counted here: however characters are counted, there
//! are never more of them. What does not fit is counted and said; so whatever matters most is put
//! in first.

use std::fmt::Write as _;

use super::text::markdown;

/// Bytes for what is shown. The rest of the 65,536 is for the last words, and for a line or two of
/// whoever posts it.
const ROOM: usize = 62_000;
/// Bytes in which a section says what it left out; they are not taken from [`ROOM`].
const LAST_WORDS: usize = 160;

pub struct Comment {
    text: String,
    left: usize,
}

impl Comment {
    /// `summary`: one line, of our own words and counts.
    pub fn new(summary: &str) -> Comment {
        let text = format!("**{summary}**\n");
        Comment { left: ROOM.saturating_sub(text.len()), text }
    }

    /// A table, with a line for each row as far as they fit. A row is its cells, which are safe
    /// already.
    pub fn table(
        &mut self,
        title: &str,
        columns: &[&str],
        rows: impl ExactSizeIterator<Item = Vec<String>>,
    ) {
        let all = rows.len();
        let rule = vec!["---"; columns.len()].join(" | ");
        let head = format!("{}| {} |\n| {rule} |\n", heading(title), columns.join(" | "));
        self.section(
            title,
            &head,
            "",
            all,
            rows.map(|cells| format!("| {} |\n", cells.join(" | "))),
        );
    }

    /// Preformatted lines, in which nothing is interpreted; `+` and `-` at the start of a line are
    /// coloured.
    pub fn block(&mut self, title: &str, entries: &[String]) {
        // No line in it can be the end of it.
        let longest = entries
            .iter()
            .flat_map(|entry| entry.split(|c| c != '`'))
            .map(str::len)
            .max()
            .unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let head = format!("{}{fence}diff\n", heading(title));
        self.section(title, &head, &format!("{fence}\n"), entries.len(), entries.iter().cloned());
    }

    /// A list, one item a text; each is shown in a code span.
    pub fn list(&mut self, items: impl ExactSizeIterator<Item = String>) {
        let all = items.len();
        self.section("", "\n", "", all, items.map(|item| format!("- {}\n", markdown(&item))));
    }

    fn section(
        &mut self,
        title: &str,
        head: &str,
        tail: &str,
        all: usize,
        entries: impl Iterator<Item = String>,
    ) {
        let mut shown = 0;
        let around = head.len() + tail.len();
        for entry in entries {
            let needed = entry.len() + if shown == 0 { around } else { 0 };
            if needed > self.left {
                break;
            }
            self.left -= needed;
            if shown == 0 {
                self.text.push_str(head);
            }
            self.text.push_str(&entry);
            shown += 1;
        }
        if shown > 0 {
            self.text.push_str(tail);
        }
        if shown < all {
            let of =
                if shown == 0 && !title.is_empty() { format!("{title}: ") } else { String::new() };
            let more = if shown == 0 { "" } else { " more" };
            let _ = writeln!(
                self.text,
                "\n*{of}{}{more} not shown: a comment has no room for all of it.*",
                all - shown
            );
            debug_assert!(of.len() < LAST_WORDS / 2, "sections have short titles");
        }
    }

    pub fn finish(self) -> String {
        self.text
    }
}

fn heading(title: &str) -> String {
    if title.is_empty() { "\n".to_owned() } else { format!("\n### {title}\n\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut comment = Comment::new("Much.");
        let lines: Vec<String> = (0..9_000).map(|n| format!("+ ü`````` {n}\n")).collect();
        comment.block("First", &lines);
        comment.table(
            "Second",
            &["a"],
            (0..5).map(|n| vec![format!("` {n} `{}", " ".repeat(500))]),
        );
        let text = comment.finish();
        assert!(text.len() < ROOM + 2 * LAST_WORDS);
        let shown = text.matches("+ ü").count();
        assert!(text.contains(&format!("*{} more not shown: ", 9_000 - shown)), "{shown}");
        assert!(text.contains("*Second: 5 not shown: "));
        // Both ends of the block are longer than anything in it.
        assert_eq!(text.lines().filter(|line| line.starts_with("```````")).count(), 2);
    }
}
