//! keyform's own environment variables.

/// Set and empty counts as not set.
#[expect(clippy::disallowed_methods, reason = "the owner of keyform's own variables")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
