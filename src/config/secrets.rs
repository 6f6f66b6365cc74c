//! `[secrets]`: which sinks take secrets, how, and where else they are mirrored to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::codes::{self, Code};
use super::mirrors;
use super::parse::{FileReader, Given, Item, Word};
use super::private::is_private;
use super::problem::{Problem, Quoted};
use super::recipients::{self, Bad};
use crate::keyset::settings::bad_text;
use crate::keyset::{Label, MirrorTarget, Origin};

/// `[secrets]`. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// In order of preference, each once, at least one.
    pub sinks: Vec<SinkKind>,
    /// Given whenever `sinks` names it.
    pub age: Option<AgeSettings>,
    /// Given whenever `sinks` names it.
    pub exec: Option<ExecSettings>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// Of the operating system.
    Keyring,
    /// Files sealed for public keys.
    Age,
    /// A program of the user's.
    Exec,
}

/// `[secrets.age]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeSettings {
    /// Public keys that the `age` crate can read, as they were written; SSH keys perhaps with a
    /// comment. At least one.
    pub recipients: Vec<String>,
    /// Relative to the project, never out of it.
    pub dir: PathBuf,
}

/// `[secrets.exec]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecSettings {
    /// The program, not empty, and its arguments.
    pub command: Vec<String>,
    /// For one call: 1 to 600 seconds.
    pub timeout: Duration,
}

/// `[[secrets.mirror.github]]`: secrets of Actions in a repository, or in one of its environments.
pub(super) struct GithubMirror {
    /// `OWNER/NAME`
    repo: String,
    environment: Option<String>,
    /// Perhaps with a place for the label.
    name: String,
    /// `None`: all.
    keysets: Option<Vec<Label>>,
}

impl SinkKind {
    pub const ALL: [SinkKind; 3] = [SinkKind::Keyring, SinkKind::Age, SinkKind::Exec];

    /// As `[secrets] sinks` names it.
    pub const fn name(self) -> &'static str {
        match self {
            SinkKind::Keyring => "keyring",
            SinkKind::Age => "age",
            SinkKind::Exec => "exec",
        }
    }
}

impl Default for Secrets {
    fn default() -> Secrets {
        Secrets { sinks: vec![SinkKind::Keyring], age: None, exec: None }
    }
}

impl GithubMirror {
    /// Where a copy of this keyset's secret goes; `None`: nowhere.
    pub fn target(&self, label: &Label) -> Option<MirrorTarget> {
        let covered = self.keysets.as_ref().is_none_or(|keysets| keysets.contains(label));
        covered.then(|| MirrorTarget {
            repo: self.repo.as_str().into(),
            environment: self.environment.as_deref().map(Into::into),
            name: mirrors::fill(&self.name, label).into(),
        })
    }
}

/// What `[secrets]` says, before references are looked up.
#[derive(Debug, Default)]
pub(super) struct SecretsTable {
    pub sinks: Given<Vec<(SinkKind, Origin)>>,
    pub age: Option<AgeSettings>,
    pub exec: Option<ExecSettings>,
    /// Where the tables of sinks stand, good or not.
    pub tables: BTreeMap<&'static str, Origin>,
    pub github: Vec<MirrorTable>,
}

/// `None`: absent, or there and reported already.
#[derive(Debug)]
pub(super) struct MirrorTable {
    pub repo: Option<String>,
    pub environment: Given<String>,
    pub name: Option<(String, Origin)>,
    pub keysets: Given<Vec<Word>>,
}

pub(super) const DIR: &str = "secrets";
/// Seconds.
pub(super) const TIMEOUT: u64 = 30;
pub(super) const TIMEOUT_MAX: u64 = 600;
/// Most characters of the name of an environment (GitHub's documentation of environments).
pub(super) const ENVIRONMENT_MAX: usize = 255;

impl SecretsTable {
    /// Only for a project without errors.
    pub(super) fn finish(self) -> (Secrets, Vec<GithubMirror>) {
        let default = Secrets::default();
        let sinks = match self.sinks {
            Given::Is(sinks) => sinks.into_iter().map(|(kind, _)| kind).collect(),
            Given::Absent | Given::Rejected => default.sinks,
        };
        (
            Secrets { sinks, age: self.age, exec: self.exec },
            self.github.into_iter().filter_map(MirrorTable::finish).collect(),
        )
    }
}

impl MirrorTable {
    fn finish(self) -> Option<GithubMirror> {
        let environment = match self.environment {
            Given::Is(environment) => Some(environment),
            Given::Absent | Given::Rejected => None,
        };
        let keysets = match self.keysets {
            Given::Is(words) => {
                Some(words.iter().filter_map(|word| Label::parse(&word.text).ok()).collect())
            }
            Given::Absent | Given::Rejected => None,
        };
        Some(GithubMirror { repo: self.repo?, environment, name: self.name?.0, keysets })
    }
}

impl FileReader<'_> {
    pub(super) fn secrets(&mut self, table: &DeTable<'_>) {
        for (key, item) in table {
            let at = self.at(key.span());
            match key.get_ref().as_ref() {
                "sinks" => {
                    self.out.head.secrets.sinks =
                        self.sinks(item).map_or(Given::Rejected, Given::Is)
                }
                "age" => {
                    self.out.head.secrets.tables.insert(SinkKind::Age.name(), at);
                    let Some(table) = self.table("secrets.age", item) else { continue };
                    self.out.head.secrets.age = self.age(at, table);
                }
                "exec" => {
                    self.out.head.secrets.tables.insert(SinkKind::Exec.name(), at);
                    let Some(table) = self.table("secrets.exec", item) else { continue };
                    self.out.head.secrets.exec = self.exec(at, table);
                }
                "mirror" => {
                    let Some(table) = self.table("secrets.mirror", item) else { continue };
                    for (key, item) in table {
                        match key.get_ref().as_ref() {
                            "github" => self.github(self.at(key.span()), item),
                            _ => _ = self.unknown_key(key, "key in `[secrets.mirror]`", ["github"]),
                        }
                    }
                }
                _ => {
                    // Probably a slip for one of these: do not also say that the others do not fit.
                    if self.unknown_key(
                        key,
                        "key in `[secrets]`",
                        ["sinks", "age", "exec", "mirror"],
                    ) {
                        self.out.head.secrets.sinks = Given::Rejected;
                    }
                }
            }
        }
    }

    fn sinks(&mut self, item: &Item<'_>) -> Option<Vec<(SinkKind, Origin)>> {
        let words = self.strings("secrets.sinks", item)?;
        if words.is_empty() {
            self.names_none(
                codes::OUT_OF_RANGE,
                "secrets.sinks",
                "sink",
                "write `sinks = [\"keyring\"]`, or leave it out",
                item,
            );
            return None;
        }
        let mut sinks: Vec<(SinkKind, Origin)> = Vec::new();
        let mut good = true;
        for Word { text, origin } in words {
            let names = SinkKind::ALL.map(SinkKind::name);
            match SinkKind::ALL.into_iter().find(|kind| *kind.name() == *text) {
                Some(kind) if sinks.iter().any(|(other, _)| *other == kind) => {
                    let title = format!("sink {} is named twice", Quoted(&text));
                    self.report(
                        Problem::new(codes::SINK_TWICE, origin, title, "named before")
                            .help("remove one of the two"),
                    );
                }
                Some(kind) => sinks.push((kind, origin)),
                None => {
                    good = false;
                    let problem = Problem::new(
                        codes::UNKNOWN_SINK,
                        origin,
                        format!("sink {}", Quoted(&text)),
                        "no sink of this name",
                    );
                    let problem = match self.out.nearest.of(&text, names) {
                        Some(near) => problem
                            .help(format!("did you mean `{near}`?"))
                            .fix(origin, format!("\"{near}\"")),
                        None => problem.help("sinks: `keyring`, `age`, `exec`"),
                    };
                    self.report(problem);
                }
            }
        }
        good.then_some(sinks)
    }

    fn age(&mut self, at: Origin, table: &DeTable<'_>) -> Option<AgeSettings> {
        let (mut recipients, mut dir, mut slip) = (Given::Absent, Given::Absent, false);
        for (key, item) in table {
            match key.get_ref().as_ref() {
                "recipients" => {
                    recipients = self.recipients(item).map_or(Given::Rejected, Given::Is)
                }
                "dir" => dir = self.folder(item).map_or(Given::Rejected, Given::Is),
                _ => slip |= self.unknown_key(key, "key in `[secrets.age]`", ["recipients", "dir"]),
            }
        }
        if matches!(recipients, Given::Absent) && !slip {
            self.missing(
                codes::NO_RECIPIENT,
                at,
                "secrets.age",
                "recipients",
                "for whom to seal: `recipients = [\"age1...\"]`; `age-keygen` makes a key",
            );
        }
        let dir = match dir {
            Given::Absent => DIR.into(),
            Given::Is(dir) => dir,
            Given::Rejected => return None,
        };
        is(recipients).map(|recipients| AgeSettings { recipients, dir })
    }

    fn recipients(&mut self, item: &Item<'_>) -> Option<Vec<String>> {
        // Before anything else: this is not to wait until another mistake is mended.
        for item in item.get_ref().as_array().map_or(std::slice::from_ref(item), |items| items) {
            if item.get_ref().as_str().is_some_and(is_private) {
                self.private_key(self.at(item.span()));
            }
        }
        if item.get_ref().as_str().is_some_and(is_private) {
            return None;
        }
        let words = self.strings("secrets.age.recipients", item)?;
        if words.is_empty() {
            self.names_none(
                codes::NO_RECIPIENT,
                "secrets.age.recipients",
                "recipient",
                "nobody could open what is sealed: name at least one public key",
                item,
            );
            return None;
        }
        let mut seen: BTreeMap<String, Origin> = BTreeMap::new();
        let mut good = Some(Vec::new());
        for Word { text, origin } in words {
            match recipients::check(&text) {
                Ok(key) => {
                    if seen.insert(key, origin).is_some() {
                        let problem = Problem::new(
                            codes::RECIPIENT_TWICE,
                            origin,
                            "a recipient is named twice",
                            "the same key as before",
                        );
                        self.report(problem.help("remove one of the two"));
                    }
                    good.as_mut().into_iter().for_each(|good| good.push(text.clone().into()));
                    continue;
                }
                Err(Bad::Private) => {}
                Err(Bad::Other { label, help }) => {
                    self.report(
                        Problem::new(
                            codes::BAD_RECIPIENT,
                            origin,
                            format!("not a recipient: {}", Quoted(&text)),
                            label,
                        )
                        .help(help),
                    );
                }
            }
            good = None;
        }
        good
    }

    /// Says nothing of the key itself; the line it stands in is not shown either.
    fn private_key(&mut self, at: Origin) {
        let label = "this looks like a private key; its line is not shown";
        let problem = Problem::new(
            codes::PRIVATE_KEY,
            at,
            "a private key among the recipients",
            label,
        )
        .help(
            "write the public key instead (`age-keygen -y` prints it); if others could read this \
             file, make a new key pair and use the old \
             one no more",
        );
        self.report(problem);
    }

    fn folder(&mut self, item: &Item<'_>) -> Option<PathBuf> {
        let (text, at) = self.string("secrets.age.dir", item)?;
        let part = |wanted: &str| text.split('/').any(|part| part == wanted);
        let why = if let Some(why) = bad_text(text, 255) {
            why
        } else if text.starts_with(['/', '~']) || text.contains(['\\', ':']) {
            "is not relative to the project, with `/`"
        } else if text.split('/').all(|part| part.is_empty() || part == ".") {
            "is the project's own folder"
        } else if part("..") {
            "leads out of the folder it is in: `..`"
        } else {
            return Some(text.into());
        };
        self.report(
            Problem::new(codes::BAD_DIR, at, "wrong value for `secrets.age.dir`", why)
                .help("a folder of the project, such as `secrets`"),
        );
        None
    }

    fn exec(&mut self, at: Origin, table: &DeTable<'_>) -> Option<ExecSettings> {
        let (mut command, mut timeout, mut slip) = (Given::Absent, Given::Absent, false);
        for (key, item) in table {
            match key.get_ref().as_ref() {
                "command" => command = self.command(item).map_or(Given::Rejected, Given::Is),
                "timeout" => timeout = self.timeout(item).map_or(Given::Rejected, Given::Is),
                _ => {
                    slip |= self.unknown_key(key, "key in `[secrets.exec]`", ["command", "timeout"])
                }
            }
        }
        if matches!(command, Given::Absent) && !slip {
            self.missing(
                codes::BAD_COMMAND,
                at,
                "secrets.exec",
                "command",
                "the program and its arguments: `command = \
                 [\"./sinks/vault\", \"--mount\", \"kv\"]`",
            );
        }
        let timeout = match timeout {
            Given::Absent => Duration::from_secs(TIMEOUT),
            Given::Is(timeout) => timeout,
            Given::Rejected => return None,
        };
        is(command).map(|command| ExecSettings { command, timeout })
    }

    fn command(&mut self, item: &Item<'_>) -> Option<Vec<String>> {
        let words = self.strings("secrets.exec.command", item)?;
        let (at, why) = match words.first() {
            None => (self.at(item.span()), "names no program"),
            Some(program) if program.text.trim().is_empty() => {
                (program.origin, "the program's name is empty")
            }
            Some(_) => match words.iter().find(|word| word.text.contains('\0')) {
                Some(word) => (word.origin, "no program takes a NUL character"),
                None => return Some(words.into_iter().map(|word| word.text.into()).collect()),
            },
        };
        self.report(
            Problem::new(codes::BAD_COMMAND, at, "wrong value for `secrets.exec.command`", why)
                .help(
                    "the program, then its arguments: `command = \
                       [\"./sinks/vault\", \"--mount\", \"kv\"]`",
                ),
        );
        None
    }

    fn timeout(&mut self, item: &Item<'_>) -> Option<Duration> {
        const PATH: &str = "secrets.exec.timeout";
        let at = self.at(item.span());
        let seconds = self.integer(PATH, item)?;
        let good =
            u64::try_from(seconds).ok().filter(|seconds| (1..=TIMEOUT_MAX).contains(seconds));
        if good.is_none() {
            let label = format!("allowed: 1 to {TIMEOUT_MAX} seconds");
            self.report(Problem::new(
                codes::OUT_OF_RANGE,
                at,
                format!("wrong value for `{PATH}`"),
                label,
            ));
        }
        good.map(Duration::from_secs)
    }

    /// One table, or several.
    fn github(&mut self, at: Origin, item: &Item<'_>) {
        match item.get_ref() {
            DeValue::Table(table) => self.github_mirror(at, table),
            DeValue::Array(items) => {
                for item in items.iter() {
                    let Some(table) = self.table("secrets.mirror.github", item) else { continue };
                    self.github_mirror(self.at(item.span()), table);
                }
            }
            _ => self.wrong_type(
                "secrets.mirror.github",
                "a table or an array of tables",
                item,
                None,
            ),
        }
    }

    fn github_mirror(&mut self, at: Origin, table: &DeTable<'_>) {
        const KEYS: [&str; 4] = ["repo", "environment", "name", "keysets"];
        let mut mirror = MirrorTable {
            repo: None,
            environment: Given::Absent,
            name: None,
            keysets: Given::Absent,
        };
        let (mut slip, mut seen) = (false, Vec::new());
        for (key, item) in table {
            let word = key.get_ref().as_ref();
            seen.push(word);
            match word {
                "repo" => mirror.repo = self.repo(item),
                "environment" => {
                    mirror.environment = self.environment(item).map_or(Given::Rejected, Given::Is)
                }
                "name" => {
                    mirror.name = self
                        .string("secrets.mirror.github.name", item)
                        .map(|(text, at)| (text.to_owned(), at))
                }
                "keysets" => {
                    mirror.keysets = self.mirrored(item).map_or(Given::Rejected, Given::Is)
                }
                _ => slip |= self.unknown_key(key, "key in `[secrets.mirror.github]`", KEYS),
            }
        }
        for (key, help) in [
            ("repo", "where to: `repo = \"OWNER/NAME\"`"),
            (
                "name",
                "the secret's name: `name = \"PUBNUB_{label}\"`, with `{label}` for the keyset's \
                 label",
            ),
        ] {
            if !seen.contains(&key) && !slip {
                self.missing(codes::MISSING_KEY, at, "secrets.mirror.github", key, help);
            }
        }
        self.out.head.secrets.github.push(mirror);
    }

    fn repo(&mut self, item: &Item<'_>) -> Option<String> {
        let (text, at) = self.string("secrets.mirror.github.repo", item)?;
        if mirrors::is_repo(text) {
            return Some(text.to_owned());
        }
        let problem = Problem::new(
            codes::BAD_REPO,
            at,
            format!("not a repository: {}", Quoted(text)),
            "expected `OWNER/NAME`",
        );
        // As browsers and git name it.
        let address = ["https://github.com/", "git@github.com:", "github.com/"]
            .iter()
            .find_map(|head| text.strip_prefix(head));
        let near = address
            .map(|path| path.trim_end_matches('/').trim_end_matches(".git"))
            .filter(|path| mirrors::is_repo(path));
        self.report(match near {
            Some(near) => problem.help("write owner and name only").fix(at, format!("\"{near}\"")),
            None => problem.help(
                "owner and name hold letters, digits, `.`, `_` and `-`, with one `/` between them",
            ),
        });
        None
    }

    fn environment(&mut self, item: &Item<'_>) -> Option<String> {
        let (text, at) = self.string("secrets.mirror.github.environment", item)?;
        // In a URL's path these would be steps, however they are written.
        let why = bad_text(text, ENVIRONMENT_MAX)
            .or_else(|| [".", ".."].contains(&text).then_some("is not a name"));
        let Some(why) = why else { return Some(text.to_owned()) };
        self.report(
            Problem::new(
                codes::BAD_TEXT,
                at,
                "bad text for `secrets.mirror.github.environment`",
                why,
            )
            .help(
                "the name of an environment of the repository; without the line the secret \
                       is the repository's",
            ),
        );
        None
    }

    fn mirrored(&mut self, item: &Item<'_>) -> Option<Vec<Word>> {
        let words = self.strings("secrets.mirror.github.keysets", item)?;
        if words.is_empty() {
            self.names_none(
                codes::OUT_OF_RANGE,
                "secrets.mirror.github.keysets",
                "keyset",
                "name one, or remove the line: then all keysets are mirrored",
                item,
            );
            return None;
        }
        Some(words)
    }

    fn names_none(&mut self, code: Code, path: &str, what: &str, help: &str, item: &Item<'_>) {
        let at = self.at(item.span());
        self.report(
            Problem::new(code, at, format!("wrong value for `{path}`"), format!("names no {what}"))
                .help(help),
        );
    }

    pub(super) fn missing(&mut self, code: Code, at: Origin, table: &str, key: &str, help: &str) {
        self.report(
            Problem::new(code, at, format!("`[{table}]` has no `{key}`"), format!("needs `{key}`"))
                .help(help),
        );
    }
}

fn is<T>(given: Given<T>) -> Option<T> {
    match given {
        Given::Is(is) => Some(is),
        Given::Absent | Given::Rejected => None,
    }
}
