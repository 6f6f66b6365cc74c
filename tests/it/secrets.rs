//! The keyring, against a real Secret Service, in every state in which a user's may be.
//!
//! Which bus is used is a matter of the environment, which belongs to a whole process. So each test
//! starts this binary again with an environment of its own, as a [`Driver`], and speaks to it line
//! by line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use keyform::keyset::{Label, ProjectName, Secret};
use keyform::ports::{Item, Namespace, SecretName, Sink, SinkError};
use keyform::secrets::{ApiKeyStore, KeyringSink, Surroundings};

use crate::support::Keyring;

/// For one call of the driver. Real users wait ten seconds.
const DEADLINE: Duration = Duration::from_secs(3);

#[test]
fn a_secret_comes_back_and_only_under_its_own_name() {
    let keyring = Keyring::start();
    let mut driver = Driver::on(&keyring);
    assert_eq!(driver.ask("probe"), "ok");
    assert_eq!(driver.ask("get account chat-prod"), "none");
    assert_eq!(driver.ask("put account chat-prod sec-c-one"), "ok");
    assert_eq!(driver.ask("get account chat-prod"), "some sec-c-one");
    assert_eq!(driver.ask("get account chat-dev"), "none");
    assert_eq!(driver.ask("get sandbox chat-prod"), "none", "the sandbox's secrets are others");

    assert_eq!(driver.ask("put account chat-prod sec-c-two"), "ok");
    assert_eq!(driver.ask("get account chat-prod"), "some sec-c-two", "one entry, replaced");
}

#[test]
fn a_secret_outlives_the_daemon_and_the_process() {
    let mut keyring = Keyring::start();
    let mut first = Driver::on(&keyring);
    assert_eq!(first.ask("put account chat-prod sec-c-one"), "ok");
    keyring.kill_daemon();
    keyring.start_daemon();
    assert_eq!(Driver::on(&keyring).ask("get account chat-prod"), "some sec-c-one");
    assert_eq!(
        first.ask("get account chat-prod"),
        "some sec-c-one",
        "a process that saw the restart goes on"
    );
    assert_eq!(first.ask("put account chat-dev sec-c-two"), "ok");
}

#[test]
fn the_probe_leaves_nothing_behind() {
    let keyring = Keyring::start();
    let before = std::fs::read(keyring.file()).expect("the keyring's file");
    assert_eq!(Driver::on(&keyring).ask("probe"), "ok");
    assert_eq!(keyring.items(), 0);
    let after = std::fs::read(keyring.file()).expect("the keyring's file");
    assert_ne!(before, after, "the probe did write");
}

#[test]
fn without_a_bus() {
    let mut driver =
        Driver::start(&[("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus".into())]);
    for call in ["probe", "put account chat-prod sec-c-one", "get account chat-prod"] {
        refused(&driver.ask(call), "Unavailable", "no D-Bus session");
    }
}

#[test]
fn a_bus_without_a_service() {
    let keyring = Keyring::without_service();
    refused(&Driver::on(&keyring).ask("probe"), "Unavailable", "org.freedesktop.secrets");
}

#[test]
fn a_service_without_a_keyring() {
    let keyring = Keyring::without_collection();
    refused(&Driver::on(&keyring).ask("probe"), "Unavailable", "no default keyring");
}

#[test]
fn a_locked_keyring_is_refused_without_a_prompt() {
    let mut keyring = Keyring::start();
    let mut driver = Driver::on(&keyring);
    assert_eq!(driver.ask("put account chat-prod sec-c-one"), "ok");
    keyring.lock();
    for call in ["probe", "get account chat-prod", "put account chat-prod sec-c-two"] {
        refused(&driver.ask(call), "Locked", "unlock it");
        refused(&Driver::on(&keyring).ask(call), "Locked", "unlock it");
    }
}

#[test]
fn a_keyring_in_memory_takes_everything_and_is_refused() {
    let keyring = Keyring::session_collection_only();
    refused(&Driver::on(&keyring).ask("probe"), "Volatile", "gone at logout");
}

#[test]
fn a_service_that_hangs_is_given_up_at_the_deadline() {
    let keyring = Keyring::start();
    let mut driver = Driver::on(&keyring);
    assert_eq!(driver.ask("probe"), "ok");
    keyring.stop_daemon();
    for expected in [DEADLINE, DEADLINE, Duration::ZERO] {
        let start = Instant::now();
        refused(
            &driver.ask("put account chat-prod sec-c-one"),
            "Hanging",
            "did not answer within 3 s",
        );
        let took = start.elapsed();
        assert!(
            took >= expected && took < expected + Duration::from_secs(2),
            "took {took:?}, expected {expected:?}"
        );
    }
    refused(&Driver::on(&keyring).ask("probe"), "Hanging", "did not answer within 3 s");
}

#[test]
fn a_service_that_dies_after_the_probe_is_an_error_at_once() {
    let mut keyring = Keyring::start();
    let mut driver = Driver::on(&keyring);
    assert_eq!(driver.ask("probe"), "ok");
    keyring.kill_daemon();
    let start = Instant::now();
    refused(
        &driver.ask("put account chat-prod sec-c-one"),
        "Unavailable",
        "org.freedesktop.secrets",
    );
    assert!(start.elapsed() < DEADLINE, "an error, not a wait");
}

#[test]
fn two_services_on_one_file_are_refused() {
    let mut first = Keyring::start();
    let mut one = Driver::on(&first);
    assert_eq!(one.ask("put account chat-prod sec-c-one"), "ok");
    // Another session of the same user, at the same time and afterwards.
    let mut second = Keyring::beside(&first);
    for _ in 0..2 {
        let mut other = Driver::on(&second);
        refused(
            &other.ask("put account chat-dev sec-c-two"),
            "Failed",
            "two services have one keyring file",
        );
        refused(&other.ask("probe"), "Failed", "two services have one keyring file");
        assert_eq!(
            Driver::on(&first).ask("put account chat-dev sec-c-two"),
            "ok",
            "several runs on one service are fine"
        );
        drop(std::mem::replace(&mut one, Driver::on(&first)));
    }
    // Reading harms nobody.
    assert_eq!(Driver::on(&second).ask("get account chat-prod"), "some sec-c-one");
    // Of two that were there at the same time, one is left: what the other wrote since is not in
    // its memory.
    assert_eq!(one.ask("put account chat-late sec-c-late"), "ok");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(one.ask("put account chat-late sec-c-later"), "ok");
    drop(one);
    first.kill_daemon();
    refused(
        &Driver::on(&second).ask("put account chat-dev sec-c-three"),
        "Failed",
        "since this one read it",
    );
    second.kill_daemon();
    second.start_daemon();
    assert_eq!(Driver::on(&second).ask("put account chat-dev sec-c-three"), "ok");
    for (label, secret) in
        [("chat-prod", "sec-c-one"), ("chat-dev", "sec-c-three"), ("chat-late", "sec-c-later")]
    {
        assert_eq!(
            Driver::on(&second).ask(&format!("get account {label}")),
            format!("some {secret}")
        );
    }
}

#[test]
fn a_keyring_that_cannot_be_written_is_an_error() {
    let keyring = Keyring::start();
    let mut driver = Driver::on(&keyring);
    assert_eq!(driver.ask("probe"), "ok");
    std::fs::remove_dir_all(keyring.file().parent().expect("its folder")).expect("the folder goes");
    // The daemon fails to write, or has noticed first and shows the collection as locked, or none:
    // an error in any case.
    for request in ["put account chat-prod sec-c-one", "probe"] {
        let answer = driver.ask(request);
        assert!(
            ["error Failed ", "error Locked ", "error Unavailable "]
                .iter()
                .any(|start| answer.starts_with(start)),
            "{answer}"
        );
    }
}

#[test]
fn with_keyring_gives_a_machine_without_one_a_keyring_that_lasts() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut first = Driver::run(
        with_keyring(dir.path(), "one").arg(std::env::current_exe().expect("this binary")),
    );
    assert_eq!(first.ask("probe"), "ok");
    assert_eq!(first.ask("put account chat-prod sec-c-one"), "ok");
    assert!(first.end(), "its exit code is the command's");

    let mut second = Driver::run(
        with_keyring(dir.path(), "one").arg(std::env::current_exe().expect("this binary")),
    );
    assert_eq!(second.ask("get account chat-prod"), "some sec-c-one");
    assert!(second.end());

    let wrong = with_keyring(dir.path(), "two")
        .args(["sh", "-c", "echo it ran"])
        .output()
        .expect("the script runs");
    assert_eq!(wrong.status.code(), Some(5));
    assert!(wrong.stdout.is_empty(), "nothing runs with a locked keyring");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("another password"), "{wrong:?}");
}

#[test]
fn with_keyring_passes_the_exit_code_on_and_the_password_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "test -S \"${DBUS_SESSION_BUS_ADDRESS#unix:path=}\" && echo \"$DBUS_SESSION_BUS_ADDRESS\"; env | grep -c open-sesame; exit 7";
    let run = with_keyring(dir.path(), "open-sesame")
        .args(["sh", "-c", script])
        .output()
        .expect("the script runs");
    assert_eq!(run.status.code(), Some(7));
    let out = String::from_utf8_lossy(&run.stdout);
    let [address, count] = out.lines().collect::<Vec<_>>()[..] else { panic!("{run:?}") };
    assert_eq!(count, "0", "the password is not in the environment");
    let socket = address.strip_prefix("unix:path=").expect("an address");
    assert!(!std::path::Path::new(socket).exists(), "the bus has gone, and its folder");
}

#[test]
fn in_ci_the_keyring_needs_a_word() {
    let keyring = Keyring::start();
    let mut driver = Driver::on(&keyring);
    refused(&driver.ask("probe-in-ci"), "Unavailable", "KEYFORM_KEYRING_IN_CI=1");
    assert_eq!(driver.ask("probe-in-ci-allowed"), "ok");
}

#[test]
fn an_entry_that_is_no_key_is_an_error_that_does_not_show_it() {
    let keyring = Keyring::start();
    let mut driver = Driver::on(&keyring);
    assert_eq!(driver.ask("plant chat-prod"), "ok");
    let answer = driver.ask("get account chat-prod");
    refused(&answer, "Failed", "did not write");
    assert!(!answer.contains("planted"), "{answer}");
}

#[test]
fn an_api_key_belongs_to_its_host() {
    let keyring = Keyring::start();
    let mut driver = Driver::on(&keyring);
    assert_eq!(driver.ask("login admin-api.pubnub.com si_one"), "ok");
    assert_eq!(driver.ask("key admin-api.pubnub.com"), "some si_one");
    assert_eq!(driver.ask("key 127.0.0.1:8080"), "none");
    assert_eq!(driver.ask("logout admin-api.pubnub.com"), "ok");
    assert_eq!(driver.ask("key admin-api.pubnub.com"), "none");
    assert_eq!(driver.ask("logout admin-api.pubnub.com"), "none");
}

#[track_caller]
fn refused(answer: &str, variant: &str, says: &str) {
    assert!(answer.starts_with(&format!("error {variant} ")) && answer.contains(says), "{answer}");
}

/// This binary again, in an environment of its own, doing what it is told on stdin.
struct Driver {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

const DRIVER: &str = "KEYFORM_TEST_DRIVER";
/// Tells the driver's answers from what the test harness prints.
const ANSWER: &str = "answer: ";

impl Driver {
    fn on(keyring: &Keyring) -> Driver {
        Driver::start(&keyring.env())
    }

    fn start(env: &[(&str, String)]) -> Driver {
        Driver::run(
            Command::new(std::env::current_exe().expect("this binary"))
                .env_clear()
                .envs(env.iter().cloned()),
        )
    }

    /// `command`: this binary, or what runs it.
    fn run(command: &mut Command) -> Driver {
        let mut child = command
            .args(["--exact", "secrets::driver", "--nocapture", "--test-threads=1"])
            .env(DRIVER, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary starts again");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Driver { child, stdin, stdout }
    }

    fn ask(&mut self, call: &str) -> String {
        writeln!(self.stdin.as_mut().expect("piped"), "{call}").expect("the driver listens");
        let mut line = String::new();
        while self.stdout.read_line(&mut line).expect("the driver's answer") > 0 {
            if let Some((_, answer)) = line.trim_end().split_once(ANSWER) {
                return answer.to_owned();
            }
            line.clear();
        }
        panic!("the driver ended during {call:?}");
    }

    /// No more calls; whether it then ends well.
    fn end(mut self) -> bool {
        drop(self.stdin.take());
        self.child.wait().expect("the driver ends").success()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test by itself: the other half of [`Driver`]. Without its variable in the environment it
/// has nothing to do.
#[test]
fn driver() {
    if std::env::var_os(DRIVER).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    // Beside the keyring's file, as for a user's own.
    let note = std::env::var_os("XDG_DATA_HOME")
        .map(|data| std::path::PathBuf::from(data).join("keyform/keyring-users"));
    let sink = |in_ci, allowed_in_ci| {
        KeyringSink::with_deadline(
            Surroundings { in_ci, allowed_in_ci, note: note.clone() },
            DEADLINE,
        )
    };
    let (desktop, ci, allowed) = (sink(false, false), sink(true, false), sink(true, true));
    let keys = ApiKeyStore::with_deadline(DEADLINE);
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let words: Vec<&str> = line.split(' ').collect();
        let answer = runtime.block_on(async {
            match words[..] {
                ["probe"] => done(desktop.probe().await),
                ["probe-in-ci"] => done(ci.probe().await),
                ["probe-in-ci-allowed"] => done(allowed.probe().await),
                ["put", namespace, label, value] => {
                    done(desktop.put(&name(namespace, label), None, &secret(value)).await)
                }
                ["get", namespace, label] => found(desktop.get(&name(namespace, label)).await),
                ["login", host, key] => done(keys.set(host, &secret(key)).await),
                ["key", host] => found(keys.get(host).await),
                ["logout", host] => match keys.delete(host).await {
                    Ok(true) => "ok".to_owned(),
                    Ok(false) => "none".to_owned(),
                    Err(error) => failed(error),
                },
                ["plant", label] => {
                    // Bytes that are no text: the platform's own error would carry them.
                    let entry = keyring::Entry::new("keyform:acme", label).expect("an entry");
                    entry
                        .set_secret(b"planted \xff")
                        .map_or("failed".to_owned(), |()| "ok".to_owned())
                }
                _ => panic!("no such call: {line}"),
            }
        });
        println!("{ANSWER}{answer}");
    }
}

fn with_keyring(dir: &std::path::Path, password: &str) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/with-keyring"));
    command.arg(dir).env("KEYRING_PASSWORD", password);
    command
}

fn name(namespace: &str, label: &str) -> SecretName {
    SecretName {
        namespace: if namespace == "sandbox" { Namespace::Sandbox } else { Namespace::Account },
        project: ProjectName::parse("acme").expect("a name"),
        item: Item::Keyset(Label::parse(label).expect("a label")),
    }
}

fn secret(text: &str) -> Secret {
    Secret::parse(text.to_owned().into()).expect("a secret")
}

fn done(result: Result<(), SinkError>) -> String {
    result.map_or_else(failed, |()| "ok".to_owned())
}

fn found(result: Result<Option<Secret>, SinkError>) -> String {
    match result {
        Ok(Some(secret)) => format!("some {}", secret.expose_secret()),
        Ok(None) => "none".to_owned(),
        Err(error) => failed(error),
    }
}

fn failed(error: SinkError) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n'), "one line: {text:?}");
    let variant = format!("{error:?}");
    format!("error {} {text}", variant.split(['(', ' ']).next().unwrap_or_default())
}
