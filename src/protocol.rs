//! The steps of the never-lose protocol, by name: where a crash may fall, and what the next run
//! makes of it.
//!
//! The table is the one list: the reference prints it, and the crash tests go through it. In debug
//! builds the process can be ended, or a write be made to fail, at any of them:
//! `KEYFORM_FAILPOINT=NAME[#N]=kill|panic|enospc|eio|torn`, N being the Nth time it is reached
//! (`kill`, `panic`) or the first time it fails (the others, which go on failing). Release builds
//! have none of it.

use std::io;

macro_rules! points {
    ($($name:ident = $text:literal $kind:ident $what:literal -> $then:literal;)+) => {
        /// One step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point { $($name),+ }

        /// Every step, in the order of an apply.
        pub const POINTS: &[(Point, Row)] = &[$((Point::$name, Row { name: $text, kind: Kind::$kind, what: $what, then: $then })),+];
    };
}

/// What is to be known of a step.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub name: &'static str,
    pub kind: Kind,
    /// What has just been done, or is about to be.
    pub what: &'static str,
    /// What the next run does after a crash here.
    pub then: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Between two effects: a crash may fall here.
    Step,
    /// Just before a write, sync or rename: it may also fail.
    Io,
}

points! {
    EscrowKey = "escrow.key" Step "the key of the escrow is in the sink" -> "uses it";
    AppIntended = "app.intended" Step "the create of an app is in the journal" -> "lists the apps; creates it once it is certain that it was not made";
    AppAnswered = "app.answered" Step "the answer to it is here" -> "lists the apps, finds it and \
                                                                     records it";
    CreateIntended = "create.intended" Step "the create of a keyset is in the journal" -> "lists the keysets; creates it once it is certain that it was not made";
    CreateAnswered = "create.answered" Step "the answer to it is here, unread" -> "lists the keysets, finds it, records it and rotates its secret key, which nobody has seen";
    CreateSealed = "create.sealed" Step "the answer is sealed in the journal" -> "opens it, stores the secret, records the keyset; where nobody can open it as one line above";
    CreateStored = "create.stored" Step "the secret is in the sink" -> "the same; the sink gets the same secret again. Where nobody can open the answer it stops and says so, since somebody may have read the secret";
    CreateCommitted = "create.committed" Step "the keyset is in the journal" -> "folds the journal into the state";
    CreateFound = "create.found" Step "a lost create was found by listing" -> "finds it again";
    RotateIntended = "rotate.intended" Step "the rotation of a secret key is in the journal" -> "finds out from the list of keys whether it was done; if it was, makes another key, and the one of now works on for the overlap that was asked for, or a day: it may be somebody else's";
    RotateAnswered = "rotate.answered" Step "the answer to it is here, unread" -> "the same";
    RotateSealed = "rotate.sealed" Step "the answer is sealed in the journal" -> "opens it, stores the secret, records it";
    RotateStored = "rotate.stored" Step "the secret is in the sink" -> "the same; or finds it in the sink and sees in the list of keys that it is the current one";
    RotateCommitted = "rotate.committed" Step "the new secret is in the journal" -> "folds the journal into the state";
    MirrorSent = "mirror.sent" Step "a copy of a secret was taken by a mirror" -> "sends it once more";
    UpdateAnswered = "update.answered" Step "one call of an update is done" -> "compares with the account and sends what is left";
    UploadAnswered = "upload.answered" Step "push credentials are uploaded" -> "uploads them again, which changes nothing";
    JournalOpen = "journal.open" Io "the journal is opened, or begun with its first line" -> "drops a first line that is torn";
    JournalWrite = "journal.write" Io "records are appended to the journal" -> "drops a last record that is torn: it was never acknowledged";
    JournalSync = "journal.sync" Io "appended records are synced" -> "reads them; those that a power cut took were never acknowledged";
    LogWrite = "log.write" Io "a record is appended to the audit log" -> "drops a last record that is torn; nothing was sent that is not noted";
    FileWrite = "file.write" Io "a file is written beside its place: state, backup, journal after \
                                 a fold, a secret of the sink `age`" -> "finds the old file as it was; what lies beside it is never read";
    FileSync = "file.sync" Io "it is synced" -> "the same";
    FileRename = "file.rename" Io "it takes its place" -> "the same";
    FolderSync = "folder.sync" Io "the folder of a replaced file is synced" -> "finds the old file or the new one, and a journal that fits both";
    JournalRemove = "journal.remove" Io "a journal without open records is removed" -> "finds that it changes nothing, and removes it";
    SinkPut = "sink.put" Io "the sink is asked to take a secret" -> "opens the sealed answer and \
                                                                     stores the secret";
}

impl Point {
    pub fn row(self) -> &'static Row {
        &POINTS[self as usize].1
    }
}

/// A step between two effects.
pub fn reached(point: Point) {
    let _ = act(point);
}

/// Just before an effect on the disk or the sink, which fails if this does.
pub fn about_to(point: Point) -> io::Result<()> {
    act(point)
}

/// How many of `bytes` a write that tears gets to the disk before the process ends; `None`: it does
/// not tear.
pub fn torn(point: Point, bytes: &[u8]) -> Option<usize> {
    armed::tears(point).then_some(bytes.len() / 2)
}

/// Ends the process as a power cut would.
pub fn die() -> ! {
    armed::die()
}

fn act(point: Point) -> io::Result<()> {
    armed::act(point)
}

#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "fail points are set from outside, for tests")]
mod armed {
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{POINTS, Point};

    #[derive(Clone, Copy, PartialEq)]
    enum Deed {
        Kill,
        /// As a mistake in the program would.
        Panic,
        Tear,
        /// An error of the operating system, by number.
        Fail(i32),
    }

    struct Armed {
        point: Point,
        nth: u32,
        deed: Deed,
        seen: AtomicU32,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    fn armed(point: Point) -> Option<(&'static Armed, bool)> {
        let armed =
            ARMED.get_or_init(|| parse(&std::env::var("KEYFORM_FAILPOINT").ok()?)).as_ref()?;
        if armed.point != point {
            return None;
        }
        let seen = armed.seen.fetch_add(1, Ordering::SeqCst) + 1;
        Some((
            armed,
            if matches!(armed.deed, Deed::Kill | Deed::Panic) {
                seen == armed.nth
            } else {
                seen >= armed.nth
            },
        ))
    }

    /// What is mistyped must not look like a test that passed.
    fn parse(text: &str) -> Option<Armed> {
        let known = || {
            let (at, deed) = text.split_once('=')?;
            let (name, nth) = at
                .split_once('#')
                .map_or(Some((at, 1)), |(name, n)| Some((name, n.parse().ok()?)))?;
            let point = POINTS.iter().find(|(_, row)| row.name == name)?.0;
            let deed = match deed {
                "kill" => Deed::Kill,
                "panic" => Deed::Panic,
                "torn" => Deed::Tear,
                "enospc" => Deed::Fail(28),
                "eio" => Deed::Fail(5),
                _ => return None,
            };
            Some(Armed { point, nth, deed, seen: AtomicU32::new(0) })
        };
        Some(known().unwrap_or_else(|| panic!("KEYFORM_FAILPOINT={text:?} is none")))
    }

    pub fn act(point: Point) -> io::Result<()> {
        match armed(point) {
            Some((Armed { deed: Deed::Kill, .. }, true)) => die(),
            Some((Armed { deed: Deed::Panic, .. }, true)) => {
                panic!("KEYFORM_FAILPOINT asks for it")
            }
            Some((Armed { deed: Deed::Fail(number), .. }, true)) => {
                Err(io::Error::from_raw_os_error(*number))
            }
            _ => Ok(()),
        }
    }

    pub fn tears(point: Point) -> bool {
        matches!(ARMED.get(), Some(Some(armed)) if armed.point == point && armed.deed == Deed::Tear && armed.seen.load(Ordering::SeqCst) >= armed.nth)
    }

    pub fn die() -> ! {
        #[cfg(unix)]
        if rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
            .is_ok()
        {
            loop {
                std::thread::park();
            }
        }
        std::process::abort()
    }
}

#[cfg(not(debug_assertions))]
mod armed {
    use super::Point;

    #[inline(always)]
    pub fn act(_: Point) -> std::io::Result<()> {
        Ok(())
    }
    #[inline(always)]
    pub fn tears(_: Point) -> bool {
        false
    }
    pub fn die() -> ! {
        std::process::abort()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_point_stands_in_its_own_row() {
        for (n, (point, row)) in POINTS.iter().enumerate() {
            assert_eq!(*point as usize, n, "{}", row.name);
            assert_eq!(point.row().name, row.name);
            assert_eq!(
                POINTS.iter().filter(|(_, other)| other.name == row.name).count(),
                1,
                "{}",
                row.name
            );
        }
    }
}
