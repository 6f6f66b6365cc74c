//! Whole-file writes that a crash cannot tear, and bounded reads.
#![expect(
    clippy::disallowed_methods,
    reason = "files are read and written here, for state and sinks"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::protocol::{self, Point};

/// Largest file read, in bytes: a state of about a million keysets.
const MAX: u64 = 1 << 30;

/// What could not be done with which file.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {source}", .path.display())]
pub struct DiskError {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

/// Names the operation and the file that an error is about.
pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    move |source| DiskError { action, path: path.to_owned(), source }
}

/// Writes `bytes` to `path`: beside it, synced, renamed, the folder synced. A power cut leaves the
/// old file or the new one. Mode 0600, which the file keeps.
pub fn write(path: &Path, folder: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let mut file = tempfile::Builder::new()
        .prefix(".keyform-")
        .tempfile_in(folder)
        .map_err(at("cannot write beside", path))?;
    protocol::about_to(Point::FileWrite)
        .and_then(|()| file.write_all(bytes))
        .map_err(at("cannot write", path))?;
    protocol::about_to(Point::FileSync)
        .and_then(|()| file.as_file().sync_all())
        .map_err(at("cannot sync", path))?;
    protocol::about_to(Point::FileRename)
        .and_then(|()| file.persist(path).map_err(|e| e.error))
        .map_err(at("cannot replace", path))?;
    sync_folder(folder)
}

/// As `write`, for a file that is there and is not keyform's own: it keeps its mode, and a link to
/// it stays a link.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let path = &std::fs::canonicalize(path).map_err(at("cannot look at", path))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mode = std::fs::metadata(path)
        .map(|meta| meta.permissions())
        .map_err(at("cannot look at", path))?;
    let mut file = tempfile::Builder::new()
        .prefix(".keyform-")
        .tempfile_in(folder)
        .map_err(at("cannot write beside", path))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().set_permissions(mode))
        .map_err(at("cannot write", path))?;
    file.as_file().sync_all().map_err(at("cannot sync", path))?;
    file.persist(path).map_err(|error| at("cannot replace", path)(error.error))?;
    sync_folder(folder)
}

/// Whether there was such a file; it is gone after a power cut too.
pub fn remove(path: &Path, folder: &Path) -> Result<bool, DiskError> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_folder(folder).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at("cannot remove", path)(error)),
    }
}

/// Makes renames and removals in the folder durable.
pub fn sync_folder(folder: &Path) -> Result<(), DiskError> {
    sync(folder).map_err(at("cannot sync folder", folder))
}

/// As `sync_folder`. Elsewhere than on Unix a folder cannot be opened as a file.
pub fn sync(folder: &Path) -> io::Result<()> {
    protocol::about_to(Point::FolderSync)?;
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The whole file; `None` if there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    read_at_most(path, MAX)
}

/// As `read`, at most `max` bytes: a longer one is an error.
pub fn read_at_most(path: &Path, max: u64) -> Result<Option<Vec<u8>>, DiskError> {
    // Asked before opening, since opening a pipe waits for its other end; and again of what was
    // opened.
    let file = match std::fs::metadata(path)
        .and_then(|meta| if meta.is_file() { File::open(path) } else { Err(no_file()) })
    {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at("cannot open", path)(error)),
    };
    let meta = file.metadata().map_err(at("cannot read", path))?;
    if !meta.is_file() {
        return Err(at("cannot read", path)(no_file()));
    }
    let mut bytes = Vec::with_capacity(meta.len().min(max) as usize);
    file.take(max + 1).read_to_end(&mut bytes).map_err(at("cannot read", path))?;
    if bytes.len() as u64 > max {
        return Err(at("cannot read", path)(io::Error::other(format!(
            "it is larger than {max} bytes and was not read"
        ))));
    }
    Ok(Some(bytes))
}

/// Opens a file that is written in place. Not through a link: a project may come from somebody
/// else, and its links lead anywhere. Not a pipe or device either.
pub fn open_in_place(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => {
            return Err(io::Error::other("it is a symbolic link; remove it"));
        }
        Ok(meta) if !meta.is_file() => return Err(no_file()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

fn no_file() -> io::Error {
    io::Error::other("it is not a file")
}

/// Proves that files can be made, synced, renamed and removed in the folder, before anything
/// depends on it.
pub fn prove_writable(folder: &Path) -> Result<(), DiskError> {
    let probe = folder.join(format!(".keyform-probe-{}", std::process::id()));
    write(&probe, folder, b"probe\n")?;
    std::fs::remove_file(&probe).map_err(at("cannot remove", &probe))
}

/// Bytes that can still be written to the file system of the folder; `None` where nobody tells.
pub fn free(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(folder).ok().map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    #[cfg(not(unix))]
    return None;
}
