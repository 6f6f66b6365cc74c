//! A sink that gives nothing back: what it may have of others is not overwritten unasked, whoever
//! asks for the entry.

use std::io::Write;
use std::process::Stdio;

use crate::support::checkout::{Checkout, Done};

const STRANGER: &str = r#"{"keyset:a": "somebody else's"}"#;

/// Secrets go to a program that gives nothing back.
fn blind(place: &Checkout, keysets: &[(&str, &str)]) {
    place.with_program("[\"exec\"]");
    configure(place, keysets);
    std::fs::write(place.dir.join("blind"), "").expect("written");
}

fn configure(place: &Checkout, keysets: &[(&str, &str)]) {
    place.configure("sinks = [\"exec\"]\nexec.command = [\"./program\"]", keysets);
}

/// The program tells whether it has an entry.
fn tells(place: &Checkout) {
    std::fs::write(place.dir.join("tells"), "").expect("written");
}

fn set_vault(place: &Checkout, text: &str) {
    std::fs::write(place.dir.join("vault.json"), text).expect("written");
}

fn vault(place: &Checkout) -> String {
    std::fs::read_to_string(place.dir.join("vault.json")).expect("a vault")
}

fn import(place: &Checkout, key: &str, args: &[&str]) -> Done {
    let mut child = place
        .command(&[&["secrets", "import", "a"], args].concat(), &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keyform runs");
    child.stdin.take().expect("piped").write_all(key.as_bytes()).expect("written");
    Done::of(&child.wait_with_output().expect("it ends"))
}

#[test]
fn a_create_is_not_put_over_what_the_state_has_there_of_another_keyset() {
    let place = Checkout::new(&["a"]);
    blind(&place, &[("a", "a")]);
    place.apply().exits(0);
    let theirs = vault(&place);
    // Its secret cannot go along, and keeps its name.
    configure(&place, &[("b", "a")]);
    let toml = std::fs::read_to_string(place.dir.join("keyform.toml")).expect("a project");
    let moved = toml.replace("[keyset.b]", "[keyset.b]\nmoved = { from = \"a\" }");
    std::fs::write(place.dir.join("keyform.toml"), moved).expect("written");
    place.apply().exits(0);
    // A new one is to have that name.
    configure(&place, &[("b", "a"), ("a", "second")]);
    place.apply().exits(4).says("the secret key of the keyset `b` under `a`");
    assert_eq!(vault(&place), theirs);
    assert_eq!(place.keysets().len(), 1, "nothing was asked for");

    // Its own goes on being replaced there.
    configure(&place, &[("b", "a")]);
    place.run(&["secrets", "rotate", "b", "--now"]).exits(0);
    assert!(vault(&place).contains("keyset:a") && vault(&place) != theirs);
}

#[test]
fn a_copy_needs_to_be_told_where_the_sink_does_not_tell() {
    let place = Checkout::new(&["a"]);
    place.apply().exits(0);
    blind(&place, &[("a", "a")]);
    set_vault(&place, STRANGER);
    let copy = ["secrets", "copy", "--to", "exec"];
    place.run(&copy).exits(4).says("does not tell").says("--overwrite");
    assert_eq!(vault(&place), STRANGER);
    // One that tells is believed.
    tells(&place);
    place.run(&copy).exits(4).says("--overwrite replaces it");
    assert_eq!(vault(&place), STRANGER);
    set_vault(&place, "{}");
    place.run(&copy).exits(0).says("1 secret copied");
}

#[test]
fn a_copy_that_was_told_to_overwrites() {
    let place = Checkout::new(&["a"]);
    place.apply().exits(0);
    blind(&place, &[("a", "a")]);
    set_vault(&place, STRANGER);
    place.run(&["secrets", "copy", "--to", "exec", "--overwrite"]).exits(0);
    assert_ne!(vault(&place), STRANGER);
}

#[test]
fn an_import_needs_to_be_told_where_the_sink_does_not_tell() {
    let place = Checkout::new(&["a"]);
    place.apply().exits(0);
    let key = place.rotate_by_hand("a");
    blind(&place, &[("a", "a")]);
    set_vault(&place, STRANGER);
    import(&place, &key, &[]).exits(3).says("does not tell");
    assert_eq!(vault(&place), STRANGER);
    import(&place, &key, &["--overwrite"]).exits(0);
    // Its own entry, which the state records from here on.
    let next = place.rotate_by_hand("a");
    import(&place, &next, &[]).exits(0);
}

#[test]
fn a_rotation_of_an_adopted_keyset_needs_to_be_told_where_the_sink_does_not_tell() {
    let place = Checkout::new(&["a"]);
    place.apply().exits(0);
    let id = place.id("a");
    place.run(&["state", "rm", "a", "--force"]).exits(0);
    place.run(&["adopt", "a", "--id", &id]).exits(0);
    blind(&place, &[("a", "a")]);
    set_vault(&place, STRANGER);
    let rotate = ["secrets", "rotate", "a", "--overlap", "24h"];
    place.run(&rotate).exits(4).says("does not tell").says("--overwrite");
    assert_eq!((vault(&place).as_str(), place.keys("a")), (STRANGER, 1));
    place.run(&[&rotate[..], &["--overwrite"]].concat()).exits(0);
    assert_eq!(place.keys("a"), 2);
}

#[test]
fn a_rotation_does_not_go_to_another_sink_over_what_may_be_there() {
    let place = Checkout::new(&["a"]);
    place.apply().exits(0);
    blind(&place, &[("a", "a")]);
    set_vault(&place, STRANGER);
    place.run(&["secrets", "rotate", "a", "--now"]).exits(4).says("does not tell");
    assert_eq!(vault(&place), STRANGER);
    place.is_sound();
}

#[test]
fn a_first_create_goes_where_nothing_tells_against_it() {
    let mut place = Checkout::new(&["a"]);
    blind(&place, &[("a", "a")]);
    // Also if its answer gets lost, and its key is replaced before anybody has seen it.
    place.restart(&["POST /v2/keysets$#1=cut-after"]);
    place.apply().exits(0).says("1 secret stored");
    place.run(&["secrets", "rotate", "a", "--now"]).exits(0);
    place.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_program_that_tells_protects_what_is_there_from_a_first_create() {
    let place = Checkout::new(&["a"]);
    blind(&place, &[("a", "a")]);
    tells(&place);
    set_vault(&place, STRANGER);
    place.apply().exits(4).says("that this state does not know");
    assert_eq!((vault(&place).as_str(), place.keysets().len()), (STRANGER, 0));
    set_vault(&place, "{}");
    place.apply().exits(0);
    place.run(&["secrets", "rotate", "a", "--now"]).exits(0);
    assert!(vault(&place).contains("keyset:a"));
}
