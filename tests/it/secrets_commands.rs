//! `keyform secrets rotate`, `copy`, `doctor` and the sinks `age` and `exec`, through the binary.

use std::path::Path;
use std::process::Output;

use ::keyform::secrets::Envelope;

use crate::support::{Sandbox, keyform, program};

struct Place {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    identity: String,
}

impl Place {
    fn new() -> Place {
        let identity = Envelope::new_key().expect("a key").expose_secret().to_owned();
        let place = Place {
            folder: tempfile::tempdir().expect("a temporary folder"),
            sandbox: Sandbox::start(&[]),
            identity,
        };
        let parsed: age::x25519::Identity = place.identity.parse().expect("an identity");
        let toml = format!(
            "[project]\nname = \"acme\"\n[secrets]\nsinks = [\"age\", \"exec\"]\n[secrets.age]\nrecipients = [\"{}\"]\n\
             [secrets.exec]\ncommand = [\"./program\"]\n[app.chat]\nname = \"Chat\"\n\
             [keyset.a]\napp = \"chat\"\ntype = \"testing\"\n[keyset.b]\napp = \"chat\"\ntype = \"testing\"\n",
            parsed.to_public()
        );
        std::fs::write(place.dir().join("keyform.toml"), toml).expect("the project is written");
        program::write(place.dir());
        place
    }
    fn dir(&self) -> &Path {
        self.folder.path()
    }
    fn run(&self, args: &[&str]) -> Output {
        let mut command = keyform::command(args, self.dir(), None);
        command
            .envs(self.sandbox.env())
            .env("KEYFORM_AGE_IDENTITY", &self.identity)
            .output()
            .expect("keyform runs")
    }
    #[track_caller]
    fn ends(&self, args: &[&str], code: i32, says: &str) {
        let output = self.run(args);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(
            text.contains(says) && !keyform::holds_secret(text.as_bytes()),
            "no {says:?} in {text}"
        );
    }
    fn secret(&self, label: &str) -> Vec<u8> {
        let output = self.run(&["secrets", "get", label]);
        assert!(output.status.success() && keyform::holds_secret(&output.stdout));
        output.stdout
    }
}

#[test]
fn a_secret_is_rotated_copied_lost_and_put_back() {
    let place = Place::new();
    place.ends(&["apply", "--yes"], 0, "2 secrets stored");
    let before = (place.secret("a"), place.secret("b"));

    place.ends(&["secrets", "rotate", "a", "--overlap", "24h"], 0, "works until");
    assert!(place.secret("a") != before.0, "it is another one");
    place.ends(&["secrets", "rotate", "a", "--now"], 0, "replaced");
    place.ends(&["secrets", "doctor", "--live"], 0, "0 not as they should be");
    place.ends(&["plan", "--detailed-exitcode"], 0, "Nothing to do");
    place.ends(&["secrets", "rotate", "a", "--overlap", "30s"], 1, "60 s to 366 days");
    place.ends(&["secrets", "rotate", "aa", "--now"], 1, "no keyset `aa`");

    let kept = place.secret("a");
    place.ends(&["secrets", "copy", "--to", "exec"], 0, "2 secrets copied");
    place.ends(&["secrets", "list"], 0, "exec");
    assert!(place.secret("a") == kept);

    // The program forgets one; the sealed file still has it.
    let vault = place.dir().join("vault.json");
    let text = std::fs::read_to_string(&vault).expect("the program keeps a file");
    std::fs::write(&vault, text.replace("keyset:a", "keyset:x")).expect("it forgets");
    place.ends(&["secrets", "doctor", "--check"], 4, "the age sink has it");
    place.ends(&["secrets", "doctor"], 0, "put back from the age sink");
    assert!(place.secret("a") == kept);

    // Now neither has it.
    std::fs::write(&vault, "{}").expect("it forgets");
    std::fs::remove_dir_all(place.dir().join("secrets")).expect("the files are gone");
    place.ends(&["secrets", "doctor"], 4, "secrets rotate a --overlap 24h");
}

#[test]
fn a_second_run_waits_for_the_lock_as_long_as_it_is_told() {
    let place = Place::new();
    place.ends(&["apply", "--yes"], 0, "2 secrets stored");
    let lock = std::fs::File::options()
        .write(true)
        .open(place.dir().join("state/keyform.lock"))
        .expect("the lock file");
    lock.lock().expect("locked");
    place.ends(&["apply", "--yes"], 6, "another run");
    place.ends(&["apply", "--yes", "--lock-timeout", "200ms"], 6, "Waiting");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(600));
            lock.unlock().expect("unlocked");
        });
        place.ends(&["apply", "--yes", "--lock-timeout", "30s"], 0, "Nothing to do");
    });
}
