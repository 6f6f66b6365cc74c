//! One file's TOML -> small tables. Everything that can be said of a value without looking at other
//! tables is said here.
//!
//! The tree of a file is about thirty times its text, so it is dropped before the next file is
//! read.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use toml_parser::lexer::TokenKind;

use super::codes;
use super::endpoint::check_endpoint;
use super::nearest::Nearest;
use super::notify::Notify;
use super::parity::ParityTable;
use super::problem::{Problem, Quoted};
use super::secrets::SecretsTable;
use super::{ApiSettings, Limits};
use crate::keyset::Push;
use crate::keyset::field::{Kind, Tier};
use crate::keyset::push::{DeclaredPush, PushTexts};
use crate::keyset::settings::bad_text;
use crate::keyset::table::{NAME_MAX, PUSH, SECTIONS};
use crate::keyset::views::{AppSource, Freeze, Ignored, Rotate};
use crate::keyset::{
    ApiVersion, AppId, Bounded, Budget, Call, Declared, FieldId, Label, Life, Origin, ProjectName,
    Rejected, Value, duration,
};

/// What all files say, before profiles are merged and references looked up.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub head: Head,
    pub apps: Vec<AppTable>,
    pub profiles: Vec<ProfileTable>,
    pub keysets: Vec<KeysetTable>,
    pub problems: Vec<Problem>,
    /// Files that could not be read whole: nothing follows from what is missing in them.
    pub broken: BTreeSet<u32>,
    /// Labels whose table was rejected: nothing more is said about references to them.
    pub spoiled: BTreeSet<Box<str>>,
    /// Profiles that rejected keysets name: they are not unused.
    pub mentioned: BTreeSet<Box<str>>,
    pub nearest: Nearest,
}

/// `[project]`, `[api]`, `[secrets]`, `[limits]`, `[[parity]]` and `[notify]`.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub name: Given<ProjectName>,
    /// Of the word `project`.
    pub project: Option<Origin>,
    pub include: Vec<Word>,
    pub api: ApiSettings,
    pub tier: Option<Origin>,
    pub secrets: SecretsTable,
    pub freeze: Option<Freeze>,
    pub limits: Limits,
    pub parity: Vec<ParityTable>,
    pub notify: Option<Notify>,
}

/// Something that may be absent, or was there and is reported already.
#[derive(Debug, Default)]
pub(super) enum Given<T> {
    #[default]
    Absent,
    Rejected,
    Is(T),
}

/// A reference, and where it stands.
#[derive(Debug)]
pub(super) struct Word {
    pub text: Box<str>,
    pub origin: Origin,
}

#[derive(Debug)]
pub(super) struct AppTable {
    pub label: Label,
    pub origin: Origin,
    /// `None`: reported already.
    pub source: Option<AppSource>,
    pub moved: Vec<Word>,
    pub freeze: Option<Freeze>,
}

#[derive(Debug)]
pub(super) struct ProfileTable {
    pub label: Label,
    pub origin: Origin,
    pub body: Body,
}

#[derive(Debug)]
pub(super) struct KeysetTable {
    pub label: Label,
    pub origin: Origin,
    pub app: Given<Word>,
    pub profiles: Vec<Word>,
    pub protect: Option<bool>,
    pub freeze: Option<Freeze>,
    pub moved: Vec<Word>,
    pub body: Body,
}

/// The fields of a profile or keyset.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub settings: Declared,
    pub ignored: Vec<Ignored>,
    /// `Some(None)`: `rotate = false`.
    pub rotate: Option<Option<Rotate>>,
    pub push: Vec<DeclaredPush>,
    /// Fields that were given a value that is reported already: they do not count as missing.
    pub rejected: Vec<FieldId>,
    /// A section or list was rejected as a whole: nothing in this table counts as missing.
    pub torn: bool,
}

impl Parsed {
    /// Adds what a file says. File 0 is the project's main file.
    pub(super) fn read_file(&mut self, file: usize, text: &str) {
        let file = file as u32;
        if let Some(span) = too_deep(text) {
            self.broken.insert(file);
            let label = format!("more than {MAX_DEPTH} levels");
            self.problems.push(
                Problem::new(codes::NESTING, origin(file, span), "nested too deeply", label)
                    .help("a keyset needs four levels: `keyset`, its label, a section, a field"),
            );
            return;
        }
        let (tree, errors) = DeTable::parse_recoverable(text);
        FileReader { file, out: self }.top(tree.get_ref());
        if errors.is_empty() {
            return;
        }
        self.broken.insert(file);
        let spoilt = broken_blocks(text, &errors);
        let touches = |o: Origin, block: &Range<usize>| {
            (o.start as usize) < block.end && block.start <= o.end as usize
        };
        self.problems.retain(|problem| {
            problem
                .origin
                .is_none_or(|o| o.file != file || !spoilt.iter().any(|block| touches(o, block)))
        });
        self.problems.extend(syntax_problems(file, text, &errors));
    }
}

// -------------------------------------------------------------------------------------------------
// syntax

/// Whether a path stays below the folder that it is relative to.
fn is_inside(path: &str) -> bool {
    use std::path::{Component, Path};
    let parts = Path::new(path).components();
    !path.contains('\\')
        && !path.ends_with('/')
        && parts.clone().count() > 0
        && parts.clone().all(|part| matches!(part, Component::Normal(_)))
}

/// Levels of tables and arrays. The tree is dropped recursively, so this also bounds the stack.
const MAX_DEPTH: u32 = 32;

/// Where a text first nests deeper than [`MAX_DEPTH`], counting dotted keys. Asked before the
/// parser is: its own limits (80 levels of brackets, 80 parts in each key) multiply, and a tree of
/// 6,400 levels overflows a thread's stack when dropped.
fn too_deep(text: &str) -> Option<Range<usize>> {
    let mut open: Vec<u32> = Vec::new();
    let (mut header, mut level, mut dots, mut key_dots) = (0, 0, 0, 0);
    let (mut in_header, mut in_value) = (false, false);
    for token in toml_parser::Source::new(text).lex() {
        match token.kind() {
            TokenKind::Dot if in_header => header += 1,
            TokenKind::Dot => dots += 1,
            TokenKind::Equals => {
                in_value = true;
                key_dots = dots;
                dots = 0;
            }
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                if open.is_empty() && !in_value {
                    in_header = true;
                    header = 0;
                }
                let levels = 1 + key_dots + dots;
                open.push(levels);
                level += levels;
                (dots, key_dots) = (0, 0);
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                level -= open.pop().unwrap_or(0);
                (dots, key_dots) = (0, 0);
                in_header &= !open.is_empty();
            }
            TokenKind::Comma => (dots, key_dots) = (0, 0),
            TokenKind::Newline => {
                (dots, key_dots) = (0, 0);
                in_value &= !open.is_empty();
            }
            _ => continue,
        }
        if header + level + dots > MAX_DEPTH {
            return Some(token.span().start()..token.span().end());
        }
    }
    None
}

/// The parser's word for a key or header that is there already.
const DUPLICATE: &str = "duplicate key";
/// Most syntax errors shown of one file.
const MAX_SYNTAX: usize = 1000;

fn syntax_problems(file: u32, text: &str, errors: &[toml::de::Error]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let (mut last_line_end, mut repeated) = (0, None);
    let mut sorted: Vec<(Range<usize>, &str)> =
        errors.iter().map(|e| (e.span().unwrap_or(0..0), e.message())).collect();
    sorted.sort_by_key(|(span, _)| span.start);
    for (n, (span, message)) in sorted.iter().enumerate() {
        // One slip often makes the parser stumble twice in its line.
        if n > 0 && span.start < last_line_end {
            continue;
        }
        // Under a header that is there already, each key that is there already follows from it.
        if repeated.as_ref().is_some_and(|end| span.start < *end) && *message == DUPLICATE {
            continue;
        }
        let header = text.get(..span.start).is_some_and(|before| {
            before.rsplit('\n').next().is_some_and(|line| line.trim_start().starts_with('['))
        });
        repeated = (*message == DUPLICATE && header).then(|| {
            text.get(span.end..)
                .and_then(|after| after.find("\n["))
                .map_or(text.len(), |at| span.end + at)
        });
        last_line_end = text
            .get(span.end..)
            .and_then(|rest| rest.find('\n'))
            .map_or(text.len(), |end| span.end + end);
        let problem = Problem::new(
            codes::SYNTAX,
            origin(file, span.clone()),
            "not valid TOML",
            message.trim().replace('\n', ", "),
        );
        if problems.len() + 1 == MAX_SYNTAX {
            problems.push(problem.help(format!(
                "there are up to {} syntax errors more in this file",
                sorted.len() - n - 1
            )));
            break;
        }
        problems.push(problem);
    }
    problems
}

/// The tables in which syntax errors stand, as ranges: from a header to the next.
fn broken_blocks(text: &str, errors: &[toml::de::Error]) -> Vec<Range<usize>> {
    // Each block is searched from its error on, so a file full of errors counts as broken
    // throughout.
    const MANY: usize = 100;
    if errors.len() > MANY {
        return std::iter::once(0..text.len() + 1).collect();
    }
    errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or(0..text.len());
            let start = text
                .get(..span.start)
                .and_then(|before| before.rfind("\n["))
                .map_or(0, |at| at + 1);
            let end = text
                .get(span.end..)
                .and_then(|after| after.find("\n["))
                .map_or(text.len() + 1, |at| span.end + at + 1);
            start..end
        })
        .collect()
}

fn origin(file: u32, span: Range<usize>) -> Origin {
    Origin { file, start: span.start as u32, end: span.end as u32 }
}

// -------------------------------------------------------------------------------------------------
// tables

pub(super) type Key<'i> = Spanned<DeString<'i>>;
pub(super) type Item<'i> = Spanned<DeValue<'i>>;

const HEAD: [&str; 6] = ["project", "api", "secrets", "limits", "parity", "notify"];
const TABLES: [&str; 3] = ["app", "profile", "keyset"];
const OF_KEYSET: [&str; 5] = ["app", "profiles", "protect", "freeze", "moved"];
/// Keys that are no fields, of a keyset and of a profile.
const OF_BOTH: [&str; 3] = ["ignore", "rotate", "push"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Profile,
    Keyset,
}

/// Reads one file. `[secrets]` is read in `secrets`, `[[parity]]` in `parity`, `[notify]` in
/// `notify`.
pub(super) struct FileReader<'p> {
    file: u32,
    pub(super) out: &'p mut Parsed,
}

impl FileReader<'_> {
    pub(super) fn at(&self, span: Range<usize>) -> Origin {
        origin(self.file, span)
    }

    pub(super) fn report(&mut self, problem: Problem) {
        self.out.problems.push(problem);
    }

    fn top(&mut self, tree: &DeTable<'_>) {
        for (key, item) in tree {
            let word = key.get_ref().as_ref();
            if HEAD.contains(&word) && self.file != 0 {
                let problem = Problem::new(
                    codes::MISPLACED,
                    self.at(key.span()),
                    format!("`[{word}]` in an included file"),
                    "belongs in keyform.toml",
                )
                .help("included files hold `app`, `profile` and `keyset` tables only");
                self.report(problem);
                continue;
            }
            if !HEAD.contains(&word) && !TABLES.contains(&word) {
                self.unknown_key(
                    key,
                    "table",
                    TABLES
                        .iter()
                        .chain(if self.file == 0 { HEAD.iter() } else { [].iter() })
                        .copied(),
                );
                continue;
            }
            if word == "parity" {
                self.parity(item);
                continue;
            }
            let Some(table) = self.table(word, item) else {
                // Whatever was meant to stand there: references to it are not wrong because of it.
                self.out.broken.insert(self.file);
                continue;
            };
            match word {
                "project" => self.project(key, table),
                "api" => self.api(table),
                "secrets" => self.secrets(table),
                "limits" => self.limits(table),
                "notify" => self.notify(self.at(key.span()), table),
                "app" => self.labelled(word, table, Self::app),
                "profile" => self.labelled(word, table, |reader, label, at, table| {
                    let body = reader.settings(table, Owner::Profile, &mut |_, _, _| {});
                    if let Some(label) = label {
                        reader.out.profiles.push(ProfileTable { label, origin: at, body });
                    }
                }),
                _ => self.labelled(word, table, Self::keyset),
            }
        }
    }

    /// Every `[word.LABEL]`.
    fn labelled(
        &mut self,
        word: &str,
        table: &DeTable<'_>,
        mut each: impl FnMut(&mut Self, Option<Label>, Origin, &DeTable<'_>),
    ) {
        for (key, item) in table {
            let text = key.get_ref().as_ref();
            let at = self.at(key.span());
            let Some(table) = self.table(&format!("{word}.{}", clip(text)), item) else {
                self.out.spoiled.insert(text.into());
                continue;
            };
            let label = match Label::parse(text) {
                Ok(label) => Some(label),
                Err(bad) => {
                    self.out.spoiled.insert(text.into());
                    let problem = Problem::new(
                        codes::BAD_LABEL,
                        at,
                        format!("bad label {}", Quoted(text)),
                        bad.to_string(),
                    )
                    .help(
                        "a label is 1 to 128 of `a-z A-Z 0-9 . _ -` and starts with a letter \
                               or digit",
                    );
                    self.report(problem);
                    None
                }
            };
            each(self, label, at, table);
        }
    }

    fn app(&mut self, label: Option<Label>, at: Origin, table: &DeTable<'_>) {
        let mut source = Given::Absent;
        let mut both = false;
        let (mut moved, mut freeze) = (Vec::new(), None);
        for (key, item) in table {
            let given = match key.get_ref().as_ref() {
                "name" => self.string("name", item).and_then(|(text, origin)| {
                    match bad_text(text, NAME_MAX) {
                        None => Some(AppSource::Managed { name: text.into(), origin }),
                        Some(why) => {
                            self.report(Problem::new(
                                codes::BAD_TEXT,
                                origin,
                                "bad text for `name`",
                                why,
                            ));
                            None
                        }
                    }
                }),
                "id" => {
                    self.string("id", item).and_then(|(text, origin)| match AppId::parse(text) {
                        Ok(id) => Some(AppSource::Existing { id, origin }),
                        Err(bad) => {
                            self.report(Problem::new(
                                codes::BAD_LABEL,
                                origin,
                                format!("bad app id {}", Quoted(text)),
                                bad.to_string(),
                            ));
                            None
                        }
                    })
                }
                "moved" => {
                    moved = self.moved(item);
                    continue;
                }
                "freeze" => {
                    freeze = self.freeze(item);
                    continue;
                }
                _ => {
                    // Probably a slip for one of the two: do not also say that it is missing.
                    if self.unknown_key(
                        key,
                        "key in `[app.LABEL]`",
                        ["name", "id", "freeze", "moved"],
                    ) && matches!(source, Given::Absent)
                    {
                        source = Given::Rejected;
                    }
                    continue;
                }
            };
            both |= matches!(source, Given::Is(_)) && given.is_some();
            source = given.map_or(Given::Rejected, Given::Is);
        }
        let missing = matches!(source, Given::Absent);
        if missing || both {
            let label = if both { "has both" } else { "has neither" };
            let problem = Problem::new(
                codes::APP_SOURCE,
                at,
                "an app needs either a name or an id",
                label,
            )
            .help(
                "`name = \"...\"` lets keyform create the app, `id = \"...\"` refers to one \
                       that exists",
            );
            self.report(problem);
        }
        if let Some(label) = label {
            let source = match source {
                Given::Is(source) if !both => Some(source),
                _ => None,
            };
            self.out.apps.push(AppTable { label, origin: at, source, moved, freeze });
        }
    }

    /// `moved = { from = "old" }`, or several, newest first.
    fn moved(&mut self, item: &Item<'_>) -> Vec<Word> {
        let mut words = Vec::new();
        let Some(table) = self.table("moved", item) else { return words };
        for (key, item) in table {
            if key.get_ref() != "from" {
                self.unknown_key(key, "key in `moved`", ["from"]);
                continue;
            }
            let given = match item.get_ref().as_str() {
                Some(text) => Some(vec![Word { text: text.into(), origin: self.at(item.span()) }]),
                None => self.strings("moved.from", item),
            };
            for word in given.into_iter().flatten() {
                match Label::parse(&word.text) {
                    Ok(_) => words.push(word),
                    Err(bad) => {
                        let title = format!("bad label {}", Quoted(&word.text));
                        self.report(
                            Problem::new(codes::BAD_LABEL, word.origin, title, bad.to_string())
                                .help("no keyset ever had this label"),
                        );
                    }
                }
            }
        }
        words
    }

    fn keyset(&mut self, label: Option<Label>, at: Origin, table: &DeTable<'_>) {
        let (mut app, mut profiles, mut protect, mut freeze) =
            (Given::Absent, Vec::new(), None, None);
        let (mut moved, mut torn) = (Vec::new(), false);
        let mut body = self.settings(table, Owner::Keyset, &mut |reader, key, item| match key {
            "app" => {
                app = match reader.string(key, item) {
                    Some((text, origin)) => Given::Is(Word { text: text.into(), origin }),
                    None => Given::Rejected,
                }
            }
            "profiles" => match reader.strings(key, item) {
                Some(words) => profiles = words,
                None => torn = true,
            },
            "moved" => moved = reader.moved(item),
            "freeze" => freeze = reader.freeze(item),
            _ => protect = reader.flag(key, item),
        });
        body.torn |= torn;
        match label {
            Some(label) => self.out.keysets.push(KeysetTable {
                label,
                origin: at,
                app,
                profiles,
                protect,
                freeze,
                moved,
                body,
            }),
            None => self.out.mentioned.extend(profiles.into_iter().map(|word| word.text)),
        }
    }

    /// The fields of a profile or keyset; `own` takes the keys that are no fields.
    fn settings(
        &mut self,
        table: &DeTable<'_>,
        owner: Owner,
        own: &mut dyn FnMut(&mut Self, &str, &Item<'_>),
    ) -> Body {
        let mut body = Body::default();
        for (key, item) in table {
            let word = key.get_ref().as_ref();
            if OF_KEYSET.contains(&word) {
                match owner {
                    Owner::Keyset => own(self, word, item),
                    Owner::Profile => self.misplaced(
                        key,
                        "not part of a profile",
                        &format!("write `{word}` in `[keyset.LABEL]`"),
                    ),
                }
            } else if word == "ignore" {
                let ignored = self.ignored(item);
                body.ignored.extend(ignored);
            } else if word == "rotate" {
                body.rotate = self.rotate(item);
            } else if word == "push" {
                body.push = self.push(item);
            } else if let Some((index, section)) =
                SECTIONS.iter().enumerate().find(|(_, s)| s.call == Call::Config && s.name == word)
            {
                match self.table(section.name, item) {
                    Some(fields) => self.section(&mut body, index, fields),
                    None => body.torn = true,
                }
            } else if let Some(id) = identity().and_then(|section| FieldId::within(section, word)) {
                if id.field().life == Life::Fixed {
                    self.misplaced(
                        key,
                        "comes from the app",
                        "write `app = \"LABEL\"` and declare `[app.LABEL]`",
                    );
                } else if owner == Owner::Profile && Some(id) != kind_of_keyset() {
                    self.misplaced(
                        key,
                        "not part of a profile",
                        &format!("write `{word}` in `[keyset.LABEL]`"),
                    );
                } else {
                    self.field(&mut body, id, item);
                }
            } else {
                body.torn |= self.unknown_in_settings(key, item, owner);
            }
        }
        body.settings.shrink_to_fit();
        body
    }

    /// `ignore = ["presence.interval", { field = "files", reason = "..." }]`: fields, or sections
    /// with all of theirs.
    pub(super) fn ignored(&mut self, item: &Item<'_>) -> Vec<Ignored> {
        let mut all = Vec::new();
        let Some(array) = item.get_ref().as_array() else {
            self.wrong_type("ignore", "an array of field names", item, None);
            return all;
        };
        for item in array {
            let (mut field, mut reason) = (None, None);
            if item.get_ref().is_table() {
                let Some(table) = self.table("ignore", item) else { continue };
                for (key, item) in table {
                    match key.get_ref().as_ref() {
                        "field" => field = self.string("ignore.field", item),
                        "reason" => reason = self.string("ignore.reason", item),
                        _ => _ = self.unknown_key(key, "key in `ignore`", ["field", "reason"]),
                    }
                }
                if field.is_none() && table.get("field").is_none() {
                    let problem = Problem::new(
                        codes::MISSING_KEY,
                        self.at(item.span()),
                        "`ignore` without a field",
                        "names no field",
                    );
                    self.report(problem.help("add `field = \"...\"`"));
                }
            } else {
                field = self.string("ignore", item);
            }
            if let Some((text, at)) = reason.filter(|(text, _)| bad_text(text, NAME_MAX).is_some())
            {
                let why = bad_text(text, NAME_MAX).unwrap_or_default();
                self.report(Problem::new(codes::BAD_TEXT, at, "bad text for `ignore.reason`", why));
                continue;
            }
            let Some((text, origin)) = field else { continue };
            let fields = named_fields(text);
            if fields.is_empty() {
                self.no_such_field(text, origin);
            }
            let reason = reason.map(|(text, _)| text.into());
            all.extend(fields.into_iter().map(|field| Ignored {
                field,
                reason: reason.clone(),
                origin,
            }));
        }
        all
    }

    fn no_such_field(&mut self, text: &str, at: Origin) {
        let problem = Problem::new(
            codes::UNKNOWN_FIELD,
            at,
            format!("unknown field {}", Quoted(text)),
            "not known to the Admin API",
        );
        let names: Vec<String> =
            FieldId::all().filter(|id| ignorable(*id)).map(|id| id.to_string()).collect();
        let near = self.out.nearest.of(text, names.iter().map(String::as_str)).map(str::to_owned);
        self.report(match near {
            Some(near) => {
                problem.help(format!("did you mean `{near}`?")).fix(at, format!("\"{near}\""))
            }
            None => problem.help(
                "a field is named as in `files.retention`; a section stands for all of its \
                       fields; beside them `name` and `type`",
            ),
        });
    }

    /// `rotate = { every = "90d", overlap = "24h" }`, or `false` where a profile says otherwise.
    fn rotate(&mut self, item: &Item<'_>) -> Option<Option<Rotate>> {
        if item.get_ref().as_bool() == Some(false) {
            return Some(None);
        }
        let table = self.table("rotate", item)?;
        let (mut every, mut overlap) = (None, None);
        for (key, value) in table {
            let word = key.get_ref().as_ref();
            if !["every", "overlap"].contains(&word) {
                self.unknown_key(key, "key in `rotate`", ["every", "overlap"]);
                continue;
            }
            let (text, at) = self.string(&format!("rotate.{word}"), value)?;
            let Some(parsed) = duration::parse(text) else {
                let problem = Problem::new(
                    codes::OUT_OF_RANGE,
                    at,
                    format!("wrong value for `rotate.{word}`"),
                    "not a duration",
                );
                self.report(problem.help(
                    "days, hours, minutes or seconds: \"90d\", \"24h\", \"15m\", \"1h 30m\"",
                ));
                return None;
            };
            *(if word == "every" { &mut every } else { &mut overlap }) = Some((parsed, at));
        }
        let origin = self.at(item.span());
        let (Some((every, _)), Some((overlap, at))) = (every, overlap) else {
            let problem = Problem::new(
                codes::MISSING_KEY,
                origin,
                "`rotate` needs `every` and `overlap`",
                "one of them is missing",
            );
            self.report(
                problem.help("for example `rotate = { every = \"90d\", overlap = \"24h\" }`"),
            );
            return None;
        };
        let range = duration::OVERLAP_MIN..=duration::OVERLAP_MAX;
        if !range.contains(&overlap) || overlap >= every {
            let label = if range.contains(&overlap) {
                "as long as `every`, or longer"
            } else {
                "allowed: 60s to 366d"
            };
            let problem =
                Problem::new(codes::OUT_OF_RANGE, at, "wrong value for `rotate.overlap`", label);
            self.report(problem.help("the key of before ends before the next one is due"));
            return None;
        }
        Some(Some(Rotate { every, overlap, origin }))
    }

    /// `push.SERVICE = { file = "...", ... }`
    fn push(&mut self, item: &Item<'_>) -> Vec<DeclaredPush> {
        let mut all = Vec::new();
        let Some(table) = self.table("push", item) else { return all };
        for (key, item) in table {
            let Some(push) = Push::find(key.get_ref()) else {
                self.unknown_key(key, "key in `push`", PUSH.iter().map(|call| call.section));
                continue;
            };
            let path = format!("push.{push}");
            let Some(table) = self.table(&path, item) else { continue };
            let (mut file, mut texts, mut wrong) = (None, PushTexts::new(), false);
            for (key, item) in table {
                let word = key.get_ref().as_ref();
                let known = push.call().texts.iter().find(|text| **text == word);
                if word != "file" && known.is_none() {
                    let names = std::iter::once("file").chain(push.call().texts.iter().copied());
                    wrong |= self.unknown_key(
                        key,
                        &format!("key in `{path}`"),
                        names.collect::<Vec<_>>(),
                    );
                    continue;
                }
                let Some((text, at)) = self.string(&format!("{path}.{word}"), item) else {
                    wrong = true;
                    continue;
                };
                if let Some(why) = bad_text(text, NAME_MAX) {
                    self.report(Problem::new(
                        codes::BAD_TEXT,
                        at,
                        format!("bad text for `{path}.{word}`"),
                        why,
                    ));
                    wrong = true;
                } else if known.is_some() {
                    texts.insert(word.into(), text.into());
                } else if is_inside(text) {
                    file = Some((text, at));
                } else {
                    let problem = Problem::new(
                        codes::OUTSIDE,
                        at,
                        "a file outside the project",
                        "leads out of the project's folder",
                    );
                    self.report(problem.help(
                        "the file's path is relative to the project, without `..`; \
                                      copy it there, and keep it out of git",
                    ));
                    wrong = true;
                }
            }
            let missing: Vec<&str> = push
                .call()
                .texts
                .iter()
                .copied()
                .filter(|text| !texts.contains_key(*text))
                .collect();
            match file {
                _ if wrong => {}
                Some((file, origin)) if missing.is_empty() => {
                    texts.extend([DeclaredPush::filename(file)]);
                    all.push(DeclaredPush { push, file: file.into(), texts, origin });
                }
                file => {
                    let missing = file
                        .is_none()
                        .then_some("file")
                        .into_iter()
                        .chain(missing)
                        .map(|name| format!("`{name}`"));
                    let title = format!("`{path}` is not whole");
                    let label = format!("missing: {}", missing.collect::<Vec<_>>().join(", "));
                    let problem =
                        Problem::new(codes::MISSING_KEY, self.at(key.span()), title, label);
                    self.report(
                        problem.help("an upload replaces all that is there, so it needs all of it"),
                    );
                }
            }
        }
        all.sort_by_key(|declared| declared.push);
        all
    }

    fn section(&mut self, body: &mut Body, section: usize, fields: &DeTable<'_>) {
        for (key, item) in fields {
            match FieldId::within(section, key.get_ref()) {
                Some(id) => self.field(body, id, item),
                None => self.unknown_field(body, section, key),
            }
        }
    }

    fn field(&mut self, body: &mut Body, id: FieldId, item: &Item<'_>) {
        let at = self.at(item.span());
        let rejected = match scalar(item.get_ref()) {
            Scalar::Is(value) => match body.settings.set(id, value, at) {
                Ok(()) => return,
                Err(rejected) => rejected,
            },
            Scalar::Huge => {
                body.rejected.push(id);
                return self.huge(&id.to_string(), at);
            }
            // No scalar: asking for null tells what would have been right.
            Scalar::None => match id.field().accept(Value::Null) {
                Err(rejected) => rejected,
                Ok(_) => Rejected::OutOfRange,
            },
        };
        body.rejected.push(id);
        match rejected {
            Rejected::WrongType { expected } => {
                self.wrong_type(&id.to_string(), expected, item, unquoted(id, item.get_ref()))
            }
            Rejected::OutOfRange => self.out_of_range(id, item),
            Rejected::BadText(why) => {
                let problem =
                    Problem::new(codes::BAD_TEXT, at, format!("bad text for `{id}`"), why)
                        .help(format!("allowed: {}", id.field().legal()));
                self.report(problem);
            }
            Rejected::ReadOnly => {
                let problem = Problem::new(
                    codes::READ_ONLY,
                    at,
                    format!("`{id}` cannot be set"),
                    "only the server writes it",
                )
                .help("remove the line");
                self.report(problem);
            }
        }
    }

    // ---------------------------------------------------------------------------------------------
    // the head

    fn project(&mut self, key: &Key<'_>, table: &DeTable<'_>) {
        self.out.head.project = Some(self.at(key.span()));
        for (key, item) in table {
            match key.get_ref().as_ref() {
                "name" => {
                    self.out.head.name = match self
                        .string("project.name", item)
                        .map(|(text, at)| (ProjectName::parse(text), text, at))
                    {
                        Some((Ok(name), ..)) => Given::Is(name),
                        Some((Err(bad), text, at)) => {
                            let problem = Problem::new(
                                codes::BAD_LABEL,
                                at,
                                format!("bad project name {}", Quoted(text)),
                                bad.to_string(),
                            )
                            .help(
                                "a name is 1 to 128 of `a-z A-Z 0-9 . _ -` and starts with a \
                                       letter or digit",
                            );
                            self.report(problem);
                            Given::Rejected
                        }
                        None => Given::Rejected,
                    }
                }
                "include" => match self.strings("project.include", item) {
                    Some(words) => self.out.head.include = words,
                    None => _ = self.out.broken.insert(self.file),
                },
                "freeze" => self.out.head.freeze = self.freeze(item),
                _ => _ = self.unknown_key(key, "key in `[project]`", ["name", "include", "freeze"]),
            }
        }
    }

    fn api(&mut self, table: &DeTable<'_>) {
        for (key, item) in table {
            match key.get_ref().as_ref() {
                "endpoint" => {
                    let Some((text, at)) = self.string("api.endpoint", item) else { continue };
                    match check_endpoint(text) {
                        Ok(endpoint) => self.out.head.api.endpoint = Some((endpoint, at)),
                        Err(why) => self.report(
                            Problem::new(codes::BAD_ENDPOINT, at, "bad endpoint", why).help(
                                "an endpoint is `https://host`, or `http://127.0.0.1:PORT` \
                                       on this machine, without path",
                            ),
                        ),
                    }
                }
                "version" => {
                    let Some((text, at)) = self.string("api.version", item) else { continue };
                    match ApiVersion::parse(text) {
                        Ok(version) => {
                            if !ApiVersion::KNOWN.contains(&text) {
                                let problem = Problem::new(
                                    codes::UNKNOWN_VERSION,
                                    at,
                                    format!("unknown API version {}", Quoted(text)),
                                    "not seen so far",
                                )
                                .help(format!(
                                    "known: {}; the default is {}",
                                    ApiVersion::KNOWN.join(", "),
                                    ApiVersion::DEFAULT
                                ));
                                self.report(problem);
                            }
                            self.out.head.api.version = version;
                        }
                        Err(bad) => self.report(
                            Problem::new(
                                codes::BAD_VERSION,
                                at,
                                format!("bad API version {}", Quoted(text)),
                                bad.to_string(),
                            )
                            .help(format!("known: {}", ApiVersion::KNOWN.join(", "))),
                        ),
                    }
                }
                "tier" => {
                    let Some((text, at)) = self.string("api.tier", item) else { continue };
                    match Tier::parse(text) {
                        Some(tier) => {
                            self.out.head.api.tier = Some(tier);
                            self.out.head.tier = Some(at);
                        }
                        None => {
                            let names = Tier::ALL.map(Tier::name);
                            self.not_in_list("api.tier", text, &names, at);
                        }
                    }
                }
                _ => _ = self.unknown_key(key, "key in `[api]`", ["endpoint", "version", "tier"]),
            }
        }
    }

    /// Numbers, or shares of what is managed: `delete = 2`, `update = "10%"`.
    fn limits(&mut self, table: &DeTable<'_>) {
        for (key, item) in table {
            let Some(bounded) = Bounded::find(key.get_ref().as_ref()) else {
                self.unknown_key(key, "key in `[limits]`", Bounded::ALL.map(Bounded::name));
                continue;
            };
            let path = format!("limits.{}", bounded.name());
            let at = self.at(item.span());
            let budget = match item.get_ref().as_str() {
                Some(text) => match Budget::parse(text) {
                    Some(Budget::Count(_)) => {
                        self.wrong_type(
                            &path,
                            "an integer or a percentage",
                            item,
                            Some(text.to_owned()),
                        );
                        continue;
                    }
                    share => share,
                },
                None => {
                    let Some(limit) = self.integer(&path, item) else { continue };
                    usize::try_from(limit).ok().map(Budget::Count)
                }
            };
            match budget {
                Some(budget) => _ = self.out.head.limits.insert(bounded, (budget, at)),
                None => {
                    let problem = Problem::new(
                        codes::OUT_OF_RANGE,
                        at,
                        format!("wrong value for `{path}`"),
                        "allowed: 0 or more",
                    );
                    self.report(
                        problem.help("or a share of the keysets that the state records: \"10%\""),
                    );
                }
            }
        }
    }

    /// `freeze = "reason"`
    fn freeze(&mut self, item: &Item<'_>) -> Option<Freeze> {
        let (text, origin) = self.string("freeze", item)?;
        if let Some(why) = bad_text(text, NAME_MAX) {
            self.report(
                Problem::new(codes::BAD_TEXT, origin, "bad text for `freeze`", why)
                    .help("say why it may not be changed, and until when"),
            );
            return None;
        }
        Some(Freeze { reason: text.into(), origin })
    }

    // ---------------------------------------------------------------------------------------------
    // values

    pub(super) fn table<'t, 'i>(
        &mut self,
        path: &str,
        item: &'t Item<'i>,
    ) -> Option<&'t DeTable<'i>> {
        let table = item.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(path, "a table", item, None);
        }
        table
    }

    pub(super) fn string<'t>(
        &mut self,
        path: &str,
        item: &'t Item<'_>,
    ) -> Option<(&'t str, Origin)> {
        let Some(text) = item.get_ref().as_str() else {
            self.wrong_type(path, "a string", item, None);
            return None;
        };
        Some((text, self.at(item.span())))
    }

    /// A list of strings; `None` if any part of it was rejected.
    pub(super) fn strings(&mut self, path: &str, item: &Item<'_>) -> Option<Vec<Word>> {
        let Some(array) = item.get_ref().as_array() else {
            let raw = item
                .get_ref()
                .as_str()
                .filter(|text| plain(text))
                .map(|text| format!("[\"{text}\"]"));
            self.wrong_type(path, "an array of strings", item, raw);
            return None;
        };
        let words: Vec<Option<Word>> = array
            .iter()
            .map(|item| {
                self.string(path, item).map(|(text, origin)| Word { text: text.into(), origin })
            })
            .collect();
        words.into_iter().collect()
    }

    pub(super) fn integer(&mut self, path: &str, item: &Item<'_>) -> Option<i64> {
        match scalar(item.get_ref()) {
            Scalar::Is(Value::Int(integer)) => return Some(integer),
            Scalar::Huge => self.huge(path, self.at(item.span())),
            _ => {
                let fix = item
                    .get_ref()
                    .as_str()
                    .filter(|text| text.parse::<u32>().is_ok())
                    .map(str::to_owned);
                self.wrong_type(path, "an integer", item, fix);
            }
        }
        None
    }

    fn flag(&mut self, path: &str, item: &Item<'_>) -> Option<bool> {
        let flag = item.get_ref().as_bool();
        if flag.is_none() {
            let fix = item
                .get_ref()
                .as_str()
                .filter(|text| text.parse::<bool>().is_ok())
                .map(str::to_owned);
            self.wrong_type(path, "a boolean", item, fix);
        }
        flag
    }

    // ---------------------------------------------------------------------------------------------
    // problems

    pub(super) fn wrong_type(
        &mut self,
        path: &str,
        expected: &str,
        item: &Item<'_>,
        fix: Option<String>,
    ) {
        let at = self.at(item.span());
        let label = format!("expected {expected}, found {}", type_name(item.get_ref()));
        let mut problem =
            Problem::new(codes::WRONG_TYPE, at, format!("wrong type for `{path}`"), label);
        if let Some(fix) = fix {
            let help =
                if fix.starts_with('[') { "write it as a list" } else { "write it without quotes" };
            problem = problem.help(help).fix(at, fix);
        }
        self.report(problem);
    }

    fn huge(&mut self, path: &str, at: Origin) {
        let problem = Problem::new(
            codes::HUGE_INTEGER,
            at,
            format!("wrong value for `{path}`"),
            "does not fit into 64 bits",
        );
        self.report(problem);
    }

    fn out_of_range(&mut self, id: FieldId, item: &Item<'_>) {
        let (field, at) = (id.field(), self.at(item.span()));
        if let (Kind::Choice(words), Some(text)) = (field.kind, item.get_ref().as_str()) {
            // A field that takes any text says nothing about where this one belongs.
            let listed = |other: &FieldId| matches!(other.field().kind, Kind::Choice(words) if words.contains(&text));
            let elsewhere = same_name_elsewhere(id).find(listed);
            return match elsewhere {
                Some(other) => {
                    let label = format!("{} is a value of `{other}`", Quoted(text));
                    self.report(
                        Problem::new(
                            codes::OUT_OF_RANGE,
                            at,
                            format!("wrong value for `{id}`"),
                            label,
                        )
                        .help(format!("allowed for `{id}`: {}", field.legal())),
                    );
                }
                None => self.not_in_list(&id.to_string(), text, words, at),
            };
        }
        let unit = field.unit.map(|unit| format!(" {unit}")).unwrap_or_default();
        let note = field.note.map(|note| format!(" ({note})")).unwrap_or_default();
        let mut problem = Problem::new(
            codes::OUT_OF_RANGE,
            at,
            format!("wrong value for `{id}`"),
            format!("allowed: {}{unit}{note}", field.legal()),
        );
        if let (Kind::OneOf(values), Scalar::Is(Value::Int(i))) =
            (field.kind, scalar(item.get_ref()))
            && let Some(near) = values.iter().min_by_key(|v| v.abs_diff(i))
        {
            problem = problem.help(format!("the nearest is {near}"));
        }
        self.report(problem);
    }

    pub(super) fn not_in_list(
        &mut self,
        path: &str,
        text: &str,
        words: &[&'static str],
        at: Origin,
    ) {
        let list: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let mut problem = Problem::new(
            codes::OUT_OF_RANGE,
            at,
            format!("wrong value for `{path}`"),
            format!("allowed: {}", list.join(", ")),
        );
        if let Some(near) = self.out.nearest.of(text, words.iter().copied()) {
            problem =
                problem.help(format!("did you mean `{near}`?")).fix(at, format!("\"{near}\""));
        }
        self.report(problem);
    }

    fn misplaced(&mut self, key: &Key<'_>, label: &str, help: &str) {
        let problem = Problem::new(
            codes::MISPLACED,
            self.at(key.span()),
            format!("{} is not allowed here", Quoted(key.get_ref())),
            label,
        )
        .help(help);
        self.report(problem);
    }

    /// Says whether there was a near name.
    pub(super) fn unknown_key<'a>(
        &mut self,
        key: &Key<'_>,
        what: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let names: Vec<&str> = names.into_iter().collect();
        let at = self.at(key.span());
        let mut problem = Problem::new(
            codes::UNKNOWN_KEY,
            at,
            format!("unknown {what}: {}", Quoted(key.get_ref())),
            "not known to keyform",
        );
        let near = self.out.nearest.of(key.get_ref(), names.iter().copied());
        problem = match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")).fix(at, near),
            None => problem.help(format!(
                "known: {}",
                names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
            )),
        };
        self.report(problem);
        near.is_some()
    }

    /// A key in a profile or keyset that is neither section nor field. Says whether something may
    /// be missing because of it.
    fn unknown_in_settings(&mut self, key: &Key<'_>, item: &Item<'_>, owner: Owner) -> bool {
        let word = key.get_ref().as_ref();
        let at = self.at(key.span());
        let sections = SECTIONS.iter().filter(|s| s.call == Call::Config).map(|s| s.name);
        if item.get_ref().is_table() {
            let mut problem = Problem::new(
                codes::UNKNOWN_KEY,
                at,
                format!("unknown section {}", Quoted(word)),
                "not known to the Admin API",
            );
            problem = match self.out.nearest.of(word, sections.clone()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")).fix(at, near),
                None => problem.help(format!(
                    "sections: {}",
                    sections.map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", ")
                )),
            };
            self.report(problem);
            return true;
        }
        let own = OF_KEYSET.iter().copied().filter(|_| owner == Owner::Keyset).chain(OF_BOTH);
        let identity = FieldId::all().filter(|id| {
            id.section().call == Call::Keyset
                && id.field().life != Life::Fixed
                && (owner == Owner::Keyset || Some(*id) == kind_of_keyset())
        });
        let names: Vec<&str> = own.chain(identity.map(|id| id.field().name)).collect();
        let mut problem = Problem::new(
            codes::UNKNOWN_KEY,
            at,
            format!("unknown key {}", Quoted(word)),
            "not known to keyform",
        );
        let mut slip = false;
        if let Some(near) = self.out.nearest.of(word, names.iter().copied()) {
            problem = problem.help(format!("did you mean `{near}`?")).fix(at, near);
            slip = true;
        } else if let Some(help) = self.in_sections(word, |_| true) {
            problem = problem.help(help);
        } else {
            problem = problem.help(format!(
                "known here: {}, and sections",
                names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
            ));
        }
        self.report(problem);
        slip
    }

    fn unknown_field(&mut self, body: &mut Body, index: usize, key: &Key<'_>) {
        let Some(section) = SECTIONS.get(index) else { return };
        let word = key.get_ref().as_ref();
        let at = self.at(key.span());
        let mut problem = Problem::new(
            codes::UNKNOWN_FIELD,
            at,
            format!("unknown field in `{}`: {}", section.name, Quoted(word)),
            "not known to the Admin API",
        );
        if let Some(near) = self.out.nearest.of(word, section.fields.iter().map(|f| f.name)) {
            problem = problem.help(format!("did you mean `{near}`?")).fix(at, near);
            body.rejected.extend(FieldId::within(index, near));
        } else if let Some(help) = self.in_sections(word, |other| other != index) {
            problem = problem.help(help);
        } else {
            let known: Vec<String> = section
                .fields
                .iter()
                .filter(|f| f.life != Life::ReadOnly)
                .map(|f| format!("`{}`", f.name))
                .collect();
            problem = problem.help(match known.is_empty() {
                true => format!("`{}` has no field that can be set", section.name),
                false => format!("fields of `{}`: {}", section.name, known.join(", ")),
            });
        }
        self.report(problem);
    }

    /// "did you mean" among the fields of the sections that `among` wants.
    fn in_sections(&mut self, word: &str, among: impl Fn(usize) -> bool) -> Option<String> {
        let fields: Vec<FieldId> = SECTIONS
            .iter()
            .enumerate()
            .filter(|(index, section)| section.call == Call::Config && among(*index))
            .flat_map(|(index, section)| {
                section.fields.iter().filter_map(move |field| FieldId::within(index, field.name))
            })
            .filter(|id| id.field().life != Life::ReadOnly)
            .collect();
        let near = self.out.nearest.of(word, fields.iter().map(|id| id.field().name))?;
        let places: Vec<String> = fields
            .iter()
            .filter(|id| id.field().name == near)
            .map(|id| format!("`{id}`"))
            .collect();
        // `enabled` is in nearly every section: a list of all of them helps nobody.
        (places.len() <= 3).then(|| format!("did you mean {}?", places.join(" or ")))
    }
}

/// What may be left to others: what an update could change.
fn ignorable(id: FieldId) -> bool {
    matches!(id.field().life, Life::Mutable | Life::OnceSet)
}

/// The fields that a name stands for: one, or all of a section.
fn named_fields(text: &str) -> Vec<FieldId> {
    FieldId::all()
        .filter(|id| {
            ignorable(*id)
                && (id.to_string() == text
                    || (id.section().call == Call::Config && id.section().name == text))
        })
        .collect()
}

/// Index of the section whose fields stand directly in `[keyset.LABEL]`.
fn identity() -> Option<usize> {
    SECTIONS.iter().position(|section| section.call == Call::Keyset)
}

/// The one field of a keyset's own that a profile may hold.
pub(super) fn kind_of_keyset() -> Option<FieldId> {
    FieldId::find("keyset", "type")
}

fn same_name_elsewhere(id: FieldId) -> impl Iterator<Item = FieldId> {
    FieldId::all().filter(move |other| *other != id && other.field().name == id.field().name)
}

enum Scalar {
    Is(Value),
    Huge,
    None,
}

fn scalar(value: &DeValue<'_>) -> Scalar {
    match value {
        DeValue::String(text) => Scalar::Is(Value::Text(text.as_ref().into())),
        DeValue::Boolean(flag) => Scalar::Is(Value::Bool(*flag)),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(int) => Scalar::Is(Value::Int(int)),
            Err(_) => Scalar::Huge,
        },
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Scalar::None
        }
    }
}

/// A quoted number or flag without its quotes, if it is then acceptable.
fn unquoted(id: FieldId, value: &DeValue<'_>) -> Option<String> {
    let text = value.as_str()?;
    let value = match id.field().kind {
        Kind::Flag => Value::Bool(text.parse().ok()?),
        Kind::Int { .. } | Kind::OneOf(_) => Value::Int(text.parse().ok()?),
        Kind::Choice(_) | Kind::Text { .. } => return None,
    };
    let value = id.field().accept(value).ok()?;
    Some(value.to_string())
}

fn plain(text: &str) -> bool {
    text.len() <= 100 && text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\')
}

fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(60)).unwrap_or("")
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
