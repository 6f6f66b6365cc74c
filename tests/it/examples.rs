//! Every example is validated, planned, applied and found to be as declared afterwards.

use std::path::Path;

use crate::support::{Keyring, keyform, read_tree};

fn example(name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, bytes) in read_tree(&from) {
        let target = folder.path().join(path.strip_prefix(&from).expect("below the example"));
        std::fs::create_dir_all(target.parent().expect("has a parent"))
            .expect("the folder is made");
        std::fs::write(target, bytes).expect("the file is written");
    }
    let keyring = Keyring::start();
    let run = |args: &[&str]| {
        let done =
            keyform::command(args, folder.path(), Some(&keyring)).output().expect("keyform runs");
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        assert_eq!(done.status.code(), Some(0), "{name}: {args:?}: {text}");
        text
    };
    let valid = run(&["validate"]);
    assert!(!valid.contains("warning"), "{name}: {valid}");
    run(&["plan", "--refresh=none"]);
    run(&["apply", "--sandbox", "--yes"]);
    // Quiet: what was just applied is what is declared.
    run(&["plan", "--sandbox", "--detailed-exitcode"]);
    run(&["plan", "--sandbox", "--refresh=none", "--detailed-exitcode"]);
    assert!(!run(&["secrets", "list", "--sandbox"]).contains("MISSING"));
}

/// Runs `examples/NAME/demo`; its README has what it says, but for the times.
fn demo(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut command = std::process::Command::new(folder.join("demo"));
    keyform::environment(&mut command, home.path(), None);
    let done = command.output().expect("the demonstration runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success() && done.stderr.is_empty(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(!keyform::holds_secret(said.as_bytes()), "{said}");
    let path = folder.join("README.md");
    let readme = std::fs::read_to_string(&path).expect("it has a README");
    let (open, close) = ("<!-- demo -->\n", "<!-- /demo -->");
    let start = readme.find(open).expect("a place for it") + open.len();
    let end = readme.find(close).expect("its end");
    let told = format!("```text\n{}\n```\n", without_times(said.trim()));
    let now = format!("{}{told}{}", &readme[..start], &readme[end..]);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &now).expect("the README is written");
    }
    let diff =
        similar::TextDiff::from_lines(std::fs::read_to_string(&path).expect("a README"), now)
            .unified_diff()
            .to_string();
    assert!(diff.is_empty(), "examples/{name}/README.md is behind:\n{diff}");
}

/// `2026-01-01T00:00:00Z` for every time.
fn without_times(text: &str) -> String {
    let is_time = |word: &str| {
        word.len() == 20
            && word.ends_with('Z')
            && word.as_bytes()[10] == b'T'
            && word.starts_with("20")
    };
    let words: Vec<String> = text
        .split_inclusive([' ', '\n'])
        .map(|word| {
            let bare = word.trim_end_matches(['.', ' ', '\n']);
            if is_time(bare) { word.replace(bare, "2026-01-01T00:00:00Z") } else { word.to_owned() }
        })
        .collect();
    words.concat()
}

#[test]
fn drift_at_night() {
    demo("drift");
}

#[test]
fn taking_over_an_account() {
    demo("takeover");
}

#[test]
fn rotation_without_downtime() {
    demo("rotation");
}

macro_rules! examples {
    ($($name:ident),*) => {
        $(#[test] fn $name() { example(stringify!($name)); })*

        #[test]
        fn every_example_is_tried() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
            let mut there: Vec<_> = std::fs::read_dir(folder)
                .expect("the folder is readable")
                .map(|e| e.expect("the entry is readable").path())
                .filter(|path| path.join("keyform.toml").exists())
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect();
            there.sort();
            assert_eq!(there, [$(stringify!($name)),*]);
        }
    };
}

examples!(environments, quickstart, starter, tenants);
