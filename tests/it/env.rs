//! `keyform env` and `keyform run`: a keyset's keys for an application.

use std::path::Path;
use std::process::{Command, Output};

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
        let public = identity.parse::<age::x25519::Identity>().expect("an identity").to_public();
        let place = Place {
            folder: tempfile::tempdir().expect("a folder"),
            sandbox: Sandbox::start(&[]),
            identity,
        };
        let toml = format!(
            "[project]\nname = \"acme\"\n[secrets]\nsinks = [\"age\"]\n[secrets.age]\nrecipients = [\"{public}\"]\n\
             [app.chat]\nname = \"Chat\"\n[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n"
        );
        std::fs::write(place.dir().join("keyform.toml"), toml).expect("the project is written");
        assert!(place.run(&["apply", "--yes"]).status.success());
        place
    }
    fn dir(&self) -> &Path {
        self.folder.path()
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = keyform::command(args, self.dir(), None);
        command.envs(self.sandbox.env()).env("KEYFORM_AGE_IDENTITY", &self.identity);
        command
    }
    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("keyform runs")
    }
    #[track_caller]
    fn prints(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }
    #[track_caller]
    fn fails(&self, args: &[&str], says: &str) {
        let output = self.run(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(says) && output.stdout.is_empty(), "no {says:?} in {text}");
    }
    fn keys(&self) -> [String; 3] {
        let state = std::fs::read(self.dir().join("state/keyform.json")).expect("a state");
        let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
        let key = |name: &str| state["keysets"]["a"][name].as_str().expect("a key").to_owned();
        [key("publishKey"), key("subscribeKey"), self.prints(&["secrets", "get", "a", "-n"])]
    }
}

#[test]
fn the_secret_is_there_only_where_it_is_asked_for() {
    let place = Place::new();
    let [publish, subscribe, secret] = place.keys();
    let public = format!("PUBNUB_PUBLISH_KEY={publish}\nPUBNUB_SUBSCRIBE_KEY={subscribe}\n");
    assert_eq!(place.prints(&["env", "a"]), public);
    assert_eq!(
        place.prints(&["env", "a", "--format", "dotenv", "--secret"]),
        format!("{public}PUBNUB_SECRET_KEY={secret}\n")
    );
    let named = place.prints(&[
        "env",
        "a",
        "--format",
        "shell",
        "--publish",
        "P",
        "--subscribe",
        "S",
        "--secret=X",
    ]);
    assert_eq!(
        named,
        format!("export P='{publish}'\nexport S='{subscribe}'\nexport X='{secret}'\n")
    );
    let json: serde_json::Value =
        serde_json::from_str(&place.prints(&["env", "a", "--format", "json", "--secret"]))
            .expect("JSON");
    assert_eq!(
        json,
        serde_json::json!({"PUBNUB_PUBLISH_KEY": publish, "PUBNUB_SUBSCRIBE_KEY": subscribe, "PUBNUB_SECRET_KEY": secret})
    );
    // A shell takes it as it is.
    let shown = Command::new("sh")
        .args(["-c", "eval \"$1\"; printf %s \"$X\"", "sh", &named])
        .output()
        .expect("sh runs");
    assert_eq!(String::from_utf8(shown.stdout).expect("UTF-8"), secret);

    place.fails(&["env", "b"], "no keyset `b`");
    place.fails(&["env", "a", "--format", "markdown"], "it has human, json, dotenv, shell, github");
    place.fails(&["env", "a", "--publish", "X", "--subscribe", "X"], "two keys under one name");
    place.fails(&["env", "a", "--format", "github"], "GITHUB_ENV is not set");
    let output = place.run(&["env", "a", "--publish", "A B"]);
    assert!(
        !output.status.success()
            && String::from_utf8_lossy(&output.stderr).contains("letters, digits and _")
    );
    // Without the key that opens it there is no secret, and no half of the variables either.
    let output = place
        .command(&["env", "a", "--secret"])
        .env("KEYFORM_AGE_IDENTITY", "")
        .output()
        .expect("keyform runs");
    assert!(!output.status.success() && output.stdout.is_empty());
}

#[test]
fn a_workflow_gets_variables_and_a_mask() {
    let place = Place::new();
    let [publish, subscribe, secret] = place.keys();
    let file = place.dir().join("github-env");
    std::fs::write(&file, "BEFORE=1\n").expect("written");
    let output = place
        .command(&["env", "a", "--format", "github", "--secret"])
        .env("GITHUB_ENV", &file)
        .output()
        .expect("keyform runs");
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), format!("::add-mask::{secret}\n"));
    let text = std::fs::read_to_string(&file).expect("it is there");
    assert_eq!(
        text,
        format!(
            "BEFORE=1\nPUBNUB_PUBLISH_KEY={publish}\nPUBNUB_SUBSCRIBE_KEY={subscribe}\nPUBNUB_SECRET_KEY={secret}\n"
        )
    );
}

#[test]
fn a_command_gets_the_keys_and_takes_the_place_of_keyform() {
    let place = Place::new();
    let [publish, subscribe, secret] = place.keys();
    let script = "printf '%s %s %s %s %s' \"$$\" \"$PUBNUB_PUBLISH_KEY\" \"$PUBNUB_SUBSCRIBE_KEY\" \"$KEY\" \"$1\"; exit 7";
    let mut command =
        place.command(&["run", "a", "--secret=KEY", "--", "sh", "-c", script, "sh", "--not-ours"]);
    let child = command.stdout(std::process::Stdio::piped()).spawn().expect("keyform runs");
    let pid = child.id();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(7), "its exit code is the command's");
    assert_eq!(
        String::from_utf8(output.stdout).expect("UTF-8"),
        format!("{pid} {publish} {subscribe} {secret} --not-ours")
    );

    let output =
        place.run(&["run", "a", "--", "sh", "-c", "printf %s \"${PUBNUB_SECRET_KEY-none}\""]);
    assert_eq!(output.stdout, b"none", "nobody asked for it");
    place.fails(&["run", "a", "--", "/no/such/program"], "cannot be started");
    place.fails(&["run", "nobody", "--", "true"], "no keyset `nobody`");
    assert!(!place.run(&["run", "a"]).status.success());
}
