//! What GitHub takes as the name of a repository or secret, and that no two mirrored secrets meet.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::codes;
use super::github::MirrorTable;
use super::problem::{Problem, Quoted};
use super::tables::Checked;
use crate::keyset::{Label, Origin};

/// Stands for the keyset's label.
const PLACEHOLDER: &str = "{label}";
/// Secrets of one repository or environment (GitHub's documentation, "Limits for secrets").
const SECRETS_MAX: usize = 100;

/// Repository and environment, in lower case.
type Place = (String, Option<String>);

/// The name with the label in it.
pub(super) fn fill(name: &str, label: &Label) -> String {
    let taken = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.replace(PLACEHOLDER, &label.as_str().chars().map(taken).collect::<String>())
}

/// `OWNER/NAME`, neither of them a step in a path.
pub(super) fn is_repo(text: &str) -> bool {
    let part = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
            && part.bytes().any(|b| b != b'.')
            && part.len() <= 100
    };
    text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

/// Why GitHub would not take a secret of this name.
fn bad_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        Some("may hold letters, digits and `_` only")
    } else if name.starts_with(|c: char| c.is_ascii_digit()) {
        Some("starts with a digit")
    } else if name.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("GITHUB_")) {
        Some("starts with `GITHUB_`, which GitHub keeps for itself")
    } else {
        None
    }
}

/// Every mirror's names, for the keysets it covers, and against each other. `declared`: the labels
/// of all keysets.
pub(super) fn check(
    mirrors: &[MirrorTable],
    declared: &BTreeSet<Label>,
    place: impl Fn(Origin) -> String,
    problems: &mut Vec<Problem>,
) {
    let mut taken: BTreeMap<Place, BTreeMap<String, (&Label, Origin)>> = BTreeMap::new();
    for mirror in mirrors {
        let Some((name, at)) = &mirror.name else { continue };
        let covered = covered(mirror, declared);
        if let Some(problem) = name_of(name, *at, &covered) {
            problems.push(problem);
            continue;
        }
        if covered.len() > 1 && !name.contains(PLACEHOLDER) {
            problems.push(
                Problem::new(
                    codes::ONE_NAME,
                    *at,
                    "one name for several keysets",
                    "the secrets would overwrite each other",
                )
                .help(
                    "write `{label}` where the keyset's label should stand, or name one \
                           keyset in `keysets`",
                ),
            );
            continue;
        }
        // Rejected ones are reported already.
        let (Some(repo), environment) = (&mirror.repo, &mirror.environment) else { continue };
        let environment = match environment {
            Checked::Rejected => continue,
            Checked::Absent => None,
            Checked::Valid(name) => Some(name.to_lowercase()),
        };
        let names = taken.entry((repo.to_ascii_lowercase(), environment)).or_default();
        for label in covered {
            if names.len() > SECRETS_MAX {
                break;
            }
            match names.entry(fill(name, label).to_ascii_uppercase()) {
                Entry::Occupied(first) => {
                    let (other, first_at) = *first.get();
                    let also = (first_at != *at).then(|| place(first_at));
                    problems.push(same_target(*at, first.key(), [other, label], also));
                }
                Entry::Vacant(free) => _ = free.insert((label, *at)),
            }
        }
        if names.len() > SECRETS_MAX {
            problems.push(too_many(*at));
        }
    }
}

fn too_many(at: Origin) -> Problem {
    let title = "more secrets than GitHub keeps";
    let label = format!("at most {SECRETS_MAX} in one place");
    Problem::new(codes::TOO_MANY_SECRETS, at, title, label)
        .help("name fewer `keysets`, or use several repositories or environments")
}

/// `name` is the secret of both keysets; `also`: the other one's place, if it is another.
fn same_target(at: Origin, name: &str, [a, b]: [&Label; 2], also: Option<String>) -> Problem {
    let of = if a == b { format!("keyset `{a}`") } else { format!("keysets `{a}` and `{b}`") };
    let also = also.map(|place| format!(", also at {place}")).unwrap_or_default();
    let label = format!("`{name}` of {of}{also}");
    Problem::new(codes::SAME_TARGET, at, "two secrets of one name", label)
        .help("give them different names, or mirror one of them elsewhere")
}

/// The declared keysets that a mirror covers, each once; not many more than GitHub would take.
fn covered<'d>(mirror: &MirrorTable, declared: &'d BTreeSet<Label>) -> Vec<&'d Label> {
    match &mirror.keysets {
        Checked::Absent => declared.iter().take(SECRETS_MAX + 1).collect(),
        Checked::Rejected => Vec::new(),
        Checked::Valid(words) => {
            let labels: BTreeSet<Label> =
                words.iter().filter_map(|word| Label::parse(&word.text).ok()).collect();
            labels.iter().filter_map(|label| declared.get(label)).collect()
        }
    }
}

/// The name itself first, then what becomes of it.
fn name_of(name: &str, at: Origin, covered: &[&Label]) -> Option<Problem> {
    const RULE: &str = "letters, digits and `_`, not a digit or `GITHUB_` at the start";
    let problem = |label: String| {
        Problem::new(
            codes::BAD_SECRET_NAME,
            at,
            format!("bad name of a GitHub secret: {}", Quoted(name)),
            label,
        )
    };
    let plain = name.replace(PLACEHOLDER, "X");
    if let Some(why) = bad_name(&plain) {
        let help =
            if plain.contains(['{', '}']) { "the only placeholder is `{label}`" } else { RULE };
        return Some(problem(why.to_owned()).help(help));
    }
    let (label, filled, why) = covered.iter().find_map(|label| {
        let filled = fill(name, label);
        bad_name(&filled).map(|why| (label, filled, why))
    })?;
    Some(
        problem(format!("{} for keyset `{label}` {why}", Quoted(&filled)))
            .help(format!("{RULE}: put something before `{PLACEHOLDER}`")),
    )
}
