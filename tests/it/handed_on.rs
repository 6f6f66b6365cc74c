//! A state that is not committed: each runner is new, and finds what the last one handed on as an
//! artifact - or does not.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::checkout::Checkout;

struct Pipeline {
    place: Checkout,
    artifacts: tempfile::TempDir,
    made: usize,
}

impl Pipeline {
    fn new(labels: &[&str]) -> Pipeline {
        Pipeline {
            place: Checkout::new(labels),
            artifacts: tempfile::tempdir().expect("a folder"),
            made: 0,
        }
    }
    fn declare(&self, labels: &[&str]) {
        self.place.declare(&labels.iter().map(|label| (*label, *label)).collect::<Vec<_>>());
    }
    /// What the job keeps when it ends, however it ends.
    fn hand_on(&mut self) -> PathBuf {
        self.made += 1;
        let artifact = self.artifacts.path().join(format!("{}.tar", self.made));
        tar(&self.place.dir, &["-cf", &artifact.display().to_string(), "state", "secrets"]);
        artifact
    }
    /// A machine that nobody used before, with the project as it is in the repository, and this
    /// artifact if it found one.
    fn next_runner(&self, artifact: Option<&Path>) {
        for folder in ["state", "secrets"] {
            let _ = std::fs::remove_dir_all(self.place.dir.join(folder));
        }
        if let Some(artifact) = artifact {
            tar(&self.place.dir, &["-xf", &artifact.display().to_string()]);
        }
    }
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.place.keysets().into_iter().map(|(_, name)| name).collect();
        names.sort();
        names
    }
}

fn tar(dir: &Path, args: &[&str]) {
    assert!(
        Command::new("tar").arg("-C").arg(dir).args(args).status().expect("tar runs").success()
    );
}

#[test]
fn each_runner_goes_on_where_the_last_one_ended() {
    let mut ci = Pipeline::new(&["a", "b"]);
    ci.place.apply().exits(0).says("2 keysets created");
    let first = ci.hand_on();
    ci.next_runner(Some(&first));
    ci.declare(&["a", "b", "c"]);
    ci.place.apply().exits(0).says("1 keyset created");
    let second = ci.hand_on();
    ci.next_runner(Some(&second));
    ci.place.is_sound();
    ci.place.run(&["log"]).exits(0).says("each follows from the one before");
    assert_eq!(ci.names(), ["a", "b", "c"]);
}

#[test]
fn a_runner_that_was_killed_hands_its_journal_on_too() {
    for point in [
        "create.intended",
        "create.answered",
        "create.sealed",
        "create.stored",
        "create.committed",
        "rotate.sealed",
    ] {
        let mut ci = Pipeline::new(&["a", "b"]);
        if point == "rotate.sealed" {
            ci.place.apply().exits(0);
            ci.place.rotate_at(&["--now"], &format!("{point}=kill")).killed();
        } else {
            ci.place.apply_at(&format!("{point}=kill")).killed();
        }
        let _ = std::fs::create_dir(ci.place.dir.join("secrets"));
        let artifact = ci.hand_on();
        ci.next_runner(Some(&artifact));
        ci.place.apply().exits(0);
        ci.place.is_sound();
        assert_eq!(ci.names(), ["a", "b"], "{point}");
    }
}

#[test]
fn without_the_artifact_or_with_an_old_one_nothing_is_made_twice() {
    let mut ci = Pipeline::new(&["a", "b"]);
    ci.place.apply().exits(0).says("2 keysets created");
    let old = ci.hand_on();
    ci.declare(&["a", "b", "c"]);
    ci.place.apply().exits(0).says("1 keyset created");
    let newest = ci.hand_on();
    for found in [None, Some(&old)] {
        ci.next_runner(found.map(PathBuf::as_path));
        ci.place.run(&["plan"]).exits(3).says("Refused");
        ci.place.apply().exits(3).says("keyform adopt");
        assert_eq!(ci.names(), ["a", "b", "c"], "{found:?}");
    }
    // What was kept is still good.
    ci.next_runner(Some(&newest));
    ci.place.is_sound();
    // Without any, the account tells what there is; the secrets are where they were put.
    ci.next_runner(None);
    tar(&ci.place.dir, &["-xf", &newest.display().to_string(), "secrets"]);
    ci.place.run(&["adopt", "--all"]).exits(0).says("3 keysets");
    for label in ["a", "b", "c"] {
        // What `age --decrypt` shows.
        let sealed: serde_json::Value = serde_json::from_str(&ci.place.entry(label)).expect("JSON");
        let secret = sealed["secretKey"].as_str().expect("a key").to_owned();
        let mut import = ci.place.command(&["secrets", "import", label], &[]);
        let mut child = import
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("keyform runs");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), secret.as_bytes())
            .expect("it reads");
        assert!(child.wait().expect("it ends").success());
    }
    ci.place.is_sound();
    assert_eq!(ci.names(), ["a", "b", "c"]);
}
