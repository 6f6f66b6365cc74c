//! Reads the files that are to be uploaded: inside the project only, regular ones, of a bounded
//! length.

use std::path::Path;

use zeroize::Zeroizing;

use super::workspace::Workspace;
use crate::apply::PushContents;
use crate::disk;
use crate::keyset::push::{PUSH_FILE_MAX, PushFile, PushFiles};
use crate::keyset::{PushContent, Sha256Hash};

/// Every declared file once: what the plan compares, and what is uploaded if it says so.
pub fn read(workspace: &Workspace) -> (PushFiles, PushContents) {
    let (mut files, mut contents) = (PushFiles::new(), PushContents::new());
    for declared in workspace.project.desired.keysets.values().flat_map(|keyset| &keyset.push) {
        if files.contains_key(&declared.file) {
            continue;
        }
        let file = match content(workspace, &declared.file) {
            Ok(Some(content)) => {
                let sha256 = Sha256Hash::of(content.expose_text()).to_string();
                contents.insert(declared.file.clone(), content);
                PushFile::Is(sha256.into())
            }
            Ok(None) => PushFile::Absent,
            Err(why) => PushFile::Unusable(why.into()),
        };
        files.insert(declared.file.clone(), file);
    }
    (files, contents)
}

fn content(workspace: &Workspace, file: &str) -> Result<Option<PushContent>, String> {
    let dir = if workspace.dir.as_os_str().is_empty() { Path::new(".") } else { &workspace.dir };
    let told = |error: std::io::Error| error.to_string();
    let root = std::fs::canonicalize(dir).map_err(told)?;
    let real = match std::fs::canonicalize(root.join(file)) {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(error)),
    };
    if !real.starts_with(&root) {
        return Err("it is a symbolic link that leads out of the project's folder".to_owned());
    }
    // Asked before opening, since opening a pipe waits for its other end.
    if !std::fs::metadata(&real).map_err(told)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let bytes =
        disk::read_at_most(&real, PUSH_FILE_MAX).map_err(|error| error.source.to_string())?;
    let bytes = Zeroizing::new(bytes.ok_or("it is gone")?);
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not a text")?;
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Some(PushContent::new(Zeroizing::new(text.to_owned()))))
}
