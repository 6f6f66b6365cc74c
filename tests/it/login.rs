//! The API key's three sources, and the commands about it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Keyring, Sandbox, keyform, sandbox::API_KEY};

struct World {
    folder: tempfile::TempDir,
    keyring: Keyring,
    sandbox: Sandbox,
}

impl World {
    fn new() -> World {
        let world = World {
            folder: tempfile::tempdir().expect("a temporary folder"),
            keyring: Keyring::start(),
            sandbox: Sandbox::start(&[]),
        };
        let example =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart/keyform.toml");
        std::fs::copy(example, world.folder.path().join("keyform.toml")).expect("copied");
        world
    }
    /// Without any key in the environment.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = keyform::command(args, self.folder.path(), Some(&self.keyring));
        command.env("KEYFORM_ENDPOINT", &self.sandbox.endpoint);
        command
    }
    fn login(&self, typed: &str) -> Output {
        let mut child = self
            .command(&["login"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("keyform runs");
        // What is too long to be a key is not read to its end.
        let _ = child.stdin.take().expect("piped").write_all(typed.as_bytes());
        child.wait_with_output().expect("it ends")
    }
    fn plan(&self) -> Output {
        self.command(&["plan"]).output().expect("keyform runs")
    }
}

#[track_caller]
fn says(done: &Output, code: i32, text: &str) {
    let all = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(done.status.code(), Some(code), "{all}");
    assert!(all.contains(text), "no {text:?} in {all}");
    assert!(!all.contains(API_KEY), "the key is shown");
}

#[test]
fn login_keeps_a_key_that_works_until_logout() {
    let world = World::new();
    says(&world.plan(), 1, "there is no API key");
    says(&world.login(&format!("{API_KEY}\n")), 0, "Logged in");
    says(&world.plan(), 0, "2 keysets to create");
    let logout = || world.command(&["logout"]).output().expect("keyform runs");
    says(&logout(), 0, "Logged out");
    says(&world.plan(), 1, "there is no API key");
    says(&logout(), 0, "has no API key");
}

#[test]
fn a_key_that_does_not_work_is_not_stored() {
    let world = World::new();
    says(&world.login("another-key\n"), 1, "the key was not stored");
    says(&world.login("with blanks in it\n"), 1, "no API key was read from stdin");
    says(&world.login(""), 1, "no API key was read from stdin");
    says(&world.login(&"x".repeat(100_000)), 1, "no API key was read from stdin");
    says(&world.plan(), 1, "there is no API key");
}

#[test]
fn the_environment_comes_before_the_keyring() {
    let world = World::new();
    says(&world.login(API_KEY), 0, "Logged in");
    // A key in the environment counts, even a wrong one: no silent second choice.
    says(
        &world.command(&["plan"]).env("PUBNUB_API_KEY", "wrong").output().expect("keyform runs"),
        1,
        "401",
    );
    let file = world.folder.path().join("key.txt");
    std::fs::write(&file, format!("{API_KEY}\n")).expect("written");
    says(&world.command(&["logout"]).output().expect("keyform runs"), 0, "Logged out");
    says(
        &world.command(&["plan"]).env("PUBNUB_API_KEY_FILE", &file).output().expect("keyform runs"),
        0,
        "2 keysets to create",
    );
    // Set and empty, as CI systems pass secrets that a fork may not see, counts as not set.
    let both = world
        .command(&["plan"])
        .env("PUBNUB_API_KEY", "")
        .env("PUBNUB_API_KEY_FILE", &file)
        .output()
        .expect("keyform runs");
    says(&both, 0, "2 keysets to create");
    std::fs::write(&file, "").expect("written");
    says(
        &world.command(&["plan"]).env("PUBNUB_API_KEY_FILE", &file).output().expect("keyform runs"),
        1,
        "PUBNUB_API_KEY_FILE",
    );
}

#[test]
fn plain_http_is_for_loopback_only() {
    let world = World::new();
    let done = world
        .command(&["plan"])
        .env("PUBNUB_API_KEY", API_KEY)
        .env("KEYFORM_ENDPOINT", "http://admin-api.pubnub.com")
        .output();
    says(&done.expect("keyform runs"), 1, "KEYFORM_ENDPOINT");
}

#[test]
fn init_writes_a_project_that_works_and_overwrites_nothing() {
    let world = World::new();
    let folder = world.folder.path().join("My Shop.d");
    std::fs::create_dir(&folder).expect("made");
    let run = |args: &[&str]| {
        keyform::command(args, &folder, Some(&world.keyring)).output().expect("keyform runs")
    };
    says(&run(&["init", "--name", "bad name"]), 1, "--name");
    says(&run(&["init"]), 0, "Wrote");
    let text = std::fs::read_to_string(folder.join("keyform.toml")).expect("written");
    says(&run(&["validate"]), 0, "Valid: 1 app and 1 keyset in 1 file.");
    says(&run(&["plan", "--sandbox"]), 0, "1 app and 1 keyset to create");
    says(&run(&["init"]), 1, "exists already; nothing was written");
    assert_eq!(std::fs::read_to_string(folder.join("keyform.toml")).expect("still there"), text);
}
