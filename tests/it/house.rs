//! The layering of the house: who may import whom, which rooms are pure, where the API's names may
//! stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Room to the rooms it may import. Anything not listed is forbidden.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("keyset", &[]),
    ("protocol", &[]),
    ("disk", &["protocol"]),
    ("http", &["keyset"]),
    ("audit", &["keyset"]),
    ("ports", &["keyset", "protocol", "audit"]),
    ("config", &["keyset"]),
    ("plan", &["keyset"]),
    ("api", &["keyset", "ports", "audit", "http"]),
    ("storage", &["disk", "protocol"]),
    ("state", &["keyset", "ports", "audit", "storage"]),
    ("secrets", &["keyset", "ports", "disk", "http", "protocol"]),
    ("sandbox", &["keyset"]),
    ("apply", &["keyset", "plan", "ports", "protocol"]),
    ("documents", &["keyset", "config", "plan", "apply", "audit"]),
    ("render", &["keyset", "config", "plan", "apply", "audit", "documents"]),
    (
        "ops",
        &[
            "keyset",
            "ports",
            "config",
            "plan",
            "api",
            "state",
            "storage",
            "secrets",
            "sandbox",
            "apply",
            "audit",
            "render",
            "disk",
            "protocol",
            "documents",
        ],
    ),
    (
        "cli",
        &[
            "keyset",
            "ports",
            "config",
            "plan",
            "api",
            "state",
            "storage",
            "secrets",
            "sandbox",
            "apply",
            "audit",
            "render",
            "disk",
            "protocol",
            "documents",
            "ops",
        ],
    ),
];

/// Rooms without effects, and the one file of them that has any.
const PURE: &[&str] = &["keyset", "plan", "config", "render", "audit", "documents"];
const PURE_EXCEPT: &str = "src/config/files.rs";
const EFFECTS: &[&str] = &[
    "tokio",
    "reqwest",
    "std::fs",
    "std::env",
    "std::net",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "async fn",
];

/// Test support within `src/`, declared under `#[cfg(test)]`: it may use what it tries.
const TEST_SUPPORT: &[&str] = &["src/storage/contract.rs", "src/storage/memory.rs"];

fn sources(folder: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path
                    .strip_prefix(root)
                    .expect("below the root")
                    .to_str()
                    .expect("UTF-8")
                    .to_owned();
                found.insert(name, std::fs::read_to_string(&path).expect("the file is readable"));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// Lines of code: no comments, no test modules (which stand at the end).
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split("#[cfg(test)]")
        .next()
        .unwrap_or("")
        .lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn room(path: &str) -> &str {
    path.trim_start_matches("src/").split('/').next().unwrap_or("").trim_end_matches(".rs")
}

#[test]
fn rooms_import_only_what_they_may() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, text) in sources("src") {
        let room = room(&path);
        if room == "lib" || room == "main" || TEST_SUPPORT.contains(&&*path) {
            continue;
        }
        seen.insert(room.to_owned());
        let may = allowed
            .get(room)
            .unwrap_or_else(|| panic!("{path}: a room without a row in this test"));
        for (line, code) in code(&text) {
            for part in code.split("crate::").skip(1) {
                let target: String =
                    part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if !target.is_empty() && target != room && !may.contains(&target.as_str()) {
                    wrong.push(format!("{path}:{line}: {room} may not import {target}"));
                }
            }
        }
    }
    assert_eq!(seen.len(), MAY_IMPORT.len(), "every row has its room: {seen:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_have_no_effects() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        if !PURE.contains(&room(&path)) || path == PURE_EXCEPT {
            continue;
        }
        for (line, code) in code(&text) {
            wrong.extend(
                EFFECTS
                    .iter()
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("{path}:{line}: {word}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Use cases are for any front end: they print nothing, and know neither arguments nor environment
/// variables.
#[test]
fn use_cases_do_not_talk_to_the_user() {
    let words =
        ["clap", "println", "print!(", "std::io::std", "std::env", "crate::cli", "process::exit"];
    let mut wrong = Vec::new();
    for (path, text) in sources("src/ops") {
        for (line, code) in code(&text) {
            wrong.extend(
                words
                    .iter()
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("{path}:{line}: {word}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A section or field named outside the table is a reader that will miss the next one. The keyset's
/// own fields are structure and may be named.
#[test]
fn only_the_table_names_sections_and_fields() {
    use keyform::keyset::table::SECTIONS;
    use keyform::keyset::{Call, Kind};
    let common = ["name", "type", "enabled"];
    let mut words: BTreeSet<String> = BTreeSet::new();
    for section in SECTIONS.iter().filter(|s| s.call == Call::Config) {
        words.insert(format!("\"{}\"", section.name));
        for field in section.fields.iter().filter(|f| !common.contains(&f.name)) {
            words.insert(format!("\"{}\"", field.name));
            if let Kind::Choice(choices) = field.kind {
                words.extend(choices.iter().map(|c| format!("\"{c}\"")));
            }
        }
    }
    // Words of other formats that mean something else there.
    let foreign = [("src/render/sarif.rs", "\"region\"")];
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        if path == "src/keyset/table.rs" || path == "src/sandbox/world.rs" {
            continue;
        }
        let words =
            || words.iter().filter(|word| !foreign.contains(&(path.as_str(), word.as_str())));
        for (line, code) in code(&text) {
            wrong.extend(
                words()
                    .filter(|word| code.contains(word.as_str()))
                    .map(|word| format!("{path}:{line}: {word}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn secrets_cannot_be_printed_or_copied() {
    let text = &sources("src")["src/keyset/secret.rs"];
    for forbidden in [
        "derive(Debug",
        "derive(Clone",
        "Serialize",
        "impl fmt::Display",
        "impl fmt::Debug",
        "impl Clone",
        "AsRef<str>",
    ] {
        let bad: Vec<_> = code(text).filter(|(_, line)| line.contains(forbidden)).collect();
        // The one error type of the file is not a secret.
        assert!(
            bad.iter()
                .all(|(_, line)| line
                    .contains("Clone, Copy, Debug, PartialEq, Eq, thiserror::Error")),
            "{forbidden}: {bad:?}"
        );
    }
}

#[test]
fn no_unsafe_and_no_loose_ends() {
    for (path, text) in sources("src") {
        for (line, code) in code(&text) {
            for word in ["todo!(", "unimplemented!(", "unsafe ", "dbg!("] {
                assert!(!code.contains(word), "{path}:{line}: {word}");
            }
        }
    }
}

#[test]
fn no_file_is_forgotten() {
    let main =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/main.rs"))
            .expect("main.rs is there");
    for path in sources("tests/it").keys() {
        let name = path.trim_start_matches("tests/it/").trim_end_matches(".rs");
        let name = name.split('/').next().unwrap_or(name);
        assert!(
            name == "main" || main.contains(&format!("mod {name};")),
            "{path} is not in main.rs"
        );
    }
}
