//! Finds and reads `keyform.toml` and its includes. The only reader of disk in this room.
//!
//! A project may come from an untrusted pull request: nothing outside its folder is listed or read,
//! no device or pipe is opened, and what is read is bounded.

#![expect(clippy::disallowed_methods, reason = "the only reader of disk of this room")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::problem::{Problem, Quoted};
use super::source::{Source, Sources};
use super::tables::{Parsed, Word};
use super::{Loaded, codes, resolve};
use crate::keyset::Origin;

/// The file that makes a folder a project.
pub const MAIN_FILE: &str = "keyform.toml";

/// Bytes of one file; also keeps every offset in 32 bits.
const MAX_FILE: u64 = 64 << 20;
/// Bytes of all files together.
const MAX_PROJECT: u64 = 512 << 20;
/// Directory entries that the patterns of a project may look at.
const MAX_ENTRIES: usize = 1_000_000;

/// Reads and checks the project in `dir`. Every mistake is a problem of the result; nothing panics.
pub fn load(dir: &Path) -> Loaded {
    let mut loader = Loader {
        root: PathBuf::new(),
        parsed: Parsed::default(),
        sources: Sources::default(),
        bytes: 0,
        entries: 0,
    };
    match fs::canonicalize(dir) {
        Ok(root) => {
            loader.root = root;
            loader.project();
        }
        Err(error) => loader.fail(Problem::new(
            codes::UNREADABLE,
            None,
            "the project's folder cannot be read",
            why(&error),
        )),
    }
    resolve::finish(loader.parsed, loader.sources)
}

struct Loader {
    /// Canonical.
    root: PathBuf,
    parsed: Parsed,
    sources: Sources,
    bytes: u64,
    entries: usize,
}

impl Loader {
    fn project(&mut self) {
        let main = self.root.join(MAIN_FILE);
        if !self.file(&main, MAIN_FILE, None) {
            return;
        }
        let mut found: BTreeMap<PathBuf, Origin> = BTreeMap::new();
        for Word { text, origin } in std::mem::take(&mut self.parsed.head.include) {
            self.include(&text, origin, &mut found);
        }
        found.remove(Path::new(MAIN_FILE));
        // Two names of one file would declare everything in it twice.
        let mut read: BTreeSet<PathBuf> = fs::canonicalize(&main).into_iter().collect();
        for (path, origin) in found {
            let full = self.root.join(&path);
            if fs::canonicalize(&full).is_ok_and(|real| !read.insert(real)) {
                continue;
            }
            let shown: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
            self.file(&full, &shown.join("/"), Some(origin));
        }
    }

    /// Nothing that is missing counts as missing after this.
    fn fail(&mut self, problem: Problem) {
        self.parsed.broken.insert(u32::MAX);
        self.parsed.problems.push(problem);
    }

    // ---------------------------------------------------------------------------------------------
    // one file

    fn file(&mut self, path: &Path, shown: &str, origin: Option<Origin>) -> bool {
        match self.text(path) {
            Ok(text) => {
                let index = self.sources.files.len();
                self.parsed.read_file(index, &text);
                self.sources.files.push(Source::new(shown, text));
                true
            }
            Err((code, why)) => {
                let (title, help) = if code.code == codes::MISSING.code {
                    (
                        format!("there is no {MAIN_FILE}"),
                        Some(
                            "run keyform in the project's folder, or name it with `-C DIR`; \
                             `keyform init` makes a new one",
                        ),
                    )
                } else {
                    (format!("{} cannot be read", Quoted(shown)), None)
                };
                let mut problem = Problem::new(code, origin, title, why);
                problem.help = help.map(str::to_owned);
                self.fail(problem);
                false
            }
        }
    }

    fn text(&mut self, path: &Path) -> Result<String, (codes::Code, String)> {
        let unreadable = |error: io::Error| (codes::UNREADABLE, why(&error));
        let real = fs::canonicalize(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if path == self.root.join(MAIN_FILE) => {
                (codes::MISSING, self.root.display().to_string())
            }
            _ => unreadable(error),
        })?;
        if !real.starts_with(&self.root) {
            return Err((
                codes::OUTSIDE,
                "it is a symbolic link that leads out of the project's folder".to_owned(),
            ));
        }
        let not_regular = || (codes::UNREADABLE, "it is not a regular file".to_owned());
        // Asked before opening, since opening a pipe waits for its other end; and again of what was
        // opened.
        if !fs::metadata(&real).map_err(unreadable)?.is_file() {
            return Err(not_regular());
        }
        let file = File::open(&real).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(not_regular());
        }
        let left = MAX_PROJECT.saturating_sub(self.bytes);
        let mut bytes = Vec::new();
        if metadata.len() <= MAX_FILE.min(left) {
            file.take(MAX_FILE.min(left) + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        }
        let length = metadata.len().max(bytes.len() as u64);
        if length > MAX_FILE {
            return Err((codes::TOO_LARGE, format!("it is larger than {} MiB", MAX_FILE >> 20)));
        }
        if length > left {
            return Err((
                codes::TOO_LARGE,
                format!("the project's files are larger than {} MiB together", MAX_PROJECT >> 20),
            ));
        }
        self.bytes += length;
        String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let line = error.as_bytes().iter().take(good).filter(|b| **b == b'\n').count() + 1;
            (codes::NOT_UTF8, format!("line {line} holds bytes that are not UTF-8"))
        })
    }

    // ---------------------------------------------------------------------------------------------
    // includes

    fn include(&mut self, text: &str, origin: Origin, found: &mut BTreeMap<PathBuf, Origin>) {
        let steps = match steps(text, origin) {
            Ok(steps) => steps,
            Err(problem) => return self.fail(*problem),
        };
        let mut matched = 0;
        match self.walk(PathBuf::new(), &steps, &mut |path| {
            matched += 1;
            found.entry(path).or_insert(origin);
        }) {
            Ok(()) => {}
            Err(Stop::TooMuch) => {
                self.fail(bad_pattern(origin, "has to look at more than a million files"));
            }
            Err(Stop::Outside(link)) => self.fail(
                Problem::new(
                    codes::OUTSIDE,
                    origin,
                    "an include outside the project",
                    format!("{} leads out of the project's folder", Quoted(&link)),
                )
                .help("copy the files into the project"),
            ),
            Err(Stop::Unreadable(path, why)) => {
                self.fail(Problem::new(
                    codes::UNREADABLE,
                    origin,
                    format!("{} cannot be read", Quoted(&path)),
                    why,
                ));
            }
        }
        if matched == 0 && self.parsed.broken.is_empty() {
            self.parsed.problems.push(
                Problem::new(
                    codes::NO_MATCH,
                    origin,
                    "an include matches nothing",
                    "no file matches",
                )
                .help(
                    "the path is relative to the project's folder; names that start with a \
                           dot match only if the pattern does",
                ),
            );
        }
    }

    /// `at`: relative to the root. Links to folders are followed only where the pattern names them,
    /// and never outside.
    fn walk(
        &mut self,
        at: PathBuf,
        steps: &[Step<'_>],
        found: &mut dyn FnMut(PathBuf),
    ) -> Result<(), Stop> {
        let Some((step, rest)) = steps.split_first() else {
            found(at);
            return Ok(());
        };
        if let Step::Name(name) = step {
            let next = at.join(name);
            return match fs::symlink_metadata(self.root.join(&next)) {
                Ok(_) => self.enter(next, rest, found),
                Err(_) => Ok(()),
            };
        }
        if matches!(step, Step::Any) {
            self.walk(at.clone(), rest, found)?;
        }
        for entry in self.list(&at)? {
            let Some(name) = entry.to_str().filter(|name| {
                !name.starts_with('.')
                    || matches!(step, Step::Like(p) if p.as_str().starts_with('.'))
            }) else {
                continue;
            };
            let next = at.join(name);
            match step {
                Step::Like(pattern) if pattern.matches(name) => self.enter(next, rest, found)?,
                Step::Any
                    if fs::symlink_metadata(self.root.join(&next))
                        .is_ok_and(|meta| meta.is_dir()) =>
                {
                    self.walk(next, steps, found)?
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Goes on below `path` if it is a folder, or takes it if the pattern ends here.
    fn enter(
        &mut self,
        path: PathBuf,
        rest: &[Step<'_>],
        found: &mut dyn FnMut(PathBuf),
    ) -> Result<(), Stop> {
        let real = fs::canonicalize(self.root.join(&path));
        if real.as_ref().is_ok_and(|real| !real.starts_with(&self.root)) {
            return Err(Stop::Outside(path.display().to_string()));
        }
        if rest.is_empty() || real.is_ok_and(|real| real.is_dir()) {
            self.walk(path, rest, found)
        } else {
            Ok(())
        }
    }

    fn list(&mut self, at: &Path) -> Result<Vec<std::ffi::OsString>, Stop> {
        let failed = |error: io::Error| Stop::Unreadable(at.display().to_string(), why(&error));
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(at)).map_err(failed)? {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(Stop::TooMuch);
            }
            names.push(entry.map_err(failed)?.file_name());
        }
        Ok(names)
    }
}

/// The parts of an include.
fn steps(text: &str, origin: Origin) -> Result<Vec<Step<'_>>, Box<Problem>> {
    let path = Path::new(text);
    let leaves =
        path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    if leaves || text.split(['/', '\\']).any(|part| part == "..") {
        let title = "an include outside the project";
        let label = "leads out of the project's folder";
        return Err(Problem::new(codes::OUTSIDE, origin, title, label)
            .help("an include is a path relative to the project, without `..`")
            .into());
    }
    let mut steps = Vec::new();
    for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let step = match part {
            "**" => Step::Any,
            _ if !part.contains(['*', '?', '[']) => Step::Name(part),
            _ => match glob::Pattern::new(part) {
                Ok(pattern) if !part.contains("**") => Step::Like(pattern),
                Ok(_) => {
                    return Err(bad_pattern(origin, "`**` stands alone between slashes").into());
                }
                Err(error) => return Err(bad_pattern(origin, error.msg).into()),
            },
        };
        // Two in a row mean the same as one, and would multiply the work.
        if !(matches!(step, Step::Any) && matches!(steps.last(), Some(Step::Any))) {
            steps.push(step);
        }
    }
    match steps.last() {
        None | Some(Step::Any) => Err(bad_pattern(origin, "ends without a file name").into()),
        Some(_) => Ok(steps),
    }
}

fn bad_pattern(origin: Origin, why: &str) -> Problem {
    Problem::new(codes::PATTERN, origin, "not a file pattern", why.to_owned())
        .help("for example `keysets/*.toml` or `teams/**/keysets.toml`")
}

/// One part of a pattern.
enum Step<'a> {
    Name(&'a str),
    Like(glob::Pattern),
    /// `**`: any number of folders.
    Any,
}

enum Stop {
    TooMuch,
    Outside(String),
    Unreadable(String, String),
}

/// The platform's words without the number, which helps nobody.
fn why(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
