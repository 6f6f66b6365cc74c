//! Interrupted runs whose clone of the project then pulls what another one did meanwhile; and runs
//! that find in a sink what they do not know. The account's current key is nowhere lost, nobody
//! else's is ended or overwritten, and where it cannot be told whose a key is, the run stops and
//! says so.

use std::path::Path;

use crate::support::checkout::Checkout;
use crate::support::{Sandbox, program, read_tree};

/// `a` gets the label `b`, as a pull request would do it.
fn rename(place: &Checkout) {
    place.run(&["state", "mv", "a", "b"]).exits(0);
    place.declare(&[("b", "a")]);
}

#[test]
fn a_rotation_goes_on_under_the_label_that_another_clone_gave() {
    for point in [
        "rotate.intended=kill",
        "rotate.answered=kill",
        "rotate.sealed=kill",
        "rotate.stored=kill",
        "rotate.committed=kill",
    ] {
        let mut place = Checkout::new(&["a"]);
        place.apply().exits(0);
        let other = place.fork();
        place.rotate_at(&["--now"], point).killed();
        place.over_there(&other, rename);
        place.pull_all(&other);
        place.apply().exits(0);
        let state = std::fs::read_to_string(place.dir.join("state/keyform.json")).expect("a state");
        assert!(!state.contains("\"a\": {"), "{point}: it has two labels\n{state}");
        place.is_sound();
    }
}

#[test]
fn a_rotation_goes_on_when_it_is_asked_for_under_the_label_of_now() {
    let mut place = Checkout::new(&["a"]);
    place.apply().exits(0);
    let other = place.fork();
    place.rotate_at(&["--overlap", "24h"], "rotate.sealed=kill").killed();
    place.over_there(&other, rename);
    place.pull_all(&other);
    place.run(&["secrets", "rotate", "b", "--overlap", "24h"]).exits(0);
    assert_eq!(place.keys("b"), 3, "each went on for a day");
    place.is_sound();
}

#[test]
fn two_states_of_one_serial_are_two_states() {
    let mut place = Checkout::new(&["a"]);
    place.apply().exits(0);
    let other = place.fork();
    // A whole run here that nobody else gets, and one that is cut off.
    place.run(&["secrets", "rotate", "a", "--overlap", "24h"]).exits(0);
    place.rotate_at(&["--overlap", "24h"], "rotate.committed=kill").killed();
    let mut theirs = String::new();
    place.over_there(&other, |place| {
        place.run(&["secrets", "rotate", "a", "--overlap", "24h"]).exits(0);
        theirs = place.secret("a");
    });
    place.pull_all(&other);
    place.apply().exits(0);
    assert!(place.secret("a") == theirs);
    place.is_sound();

    // What the other one made is not forgotten either.
    let mut place = Checkout::new(&["a"]);
    place.apply().exits(0);
    let other = place.fork();
    place.run(&["secrets", "rotate", "a", "--now"]).exits(0);
    place.declare(&[("a", "a"), ("n", "ours")]);
    place.apply_at("create.committed=kill").killed();
    place.over_there(&other, |place| {
        place.declare(&[("a", "a"), ("n", "theirs")]);
        place.apply().exits(0);
    });
    place.pull_all(&other);
    let theirs = place.id("n");
    place.run(&["plan"]);
    place.apply().says("there are two now");
    assert_eq!(place.id("n"), theirs);
}

#[test]
fn a_label_that_was_changed_here_takes_no_newer_record_with_it() {
    for point in
        ["file.rename#1=kill", "file.write#1=kill", "file.write#2=kill", "file.write#3=kill"]
    {
        let mut place = Checkout::new(&["a"]);
        place.apply().exits(0);
        let other = place.fork();
        let moved = place.run_with(&["state", "mv", "a", "b"], &[("KEYFORM_FAILPOINT", point)]);
        if moved.code.is_some() || !place.dir.join("state/keyform.journal").exists() {
            continue;
        }
        place.over_there(&other, |place| {
            place.run(&["secrets", "rotate", "a", "--now"]).exits(0);
        });
        place.pull_all(&other);
        let label = match std::fs::read_to_string(place.dir.join("state/keyform.json"))
            .expect("a state")
            .contains("\"a\": {")
        {
            true => "a",
            false => "b",
        };
        place.declare(&[(label, "a")]);
        place.run(&["state", "list"]).exits(0).says(label);
        place.apply().exits(0);
        place.is_sound();
    }
}

#[test]
fn a_create_that_another_clone_adopted_is_stored_where_it_is_recorded() {
    let mut place = Checkout::new(&["z"]);
    place.apply().exits(0);
    let other = place.fork();
    place.declare(&[("z", "z"), ("a", "one")]);
    place.apply_at("create.sealed=kill").killed();
    for rotates in [false, true] {
        let here = place.dir.clone();
        place.over_there(&other, |place| {
            if !rotates {
                place.declare(&[("z", "z"), ("b", "one")]);
                let listed = place.keysets();
                let id = listed
                    .iter()
                    .find(|(_, name)| name == "one")
                    .map(|(id, _)| id.clone())
                    .expect("it was made");
                place.run(&["adopt", "b", "--id", &id]).exits(0);
            } else {
                place.run(&["secrets", "rotate", "b", "--now"]).exits(0);
            }
        });
        let saved = here.with_extension(if rotates { "rotated" } else { "adopted" });
        assert!(
            std::process::Command::new("cp")
                .arg("-a")
                .arg(&here)
                .arg(&saved)
                .status()
                .expect("cp runs")
                .success()
        );
        place.dir = saved;
        place.pull_all(&other);
        place.apply().exits(0);
        assert!(
            !std::fs::read_to_string(place.dir.join("state/keyform.json"))
                .expect("a state")
                .contains("\"a\": {")
        );
        place.secret("b");
        place.is_sound();
        place.dir = here;
    }
}

#[test]
fn a_rotation_keeps_what_the_sink_has_of_another_keyset() {
    let place = Checkout::new(&["a", "b"]);
    place.apply().exits(0);
    let (first, second) = (place.secret("a"), place.id("b"));
    place.run(&["state", "rm", "a", "--force"]).exits(0);
    place.run(&["state", "rm", "b", "--force"]).exits(0);
    place.declare(&[("a", "b")]);
    place.run(&["adopt", "a", "--id", &second]).exits(0);
    place
        .run(&["secrets", "rotate", "a", "--overlap", "24h"])
        .exits(0)
        .says("is kept there as `a.kept-");
    place.is_sound();
    let kept = |file: &std::path::Path| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("a.kept-"))
    };
    let kept: Vec<_> =
        read_tree(&place.dir).into_iter().map(|(path, _)| path).filter(|path| kept(path)).collect();
    let label = kept[0].file_stem().expect("a name").to_string_lossy().into_owned();
    assert!(kept.len() == 1 && place.entry(&label).contains(&first));
}

#[test]
fn a_key_of_its_own_is_no_stranger_after_the_state_was_lost() {
    let place = Checkout::new(&["a"]);
    place.apply().exits(0);
    let id = place.id("a");
    std::fs::remove_dir_all(place.dir.join("state")).expect("it was there");
    place.run(&["adopt", "a", "--id", &id]).exits(0);
    place.run(&["secrets", "rotate", "a", "--overlap", "24h"]).exits(0);
    place.is_sound();
}

#[test]
fn of_two_labels_that_a_kill_left_the_declared_one_keeps_the_present_key() {
    for point in ["rotate.sealed=kill", "rotate.stored=kill", "rotate.answered=kill"] {
        let place = Checkout::new(&["a"]);
        place.apply().exits(0);
        let toml = std::fs::read_to_string(place.dir.join("keyform.toml")).expect("a project");
        let toml = toml.replace("[keyset.a]", "[keyset.b]\nmoved = { from = \"a\" }");
        std::fs::write(place.dir.join("keyform.toml"), toml).expect("written");
        place
            .run_with(&["apply", "--yes"], &[("KEYFORM_FAILPOINT", "journal.write#2=kill")])
            .killed();
        place
            .run_with(&["secrets", "rotate", "b", "--now"], &[("KEYFORM_FAILPOINT", point)])
            .killed();
        // The other record has an older key, and is left to a person: the plan says how it goes.
        if place.apply().exits(0).text.contains("keyform state rm a --force drops this record") {
            place.run(&["state", "rm", "a", "--force"]).exits(0);
        }
        place.is_sound();
    }
}

#[test]
fn another_account_is_no_proof_that_a_keyset_is_gone() {
    let mut place = Checkout::new(&["a"]);
    place.apply().exits(0);
    let other = place.fork();
    place.rotate_at(&["--now"], "rotate.sealed=kill").killed();
    let mut theirs = String::new();
    place.over_there(&other, |place| {
        place.run(&["secrets", "rotate", "a", "--now"]).exits(0);
        theirs = place.secret("a");
    });
    place.pull_all(&other);
    let stranger = Sandbox::start(&[]);
    place
        .run_with(&["apply", "--yes", "--settle", "1"], &[("KEYFORM_ENDPOINT", &stranger.endpoint)])
        .exits(3);
    assert!(place.secret("a") == theirs, "it is the present one");
    place.apply().exits(0);
    assert!(place.secret("a") == theirs);
    place.is_sound();
}

#[test]
fn a_label_that_was_changed_here_takes_no_other_keyset_away() {
    let mut played = 0;
    for point in ["file.write#1=kill", "file.write#2=kill", "file.write#3=kill"] {
        let mut place = Checkout::new(&["a"]);
        place.apply().exits(0);
        let other = place.fork();
        let moved = place.run_with(&["state", "mv", "a", "b"], &[("KEYFORM_FAILPOINT", point)]);
        if moved.code.is_some() || !place.dir.join("state/keyform.journal").exists() {
            continue;
        }
        place.over_there(&other, |place| {
            place.declare(&[("a", "a"), ("b", "theirs")]);
            std::fs::remove_file(place.dir.join("secrets/b.age")).ok();
            place.apply().exits(0);
        });
        place.pull_all(&other);
        let state = std::fs::read_to_string(other.join("state/keyform.json")).expect("a state");
        let theirs: serde_json::Value = serde_json::from_str(&state).expect("JSON");
        place.apply().exits(0);
        for label in ["a", "b"] {
            assert_eq!(
                Some(place.id(label).as_str()),
                theirs["keysets"][label]["id"].as_str(),
                "{point}"
            );
        }
        assert_eq!(place.keysets().len(), 2);
        place.is_sound();
        played += 1;
    }
    assert!(played > 0, "no kill left a journal");
}

#[test]
fn without_the_account_a_sealed_key_gives_way_to_what_was_recorded_since() {
    let mut place = Checkout::new(&["a"]);
    place.apply().exits(0);
    let other = place.fork();
    place.rotate_at(&["--now"], "rotate.sealed=kill").killed();
    place.over_there(&other, |place| {
        place.rotate_at(&["--now"], "sink.put=eio").exits(4);
    });
    place.pull_all(&other);
    place.run(&["secrets", "doctor"]).exits(4);
    place.run(&["secrets", "recover"]).exits(4).says("another secret key");
    let state = std::fs::read_to_string(place.dir.join("state/keyform.json")).expect("a state");
    assert!(state.contains("\"status\": \"missing\""), "{state}");
}

/// One vault for all clones.
fn with_a_vault(place: &Checkout, sinks: &str, keysets: &[(&str, &str)]) {
    let folder = place.dir.parent().expect("a folder");
    program::write(folder);
    std::fs::write(
        place.dir.join("program"),
        format!("#!/bin/sh\nexec '{}'\n", folder.join("program").display()),
    )
    .expect("written");
    let made = std::process::Command::new("chmod")
        .arg("+x")
        .arg(place.dir.join("program"))
        .status()
        .expect("chmod runs");
    assert!(made.success());
    place.configure(&format!("sinks = {sinks}\nexec.command = [\"./program\"]"), keysets);
}

fn vault(place: &Checkout) -> std::path::PathBuf {
    place.dir.parent().expect("a folder").join("vault.json")
}

fn leave(file: &Path) {
    std::fs::write(file, "").expect("written");
}

#[test]
fn what_is_sealed_is_not_put_over_the_secret_of_another_clone() {
    let mut place = Checkout::new(&["z"]);
    with_a_vault(&place, "[\"exec\"]", &[("z", "z")]);
    place.apply().exits(0);
    let other = place.fork();
    with_a_vault(&place, "[\"exec\"]", &[("z", "z"), ("a", "one")]);
    place.apply_at("create.sealed=kill").killed();
    place.over_there(&other, |place| {
        with_a_vault(place, "[\"exec\"]", &[("z", "z"), ("a", "two")]);
        place.apply().exits(0);
    });
    let theirs = std::fs::read_to_string(vault(&place)).expect("a vault");
    for _ in 0..2 {
        place.apply().exits(4).says("that this state does not know");
        assert_eq!(std::fs::read_to_string(vault(&place)).expect("a vault"), theirs);
    }
    place.over_there(&other, |place| place.is_sound());
}

#[test]
fn a_key_in_a_sink_that_is_down_is_not_ended() {
    let place = Checkout::new(&["a"]);
    with_a_vault(&place, "[\"exec\", \"age\"]", &[("a", "a")]);
    place.apply_at("create.stored=kill").killed();
    let down = place.dir.parent().expect("a folder").join("down");
    leave(&down);
    place.apply().exits(4).says_nothing_of("replaced");
    std::fs::remove_file(&down).expect("it was down");
    place.apply().exits(0).says_nothing_of("replaced");
    place.is_sound();
}

#[test]
fn a_key_that_only_a_blind_sink_can_have_is_not_ended() {
    let place = Checkout::new(&["a"]);
    with_a_vault(&place, "[\"exec\"]", &[("a", "a")]);
    leave(&place.dir.parent().expect("a folder").join("blind"));
    let blind = [("KEYFORM_AGE_IDENTITY", "")];
    place
        .run_with(&["apply", "--yes"], &[blind[0], ("KEYFORM_FAILPOINT", "create.stored=kill")])
        .killed();
    let kept = std::fs::read_to_string(vault(&place)).expect("a vault");
    place
        .run_with(&["apply", "--yes", "--settle", "1"], &blind)
        .exits(4)
        .says("secrets recover")
        .says_nothing_of("replaced");
    assert_eq!(std::fs::read_to_string(vault(&place)).expect("a vault"), kept);
    place.run(&["secrets", "recover"]).exits(0);
    assert_eq!(place.keys("a"), 1);
}

#[test]
fn a_repair_whose_answer_is_in_the_sink_is_not_done_again_by_who_cannot_read_it() {
    let mut place = Checkout::new(&["a"]);
    place.restart(&["POST /v2/keysets$#1=cut-after"]);
    let blind = [("KEYFORM_AGE_IDENTITY", "")];
    place
        .run_with(
            &["apply", "--yes", "--settle", "1"],
            &[blind[0], ("KEYFORM_FAILPOINT", "rotate.stored=kill")],
        )
        .killed();
    let kept = place.entry("a");
    place
        .run_with(&["apply", "--yes", "--settle", "1"], &blind)
        .exits(4)
        .says("secrets recover")
        .says_nothing_of("replaced");
    assert!(place.entry("a") == kept);
    place.run(&["secrets", "recover"]).exits(0);
    assert_eq!(place.keys("a"), 1);
    place.is_sound();
}

#[test]
fn a_key_that_somebody_made_after_a_rotation_that_was_never_sent_lives_on() {
    // The keyset's own was lost before, and it was to be repaired.
    let mut place = Checkout::new(&["a"]);
    place.restart(&["POST /v2/keysets$#1=cut-after"]);
    place.apply_at("rotate.intended=kill").killed();
    place.restart(&[]);
    place.run(&["plan"]).exits(0);
    let theirs = place.rotate_by_hand("a");
    place.apply().exits(0);
    assert!(place.works("a", &theirs), "for a day");
    place.is_sound();

    // Somebody had asked to end the present one at once.
    let place = Checkout::new(&["a"]);
    place.apply().exits(0);
    place.rotate_at(&["--now"], "rotate.intended=kill").killed();
    let theirs = place.rotate_by_hand("a");
    place.apply().exits(0);
    assert!(place.works("a", &theirs), "for a day");
    place.is_sound();
}

#[test]
fn what_was_begun_for_another_keyset_is_not_touched_by_a_target() {
    let place = Checkout::new(&["a", "b"]);
    place.apply().exits(0);
    place.rotate_at(&["--now"], "rotate.intended=kill").killed();
    let theirs = place.rotate_by_hand("a");
    place
        .run(&["apply", "--yes", "--target", "b", "--settle", "1"])
        .exits(0)
        .says_nothing_of("secret key of a");
    assert!(place.works("a", &theirs));
    assert_eq!(place.keys("a"), 1);
    place.run(&["plan"]).exits(0).says("end is not known");
    place.apply().exits(0);
    assert!(place.works("a", &theirs), "for a day");
    place.is_sound();
}

#[test]
fn where_the_keys_are_not_told_nobodys_key_is_ended() {
    let mut place = Checkout::new(&["a"]);
    place.restart(&["POST /v2/keysets$#1=cut-after", "POST /v2/keysets/=status:500"]);
    place.apply().exits(4);
    let id = place.id("a");
    place.restart(&[&format!("GET /v2/keysets/{id}/secret-keys=status:403")]);
    let theirs = place.rotate_by_hand("a");
    place.apply().exits(4).says("which key is the present one");
    place.restart(&[]);
    assert!(place.works("a", &theirs));
    assert_eq!(place.keys("a"), 1);
}

#[test]
fn a_sealed_answer_is_not_stored_when_its_key_is_not_the_present_one() {
    let place = Checkout::new(&["a"]);
    place.apply_at("sink.put=eio").exits(4).says("waits in the journal");
    let theirs = place.rotate_by_hand("a");
    let done = place.apply();
    assert!(place.works("a", &theirs), "{}", done.text);
    assert!(
        !place.dir.join("secrets/a.age").exists()
            || place.run(&["secrets", "doctor", "--check", "--live"]).code == Some(0)
    );
}
