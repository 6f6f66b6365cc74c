//! Whole-file writes that a crash cannot tear, and bounded reads.
#![expect(clippy::disallowed_methods, reason = "state owns its files")]

use std::fs::{File, OpenOptions};
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
    sync(folder).map_err(io("cannot sync folder", folder))
}

/// As `sync_folder`. Elsewhere than on Unix a folder cannot be opened as a file.
pub fn sync(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The whole file; `None` if there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    // Asked before opening, since opening a pipe waits for its other end; and again of what was opened.
    let file = match std::fs::metadata(path).and_then(|meta| if meta.is_file() { File::open(path) } else { Err(no_file()) }) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("cannot open", path)(error)),
    };
    let meta = file.metadata().map_err(io("cannot read", path))?;
    if !meta.is_file() {
        return Err(io("cannot read", path)(no_file()));
    }
    let mut bytes = Vec::with_capacity(meta.len().min(MAX) as usize);
    file.take(MAX + 1).read_to_end(&mut bytes).map_err(io("cannot read", path))?;
    if bytes.len() as u64 > MAX {
        return Err(StateError::TooLarge { path: path.to_owned(), limit: MAX });
    }
    Ok(Some(bytes))
}

/// Opens a file that is written in place. Not through a link: a project may come from somebody else, and its links lead
/// anywhere. Not a pipe or device either.
pub fn open_in_place(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => return Err(std::io::Error::other("it is a symbolic link; remove it")),
        Ok(meta) if !meta.is_file() => return Err(no_file()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

fn no_file() -> std::io::Error {
    std::io::Error::other("it is not a file")
}

/// Proves that files can be made, synced, renamed and removed in the folder, before anything depends on it.
pub fn prove_writable(folder: &Path) -> Result<(), StateError> {
    let probe = folder.join(format!(".keyform-probe-{}", std::process::id()));
    write(&probe, folder, b"probe\n")?;
    std::fs::remove_file(&probe).map_err(io("cannot remove", &probe))
}
