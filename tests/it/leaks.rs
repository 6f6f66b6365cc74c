//! No secret and no API key anywhere but in the keyring: not in files, not in output at the
//! noisiest log level, not in process arguments.

use std::path::Path;
use std::process::Stdio;

use crate::support::{Keyring, Sandbox, keyform, read_tree, sandbox::API_KEY};

const PROJECT: &str = r#"
[project]
name = "leaks"
[app.main]
name = "Main"
[keyset.one]
app = "main"
type = "testing"
[keyset.two]
app = "main"
type = "testing"
"#;

fn holds_key(bytes: &[u8]) -> bool {
    bytes.windows(API_KEY.len()).any(|window| window == API_KEY.as_bytes())
}

/// Command lines of every process of the machine that can be seen.
fn command_lines() -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok()).collect()
}

#[test]
fn nothing_leaks_at_any_log_level() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("keyform.toml"), PROJECT).expect("the project is written");
    let keyring = Keyring::start();
    let data = folder.path().join("server.json");
    let fault = "POST /v2/keysets#2=garbage-after";
    let sandbox = Sandbox::start(&["--data", data.to_str().expect("UTF-8"), "--fault", fault]);
    for args in [
        &["apply", "--yes", "-vv", "--settle", "1", "--parallelism", "1"][..],
        &["plan", "-vv"],
        &["secrets", "list", "-vv"],
        &["apply", "--yes", "--format", "json"],
    ] {
        let mut command = keyform::command(args, folder.path(), Some(&keyring));
        command
            .envs(sandbox.env())
            .env("KEYFORM_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("keyform runs");
        let mut seen = 0;
        while child.try_wait().expect("it can be asked").is_none() && seen < 1000 {
            for line in command_lines() {
                assert!(
                    !keyform::holds_secret(&line) && !holds_key(&line),
                    "a process argument holds a key"
                );
            }
            seen += 1;
        }
        let done = child.wait_with_output().expect("it ends");
        for stream in [&done.stdout, &done.stderr] {
            assert!(!keyform::holds_secret(stream), "{args:?} printed a secret");
            assert!(!holds_key(stream), "{args:?} printed the API key");
        }
    }
    no_file_holds_one(folder.path());

    let get = |label: &str| {
        keyform::command(&["secrets", "get", label], folder.path(), Some(&keyring))
            .output()
            .expect("keyform runs")
    };
    let done = get("one");
    assert!(keyform::holds_secret(&done.stdout), "the one command that shows a secret does");
    assert!(!keyform::holds_secret(&done.stderr));
}

fn no_file_holds_one(folder: &Path) {
    let files = read_tree(folder);
    assert!(files.len() > 3, "the run left files to look at");
    for (path, bytes) in files {
        assert!(!keyform::holds_secret(&bytes), "{} holds a secret", path.display());
        assert!(!holds_key(&bytes), "{} holds the API key", path.display());
    }
}
