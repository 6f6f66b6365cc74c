//! `keyform state list|show|mv|rm` through the binary.

use std::path::Path;
use std::process::Output;

use ::keyform::secrets::Envelope;

use crate::support::{Sandbox, keyform};

struct Place {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    identity: String,
}

impl Place {
    fn new() -> Place {
        let identity = Envelope::new_key().expect("a key").expose_secret().to_owned();
        let place = Place {
            folder: tempfile::tempdir().expect("a folder"),
            sandbox: Sandbox::start(&[]),
            identity,
        };
        place.declare("chat", &[("a", "one"), ("b", "two")]);
        place.ends(&["apply", "--yes"], 0, "2 secrets stored");
        place
    }
    fn declare(&self, app: &str, keysets: &[(&str, &str)]) {
        let public =
            self.identity.parse::<age::x25519::Identity>().expect("an identity").to_public();
        let keysets: String = keysets
            .iter()
            .map(|(label, name)| {
                format!(
                    "[keyset.{label}]\napp = \"{app}\"\nname = \"{name}\"\ntype = \"testing\"\n"
                )
            })
            .collect();
        let toml = format!(
            "[project]\nname = \"acme\"\n[secrets]\nsinks = [\"age\"]\n[secrets.age]\nrecipients = [\"{public}\"]\n\
             [app.{app}]\nname = \"Chat\"\n{keysets}"
        );
        std::fs::write(self.dir().join("keyform.toml"), toml).expect("the project is written");
    }
    fn dir(&self) -> &Path {
        self.folder.path()
    }
    fn run(&self, args: &[&str], identity: &str) -> Output {
        let mut command = keyform::command(args, self.dir(), None);
        command
            .envs(self.sandbox.env())
            .env("KEYFORM_AGE_IDENTITY", identity)
            .output()
            .expect("keyform runs")
    }
    #[track_caller]
    fn ends(&self, args: &[&str], code: i32, says: &str) {
        self.ends_with(&self.identity, args, code, says);
    }
    #[track_caller]
    fn ends_with(&self, identity: &str, args: &[&str], code: i32, says: &str) {
        let output = self.run(args, identity);
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
        let output = self.run(&["secrets", "get", label], &self.identity);
        assert!(output.status.success());
        output.stdout
    }
    fn state(&self) -> Vec<u8> {
        std::fs::read(self.dir().join("state/keyform.json")).expect("a state")
    }
}

#[test]
fn a_renamed_label_takes_its_secret_along_and_nothing_is_made_again() {
    let place = Place::new();
    let secret = place.secret("a");
    place.declare("chat", &[("new", "one"), ("b", "two")]);
    place.ends(&["plan"], 3, "if only the label is new: moved = { from = \"a\" }");
    place.ends(&["state", "mv", "a", "new"], 0, "keyset a is recorded as new");
    place.ends(&["plan", "--detailed-exitcode"], 0, "Nothing to do");
    assert!(place.secret("new") == secret);
    place.ends(&["secrets", "doctor", "--check", "--live"], 0, " 0 not as they should be");
    assert_eq!(place.sandbox.keysets(), ["one", "two"]);

    // An app's label goes with what is in it.
    place.declare("talk", &[("new", "one"), ("b", "two")]);
    place.ends(&["state", "mv", "--app", "chat", "talk"], 0, "app chat is recorded as talk");
    place.ends(&["plan", "--detailed-exitcode"], 0, "Nothing to do");
    place.ends(&["state", "list"], 0, "in app talk");
    assert_eq!(place.sandbox.get("/v2/apps")["total"], 1);
}

#[test]
fn what_would_lose_something_is_refused() {
    let place = Place::new();
    let before = place.state();
    place.ends(&["state", "mv", "a", "b"], 3, "`b` is recorded already");
    place.ends(&["state", "mv", "x", "c"], 1, "no keyset `x`");
    place.ends(&["state", "mv", "--app", "caht", "c"], 1, "did you mean `chat`?");
    place.ends(&["state", "mv", "a", "../c"], 1, "../c");
    // Its secret cannot be taken along where it cannot be read.
    place.ends_with("", &["state", "mv", "a", "c"], 5, "cannot be read here");
    std::fs::write(place.dir().join("secrets/c.age"), "of another project").expect("written");
    place.ends(&["state", "mv", "a", "c"], 5, "c.age");
    place.ends(&["state", "rm", "a"], 3, "only the state tells that the secret of `a`");
    place.ends(&["state", "rm", "--app", "chat"], 3, "2 recorded keysets are in app `chat`");
    assert_eq!(place.state(), before);

    place.ends(&["state", "show", "a"], 0, "\"subscribeKey\"");
    place.ends(&["state", "list", "--format", "json"], 0, "\"kind\": \"state\"");
    place.ends(&["state", "rm", "--force", "a"], 0, "left alone in the account");
    place.declare("chat", &[("b", "two")]);
    place.ends(&["plan", "--detailed-exitcode"], 0, "Nothing to do");
    assert_eq!(place.sandbox.keysets(), ["one", "two"], "the account is not asked");
    place.ends(&["drift"], 2, "not managed: \"one\"");
}

#[test]
fn what_was_begun_is_not_forgotten() {
    let place = Place::new();
    place.declare("chat", &[("a", "one"), ("b", "two"), ("c", "three")]);
    let mut command = keyform::command(&["secrets", "rotate", "a", "--now"], place.dir(), None);
    command
        .envs(place.sandbox.env())
        .env("KEYFORM_AGE_IDENTITY", &place.identity)
        .env("KEYFORM_FAILPOINT", "rotate.answered=kill");
    assert_eq!(command.output().expect("keyform runs").status.code(), None);
    place.ends(&["state", "mv", "a", "d"], 3, "has no end yet");
    place.ends(&["state", "rm", "--force", "a"], 3, "has no end yet");
    place.ends(&["apply", "--yes", "--settle", "1"], 0, "replaced");
    place.ends(&["state", "mv", "a", "d"], 0, "recorded as d");
}
