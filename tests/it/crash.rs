//! The crash matrix: the process is ended at every named step of the protocol and at random moments, writes fail, answers get
//! lost. After that: run again, and everything is as if nothing had happened. Nobody does anything but run again.
//!
//! `KEYFORM_CRASH_SEED` and `KEYFORM_CRASH_RANDOM` (cases at random moments) ask for more.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::keyform::protocol::{Kind, POINTS};
use ::keyform::secrets::Envelope;

use crate::support::github::StandIn;
use crate::support::{Keyring, Sandbox, keyform, read_tree};

/// Cases at once: they wait more than they work.
const AT_ONCE: usize = 6;
/// Runs after the crash, at most, until nothing is left to do. One is what is promised; a run that the same case kills or
/// starves again is not counted.
const RUNS: usize = 1;

const LABELS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Store {
    Age,
    Keyring,
}

/// One way in which things go wrong.
#[derive(Clone, Debug)]
struct Case {
    store: Store,
    parallelism: u32,
    faults: Vec<String>,
    /// For the first run, and for the second.
    points: Vec<String>,
    /// The first run is killed after this time.
    killed_after: Option<Duration>,
    /// What is being done when it happens: the first apply, or a later one that changes and repairs.
    begin: Begin,
    /// Copies go to a mirror.
    mirrored: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Begin {
    FromNothing,
    /// All is applied already; the keysets change.
    Update,
}

impl Case {
    fn new() -> Case {
        Case {
            store: Store::Age,
            parallelism: 4,
            faults: vec![],
            points: vec![],
            killed_after: None,
            begin: Begin::FromNothing,
            mirrored: false,
        }
    }
    fn fault(mut self, fault: impl Into<String>) -> Case {
        self.faults.push(fault.into());
        self
    }
    fn point(mut self, point: impl Into<String>) -> Case {
        self.points.push(point.into());
        self
    }
}

struct Stage<'k> {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    keyring: Option<&'k Keyring>,
    identity: String,
    github: Option<StandIn>,
}

impl<'k> Stage<'k> {
    fn new(case: &Case, keyring: Option<&'k Keyring>, number: usize) -> Stage<'k> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let identity = Envelope::new_key().expect("a key").expose_secret().to_owned();
        let args: Vec<&str> = case.faults.iter().flat_map(|fault| ["--fault", fault]).collect();
        let github = case.mirrored.then(StandIn::start);
        let stage = Stage { folder, sandbox: Sandbox::start(&args), keyring, identity, github };
        stage.declare(case, number, 10);
        stage
    }

    fn declare(&self, case: &Case, number: usize, interval: u32) {
        let sinks = match case.store {
            Store::Keyring => String::new(),
            Store::Age => {
                let identity: age::x25519::Identity = self.identity.parse().expect("an identity");
                format!("[secrets]\nsinks = [\"age\"]\n[secrets.age]\nrecipients = [\"{}\"]\n", identity.to_public())
            }
        };
        let keysets: String = LABELS.iter().map(|label| format!("[keyset.{label}]\napp = \"chat\"\nprofiles = [\"all\"]\n")).collect();
        let mirror = match case.mirrored {
            true => "[secrets.mirror.github]\nrepo = \"acme/chat\"\nname = \"PUBNUB_{label}\"\n",
            false => "",
        };
        let toml = format!(
            "[project]\nname = \"crash-{number}\"\n{sinks}{mirror}[app.chat]\nname = \"Chat\"\n\
             [profile.all]\ntype = \"testing\"\npresence.interval = {interval}\n{keysets}"
        );
        std::fs::write(self.dir().join("keyform.toml"), toml).expect("the project is written");
    }

    fn dir(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = keyform::command(args, self.dir(), self.keyring);
        command.envs(self.sandbox.env()).env("KEYFORM_AGE_IDENTITY", &self.identity).env_remove("KEYFORM_SANDBOX_SEED");
        if let Some(github) = &self.github {
            command.env("GITHUB_API_URL", &github.url).env("KEYFORM_GITHUB_TOKEN", "github_pat_of-this-test");
        }
        command
    }

    fn apply(&self, case: &Case) -> Command {
        let mut command = self.command(&["apply", "--yes", "--settle", "1", "--timeout", "2"]);
        command.args(["--parallelism", &case.parallelism.to_string()]);
        command
    }
}

/// What a case did, or why it is a failure.
fn play(case: &Case, keyring: Option<&Keyring>, number: usize) -> Result<Played, String> {
    let stage = Stage::new(case, keyring, number);
    if case.begin == Begin::Update {
        ended(&stage, stage.apply(case), Some(0), "the apply before")?;
        stage.declare(case, number, 20);
    }
    let mut played = Played::default();
    let crashes = case.points.len().max(usize::from(case.killed_after.is_some() || !case.faults.is_empty()));
    for n in 0..crashes {
        let mut command = stage.apply(case);
        if let Some(point) = case.points.get(n) {
            command.env("KEYFORM_FAILPOINT", point);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("keyform runs");
        if let Some(after) = case.killed_after {
            std::thread::sleep(after);
            let _ = child.kill();
        }
        let output = child.wait_with_output().expect("keyform ends");
        played.killed += usize::from(output.status.code().is_none());
        played.failed += usize::from(output.status.code().is_some_and(|code| code != 0));
        no_secret(&output)?;
    }
    for _ in 0..RUNS {
        ended(&stage, stage.apply(case), Some(0), "the apply after it")?;
    }
    // Lists that are late are meant for keyform, not for the judge.
    for _ in case.faults.iter().filter(|fault| fault.contains("late-list")) {
        (0..5).for_each(|_| drop(stage.sandbox.get("/v2/keysets")));
    }
    if stage.sandbox.keysets() != LABELS {
        return Err(format!("the account has {:?}", stage.sandbox.keysets()));
    }
    if stage.sandbox.get("/v2/apps")["total"] != 1 {
        return Err("the account has several apps".to_owned());
    }
    let state = std::fs::read(stage.dir().join("state/keyform.json")).map_err(|e| format!("no state: {e}"))?;
    let state: serde_json::Value = serde_json::from_slice(&state).map_err(|e| format!("no state: {e}"))?;
    for keyset in stage.sandbox.get("/v2/keysets?limit=100")["keysets"].as_array().expect("a list") {
        let recorded = &state["keysets"][keyset["name"].as_str().expect("a name")];
        if recorded["id"] != keyset["id"] {
            return Err(format!("recorded {recorded}, and the account has {keyset}"));
        }
    }
    // Each secret is in its sink, is the one that was stored, and the account's current one.
    let doctor = ended(&stage, stage.command(&["secrets", "doctor", "--check", "--live", "--format", "json"]), Some(0), "the doctor")?;
    let doctor: serde_json::Value = serde_json::from_slice(&doctor.stdout).map_err(|e| e.to_string())?;
    let sound = doctor["keysets"].as_array().into_iter().flatten().filter(|k| k["status"] == "sound").count();
    if sound != LABELS.len() {
        return Err(format!("not all secrets are sound: {doctor:#}"));
    }
    ended(&stage, stage.command(&["plan", "--detailed-exitcode"]), Some(0), "the plan after it")?;
    for label in stage.github.iter().flat_map(|_| LABELS) {
        let secret = stage.command(&["secrets", "get", "--no-newline", label]).output().expect("keyform runs").stdout;
        let path = format!("/repos/acme/chat/actions/secrets/PUBNUB_{}", label.to_uppercase());
        let copy = stage.github.as_ref().and_then(|github| github.stored(&path));
        if secret.is_empty() || copy.map(String::into_bytes) != Some(secret) {
            return Err(format!("the copy of the secret of {label} is not what the sink has"));
        }
    }
    if stage.dir().join("state/keyform.journal").exists() {
        return Err("the journal is still there".to_owned());
    }
    for (path, bytes) in read_tree(stage.dir()) {
        if keyform::holds_secret(&bytes) {
            return Err(format!("{} holds a secret", path.display()));
        }
    }
    Ok(played)
}

#[derive(Default)]
struct Played {
    killed: usize,
    failed: usize,
}

fn ended(stage: &Stage<'_>, mut command: Command, code: Option<i32>, what: &str) -> Result<Output, String> {
    let output = command.output().expect("keyform runs");
    no_secret(&output)?;
    if output.status.code() == code {
        return Ok(output);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let journal = std::fs::read_to_string(stage.dir().join("state/keyform.journal")).unwrap_or_default();
    Err(format!("{what}: {}\n{}\n{}\njournal:\n{journal}", output.status, text(&output.stdout), text(&output.stderr)))
}

fn no_secret(output: &Output) -> Result<(), String> {
    match keyform::holds_secret(&output.stdout) || keyform::holds_secret(&output.stderr) {
        true => Err("a secret was printed".to_owned()),
        false => Ok(()),
    }
}

/// Plays all of them, several at once; says what went wrong in any.
fn play_all(what: &str, cases: &[Case]) -> Played {
    let begun = Instant::now();
    let (next, all) = (AtomicUsize::new(0), Mutex::new((Played::default(), Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let keyring = cases.iter().any(|case| case.store == Store::Keyring).then(Keyring::start);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { return };
                    let played = play(case, keyring.as_ref().filter(|_| case.store == Store::Keyring), number);
                    let mut all = all.lock().expect("nobody panics with it");
                    match played {
                        Ok(Played { killed, failed }) => {
                            all.0.killed += killed;
                            all.0.failed += failed;
                        }
                        Err(why) => all.1.push(format!("{case:?}\n{why}")),
                    }
                }
            });
        }
    });
    let (played, wrong) = all.into_inner().expect("nobody panics with it");
    println!(
        "{what}: {} cases in {:.0} s, {} runs killed, {} failed",
        cases.len(),
        begun.elapsed().as_secs_f64(),
        played.killed,
        played.failed
    );
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
    played
}

/// What a network does to a create: the second one, so that there is something before it.
const LOST: [&str; 8] = [
    "POST /v2/keysets$#2=cut-after",
    "POST /v2/keysets$#2=cut-before",
    "POST /v2/keysets$#2=status:500",
    "POST /v2/keysets$#2=status:429:retry-after=1",
    "POST /v2/keysets$#2=truncate-after",
    "POST /v2/keysets$#2=garbage-after",
    "POST /v2/keysets$#2=late:3000",
    "POST /v2/apps#1=cut-after",
];

fn names(kind: Kind) -> impl Iterator<Item = &'static str> {
    POINTS.iter().map(|(_, row)| row).filter(move |row| row.kind == kind).map(|row| row.name)
}

#[test]
fn killed_at_every_step_of_a_first_apply() {
    let mut cases = Vec::new();
    for name in names(Kind::Step).chain(names(Kind::Io)) {
        for nth in 1..=4 {
            for parallelism in [1, 4] {
                let mirrored = parallelism == 4;
                cases.push(Case { parallelism, mirrored, ..Case::new().point(format!("{name}#{nth}=kill")) });
            }
        }
    }
    let played = play_all("every step of a first apply", &cases);
    assert!(played.killed >= 90, "most of these points are passed: {}", played.killed);
}

#[test]
fn killed_at_every_step_while_answers_get_lost() {
    let mut cases = Vec::new();
    for fault in LOST {
        for name in names(Kind::Step) {
            cases.push(Case::new().fault(fault).point(format!("{name}#1=kill")));
        }
    }
    for fault in ["cut-after", "cut-before", "status:500", "truncate-after", "garbage-after"] {
        for name in names(Kind::Step).filter(|name| name.starts_with("rotate")) {
            let rotation = format!("POST /v2/keysets/#1={fault}");
            cases.push(Case::new().fault(LOST[0]).fault(rotation).point(format!("{name}#1=kill")));
        }
    }
    let played = play_all("every step while answers get lost", &cases);
    assert!(played.killed >= 90, "most of these points are passed: {}", played.killed);
}

#[test]
fn killed_again_while_it_recovers() {
    let mut cases = Vec::new();
    for first in ["create.intended#2", "create.answered#2", "create.sealed#2", "create.stored#2", "create.committed#2"] {
        for name in names(Kind::Step).chain(names(Kind::Io)) {
            cases.push(Case::new().point(format!("{first}=kill")).point(format!("{name}#1=kill")));
        }
    }
    let played = play_all("killed again while it recovers", &cases);
    assert!(played.killed >= 150, "{}", played.killed);
}

#[test]
fn every_write_sync_and_rename_fails_once() {
    let mut cases = Vec::new();
    for name in names(Kind::Io) {
        for error in ["enospc", "eio"] {
            for nth in [1, 2, 3, 5] {
                cases.push(Case::new().point(format!("{name}#{nth}={error}")));
            }
        }
    }
    cases.extend((1..=8).map(|nth| Case::new().point(format!("journal.write#{nth}=torn"))));
    let played = play_all("every write, sync and rename fails", &cases);
    assert!(played.failed >= 40, "most of these points are passed: {}", played.failed);
    assert!(played.killed >= 3, "a torn write ends the process: {}", played.killed);
}

#[test]
fn changes_survive_it_too() {
    let mut cases = Vec::new();
    for name in
        ["update.answered", "journal.write", "journal.sync", "file.write", "file.sync", "file.rename", "folder.sync", "journal.remove"]
    {
        for nth in [1, 2, 4] {
            cases.push(Case { begin: Begin::Update, ..Case::new().point(format!("{name}#{nth}=kill")) });
        }
    }
    let played = play_all("changes", &cases);
    assert!(played.killed >= 15, "{}", played.killed);
}

#[test]
fn killed_with_the_secrets_in_the_keyring() {
    let mut cases = Vec::new();
    for name in names(Kind::Step).chain(["sink.put", "journal.sync"]) {
        for fault in [None, Some(LOST[0])] {
            let case = Case { store: Store::Keyring, ..Case::new().point(format!("{name}#2=kill")) };
            cases.push(fault.into_iter().fold(case, Case::fault));
        }
    }
    let played = play_all("with the keyring", &cases);
    assert!(played.killed >= 10, "{}", played.killed);
}

#[test]
fn killed_at_random_moments_on_a_bad_network() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let seed = number("KEYFORM_CRASH_SEED", 1);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move |below: u64| {
        // xorshift: repeatable from its seed is all that is asked of it.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let kinds = ["cut-after", "cut-before", "status:500", "status:429", "truncate-after", "garbage-after", "late:1500", "delay:300"];
    let cases: Vec<Case> = (0..number("KEYFORM_CRASH_RANDOM", 80))
        .map(|_| {
            let mut case = Case { parallelism: 1 + random(6) as u32, ..Case::new() };
            for _ in 0..random(3) {
                case = case.fault(format!("POST /v2/keysets$#{}={}", 1 + random(4), kinds[random(8) as usize]));
            }
            if random(3) == 0 {
                case = case.fault(format!("GET /v2/keysets$#{}=late-list", 2 + random(3)));
            }
            case.killed_after = Some(Duration::from_millis(20 + random(400)));
            case
        })
        .collect();
    println!("seed {seed}");
    play_all("random moments", &cases);
}
