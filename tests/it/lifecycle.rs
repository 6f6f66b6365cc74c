//! What happens to keysets and apps after their creation, through the binary: new labels, deletion,
//! protection.

use serde_json::json;

use crate::support::Place;
use crate::support::place::ended;

const TWO: &str = "[app.chat]\nname = \"Chat\"\n[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n[keyset.b]\napp = \"chat\"\ntype = \"testing\"\n";

fn with_two() -> Place {
    let place = Place::new();
    place.declare(TWO);
    place.ends(&["apply", "--yes"], 0, "2 secrets stored");
    place
}

#[test]
fn a_label_renamed_in_a_pull_request_makes_nothing_anew() {
    let place = with_two();
    let (secret, id) = (place.secret("a"), place.id("a"));
    let renamed = TWO.replace("[keyset.a]\n", "[keyset.z]\nname = \"a\"\n");
    place.declare(&renamed);
    place.ends(&["plan"], 3, "if only the label is new: moved = { from = \"a\" }");
    place.declare(&renamed.replace("[keyset.z]\n", "[keyset.z]\nmoved = { from = \"a\" }\n"));
    place.ends(&["plan"], 0, "keyset a becomes z");
    place.ends(&["drift"], 0, "No drift");
    place.ends(&["apply", "--yes"], 0, "1 label moved");
    assert_eq!((place.secret("z"), place.id("z")), (secret.clone(), id));
    assert!(place.dir().join("secrets/z.age").exists());
    place.is_settled();
    assert_eq!(place.sandbox().keysets(), ["a", "b"]);

    // Where nobody can read the sink, the secret keeps its name there, and is found under it.
    let again = renamed.replace("[keyset.z]\n", "[keyset.y]\nmoved = { from = [\"z\", \"a\"] }\n");
    place.declare(&again);
    let output = place
        .command(&["apply", "--yes"])
        .env_remove("KEYFORM_AGE_IDENTITY")
        .output()
        .expect("keyform runs");
    ended(&output, 0, "1 label moved");
    assert_eq!(place.state()["keysets"]["y"]["secretLabel"], "z");
    assert_eq!(place.secret("y"), secret);
    place.is_settled();
    place.ends(&["secrets", "doctor", "--check", "--live"], 0, "0 not as they should be");
    // A new key goes to the same entry.
    place.ends(&["secrets", "rotate", "y", "--now"], 0, "replaced");
    assert_ne!(place.secret("y"), secret);
    assert!(!place.dir().join("secrets/y.age").exists());

    // The old label can be used again, for another keyset.
    place.declare(
        &format!("{again}[keyset.a]\napp = \"chat\"\nname = \"new\"\ntype = \"testing\"\n")
            .replace(", \"a\"]", "]"),
    );
    place.ends(&["apply", "--yes"], 4, "holds a secret for `a`");
    std::fs::remove_file(place.dir().join("secrets/a.age")).expect("it was left there");
    place.ends(&["apply", "--yes"], 0, "1 keyset created");
}

#[test]
fn an_app_gets_another_label_with_all_that_it_holds() {
    let place = with_two();
    place.declare(
        &TWO.replace("[app.chat]", "[app.talk]\nmoved = { from = \"chat\" }")
            .replace("app = \"chat\"", "app = \"talk\""),
    );
    place.ends(&["plan"], 0, "app chat becomes talk");
    place.ends(&["apply", "--yes"], 0, "1 label moved");
    place.is_settled();
    assert_eq!(place.state()["keysets"]["a"]["app"], "talk");
    assert_eq!(place.sandbox().get("/v2/apps")["total"], 1);
}

#[test]
fn nothing_is_deleted_that_was_not_asked_for_twice() {
    let place = with_two();
    let production = TWO.replace(
        "[keyset.b]\napp = \"chat\"\ntype = \"testing\"",
        "[keyset.b]\napp = \"chat\"\ntype = \"production\"",
    );
    place.declare(&production);
    place.ends(&["apply", "--yes"], 0, "1 keyset updated");
    let only_app = "[app.chat]\nname = \"Chat\"\n";
    place.declare(only_app);
    place.ends(&["apply", "--yes"], 0, "2 no longer declared");
    assert_eq!(place.sandbox().keysets(), ["a", "b"]);

    place.ends(&["apply", "--yes", "--delete"], 3, "is protected and is not deleted");
    place.ends(&["apply", "--yes", "--delete", "--target", "a"], 3, "--limit delete=1");
    let keys = place.state()["keysets"]["a"].clone();
    let (publish, subscribe) = (
        keys["publishKey"].as_str().expect("a key"),
        keys["subscribeKey"].as_str().expect("a key"),
    );
    let told = place.ends(
        &["plan", "--delete", "--target", "a", "--limit", "delete=1"],
        0,
        "1 keyset to DELETE",
    );
    assert!(told.contains(publish) && told.contains(subscribe), "{told}");
    let told = place.ends(
        &["apply", "--yes", "--delete", "--target", "a", "--limit", "delete=1"],
        0,
        "1 keyset deleted",
    );
    assert!(
        told.contains(publish) && told.contains(subscribe),
        "the report names the keys that die: {told}"
    );
    assert_eq!(place.sandbox().keysets(), ["b"]);
    assert!(!place.dir().join("secrets/a.age").exists(), "its secret opens nothing any more");

    // Unprotected in the TOML, applied, and only then taken out.
    place.declare(
        &production
            .replace("[keyset.b]\n", "[keyset.b]\nprotect = false\n")
            .replace("[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n", ""),
    );
    place.ends(&["apply", "--yes"], 0, "1 protection noted");
    place.is_settled();
    place.declare("[limits]\ndelete = 2\n");
    let report = place.json(&["apply", "--yes", "--delete"], 0);
    let steps: Vec<_> = report["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|s| (s["step"].clone(), s["outcome"].clone()))
        .collect();
    assert_eq!(
        steps,
        [(json!("delete_keyset"), json!("deleted")), (json!("delete_app"), json!("deleted"))]
    );
    place.is_settled();
    assert_eq!(place.sandbox().get("/v2/apps")["total"], 0);
}

#[test]
fn a_deletion_whose_answer_is_lost_is_found_out() {
    for fault in [
        "DELETE /v2/keysets/=cut-after",
        "DELETE /v2/keysets/#1=status:503",
        "DELETE /v2/keysets/#1=cut-before",
    ] {
        let mut place = with_two();
        place.declare("[app.chat]\nname = \"Chat\"\n[limits]\ndelete = 2\n");
        place.restart(&["--fault", fault]);
        place.ends(&["apply", "--yes", "--delete", "--timeout", "5"], 0, "2 keysets deleted");
        assert_eq!(place.sandbox().keysets(), [""; 0], "{fault}");
        place.restart(&[]);
        place.is_settled();
    }
    // One that is refused is told, and nothing is forgotten.
    let mut place = with_two();
    place.declare("[limits]\ndelete = 3\n");
    place.restart(&["--fault", &format!("DELETE /v2/keysets/{}=status:403", place.id("a"))]);
    let report = place.json(&["apply", "--yes", "--delete"], 4);
    let app = report["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .find(|step| step["step"] == "delete_app")
        .expect("its app");
    assert_eq!(
        app["outcome"], "skipped",
        "what becomes of keysets whose app is deleted is not documented: {app}"
    );
    assert_eq!(place.sandbox().keysets(), ["a"]);
    assert!(place.state()["keysets"]["a"].is_object() && place.state()["keysets"]["b"].is_null());
    place.restart(&[]);
    place.ends(&["apply", "--yes", "--delete"], 0, "1 app deleted");
}

#[test]
fn what_somebody_deleted_in_the_portal_is_forgotten_with_the_same_flag() {
    let place = with_two();
    place.declare(&format!("{TWO}[keyset.c]\napp = \"chat\"\ntype = \"testing\"\n"));
    place.ends(&["apply", "--yes"], 0, "1 keyset created");
    place.sandbox().delete(&format!("/v2/keysets/{}", place.id("c")));
    place.declare(TWO);
    place.ends(&["plan"], 0, "gone at the server");
    place.ends(&["apply", "--yes", "--delete"], 0, "1 record forgotten");
    assert!(place.state()["keysets"]["c"].is_null());
    place.is_settled();
}

#[test]
fn nothing_is_deleted_while_something_else_fails() {
    let mut place = with_two();
    place.declare(
        &TWO.replace("[keyset.a]", "[keyset.new]")
            .replace("[app.chat]", "[limits]\ndelete = 1\n[app.chat]"),
    );
    place.restart(&["--fault", "POST /v2/keysets=status:400"]);
    place.ends(
        &["apply", "--yes", "--delete"],
        4,
        "nothing is deleted while something else is not done: new",
    );
    assert_eq!(place.sandbox().keysets(), ["a", "b"]);
}

#[test]
fn a_crash_between_two_labels_is_no_reason_to_delete() {
    for point in ["journal.write", "journal.sync", "file.rename"] {
        for n in 1..=6 {
            let place = with_two();
            let secret = place.secret("a");
            place.declare(
                &TWO.replace(
                    "[keyset.a]\n",
                    "[keyset.z]\nname = \"a\"\nmoved = { from = \"a\" }\n",
                ),
            );
            let mut command = place.command(&["apply", "--yes"]);
            command
                .env("KEYFORM_FAILPOINT", format!("{point}#{n}=kill"))
                .output()
                .expect("keyform runs");
            place.ends(&["apply", "--yes", "--delete", "--limit", "delete=9"], 0, "");
            assert_eq!(place.sandbox().keysets(), ["a", "b"], "{point}#{n}");
            let state = place.state();
            assert_eq!(
                state["keysets"].as_object().expect("keysets").keys().collect::<Vec<_>>(),
                ["b", "z"],
                "{point}#{n}"
            );
            assert_eq!(place.secret("z"), secret);
            place.is_settled();
        }
    }
}

#[test]
fn an_app_between_two_labels_is_not_deleted_either() {
    for point in ["journal.write", "journal.sync"] {
        for n in 1..=4 {
            let place = Place::new();
            place.declare("[app.chat]\nname = \"Chat\"\n");
            place.ends(&["apply", "--yes"], 0, "1 app created");
            place.declare("[app.talk]\nname = \"Chat\"\nmoved = { from = \"chat\" }\n");
            let mut command = place.command(&["apply", "--yes"]);
            command
                .env("KEYFORM_FAILPOINT", format!("{point}#{n}=kill"))
                .output()
                .expect("keyform runs");
            place.ends(&["apply", "--yes", "--delete", "--limit", "delete=9"], 0, "");
            assert_eq!(place.sandbox().get("/v2/apps")["total"], 1, "{point}#{n}");
            assert_eq!(
                place.state()["apps"].as_object().map(serde_json::Map::len),
                Some(1),
                "{point}#{n}"
            );
            place.is_settled();
        }
    }
}

#[test]
fn an_entry_that_holds_another_secret_stays_when_its_label_is_deleted() {
    let place = with_two();
    let other = std::fs::read(place.dir().join("secrets/b.age")).expect("it is there");
    std::fs::write(place.dir().join("secrets/a.age"), &other).expect("it is written");
    place.declare(&format!(
        "[limits]\ndelete = 1\n{}",
        TWO.replace("[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n", "")
    ));
    place.ends(&["apply", "--yes", "--delete"], 0, "is still in the sink");
    assert_eq!(std::fs::read(place.dir().join("secrets/a.age")).expect("it stays"), other);
    // Nor is one taken away that cannot be read.
    let place = with_two();
    place.declare(&format!(
        "[limits]\ndelete = 1\n{}",
        TWO.replace("[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n", "")
    ));
    let output = place
        .command(&["apply", "--yes", "--delete"])
        .env_remove("KEYFORM_AGE_IDENTITY")
        .output()
        .expect("keyform runs");
    ended(&output, 0, "is still in the sink");
    assert!(place.dir().join("secrets/a.age").exists());
}

#[test]
fn a_secret_that_kept_its_old_name_gets_the_new_one_with_state_mv() {
    let place = with_two();
    let secret = place.secret("a");
    place.declare(
        &TWO.replace("[keyset.a]\n", "[keyset.y]\nname = \"a\"\nmoved = { from = \"a\" }\n"),
    );
    let output = place
        .command(&["apply", "--yes"])
        .env_remove("KEYFORM_AGE_IDENTITY")
        .output()
        .expect("keyform runs");
    ended(&output, 0, "keeps its name in the sink: a");
    place.ends(&["state", "mv", "y", "x"], 0, "under the new label");
    std::fs::remove_file(place.dir().join("secrets/a.age")).expect("it is of no more use");
    assert_eq!(place.secret("x"), secret);
}

#[test]
fn what_is_frozen_waits_and_the_rest_can_be_done() {
    let place = Place::new();
    place.declare(TWO);
    place.ends(&["apply", "--yes"], 0, "");
    let frozen = TWO
        .replace("[keyset.a]", "[keyset.a]\nfreeze = \"release week, until Friday\"")
        .replace("[app.chat]", "[limits]\nupdate = \"50%\"\n[app.chat]");
    place.declare(&frozen);
    place.is_settled();
    let changed =
        frozen.replace("type = \"testing\"", "type = \"testing\"\npresence.enabled = true");
    place.declare(&changed);
    let told =
        place.ends(&["apply", "--yes"], 3, "keyset a: frozen: \"release week, until Friday\"");
    assert!(
        told.contains("presence.enabled")
            && told.contains(
                "2 keysets to update, and the limit is 1 (50% of the keysets in the state)"
            ),
        "{told}"
    );
    assert!(told.contains("at keyform.toml:"), "{told}");
    place.ends(&["secrets", "rotate", "a", "--now"], 3, "`a` is frozen");
    place.ends(&["apply", "--yes", "--target", "b"], 0, "1 keyset updated");
    place.declare(&changed.replace("freeze = \"release week, until Friday\"", ""));
    place.ends(&["apply", "--yes"], 0, "1 keyset updated");
    // Of the whole project.
    let toml = place.toml();
    place.write(
        "keyform.toml",
        &toml
            .replace("[project]", "[project]\nfreeze = \"migration\"")
            .replace("enabled = true", "enabled = false"),
    );
    place.ends(&["apply", "--yes", "--limit", "update=100%"], 3, "frozen: \"migration\"");
    place.ends(&["drift"], 2, "presence.enabled");
}
