//! Sequences of runs that once cost a key, or could have: two crashes, two clones, a changed configuration, a person who helps.
//! Each ends with the account's current key in the sink, or with a stop that says so and has overwritten nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use ::keyform::secrets::Envelope;
use serde_json::json;

use crate::support::{Sandbox, keyform, program, read_tree};

struct Place {
    folder: tempfile::TempDir,
    /// Of one clone; there may be others beside it.
    dir: PathBuf,
    sandbox: Option<Sandbox>,
    identity: String,
}

/// A run, and what it said.
struct Done {
    code: Option<i32>,
    text: String,
}

impl Done {
    fn of(output: &Output) -> Done {
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!keyform::holds_secret(text.as_bytes()), "{text}");
        Done { code: output.status.code(), text }
    }
    #[track_caller]
    fn exits(self, code: i32) -> Done {
        assert_eq!(self.code, Some(code), "{}", self.text);
        self
    }
    #[track_caller]
    fn killed(self) -> Done {
        assert_eq!(self.code, None, "{}", self.text);
        self
    }
    #[track_caller]
    fn says(self, text: &str) -> Done {
        assert!(self.text.contains(text), "no {text:?} in:\n{}", self.text);
        self
    }
    #[track_caller]
    fn says_nothing_of(self, text: &str) -> Done {
        assert!(!self.text.contains(text), "{text:?} in:\n{}", self.text);
        self
    }
}

impl Place {
    fn new(labels: &[&str]) -> Place {
        let identity = Envelope::new_key().expect("a key").expose_secret().to_owned();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("clone");
        std::fs::create_dir(&dir).expect("a folder");
        let sandbox = Some(start(folder.path(), &[]));
        let place = Place { folder, dir, sandbox, identity };
        place.declare(&labels.iter().map(|label| (*label, *label)).collect::<Vec<_>>());
        place
    }
    /// Labels and names.
    fn declare(&self, keysets: &[(&str, &str)]) {
        self.configure("sinks = [\"age\"]", keysets);
    }
    fn configure(&self, secrets: &str, keysets: &[(&str, &str)]) {
        let public = self.identity.parse::<age::x25519::Identity>().expect("an identity").to_public();
        let keysets: String = keysets
            .iter()
            .map(|(label, name)| format!("[keyset.{label}]\napp = \"chat\"\nname = \"{name}\"\ntype = \"testing\"\n"))
            .collect();
        let toml = format!(
            "[project]\nname = \"acme\"\n[secrets]\n{secrets}\n[secrets.age]\nrecipients = [\"{public}\"]\n\
             [app.chat]\nname = \"Chat\"\n{keysets}"
        );
        std::fs::write(self.dir.join("keyform.toml"), toml).expect("the project is written");
    }
    /// The server comes back, the account as it was, with these faults.
    fn restart(&mut self, faults: &[&str]) {
        // The data file is written with every change: the old one may be killed.
        self.sandbox = None;
        self.sandbox = Some(start(self.folder.path(), faults));
    }
    fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().expect("it runs")
    }
    fn command(&self, args: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = keyform::command(args, &self.dir, None);
        command.envs(self.sandbox().env()).env("KEYFORM_AGE_IDENTITY", &self.identity).env_remove("KEYFORM_SANDBOX_SEED");
        command.envs(variables.iter().copied());
        command
    }
    fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Done {
        Done::of(&self.command(args, variables).output().expect("keyform runs"))
    }
    fn run(&self, args: &[&str]) -> Done {
        self.run_with(args, &[])
    }
    fn apply(&self) -> Done {
        self.run(&["apply", "--yes", "--settle", "1", "--timeout", "2"])
    }
    /// An apply that ends, or fails, at a step.
    fn apply_at(&self, point: &str) -> Done {
        self.run_with(&["apply", "--yes", "--settle", "1", "--timeout", "2", "--parallelism", "1"], &[("KEYFORM_FAILPOINT", point)])
    }
    fn rotate_at(&self, how: &[&str], point: &str) -> Done {
        self.run_with(&[&["secrets", "rotate", "a", "--settle", "1", "--timeout", "2"], how].concat(), &[("KEYFORM_FAILPOINT", point)])
    }
    /// Everything is as it should be: the account's current keys are in the sink, and nothing is left to do.
    #[track_caller]
    fn is_sound(&self) {
        self.run(&["secrets", "doctor", "--check", "--live"]).exits(0).says(" 0 not as they should be");
        self.run(&["plan", "--detailed-exitcode"]).exits(0).says("Nothing to do");
        assert!(!self.dir.join("state/keyform.journal").exists());
        for (path, bytes) in read_tree(&self.dir) {
            assert!(!keyform::holds_secret(&bytes), "{} holds a secret", path.display());
        }
    }
    fn secret(&self, label: &str) -> String {
        let output = self.command(&["secrets", "get", label, "-n"], &[]).output().expect("keyform runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("UTF-8")
    }
    fn id(&self, label: &str) -> String {
        let state = std::fs::read(self.dir.join("state/keyform.json")).expect("a state");
        let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
        state["keysets"][label]["id"].as_str().expect("an id").to_owned()
    }
    /// How many keys the account has for it.
    fn keys(&self, label: &str) -> usize {
        let keys = self.sandbox().get(&format!("/v2/keysets/{}/secret-keys?activeOnly=true", self.id(label)));
        keys["secretKeys"].as_array().expect("a list").len()
    }
    /// Somebody makes a new key by hand, which they use from now on.
    fn rotate_by_hand(&self, label: &str) -> String {
        let made = self.sandbox().post(&format!("/v2/keysets/{}/secret-keys", self.id(label)), &json!({}));
        made["secretKey"]["secretKey"].as_str().or(made["secretKey"].as_str()).unwrap_or_else(|| panic!("{made}")).to_owned()
    }
    /// Whether the account takes that key still, if only for a while.
    fn works(&self, label: &str, key: &str) -> bool {
        let keys = self.sandbox().get(&format!("/v2/keysets/{}/secret-keys?activeOnly=true", self.id(label)));
        keys["secretKeys"].as_array().expect("a list").iter().any(|listed| {
            let shown = listed["secretKey"].as_str().or(listed["prefix"].as_str()).unwrap_or_else(|| panic!("{listed}"));
            key.starts_with(shown.trim_end_matches('*'))
        })
    }
    /// Another clone of the project, as it is now; gives back the first one's folder.
    fn in_another_clone(&mut self) -> PathBuf {
        let other = self.folder.path().join("other");
        let copied = Command::new("cp").arg("-a").arg(&self.dir).arg(&other).status().expect("cp runs");
        assert!(copied.success());
        std::mem::replace(&mut self.dir, other)
    }
    /// Back in the first clone, which pulls what the other one committed.
    fn pull(&mut self, first: PathBuf) {
        let other = std::mem::replace(&mut self.dir, first);
        std::fs::copy(other.join("state/keyform.json"), self.dir.join("state/keyform.json")).expect("pulled");
        let copied = Command::new("cp").arg("-a").arg(other.join("secrets")).arg(&self.dir).status().expect("cp runs");
        assert!(copied.success());
    }
}

fn start(folder: &Path, faults: &[&str]) -> Sandbox {
    let data = folder.join("account.json").display().to_string();
    let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
    Sandbox::start(&["--data", &data].into_iter().chain(faults).collect::<Vec<_>>())
}

#[test]
fn a_second_rotation_does_not_drop_the_sealed_answer_of_the_first() {
    for how in [&["--now"][..], &["--overlap", "24h"]] {
        let place = Place::new(&["a"]);
        place.apply().exits(0);
        let first = place.secret("a");
        place.rotate_at(how, "rotate.sealed=kill").killed();
        // The next one is refused; what it found sealed is stored all the same.
        place.run_with(&[&["secrets", "rotate", "a"], how].concat(), &[("PUBNUB_API_KEY", "pnu-wrong")]).says("401");
        assert!(place.secret("a") != first);
        place.is_sound();
        place.rotate_at(how, "rotate.sealed=kill").killed();
        place.run(&[&["secrets", "rotate", "a"], how].concat()).exits(0).says("replaced");
        place.is_sound();
    }
}

#[test]
fn a_sealed_create_is_not_laid_over_a_newer_key() {
    let place = Place::new(&["a"]);
    place.apply_at("sink.put=eio").exits(4).says("waits in the journal");
    place.run(&["secrets", "rotate", "a", "--now"]).exits(0).says("replaced");
    let newest = place.secret("a");
    place.apply().exits(0);
    place.run(&["secrets", "recover"]).exits(0).says("Nothing is sealed");
    assert!(place.secret("a") == newest);
    place.is_sound();
}

#[test]
fn a_declaration_that_changed_since_is_not_blamed_on_the_server() {
    let place = Place::new(&["a"]);
    place.apply_at("create.sealed=kill").killed();
    place.declare(&[("a", "another name")]);
    place.apply().exits(0).says("1 keyset updated").says_nothing_of("did not take");
    place.is_sound();
}

#[test]
fn what_waits_sealed_waits_until_the_sink_takes_it() {
    let place = Place::new(&["a", "b"]);
    place.apply_at("sink.put=eio").exits(4).says("waits in the journal");
    for _ in 0..3 {
        place.apply_at("sink.put=eio").exits(4).says("waits in the journal");
    }
    place.run(&["plan"]).exits(0).says("is sealed in the journal");
    place
        .run_with(&["secrets", "doctor"], &[("KEYFORM_FAILPOINT", "sink.put=eio")])
        .exits(4)
        .says("repairable")
        .says_nothing_of("makes a new one");
    place.apply().exits(0).says("sealed answer").says_nothing_of("replaced");
    place.is_sound();

    // The same for a rotation that was asked for.
    place.rotate_at(&["--now"], "sink.put=eio").exits(4).says("waits in the journal");
    place.apply_at("sink.put=eio").exits(4).says("waits in the journal");
    place.apply().exits(0).says_nothing_of("replaced");
    place.is_sound();
}

#[test]
fn a_rotation_of_unknown_fate_stays_open_until_a_key_is_recorded() {
    let mut place = Place::new(&["a"]);
    place.apply().exits(0);
    let id = place.id("a");
    // Carried out, never answered, and the account does not tell either.
    place.restart(&["POST /v2/keysets/=cut-after", &format!("GET /v2/keysets/{id}/secret-keys#3-999=status:403")]);
    let first = place.secret("a");
    place.run(&["secrets", "rotate", "a", "--overlap", "24h", "--settle", "1"]).exits(4).says("It is written down as begun");
    place.run(&["plan", "--refresh", "none", "--detailed-exitcode"]).exits(2).says("end is not known");
    assert!(place.secret("a") == first, "it works for a day");
    place.restart(&[]);
    place.apply().exits(0).says("replaced");
    assert!(place.works("a", &first), "nobody asked to end it");
    place.is_sound();
}

#[test]
fn an_interrupted_rotation_says_so_and_is_taken_up() {
    let mut place = Place::new(&["a"]);
    place.apply().exits(0);
    let id = place.id("a");
    place.restart(&["POST /v2/keysets/=cut-after", &format!("GET /v2/keysets/{id}/secret-keys#3-999=status:403")]);
    let mut command = place.command(&["secrets", "rotate", "a", "--overlap", "24h", "--settle", "60"], &[]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("keyform runs");
    let journal = place.dir.join("state/keyform.journal");
    let begun = Instant::now();
    while !std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("secretKey")) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it was not begun");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().expect("kill runs").success());
    Done::of(&child.wait_with_output().expect("it ends")).exits(130);
    place.restart(&[]);
    place.apply().exits(0).says("replaced");
    place.is_sound();
}

#[test]
fn what_somebody_else_rotated_meanwhile_is_not_ended_at_once() {
    let place = Place::new(&["a"]);
    place.apply().exits(0);
    place.rotate_at(&["--overlap", "24h"], "rotate.intended=kill").killed();
    let theirs = place.rotate_by_hand("a");
    place.apply().exits(0);
    assert!(place.works("a", &theirs), "its key has the overlap that was asked for");
    assert_eq!(place.keys("a"), 2);
    place.is_sound();
}

#[test]
fn a_clone_that_lost_an_answer_does_not_end_the_key_of_another_clone() {
    // Before and after the loss was written down.
    for (faults, point) in [(&[][..], "rotate.answered=kill"), (&["POST /v2/keysets/#1=cut-after"], "rotate.answered#2=kill")] {
        let mut place = Place::new(&["a"]);
        place.apply().exits(0);
        place.restart(faults);
        let first = place.in_another_clone();
        let other = std::mem::replace(&mut place.dir, first.clone());
        place.rotate_at(&["--now"], point).killed();
        let lost = std::mem::replace(&mut place.dir, other);
        place.run(&["secrets", "rotate", "a", "--now"]).exits(0);
        let theirs = place.secret("a");
        place.is_sound();
        place.pull(lost);
        place.run(&["plan"]).exits(0);
        place.apply().exits(0);
        assert!(place.secret("a") == theirs, "{point}");
        place.is_sound();
    }
}

#[test]
fn a_key_that_somebody_made_for_a_lost_one_is_not_ended() {
    // Found without a secret; before it gets a new one, somebody helps.
    let mut place = Place::new(&["a"]);
    place.restart(&["POST /v2/keysets$#1=cut-after", "POST /v2/keysets/=status:500"]);
    place.apply().exits(4);
    place.restart(&[]);
    let theirs = place.rotate_by_hand("a");
    for _ in 0..2 {
        place.apply().exits(4).says("somebody made another").says("secrets import a");
        assert!(place.works("a", &theirs));
    }
    place.run(&["secrets", "rotate", "a", "--overlap", "24h"]).exits(0);
    assert!(place.works("a", &theirs), "for a day");
    place.is_sound();

    // Without help it is repaired by itself.
    let mut place = Place::new(&["a"]);
    place.restart(&["POST /v2/keysets$#1=cut-after", "POST /v2/keysets/=status:500"]);
    place.apply().exits(4);
    place.restart(&[]);
    place.apply().exits(0).says("replaced");
    place.is_sound();
}

#[test]
fn two_keysets_of_one_label_are_never_one_record() {
    let mut place = Place::new(&["z"]);
    place.apply().exits(0);
    let first = place.in_another_clone();
    let other = std::mem::replace(&mut place.dir, first.clone());
    place.declare(&[("z", "z"), ("b", "b")]);
    place.apply_at("create.answered=kill").killed();
    let lost = std::mem::replace(&mut place.dir, other);
    place.declare(&[("z", "z"), ("b", "b2")]);
    place.apply().exits(0);
    let (id, theirs) = (place.id("b"), place.secret("b"));
    place.pull(lost);
    for _ in 0..2 {
        place.apply().says("there are two now").says("delete the one that is not wanted");
        assert_eq!((place.id("b"), place.secret("b")), (id.clone(), theirs.clone()));
    }
}

#[test]
fn a_refused_plan_does_not_hold_up_what_was_lost() {
    let place = Place::new(&["z"]);
    place.apply().exits(0);
    place.declare(&[("z", "z"), ("a", "one")]);
    place.apply_at("create.answered=kill").killed();
    // Its label is another one by now.
    place.declare(&[("z", "z"), ("b", "one")]);
    place.apply().exits(3).says("earlier step for a: it made keyset").says("if only the label is new: moved = { from = \"a\" }");
    place.declare(&[("z", "z"), ("a", "one")]);
    place.apply().exits(0).says("secret key of a replaced");
    place.is_sound();
    assert_eq!(place.sandbox().keysets(), ["one", "z"]);
}

#[test]
fn a_name_that_was_changed_meanwhile_is_not_doubled() {
    let place = Place::new(&["z"]);
    place.apply().exits(0);
    let app = place.sandbox().get("/v2/apps")["apps"][0]["id"].clone();
    place.sandbox().post("/v2/keysets", &json!({"keyset": {"appId": app, "name": "theirs", "type": "testing"}}));
    place.declare(&[("z", "z"), ("a", "one")]);
    place.apply_at("create.intended=kill").killed();
    place.declare(&[("z", "z"), ("a", "theirs")]);
    place.apply().exits(3).says("has a keyset named \"theirs\" already");
    assert_eq!(place.sandbox().keysets(), ["theirs", "z"]);
}

#[test]
fn a_secret_that_may_be_in_use_is_not_replaced_because_nobody_can_open_it_here() {
    let place = Place::new(&["a"]);
    let blind = [("KEYFORM_AGE_IDENTITY", "")];
    place.apply_at("create.stored=kill").killed();
    for _ in 0..2 {
        let done = place.run_with(&["apply", "--yes", "--settle", "1"], &blind).exits(4);
        done.says("secrets recover").says_nothing_of("replaced");
    }
    place.run(&["secrets", "recover"]).exits(0);
    place.is_sound();

    // Where no sink has it, nobody can be using it.
    let place = Place::new(&["a"]);
    place.apply_at("create.sealed=kill").killed();
    place.run_with(&["apply", "--yes", "--settle", "1"], &blind).exits(0).says("replaced");
    place.is_sound();
}

#[test]
fn a_file_that_cannot_be_read_is_not_overwritten() {
    let place = Place::new(&["a"]);
    std::fs::create_dir(place.dir.join("secrets")).expect("a folder");
    let theirs = place.dir.join("secrets/a.age");
    std::fs::write(&theirs, "of another project").expect("written");
    let done = place.run_with(&["apply", "--yes"], &[("KEYFORM_AGE_IDENTITY", "")]).exits(4);
    done.says("holds a secret for `a`");
    assert_eq!(std::fs::read_to_string(&theirs).expect("it is there"), "of another project");
    assert_eq!(place.sandbox().keysets(), [] as [&str; 0]);
}

#[test]
fn a_full_disk_after_the_sink_has_the_key_costs_nothing() {
    for nth in 1..=4 {
        for point in ["journal.write", "journal.sync"] {
            let place = Place::new(&["a"]);
            place.apply().exits(0);
            let done = place.rotate_at(&["--now"], &format!("{point}#{nth}=enospc"));
            assert!(matches!(done.code, Some(0 | 1 | 4)), "{}", done.text);
            place.apply().exits(0);
            place.is_sound();
        }
    }
}

fn with_program(place: &Place, sinks: &str) {
    program::write(&place.dir);
    place.configure(&format!("sinks = {sinks}\nexec.command = [\"./program\"]"), &[("a", "a")]);
}

#[test]
fn the_doctor_and_copy_overwrite_no_other_secret() {
    let mut place = Place::new(&["a"]);
    with_program(&place, "[\"age\", \"exec\"]");
    place.apply().exits(0);
    place.run(&["secrets", "copy", "--to", "exec"]).exits(0).says("1 secret copied");
    // Another clone rotates: its state is not here yet, and the program is for both.
    let first = place.in_another_clone();
    with_program(&place, "[\"exec\"]");
    place.run(&["secrets", "rotate", "a", "--now"]).exits(0);
    let vault = place.dir.join("vault.json");
    let theirs = std::fs::read_to_string(&vault).expect("a vault");
    place.dir = first;
    std::fs::copy(&vault, place.dir.join("vault.json")).expect("one vault for both");
    place.run(&["secrets", "doctor"]).exits(4).says("conflict").says("pull the newest state");
    assert_eq!(std::fs::read_to_string(place.dir.join("vault.json")).expect("a vault"), theirs);

    // The other way: what is in the other sink may be the only copy.
    let place = Place::new(&["a"]);
    with_program(&place, "[\"age\", \"exec\"]");
    place.apply().exits(0);
    place.run(&["secrets", "copy", "--to", "exec"]).exits(0);
    place.run(&["secrets", "rotate", "a", "--now"]).exits(0);
    place.run(&["secrets", "copy", "--to", "exec"]).exits(4).says("--overwrite");
    place.run(&["secrets", "copy", "--to", "exec", "--overwrite"]).exits(0).says("1 secret copied");
    place.is_sound();
}

#[test]
fn a_sink_that_is_another_one_now_is_still_read() {
    let place = Place::new(&["a"]);
    with_program(&place, "[\"age\"]");
    place.apply().exits(0);
    place.rotate_at(&["--now"], "rotate.intended=kill").killed();
    with_program(&place, "[\"exec\", \"age\"]");
    place.apply().exits(0).says("it had made nothing");
    place.is_sound();

    // What was sealed to the key that the one keeps is opened although the other is preferred by now.
    let place = Place::new(&["a"]);
    with_program(&place, "[\"exec\", \"age\"]");
    place.apply_at("create.sealed=kill").killed();
    with_program(&place, "[\"age\", \"exec\"]");
    place.apply().exits(0).says_nothing_of("replaced");
    place.is_sound();
}

#[test]
fn the_words_of_a_program_are_not_written_down() {
    let place = Place::new(&["a"]);
    with_program(&place, "[\"exec\"]");
    std::fs::write(place.dir.join("complain"), "").expect("it will");
    let done = place.apply().exits(4).says("withheld");
    assert!(!done.text.contains("pnu-test") && !done.text.contains("AGE-SECRET-KEY"), "{}", done.text);
    for (path, bytes) in read_tree(&place.dir.join("state")) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains("Traceback") && !text.contains("pnu-test") && !text.contains("AGE-SECRET-KEY"),
            "{}: {text}",
            path.display()
        );
    }
    std::fs::remove_file(place.dir.join("complain")).expect("no more");
    place.apply().exits(0).says_nothing_of("replaced");
    place.is_sound();
}

#[test]
fn many_keysets_that_are_not_listed_yet_are_not_made_again() {
    // The listing is late for one; sixty are asked for by their ids.
    let labels: Vec<String> = (0..70).map(|n| format!("k{n:02}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let mut place = Place::new(&labels);
    place.apply().exits(0);
    let ids: Vec<String> = labels.iter().map(|label| place.id(label)).collect();
    place.restart(&["GET /v2/keysets$#1=empty-list"]);
    place.apply().exits(0).says("Nothing to do");
    assert_eq!(labels.iter().map(|label| place.id(label)).collect::<Vec<_>>(), ids);
    assert_eq!(place.sandbox().get("/v2/keysets")["total"], 70);
}
