//! `[secrets.mirror.github]`: copies of secrets for GitHub Actions.

use toml::de::{DeTable, DeValue};

use super::codes;
use super::mirrors;
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item};
use super::secrets::ENVIRONMENT_MAX;
use super::tables::{Checked, Word};
use crate::keyset::settings::bad_text;
use crate::keyset::{Label, MirrorTarget, Origin};

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

/// `None`: absent, or there and reported already.
#[derive(Debug)]
pub(super) struct MirrorTable {
    pub repo: Option<String>,
    pub environment: Checked<String>,
    pub name: Option<(String, Origin)>,
    pub keysets: Checked<Vec<Word>>,
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

impl MirrorTable {
    pub(super) fn finish(self) -> Option<GithubMirror> {
        let labels = |words: Vec<Word>| {
            words.iter().filter_map(|word| Label::parse(&word.text).ok()).collect()
        };
        Some(GithubMirror {
            repo: self.repo?,
            environment: self.environment.value(),
            name: self.name?.0,
            keysets: self.keysets.value().map(labels),
        })
    }
}

impl FileReader<'_> {
    /// One table, or several.
    pub(super) fn github(&mut self, at: Origin, item: &Item<'_>) {
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
        let mut mirror = MirrorTable {
            repo: None,
            environment: Checked::Absent,
            name: None,
            keysets: Checked::Absent,
        };
        for (row, _, item) in self.entries("secrets.mirror.github", at, table).known {
            match row.name() {
                "repo" => mirror.repo = self.repo(item),
                "environment" => mirror.environment = Checked::read(self.environment(item)),
                "name" => {
                    let name = self.string(row.shown(), item);
                    mirror.name = name.map(|(text, at)| (text.to_owned(), at));
                }
                _ => mirror.keysets = Checked::read(self.mirrored(item)),
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
}
