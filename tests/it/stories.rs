//! Readable stories: `tests/golden/CASE/` holds a project, a script, and the whole transcript of
//! the real binary running it against the sandbox, with a real Secret Service. After
//! `UPDATE_GOLDEN=1 cargo test --test it stories` read the diff.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Keyring, keyform, read_tree};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Runs a story and compares its transcript. A line of the script is a command for `sh` in a copy
/// of the project.
fn story(name: &str) {
    let case = golden().join(name);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let project = folder.path().join("project");
    copy(&case.join("project"), &project);
    let keyring = Keyring::start();
    let script = std::fs::read_to_string(case.join("script")).expect("the story has a script");
    let mut transcript = String::new();
    for line in script.lines() {
        if line.trim().is_empty() || line.starts_with('#') {
            writeln!(transcript, "{line}").expect("writing to a string");
            continue;
        }
        let mut command = Command::new("sh");
        command.arg("-c").arg(line).current_dir(&project).stdin(Stdio::null());
        keyform::environment(&mut command, folder.path(), Some(&keyring));
        let done = command.output().expect("sh runs");
        writeln!(transcript, "$ {line}").expect("writing to a string");
        for (mark, bytes) in [("", &done.stdout), ("! ", &done.stderr)] {
            for text in String::from_utf8_lossy(bytes).lines() {
                writeln!(
                    transcript,
                    "{}",
                    format!("{mark}{}", stable(text, folder.path())).trim_end()
                )
                .expect("writing to a string");
            }
        }
        if !done.status.success() {
            writeln!(transcript, "[exit {}]", done.status.code().unwrap_or(-1))
                .expect("writing to a string");
        }
        writeln!(transcript).expect("writing to a string");
    }
    compare(&case.join("transcript"), &transcript);
    no_secret_outside_the_keyring(&project, &script, &transcript);
}

/// What differs from run to run and tells nothing.
fn stable(line: &str, folder: &Path) -> String {
    line.replace(folder.to_str().expect("UTF-8"), "TEMP")
}

/// Only a story that asks for a secret may show one, and no file of the project ever holds one.
fn no_secret_outside_the_keyring(project: &Path, script: &str, transcript: &str) {
    for (path, bytes) in read_tree(project) {
        assert!(!keyform::holds_secret(&bytes), "{} holds a secret key", path.display());
    }
    assert!(
        script.contains("secrets get") || !keyform::holds_secret(transcript.as_bytes()),
        "the transcript holds a secret key"
    );
}

fn compare(path: &Path, got: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, got).expect("the transcript is written");
        return;
    }
    let want = std::fs::read_to_string(path).unwrap_or_default();
    if want != got {
        let diff = similar::TextDiff::from_lines(&want, got);
        panic!("{} differs:\n{}", path.display(), diff.unified_diff().header("expected", "got"));
    }
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in read_tree(from) {
        let target = to.join(path.strip_prefix(from).expect("below the folder"));
        std::fs::create_dir_all(target.parent().expect("has a parent"))
            .expect("the folder is made");
        std::fs::write(target, bytes).expect("the file is written");
    }
}

macro_rules! stories {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { story(&stringify!($name).replace('_', "-")); })*

        #[test]
        fn every_folder_is_a_story() {
            let mut told: Vec<String> = vec![$(stringify!($name).replace('_', "-")),*];
            let mut there: Vec<String> = std::fs::read_dir(golden())
                .expect("the folder is readable")
                .map(|e| e.expect("the entry is readable").file_name().into_string().expect("UTF-8"))
                .collect();
            told.sort();
            there.sort();
            assert_eq!(told, there);
        }
    };
}

stories!(
    first_apply,
    change_a_field,
    immutable_region,
    irreversible_set,
    orphans_and_renames,
    configuration_mistakes,
    refused_without_consent,
    limits,
    log,
    targets,
    documents,
    json_output,
    saved_plan,
    no_api_key,
    pipelines,
    state_trouble,
);
