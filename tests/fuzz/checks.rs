//! What holds whatever the bytes are. Played by cargo-fuzz (targets/) and, with the corpus, by
//! tests/it/corpus.rs.

#![allow(
    dead_code,
    clippy::disallowed_methods,
    reason = "each target uses a part of it; tests own their files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use keyform::audit::Chain;
use keyform::config::{self, Source, Sources};
use keyform::documents::problems::Problem;
use keyform::documents::to_json;
use keyform::keyset::views::Recorded;
use keyform::keyset::wire::{self, AppPage, KeysetPage};
use keyform::keyset::{Observed, ProjectName, RawAnswer};
use keyform::plan::{Inputs, Policy, check, make};
use keyform::render::saved::{PlanHash, SavedPlan};
use keyform::render::{
    github, gitlab, plan_human, plan_json, plan_markdown, problems, sarif, terraform,
};
use keyform::state::Store;
use keyform::storage::local::{Local, Paths};

/// Between the files of a project in one text: what follows is the next file.
const NEXT_FILE: &str = "#---\n";
/// What GitHub takes.
const COMMENT: usize = 65_536;

/// A project as a pull request may bring it: `keyform.toml`, then the files that it includes.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let files = text.split(NEXT_FILE).enumerate().map(|(n, text)| match n {
        0 => Source::new("keyform.toml", text),
        n => Source::new(format!("keysets/{n}.toml"), text),
    });
    let loaded = config::read(Sources { files: files.collect() });
    let (found, sources) = (&loaded.problems, &loaded.sources);
    for problem in found {
        if let Some(origin) = problem.origin {
            let source = &sources.files[origin.file as usize];
            assert!(
                origin.start <= origin.end && origin.end as usize <= source.text.len(),
                "{problem:?} is about {origin:?}"
            );
            let place = sources.place(origin).expect("a place");
            assert!(place.line >= 1 && place.column >= 1);
        }
    }
    let human = problems::human(found, sources, false);
    harmless(&human, true);
    let comment = problems::for_markdown(found, sources, "Summary.");
    assert!(comment.len() <= COMMENT, "a comment of {} bytes", comment.len());
    harmless(&comment, true);
    no_command(&github::problems(found, sources));
    let _ = (
        sarif::problems(found, sources, "0"),
        gitlab::problems(found, sources),
        to_json(&Problem::all(found, sources)),
    );

    let Some(project) = loaded.project else { return };
    let errors = found.iter().any(|problem| problem.severity == config::Severity::Error);
    assert!(!errors, "there is a project, and an error");
    let recorded = Recorded::default();
    let policy = Policy {
        allow_irreversible: false,
        targets: None,
        recreate: BTreeSet::new(),
        delete: false,
        limits: BTreeMap::new(),
    };
    let (open, push, desired) = (Default::default(), Default::default(), &project.desired);
    let inputs = Inputs {
        desired,
        recorded: &recorded,
        live: None,
        open: &open,
        policy: &policy,
        now: jiff::Timestamp::UNIX_EPOCH,
        push: &push,
    };
    let plan = make(&inputs);
    assert_eq!(check(&plan, &inputs), Vec::<String>::new());
    let human = plan_human::plan(&plan, sources, plan_human::Options { verbose: true });
    harmless(&anstream::adapter::strip_str(&human).to_string(), true);
    let comment = plan_markdown::plan(&plan, sources);
    assert!(comment.len() <= COMMENT, "a comment of {} bytes", comment.len());
    harmless(&comment, true);
    no_command(&github::plan(&plan, sources, "Summary."));
    let picture = terraform::Picture { plan: &plan, desired, recorded: &recorded, policy: &policy };
    let _ = (plan_json::plan(&plan, sources), terraform::plan(picture, "0"));
    let (hash, again) =
        (PlanHash::of(&plan, &desired.project), PlanHash::of(&make(&inputs), &desired.project));
    assert_eq!(hash.to_string(), again.to_string(), "the same twice");
}

/// Nothing that moves a cursor, rings, hides or turns text around.
fn harmless(text: &str, lines: bool) {
    let bad = |c: char| {
        (c.is_control() && !(lines && c == '\n')) || keyform::keyset::settings::is_format(c)
    };
    assert!(!text.contains(bad), "{:?}", text.chars().find(|c| bad(*c)));
}

/// Every line is a command of keyform's own.
fn no_command(annotations: &str) {
    let ours = ["::error ", "::warning ", "::notice "];
    for line in annotations.lines() {
        assert!(ours.iter().any(|own| line.starts_with(own)), "{line:?}");
        assert!(!line.contains("##["), "{line:?}");
    }
}

/// State, journal, log and plan as files that somebody changed. What can be read is written again,
/// and says the same.
pub fn state(bytes: &[u8]) {
    let chain = Chain::read(bytes);
    assert!(chain.whole as usize <= bytes.len());
    if let Ok(saved) = SavedPlan::parse(bytes) {
        let _ = saved.to_bytes().expect("it is written");
    }
    let project = ProjectName::parse("acme-chat").expect("a name");
    // The state, then the journal, apart by a zero byte.
    let (state, journal) = bytes
        .iter()
        .position(|b| *b == 0)
        .map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 1..]));
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
        .expect("a folder");
    let paths = Paths::new(folder.path().join("keyform.json"));
    if !state.is_empty() {
        std::fs::write(&paths.state, state).expect("written");
    }
    if !journal.is_empty() {
        std::fs::write(&paths.journal, journal).expect("written");
    }
    let local = Local::new(paths.clone());
    let Ok(read) = wait(keyform::state::read(&local, &project)) else {
        assert!(
            state.is_empty() || std::fs::read(&paths.state).expect("it is there") == state,
            "what cannot be read is left alone"
        );
        return;
    };
    let (store, opened) = wait(Store::open(Arc::new(local.clone()), &project, "fuzz"))
        .expect("what can be read can be opened");
    assert_eq!(read.recorded, opened.recorded);
    drop(store);
    let again = wait(keyform::state::read(&local, &project)).expect("what was written can be read");
    assert_eq!((again.recorded, again.open.len()), (opened.recorded, opened.open.len()));
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// Answers of whoever answers in the API's place.
pub fn answer(bytes: &[u8]) {
    if let Ok(observed) = wire::parse::<Observed>(bytes) {
        let json = serde_json::to_vec(&observed).expect("it is written");
        let again: Observed = wire::parse(&json).expect("what was written can be read");
        assert_eq!(observed, again);
    }
    let words = [
        wire::parse::<AppPage>(bytes).err().map(|bad| bad.to_string()),
        wire::parse::<KeysetPage>(bytes).err().map(|bad| bad.to_string()),
        wire::listed_keys(bytes).err().map(|bad| bad.to_string()),
        wire::created(&raw(bytes)).err().map(|bad| bad.to_string()),
        wire::rotated(&raw(bytes)).err().map(|bad| bad.to_string()),
    ];
    // What is said of a bad answer says nothing of what stood in it.
    words.iter().flatten().for_each(|words| harmless(words, false));
}

fn raw(bytes: &[u8]) -> RawAnswer {
    RawAnswer::new(zeroize::Zeroizing::new(bytes.to_vec()))
}
