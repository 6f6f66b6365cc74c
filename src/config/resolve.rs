//! Small tables -> [`Project`]: labels, references, profiles and defaults; an origin for every
//! value.

mod keyset;

use std::collections::{BTreeMap, BTreeSet};

use super::codes;
use super::mirrors;
use super::nearest::Nearest;
use super::parity::{self, ParityTable};
use super::problem::{Problem, Quoted, Severity};
use super::rules;
use super::secrets::SecretsTable;
use super::source::Sources;
use super::tables::{AppTable, Body, Checked, Head, KeysetTable, Parsed, ProfileTable, Word};
use super::{Loaded, Project};
use crate::keyset::views::{AppSource, Desired, DesiredApp, DesiredKeyset, Freeze};
use crate::keyset::{Label, Origin};

pub(super) fn finish(parsed: Parsed, sources: Sources) -> Loaded {
    let Parsed {
        head,
        apps,
        profiles,
        keysets,
        problems,
        broken,
        rejected_labels,
        named_profiles,
        nearest,
    } = parsed;
    let mut resolver = Resolver {
        sources: &sources,
        problems,
        whole: broken.is_empty(),
        broken,
        rejected_labels,
        used: named_profiles,
        nearest,
    };

    let apps = resolver.apps(apps);
    let profiles = resolver.profiles(profiles);
    let labels = labels(&head, &keysets);
    let mut keysets = resolver.keysets(keysets, &apps, &profiles, &head);
    if resolver.whole {
        resolver.project_level(&head, &apps, &profiles, &keysets);
        resolver.secrets(&head.secrets, &labels);
        resolver.parity(&head.parity, &labels, &apps, &keysets);
    }

    let problems =
        in_order(resolver.problems).into_iter().map(Problem::without_keys).collect::<Vec<_>>();
    let project = match (head.name, problems.iter().any(|p| p.severity == Severity::Error)) {
        (Checked::Valid(project), false) => {
            let (secrets, mirrors) = head.secrets.finish();
            for (label, keyset) in &mut keysets {
                keyset.mirrors = mirrors.iter().filter_map(|mirror| mirror.target(label)).collect();
            }
            Some(Project {
                desired: Desired {
                    project,
                    apps: apps.into_iter().filter_map(desired_app).collect(),
                    keysets,
                    freeze: head.freeze,
                },
                api: head.api,
                secrets,
                limits: head.limits,
                parity: head.parity.into_iter().map(ParityTable::finish).collect(),
                notify: head.notify,
            })
        }
        _ => None,
    };
    Loaded { sources, problems, project }
}

/// The labels of all keysets, for those who name them. Rejected ones too: nobody who names them is
/// wrong.
fn labels(head: &Head, keysets: &[KeysetTable]) -> BTreeSet<Label> {
    if head.secrets.github.is_empty() && head.parity.is_empty() {
        return BTreeSet::new();
    }
    keysets.iter().map(|keyset| keyset.label.clone()).collect()
}

fn desired_app((label, app): (Label, App)) -> Option<(Label, DesiredApp)> {
    let App { source, moved_from, freeze, origin } = app;
    Some((label, DesiredApp { source: source?, moved_from, freeze, origin }))
}

/// Sorted by place, errors before warnings, each mistake once: one in a profile shows in every
/// keyset that uses it.
fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| {
        (a.origin, a.severity, a.code, &a.title).cmp(&(b.origin, b.severity, b.code, &b.title))
    });
    let mut kept: Vec<(Problem, usize)> = Vec::with_capacity(problems.len());
    for problem in problems {
        match kept.last_mut() {
            Some((last, more))
                if problem.origin.is_some()
                    && (last.origin, last.code, &last.title)
                        == (problem.origin, problem.code, &problem.title) =>
            {
                *more += 1;
            }
            _ => kept.push((problem, 0)),
        }
    }
    kept.into_iter()
        .map(|(mut problem, more)| {
            if more > 0 {
                let before = problem.help.take().map(|help| help + "; ").unwrap_or_default();
                problem.help = Some(format!("{before}the same in {more} more"));
            }
            problem
        })
        .collect()
}

pub(super) struct App {
    /// `None`: rejected.
    pub source: Option<AppSource>,
    pub moved_from: Box<[Label]>,
    pub freeze: Option<Freeze>,
    pub origin: Origin,
}

pub(super) type Apps = BTreeMap<Label, App>;
pub(super) type Profiles = BTreeMap<Label, (Body, Origin)>;

struct Resolver<'a> {
    sources: &'a Sources,
    problems: Vec<Problem>,
    /// Every file was read whole: what is missing is missing.
    whole: bool,
    broken: BTreeSet<u32>,
    rejected_labels: BTreeSet<Box<str>>,
    /// Profiles that some keyset names.
    used: BTreeSet<Box<str>>,
    nearest: Nearest,
}

impl Resolver<'_> {
    fn apps(&mut self, tables: Vec<AppTable>) -> Apps {
        let mut apps = Apps::new();
        let declared: BTreeSet<Label> = tables.iter().map(|table| table.label.clone()).collect();
        let mut given = BTreeMap::new();
        for AppTable { label, origin, source, moved, freeze } in tables {
            let moved_from =
                self.moved("app", &moved, |label| declared.contains(label), &mut given);
            match apps.get(&label) {
                Some(App { origin: first, .. }) => self.duplicate("app", &label, origin, *first),
                None => _ = apps.insert(label, App { source, moved_from, freeze, origin }),
            }
        }
        apps
    }

    fn profiles(&mut self, tables: Vec<ProfileTable>) -> Profiles {
        let mut profiles = Profiles::new();
        for ProfileTable { label, origin, body } in tables {
            match profiles.get(&label) {
                Some((_, first)) => self.duplicate("profile", &label, origin, *first),
                None => _ = profiles.insert(label, (body, origin)),
            }
        }
        profiles
    }

    /// Old labels: each is of one table, and is declared no more. `given`: those that were seen
    /// before.
    fn moved(
        &mut self,
        what: &str,
        words: &[Word],
        declared: impl Fn(&Label) -> bool,
        given: &mut BTreeMap<Label, Origin>,
    ) -> Box<[Label]> {
        let mut labels = Vec::new();
        for word in words {
            let Ok(label) = Label::parse(&word.text) else { continue };
            if declared(&label) {
                let title = format!("moved from {what} `{label}`, which is declared still");
                let problem = Problem::new(
                    codes::MOVED_DECLARED,
                    word.origin,
                    title,
                    "a label stands for one of them",
                )
                .help(format!("rename `[{what}.{label}]` to this one, or take `moved` out"));
                self.problems.push(problem);
            } else if let Some(first) = given.insert(label.clone(), word.origin) {
                let title = format!("two tables are moved from {what} `{label}`");
                let place = place(self.sources, first);
                let problem = Problem::new(
                    codes::MOVED_TWICE,
                    word.origin,
                    title,
                    format!("the other is at {place}"),
                )
                .help("what was recorded under it can go to one of them only");
                self.problems.push(problem);
            } else {
                labels.push(label);
            }
        }
        labels.into()
    }

    fn project_level(
        &mut self,
        head: &Head,
        apps: &Apps,
        profiles: &Profiles,
        keysets: &BTreeMap<Label, DesiredKeyset>,
    ) {
        if matches!(head.name, Checked::Absent) {
            self.problems.push(
                Problem::new(
                    codes::NO_PROJECT_NAME,
                    head.project,
                    "the project has no name",
                    "has no `name`",
                )
                .help(
                    "add `name = \"...\"` to `[project]` in keyform.toml: it keeps secrets \
                           and state of projects apart",
                ),
            );
        }
        for (label, (_, origin)) in
            profiles.iter().filter(|(label, _)| !self.used.contains(label.as_str()))
        {
            self.problems.push(
                Problem::new(
                    codes::UNUSED_PROFILE,
                    *origin,
                    format!("profile `{label}` is not used"),
                    "no keyset names it",
                )
                .help(format!("add `profiles = [\"{label}\"]` to a keyset, or remove the profile")),
            );
        }
        let place = |origin| place(self.sources, origin);
        rules::same_app(apps, place, &mut self.problems);
        rules::same_keyset(keysets, place, &mut self.problems);
        rules::same_file(keysets, &head.secrets, place, &mut self.problems);
        rules::free_tier(keysets.len(), head, &mut self.problems);
    }

    fn secrets(&mut self, secrets: &SecretsTable, keysets: &BTreeSet<Label>) {
        rules::sinks(secrets, &mut self.problems);
        for mirror in &secrets.github {
            let Checked::Valid(words) = &mirror.keysets else { continue };
            for word in words.iter().filter(|word| {
                Label::parse(&word.text).ok().is_none_or(|label| !keysets.contains(&label))
            }) {
                self.unknown(codes::UNKNOWN_KEYSET, "keyset", word, keysets.iter());
            }
        }
        mirrors::check(
            &secrets.github,
            keysets,
            |origin| place(self.sources, origin),
            &mut self.problems,
        );
    }

    fn parity(
        &mut self,
        tables: &[ParityTable],
        labels: &BTreeSet<Label>,
        apps: &Apps,
        keysets: &BTreeMap<Label, DesiredKeyset>,
    ) {
        let known = parity::Known {
            labels,
            keysets,
            apps: apps.keys().collect(),
            rejected_labels: &self.rejected_labels,
        };
        parity::check(
            tables,
            &known,
            &mut self.nearest,
            |origin| place(self.sources, origin),
            &mut self.problems,
        );
    }

    fn duplicate(&mut self, what: &str, label: &Label, origin: Origin, first: Origin) {
        let place = place(self.sources, first);
        self.problems.push(
            Problem::new(
                codes::DUPLICATE_LABEL,
                origin,
                format!("{what} `{label}` is declared twice"),
                format!("first declared at {place}"),
            )
            .help("labels are unique in all files of a project: give one of them another label"),
        );
    }

    fn unknown<'l>(
        &mut self,
        code: codes::Code,
        what: &str,
        word: &Word,
        labels: impl Iterator<Item = &'l Label> + Clone,
    ) {
        // In a file that could not be read whole it may well be declared.
        if !self.whole || self.rejected_labels.contains(&word.text) {
            return;
        }
        let title = format!("{what} {} is not declared", Quoted(&word.text));
        let mut problem =
            Problem::new(code, word.origin, title, format!("there is no such `[{what}.LABEL]`"));
        if let Some(near) = self.nearest.of(&word.text, labels.clone().map(Label::as_str)) {
            problem = problem
                .help(format!("did you mean `{near}`?"))
                .fix(word.origin, format!("\"{near}\""));
        } else {
            const SHOWN: usize = 10;
            let shown: Vec<String> =
                labels.clone().take(SHOWN).map(|label| format!("`{label}`")).collect();
            problem = problem.help(match (shown.is_empty(), labels.count()) {
                (true, _) => format!("declare it: `[{what}.LABEL]`"),
                (false, n) if n > SHOWN => {
                    format!("declared: {} and {} more", shown.join(", "), n - SHOWN)
                }
                (false, _) => format!("declared: {}", shown.join(", ")),
            });
        }
        self.problems.push(problem);
    }
}

fn place(sources: &Sources, origin: Origin) -> String {
    sources
        .place(origin)
        .map(|at| format!("{}:{}:{}", at.path, at.line, at.column))
        .unwrap_or_default()
}
