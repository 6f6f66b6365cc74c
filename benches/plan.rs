//! Parse + validate + plan without a refresh, against merely parsing the same TOML and JSON with
//! the same crates.
//!
//! `cargo bench` runs each side in a process of its own, so that peak memory is that side's alone,
//! several times in turn, and prints medians and ratios. Goal: at most 2x the time, and at most 2
//! KB a keyset more memory.
//!
//! Arguments after `--`: numbers of keysets (default 1000 10000 100000).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark prints and owns its files"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use keyform::config;
use keyform::keyset::views::{Recorded, RecordedApp, RecordedKeyset, SecretRecord};
use keyform::keyset::wire::observed_of;
use keyform::keyset::{AppId, Fingerprint, KeysetId, Label, ProjectName, PublicKeys};
use keyform::plan::{self, Inputs, OpenCreates, Policy};
use keyform::ports::{Entry, Ledger};
use keyform::state::{self, Store};
use keyform::storage::local::{Local, Paths};

const ROUNDS: usize = 5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match args.first().map(String::as_str) {
        Some("side") => side(&args[1], Path::new(&args[2])),
        _ => compare(&args),
    }
}

fn compare(args: &[String]) {
    let mut sizes: Vec<usize> = args.iter().filter_map(|a| a.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 10_000, 100_000];
    }
    println!("keysets   bare parse        keyform plan      time     memory above bare");
    println!("          ms      MB peak   ms      MB peak   ratio    bytes a keyset");
    for size in sizes {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_project(folder.path(), size);
        let (mut bare, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(measure("bare", folder.path()));
            whole.push(measure("keyform", folder.path()));
        }
        let (bare_ms, bare_kb) = median(bare);
        let (ms, kb) = median(whole);
        println!(
            "{size:<9} {bare_ms:<7.1} {:<9.1} {ms:<7.1} {:<9.1} {:<8.2} {:.0}",
            bare_kb / 1024.0,
            kb / 1024.0,
            ms / bare_ms,
            (kb - bare_kb) * 1024.0 / size as f64
        );
    }
    let exe = PathBuf::from(env!("CARGO_BIN_EXE_keyform"));
    let mut starts: Vec<f64> = (0..50)
        .map(|_| {
            let begin = Instant::now();
            let done = Command::new(&exe).arg("--version").output().expect("keyform runs");
            assert!(done.status.success());
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    starts.sort_by(f64::total_cmp);
    println!(
        "\nkeyform --version: median {:.1} ms of {} starts (goal: under 10 ms)",
        starts[starts.len() / 2],
        starts.len()
    );
}

/// One side in a process of its own: milliseconds and peak kilobytes.
fn measure(side: &str, folder: &Path) -> (f64, f64) {
    let this = std::env::current_exe().expect("this program has a path");
    let done = Command::new(this).args(["side", side]).arg(folder).output().expect("the side runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).expect("two numbers");
    let mut numbers = text.split_whitespace().map(|n| n.parse::<f64>().expect("a number"));
    (numbers.next().expect("time"), numbers.next().expect("memory"))
}

fn median(mut runs: Vec<(f64, f64)>) -> (f64, f64) {
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let time = runs[runs.len() / 2].0;
    runs.sort_by(|a, b| a.1.total_cmp(&b.1));
    (time, runs[runs.len() / 2].1)
}

fn side(which: &str, folder: &Path) {
    let begin = Instant::now();
    match which {
        "bare" => {
            let text = std::fs::read_to_string(folder.join("keyform.toml")).expect("the TOML");
            let (tree, errors) = toml::de::DeTable::parse_recoverable(&text);
            assert!(errors.is_empty() && tree.get_ref().len() >= 3);
            let bytes = std::fs::read(folder.join("state/keyform.json")).expect("the state");
            let json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            assert!(json["keysets"].is_object());
            report(begin);
        }
        _ => {
            let loaded = config::load(folder);
            assert!(loaded.problems.is_empty(), "{:?}", loaded.problems.first());
            let project = loaded.project.expect("a project");
            let local = Local::new(Paths::new(folder.join("state/keyform.json")));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let snapshot = runtime
                .expect("a runtime")
                .block_on(state::read(&local, &project.desired.project))
                .expect("a state");
            let (open, policy) = (OpenCreates::default(), Policy::default());
            let inputs = Inputs {
                desired: &project.desired,
                recorded: &snapshot.recorded,
                live: None,
                open: &open,
                policy: &policy,
                now: jiff::Timestamp::UNIX_EPOCH,
                push: &Default::default(),
            };
            let plan = plan::make(&inputs);
            assert!(plan.is_empty() && plan.unchanged >= project.desired.keysets.len());
            report(begin);
        }
    }
}

fn report(begin: Instant) {
    let ms = begin.elapsed().as_secs_f64() * 1e3;
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let peak = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .expect("VmHWM")
        .trim()
        .trim_end_matches(" kB");
    println!("{ms} {peak}");
}

/// A project of one file with `size` keysets, all in the state as declared.
fn write_project(folder: &Path, size: usize) {
    let mut toml =
        "[project]\nname = \"bench\"\n\n[app.tenants]\nname = \"Tenants\"\n\n".to_owned();
    for n in 0..size {
        write!(
            toml,
            "[keyset.tenant-{n:06}]\napp = \"tenants\"\ntype = \"testing\"\n\
             messagePersistence = {{ enabled = true, retention = 7 }}\npresence = {{ enabled = true, announceMax = 20, interval = 10 }}\n\n"
        )
        .expect("writing to a string");
    }
    std::fs::write(folder.join("keyform.toml"), toml).expect("the TOML is written");

    let project = config::load(folder).project.expect("the generated project is valid");
    let app_id = AppId::parse("101").expect("an id");
    let mut recorded = Recorded::default();
    let app = Label::parse("tenants").expect("a label");
    recorded.apps.insert(
        app.clone(),
        RecordedApp { id: app_id.clone(), name: "Tenants".into(), managed: true },
    );
    for (n, (label, keyset)) in project.desired.keysets.iter().enumerate() {
        let applied = observed_of(keyset.settings.iter().map(|s| (s.field, &s.value)));
        recorded.keysets.insert(
            label.clone(),
            RecordedKeyset {
                push: Default::default(),
                mirrors: Default::default(),
                secret_since: None,
                secret_label: None,
                protect: None,
                applied_at: None,
                id: KeysetId::parse(&(1001 + n).to_string()).expect("an id"),
                app: app.clone(),
                app_id: app_id.clone(),
                keys: PublicKeys {
                    publish_key: format!("pub-c-00000000-0000-0000-0000-{n:012}").into(),
                    subscribe_key: format!("sub-c-00000000-0000-0000-0000-{n:012}").into(),
                },
                created_at: jiff::Timestamp::from_second(1_767_225_600).ok(),
                seen: applied.clone(),
                applied,
                secret: SecretRecord::Stored {
                    sink: "keyring".into(),
                    fingerprint: Fingerprint::parse("sha256:00000000000000000000000000000000")
                        .expect("a fingerprint"),
                },
            },
        );
    }
    let name = ProjectName::parse("bench").expect("a name");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let local = Arc::new(Local::new(Paths::new(folder.join("state/keyform.json"))));
    let (store, _) = runtime.block_on(Store::open(local, &name, "bench")).expect("a new state");
    runtime.block_on(async {
        use futures_util::{StreamExt, stream};
        let apps =
            recorded.apps.into_iter().map(|(label, app)| Entry::App { label, app, intent: None });
        let keysets = recorded.keysets.into_iter().map(|(label, keyset)| Entry::Keyset {
            label,
            keyset: Box::new(keyset),
            intent: None,
        });
        let store = &store;
        // Many at once share their syncs.
        stream::iter(apps.chain(keysets))
            .for_each_concurrent(512, |entry| async move {
                store.append(entry).await.expect("the journal takes it")
            })
            .await;
    });
    runtime.block_on(store.fold()).expect("the state is written");
}
