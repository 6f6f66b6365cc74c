//! The data file: JSON lines, one per change, after a line of counters. Never a secret key.
//!
//! A change is written before it is answered, so a killed sandbox has forgotten nothing that it
//! said; a power cut may take the last changes with it. Rewritten at the start when more than half
//! of it is history.

#![expect(clippy::disallowed_methods, reason = "the sandbox owns its data file")]

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SandboxError;
use super::world::{Change, Counters, World};
use crate::keyset::Tier;

/// An open data file, locked against other sandboxes until it is dropped.
pub struct Store {
    path: PathBuf,
    file: File,
    /// Bytes that hold whole changes.
    length: u64,
    _lock: Lock,
}

/// The lock file, locked until dropped.
struct Lock(File);

impl Drop for Lock {
    /// Closing is not enough: a child process that is just being started holds the same open file
    /// until it runs.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the lock goes with its process");
        }
    }
}

/// First line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    keyform_sandbox: u32,
    #[serde(flatten)]
    counters: Counters,
}

const FORMAT: u32 = 1;
/// Longest line read; a request body is at most 1 MiB.
const LINE_MAX: u64 = 8 << 20;

/// Opens or makes the data file and reads the world in it.
pub fn open(path: PathBuf, tier: Tier) -> Result<(Store, World), SandboxError> {
    let lock = lock(&path)?;
    let fail = |what, why| SandboxError::Io { path: path.clone(), what, why };
    let mut world = World::new(tier);
    let length = match File::open(&path) {
        Ok(file) => {
            let read = read(&path, BufReader::new(file), &mut world)?;
            // A line without end was never answered; it must not be joined with the next.
            let keep = !read.torn && read.lines <= 2 * world.snapshot_len() + 1000;
            keep.then_some(read.length)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(fail("cannot be read", error)),
    };
    let length = match length {
        Some(length) => length,
        None => rewrite(&path, &world).map_err(|error| fail("cannot be written", error))?,
    };
    let file = OpenOptions::new()
        .append(true)
        .open(&path)
        .map_err(|error| fail("cannot be opened for writing", error))?;
    Ok((Store { path, file, length, _lock: lock }, world))
}

impl Store {
    /// Writes a change down. After an error nothing of it remains, and the change must not happen.
    pub fn append(&mut self, change: &Change) -> io::Result<()> {
        let mut line = serde_json::to_vec(change)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            // Half a line would spoil the next one.
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Lets go of the file, with everything on the disk.
    pub fn close(self) -> Result<(), SandboxError> {
        self.file.sync_all().map_err(|why| SandboxError::Io {
            path: self.path,
            what: "cannot be written",
            why,
        })
    }
}

fn lock(path: &Path) -> Result<Lock, SandboxError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let fail = |what, why| SandboxError::Io { path: lock_path.clone(), what, why };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| fail("its folder cannot be made", e))?;
    }
    // Nobody's file is made where a link leads.
    if fs::symlink_metadata(&lock_path).is_ok_and(|meta| meta.is_symlink()) {
        return Err(fail(
            "cannot be opened for writing",
            io::Error::other("it is a symbolic link; remove it"),
        ));
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|e| fail("cannot be opened for writing", e))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(SandboxError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(fail("cannot be locked", error)),
    }
}

struct ReadSoFar {
    lines: usize,
    length: u64,
    torn: bool,
}

fn read(path: &Path, mut file: impl BufRead, world: &mut World) -> Result<ReadSoFar, SandboxError> {
    let mut so_far = ReadSoFar { lines: 0, length: 0, torn: false };
    let mut line = Vec::new();
    loop {
        let bad =
            |why| SandboxError::BadData { path: path.to_owned(), line: so_far.lines + 1, why };
        line.clear();
        let n = (&mut file).take(LINE_MAX).read_until(b'\n', &mut line).map_err(|why| {
            SandboxError::Io { path: path.to_owned(), what: "cannot be read", why }
        })?;
        if n == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            if n as u64 == LINE_MAX || so_far.lines == 0 {
                return Err(bad("this is not a sandbox's data file"));
            }
            so_far.torn = true;
            break;
        }
        if so_far.lines == 0 {
            let head: Head = serde_json::from_slice(&line)
                .map_err(|_| bad("this is not a sandbox's data file"))?;
            if head.keyform_sandbox != FORMAT {
                return Err(bad("the file was written by a newer keyform"));
            }
            world.resume(head.counters);
        } else {
            world.apply(serde_json::from_slice(&line).map_err(|_| bad("the line is damaged"))?);
        }
        so_far.lines += 1;
        so_far.length += n as u64;
    }
    if so_far.lines == 0 {
        so_far.torn = true;
    }
    Ok(so_far)
}

/// Writes the world beside the file and puts it in its place. Answers its length.
fn rewrite(path: &Path, world: &World) -> io::Result<u64> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::NamedTempFile::new_in(folder)?;
    let mut out = BufWriter::new(temporary.as_file());
    // Reading the changes back counts them again.
    let mut counters = world.counters();
    counters.changes -= (world.snapshot_len() as u64).min(counters.changes);
    serde_json::to_writer(&mut out, &Head { keyform_sandbox: FORMAT, counters })?;
    out.write_all(b"\n")?;
    for change in world.snapshot() {
        serde_json::to_writer(&mut out, &change)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    drop(out);
    let length = temporary.as_file().metadata()?.len();
    temporary.persist(path)?;
    Ok(length)
}
