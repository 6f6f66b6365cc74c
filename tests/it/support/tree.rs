//! Folders as values.

use std::path::{Path, PathBuf};

/// Every file below `root` with its content, sorted by path.
pub fn read_tree(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("the file is readable");
                files.push((path, bytes));
            }
        }
    }
    files.sort();
    files
}
