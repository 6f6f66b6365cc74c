//! Where a project is in its repository, as far as that is known.

use std::path::{Path, PathBuf};

use super::environment::variable;

/// The project's folder with `/` at its end, or nothing where it is the repository itself: whoever
/// shows annotations at lines knows files by such paths. Outside a pipeline the folder in which
/// keyform is run counts as the repository.
pub fn folder_in(dir: &Path) -> String {
    let Ok(dir) = std::fs::canonicalize(dir) else { return String::new() };
    let told =
        ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"].into_iter().filter_map(variable).map(PathBuf::from);
    let roots =
        told.chain(std::env::current_dir()).filter_map(|root| std::fs::canonicalize(root).ok());
    let below = roots
        .into_iter()
        .find_map(|root| Some(dir.strip_prefix(root).ok()?.to_owned()))
        .unwrap_or_default();
    below.components().map(|part| format!("{}/", part.as_os_str().to_string_lossy())).collect()
}
