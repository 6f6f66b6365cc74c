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
            "http",
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
            "http",
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

/// The table in the documentation of `lib.rs` says the same as the one above.
#[test]
fn the_map_in_lib_is_the_table() {
    let all: BTreeSet<&str> = MAY_IMPORT.iter().map(|(room, _)| *room).collect();
    let quoted = |text: &str| -> Vec<String> {
        text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in sources("src")["src/lib.rs"].lines().filter(|line| line.starts_with("//! | [`")) {
        let cells: Vec<&str> = line.trim_start_matches("//! |").split('|').collect();
        let imports = match cells[2].trim() {
            "all" => all.iter().map(|room| (*room).to_owned()).collect(),
            "all but `cli`" => {
                all.iter().filter(|room| **room != "cli").map(|room| (*room).to_owned()).collect()
            }
            cell => quoted(cell).into_iter().collect(),
        };
        for room in quoted(cells[0]) {
            let mut imports: BTreeSet<String> = BTreeSet::clone(&imports);
            imports.remove(&room);
            told.insert(room, imports);
        }
    }
    let held: BTreeMap<String, BTreeSet<String>> = MAY_IMPORT
        .iter()
        .map(|(room, may)| ((*room).to_owned(), may.iter().map(|m| (*m).to_owned()).collect()))
        .collect();
    assert_eq!(told, held);
}

/// Rooms whose files still import each other in circles. To be emptied; none is to be added.
const CIRCULAR: &[&str] = &["config", "sandbox", "cli"];

/// Two files that need each other are one file, or one of them holds a type that belongs elsewhere.
#[test]
fn no_circles_inside_a_room() {
    let modules = Modules::read();
    let mut circles = Vec::new();
    for (module, reached) in modules.reachable() {
        let room = module.split("::").next().unwrap_or("");
        if reached.contains(&module) && !CIRCULAR.contains(&room) {
            let back = modules
                .imports(&module)
                .into_iter()
                .filter(|other| modules.reachable()[other].contains(&module));
            circles.push(format!("{module} <-> {}", back.collect::<Vec<_>>().join(", ")));
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn imports_are_read_with_their_braces() {
    let paths = paths_of("super::{a::{B, C as D}, e::{self, F}, g}");
    assert_eq!(paths, ["super::a::B", "super::a::C", "super::e", "super::e::F", "super::g"]);
}

/// Every file of `src/` as a module, by its path.
struct Modules(BTreeMap<String, Module>);

#[derive(Default)]
struct Module {
    /// What it defines, by name.
    defines: BTreeSet<String>,
    /// What it passes on to others, as paths.
    passes_on: Vec<String>,
    /// What it uses itself, as paths.
    uses: Vec<String>,
    /// Its code, but for imports.
    body: String,
}

impl Modules {
    fn read() -> Modules {
        let mut modules = BTreeMap::new();
        for (path, text) in sources("src") {
            if ["src/lib.rs", "src/main.rs"].contains(&&*path) || TEST_SUPPORT.contains(&&*path) {
                continue;
            }
            let name = path.trim_start_matches("src/").trim_end_matches(".rs");
            let name = name.trim_end_matches("/mod").replace('/', "::");
            let text: String = code(&text).map(|(_, line)| format!("{line}\n")).collect();
            modules.insert(name, Module::parse(&text));
        }
        Modules(modules)
    }

    /// Modules of the same room that this one needs.
    fn imports(&self, name: &str) -> BTreeSet<String> {
        let module = &self.0[name];
        let room = name.split("::").next().unwrap_or("");
        let mut found: BTreeSet<String> =
            module.uses.iter().filter_map(|path| self.resolve(name, path, 0)).collect();
        // A child may be named without an import.
        let children = self.0.keys().filter(|other| {
            other
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix("::"))
                .is_some_and(|rest| !rest.contains("::"))
        });
        for child in children {
            let word = format!("{}::", child.rsplit("::").next().unwrap_or(""));
            let starts_a_path = |at: usize| {
                let before = module.body[..at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
            };
            if module.body.match_indices(&word).any(|(at, _)| starts_a_path(at)) {
                found.insert(child.clone());
            }
        }
        found.remove(name);
        found.retain(|other| other.split("::").next() == Some(room));
        found
    }

    /// The module in which what `path` names within `from` is defined.
    fn resolve(&self, from: &str, path: &str, depth: u32) -> Option<String> {
        let mut at: Vec<&str> = from.split("::").collect();
        let mut parts = path.split("::").peekable();
        match parts.peek()? {
            &"crate" => {
                at.clear();
                parts.next();
            }
            &"self" => _ = parts.next(),
            &"super" => {
                while parts.next_if_eq(&"super").is_some() {
                    at.pop();
                }
            }
            first => {
                if !self.0.contains_key(&format!("{from}::{first}")) {
                    return None;
                }
            }
        }
        let mut module = at.join("::");
        for part in parts {
            let child =
                if module.is_empty() { part.to_owned() } else { format!("{module}::{part}") };
            if self.0.contains_key(&child) {
                module = child;
                continue;
            }
            let here = self.0.get(&module)?;
            if depth > 8 || here.defines.contains(part) {
                return Some(module);
            }
            let passed = here.passes_on.iter().filter(|path| {
                let last = path.rsplit("::").next().unwrap_or("");
                last == part || last == "*"
            });
            for path in passed {
                let path = path.replace('*', part);
                if let Some(found) = self.resolve(&module, &path, depth + 1)
                    && self.0[&found].defines.contains(part)
                {
                    return Some(found);
                }
            }
            return Some(module);
        }
        self.0.contains_key(&module).then_some(module)
    }

    /// What each module needs, and what that needs, and so on.
    fn reachable(&self) -> BTreeMap<String, BTreeSet<String>> {
        let direct: BTreeMap<&String, BTreeSet<String>> =
            self.0.keys().map(|name| (name, self.imports(name))).collect();
        let reach = |name: &String| {
            let (mut reached, mut next) = (BTreeSet::new(), vec![name]);
            while let Some(module) = next.pop() {
                for other in &direct[module] {
                    if reached.insert(other.clone()) {
                        next.push(other);
                    }
                }
            }
            reached
        };
        self.0.keys().map(|name| (name.clone(), reach(name))).collect()
    }
}

impl Module {
    fn parse(text: &str) -> Module {
        let mut module = Module::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (line, _) = rest.split_once('\n').unwrap_or((rest, ""));
            let item = line.trim_start();
            let public = item.starts_with("pub");
            let bare = item
                .strip_prefix("pub(super) ")
                .or_else(|| item.strip_prefix("pub(crate) "))
                .or_else(|| item.strip_prefix("pub "))
                .unwrap_or(item);
            if let (Some(_), Some(end)) = (bare.strip_prefix("use "), rest.find(';')) {
                let start = rest.find("use ").expect("it is there") + "use ".len();
                let paths = paths_of(&rest[start..end]);
                let list = if public { &mut module.passes_on } else { &mut module.uses };
                list.extend(paths);
                rest = rest[end..].split_once('\n').map_or("", |(_, rest)| rest);
                continue;
            }
            let words: Vec<&str> = bare
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .filter(|word| !["async", "unsafe"].contains(word))
                .collect();
            let words = if words.starts_with(&["const", "fn"]) { &words[1..] } else { &words[..] };
            let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static"];
            if let [kind, name, ..] = *words
                && kinds.contains(&kind)
                && line.starts_with(item)
            {
                module.defines.insert(name.to_owned());
            }
            module.body.push_str(line);
            module.body.push('\n');
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
        module
    }
}

/// The paths of a tree of imports.
fn paths_of(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        return vec![path.trim_end_matches("::self").to_owned()];
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in inner.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("one at least").push(c);
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| paths_of(&format!("{head}{}", part.trim()))).collect()
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
