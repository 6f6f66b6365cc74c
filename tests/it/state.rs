//! State, journal and lock through `Store` and `read`: nothing that was acknowledged is lost,
//! nothing that is wrong is overwritten.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use keyform::keyset::views::{Recorded, RecordedApp, RecordedKeyset, SecretRecord};
use keyform::keyset::wire::observed_of;
use keyform::keyset::{
    AppId, FieldId, Fingerprint, KeysetId, Label, ProjectName, PublicKeys, Value,
};
use keyform::ports::{Creation, Entry, Intent, Ledger, Open};
use keyform::state::{Snapshot, StateError, Store, read};
use keyform::storage::local::{Local, Paths};
use proptest::prelude::*;

use crate::support::read_tree;

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("one")
});

fn wait<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.block_on(work)
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a temporary folder"))
    }
    fn paths(&self) -> Paths {
        Paths::new(self.0.path().join("state/keyform.json"))
    }
    fn open(&self) -> (Store, Snapshot) {
        self.try_open().unwrap_or_else(|error| panic!("{error}"))
    }
    fn try_open(&self) -> Result<(Store, Snapshot), StateError> {
        wait(Store::open(Arc::new(Local::new(self.paths())), &project(), "test"))
    }
    fn read(&self) -> Snapshot {
        wait(read(&Local::new(self.paths()), &project())).unwrap_or_else(|error| panic!("{error}"))
    }
    fn state(&self) -> String {
        std::fs::read_to_string(self.paths().state).expect("there is a state")
    }
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        read_tree(self.0.path())
            .into_iter()
            .filter(|(path, _)| path.extension().is_none_or(|e| e != "lock"))
            .collect()
    }
    /// A state of two keysets, folded.
    fn with_two() -> Place {
        let place = Place::new();
        let (store, _) = place.open();
        append(&store, vec![app(), keyset("a", 1), keyset("b", 2)]);
        wait(store.fold()).expect("folded");
        place
    }
}

fn project() -> ProjectName {
    ProjectName::parse("test").expect("a name")
}

fn label(text: &str) -> Label {
    Label::parse(text).expect("a label")
}

fn app() -> Entry {
    let app =
        RecordedApp { id: AppId::parse("101").expect("an id"), name: "App".into(), managed: true };
    Entry::App { label: label("app"), app, intent: None }
}

fn recorded(id: u64, secret: SecretRecord) -> RecordedKeyset {
    let name = FieldId::find("keyset", "name").expect("a field");
    let region = FieldId::find("files", "region").expect("a field");
    let retention = FieldId::find("files", "retention").expect("a field");
    RecordedKeyset {
        push: Default::default(),
        mirrors: Default::default(),
        secret_since: None,
        secret_label: None,
        protect: None,
        applied_at: None,
        id: KeysetId::parse(&id.to_string()).expect("an id"),
        app: label("app"),
        app_id: AppId::parse("101").expect("an id"),
        keys: PublicKeys {
            publish_key: format!("pub-c-{id}").into(),
            subscribe_key: format!("sub-c-{id}").into(),
        },
        created_at: jiff::Timestamp::from_second(1_800_000_000 + id as i64).ok(),
        applied: observed_of([
            (name, &Value::Text("näme \"x\"".into())),
            (retention, &Value::Int(id as i64)),
        ]),
        seen: observed_of([(region, &Value::Null)]),
        secret,
    }
}

fn stored() -> SecretRecord {
    let fingerprint =
        Fingerprint::parse("sha256:0123456789abcdef0123456789abcdef").expect("a fingerprint");
    SecretRecord::Stored { sink: "keyring".into(), fingerprint }
}

fn keyset(name: &str, id: u64) -> Entry {
    Entry::Keyset { label: label(name), keyset: Box::new(recorded(id, stored())), intent: None }
}

fn intent(n: u128) -> Intent {
    let what =
        Creation::App { label: label("later"), name: "Later".into(), known: Default::default() };
    Intent {
        id: uuid::Uuid::from_u128(n),
        at: jiff::Timestamp::from_second(1_800_000_000).expect("a time"),
        what,
    }
}

fn open(n: u128) -> Open {
    Open { intent: intent(n), sealed: None }
}

fn append(store: &Store, entries: Vec<Entry>) {
    for entry in entries {
        wait(store.append(entry)).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn what_is_appended_is_there_before_and_after_it_is_folded() {
    let place = Place::new();
    let (store, snapshot) = place.open();
    assert_eq!((snapshot.serial, snapshot.recorded), (0, Recorded::default()));
    append(&store, vec![app(), keyset("a", 1)]);
    let before = place.read();
    assert!(!place.paths().state.exists());
    wait(store.fold()).expect("folded");
    let after = place.read();
    assert_eq!(before.recorded, after.recorded);
    assert_eq!((after.serial, after.lineage), (1, before.lineage));
    assert!(!place.paths().journal.exists());
    // The next run goes on with the same lineage and keeps the state before it.
    let first = place.state();
    drop(store);
    let (store, _) = place.open();
    append(&store, vec![keyset("b", 2)]);
    wait(store.fold()).expect("folded");
    assert_eq!((place.read().serial, place.read().lineage), (2, before.lineage));
    assert_eq!(std::fs::read_to_string(place.paths().backup).expect("a backup"), first);
}

#[test]
fn a_run_that_did_not_fold_is_folded_by_the_next() {
    let place = Place::new();
    let (store, _) = place.open();
    append(
        &store,
        vec![
            app(),
            Entry::Intend(intent(1)),
            keyset("a", 1),
            Entry::Intend(intent(2)),
            Entry::Void { intent: uuid::Uuid::from_u128(2) },
        ],
    );
    drop(store);
    let (store, snapshot) = place.open();
    assert_eq!(snapshot.recorded.keysets.len(), 1);
    assert_eq!(snapshot.open, [open(1)]);
    assert_eq!(snapshot.serial, 1);
    // An open intent stays in the journal through every fold until it ends.
    wait(store.fold()).expect("folded");
    drop(store);
    let (store, snapshot) = place.open();
    assert_eq!((snapshot.open, snapshot.serial), (vec![open(1)], 1));
    append(&store, vec![Entry::Void { intent: uuid::Uuid::from_u128(1) }]);
    wait(store.fold()).expect("folded");
    assert!(place.read().open.is_empty() && !place.paths().journal.exists());
}

/// A checkout in the middle of a run: the lock does not keep version control out.
#[test]
fn a_state_that_was_replaced_meanwhile_is_not_overwritten() {
    let place = Place::with_two();
    let (store, _) = place.open();
    append(&store, vec![keyset("c", 3)]);
    let theirs = place.state() + "\n";
    std::fs::write(place.paths().state, &theirs).expect("checked out");
    let error = wait(store.fold()).expect_err("it is another").to_string();
    assert!(error.contains("was changed by somebody else"), "{error}");
    assert_eq!(place.state(), theirs);
    drop(store);
    // Nothing is lost: the next run brings the two together.
    let (_, snapshot) = place.open();
    assert_eq!((snapshot.recorded.keysets.len(), snapshot.serial), (3, 2));
}

#[test]
fn nothing_new_writes_nothing() {
    let place = Place::with_two();
    let before = place.files();
    let (store, _) = place.open();
    wait(store.fold()).expect("nothing to fold");
    drop(store);
    assert_eq!(place.files(), before);
}

#[test]
fn a_journal_torn_anywhere_replays_what_was_acknowledged() {
    let place = Place::with_two();
    let (store, _) = place.open();
    append(&store, vec![keyset("c", 3), Entry::Intend(intent(9)), keyset("d", 4)]);
    drop(store);
    let journal = std::fs::read(place.paths().journal).expect("a journal");
    let ends: Vec<usize> =
        journal.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(n, _)| n + 1).collect();
    assert_eq!(ends.len(), 4);
    let state = std::fs::read(place.paths().state).expect("a state");
    for length in 0..=journal.len() {
        let torn = Place::new();
        std::fs::create_dir_all(torn.paths().state.parent().expect("a parent")).expect("made");
        std::fs::write(torn.paths().state, &state).expect("written");
        std::fs::write(torn.paths().journal, &journal[..length]).expect("written");
        let whole = ends.iter().filter(|end| **end <= length).count();
        let (store, snapshot) = torn.open();
        assert_eq!(
            snapshot.recorded.keysets.len(),
            2 + usize::from(whole >= 2) + usize::from(whole >= 4),
            "length {length}"
        );
        assert_eq!(snapshot.open.len(), usize::from(whole >= 3), "length {length}");
        // What follows is found too: the tear does not swallow it.
        append(&store, vec![keyset("e", 5)]);
        drop(store);
        assert!(torn.read().recorded.keysets.contains_key(&label("e")), "length {length}");
    }
}

#[test]
fn damage_before_the_end_of_the_journal_is_an_error_with_its_line() {
    let place = Place::with_two();
    let (store, _) = place.open();
    append(&store, vec![keyset("c", 3), keyset("d", 4)]);
    drop(store);
    let mut journal = std::fs::read(place.paths().journal).expect("a journal");
    let second = journal.iter().position(|b| *b == b'\n').expect("a line") + 40;
    journal[second] ^= 1;
    std::fs::write(place.paths().journal, &journal).expect("written");
    let before = place.files();
    let error = place.try_open().map(|_| ()).expect_err("damaged").to_string();
    assert!(error.contains("keyform.journal line 2 is damaged"), "{error}");
    assert_eq!(place.files(), before);
}

#[test]
fn a_fold_that_ended_between_its_two_files_is_harmless() {
    let place = Place::with_two();
    let (store, _) = place.open();
    append(&store, vec![Entry::Intend(intent(5)), keyset("c", 3)]);
    let journal = std::fs::read(place.paths().journal).expect("a journal");
    wait(store.fold()).expect("folded");
    drop(store);
    std::fs::write(place.paths().journal, journal).expect("as before the second rename");
    let (_, snapshot) = place.open();
    assert_eq!(snapshot.recorded.keysets.len(), 3);
    assert_eq!(snapshot.open, [open(5)]);
}

#[test]
fn a_journal_of_another_state_is_an_error() {
    let place = Place::with_two();
    let (store, _) = place.open();
    append(&store, vec![keyset("c", 3)]);
    drop(store);
    // Somebody brought another state, or an older one.
    let good = place.state();
    let lineage = place.read().lineage.to_string();
    let other = good.replace(&lineage, &uuid::Uuid::from_u128(7).to_string());
    for (state, serial) in [(other, 1), (good.replace("\"serial\": 1", "\"serial\": 0"), 0)] {
        std::fs::write(place.paths().state, state).expect("written");
        let before = place.files();
        let error = place.try_open().map(|_| ()).expect_err("detached").to_string();
        assert!(
            error.contains(&format!("the state has serial {serial}, the journal continues 1")),
            "{error}"
        );
        assert_eq!(place.files(), before);
    }
    std::fs::remove_file(place.paths().state).expect("removed");
    let error = place.try_open().map(|_| ()).expect_err("detached").to_string();
    assert!(error.contains("the state has serial 0"), "{error}");
}

/// Somebody else's state is pulled while a run of ours has not ended: what each of the two knows is
/// kept, and where they contradict each other the account is to be asked.
#[test]
fn a_state_that_went_on_elsewhere_is_merged() {
    let secret = |digit: &str| SecretRecord::Stored {
        sink: "keyring".into(),
        fingerprint: Fingerprint::parse(&format!("sha256:{}", digit.repeat(32)))
            .expect("a fingerprint"),
    };
    let missing = || SecretRecord::Missing { why: "lost".into(), current: None, held: None };
    let rotation = |n: u128, id: u64| {
        let id = KeysetId::parse(&id.to_string()).expect("an id");
        Intent {
            what: Creation::SecretKey {
                label: label("b"),
                id,
                expires_at: None,
                from: None,
                over: None,
            },
            ..intent(n)
        }
    };
    let entry = |name: &str, id: u64, secret: SecretRecord, n: u128| Entry::Keyset {
        label: label(name),
        keyset: Box::new(recorded(id, secret)),
        intent: Some(uuid::Uuid::from_u128(n)),
    };
    for ahead in [1, 2, 5] {
        let place = Place::with_two();
        let theirs = |secret: SecretRecord| {
            // Theirs went on from the same state.
            let other = Place::with_two();
            std::fs::copy(place.paths().state, other.paths().state).expect("cloned");
            for n in 0..ahead {
                let (store, _) = other.open();
                append(
                    &store,
                    vec![
                        Entry::Keyset {
                            label: label("b"),
                            keyset: Box::new(recorded(2, secret.clone())),
                            intent: None,
                        },
                        keyset(&format!("t{n}"), 50 + n),
                    ],
                );
                wait(store.fold()).expect("folded");
            }
            other.state()
        };
        let (store, _) = place.open();
        append(
            &store,
            vec![
                Entry::Intend(intent(1)),
                Entry::Intend(rotation(2, 2)),
                entry("b", 2, missing(), 2),
                keyset("mine", 9),
            ],
        );
        drop(store);
        let pulled = theirs(secret("2"));
        std::fs::write(place.paths().state, pulled).expect("pulled");
        for _ in 0..2 {
            let (_, snapshot) = place.open();
            let names: Vec<&str> = snapshot
                .recorded
                .keysets
                .keys()
                .map(|label| label.as_str())
                .filter(|name| !name.starts_with('t'))
                .collect();
            assert_eq!(names, ["a", "b", "mine"], "{ahead}");
            assert_eq!(snapshot.recorded.keysets.len() as u64, 3 + ahead);
            assert_eq!(
                snapshot.recorded.keysets[&label("b")].secret,
                secret("2"),
                "what they have is not overwritten"
            );
            let open: Vec<u128> =
                snapshot.open.iter().map(|open| open.intent.id.as_u128()).collect();
            assert_eq!(open, [1, 2], "what was open stays open, and so is what contradicts");
            let Creation::SecretKey { expires_at, .. } = &snapshot.open[1].intent.what else {
                panic!("a rotation")
            };
            assert!(expires_at.is_some(), "nobody's key is ended at once");
        }
    }
}

#[test]
fn whoever_was_quicker_has_the_first_state() {
    let (slow, quick) = (Place::new(), Place::with_two());
    let (store, _) = slow.open();
    append(&store, vec![Entry::Intend(intent(1)), keyset("mine", 9)]);
    drop(store);
    std::fs::copy(quick.paths().state, slow.paths().state).expect("pulled");
    for _ in 0..2 {
        let (_, snapshot) = slow.open();
        assert_eq!(snapshot.lineage, quick.read().lineage);
        assert_eq!(
            snapshot.recorded.keysets.keys().map(|label| label.as_str()).collect::<Vec<_>>(),
            ["a", "b", "mine"]
        );
        assert_eq!(snapshot.open, [open(1)]);
    }
}

#[test]
fn two_keysets_of_one_label_are_for_a_person() {
    let place = Place::with_two();
    let made = |replaces: Option<&str>| Creation::Keyset {
        label: label("c"),
        app: label("app"),
        app_id: AppId::parse("101").expect("an id"),
        name: "c".into(),
        r#type: "testing".into(),
        body_digest: "".into(),
        known: Default::default(),
        replaces: replaces.map(|id| KeysetId::parse(id).expect("an id")),
        protect: None,
    };
    for (replaces, kept, open) in [(None, "30", 1), (Some("30"), "3", 0)] {
        let (store, _) = place.open();
        let begun = Intent { what: made(replaces), ..intent(3) };
        let mine = Entry::Keyset {
            label: label("c"),
            keyset: Box::new(recorded(3, stored())),
            intent: Some(begun.id),
        };
        append(&store, vec![Entry::Intend(begun), mine]);
        drop(store);
        let journal = std::fs::read(place.paths().journal).expect("a journal");
        let other = Place::with_two();
        std::fs::copy(place.paths().state, other.paths().state).expect("cloned");
        let (store, _) = other.open();
        append(&store, vec![keyset("c", 30)]);
        wait(store.fold()).expect("folded");
        let folder = Place::with_two();
        std::fs::write(folder.paths().state, other.state()).expect("pulled");
        std::fs::write(folder.paths().journal, journal).expect("left behind");
        let (_, snapshot) = folder.open();
        assert_eq!(snapshot.recorded.keysets[&label("c")].id.as_str(), kept);
        assert_eq!(snapshot.open.len(), open);
        std::fs::remove_file(place.paths().journal).expect("for the next round");
    }
}

#[test]
fn what_is_wrong_is_told_and_never_overwritten() {
    let good = Place::with_two().state();
    let twice = good.replace("\"b\": {", "\"a\": {");
    for (bad, says) in [
        (
            good.replace("\"version\": 1", "\"version\": 2"),
            "has version 2, and this keyform knows version 1",
        ),
        ("{\"version\": 3, \"shape\": \"another\"}".to_owned(), "has version 3"),
        (
            good.replace("\"project\": \"test\"", "\"project\": \"other\""),
            "belongs to project `other`",
        ),
        (good.replace("\"retention\": 1", "\"retention\": 30"), "does not match its checksum"),
        (good[..good.len() / 2].to_owned(), "ends too early"),
        ("not json".to_owned(), "not JSON"),
        (String::new(), "ends too early"),
        (twice.replacen(&checksum(&twice), "merged", 1), "twice there"),
        (
            good.replace("\"id\": \"2\"", "\"id\": \"../2\"").replacen(
                &checksum(&good),
                "merged",
                1,
            ),
            "wrong",
        ),
    ] {
        let place = Place::with_two();
        std::fs::write(place.paths().state, &bad).expect("written");
        let before = place.files();
        let error = place.try_open().map(|_| ()).expect_err(says).to_string();
        assert!(error.contains(says) && error.contains("keyform.json"), "{error}");
        let error = wait(read(&Local::new(place.paths()), &project()))
            .map(|_| ())
            .expect_err(says)
            .to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(place.files(), before, "{says}");
    }
    let place = Place::with_two();
    std::fs::remove_file(place.paths().state).expect("removed");
    std::fs::create_dir(place.paths().state).expect("made");
    assert!(
        place
            .try_open()
            .map(|_| ())
            .expect_err("a folder")
            .to_string()
            .contains("it is not a file")
    );
}

fn checksum(state: &str) -> String {
    let start = state.find("sha256:").expect("a checksum");
    state[start..start + 71].to_owned()
}

#[test]
fn formatting_and_a_checked_merge_are_accepted() {
    let place = Place::with_two();
    let json: serde_json::Value = serde_json::from_str(&place.state()).expect("JSON");
    std::fs::write(place.paths().state, place.state().replace("\n  ", "\n\t ")).expect("written");
    assert_eq!(place.read().recorded.keysets.len(), 2);
    let mut merged = json;
    merged["checksum"] = "merged".into();
    merged["keysets"]["c"] = merged["keysets"]["a"].clone();
    std::fs::write(place.paths().state, merged.to_string()).expect("written");
    let (_, snapshot) = place.open();
    assert_eq!(snapshot.recorded.keysets.len(), 3);
    assert!(place.state().contains("\"checksum\": \"sha256:"));
}

#[test]
fn one_writer_at_a_time_and_readers_do_not_wait() {
    let place = Place::with_two();
    let (store, _) = place.open();
    let error = place.try_open().map(|_| ()).expect_err("locked");
    let StateError::Locked { holder } = &error else { panic!("{error}") };
    assert_eq!((holder.pid, &*holder.command), (std::process::id(), "test"));
    assert_eq!(place.read().recorded.keysets.len(), 2);
    drop(store);
    place.open();
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with_two();
    let (store, _) = place.open();
    append(&store, vec![keyset("c", 3)]);
    wait(store.fold()).expect("folded");
    append(&store, vec![keyset("d", 4)]);
    let Paths { state, backup, journal, lock, log } = place.paths();
    for file in [state, backup, journal, lock, log] {
        let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn many_appends_at_once_are_all_durable() {
    let place = Place::new();
    let (store, _) = place.open();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let appends = (0..500).map(|n| store.append(keyset(&format!("k{n}"), n)));
        for done in futures_util::future::join_all(appends).await {
            done.expect("durable");
        }
    });
    assert_eq!(place.read().recorded.keysets.len(), 500);
}

#[test]
fn a_journal_that_cannot_be_written_fails_and_what_exists_is_still_saved() {
    let place = Place::with_two();
    let (store, _) = place.open();
    std::fs::create_dir(place.paths().journal).expect("in the way");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let error = runtime
        .block_on(store.append(Entry::Intend(intent(1))))
        .expect_err("not written")
        .to_string();
    assert!(error.contains("keyform.journal"), "{error}");
    std::fs::remove_dir(place.paths().journal).expect("out of the way");
    runtime
        .block_on(store.append(keyset("c", 3)))
        .expect_err("stays failed: what stood behind the damage would be lost");
    wait(store.fold()).expect("the state can be written");
    assert_eq!(place.read().recorded.keysets.len(), 3);
    assert!(place.read().open.is_empty(), "an intent that was not written was not begun");
}

#[test]
fn a_folder_that_cannot_be_written_is_found_out_at_the_start() {
    let place = Place::new();
    std::fs::write(place.0.path().join("state"), "a file where the folder should be")
        .expect("written");
    let error = place.try_open().map(|_| ()).expect_err("no folder").to_string();
    assert!(error.contains("cannot make the folder"), "{error}");
}

#[test]
fn an_empty_journal_of_another_state_does_not_swallow_what_follows() {
    let place = Place::with_two();
    let other = Place::with_two();
    let (store, _) = other.open();
    append(&store, vec![keyset("c", 3)]);
    let journal = std::fs::read_to_string(other.paths().journal).expect("a journal");
    std::fs::write(
        place.paths().journal,
        journal.lines().next().expect("its first line").to_owned() + "\n",
    )
    .expect("written");
    let (store, _) = place.open();
    append(&store, vec![keyset("d", 4)]);
    drop(store);
    assert_eq!(place.read().recorded.keysets.len(), 3);
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link_and_no_pipe_is_waited_for() {
    let place = Place::with_two();
    let victim = place.0.path().join("victim");
    for file in [place.paths().lock, place.paths().journal] {
        std::fs::write(&victim, "").expect("written");
        let _ = std::fs::remove_file(&file);
        std::os::unix::fs::symlink(&victim, &file).expect("linked");
        if let Ok((store, _)) = place.try_open() {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(store.append(Entry::Intend(intent(1)))).expect_err("refused");
        }
        assert_eq!(std::fs::read(&victim).expect("read"), b"", "{}", file.display());
        std::fs::remove_file(&file).expect("removed");
    }
    let state = place.paths().state;
    std::fs::remove_file(&state).expect("removed");
    assert!(
        std::process::Command::new("mkfifo").arg(&state).status().expect("mkfifo runs").success()
    );
    assert!(
        place.try_open().map(|_| ()).expect_err("a pipe").to_string().contains("it is not a file")
    );
}

#[test]
fn what_the_server_nests_deeply_can_be_read_again() {
    for depth in [10, 100, 120, 124, 126] {
        let answer = format!("{{\"new\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
        let seen = serde_json::from_str(&answer).expect("an answer that JSON allows");
        let place = Place::with_two();
        let (store, _) = place.open();
        let keyset = RecordedKeyset { seen, ..recorded(3, stored()) };
        append(
            &store,
            vec![Entry::Keyset { label: label("c"), keyset: Box::new(keyset), intent: None }],
        );
        assert_eq!(place.read().recorded.keysets.len(), 3, "depth {depth}");
        wait(store.fold()).expect("folded");
        assert_eq!(place.read().recorded.keysets.len(), 3, "depth {depth}");
    }
}

/// Every format ever written stays readable.
#[test]
fn old_files_are_still_read() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state/v1");
    let place = Place::new();
    std::fs::create_dir_all(place.paths().state.parent().expect("a parent")).expect("made");
    for (name, to) in
        [("keyform.json", place.paths().state), ("keyform.journal", place.paths().journal)]
    {
        if std::env::var_os("UPDATE_GOLDEN").is_some() && !from.join(name).exists() {
            let made = Place::with_two();
            let (store, _) = made.open();
            append(&store, vec![Entry::Intend(intent(1)), keyset("c", 3)]);
            std::fs::create_dir_all(&from).expect("made");
            std::fs::copy(made.paths().state, from.join("keyform.json")).expect("copied");
            std::fs::copy(made.paths().journal, from.join("keyform.journal")).expect("copied");
        }
        std::fs::copy(from.join(name), to).expect("the fixture is there");
    }
    let (_, snapshot) = place.open();
    assert_eq!(snapshot.open, [open(1)]);
    let Entry::Keyset { keyset: c, .. } = keyset("c", 3) else { unreachable!("it is one") };
    assert_eq!(snapshot.recorded.keysets[&label("c")], *c);
    assert_eq!(snapshot.recorded.keysets.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_state_survives_its_file(ids in proptest::collection::btree_map("[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}", (1u64..9_000_000, any::<bool>(), "\\PC{0,40}"), 0..8)) {
        let place = Place::new();
        let (store, _) = place.open();
        let mut entries = vec![app()];
        for (name, (id, has, why)) in &ids {
            let secret = if *has { stored() } else { SecretRecord::Missing { why: why.as_str().into(), current: None, held: None } };
            entries.push(Entry::Keyset { label: label(name), keyset: Box::new(recorded(*id, secret)), intent: None });
        }
        append(&store, entries);
        let before = place.read().recorded;
        wait(store.fold()).expect("folded");
        prop_assert_eq!(place.read().recorded, before);
    }
}

/// A journal line with a right checksum.
fn raw_line(json: &str) -> String {
    use sha2::{Digest, Sha256};
    let sum: String =
        Sha256::digest(json.as_bytes())[..8].iter().map(|b| format!("{b:02x}")).collect();
    format!("{sum} {json}\n")
}

#[test]
fn a_last_line_that_is_whole_and_not_understood_is_no_tear() {
    let place = Place::with_two();
    let (store, _) = place.open();
    append(&store, vec![keyset("c", 3)]);
    drop(store);
    let mut journal = std::fs::read_to_string(place.paths().journal).expect("a journal");
    journal.push_str(&raw_line(r#"{"record":"rotated","label":"a"}"#));
    std::fs::write(place.paths().journal, &journal).expect("written");
    let before = place.files();
    let error = place.try_open().map(|_| ()).expect_err("a whole line that is not understood");
    assert!(error.to_string().contains("keyform.journal line 3 is whole"), "{error}");
    assert_eq!(place.files(), before);
}

#[test]
fn a_journal_of_a_newer_version_says_so() {
    let place = Place::with_two();
    let (store, _) = place.open();
    append(&store, vec![keyset("c", 3)]);
    drop(store);
    let journal = std::fs::read_to_string(place.paths().journal).expect("a journal");
    let head = journal.lines().next().expect("a line");
    let newer = raw_line(&head[17..].replace("\"version\":1", "\"version\":2"));
    std::fs::write(place.paths().journal, journal.replacen(&format!("{head}\n"), &newer, 1))
        .expect("written");
    let error = place.try_open().map(|_| ()).expect_err("newer").to_string();
    assert!(error.contains("version 2"), "{error}");
}

#[test]
fn a_power_cut_between_the_two_files_may_come_twice() {
    let place = Place::with_two();
    let (store, _) = place.open();
    append(&store, vec![Entry::Intend(intent(5)), keyset("c", 3)]);
    let journal = std::fs::read(place.paths().journal).expect("a journal");
    wait(store.fold()).expect("folded");
    drop(store);
    for _ in 0..2 {
        std::fs::write(place.paths().journal, &journal).expect("as before the second rename");
        let (_, snapshot) = place.try_open().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(snapshot.open, [open(5)]);
    }
}

#[test]
fn an_append_that_nobody_waits_for_survives_a_fold() {
    let place = Place::with_two();
    let (store, _) = place.open();
    wait(async {
        let mut given_up = Box::pin(store.append(Entry::Intend(intent(7))));
        assert!(futures_util::poll!(&mut given_up).is_pending());
        drop(given_up);
        store.append(keyset("c", 3)).await.expect("written");
    });
    assert!(place.read().open == [open(7)], "it is in the journal");
    wait(store.fold()).expect("folded");
    assert!(place.read().open == [open(7)], "it is lost by the fold");
}

#[test]
fn what_is_appended_during_folds_stays() {
    let place = Place::new();
    let (store, _) = place.open();
    let store = &store;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..60 {
                wait(store.fold()).expect("folded");
            }
        });
        for n in 1..=300 {
            append(store, vec![keyset(&format!("k{n}"), n)]);
        }
    });
    assert_eq!(place.read().recorded.keysets.len(), 300, "acknowledged and not on disk");
}

#[cfg(unix)]
#[test]
fn a_child_that_is_being_started_does_not_keep_the_lock() {
    let place = Place::with_two();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    let _ = std::process::Command::new("true").status();
                }
            });
        }
        let mut locked = 0;
        for _ in 0..300 {
            match place.try_open() {
                Ok((store, _)) => drop(store),
                Err(StateError::Locked { .. }) => locked += 1,
                Err(other) => panic!("{other}"),
            }
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(locked, 0, "locked by nobody");
    });
}

#[test]
fn a_refused_create_writes_no_state() {
    let place = Place::with_two();
    let before = place.state();
    let (store, _) = place.open();
    append(
        &store,
        vec![Entry::Intend(intent(1)), Entry::Void { intent: uuid::Uuid::from_u128(1) }],
    );
    wait(store.fold()).expect("folded");
    assert!(!place.paths().journal.exists());
    assert!(place.state() == before, "serial went up though nothing changed");
}

#[cfg(unix)]
#[test]
fn the_backup_of_a_checked_out_state_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with_two();
    std::fs::set_permissions(place.paths().state, std::fs::Permissions::from_mode(0o644))
        .expect("set");
    let (store, _) = place.open();
    append(&store, vec![keyset("c", 3)]);
    wait(store.fold()).expect("folded");
    assert_eq!(
        std::fs::metadata(place.paths().backup).expect("there").permissions().mode() & 0o777,
        0o600
    );
}
