//! One keyring file, two services: each has the whole file in its memory, and what one of them
//! writes the other one overwrites without an error. So whoever writes through a service leaves its
//! name beside the keyring, and nobody writes through another one that is alive, or that has read
//! the file before it was written last.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::ports::SinkError;

/// Longest note that is read, in bytes.
const NOTE_MAX: u64 = 4096;
/// Time of a start and of a write are compared to the second.
const SLACK: Duration = Duration::from_secs(2);

/// A Secret Service that is running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Daemon {
    pub host: String,
    pub pid: u32,
    /// In ticks since the machine was started: with the process id it is unique for as long as the
    /// machine runs.
    pub started: u64,
}

/// The word that this process writes through a service. Given back when dropped.
#[derive(Debug)]
pub(super) struct Claim {
    file: File,
}

impl Claim {
    /// Says that something was written just now.
    #[expect(clippy::disallowed_methods, reason = "file times are compared with each other")]
    pub(super) fn wrote(&self) {
        // Without it, a service that is older than this write is not told from one that knows of
        // it.
        let _ = self.file.set_modified(SystemTime::now());
    }
}

/// Claims the keyring for writing through `daemon`; `note`: the file beside the keyring. `started`:
/// when the daemon did, by the clock of files. Several processes may claim it through one and the
/// same service.
pub(super) fn claim(note: &Path, daemon: &Daemon, started: SystemTime) -> Result<Claim, SinkError> {
    let failed = |error: std::io::Error| SinkError::Failed(format!("{}: {error}", note.display()));
    if let Some(folder) = note.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(note).map_err(failed)?;
    let alone = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        // A file system without locks: nobody can be told from anybody.
        Err(TryLockError::Error(_)) => true,
    };
    let mut text = String::new();
    Read::by_ref(&mut file).take(NOTE_MAX).read_to_string(&mut text).map_err(failed)?;
    let last: Option<Daemon> = serde_json::from_str(&text).ok();
    let written = file.metadata().and_then(|meta| meta.modified()).map_err(failed)?;
    match last {
        Some(last) if last == *daemon => {}
        Some(last) if !alone || is_alive(&last) => return Err(SinkError::Failed(two(&last))),
        Some(_) if written > started + SLACK => return Err(SinkError::Failed(STALE.to_owned())),
        _ if !alone => return Err(SinkError::Failed(BUSY.to_owned())),
        _ => {
            let json = serde_json::to_string(daemon).unwrap_or_default();
            let put = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(json.as_bytes()));
            put.map_err(failed)?;
        }
    }
    // From here on for everybody who writes through the same service.
    let _ = file.lock_shared();
    Ok(Claim { file })
}

const STALE: &str = "another service has written to this keyring since this one read it, and would \
                     be overwritten; end this session's \
                     keyring service and start it anew (log out and in)";
const BUSY: &str = "another run is about to write to this keyring; run again";

fn two(other: &Daemon) -> String {
    format!(
        "two services have one keyring file, and overwrite each other's entries without an error; \
         another one is at work (process {} on \
         {}): end it, run one job after the other, give each a keyring of its own (`with-keyring \
         DIR COMMAND`), or use the sink `age`",
        other.pid, other.host
    )
}

/// Whether that very process is still there. One on another machine is not seen, and counts as
/// gone.
fn is_alive(daemon: &Daemon) -> bool {
    daemon.host == host() && started(daemon.pid) == Some(daemon.started)
}

/// The service with this process id, and when it started. `None`: the system does not tell.
pub(super) fn identify(pid: u32) -> Option<(Daemon, SystemTime)> {
    let ticks = started(pid)?;
    let daemon = Daemon { host: host(), pid, started: ticks };
    Some((daemon, booted()? + Duration::from_millis(ticks * 1000 / ticks_per_second())))
}

fn host() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = String::new();
    name
}

/// Field 22 of `/proc/PID/stat`: the time of the start in ticks since the machine was started.
fn started(pid: u32) -> Option<u64> {
    let stat = proc(&format!("{pid}/stat"))?;
    // The name in parentheses may hold anything, parentheses too.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

fn booted() -> Option<SystemTime> {
    let stat = proc("stat")?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn ticks_per_second() -> u64 {
    #[cfg(unix)]
    return rustix::param::clock_ticks_per_second().max(1);
    #[cfg(not(unix))]
    100
}

#[expect(clippy::disallowed_methods, reason = "the owner of what the kernel tells of processes")]
fn proc(name: &str) -> Option<String> {
    let mut text = String::new();
    File::open(PathBuf::from("/proc").join(name))
        .ok()?
        .take(1 << 20)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon(pid: u32) -> Daemon {
        Daemon { host: host(), pid, started: started(pid).unwrap_or(1) }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "times of files are compared")]
    fn one_service_at_a_time_and_none_that_has_not_read_what_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let note = folder.path().join("a/keyring-users");
        let now = SystemTime::now();
        let (ours, dead) = (daemon(std::process::id()), daemon(0));
        let first = claim(&note, &dead, now).expect("nobody else is there");
        let second = claim(&note, &dead, now).expect("the same service");
        let error = claim(&note, &ours, now).expect_err("two at once");
        assert!(error.to_string().contains("two services"), "{error}");
        second.wrote();
        drop((first, second));
        let error = claim(&note, &ours, now - Duration::from_secs(60))
            .expect_err("it has read the file before");
        assert!(error.to_string().contains("since this one read it"), "{error}");
        let ours = claim(&note, &ours, SystemTime::now() + Duration::from_secs(5))
            .expect("it was started after that");
        drop(ours);
        // Ours is alive: this very test is it.
        let error = claim(&note, &dead, SystemTime::now() + Duration::from_secs(9))
            .expect_err("two are alive");
        assert!(error.to_string().contains("two services"), "{error}");
        std::fs::write(&note, "nonsense").expect("written");
        claim(&note, &dead, SystemTime::now() + Duration::from_secs(9))
            .expect("what nobody understands says nothing");
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "a start is compared with now")]
    fn a_process_is_known_by_its_start() {
        let (us, started) = identify(std::process::id()).expect("told");
        assert!(is_alive(&us));
        assert!(!is_alive(&Daemon { started: us.started + 1, ..us.clone() }));
        let age = SystemTime::now().duration_since(started).expect("in the past");
        assert!(age < Duration::from_secs(3600), "{age:?}");
        assert_eq!(identify(u32::MAX), None);
    }
}
