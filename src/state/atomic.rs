//! Whole-file writes that a crash cannot tear, and bounded reads.
#![expect(clippy::disallowed_methods, reason = "state owns its files")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use super::{StateError, io};

/// Largest file read, in bytes: about a million keysets.
const MAX: u64 = 1 << 30;

/// Writes `bytes` to `path`: beside it, synced, renamed, the folder synced. A power cut leaves the old file or the new one.
pub fn write(path: &Path, folder: &Path, bytes: &[u8]) -> Result<(), StateError> {
    // A temporary file has mode 0600, and keeps it.
    let mut file = tempfile::Builder::new().prefix(".keyform-").tempfile_in(folder).map_err(io("cannot write beside", path))?;
    file.write_all(bytes).map_err(io("cannot write", path))?;
    file.as_file().sync_all().map_err(io("cannot sync", path))?;
    file.persist(path).map_err(|e| io("cannot replace", path)(e.error))?;
    sync_folder(folder)
}

/// Makes renames and removals in the folder durable.
pub fn sync_folder(folder: &Path) -> Result<(), StateError> {
    if cfg!(unix) { File::open(folder).and_then(|f| f.sync_all()).map_err(io("cannot sync folder", folder)) } else { Ok(()) }
}

/// The whole file; `None` if there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("cannot open", path)(error)),
    };
    let meta = file.metadata().map_err(io("cannot read", path))?;
    if !meta.is_file() {
        let source = std::io::Error::other("it is not a file");
        return Err(io("cannot read", path)(source));
    }
    let mut bytes = Vec::with_capacity(meta.len().min(MAX) as usize);
    file.take(MAX + 1).read_to_end(&mut bytes).map_err(io("cannot read", path))?;
    if bytes.len() as u64 > MAX {
        return Err(StateError::TooLarge { path: path.to_owned(), limit: MAX });
    }
    Ok(Some(bytes))
}

/// Proves that files can be made, synced, renamed and removed in the folder, before anything depends on it.
pub fn prove_writable(folder: &Path) -> Result<(), StateError> {
    let probe = folder.join(format!(".keyform-probe-{}", std::process::id()));
    write(&probe, folder, b"probe\n")?;
    std::fs::remove_file(&probe).map_err(io("cannot remove", &probe))
}
