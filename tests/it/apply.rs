//! Apply against a sandbox that misbehaves, keyrings that fail, and signals: what is done is
//! recorded, nothing is done twice, and the next apply goes on.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Keyring, Sandbox, keyform};

const PROJECT: &str = r#"
[project]
name = "faults"
[app.chat]
name = "Chat"
[profile.all]
type = "testing"
messagePersistence = { enabled = true, retention = 7 }
[keyset.a]
app = "chat"
profiles = ["all"]
[keyset.b]
app = "chat"
profiles = ["all"]
[keyset.c]
app = "chat"
profiles = ["all"]
"#;

struct World {
    folder: tempfile::TempDir,
    keyring: Keyring,
    sandbox: Sandbox,
}

impl World {
    fn new(faults: &[&str]) -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("keyform.toml"), PROJECT)
            .expect("the project is written");
        let args: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
        World { folder, keyring: Keyring::start(), sandbox: Sandbox::start(&args) }
    }
    fn dir(&self) -> &Path {
        self.folder.path()
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = keyform::command(args, self.dir(), Some(&self.keyring));
        command.envs(self.sandbox.env());
        command
    }
    fn run(&self, args: &[&str]) -> Done {
        Done::of(self.command(args).output().expect("keyform runs"))
    }
    fn apply(&self) -> Done {
        // One after the other, so that "the second create" is always the same one.
        self.run(&["apply", "--yes", "--parallelism", "1", "--settle", "1", "--timeout", "3"])
    }
    fn state(&self) -> serde_json::Value {
        let bytes = std::fs::read(self.dir().join("state/keyform.json")).expect("there is a state");
        serde_json::from_slice(&bytes).expect("the state is JSON")
    }
    fn state_file(&self) -> PathBuf {
        self.dir().join("state/keyform.json")
    }
    /// What the sink has is what the server takes as the current secret key.
    fn secrets_are_current(&self) {
        for (label, keyset) in self.state()["keysets"].as_object().expect("keysets") {
            let secret = self
                .command(&["secrets", "get", "--no-newline", label])
                .output()
                .expect("keyform runs");
            assert!(secret.status.success(), "{label}");
            let listed = self
                .sandbox
                .get(&format!("/v2/keysets/{}/secret-keys", keyset["id"].as_str().expect("an id")));
            let prefix = listed["secretKeys"][0]["secretKey"]
                .as_str()
                .expect("a key")
                .get(..11)
                .expect("eleven characters");
            assert!(
                secret.stdout.starts_with(prefix.as_bytes()),
                "{label}: the server has another current key"
            );
        }
    }
    /// Exactly the declared keysets exist, every one is recorded under its id, and nothing is left
    /// to do.
    fn is_converged(&self) {
        self.secrets_are_current();
        assert_eq!(self.sandbox.keysets(), ["a", "b", "c"]);
        let page = self.sandbox.get("/v2/keysets?limit=100");
        let state = self.state();
        for keyset in page["keysets"].as_array().expect("a list") {
            assert_eq!(
                state["keysets"][keyset["name"].as_str().expect("a name")]["id"],
                keyset["id"]
            );
        }
        self.run(&["plan", "--detailed-exitcode"]).exits(0);
        assert!(!self.dir().join("state/keyform.journal").exists(), "the journal is folded");
    }
}

struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Done {
    fn of(output: Output) -> Done {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).expect("UTF-8");
        assert!(
            !keyform::holds_secret(&output.stdout) && !keyform::holds_secret(&output.stderr),
            "a secret was printed"
        );
        Done { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
    #[track_caller]
    fn exits(self, code: i32) -> Done {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
    #[track_caller]
    fn says(self, text: &str) -> Done {
        assert!(
            self.out.contains(text) || self.err.contains(text),
            "no {text:?} in:\n{}\n{}",
            self.out,
            self.err
        );
        self
    }
}

#[test]
fn a_create_that_is_refused_does_not_stop_the_others() {
    let world = World::new(&["POST /v2/keysets#2=status:400"]);
    world
        .apply()
        .exits(4)
        .says("keyset b not created: POST /v2/keysets: 400")
        .says("2 keysets created")
        .says("1 failed");
    assert_eq!(world.sandbox.keysets(), ["a", "c"]);
    world.apply().exits(0);
    world.is_converged();
}

#[test]
fn a_403_names_the_permissions_that_creating_needs() {
    let world = World::new(&["POST /v2/keysets=status:403"]);
    world.apply().exits(4).says("`keyset:write` and `keyset-secret:read`");
}

#[test]
fn a_401_says_what_to_do() {
    let world = World::new(&["GET /v2/=status:401"]);
    world.apply().exits(1).says("GET /v2/").says("401").says("Service Integrations");
    assert!(world.sandbox.get("/v2/secret").is_object());
}

#[test]
fn a_create_whose_answer_is_lost_is_found_and_not_repeated() {
    for fault in ["cut-after", "garbage-after", "truncate-after"] {
        let world = World::new(&[&format!("POST /v2/keysets#2={fault}")]);
        world
            .apply()
            .exits(0)
            .says("keyset b: the answer was lost")
            .says("keyset b found, with a new secret key")
            .says("3 secrets stored");
        assert_eq!(world.sandbox.keysets(), ["a", "b", "c"], "{fault}");
        world.is_converged();
    }
}

#[test]
fn a_create_that_certainly_never_happened_is_made_once() {
    for fault in ["cut-before", "html", "status:500", "status:429:retry-after=1", "status:503"] {
        let world = World::new(&[&format!("POST /v2/keysets#2={fault}")]);
        // The listing proves after the settle time that nothing was made: it is posted again, and
        // has its secret.
        world.apply().exits(0).says("3 keysets created, 3 secrets stored");
        world.is_converged();
    }
}

#[test]
fn a_lost_answer_that_listings_cannot_explain_stays_open_until_they_can() {
    // The listing before the creates works, the one that looks for the lost create does not (a GET
    // is tried five times).
    let world = World::new(&["POST /v2/keysets#2=cut-after", "GET /v2/keysets$#2-6=status:500"]);
    world
        .apply()
        .exits(4)
        .says("it is not known whether it was made")
        .says("looking for it failed");
    assert!(world.dir().join("state/keyform.journal").exists(), "the intent stays in the journal");
    world.run(&["plan", "--refresh=none"]).exits(0).says("b");
    world
        .apply()
        .exits(0)
        .says("earlier step for b: it made keyset")
        .says("secret key of b replaced");
    world.is_converged();
}

#[test]
fn an_app_whose_answer_is_lost_is_found() {
    let world = World::new(&["POST /v2/apps#1=cut-after"]);
    world.apply().exits(0).says("1 app created");
    let apps = world.sandbox.get("/v2/apps");
    assert_eq!(apps["total"], 1);
    world.is_converged();
}

#[test]
fn an_app_whose_maker_was_killed_is_found() {
    let world = World::new(&["POST /v2/apps#1=late:20000"]);
    let mut child = world
        .command(&["apply", "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("keyform runs");
    wait_until(|| world.sandbox.get("/v2/apps")["total"] == 1);
    child.kill().expect("it is killed");
    child.wait().expect("it is gone");
    world.run(&["plan"]).exits(0).says("chat");
    world.apply().exits(0).says("3 secrets stored");
    assert_eq!(world.sandbox.get("/v2/apps")["total"], 1);
    world.is_converged();
}

#[test]
fn without_its_app_a_keyset_is_not_begun() {
    let world = World::new(&["POST /v2/apps=status:400"]);
    world.apply().exits(4).says("its app `chat` could not be created").says("3 not begun");
    assert!(world.sandbox.keysets().is_empty());
}

#[test]
fn answers_that_are_no_answers_record_nothing() {
    for (fault, says) in [
        ("GET /v2/keysets=html", "not an answer of the Admin API"),
        ("GET /v2/keysets=huge", "the answer is longer than 16 MiB"),
        ("GET /v2/keysets=truncate-after", "no complete answer"),
        ("GET /v2/keysets=garbage-after", "not an answer of the Admin API"),
        ("GET /v2/keysets=hang", "out of time"),
        ("GET /v2/keysets=cut-before", "GET /v2/keysets?page=1&limit=100: no complete answer"),
        ("GET /v2/apps=status:500", "GET /v2/apps?page=1&limit=100: 500"),
    ] {
        let world = World::new(&[fault]);
        let done = world.run(&["apply", "--yes", "--timeout", "1"]).exits(1).says(says);
        assert!(done.err.contains("error"), "{fault}");
        assert!(!world.state_file().exists(), "{fault}: nothing is recorded");
        assert!(world.sandbox.get("/v2/secrets").is_object());
    }
}

#[test]
fn a_listing_that_cannot_be_trusted_is_never_taken_for_missing() {
    for fault in ["GET /v2/keysets=short-list", "GET /v2/keysets=empty-list"] {
        let world = World::new(&[]);
        world.apply().exits(0);
        let sandbox = Sandbox::start(&["--fault", fault]);
        // The same account would be needed for a proof of nothing lost; here it is enough that
        // nothing is planned.
        let mut command = world.command(&["plan"]);
        command.envs(sandbox.env());
        let done = Done::of(command.output().expect("keyform runs"));
        assert!(matches!(done.code, Some(1 | 3)), "{}{}", done.out, done.err);
    }
}

#[test]
fn the_wrong_account_is_recognised() {
    let world = World::new(&[]);
    world.apply().exits(0);
    let other = Sandbox::start(&[]);
    let mut command = world.command(&["apply", "--yes"]);
    command.envs(other.env());
    Done::of(command.output().expect("keyform runs")).exits(3).says("chat");
    assert!(other.keysets().is_empty());
    assert_eq!(other.get("/v2/apps")["total"], 0);
}

#[test]
fn without_a_usable_keyring_nothing_is_created() {
    for (what, keyring) in [
        ("no service", Keyring::without_service()),
        ("no collection", Keyring::without_collection()),
        ("memory only", Keyring::session_collection_only()),
        ("locked", {
            let mut keyring = Keyring::start();
            keyring.lock();
            keyring
        }),
        ("stopped", {
            let keyring = Keyring::start();
            keyring.stop_daemon();
            keyring
        }),
    ] {
        let world = World { keyring, ..World::new(&[]) };
        let begun = Instant::now();
        world.apply().exits(5).says("nothing was created");
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: bounded");
        assert!(world.sandbox.keysets().is_empty(), "{what}");
        assert_eq!(world.sandbox.get("/v2/apps")["total"], 0, "{what}");
    }
    // No bus at all.
    let world = World::new(&[]);
    let mut command = world.command(&["apply", "--yes"]);
    command.env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("XDG_RUNTIME_DIR");
    Done::of(command.output().expect("keyform runs")).exits(5).says("nothing was created");
}

#[test]
fn a_keyring_that_dies_in_mid_run_stops_the_creates_and_is_told_loudly() {
    // The second create takes two seconds; the keyring dies in the meantime.
    let mut world = World::new(&["POST /v2/keysets#2=delay:2000"]);
    let child = world
        .command(&["apply", "--yes", "--parallelism", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keyform runs");
    wait_until(|| world.sandbox.keysets() == ["a"]);
    std::thread::sleep(Duration::from_millis(700));
    world.keyring.kill_daemon();
    let done = Done::of(child.wait_with_output().expect("keyform ends")).exits(4);
    done.says("its secret waits in the journal, sealed")
        .says("keyset c not begun: no secret can be stored any more")
        .says("1 with its secret sealed in the journal");
    assert_eq!(world.sandbox.keysets(), ["a", "b"]);
    let state = world.state();
    assert_eq!(state["keysets"]["a"]["secret"]["status"], "stored");
    assert_eq!(state["keysets"]["b"]["secret"]["status"], "missing");
    assert!(state["keysets"]["b"]["id"].is_string());
    world
        .run(&["plan", "--detailed-exitcode"])
        .exits(2)
        .says("sealed in the journal")
        .says("1 keyset to create");
    world.keyring.start_daemon();
    world.run(&["secrets", "doctor", "--check"]).exits(4).says("secrets recover");
    world.run(&["secrets", "recover"]).exits(0).says("sealed answer for b");
    assert_eq!(world.state()["keysets"]["b"]["secret"]["status"], "stored");
    world.run(&["secrets", "recover"]).exits(0).says("Nothing is sealed");
    world.apply().exits(0).says("1 keyset created, 1 secret stored");
    world.is_converged();
}

#[test]
fn an_interrupt_finishes_what_is_in_flight_and_records_it() {
    for signal in ["INT", "TERM"] {
        let world = World::new(&["POST /v2/keysets#2=delay:1500"]);
        let child = world
            .command(&["apply", "--yes", "--parallelism", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("keyform runs");
        wait_until(|| world.sandbox.keysets() == ["a"]);
        std::thread::sleep(Duration::from_millis(500));
        kill(signal, child.id());
        let done = Done::of(child.wait_with_output().expect("keyform ends")).exits(130);
        done.says("Stopping")
            .says("Interrupted: 1 app created, 2 keysets created")
            .says("1 not begun");
        assert_eq!(world.state()["keysets"].as_object().expect("keysets").len(), 2);
        world.apply().exits(0);
        world.is_converged();
    }
}

#[test]
fn an_interrupt_while_a_lost_create_is_looked_for_sends_nothing_again() {
    let world = World::new(&["POST /v2/keysets#2=cut-before"]);
    let args = ["apply", "--yes", "--parallelism", "1", "--settle", "4"];
    let child = world
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keyform runs");
    wait_until(|| world.sandbox.keysets() == ["a", "c"]);
    std::thread::sleep(Duration::from_millis(1200));
    kill("INT", child.id());
    Done::of(child.wait_with_output().expect("keyform ends"))
        .exits(130)
        .says("interrupted before it was certain that it was not made");
    assert_eq!(world.sandbox.keysets(), ["a", "c"]);
    world.apply().exits(0).says("1 secret stored");
    world.is_converged();
}

#[test]
fn a_killed_apply_is_taken_up_by_the_next_one() {
    let world = World::new(&["POST /v2/keysets#2=late:20000"]);
    let args = ["apply", "--yes", "--parallelism", "1"];
    let mut child = world
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("keyform runs");
    // The create is carried out, and its sender dies before the answer comes.
    wait_until(|| world.sandbox.keysets() == ["a", "b"]);
    child.kill().expect("it is killed");
    child.wait().expect("it is gone");
    world.run(&["plan", "--refresh=none"]).exits(0).says("b");
    world
        .apply()
        .exits(0)
        .says("earlier step for b: it made keyset")
        .says("secret key of b replaced");
    world.is_converged();
}

#[test]
fn two_applies_at_once_do_not_mix() {
    let world = World::new(&["POST /v2/keysets#1=delay:2000"]);
    let first = world
        .command(&["apply", "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("keyform runs");
    wait_until(|| world.sandbox.get("/v2/apps")["total"] == 1);
    world.apply().exits(6).says("keyform apply").says(&format!("process {}", first.id()));
    // Readers are not held up.
    world.run(&["plan"]).says("b");
    let mut first = first;
    assert!(first.wait().expect("it ends").success());
    world.is_converged();
}

#[test]
fn a_server_that_does_not_take_a_value_is_reported() {
    let world = World::new(&["PATCH /v2/keysets#2=ignore"]);
    world.apply().exits(0);
    let toml = PROJECT.replace("retention = 7", "retention = 30");
    std::fs::write(world.dir().join("keyform.toml"), toml).expect("the project is changed");
    world
        .apply()
        .exits(4)
        .says("the server did not take messagePersistence.retention = 30: it answers 7")
        .says("3 keysets updated");
    // What is recorded is what is true: the value is planned again, for that keyset alone.
    assert_eq!(world.state()["keysets"]["b"]["seen"]["messagePersistence"]["retention"], 7);
    world.run(&["plan", "--detailed-exitcode"]).exits(2).says("1 keyset to update");
    world.apply().exits(0).says("1 keyset updated");
    world.is_converged();
}

fn kill(signal: &str, pid: u32) {
    let done =
        Command::new("kill").args(["-s", signal, &pid.to_string()]).status().expect("kill runs");
    assert!(done.success());
}

fn wait_until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it did not come to that");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// `apply` at a terminal, with `typed` as the answer.
fn at_a_terminal(typed: &str) -> (Done, bool) {
    use std::io::Write;
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("keyform.toml"), PROJECT).expect("the project is written");
    let keyring = Keyring::start();
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", "keyform apply --sandbox", "/dev/null"])
        .current_dir(folder.path());
    keyform::environment(&mut command, folder.path(), Some(&keyring));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script (util-linux) is there");
    child.stdin.take().expect("piped").write_all(typed.as_bytes()).expect("it is typed");
    let done = Done::of(child.wait_with_output().expect("it ends"));
    let applied = folder.path().join(".keyform/sandbox-state.json").exists();
    (done, applied)
}

#[test]
fn at_a_terminal_apply_asks_and_only_yes_is_consent() {
    let (done, applied) = at_a_terminal("yes\n");
    done.exits(0).says("Apply this plan in the sandbox?").says("3 keysets created");
    assert!(applied);
    for no in ["y\n", "no\n", "\n", "YES\n"] {
        let (done, applied) = at_a_terminal(no);
        done.exits(3).says("not applied: the answer was not `yes`");
        assert!(!applied, "{no:?}");
    }
}

/// Kills an apply in the middle of keyset b's create, of which the server sees nothing.
fn killed_before_b_is_made(world: &World) {
    let args = ["apply", "--yes", "--parallelism", "1"];
    let mut child = world
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("keyform runs");
    let journal = world.dir().join("state/keyform.journal");
    wait_until(|| {
        std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("\"label\":\"b\""))
    });
    // The request is on its way, and hangs.
    std::thread::sleep(Duration::from_millis(500));
    child.kill().expect("it is killed");
    child.wait().expect("it is gone");
    assert_eq!(world.sandbox.keysets(), ["a"]);
}

#[test]
fn an_unfinished_create_that_was_renamed_meanwhile_is_not_doubled() {
    // The first create of b never arrives. The second, under its new name, arrives, and its answer
    // is lost.
    let world = World::new(&["POST /v2/keysets#2=hang", "POST /v2/keysets#3=cut-after"]);
    killed_before_b_is_made(&world);
    let toml = PROJECT.replace("[keyset.b]\n", "[keyset.b]\nname = \"b2\"\n");
    std::fs::write(world.dir().join("keyform.toml"), toml).expect("the project is changed");
    world.apply().exits(0).says("keyset b found, with a new secret key");
    assert_eq!(world.sandbox.keysets(), ["a", "b2", "c"]);
    world.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn an_unfinished_create_does_not_claim_what_this_run_makes() {
    let world = World::new(&["POST /v2/keysets#2=hang"]);
    killed_before_b_is_made(&world);
    // The label is another one now, the name is not.
    let toml = PROJECT.replace("[keyset.b]\n", "[keyset.d]\nname = \"b\"\n");
    std::fs::write(world.dir().join("keyform.toml"), toml).expect("the project is changed");
    world
        .apply()
        .exits(0)
        .says("2 keysets created")
        .says("2 secrets stored")
        .says("1 earlier step resolved");
    let state = world.state();
    assert_eq!(state["keysets"]["d"]["secret"]["status"], "stored");
    assert!(state["keysets"].get("b").is_none(), "nothing is recorded twice: {state:#}");
}

#[test]
fn a_secret_that_the_state_does_not_know_is_not_overwritten() {
    let world = World::new(&[]);
    world.apply().exits(0);
    let secret = |world: &World| {
        world.command(&["secrets", "get", "a"]).output().expect("keyform runs").stdout
    };
    let before = secret(&world);
    assert!(keyform::holds_secret(&before));
    // A second clone, without the state, against another account.
    let kept = world.dir().join("kept");
    std::fs::rename(world.dir().join("state"), &kept).expect("the state is put aside");
    let other = Sandbox::start(&[]);
    let mut command = world.command(&["apply", "--yes"]);
    command.envs(other.env());
    Done::of(command.output().expect("keyform runs"))
        .exits(4)
        .says("that this state does not know")
        .says("keyform:faults");
    assert!(other.keysets().is_empty(), "nothing is made whose secret has no place");
    std::fs::remove_dir_all(world.dir().join("state")).expect("the second state is gone");
    std::fs::rename(kept, world.dir().join("state")).expect("the first is back");
    assert_eq!(secret(&world), before);
}
