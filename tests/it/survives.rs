//! Sequences of runs that once cost a key, or could have: two crashes, two clones, a changed
//! configuration, a person who helps. Each ends with the account's current key in the sink, or with
//! a stop that says so and has overwritten nothing.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::checkout::{Checkout, Done};
use crate::support::read_tree;

#[test]
fn a_second_rotation_does_not_drop_the_sealed_answer_of_the_first() {
    for how in [&["--now"][..], &["--overlap", "24h"]] {
        let place = Checkout::new(&["a"]);
        place.apply().exits(0);
        let first = place.secret("a");
        place.rotate_at(how, "rotate.sealed=kill").killed();
        // The next one is refused; what it found sealed is stored all the same.
        place
            .run_with(
                &[&["secrets", "rotate", "a"], how].concat(),
                &[("PUBNUB_API_KEY", "pnu-wrong")],
            )
            .says("401");
        assert!(place.secret("a") != first);
        place.is_sound();
        place.rotate_at(how, "rotate.sealed=kill").killed();
        place.run(&[&["secrets", "rotate", "a"], how].concat()).exits(0).says("replaced");
        place.is_sound();
    }
}

#[test]
fn a_sealed_create_is_not_laid_over_a_newer_key() {
    let place = Checkout::new(&["a"]);
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
    let place = Checkout::new(&["a"]);
    place.apply_at("create.sealed=kill").killed();
    place.declare(&[("a", "another name")]);
    place.apply().exits(0).says("1 keyset updated").says_nothing_of("did not take");
    place.is_sound();
}

#[test]
fn what_waits_sealed_waits_until_the_sink_takes_it() {
    let place = Checkout::new(&["a", "b"]);
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
    let mut place = Checkout::new(&["a"]);
    place.apply().exits(0);
    let id = place.id("a");
    // Carried out, never answered, and the account does not tell either.
    place.restart(&[
        "POST /v2/keysets/=cut-after",
        &format!("GET /v2/keysets/{id}/secret-keys#3-999=status:403"),
    ]);
    let first = place.secret("a");
    place
        .run(&["secrets", "rotate", "a", "--overlap", "24h", "--settle", "1"])
        .exits(4)
        .says("It is written down as begun");
    place
        .run(&["plan", "--refresh", "none", "--detailed-exitcode"])
        .exits(2)
        .says("end is not known");
    assert!(place.secret("a") == first, "it works for a day");
    place.restart(&[]);
    place.apply().exits(0).says("replaced");
    assert!(place.works("a", &first), "nobody asked to end it");
    place.is_sound();
}

#[test]
fn an_interrupted_rotation_says_so_and_is_taken_up() {
    let mut place = Checkout::new(&["a"]);
    place.apply().exits(0);
    let id = place.id("a");
    place.restart(&[
        "POST /v2/keysets/=cut-after",
        &format!("GET /v2/keysets/{id}/secret-keys#3-999=status:403"),
    ]);
    let mut command =
        place.command(&["secrets", "rotate", "a", "--overlap", "24h", "--settle", "60"], &[]);
    let child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("keyform runs");
    let journal = place.dir.join("state/keyform.journal");
    let begun = Instant::now();
    while !std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("secretKey")) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it was not begun");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        Command::new("kill")
            .args(["-s", "INT", &child.id().to_string()])
            .status()
            .expect("kill runs")
            .success()
    );
    Done::of(&child.wait_with_output().expect("it ends")).exits(130);
    place.restart(&[]);
    place.apply().exits(0).says("replaced");
    place.is_sound();
}

#[test]
fn what_somebody_else_rotated_meanwhile_is_not_ended_at_once() {
    let place = Checkout::new(&["a"]);
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
    for (faults, point) in [
        (&[][..], "rotate.answered=kill"),
        (&["POST /v2/keysets/#1=cut-after"], "rotate.answered#2=kill"),
    ] {
        let mut place = Checkout::new(&["a"]);
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
    let mut place = Checkout::new(&["a"]);
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
    let mut place = Checkout::new(&["a"]);
    place.restart(&["POST /v2/keysets$#1=cut-after", "POST /v2/keysets/=status:500"]);
    place.apply().exits(4);
    place.restart(&[]);
    place.apply().exits(0).says("replaced");
    place.is_sound();
}

#[test]
fn two_keysets_of_one_label_are_never_one_record() {
    let mut place = Checkout::new(&["z"]);
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
    let place = Checkout::new(&["z"]);
    place.apply().exits(0);
    place.declare(&[("z", "z"), ("a", "one")]);
    place.apply_at("create.answered=kill").killed();
    // Its label is another one by now.
    place.declare(&[("z", "z"), ("b", "one")]);
    place
        .apply()
        .exits(3)
        .says("earlier step for a: it made keyset")
        .says("if only the label is new: moved = { from = \"a\" }");
    place.declare(&[("z", "z"), ("a", "one")]);
    place.apply().exits(0).says("secret key of a replaced");
    place.is_sound();
    assert_eq!(place.sandbox().keysets(), ["one", "z"]);
}

#[test]
fn a_name_that_was_changed_meanwhile_is_not_doubled() {
    let place = Checkout::new(&["z"]);
    place.apply().exits(0);
    let app = place.sandbox().get("/v2/apps")["apps"][0]["id"].clone();
    place.sandbox().post(
        "/v2/keysets",
        &json!({"keyset": {"appId": app, "name": "theirs", "type": "testing"}}),
    );
    place.declare(&[("z", "z"), ("a", "one")]);
    place.apply_at("create.intended=kill").killed();
    place.declare(&[("z", "z"), ("a", "theirs")]);
    place.apply().exits(3).says("has a keyset named \"theirs\" already");
    assert_eq!(place.sandbox().keysets(), ["theirs", "z"]);
}

#[test]
fn a_secret_that_may_be_in_use_is_not_replaced_because_nobody_can_open_it_here() {
    let place = Checkout::new(&["a"]);
    let blind = [("KEYFORM_AGE_IDENTITY", "")];
    place.apply_at("create.stored=kill").killed();
    for _ in 0..2 {
        let done = place.run_with(&["apply", "--yes", "--settle", "1"], &blind).exits(4);
        done.says("secrets recover").says_nothing_of("replaced");
    }
    place.run(&["secrets", "recover"]).exits(0);
    place.is_sound();

    // Where no sink has it, nobody can be using it.
    let place = Checkout::new(&["a"]);
    place.apply_at("create.sealed=kill").killed();
    place.run_with(&["apply", "--yes", "--settle", "1"], &blind).exits(0).says("replaced");
    place.is_sound();
}

#[test]
fn a_file_that_cannot_be_read_is_not_overwritten() {
    let place = Checkout::new(&["a"]);
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
            let place = Checkout::new(&["a"]);
            place.apply().exits(0);
            let done = place.rotate_at(&["--now"], &format!("{point}#{nth}=enospc"));
            assert!(matches!(done.code, Some(0 | 1 | 4)), "{}", done.text);
            place.apply().exits(0);
            place.is_sound();
        }
    }
}

#[test]
fn the_doctor_and_copy_overwrite_no_other_secret() {
    let mut place = Checkout::new(&["a"]);
    place.with_program("[\"age\", \"exec\"]");
    place.apply().exits(0);
    place.run(&["secrets", "copy", "--to", "exec"]).exits(0).says("1 secret copied");
    // Another clone rotates: its state is not here yet, and the program is for both.
    let first = place.in_another_clone();
    place.with_program("[\"exec\"]");
    place.run(&["secrets", "rotate", "a", "--now"]).exits(0);
    let vault = place.dir.join("vault.json");
    let theirs = std::fs::read_to_string(&vault).expect("a vault");
    place.dir = first;
    std::fs::copy(&vault, place.dir.join("vault.json")).expect("one vault for both");
    place.run(&["secrets", "doctor"]).exits(4).says("conflict").says("pull the newest state");
    assert_eq!(std::fs::read_to_string(place.dir.join("vault.json")).expect("a vault"), theirs);

    // The other way: what is in the other sink may be the only copy.
    let place = Checkout::new(&["a"]);
    place.with_program("[\"age\", \"exec\"]");
    place.apply().exits(0);
    place.run(&["secrets", "copy", "--to", "exec"]).exits(0);
    place.run(&["secrets", "rotate", "a", "--now"]).exits(0);
    place.run(&["secrets", "copy", "--to", "exec"]).exits(4).says("--overwrite");
    place.run(&["secrets", "copy", "--to", "exec", "--overwrite"]).exits(0).says("1 secret copied");
    place.is_sound();
}

#[test]
fn a_sink_that_is_another_one_now_is_still_read() {
    let place = Checkout::new(&["a"]);
    place.with_program("[\"age\"]");
    place.apply().exits(0);
    place.rotate_at(&["--now"], "rotate.intended=kill").killed();
    place.with_program("[\"exec\", \"age\"]");
    place.apply().exits(0).says("it had made nothing");
    place.is_sound();

    // What was sealed to the key that the one keeps is opened although the other is preferred by
    // now.
    let place = Checkout::new(&["a"]);
    place.with_program("[\"exec\", \"age\"]");
    place.apply_at("create.sealed=kill").killed();
    place.with_program("[\"age\", \"exec\"]");
    place.apply().exits(0).says_nothing_of("replaced");
    place.is_sound();
}

#[test]
fn the_words_of_a_program_are_not_written_down() {
    let place = Checkout::new(&["a"]);
    place.with_program("[\"exec\"]");
    std::fs::write(place.dir.join("complain"), "").expect("it will");
    let done = place.apply().exits(4).says("withheld");
    assert!(
        !done.text.contains("pnu-test") && !done.text.contains("AGE-SECRET-KEY"),
        "{}",
        done.text
    );
    for (path, bytes) in read_tree(&place.dir.join("state")) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains("Traceback")
                && !text.contains("pnu-test")
                && !text.contains("AGE-SECRET-KEY"),
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
    let mut place = Checkout::new(&labels);
    place.apply().exits(0);
    let ids: Vec<String> = labels.iter().map(|label| place.id(label)).collect();
    place.restart(&["GET /v2/keysets$#1=empty-list"]);
    place.apply().exits(0).says("Nothing to do");
    assert_eq!(labels.iter().map(|label| place.id(label)).collect::<Vec<_>>(), ids);
    assert_eq!(place.sandbox().get("/v2/keysets")["total"], 70);
}
