//! A project in a folder of its own, with secrets in sealed files, and a sandbox that it talks to.

use std::path::Path;
use std::process::Output;

use ::keyform::secrets::Envelope;
use serde_json::Value;

use super::{Sandbox, keyform};

pub struct Place {
    folder: tempfile::TempDir,
    sandbox: Option<Sandbox>,
    pub identity: String,
}

impl Place {
    /// Without an app or keyset.
    pub fn new() -> Place {
        let identity = Envelope::new_key().expect("a key").expose_secret().to_owned();
        let mut place =
            Place { folder: tempfile::tempdir().expect("a folder"), sandbox: None, identity };
        place.declare("");
        place.restart(&[]);
        place
    }
    /// Head of the project, and this below it.
    pub fn declare(&self, more: &str) {
        let public =
            self.identity.parse::<age::x25519::Identity>().expect("an identity").to_public();
        let head = format!(
            "[project]\nname = \"acme\"\n[secrets]\nsinks = [\"age\"]\n[secrets.age]\nrecipients = [\"{public}\"]\n"
        );
        self.write("keyform.toml", &format!("{head}{more}"));
    }
    pub fn write(&self, path: &str, text: &str) {
        let path = self.dir().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        std::fs::write(path, text).expect("it is written");
    }
    pub fn toml(&self) -> String {
        std::fs::read_to_string(self.dir().join("keyform.toml")).expect("a project")
    }
    /// The account as it was, with these arguments for the sandbox.
    pub fn restart(&mut self, args: &[&str]) {
        self.sandbox = None;
        let data = self.dir().join("account.json").display().to_string();
        let log = self.dir().join("requests.log").display().to_string();
        self.sandbox = Some(Sandbox::start(&[&["--data", &data, "--log", &log], args].concat()));
    }
    pub fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().expect("it runs")
    }
    /// What the sandbox was asked, method and path, from the beginning.
    pub fn requests(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir().join("requests.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }
    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = keyform::command(args, self.dir(), None);
        command.envs(self.sandbox().env()).env("KEYFORM_AGE_IDENTITY", &self.identity);
        command
    }
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("keyform runs")
    }
    /// Runs it and gives back what it says on both streams; no secret is among it.
    #[track_caller]
    pub fn ends(&self, args: &[&str], code: i32, says: &str) -> String {
        ended(&self.run(args), code, says)
    }
    #[track_caller]
    pub fn json(&self, args: &[&str], code: i32) -> Value {
        let output = self.run(&[args, &["--format", "json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
    pub fn secret(&self, label: &str) -> String {
        let output = self.run(&["secrets", "get", label, "--no-newline"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }
    pub fn state(&self) -> Value {
        serde_json::from_slice(
            &std::fs::read(self.dir().join("state/keyform.json")).expect("a state"),
        )
        .expect("JSON")
    }
    pub fn id(&self, label: &str) -> String {
        self.state()["keysets"][label]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("no id of {label}"))
            .to_owned()
    }
    #[track_caller]
    pub fn is_settled(&self) {
        self.ends(&["plan", "--detailed-exitcode"], 0, "Nothing to do");
    }
}

#[track_caller]
pub fn ended(output: &Output, code: i32, says: &str) -> String {
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
