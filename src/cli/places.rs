//! Places among the user's data.

use std::path::PathBuf;

use super::variables::variable;

/// Where the keyring of this session keeps its files, if it is none of the desktop.
const KEYRING_DIR: &str = "KEYFORM_KEYRING_DIR";

/// Beside the keyring as far as that is known: `with-keyring` says where, and the user's own is
/// among the user's data.
pub fn note() -> Option<PathBuf> {
    let folder = variable(KEYRING_DIR).map(PathBuf::from).or_else(data_dir)?;
    Some(folder.join("keyring-users"))
}

/// keyform's folder among the user's data.
pub fn data_dir() -> Option<PathBuf> {
    dirs::data_dir().map(|data| data.join("keyform"))
}
