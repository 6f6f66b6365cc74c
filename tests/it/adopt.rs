//! `keyform adopt` and `secrets import` through the binary, against the sandbox.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use ::keyform::secrets::Envelope;
use serde_json::{Value, json};

use crate::support::{Sandbox, keyform, read_tree};

struct Place {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    identity: String,
}

impl Place {
    /// A project without keysets.
    fn new() -> Place {
        let identity = Envelope::new_key().expect("a key").expose_secret().to_owned();
        let place = Place {
            folder: tempfile::tempdir().expect("a folder"),
            sandbox: Sandbox::start(&[]),
            identity,
        };
        place.declare("");
        place
    }
    fn declare(&self, more: &str) {
        let public =
            self.identity.parse::<age::x25519::Identity>().expect("an identity").to_public();
        let toml = format!(
            "[project]\nname = \"acme\"\n[secrets]\nsinks = [\"age\"]\n[secrets.age]\nrecipients = [\"{public}\"]\n# mine\n{more}"
        );
        std::fs::write(self.dir().join("keyform.toml"), toml).expect("the project is written");
    }
    fn dir(&self) -> &Path {
        self.folder.path()
    }
    fn toml(&self) -> String {
        std::fs::read_to_string(self.dir().join("keyform.toml")).expect("a project")
    }
    fn run(&self, args: &[&str], stdin: &str) -> Output {
        let mut command = keyform::command(args, self.dir(), None);
        command.envs(self.sandbox.env()).env("KEYFORM_AGE_IDENTITY", &self.identity);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("keyform runs");
        // A command that does not read has closed its end.
        let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
        child.wait_with_output().expect("it ends")
    }
    #[track_caller]
    fn ends(&self, args: &[&str], code: i32, says: &str) -> String {
        self.ends_with(args, "", code, says)
    }
    #[track_caller]
    fn ends_with(&self, args: &[&str], stdin: &str, code: i32, says: &str) -> String {
        let output = self.run(args, stdin);
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
        text
    }
    fn make_app(&self, name: &str) -> Value {
        let app = self.sandbox.post("/v2/apps", &json!({"name": name}));
        app["app"]["id"]
            .as_str()
            .or(app["id"].as_str())
            .map(Value::from)
            .unwrap_or_else(|| panic!("{app}"))
    }
    /// Gives back id and secret key.
    fn make(&self, app: &Value, name: &str, config: &Value) -> (String, String) {
        let body =
            json!({"keyset": {"appId": app, "name": name, "type": "testing"}, "config": config});
        let made = self.sandbox.post("/v2/keysets", &body);
        let text = made.to_string();
        let secret = text
            .split("sec-c-")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or_else(|| panic!("{made}"));
        let id = made["keyset"]["id"]
            .as_str()
            .or(made["id"].as_str())
            .unwrap_or_else(|| panic!("{made}"));
        (id.to_owned(), format!("sec-c-{secret}"))
    }
    #[track_caller]
    fn is_empty_plan(&self) {
        self.ends(&["plan", "--detailed-exitcode"], 0, "Nothing to do");
        self.ends(&["drift"], 0, "No drift");
    }
}

#[test]
fn a_whole_account_is_taken_over_and_nothing_is_changed() {
    let place = Place::new();
    let (chat, games) = (place.make_app("Chat"), place.make_app("Games & more"));
    let common = json!({"presence": {"enabled": true, "interval": 20, "announceMax": 20}, "messagePersistence": {"enabled": true, "retention": 7}});
    let mut files = common.clone();
    files["files"] = json!({"enabled": true, "retention": 30, "region": "eu-central-1"});
    place.make(&chat, "prod", &files);
    place.make(&chat, "Prod", &common);
    place.make(&games, "\u{65e5}\u{672c} \"x\" | `y`", &common);
    let before = place.sandbox.get("/v2/keysets?limit=100");

    place.ends(&["adopt", "--app", "Caht"], 1, "did you mean Chat?");
    place.ends(&["adopt", "--all"], 0, "3 keysets adopted");
    let toml = place.toml();
    assert!(toml.contains("# mine\n"), "what was there stays: {toml}");
    assert!(
        toml.contains("[profile.adopted]") && toml.contains("profiles = [\"adopted\"]"),
        "{toml}"
    );
    assert_eq!(
        toml.matches("presence.interval = 20").count(),
        1,
        "what all share is said once: {toml}"
    );
    assert!(toml.contains("[keyset.prod]") && toml.contains("[keyset.prod-2]\n"), "{toml}");
    assert!(toml.contains("files.region = \"eu-central-1\""), "{toml}");
    place.is_empty_plan();

    // A second time changes no byte.
    let files = read_tree(place.dir());
    place.ends(&["adopt", "--all"], 0, "Nothing to adopt");
    let again: Vec<_> = read_tree(place.dir())
        .into_iter()
        .filter(|(path, _)| !path.ends_with("keyform.lock"))
        .collect();
    assert!(files.into_iter().filter(|(path, _)| !path.ends_with("keyform.lock")).eq(again));
    assert_eq!(place.sandbox.get("/v2/keysets?limit=100"), before, "the account is only read");

    // The state is lost: the same labels come back.
    let state = || -> Value {
        serde_json::from_slice(
            &std::fs::read(place.dir().join("state/keyform.json")).expect("a state"),
        )
        .expect("JSON")
    };
    let old = state();
    std::fs::remove_dir_all(place.dir().join("state")).expect("lost");
    place.ends(&["plan"], 3, "already");
    place.ends(&["adopt", "--all"], 0, "3 keysets adopted");
    assert_eq!(place.toml(), toml);
    assert_eq!(state()["keysets"], old["keysets"]);
    assert_eq!(state()["apps"], old["apps"]);
    place.is_empty_plan();
}

#[test]
fn one_that_is_declared_is_taken_by_its_label() {
    let place = Place::new();
    let app = place.make_app("Chat");
    let (id, _) =
        place.make(&app, "by hand", &json!({"presence": {"enabled": true, "interval": 20}}));
    let (other, _) = place.make(&app, "other", &json!({}));
    place.declare(
        "[app.chat]\nname = \"Chat\"\n[keyset.mine]\napp = \"chat\"\nname = \"by hand\"\ntype = \"testing\"\npresence.interval = 30\n",
    );
    let toml = place.toml();
    place.ends(&["plan"], 3, "already");
    place.ends(&["adopt", "mine", "--id", "nothing"], 1, "does not show a keyset");
    place.ends(&["adopt", "mien", "--id", &id], 1, "did you mean `mine`?");
    place.ends(&["adopt", "mine", "--id", &id, "--id", &other], 1, "a label stands for one keyset");
    place.ends(&["adopt", "mine", "--id", &id], 0, "keyset mine adopted");
    assert_eq!(place.toml(), toml);
    // What differs is an ordinary update.
    place.ends(&["plan", "--detailed-exitcode"], 2, "presence.interval: 20 -> 30");
    place.ends(&["apply", "--yes"], 0, "1 keyset updated");
    place.ends(&["adopt", "mine", "--id", &other], 3, "`mine` stands for keyset");
    place.ends(&["adopt", "--id", &id], 3, "is managed already, as `mine`");
    place.ends(&["adopt", "--id", &other], 0, "1 keyset declared");
    place.is_empty_plan();
}

#[test]
fn its_secret_is_in_other_hands_until_somebody_says_otherwise() {
    let place = Place::new();
    let app = place.make_app("Chat");
    let (_, mine) = place.make(&app, "a", &json!({}));
    let (_, theirs) = place.make(&app, "b", &json!({}));
    place.ends(&["adopt", "--all"], 0, "2 keysets adopted");
    place.ends(&["secrets", "list"], 0, "unknown: the keyset was adopted");
    place.ends(&["secrets", "get", "a"], 1, "keyform never had its secret key");
    place.ends(&["secrets", "doctor"], 0, "in other hands");
    // Nobody's key is ended by an apply.
    place.ends(&["apply", "--yes"], 0, "Nothing to do");

    place.ends_with(&["secrets", "import", "a"], "hello", 1, "stdin holds no secret key");
    place.ends_with(&["secrets", "import", "a"], &theirs, 3, "another current key");
    place.ends_with(&["secrets", "import", "a"], &format!("{mine}\n"), 0, "is in age now");
    assert_eq!(place.run(&["secrets", "get", "a", "-n"], "").stdout, mine.as_bytes());
    place.ends(&["secrets", "rotate", "b", "--overlap", "24h"], 0, "works until");
    place.ends(&["secrets", "doctor", "--live"], 0, " 0 not as they should be");
    place.is_empty_plan();
}

#[test]
fn two_of_one_name_are_not_taken_for_one() {
    let place = Place::new();
    let app = place.make_app("Chat");
    let (one, _) = place.make(&app, "twin", &json!({}));
    let (two, _) = place.make(&app, "twin", &json!({}));
    place.declare(
        "[app.chat]\nname = \"Chat\"\n[keyset.twin]\napp = \"chat\"\ntype = \"testing\"\n",
    );
    let toml = place.toml();
    let text = place.ends(&["adopt", "--all"], 3, "nothing was adopted");
    assert!(
        text.contains(&one) && text.contains(&two) && text.contains("adopt twin --id"),
        "{text}"
    );
    assert_eq!(place.toml(), toml);
    assert!(!place.dir().join("state/keyform.json").exists());
    place.ends(&["adopt", "twin", "--id", &two], 0, "keyset twin adopted");
    place.ends(&["plan"], 0, "Nothing to do");
}
