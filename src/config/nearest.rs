//! "Did you mean".

use similar::get_close_matches;

/// Finds the nearest of some names. What it may compare in one run is bounded: the ten-thousandth
/// mistake needs no suggestion, and a hostile file no day.
#[derive(Debug)]
pub(super) struct Nearest {
    comparisons: usize,
}

/// Enough for 50 mistakes among 4,000 labels.
const COMPARISONS: usize = 200_000;
/// The share of characters that two names have in common, from which one may be a slip for the
/// other.
const ALIKE: f32 = 0.7;

impl Default for Nearest {
    fn default() -> Nearest {
        Nearest { comparisons: COMPARISONS }
    }
}

impl Nearest {
    pub(super) fn of<'a>(
        &mut self,
        word: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        if word.is_empty() || word.len() > 128 {
            return None;
        }
        let names: Vec<&str> = names.into_iter().take(self.comparisons + 1).collect();
        self.comparisons = self.comparisons.checked_sub(names.len())?;
        let folded = fold(word);
        if let Some(same) = names.iter().find(|name| fold(name) == folded) {
            return Some(same);
        }
        get_close_matches(word, &names, 1, ALIKE).first().copied()
    }
}

/// `page_size`, `PageSize` and `pageSize` are one name.
fn fold(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_a_stranger_is_not() {
        let names = ["pageSize", "colour", "weight"];
        assert_eq!(Nearest::default().of("page_size", names), Some("pageSize"));
        assert_eq!(Nearest::default().of("collour", names), Some("colour"));
        assert_eq!(Nearest::default().of("city", names), None);
        assert_eq!(Nearest { comparisons: 2 }.of("collour", names), None);
    }
}
