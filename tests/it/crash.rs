//! The crash matrix: the process is ended at every named step of the protocol and at random
//! moments, writes fail, answers get lost. After that: run again, and everything is as if nothing
//! had happened. Nobody does anything but run again.
//!
//! `KEYFORM_CRASH_SEED`, `KEYFORM_CRASH_RANDOM` (cases at random moments) and
//! `KEYFORM_CRASH_STORIES` (random stories of several runs, by one clone of the project and by two)
//! ask for more.

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
/// Runs after the crash, at most, until nothing is left to do. One is what is promised; a run that
/// the same case kills or starves again is not counted.
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
    /// What is being done when it happens: the first apply, or a later one that changes and
    /// repairs.
    begin: Begin,
    /// Copies go to a mirror.
    mirrored: bool,
    /// No file may get longer than so many KiB in the first run, as on a disk that is full.
    room: Option<u32>,
    /// Another apply is begun at the same time as the first, and waits for it.
    beside: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Begin {
    FromNothing,
    /// All is applied already; the keysets change.
    Update,
    /// All is applied already; one gets a new secret key, and the one of before works on for a day
    /// or ends at once.
    Rotate {
        overlap: bool,
    },
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
            room: None,
            beside: false,
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
                format!(
                    "[secrets]\nsinks = [\"age\"]\n[secrets.age]\nrecipients = [\"{}\"]\n",
                    identity.to_public()
                )
            }
        };
        let keysets: String = LABELS
            .iter()
            .map(|label| format!("[keyset.{label}]\napp = \"chat\"\nprofiles = [\"all\"]\n"))
            .collect();
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
        command
            .envs(self.sandbox.env())
            .env("KEYFORM_AGE_IDENTITY", &self.identity)
            .env_remove("KEYFORM_SANDBOX_SEED");
        if let Some(github) = &self.github {
            command
                .env("GITHUB_API_URL", &github.url)
                .env("KEYFORM_GITHUB_TOKEN", "github_pat_of-this-test");
        }
        command
    }

    fn rotate(&self, overlap: bool) -> Command {
        let how: &[&str] = if overlap { &["--overlap", "24h"] } else { &["--now"] };
        self.command(
            &[&["secrets", "rotate", "b", "--settle", "1", "--timeout", "2"], how].concat(),
        )
    }

    fn apply(&self, case: &Case) -> Command {
        let mut command = self.command(&["apply", "--yes", "--settle", "1", "--timeout", "2"]);
        command.args(["--parallelism", &case.parallelism.to_string()]);
        command
    }
}

/// The keyring that was proved to work goes away in the middle of an apply.
fn play_without_keyring(after: Duration, locked: bool, number: usize) -> Result<Played, String> {
    let mut keyring = Keyring::start();
    // One after the other, each a tenth of a second: the moment falls somewhere between the probe
    // and the last secret.
    let case = Case {
        store: Store::Keyring,
        parallelism: 1,
        ..Case::new().fault("POST /v2/keysets$=delay:100")
    };
    let stage = Stage::new(&case, None, number);
    let command = |keyring: &Keyring| {
        let mut command = stage.apply(&case);
        command.envs(keyring.env());
        command
    };
    let child = command(&keyring)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keyform runs");
    let begun = Instant::now();
    let journal = stage.dir().join("state/keyform.journal");
    while !journal.exists() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(after);
    if locked {
        keyring.lock()
    } else {
        keyring.kill_daemon()
    }
    let output = child.wait_with_output().expect("keyform ends");
    no_secret(&output)?;
    let failed = usize::from(output.status.code() != Some(0));
    keyring.kill_daemon();
    keyring.start_daemon();
    let played = Played { failed, killed: 0 };
    let mut end = ended(&stage, command(&keyring), Some(0), "the apply after it");
    for _ in 0..3 {
        if end.is_ok() || !keyring.has_died() {
            break;
        }
        println!("the daemon ended by itself; once more");
        keyring.kill_daemon();
        keyring.start_daemon();
        end = ended(&stage, command(&keyring), Some(0), "the apply after it");
    }
    end?;
    judge(&case, &Stage { keyring: Some(&keyring), ..stage }).map(|()| played)
}

/// What a case did, or why it is a failure.
fn play(case: &Case, keyring: Option<&Keyring>, number: usize) -> Result<Played, String> {
    let stage = Stage::new(case, keyring, number);
    match case.begin {
        Begin::FromNothing => {}
        Begin::Update => {
            ended(&stage, stage.apply(case), Some(0), "the apply before")?;
            stage.declare(case, number, 20);
        }
        Begin::Rotate { .. } => {
            drop(ended(&stage, stage.apply(case), Some(0), "the apply before")?)
        }
    }
    let mut played = Played::default();
    let crashes = case.points.len().max(usize::from(
        case.killed_after.is_some() || case.room.is_some() || !case.faults.is_empty(),
    ));
    for n in 0..crashes {
        let mut command = match case.begin {
            Begin::Rotate { overlap } => stage.rotate(overlap),
            Begin::FromNothing | Begin::Update => stage.apply(case),
        };
        if let Some(room) = case.room {
            command = with_room(&command, room);
        }
        if let Some(point) = case.points.get(n) {
            command.env("KEYFORM_FAILPOINT", point);
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("keyform runs");
        let beside = case.beside.then(|| {
            let mut second = stage.apply(case);
            second
                .args(["--lock-timeout", "30s"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("keyform runs")
        });
        if let Some(after) = case.killed_after {
            std::thread::sleep(after);
            let _ = child.kill();
        }
        let output = child.wait_with_output().expect("keyform ends");
        played.killed += usize::from(output.status.code().is_none());
        played.failed += usize::from(output.status.code().is_some_and(|code| code != 0));
        no_secret(&output)?;
        if let Some(beside) = beside {
            let output = beside.wait_with_output().expect("keyform ends");
            no_secret(&output)?;
            // Whichever came first, the other one found what it left.
            if output.status.code() != Some(0) {
                return Err(format!(
                    "the one beside it: {}\n{}",
                    output.status,
                    String::from_utf8_lossy(&output.stderr)
                ));
            }
        }
    }
    for _ in 0..RUNS {
        ended(&stage, stage.apply(case), Some(0), "the apply after it")?;
    }
    judge(case, &stage).map(|()| played)
}

/// Whether everything is as if nothing had happened.
fn judge(case: &Case, stage: &Stage<'_>) -> Result<(), String> {
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
    let state = std::fs::read(stage.dir().join("state/keyform.json"))
        .map_err(|e| format!("no state: {e}"))?;
    let state: serde_json::Value =
        serde_json::from_slice(&state).map_err(|e| format!("no state: {e}"))?;
    for keyset in stage.sandbox.get("/v2/keysets?limit=100")["keysets"].as_array().expect("a list")
    {
        let recorded = &state["keysets"][keyset["name"].as_str().expect("a name")];
        if recorded["id"] != keyset["id"] {
            return Err(format!("recorded {recorded}, and the account has {keyset}"));
        }
    }
    // Each secret is in its sink, is the one that was stored, and the account's current one.
    let doctor = ended(
        stage,
        stage.command(&["secrets", "doctor", "--check", "--live", "--format", "json"]),
        Some(0),
        "the doctor",
    )?;
    let doctor: serde_json::Value =
        serde_json::from_slice(&doctor.stdout).map_err(|e| e.to_string())?;
    let sound = doctor["keysets"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|k| k["status"] == "sound")
        .count();
    if sound != LABELS.len() {
        return Err(format!("not all secrets are sound: {doctor:#}"));
    }
    ended(stage, stage.command(&["plan", "--detailed-exitcode"]), Some(0), "the plan after it")?;
    for label in stage.github.iter().flat_map(|_| LABELS) {
        let secret = stage
            .command(&["secrets", "get", "--no-newline", label])
            .output()
            .expect("keyform runs")
            .stdout;
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
    Ok(())
}

/// The same command, where no file gets longer than that: a write beyond it fails instead of ending
/// the process.
fn with_room(command: &Command, kib: u32) -> Command {
    let mut limited = Command::new("bash");
    limited
        .args(["-c", &format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\""), "limited"])
        .arg(command.get_program())
        .args(command.get_args());
    limited.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.current_dir(command.get_current_dir().expect("a project"));
    limited
}

#[derive(Default)]
struct Played {
    killed: usize,
    failed: usize,
}

fn ended(
    stage: &Stage<'_>,
    mut command: Command,
    code: Option<i32>,
    what: &str,
) -> Result<Output, String> {
    let output = command.output().expect("keyform runs");
    no_secret(&output)?;
    if output.status.code() == code {
        return Ok(output);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let journal =
        std::fs::read_to_string(stage.dir().join("state/keyform.journal")).unwrap_or_default();
    Err(format!(
        "{what}: {}\n{}\n{}\njournal:\n{journal}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    ))
}

fn no_secret(output: &Output) -> Result<(), String> {
    match keyform::holds_secret(&output.stdout) || keyform::holds_secret(&output.stderr) {
        true => Err("a secret was printed".to_owned()),
        false => Ok(()),
    }
}

/// Plays all of them, several at once; says what went wrong in any.
fn play_all(what: &str, cases: &[Case]) -> Played {
    each(what, cases, |case, number, keyring: &mut Option<Keyring>| match case.store {
        Store::Age => play(case, None, number),
        Store::Keyring => with_a_living(keyring, |keyring| play(case, Some(keyring), number)),
    })
}

/// What can be seen of the processes from outside while they run.
#[derive(Default)]
struct Watch {
    /// Threads that have no more cases.
    idle: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

/// Counts its thread as idle when it ends, however it ends.
struct Idle<'a>(&'a AtomicUsize);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Watch {
    /// No secret is in an argument, and no process that has come to its senses would leave a core
    /// file.
    fn run(&self) {
        let mut seen = std::collections::BTreeMap::new();
        while self.idle.load(Ordering::Relaxed) < AT_ONCE {
            for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
                let path = entry.path();
                let Ok(line) = std::fs::read(path.join("cmdline")) else { continue };
                if keyform::holds_secret(&line) {
                    self.wrong
                        .lock()
                        .expect("nobody panics with it")
                        .push("an argument holds a secret".to_owned());
                }
                if !line.starts_with(env!("CARGO_BIN_EXE_keyform").as_bytes())
                    || line.windows(7).any(|word| word == b"sandbox")
                {
                    continue;
                }
                let begun = *seen.entry(path.clone()).or_insert_with(Instant::now);
                let limits = std::fs::read_to_string(path.join("limits")).unwrap_or_default();
                let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
                if begun.elapsed() > Duration::from_millis(400)
                    && core.is_some_and(|core| core.split_whitespace().next() != Some("0"))
                {
                    self.wrong
                        .lock()
                        .expect("nobody panics with it")
                        .push(format!("it would leave a core file: {core:?}"));
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Plays with the keyring that the thread keeps; again with a new one, from the beginning, where
/// its daemon ended by itself.
fn with_a_living(
    kept: &mut Option<Keyring>,
    play: impl Fn(&Keyring) -> Result<Played, String>,
) -> Result<Played, String> {
    for _ in 0..3 {
        let keyring = kept.get_or_insert_with(Keyring::start);
        let result = play(keyring);
        if result.is_ok() || !keyring.has_died() {
            return result;
        }
        println!("the daemon ended by itself; once more");
        *kept = None;
    }
    Err("the daemon of the keyring ended again and again".to_owned())
}

/// Several at once. Each thread keeps what its cases share.
fn each<C: Sync + std::fmt::Debug, K: Default>(
    what: &str,
    cases: &[C],
    play: impl Fn(&C, usize, &mut K) -> Result<Played, String> + Sync,
) -> Played {
    let begun = Instant::now();
    let (next, all) = (AtomicUsize::new(0), Mutex::new((Played::default(), Vec::new())));
    let watched = Watch::default();
    std::thread::scope(|scope| {
        scope.spawn(|| watched.run());
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let _idle = Idle(&watched.idle);
                let mut kept = K::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { return };
                    let played = play(case, number, &mut kept);
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
    let (played, mut wrong) = all.into_inner().expect("nobody panics with it");
    wrong.extend(watched.wrong.into_inner().expect("nobody panics with it"));
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
                cases.push(Case {
                    parallelism,
                    mirrored,
                    ..Case::new().point(format!("{name}#{nth}=kill"))
                });
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
    for first in [
        "create.intended#2",
        "create.answered#2",
        "create.sealed#2",
        "create.stored#2",
        "create.committed#2",
    ] {
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
    for name in [
        "update.answered",
        "journal.write",
        "journal.sync",
        "file.write",
        "file.sync",
        "file.rename",
        "folder.sync",
        "journal.remove",
    ] {
        for nth in [1, 2, 4] {
            cases.push(Case {
                begin: Begin::Update,
                ..Case::new().point(format!("{name}#{nth}=kill"))
            });
        }
    }
    let played = play_all("changes", &cases);
    assert!(played.killed >= 15, "{}", played.killed);
}

#[test]
fn no_room_for_longer_files() {
    let mut cases = Vec::new();
    for kib in 0..=24 {
        for parallelism in [1, 4] {
            cases.push(Case { room: Some(kib), parallelism, ..Case::new() });
        }
        cases.push(Case { room: Some(kib), begin: Begin::Update, ..Case::new() });
        cases.push(Case {
            room: Some(kib),
            begin: Begin::Rotate { overlap: false },
            ..Case::new()
        });
    }
    let played = play_all("files that cannot grow", &cases);
    assert!(played.failed >= 30, "most of these are too short: {}", played.failed);
}

#[test]
fn a_mistake_in_the_program_ends_like_a_crash_and_shows_nothing() {
    let mut cases = Vec::new();
    for name in names(Kind::Step).chain(names(Kind::Io)) {
        cases.push(Case::new().point(format!("{name}#1=panic")));
        cases.push(Case::new().fault(LOST[0]).point(format!("{name}#3=panic")));
    }
    let played = play_all("panics", &cases);
    assert!(played.failed >= 25, "most of these points are passed: {}", played.failed);
}

#[test]
fn two_at_once() {
    let mut cases = Vec::new();
    for name in names(Kind::Step).chain(names(Kind::Io)) {
        for fault in [None, Some(LOST[0])] {
            let case = Case { beside: true, ..Case::new().point(format!("{name}#2=kill")) };
            cases.push(fault.into_iter().fold(case, Case::fault));
        }
    }
    let played = play_all("two at once", &cases);
    assert!(played.killed >= 10, "most of these points are passed: {}", played.killed);
}

#[test]
fn rotations_survive_it_too() {
    let mut cases = Vec::new();
    for overlap in [false, true] {
        let rotate = || Case { begin: Begin::Rotate { overlap }, ..Case::new() };
        for name in
            names(Kind::Step).filter(|name| name.starts_with("rotate")).chain(names(Kind::Io))
        {
            cases.push(rotate().point(format!("{name}#1=kill")));
            // The answer to the first request is lost, or it was never made.
            for fault in ["cut-after", "cut-before", "truncate-after"] {
                cases.push(
                    rotate()
                        .fault(format!("POST /v2/keysets/#1={fault}"))
                        .point(format!("{name}#1=kill")),
                );
            }
            // Nothing is answered at all until the process ends.
            cases.push(
                rotate().fault("POST /v2/keysets/#1-3=cut-after").point(format!("{name}#2=kill")),
            );
        }
        for name in names(Kind::Io) {
            cases.push(rotate().point(format!("{name}#1=enospc")));
        }
    }
    let played = play_all("rotations", &cases);
    assert!(played.killed >= 60, "most of these points are passed: {}", played.killed);
}

#[test]
fn the_keyring_goes_away_between_probe_and_write() {
    let cases: Vec<(u64, bool)> = (0..15).flat_map(|n| [(n * 35, false), (n * 35, true)]).collect();
    let played =
        each("the keyring is killed or locked", &cases, |(after, locked), number, (): &mut ()| {
            play_without_keyring(Duration::from_millis(*after), *locked, number)
        });
    assert!(played.failed >= 15, "most of these moments fall into the run: {}", played.failed);
}

#[test]
fn killed_with_the_secrets_in_the_keyring() {
    let mut cases = Vec::new();
    for name in names(Kind::Step).chain(["sink.put", "journal.sync"]) {
        for fault in [None, Some(LOST[0])] {
            let case =
                Case { store: Store::Keyring, ..Case::new().point(format!("{name}#2=kill")) };
            cases.push(fault.into_iter().fold(case, Case::fault));
        }
    }
    let played = play_all("with the keyring", &cases);
    assert!(played.killed >= 10, "{}", played.killed);
}

pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Repeatable from its seed: that is all that is asked of it.
pub fn random_from(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below: u64| {
        // xorshift
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

/// One run of a story.
#[derive(Clone, Debug)]
struct Scene {
    args: Vec<&'static str>,
    point: Option<String>,
    faults: Vec<String>,
    /// What is declared from here on.
    interval: u32,
    /// Whether the private key is at hand.
    blind: bool,
}

fn story(seed: u64) -> Vec<Scene> {
    let mut random = random_from(seed);
    let points: Vec<&str> = names(Kind::Step).chain(names(Kind::Io)).collect();
    let mut interval = 10;
    (0..2 + random(5))
        .map(|_| {
            let args = match random(8) {
                0 => vec!["secrets", "rotate", "a", "--now", "--settle", "1", "--timeout", "2"],
                1 => vec![
                    "secrets",
                    "rotate",
                    "b",
                    "--overlap",
                    "24h",
                    "--settle",
                    "1",
                    "--timeout",
                    "2",
                ],
                2 => vec!["secrets", "recover"],
                3 => vec!["secrets", "doctor"],
                _ => vec!["apply", "--yes", "--settle", "1", "--timeout", "2"],
            };
            if random(3) == 0 {
                interval += 1;
            }
            let point = (random(4) > 0).then(|| {
                let deed = ["kill", "kill", "panic", "enospc", "eio"][random(5) as usize];
                format!("{}#{}={deed}", points[random(points.len() as u64) as usize], 1 + random(4))
            });
            let fault = |random: &mut dyn FnMut(u64) -> u64| {
                let kind = [
                    "cut-after",
                    "cut-before",
                    "status:500",
                    "truncate-after",
                    "garbage-after",
                    "status:429",
                ][random(6) as usize];
                let path = [
                    "POST /v2/keysets$",
                    "POST /v2/keysets/",
                    "POST /v2/apps",
                    "PATCH /v2/keysets",
                ][random(4) as usize];
                format!("{path}#{}={kind}", 1 + random(3))
            };
            let faults = (0..random(3)).map(|_| fault(&mut random)).collect();
            Scene { args, point, faults, interval, blind: random(6) == 0 }
        })
        .collect()
}

/// Plays it, and then one clean apply.
fn play_story(scenes: &[Scene], number: usize) -> Result<Played, String> {
    let case = Case::new();
    let mut stage = Stage::new(&case, None, number);
    let data = stage.dir().join("account.json").display().to_string();
    stage.sandbox = Sandbox::start(&["--data", &data]);
    let mut played = Played::default();
    let mut told = String::new();
    for scene in scenes {
        stage.declare(&case, number, scene.interval);
        // Killed first: the data file is one server's at a time.
        stage.sandbox.stop();
        let faults = scene.faults.iter().flat_map(|fault| ["--fault", fault.as_str()]);
        stage.sandbox =
            Sandbox::start(&["--data", &data].into_iter().chain(faults).collect::<Vec<_>>());
        let mut command = stage.command(&scene.args);
        if let Some(point) = &scene.point {
            command.env("KEYFORM_FAILPOINT", point);
        }
        if scene.blind {
            command.env("KEYFORM_AGE_IDENTITY", "");
        }
        let output = command.output().expect("keyform runs");
        no_secret(&output)?;
        played.killed += usize::from(output.status.code().is_none());
        played.failed += usize::from(output.status.code().is_some_and(|code| code != 0));
        told.push_str(&format!(
            "--- {scene:?}\n{}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    stage.sandbox.stop();
    stage.sandbox = Sandbox::start(&["--data", &data]);
    let end = ended(&stage, stage.apply(&case), Some(0), "the last apply")
        .and_then(|_| judge(&case, &stage));
    end.map(|()| played).map_err(|why| format!("{why}\n{told}"))
}

/// Two clones of one project on one machine: one keyring, one account, and a state that each of
/// them pulls before it runs. What a crash left in a journal is in one of them only.
struct Clones<'k> {
    stages: [Stage<'k>; 2],
    /// The state that was pulled or folded last, by either.
    newest: Option<Vec<u8>>,
}

impl Clones<'_> {
    fn state(&self, n: usize) -> std::path::PathBuf {
        self.stages[n].dir().join("state/keyform.json")
    }
    fn pull(&self, n: usize) {
        if let Some(newest) = &self.newest {
            std::fs::create_dir_all(self.stages[n].dir().join("state")).expect("a folder");
            std::fs::write(self.state(n), newest).expect("pulled");
        }
    }
    fn push(&mut self, n: usize) {
        self.newest = std::fs::read(self.state(n)).ok().or(self.newest.take());
    }
}

fn play_clones(scenes: &[Scene], keyring: &Keyring, number: usize) -> Result<Played, String> {
    let case = Case { store: Store::Keyring, ..Case::new() };
    let shared = tempfile::tempdir().expect("a temporary folder");
    let data = shared.path().join("account.json").display().to_string();
    let mut sandbox = Sandbox::start(&["--data", &data]);
    // A name of its own in the keyring that others use too.
    let number = 100_000 + number;
    let mut clones =
        Clones { stages: [0, 1].map(|_| Stage::new(&case, Some(keyring), number)), newest: None };
    let (mut played, mut told) = (Played::default(), String::new());
    let reach = |sandbox: &Sandbox, mut command: Command| {
        command.envs(sandbox.env().map(|(name, value)| (name, value.to_owned())));
        command
    };
    for (n, scene) in scenes.iter().enumerate() {
        let who = (n + usize::from(scene.blind)) % 2;
        sandbox.stop();
        let faults = scene.faults.iter().flat_map(|fault| ["--fault", fault.as_str()]);
        sandbox = Sandbox::start(&["--data", &data].into_iter().chain(faults).collect::<Vec<_>>());
        clones.stages.iter().for_each(|stage| stage.declare(&case, number, scene.interval));
        clones.pull(who);
        let mut command = reach(&sandbox, clones.stages[who].command(&scene.args));
        if let Some(point) = &scene.point {
            command.env("KEYFORM_FAILPOINT", point);
        }
        let output = command.output().expect("keyform runs");
        clones.push(who);
        no_secret(&output)?;
        played.killed += usize::from(output.status.code().is_none());
        played.failed += usize::from(output.status.code().is_some_and(|code| code != 0));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        told.push_str(&format!(
            "--- clone {who} {scene:?}\n{}\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        ));
    }
    sandbox.stop();
    sandbox = Sandbox::start(&["--data", &data]);
    // What one of them knows alone may be what the other one waits for.
    for (who, code) in [(0, None), (1, None), (0, Some(0)), (1, Some(0))] {
        clones.pull(who);
        let output =
            reach(&sandbox, clones.stages[who].apply(&case)).output().expect("keyform runs");
        clones.push(who);
        no_secret(&output)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let end = format!(
            "clone {who} at the end: {}\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        if code.is_some() && output.status.code() != code {
            return Err(format!("{end}\n{told}"));
        }
        told.push_str(&end);
    }
    let [mut first, _] = clones.stages;
    first.sandbox = sandbox;
    judge(&case, &first).map(|()| played).map_err(|why| format!("{why}\n{told}"))
}

#[test]
fn random_stories_of_two_clones_end_well() {
    let (seed, stories) = (number("KEYFORM_CRASH_SEED", 1), number("KEYFORM_CRASH_STORIES", 60));
    let stories: Vec<(u64, Vec<Scene>)> =
        (0..stories).map(|n| (n, story(seed * 1_000_000 + 500_000 + n))).collect();
    println!("seed {seed}");
    each(
        "stories of two clones",
        &stories,
        |(_, scenes), number, keyring: &mut Option<Keyring>| {
            with_a_living(keyring, |keyring| play_clones(scenes, keyring, number))
        },
    );
}

#[test]
fn random_stories_of_several_runs_end_well() {
    let (seed, stories) = (number("KEYFORM_CRASH_SEED", 1), number("KEYFORM_CRASH_STORIES", 60));
    let stories: Vec<(u64, Vec<Scene>)> =
        (0..stories).map(|n| (seed * 1_000_000 + n, story(seed * 1_000_000 + n))).collect();
    println!("seed {seed}");
    each("stories", &stories, |(_, scenes), number, (): &mut ()| play_story(scenes, number));
}

#[test]
fn killed_at_random_moments_on_a_bad_network() {
    let seed = number("KEYFORM_CRASH_SEED", 1);
    let mut random = random_from(seed);
    let kinds = [
        "cut-after",
        "cut-before",
        "status:500",
        "status:429",
        "truncate-after",
        "garbage-after",
        "late:1500",
        "delay:300",
    ];
    let cases: Vec<Case> = (0..number("KEYFORM_CRASH_RANDOM", 80))
        .map(|_| {
            let mut case = Case { parallelism: 1 + random(6) as u32, ..Case::new() };
            for _ in 0..random(3) {
                case = case.fault(format!(
                    "POST /v2/keysets$#{}={}",
                    1 + random(4),
                    kinds[random(8) as usize]
                ));
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
