//! Secret keys that are replaced when they are due, by the dozen, and ended before their time;
//! through the binary.

use serde_json::{Value, json};

use crate::support::Place;

const TWO: &str = "[app.chat]\nname = \"Chat\"\n[profile.p]\ntype = \"testing\"\n\
                   [keyset.a]\napp = \"chat\"\nprofiles = [\"p\"]\n[keyset.b]\napp = \"chat\"\nprofiles = [\"p\"]\n";

fn with_two() -> Place {
    let place = Place::new();
    place.declare(TWO);
    place.ends(&["apply", "--yes"], 0, "2 secrets stored");
    place
}

/// As if its secret key had been made then.
fn make_old(place: &Place, label: &str, since: &str) {
    let mut state = place.state();
    state["keysets"][label]["secretSince"] = since.into();
    state["checksum"] = "merged".into();
    place.write("state/keyform.json", &state.to_string());
}

fn keys(place: &Place, label: &str) -> Vec<Value> {
    place.json(&["secrets", "keys", label], 0)["keys"].as_array().expect("a list").clone()
}

#[test]
fn a_key_that_is_due_is_replaced_and_the_one_of_before_works_on() {
    let place = with_two();
    place.declare(&TWO.replace(
        "type = \"testing\"\n",
        "type = \"testing\"\nrotate = { every = \"90d\", overlap = \"24h\" }\n",
    ));
    place.is_settled();
    make_old(&place, "a", "2020-01-01T00:00:00Z");
    place.ends(&["plan"], 0, "a new one is due every 90 days; it works on for 1 day");
    let before = place.secret("a");
    place.ends(&["apply", "--yes"], 0, "1 secret key replaced");
    let now = place.secret("a");
    assert_ne!(now, before);
    let keys = keys(&place, "a");
    assert_eq!(keys.len(), 2);
    assert_eq!(
        (&keys[0]["prefix"], &keys[0]["expires_at"], &keys[0]["stored"]),
        (&json!(now[..11]), &json!(null), &json!(true))
    );
    assert_eq!(keys[1]["prefix"], before[..11]);
    let ends: jiff::Timestamp =
        keys[1]["expires_at"].as_str().expect("a time").parse().expect("a time");
    let hours = ends.duration_since(jiff::Timestamp::now()).as_hours();
    assert!((23..=24).contains(&hours), "{hours}");
    place.is_settled();
}

#[test]
fn all_are_replaced_but_none_if_one_of_them_cannot() {
    let place = with_two();
    let before = (place.secret("a"), place.secret("b"));
    for _ in 0..5 {
        place.ends(
            &["secrets", "rotate", "b", "--overlap", "7d"],
            0,
            "The key of before works until",
        );
    }
    assert_eq!(keys(&place, "b").len(), 6);
    let full = place.secret("b");
    place.ends(
        &["secrets", "rotate", "--all", "--overlap", "1h"],
        3,
        "`b` has 5 keys that wait for their end",
    );
    assert_eq!((place.secret("a"), place.secret("b")), (before.0.clone(), full));
    // A declared rotation stops before the call too.
    place.declare(&TWO.replace(
        "type = \"testing\"\n",
        "type = \"testing\"\nrotate = { every = \"90d\", overlap = \"24h\" }\n",
    ));
    make_old(&place, "b", "2020-01-01T00:00:00Z");
    place.ends(&["apply", "--yes"], 4, "the API takes no more: nothing was done");
    assert_eq!(keys(&place, "b").len(), 6);

    // One of them is ended, another one earlier than it would.
    let oldest = &before.1[..11];
    place.ends(&["secrets", "expire", "b", oldest, "--in", "90s"], 0, "works until");
    place.ends(&["secrets", "expire", "b", oldest, "--now"], 0, "works no more");
    place.ends(&["secrets", "expire", "b", oldest, "--now"], 1, "has no key");
    assert_eq!(keys(&place, "b").len(), 5);
    place.ends(&["apply", "--yes"], 0, "1 secret key replaced");
    place.ends(&["secrets", "rotate", "--all", "--now"], 0, "secret key of b replaced");
    assert_ne!(place.secret("a"), before.0);

    let current = place.secret("a");
    place.ends(
        &["secrets", "expire", "a", &current[..11], "--now"],
        3,
        "is the permanent key of `a`",
    );
    // A whole key is not repeated.
    place.ends(
        &["secrets", "expire", "a", &current, "--now"],
        1,
        "never put a whole key into an argument",
    );
    place.ends(&["secrets", "expire", "a", "sec-c-00000", "--in", "10s"], 1, "60 s to 366 days");
    place.ends(&["secrets", "keys", "c"], 1, "no keyset `c` in the state");
}

#[test]
fn freeze_holds_for_whatever_changes_keys_by_hand() {
    let place = with_two();
    place.ends(&["secrets", "rotate", "a", "--overlap", "24h"], 0, "secret key of a replaced");
    let old = keys(&place, "a")[1]["prefix"].as_str().expect("a prefix").to_owned();
    let froze = [
        ("[keyset.a]", "[keyset.a]\nfreeze = \"until Monday\""),
        ("[app.chat]", "[app.chat]\nfreeze = \"until Monday\""),
    ];
    for (table, frozen) in froze {
        place.declare(&TWO.replace(table, frozen));
        let told = "`a` is frozen: \"until Monday\" (keyform.toml:";
        place.ends(&["secrets", "expire", "a", &old, "--now"], 3, told);
        place.ends(&["secrets", "expire", "a", &old, "--in", "90s"], 3, "nothing was ended");
        place.ends(&["secrets", "rotate", "a", "--now"], 3, told);
        place.ends(&["secrets", "rotate", "--all", "--now"], 3, "nothing was rotated");
    }
    assert_eq!(keys(&place, "a").len(), 2);
    place.declare(TWO);
    place.ends(&["secrets", "expire", "a", &old, "--now"], 0, "works no more");
}
