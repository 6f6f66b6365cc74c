//! What every storage has to hold, as tests that any of them runs: see the end of this file.
//!
//! `state` on top of a storage is tried here too, since what it builds on is the storage's promise:
//! what was acknowledged is read back, and a tail that a crash tore is not.

use std::sync::Arc;
use std::time::Duration;

use super::{Contents, Document, Holder, LockError, Storage, StorageError, Version, Writer};
use crate::keyset::views::RecordedApp;
use crate::keyset::{AppId, Label, ProjectName};
use crate::ports::{Entry, Ledger as _};
use crate::state::{StateError, Store, Waiting, read};

/// One that is tried, empty at first.
pub trait Subject {
    type Storage: Storage + 'static;
    /// A way to the same place, as another process would have one.
    fn storage(&self) -> Self::Storage;
    /// Leaves `bytes` at the journal's end, as a crash in the middle of an append does. `false`:
    /// no crash can do that here.
    fn tear(&self, bytes: &[u8]) -> bool;
}

fn holder(command: &str) -> Holder {
    Holder::this(command)
}

async fn writer(subject: &impl Subject) -> Box<dyn Writer> {
    subject.storage().lock(&holder("test")).await.expect("the lock is free")
}

async fn contents(subject: &impl Subject) -> Contents {
    subject.storage().read().await.expect("it can be read")
}

async fn document(subject: &impl Subject) -> Document {
    contents(subject).await.document.expect("there is a document")
}

pub async fn nothing_is_there_at_first(subject: impl Subject) {
    assert_eq!(contents(&subject).await, Contents::default());
    assert_eq!(subject.storage().read_log().await.expect("it can be read"), None);
    let writer = writer(&subject).await;
    writer.prove_writable().await.expect("it can be written");
    assert_eq!(contents(&subject).await, Contents::default(), "the proof leaves nothing behind");
}

pub async fn a_document_is_replaced_if_it_is_the_one_that_was_read(subject: impl Subject) {
    let writer = writer(&subject).await;
    let first = writer.replace(b"first", None).await.expect("there was none");
    assert_eq!(
        document(&subject).await,
        Document { bytes: b"first".into(), version: first.clone() }
    );
    // As long as the other, and written at once after it: still another version.
    let second = writer.replace(b"2econd", Some(&first)).await.expect("it was the first");
    let third = writer.replace(b"3econd", Some(&second)).await.expect("it was the second");
    let lost = [None, Some(&first), Some(&second)];
    for expected in lost {
        let error = writer.replace(b"late", expected).await.expect_err("it is the third");
        assert!(matches!(error, StorageError::Changed { .. }), "{error}");
        let now = document(&subject).await;
        assert_eq!(now, Document { bytes: b"3econd".into(), version: third.clone() });
    }
    writer.replace(b"fourth", Some(&third)).await.expect("it was the third");
}

pub async fn what_was_appended_is_read_back(subject: impl Subject) {
    let journal = async || contents(&subject).await.journal;
    let first_writer = writer(&subject).await;
    first_writer.append(b"head\n", b"one\n").await.expect("appended");
    assert_eq!(journal().await, b"head\none\n", "begun with its first line");
    first_writer.append(b"head\n", b"two\nthree\n").await.expect("appended");
    drop(first_writer);
    assert_eq!(journal().await, b"head\none\ntwo\nthree\n");
    // By another writer too.
    let writer = writer(&subject).await;
    writer.append(b"head\n", b"four\n").await.expect("appended");
    assert_eq!(journal().await, b"head\none\ntwo\nthree\nfour\n");
    writer.restart(b"new\nopen\n").await.expect("restarted");
    assert_eq!(journal().await, b"new\nopen\n");
    writer.append(b"head\n", b"five\n").await.expect("appended");
    assert_eq!(journal().await, b"new\nopen\nfive\n");
    writer.restart(b"").await.expect("restarted");
    writer.restart(b"").await.expect("nothing is there, and nothing is to be");
    assert_eq!(journal().await, b"");
    writer.append(b"head\n", b"six\n").await.expect("appended");
    assert_eq!(journal().await, b"head\nsix\n");
}

pub async fn a_torn_tail_is_cut_off(subject: impl Subject) {
    writer(&subject).await.append(b"head\n", b"one\n").await.expect("appended");
    if !subject.tear(b"two") {
        return;
    }
    assert_eq!(contents(&subject).await.journal, b"head\none\ntwo");
    let writer = writer(&subject).await;
    writer.truncate(9).await.expect("cut off");
    writer.append(b"head\n", b"three\n").await.expect("appended");
    assert_eq!(contents(&subject).await.journal, b"head\none\nthree\n");
}

pub async fn one_at_a_time_holds_the_lock(subject: impl Subject) {
    let first = subject.storage().lock(&holder("apply")).await.expect("the lock is free");
    let taken = subject.storage().lock(&holder("other")).await.map(drop);
    let Err(LockError::Taken(told)) = taken else { panic!("two have the lock") };
    assert_eq!(told.command, "apply");
    assert_eq!((told.pid, told.since.is_some()), (std::process::id(), true));
    drop(first);
    // Given back by dropping it, and by name; a second time takes nothing from anybody.
    let second = writer(&subject).await;
    second.release().await.expect("given back");
    let third = writer(&subject).await;
    drop(second);
    assert!(subject.storage().lock(&holder("other")).await.is_err(), "the third has the lock");
    drop(third);
    writer(&subject).await;
}

/// Each adds one to a number in the document, under the lock.
pub async fn two_writers_lose_nothing_of_each_other(subject: impl Subject) {
    const EACH: u64 = 20;
    let adding = async |storage: &dyn Storage| {
        let mut added = 0;
        while added < EACH {
            let Ok(writer) = storage.lock(&holder("adding")).await else {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            let document = storage.read().await.expect("it can be read").document;
            let (version, number) = match document {
                Some(found) => (Some(found.version), number(&found.bytes)),
                None => (None, 0),
            };
            let bytes = (number + 1).to_string();
            let replaced = writer.replace(bytes.as_bytes(), version.as_ref()).await;
            replaced.expect("it is the one that was read");
            writer.release().await.expect("given back");
            added += 1;
        }
    };
    let (one, other) = (subject.storage(), subject.storage());
    tokio::join!(adding(&one), adding(&other));
    assert_eq!(number(&document(&subject).await.bytes), 2 * EACH);
}

fn number(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).expect("a number")
}

/// Document and journal belong together in every read: a number that is in the journal, then in the
/// document, is never in neither.
pub async fn a_reader_sees_both_of_one_moment(subject: impl Subject) {
    const LAST: u64 = 60;
    let (writing, reading) = (subject.storage(), subject.storage());
    let write = tokio::spawn(async move {
        let writer = writing.lock(&holder("writing")).await.expect("the lock is free");
        let mut version: Option<Version> = None;
        for n in 1..=LAST {
            let bytes = n.to_string();
            writer.append(b"", bytes.as_bytes()).await.expect("appended");
            tokio::task::yield_now().await;
            let replaced = writer.replace(bytes.as_bytes(), version.as_ref()).await;
            version = Some(replaced.expect("nobody else writes"));
            tokio::task::yield_now().await;
            writer.restart(b"").await.expect("restarted");
        }
    });
    let mut seen = 0;
    while seen < LAST {
        let Contents { document, journal } = match reading.read().await {
            Ok(contents) => contents,
            Err(StorageError::Restless { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let in_document = document.map_or(0, |found| number(&found.bytes));
        let in_journal = if journal.is_empty() { 0 } else { number(&journal) };
        let now = in_document.max(in_journal);
        assert!(now >= seen, "{now} after {seen}");
        seen = now;
        tokio::task::yield_now().await;
    }
    write.await.expect("it wrote all");
}

pub async fn the_log_is_only_appended_to(subject: impl Subject) {
    let log = async || subject.storage().read_log().await.expect("it can be read");
    let first_writer = writer(&subject).await;
    first_writer.sync_log().await.expect("nothing is to be synced");
    first_writer.append_log(b"one\n").await.expect("appended");
    first_writer.append_log(b"two\n").await.expect("appended");
    first_writer.sync_log().await.expect("synced");
    assert_eq!(log().await.as_deref(), Some(&b"one\ntwo\n"[..]));
    drop(first_writer);
    let writer = writer(&subject).await;
    writer.truncate_log(4).await.expect("cut off");
    writer.append_log(b"three\n").await.expect("appended");
    assert_eq!(log().await.as_deref(), Some(&b"one\nthree\n"[..]));
}

fn project() -> ProjectName {
    ProjectName::parse("test").expect("a name")
}

fn app(n: u64) -> (Label, Entry) {
    let label = Label::parse(&format!("app-{n}")).expect("a label");
    let id = AppId::parse(&(100 + n).to_string()).expect("an id");
    let app = RecordedApp { id, name: "App".into(), managed: true };
    (label.clone(), Entry::App { label, app, intent: None })
}

async fn open(subject: &impl Subject) -> Store {
    let opened = Store::open(Arc::new(subject.storage()), &project(), "test").await;
    opened.unwrap_or_else(|error| panic!("{error}")).0
}

async fn apps(subject: &impl Subject) -> usize {
    let snapshot = read(&subject.storage(), &project()).await;
    snapshot.unwrap_or_else(|error| panic!("{error}")).recorded.apps.len()
}

pub async fn a_state_is_kept_through_crashes_and_folds(subject: impl Subject) {
    let store = open(&subject).await;
    for n in 0..3 {
        store.append(app(n).1).await.expect("appended");
    }
    assert_eq!(apps(&subject).await, 3, "acknowledged, so it can be read");
    // As a crash leaves it: nothing was folded, and an append did not get far.
    drop(store);
    subject.tear(b"0123456789abcdef {\"record\":");
    assert_eq!(apps(&subject).await, 3);
    let store = open(&subject).await;
    store.append(app(3).1).await.expect("appended");
    assert_eq!(apps(&subject).await, 4, "nothing is swallowed by the torn tail");
    store.fold().await.expect("folded");
    store.close().await.expect("closed");
    assert_eq!(contents(&subject).await.journal, b"");
    assert_eq!(read(&subject.storage(), &project()).await.expect("a state").serial, 2);
}

pub async fn many_appends_at_once_are_all_there(subject: impl Subject) {
    let store = open(&subject).await;
    let appends = (0..200).map(|n| store.append(app(n).1));
    for appended in futures_util::future::join_all(appends).await {
        appended.expect("appended");
    }
    drop(store);
    assert_eq!(apps(&subject).await, 200);
    let store = open(&subject).await;
    assert_eq!(store.snapshot().recorded.apps.len(), 200);
}

pub async fn the_lock_is_waited_for_and_its_holder_told(subject: impl Subject) {
    let first = open(&subject).await;
    let told = std::sync::Mutex::new(Vec::new());
    let hear = |holder: &Holder| told.lock().expect("not poisoned").push(holder.command.clone());
    let again = |patience: u64| {
        Store::open_within(
            Arc::new(subject.storage()),
            &PROJECT,
            "second",
            Waiting { patience: Duration::from_millis(patience), told: &hear },
        )
    };
    let Err(StateError::Locked { holder }) = again(0).await else { panic!("two have the lock") };
    assert_eq!(holder.command, "test");
    assert!(told.lock().expect("not poisoned").is_empty(), "nobody waits");
    let closing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        first.close().await.expect("closed");
    };
    let (second, ()) = tokio::join!(again(10_000), closing);
    second.expect("it was given back");
    assert_eq!(*told.lock().expect("not poisoned"), ["test"], "once");
}

static PROJECT: std::sync::LazyLock<ProjectName> = std::sync::LazyLock::new(project);

/// Every test of the contract, for the subject that `$new` makes.
macro_rules! holds {
    ($new:expr) => {
        $crate::storage::contract::holds!($new;
            nothing_is_there_at_first
            a_document_is_replaced_if_it_is_the_one_that_was_read
            what_was_appended_is_read_back
            a_torn_tail_is_cut_off
            one_at_a_time_holds_the_lock
            two_writers_lose_nothing_of_each_other
            a_reader_sees_both_of_one_moment
            the_log_is_only_appended_to
            a_state_is_kept_through_crashes_and_folds
            many_appends_at_once_are_all_there
            the_lock_is_waited_for_and_its_holder_told
        );
    };
    ($new:expr; $($name:ident)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $crate::storage::contract::$name($new).await;
        })+
    };
}
pub(crate) use holds;
