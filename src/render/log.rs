//! The audit log for people and programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::style::{BAD, BOLD, DIM, GOOD, WARN};
use super::text::{count, terminal};
use crate::audit::{Chain, Ended, Line, Record, What};
use crate::documents::log::{Log, Recorded};
use crate::documents::to_json;

/// Flaws that are told one by one.
const MOST_FLAWS: usize = 20;
/// Hexadecimal digits of a hash that are enough for people.
const SHORT: usize = 12;

/// What is to be shown, run by run, oldest first.
pub struct Runs<'a>(Vec<Vec<(&'a Line, &'a Record)>>);

impl<'a> Runs<'a> {
    /// `labels`: only what is about these; none: all. `last`: so many runs.
    pub fn of(chain: &'a Chain, labels: &[String], last: Option<u64>) -> Runs<'a> {
        let mut order = Vec::new();
        let mut runs: BTreeMap<uuid::Uuid, Vec<(&Line, &Record)>> = BTreeMap::new();
        for line in &chain.lines {
            let Some(record) = &line.record else { continue };
            let run = runs.entry(record.run).or_insert_with(|| {
                order.push(record.run);
                Vec::new()
            });
            run.push((line, record));
        }
        let ids = ids(chain, labels);
        let mut shown: Vec<_> = order.iter().filter_map(|run| runs.remove(run)).collect();
        if !labels.is_empty() {
            shown.iter_mut().for_each(|run| only(run, labels, &ids));
            shown.retain(|run| {
                run.iter()
                    .any(|(_, record)| !matches!(record.what, What::Run { .. } | What::Plan { .. }))
            });
        }
        let from = last.map_or(0, |last| {
            shown.len().saturating_sub(usize::try_from(last).unwrap_or(usize::MAX))
        });
        Runs(shown.split_off(from))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Ids that the labels ever stood for.
fn ids<'a>(chain: &'a Chain, labels: &[String]) -> BTreeSet<&'a str> {
    let records = chain.lines.iter().filter_map(|line| line.record.as_ref());
    records
        .filter_map(|record| match &record.what {
            What::Recorded { label, id, .. }
                if labels.iter().any(|named| named == label.as_str()) =>
            {
                Some(&**id)
            }
            _ => None,
        })
        .collect()
}

/// A create has no id in its request: it is known by its name, which is the label where nothing
/// else is declared.
fn only(run: &mut Vec<(&Line, &Record)>, labels: &[String], ids: &BTreeSet<&str>) {
    let named = |label: &str| labels.iter().any(|named| named == label);
    let requests: BTreeSet<u64> = run
        .iter()
        .filter_map(|(_, record)| match &record.what {
            What::Request { request, path, body, .. } => {
                let name =
                    body.as_ref().and_then(|body| body.get("name")).and_then(|name| name.as_str());
                (path.split(['/', '?']).any(|part| ids.contains(part)) || name.is_some_and(named))
                    .then_some(*request)
            }
            _ => None,
        })
        .collect();
    run.retain(|(_, record)| match &record.what {
        What::Run { .. } | What::Plan { .. } => true,
        What::Request { request, .. } | What::Answer { request, .. } => requests.contains(request),
        What::Recorded { label, .. } | What::Forgotten { label, .. } => named(label.as_str()),
    });
}

pub fn human(chain: &Chain, runs: &Runs) -> String {
    let mut text = String::new();
    for run in &runs.0 {
        let answers: BTreeMap<u64, (Ended, Option<&str>)> = run
            .iter()
            .filter_map(|(_, record)| match &record.what {
                What::Answer { request, outcome, error } => {
                    Some((*request, (*outcome, error.as_deref())))
                }
                _ => None,
            })
            .collect();
        for (_, record) in run {
            if let Some(line) = line(record, &answers) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        text.push('\n');
    }
    let newer = chain.lines.iter().filter(|line| line.record.is_none()).count();
    if newer > 0 && chain.flaws.is_empty() {
        text.push_str(&format!("{} of a newer keyform not shown.\n", count(newer, "record")));
    }
    if chain.lines.is_empty() && chain.flaws.is_empty() {
        text.push_str("Nothing was noted yet.\n");
    } else if chain.flaws.is_empty() {
        let heads: Vec<String> = chain.heads.iter().map(ToString::to_string).collect();
        let what = count(chain.lines.len(), "record");
        text.push_str(&format!(
            "{GOOD}✓{GOOD:#} {what}, each follows from the one before. Head: {}\n",
            heads.join(", ")
        ));
    }
    text
}

fn line(record: &Record, answers: &BTreeMap<u64, (Ended, Option<&str>)>) -> Option<String> {
    Some(match &record.what {
        What::Run { command, origin, .. } => {
            let commit = origin
                .commit
                .as_ref()
                .map(|commit| format!(", commit {}", short(commit)))
                .unwrap_or_default();
            let endpoint = origin
                .endpoint
                .as_ref()
                .map(|endpoint| format!(", {}", terminal(endpoint)))
                .unwrap_or_default();
            let (actor, host, command) =
                (terminal(&origin.actor), terminal(&origin.host), terminal(command));
            format!(
                "{BOLD}{:.0}  {command}{BOLD:#}  {actor} on {host}{commit}{endpoint}",
                record.at
            )
        }
        What::Plan { hash, consent } => {
            let consent = match &**consent {
                "asked" => "agreed to at a terminal".to_owned(),
                "yes" => "agreed to by --yes".to_owned(),
                "file" => "from a saved plan".to_owned(),
                "hash" => "approved by its hash".to_owned(),
                other => terminal(other).into_owned(),
            };
            format!("  plan {}, {consent}", short(hash))
        }
        What::Request { request, method, path, body } => {
            let body = body
                .as_ref()
                .map(|body| format!(" {}", terminal(&to_json(body).to_string())))
                .unwrap_or_default();
            let ended = match answers.get(request) {
                Some((Ended::Done, _)) => format!("{GOOD}done{GOOD:#}"),
                Some((Ended::Refused, error)) => {
                    format!("{BAD}not done{BAD:#}: {}", terminal(error.unwrap_or_default()))
                }
                Some((Ended::Unknown, error)) => {
                    format!("{WARN}perhaps done{WARN:#}: {}", terminal(error.unwrap_or_default()))
                }
                None => format!("{WARN}perhaps done{WARN:#}: the run ended before it was answered"),
            };
            format!("  {} {}{DIM}{body}{DIM:#}  {ended}", terminal(method), terminal(path))
        }
        What::Answer { .. } => return None,
        What::Recorded { kind, label, id, sink, fingerprint } => {
            let secret = match (sink, fingerprint) {
                (Some(sink), Some(fingerprint)) => {
                    format!(", secret in {} ({fingerprint})", terminal(sink))
                }
                _ => String::new(),
            };
            format!("  recorded: {} {label} ({}){secret}", terminal(kind), terminal(id))
        }
        What::Forgotten { kind, label } => format!("  forgotten: {} {label}", terminal(kind)),
    })
}

fn short(hash: &str) -> String {
    terminal(&hash.chars().take(SHORT).collect::<String>()).into_owned()
}

/// What to say of a log that is not as it was written.
pub fn flaws(chain: &Chain, path: &Path) -> String {
    let mut text = format!(
        "{BAD}error{BAD:#}{BOLD}: the log {} is not as it was written{BOLD:#}\n",
        path.display()
    );
    for flaw in chain.flaws.iter().take(MOST_FLAWS) {
        text.push_str(&format!("  {flaw}\n"));
    }
    if chain.flaws.len() > MOST_FLAWS {
        text.push_str(&format!("  and {} more\n", chain.flaws.len() - MOST_FLAWS));
    }
    text.push_str(&format!(
        "  help: version control has it as it was, and who changed it: git log -p -- {}\n",
        path.display()
    ));
    text.push_str(
        "  help: if two branches were merged by hand, put back every line of both, each \
                   side's in its order",
    );
    text
}

/// The document of `--format json`.
pub fn document(chain: &Chain, runs: &Runs) -> Log {
    let records = runs
        .0
        .iter()
        .flatten()
        .map(|(line, record)| Recorded { record: line.hash, content: (*record).clone() });
    Log {
        whole: chain.flaws.is_empty(),
        heads: chain.heads.clone(),
        flaws: chain.flaws.iter().map(ToString::to_string).collect(),
        records: records.collect(),
    }
}
