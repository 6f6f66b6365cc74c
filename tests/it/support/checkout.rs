//! A project in a clone of its own, others beside it, and the account that they share. What their
//! runs say holds no secret.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ::keyform::secrets::Envelope;
use serde_json::json;

use super::{Sandbox, keyform, program, read_tree};

pub struct Checkout {
    folder: tempfile::TempDir,
    /// Of one clone; there may be others beside it.
    pub dir: PathBuf,
    sandbox: Option<Sandbox>,
    identity: String,
}

/// A run, and what it said.
pub struct Done {
    pub code: Option<i32>,
    pub text: String,
}

impl Done {
    pub fn of(output: &Output) -> Done {
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!keyform::holds_secret(text.as_bytes()), "{text}");
        Done { code: output.status.code(), text }
    }
    #[track_caller]
    pub fn exits(self, code: i32) -> Done {
        assert_eq!(self.code, Some(code), "{}", self.text);
        self
    }
    #[track_caller]
    pub fn killed(self) -> Done {
        assert_eq!(self.code, None, "{}", self.text);
        self
    }
    #[track_caller]
    pub fn says(self, text: &str) -> Done {
        assert!(self.text.contains(text), "no {text:?} in:\n{}", self.text);
        self
    }
    #[track_caller]
    pub fn says_nothing_of(self, text: &str) -> Done {
        assert!(!self.text.contains(text), "{text:?} in:\n{}", self.text);
        self
    }
}

impl Checkout {
    pub fn new(labels: &[&str]) -> Checkout {
        let identity = Envelope::new_key().expect("a key").expose_secret().to_owned();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("clone");
        std::fs::create_dir(&dir).expect("a folder");
        let sandbox = Some(start(folder.path(), &[]));
        let place = Checkout { folder, dir, sandbox, identity };
        place.declare(&labels.iter().map(|label| (*label, *label)).collect::<Vec<_>>());
        place
    }
    /// Labels and names.
    pub fn declare(&self, keysets: &[(&str, &str)]) {
        self.configure("sinks = [\"age\"]", keysets);
    }
    pub fn configure(&self, secrets: &str, keysets: &[(&str, &str)]) {
        let public =
            self.identity.parse::<age::x25519::Identity>().expect("an identity").to_public();
        let keysets: String = keysets
            .iter()
            .map(|(label, name)| {
                format!("[keyset.{label}]\napp = \"chat\"\nname = \"{name}\"\ntype = \"testing\"\n")
            })
            .collect();
        let toml = format!(
            "[project]\nname = \"acme\"\n[secrets]\n{secrets}\n[secrets.age]\nrecipients = [\"{public}\"]\n\
             [app.chat]\nname = \"Chat\"\n{keysets}"
        );
        std::fs::write(self.dir.join("keyform.toml"), toml).expect("the project is written");
    }
    /// Secrets go to these sinks; the program is one that may be among them.
    pub fn with_program(&self, sinks: &str) {
        program::write(&self.dir);
        self.configure(&format!("sinks = {sinks}\nexec.command = [\"./program\"]"), &[("a", "a")]);
    }
    /// The server comes back, the account as it was, with these faults.
    pub fn restart(&mut self, faults: &[&str]) {
        // The data file is written with every change: the old one may be killed.
        self.sandbox = None;
        self.sandbox = Some(start(self.folder.path(), faults));
    }
    pub fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().expect("it runs")
    }
    pub fn command(&self, args: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = keyform::command(args, &self.dir, None);
        command
            .envs(self.sandbox().env())
            .env("KEYFORM_AGE_IDENTITY", &self.identity)
            .env_remove("KEYFORM_SANDBOX_SEED");
        command.envs(variables.iter().copied());
        command
    }
    pub fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Done {
        Done::of(&self.command(args, variables).output().expect("keyform runs"))
    }
    pub fn run(&self, args: &[&str]) -> Done {
        self.run_with(args, &[])
    }
    pub fn apply(&self) -> Done {
        self.run(&["apply", "--yes", "--settle", "1", "--timeout", "2"])
    }
    /// An apply that ends, or fails, at a step.
    pub fn apply_at(&self, point: &str) -> Done {
        self.run_with(
            &["apply", "--yes", "--settle", "1", "--timeout", "2", "--parallelism", "1"],
            &[("KEYFORM_FAILPOINT", point)],
        )
    }
    pub fn rotate_at(&self, how: &[&str], point: &str) -> Done {
        self.run_with(
            &[&["secrets", "rotate", "a", "--settle", "1", "--timeout", "2"], how].concat(),
            &[("KEYFORM_FAILPOINT", point)],
        )
    }
    /// Everything is as it should be: the account's current keys are in the sink, and nothing is
    /// left to do.
    #[track_caller]
    pub fn is_sound(&self) {
        self.run(&["secrets", "doctor", "--check", "--live"])
            .exits(0)
            .says(" 0 not as they should be");
        self.run(&["plan", "--detailed-exitcode"]).exits(0).says("Nothing to do");
        assert!(!self.dir.join("state/keyform.journal").exists());
        for (path, bytes) in read_tree(&self.dir) {
            assert!(!keyform::holds_secret(&bytes), "{} holds a secret", path.display());
        }
    }
    pub fn secret(&self, label: &str) -> String {
        let output =
            self.command(&["secrets", "get", label, "-n"], &[]).output().expect("keyform runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("UTF-8")
    }
    /// As the state has it; before there is one, as the account has it.
    pub fn id(&self, label: &str) -> String {
        let Ok(state) = std::fs::read(self.dir.join("state/keyform.json")) else {
            return self
                .keysets()
                .into_iter()
                .find(|(_, name)| name == label)
                .expect("a keyset of that name")
                .0;
        };
        let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
        state["keysets"][label]["id"].as_str().expect("an id").to_owned()
    }
    /// What the folder of sealed files has under a label, whatever the state says.
    pub fn entry(&self, label: &str) -> String {
        let identity: age::x25519::Identity = self.identity.parse().expect("an identity");
        let sealed =
            std::fs::read(self.dir.join(format!("secrets/{label}.age"))).expect("a sealed file");
        let open = age::decrypt(&identity, &sealed).expect("it opens");
        String::from_utf8(open).expect("UTF-8")
    }
    /// Ids and names of all keysets of the account.
    pub fn keysets(&self) -> Vec<(String, String)> {
        let listed = self.sandbox().get("/v2/keysets?limit=100");
        let text = |value: &serde_json::Value| {
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        };
        listed["keysets"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|keyset| (text(&keyset["id"]), text(&keyset["name"])))
            .collect()
    }
    /// How many keys the account has for it.
    pub fn keys(&self, label: &str) -> usize {
        let keys = self
            .sandbox()
            .get(&format!("/v2/keysets/{}/secret-keys?activeOnly=true", self.id(label)));
        keys["secretKeys"].as_array().expect("a list").len()
    }
    /// Somebody makes a new key by hand, which they use from now on.
    pub fn rotate_by_hand(&self, label: &str) -> String {
        let made =
            self.sandbox().post(&format!("/v2/keysets/{}/secret-keys", self.id(label)), &json!({}));
        made["secretKey"]["secretKey"]
            .as_str()
            .or(made["secretKey"].as_str())
            .unwrap_or_else(|| panic!("{made}"))
            .to_owned()
    }
    /// Whether the account takes that key still, if only for a while.
    pub fn works(&self, label: &str, key: &str) -> bool {
        let keys = self
            .sandbox()
            .get(&format!("/v2/keysets/{}/secret-keys?activeOnly=true", self.id(label)));
        keys["secretKeys"].as_array().expect("a list").iter().any(|listed| {
            let shown = listed["secretKey"]
                .as_str()
                .or(listed["prefix"].as_str())
                .unwrap_or_else(|| panic!("{listed}"));
            key.starts_with(shown.trim_end_matches('*'))
        })
    }
    /// Another clone of the project, as it is now; gives back the first one's folder.
    pub fn in_another_clone(&mut self) -> PathBuf {
        let other = self.folder.path().join("other");
        let copied =
            Command::new("cp").arg("-a").arg(&self.dir).arg(&other).status().expect("cp runs");
        assert!(copied.success());
        std::mem::replace(&mut self.dir, other)
    }
    /// Another clone of the project, as it is now, to go to.
    pub fn fork(&self) -> PathBuf {
        let other = self.folder.path().join("fork");
        let copied =
            Command::new("cp").arg("-a").arg(&self.dir).arg(&other).status().expect("cp runs");
        assert!(copied.success());
        other
    }
    /// What is done there.
    pub fn over_there(&mut self, other: &Path, work: impl FnOnce(&Checkout)) {
        let here = std::mem::replace(&mut self.dir, other.to_owned());
        work(self);
        self.dir = here;
    }
    /// What was committed there is here too.
    pub fn pull_all(&self, other: &Path) {
        for what in ["keyform.toml", "state/keyform.json", "secrets"] {
            let from = other.join(what);
            if from.exists() {
                let into = self.dir.join(what);
                let into = into.parent().expect("a folder");
                assert!(
                    Command::new("cp")
                        .arg("-a")
                        .arg(&from)
                        .arg(into)
                        .status()
                        .expect("cp runs")
                        .success()
                );
            }
        }
    }
    /// Back in the first clone, which pulls what the other one committed.
    pub fn pull(&mut self, first: PathBuf) {
        let other = std::mem::replace(&mut self.dir, first);
        std::fs::copy(other.join("state/keyform.json"), self.dir.join("state/keyform.json"))
            .expect("pulled");
        let copied = Command::new("cp")
            .arg("-a")
            .arg(other.join("secrets"))
            .arg(&self.dir)
            .status()
            .expect("cp runs");
        assert!(copied.success());
    }
}

fn start(folder: &Path, faults: &[&str]) -> Sandbox {
    let data = folder.join("account.json").display().to_string();
    let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
    Sandbox::start(&["--data", &data].into_iter().chain(faults).collect::<Vec<_>>())
}
