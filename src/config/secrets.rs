//! `[secrets]`: where secret keys go.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::de::DeTable;

use super::codes;
use super::parse::{FileReader, Item, Word};
use super::problem::{Problem, Quoted};
use crate::keyset::Origin;

/// `[secrets]`, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// In order of preference: the first that passes its probe is used. Not empty, none twice.
    pub sinks: Vec<SinkKind>,
    pub age: Option<AgeSettings>,
    pub exec: Option<ExecSettings>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    Keyring,
    Age,
    Exec,
}

impl SinkKind {
    pub const ALL: [SinkKind; 3] = [SinkKind::Keyring, SinkKind::Age, SinkKind::Exec];

    pub fn name(self) -> &'static str {
        match self {
            SinkKind::Keyring => "keyring",
            SinkKind::Age => "age",
            SinkKind::Exec => "exec",
        }
    }
}

/// `[secrets.age]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeSettings {
    /// Public keys, each of a kind that can be sealed for. Not empty.
    pub recipients: Vec<String>,
    /// Relative to the project, and below it.
    pub dir: PathBuf,
}

/// `[secrets.exec]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecSettings {
    /// The program and its arguments. Not empty.
    pub command: Vec<String>,
    /// For one operation: 1 to 600 seconds.
    pub timeout: Duration,
}

const AGE_DIR: &str = "secrets";
const EXEC_TIMEOUT: i64 = 30;
const EXEC_TIMEOUT_MAX: i64 = 600;

/// What the tables say, before it is known whether they fit together.
#[derive(Debug, Default)]
pub(super) struct Given {
    sinks: Option<Vec<(SinkKind, Origin)>>,
    age: Option<AgeSettings>,
    exec: Option<ExecSettings>,
    /// Of the words `age` and `exec`.
    tables: Vec<(SinkKind, Origin)>,
}

impl Given {
    /// Sinks and tables as they go together.
    pub(super) fn complete(self, problems: &mut Vec<Problem>) -> Secrets {
        let sinks = self.sinks.unwrap_or_default();
        let has_table = |kind: SinkKind| kind == SinkKind::Keyring || self.tables.iter().any(|(other, _)| *other == kind);
        for (kind, origin) in sinks.iter().filter(|(kind, _)| !has_table(*kind)) {
            let name = kind.name();
            let example = if *kind == SinkKind::Age { "recipients = [\"age1...\"]" } else { "command = [\"PROGRAM\"]" };
            problems.push(
                Problem::new(
                    codes::SINK_TABLE,
                    *origin,
                    format!("the sink `{name}` without its table"),
                    format!("needs `[secrets.{name}]`"),
                )
                .help(format!("add `[secrets.{name}]` with `{example}`")),
            );
        }
        for (kind, origin) in self.tables.iter().filter(|(kind, _)| sinks.iter().all(|(sink, _)| sink != kind)) {
            let name = kind.name();
            problems.push(
                Problem::new(
                    codes::SINK_UNUSED,
                    *origin,
                    format!("`[secrets.{name}]` is not used"),
                    format!("`sinks` does not name `{name}`"),
                )
                .help(format!("write `sinks = [\"{name}\"]` in `[secrets]`; until then it serves `secrets copy` and reading only")),
            );
        }
        let sinks = if sinks.is_empty() { vec![SinkKind::Keyring] } else { sinks.into_iter().map(|(kind, _)| kind).collect() };
        Secrets { sinks, age: self.age, exec: self.exec }
    }
}

/// Reads `[secrets]`.
pub(super) fn read(reader: &mut FileReader<'_>, table: &DeTable<'_>) {
    for (key, item) in table {
        let at = reader.at(key.span());
        match key.get_ref().as_ref() {
            "sinks" => sinks(reader, item),
            "age" => {
                reader.out.head.secrets.tables.push((SinkKind::Age, at));
                let Some(table) = reader.table("secrets.age", item) else { continue };
                reader.out.head.secrets.age = age(reader, table, at);
            }
            "exec" => {
                reader.out.head.secrets.tables.push((SinkKind::Exec, at));
                let Some(table) = reader.table("secrets.exec", item) else { continue };
                reader.out.head.secrets.exec = exec(reader, table, at);
            }
            _ => _ = reader.unknown_key(key, "key in `[secrets]`", ["sinks", "age", "exec"]),
        }
    }
}

fn sinks(reader: &mut FileReader<'_>, item: &Item<'_>) {
    let Some(words) = reader.strings("secrets.sinks", item) else { return };
    if words.is_empty() {
        let at = reader.at(item.span());
        let problem = Problem::new(codes::OUT_OF_RANGE, at, "wrong value for `secrets.sinks`", "names no sink");
        reader.report(problem.help("write `sinks = [\"keyring\"]`, or leave it out"));
        return;
    }
    let mut sinks: Vec<(SinkKind, Origin)> = Vec::new();
    for Word { text, origin } in &words {
        match SinkKind::ALL.into_iter().find(|kind| *kind.name() == **text) {
            Some(kind) if sinks.iter().any(|(other, _)| *other == kind) => {
                reader.report(Problem::new(codes::SINK_TWICE, *origin, format!("the sink `{text}` is named twice"), "once is enough"));
            }
            Some(kind) => sinks.push((kind, *origin)),
            None => {
                let names = SinkKind::ALL.map(SinkKind::name);
                let mut problem =
                    Problem::new(codes::UNKNOWN_SINK, *origin, format!("unknown sink {}", Quoted(text)), "no sink of this name")
                        .help("the sinks are `keyring`, `age` and `exec`");
                if let Some(near) = reader.out.nearest.of(text, names) {
                    problem = problem.fix(*origin, format!("\"{near}\""));
                }
                reader.report(problem);
            }
        }
    }
    reader.out.head.secrets.sinks = Some(sinks);
}

fn age(reader: &mut FileReader<'_>, table: &DeTable<'_>, at: Origin) -> Option<AgeSettings> {
    let (mut recipients, mut dir) = (None, Some(PathBuf::from(AGE_DIR)));
    for (key, item) in table {
        match key.get_ref().as_ref() {
            "recipients" => recipients = Some(recipients_of(reader, item)),
            "dir" => dir = below_the_project(reader, "secrets.age.dir", item),
            _ => _ = reader.unknown_key(key, "key in `[secrets.age]`", ["recipients", "dir"]),
        }
    }
    let recipients = match recipients {
        Some(recipients) => recipients?,
        None => {
            let problem = Problem::new(codes::NO_RECIPIENT, at, "`[secrets.age]` without `recipients`", "for whom is it sealed?");
            reader.report(problem.help("add `recipients = [\"age1...\"]`: public keys of age (`age-keygen`) or ssh"));
            return None;
        }
    };
    Some(AgeSettings { recipients, dir: dir? })
}

fn recipients_of(reader: &mut FileReader<'_>, item: &Item<'_>) -> Option<Vec<String>> {
    // Looked for before anything can be said about the value: a message with its line would print it.
    let texts = || item.get_ref().as_array().into_iter().flat_map(|array| array.iter()).filter_map(|item| item.get_ref().as_str());
    if texts().chain(item.get_ref().as_str()).any(is_private) {
        let problem = Problem::new(codes::PRIVATE_KEY, None, "a PRIVATE key stands in `secrets.age.recipients`", "its line is not shown");
        reader.report(problem.help(
            "here come public keys only (age1..., ssh-ed25519 ...). The private one has to count as known by now, at the latest \
             if this file was committed: make a new key",
        ));
        return None;
    }
    let words = reader.strings("secrets.age.recipients", item)?;
    if words.is_empty() {
        let at = reader.at(item.span());
        let problem = Problem::new(codes::NO_RECIPIENT, at, "`secrets.age.recipients` is empty", "for whom is it sealed?");
        reader.report(problem.help("name at least one public key of age (`age-keygen`) or ssh"));
        return None;
    }
    let mut good = Vec::with_capacity(words.len());
    let mut all = true;
    for Word { text, origin } in &words {
        if good.contains(&text.to_string()) {
            reader.report(Problem::new(codes::RECIPIENT_TWICE, *origin, "the same recipient twice", "once is enough"));
        } else if let Err(why) = recipient(text) {
            all = false;
            reader.report(Problem::new(codes::BAD_RECIPIENT, *origin, "not a recipient", why));
        } else {
            good.push(text.to_string());
        }
    }
    all.then_some(good)
}

fn is_private(text: &str) -> bool {
    let text = text.trim_start();
    text.get(..15).is_some_and(|head| head.eq_ignore_ascii_case("AGE-SECRET-KEY-")) || text.starts_with("-----BEGIN")
}

fn recipient(text: &str) -> Result<(), &'static str> {
    if age::x25519::Recipient::from_str(text).is_ok() || age::ssh::Recipient::from_str(text).is_ok() {
        return Ok(());
    }
    Err(match text {
        _ if text.starts_with("age1pq1") => "post-quantum recipients are not supported by this version of keyform",
        _ if text.starts_with("age1") && text.get(4..).is_some_and(|rest| rest.contains('1')) => {
            "recipients of plugins are not supported by this version of keyform"
        }
        _ if text.starts_with("age1") => "is mistyped or cut: its checksum does not fit",
        _ if text.starts_with("ssh-") || text.starts_with("ecdsa-") => "of ssh keys, whole lines of kind ssh-ed25519 and ssh-rsa are taken",
        _ => "expected age1..., ssh-ed25519 ... or ssh-rsa ...",
    })
}

fn below_the_project(reader: &mut FileReader<'_>, path: &str, item: &Item<'_>) -> Option<PathBuf> {
    let (text, at) = reader.string(path, item)?;
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let inside = !text.is_empty() && Path::new(text).components().all(plain) && !text.contains(['\\', '\0']);
    if inside && Path::new(text).components().any(|part| matches!(part, Component::Normal(_))) {
        return Some(PathBuf::from(text));
    }
    let problem = Problem::new(codes::BAD_DIR, at, format!("wrong value for `{path}`"), "is not a folder below the project");
    reader.report(problem.help(format!("a path relative to the project, without `..`, such as \"{AGE_DIR}\"")));
    None
}

fn exec(reader: &mut FileReader<'_>, table: &DeTable<'_>, at: Origin) -> Option<ExecSettings> {
    let (mut command, mut timeout) = (None, Some(EXEC_TIMEOUT));
    for (key, item) in table {
        match key.get_ref().as_ref() {
            "command" => command = Some(command_of(reader, item)),
            "timeout" => timeout = seconds(reader, item),
            _ => _ = reader.unknown_key(key, "key in `[secrets.exec]`", ["command", "timeout"]),
        }
    }
    let Some(command) = command else {
        let problem = Problem::new(codes::BAD_COMMAND, at, "`[secrets.exec]` without `command`", "which program takes the secrets?");
        reader.report(problem.help("add `command = [\"PROGRAM\", \"ARGUMENT\"]`"));
        return None;
    };
    let timeout = Duration::from_secs(timeout?.unsigned_abs());
    Some(ExecSettings { command: command?, timeout })
}

fn command_of(reader: &mut FileReader<'_>, item: &Item<'_>) -> Option<Vec<String>> {
    let words = reader.strings("secrets.exec.command", item)?;
    let bad = |word: &Word| word.text.contains('\0');
    if words.first().is_none_or(|program| program.text.is_empty()) || words.iter().any(bad) {
        let at = reader.at(item.span());
        let problem = Problem::new(codes::BAD_COMMAND, at, "wrong value for `secrets.exec.command`", "names no program");
        reader.report(problem.help("the program, then its arguments: [\"./sinks/vault\", \"--mount\", \"kv\"]"));
        return None;
    }
    Some(words.into_iter().map(|word| word.text.into()).collect())
}

fn seconds(reader: &mut FileReader<'_>, item: &Item<'_>) -> Option<i64> {
    let seconds = reader.integer("secrets.exec.timeout", item)?;
    if (1..=EXEC_TIMEOUT_MAX).contains(&seconds) {
        return Some(seconds);
    }
    let at = reader.at(item.span());
    let allowed = format!("allowed: 1 to {EXEC_TIMEOUT_MAX} seconds");
    reader.report(Problem::new(codes::OUT_OF_RANGE, at, "wrong value for `secrets.exec.timeout`", allowed));
    None
}
