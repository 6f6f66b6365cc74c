//! One adapter in an environment of its own, and what it says.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

const SYSTEM: &str = "/usr/local/bin:/usr/bin:/bin";

/// What is stored in these tests; no output may hold it but the answer to a `get`.
pub const SECRET: &str = "sec-c-ZGVzay10ZXN0LXNlY3JldC0x";
pub const OTHER: &str = "sec-c-ZGVzay10ZXN0LXNlY3JldC0y";

pub struct Desk {
    pub folder: tempfile::TempDir,
    adapter: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    path: String,
}

#[derive(Debug)]
pub struct Answer {
    pub code: Option<i32>,
    /// Null: not exactly one line of JSON.
    pub json: Json,
    pub stderr: String,
}

impl Desk {
    /// The adapter, with these arguments. Of the tools that it may start it sees none but `tools`
    /// before the system's own; how they were started is in [`Desk::record`].
    pub fn new(adapter: &str, args: &[&str], tools: &[&Path]) -> Desk {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bin = folder.path().join("bin");
        std::fs::create_dir_all(bin.join("real")).expect("the folder is made");
        std::fs::write(bin.join("record"), "").expect("the record is made");
        for tool in tools {
            let name = tool.file_name().expect("a file name");
            symlink(stand_in("recorded"), bin.join(name)).expect("linked");
            symlink(tool, bin.join("real").join(name)).expect("linked");
        }
        let path = format!("{}:{SYSTEM}", bin.display());
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Desk { folder, adapter: sinks().join(adapter), args, env: Vec::new(), path }
    }

    pub fn env(mut self, name: &str, value: &str) -> Desk {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, from a folder to which the sinks have been copied.
    pub fn copied(mut self) -> Desk {
        // By a process of its own: a program that this one has open for writing cannot be started.
        let copy = self.folder.path().join("copied");
        assert!(
            Command::new("cp").arg("-R").args([&sinks(), &copy]).status().expect("cp").success()
        );
        self.adapter = copy.join(self.adapter.file_name().expect("a name"));
        self
    }

    /// The same, on a machine that has Python and nothing else.
    pub fn bare(mut self) -> Desk {
        let only = self.folder.path().join("only");
        std::fs::create_dir(&only).expect("the folder is made");
        symlink(installed("python3", "python3"), only.join("python3")).expect("linked");
        self.path = only.display().to_string();
        self
    }

    /// The same, with a tool that fails and quotes its input.
    pub fn with_blurting(self, tool: &str) -> Desk {
        let bin = self.folder.path().join("bin");
        std::fs::remove_file(bin.join("real").join(tool)).expect("there was one");
        symlink(stand_in("blurts"), bin.join("real").join(tool)).expect("linked");
        self
    }

    /// A command in the adapter's environment, without anything of this process's.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.folder.path())
            .env("LANG", "C.UTF-8");
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder.path());
        command
    }

    pub fn send(&self, stdin: &[u8]) -> Answer {
        assert!(installed("python3", "python3").exists());
        let mut child = self
            .command(&self.adapter)
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the adapter starts");
        // What is too long is not read to its end.
        let _ = child.stdin.take().expect("piped").write_all(stdin);
        let done = child.wait_with_output().expect("it ends");
        let text = String::from_utf8(done.stdout).expect("UTF-8");
        let json = if text.lines().count() == 1 {
            serde_json::from_str(&text).unwrap_or(Json::Null)
        } else {
            Json::Null
        };
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        for secret in [SECRET, OTHER] {
            assert!(!stderr.contains(secret), "on stderr");
            assert!(json.get("secret").is_some() || !text.contains(secret), "on stdout: {text}");
            assert!(
                !self.record().contains(secret),
                "in the arguments or the environment of a program"
            );
        }
        Answer { code: done.status.code(), json, stderr }
    }

    /// `op` on the keyset `label`.
    pub fn ask(&self, op: &str, label: &str) -> Answer {
        self.send(request(op, label).to_string().as_bytes())
    }

    pub fn put(&self, label: &str, secret: &str) -> Answer {
        self.send(putting(label, secret).to_string().as_bytes())
    }

    /// Arguments and environment of the programs that were started.
    pub fn record(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("bin/record"))
            .expect("the record is readable")
    }
}

impl Answer {
    #[track_caller]
    pub fn is(&self, json: Json) {
        assert_eq!((self.code, &self.json, &*self.stderr), (Some(0), &json, ""));
    }

    #[track_caller]
    pub fn is_not_found(&self) {
        assert_eq!(
            (self.code, &self.json),
            (Some(3), &json!({"ok": false, "error": "not found"})),
            "{}",
            self.stderr
        );
    }

    /// Failed as the contract says, and its text says this.
    #[track_caller]
    pub fn fails(&self, with: &str) {
        assert_eq!(
            (self.code, &self.json["ok"], &*self.stderr),
            (Some(1), &json!(false), ""),
            "{}",
            self.json
        );
        let text = self.json["error"].as_str().expect("a text");
        assert!(text.contains(with), "no {with:?} in {text:?}");
        assert!(
            text.chars().count() <= 410 && !text.contains(char::is_control),
            "{text:?} is not for a person"
        );
    }
}

pub fn request(op: &str, label: &str) -> Json {
    json!({"keyform_sink": 1, "op": op, "project": "acme-chat", "namespace": "account", "item": "keyset", "label": label})
}

pub fn putting(label: &str, secret: &str) -> Json {
    let mut request = request("put", label);
    request["keyset_id"] = json!("1002");
    request["publish_key"] = json!("pub-c-1");
    request["subscribe_key"] = json!("sub-c-1");
    request["secret"] = json!(secret);
    request
}

/// The folder of the adapters.
pub fn sinks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sinks")
}

pub fn stand_in(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand-ins").join(name)
}

/// A program of the machine's own.
pub fn installed(program: &str, package: &str) -> PathBuf {
    let found =
        SYSTEM.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{program} is missing: apt-get install -y {package}"))
}
