//! `[secrets.mirror.github]` through the binary, against the sandbox and a stand-in for GitHub.

use std::path::Path;
use std::process::Output;

use ::keyform::secrets::Envelope;

use crate::support::github::{StandIn, said};
use crate::support::{Sandbox, keyform, read_tree};

const TOKEN: &str = "github_pat_of-this-test";
const A: &str = "/repos/acme/chat/actions/secrets/PUBNUB_A";
const B: &str = "/repos/acme/chat/actions/secrets/PUBNUB_B";
const PROD: &str = "/repos/acme/chat/environments/prod/secrets/KEY";

struct Place {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    github: StandIn,
    identity: String,
}

impl Place {
    fn new() -> Place {
        let identity = Envelope::new_key().expect("a key").expose_secret().to_owned();
        let (folder, github) = (tempfile::tempdir().expect("a temporary folder"), StandIn::start());
        let place = Place { folder, sandbox: Sandbox::start(&[]), github, identity };
        place.declare(&["a", "b"], "");
        place
    }
    fn declare(&self, labels: &[&str], more: &str) {
        let public =
            self.identity.parse::<age::x25519::Identity>().expect("an identity").to_public();
        let keysets: String = labels
            .iter()
            .map(|label| format!("[keyset.{label}]\napp = \"chat\"\ntype = \"testing\"\n"))
            .collect();
        let toml = format!(
            "[project]\nname = \"acme\"\n[secrets]\nsinks = [\"age\"]\n[secrets.age]\nrecipients = [\"{public}\"]\n\
             [[secrets.mirror.github]]\nrepo = \"acme/chat\"\nname = \"PUBNUB_{{label}}\"\n{more}\
             [app.chat]\nname = \"Chat\"\n{keysets}"
        );
        std::fs::write(self.dir().join("keyform.toml"), toml).expect("the project is written");
    }
    fn dir(&self) -> &Path {
        self.folder.path()
    }
    fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = keyform::command(args, self.dir(), None);
        command
            .envs(self.sandbox.env())
            .env("GITHUB_API_URL", &self.github.url)
            .envs(variables.iter().copied());
        command.output().expect("keyform runs")
    }
    /// With the token; without what opens the secrets, as in CI.
    #[track_caller]
    fn ends(&self, args: &[&str], code: i32, says: &[&str]) {
        self.ends_with(args, &[("KEYFORM_GITHUB_TOKEN", TOKEN)], code, says);
    }
    /// As somebody who may read the secrets.
    #[track_caller]
    fn reader_ends(&self, args: &[&str], code: i32, says: &[&str]) {
        self.ends_with(
            args,
            &[("KEYFORM_GITHUB_TOKEN", TOKEN), ("KEYFORM_AGE_IDENTITY", &self.identity)],
            code,
            says,
        );
    }
    #[track_caller]
    fn ends_with(&self, args: &[&str], variables: &[(&str, &str)], code: i32, says: &[&str]) {
        let output = self.run_with(args, variables);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(code), "{text}");
        for says in says {
            assert!(text.contains(says), "no {says:?} in {text}");
        }
        assert!(!keyform::holds_secret(text.as_bytes()) && !text.contains(TOKEN), "{text}");
        for (path, bytes) in read_tree(self.dir()) {
            assert!(!keyform::holds_secret(&bytes), "{} holds a secret", path.display());
        }
    }
    fn secret(&self, label: &str) -> String {
        let output = self.run_with(
            &["secrets", "get", label, "-n"],
            &[("KEYFORM_AGE_IDENTITY", &self.identity)],
        );
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("UTF-8")
    }
    /// How often a secret was sent.
    fn sent(&self) -> usize {
        self.github.asked().iter().filter(|line| line.starts_with("PUT")).count()
    }
}

#[test]
fn a_copy_follows_its_secret() {
    let place = Place::new();
    place.ends(
        &["plan"],
        0,
        &["github:acme/chat/PUBNUB_A (no copy was sent there yet)", "2 copies to send"],
    );
    assert_eq!(place.sent(), 0, "a plan sends nothing");

    // Only public keys are at hand: the copies are made from what the run has in its hand.
    place.ends(
        &["apply", "--yes"],
        0,
        &["sent to github:acme/chat/PUBNUB_A", "2 secrets mirrored, 2 secrets stored"],
    );
    assert_eq!(place.github.stored(A), Some(place.secret("a")));
    assert_eq!(place.github.stored(B), Some(place.secret("b")));
    place.ends(&["plan", "--detailed-exitcode"], 0, &["Nothing to do"]);
    place.sent();
    place.ends(&["apply", "--yes"], 0, &["Nothing to do"]);
    assert_eq!(place.sent(), 0, "what is there is not sent again");

    place.ends(
        &["secrets", "rotate", "a", "--now"],
        0,
        &["replaced", "sent to github:acme/chat/PUBNUB_A"],
    );
    assert_eq!(place.github.stored(A), Some(place.secret("a")));
    assert_eq!(place.sent(), 1, "only the one that changed");

    // One more place for one of them.
    let more = "[[secrets.mirror.github]]\nrepo = \"acme/chat\"\nenvironment = \"prod\"\nname = \"KEY\"\nkeysets = [\"b\"]\n";
    place.declare(&["a", "b"], more);
    place.ends(&["plan", "--detailed-exitcode"], 2, &["github:acme/chat/prod/KEY"]);
    place.ends(
        &["apply", "--yes"],
        4,
        &["not sent to github:acme/chat/prod/KEY", "apply where the sink can be read"],
    );
    place.reader_ends(&["apply", "--yes"], 0, &["1 secret mirrored"]);
    assert_eq!(place.github.stored(PROD), Some(place.secret("b")));

    // Somebody deleted it there, which nobody can see from here.
    place.sent();
    place.reader_ends(
        &["secrets", "mirror", "b"],
        0,
        &["sent to github:acme/chat/PUBNUB_B", "sent to github:acme/chat/prod/KEY"],
    );
    assert_eq!(place.sent(), 2);
    place.reader_ends(
        &["secrets", "mirror", "--format", "json"],
        0,
        &["\"outcome\": \"mirrored\"", "\"to\": \"github:acme/chat/prod/KEY\""],
    );
    place.reader_ends(&["secrets", "mirror", "c"], 1, &["no keyset `c`"]);
    place.ends(&["plan", "--detailed-exitcode"], 0, &["Nothing to do"]);
}

#[test]
fn what_cannot_be_reached_is_told_before_anything_is_made() {
    let place = Place::new();
    let none = [("KEYFORM_GITHUB_TOKEN", "")];
    place.ends_with(
        &["apply", "--yes"],
        &none,
        1,
        &["there is no token", "Secrets: write", "nothing was done"],
    );
    place.github.script([said(404, "Not Found")]);
    place.ends(&["apply", "--yes"], 1, &["404", "there is no such repository", "nothing was done"]);
    place.github.script([said(401, &format!("Bad credentials: {TOKEN}"))]);
    place.ends(&["apply", "--yes"], 1, &["401", "withheld"]);
    let elsewhere = [("KEYFORM_GITHUB_TOKEN", TOKEN), ("GITHUB_API_URL", "http://192.0.2.1")];
    place.ends_with(&["apply", "--yes"], &elsewhere, 1, &["GITHUB_API_URL"]);
    assert_eq!(place.sandbox.keysets(), [] as [&str; 0]);

    // The tokens of `gh` do as well.
    place.ends_with(&["apply", "--yes"], &[("GH_TOKEN", TOKEN)], 0, &["2 secrets mirrored"]);
}

#[test]
fn a_copy_that_fails_costs_nothing_else() {
    let place = Place::new();
    place.ends_with(&["plan", "--refresh", "none"], &[], 0, &["2 copies to send"]);
    place.ends_with(
        &["apply", "--yes", "--target", "b"],
        &[("GITHUB_TOKEN", TOKEN)],
        0,
        &["1 secret mirrored"],
    );
    // The key is given, and the copy is refused although its key is fresh.
    let (sealing_key, refused) = (
        place.github.public_key("/repos/acme/chat/actions/secrets"),
        said(422, "Validation Failed"),
    );
    place.github.script([sealing_key, refused]);
    place.ends(&["apply", "--yes"], 4, &["GitHub answers 422", "1 failed", "1 secret stored"]);
    assert_eq!(place.sandbox.keysets(), ["a", "b"]);
    place.ends(&["plan", "--detailed-exitcode"], 2, &["1 copy to send"]);
    place.reader_ends(&["apply", "--yes"], 0, &["1 secret mirrored"]);
    assert_eq!(place.github.stored(A), Some(place.secret("a")));
}

#[test]
fn secrets_of_the_sandbox_go_nowhere_else() {
    let place = Place::new();
    place.ends_with(
        &["apply", "--yes", "--sandbox"],
        &[("KEYFORM_GITHUB_TOKEN", TOKEN)],
        0,
        &["2 secrets stored"],
    );
    assert_eq!(place.sent(), 0);
}
