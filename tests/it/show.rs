//! `keyform show` through the binary: what is managed, told by the state alone.

use serde_json::json;

use crate::support::keyform;
use crate::support::place::{Place, ended};

const HOSTILE: &str = "x | `y` </td> @team [a](b) 50%";

fn project() -> String {
    format!(
        "[app.chat]\nname = '{HOSTILE}'\n[app.other]\nname = \"Other\"\n\
         [keyset.a]\napp = \"chat\"\ntype = \"testing\"\nname = '{HOSTILE}'\n\
         [keyset.b]\napp = \"chat\"\ntype = \"production\"\n[keyset.c]\napp = \"other\"\ntype = \"testing\"\n"
    )
}

fn applied() -> Place {
    let place = Place::new();
    place.declare(&project());
    place.ends(&["apply", "--yes"], 0, "3 secrets stored");
    place
}

/// Without a key, and without anything that answers.
fn alone(place: &Place, args: &[&str], code: i32, says: &str) -> String {
    ended(&keyform::command(args, place.dir(), None).output().expect("keyform runs"), code, says)
}

#[test]
fn the_state_alone_tells_what_is_managed() {
    let mut place = Place::new();
    alone(&place, &["show"], 0, "Nothing is recorded.");
    place.declare(&project());
    place.ends(&["apply", "--yes"], 0, "3 secrets stored");
    let (state, secrets) = (place.state(), ["a", "b", "c"].map(|label| place.secret(label)));
    // Nobody is there to be asked.
    place.restart(&["--fault", "GET /=status:500"]);

    let human =
        alone(&place, &["show"], 0, "3 keysets, 2 apps; secrets: 3 stored, 0 missing, 0 unknown.");
    let lines: Vec<&str> = human.lines().collect();
    let column =
        |line: &str, word: &str| line.find(word).unwrap_or_else(|| panic!("no {word} in {human}"));
    let subscribe = state["keysets"]["b"]["subscribeKey"].as_str().expect("a key");
    assert_eq!(column(lines[0], "SUBSCRIBE KEY"), column(lines[2], subscribe), "{human}");
    assert!(
        lines[2].starts_with("b ")
            && lines[2].contains(" production ")
            && lines[2].ends_with("protected"),
        "{human}"
    );
    assert!(lines.iter().all(|line| line.trim_end() == *line), "{human}");

    let shown: serde_json::Value =
        serde_json::from_str(&alone(&place, &["show", "--format", "json"], 0, "inventory"))
            .expect("JSON");
    assert_eq!(
        (&shown["format_version"], &shown["kind"], &shown["exit_code"]),
        (&json!(1), &json!("inventory"), &json!(0))
    );
    let (a, recorded) = (&shown["keysets"][0], &state["keysets"]["a"]);
    for (told, field) in [
        ("id", "id"),
        ("publishKey", "publishKey"),
        ("subscribeKey", "subscribeKey"),
        ("createdAt", "createdAt"),
    ] {
        assert!(a[told].is_string() && a[told] == recorded[field], "{told}: {a} {recorded}");
    }
    assert_eq!(
        (&a["label"], &a["app"], &a["name"], &a["type"]),
        (&json!("a"), &json!("chat"), &json!(HOSTILE), &json!("testing"))
    );
    assert_eq!((&a["secret"]["status"], &a["secret"]["sink"]), (&json!("stored"), &json!("age")));
    assert!(a["lastApply"].is_string() && a["secret"]["since"].is_string(), "{a}");
    let of = |n: usize| (&shown["keysets"][n]["protected"], &shown["keysets"][n]["declared"]);
    assert_eq!((of(0), of(1)), ((&json!(false), &json!(true)), (&json!(true), &json!(true))));
    assert_eq!(
        (&shown["apps"][0]["name"], &shown["apps"][0]["managed"]),
        (&json!(HOSTILE), &json!(true))
    );

    let markdown = alone(&place, &["show", "--format", "markdown"], 0, "3 keysets");
    let tables: Vec<&str> = markdown.split("\n\n").skip(1).collect();
    assert_eq!(tables.len(), 2, "{markdown}");
    for (table, bars) in tables.into_iter().zip([10, 5]) {
        for row in table.lines().filter(|line| line.starts_with('|')) {
            // Cells are told apart by bars that are not escaped.
            assert_eq!(row.replace("\\|", "").matches('|').count(), bars, "{row}");
        }
    }
    for text in [&human, &shown.to_string(), &markdown] {
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "a secret in {text}");
    }
    assert_eq!(place.state(), state, "it only looks");
    alone(&place, &["show", "--format", "github"], 1, "`show` does not have the format `github`");
}

#[test]
fn labels_and_an_app_limit_it() {
    let place = applied();
    let labels = |args: &[&str]| {
        let shown = place.json(args, 0);
        let of = |what: &str| {
            let items = shown[what].as_array().expect("a list").iter();
            items
                .map(|item| item["label"].as_str().expect("a label").to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        (of("apps"), of("keysets"))
    };
    let toml = place.toml();
    let two = |apps: &str, keysets: &str| (apps.to_owned(), keysets.to_owned());
    assert_eq!(labels(&["show", "a", "c"]), two("chat other", "a c"));
    assert_eq!(labels(&["show", "c", "c"]), two("other", "c"));
    assert_eq!(labels(&["show", "--app", "chat"]), two("chat", "a b"));
    assert_eq!(labels(&["show", "a", "--app", "other"]), two("", ""));
    place.declare(
        &project()
            .replace("[keyset.b]", "[keyset.chat-b]")
            .replace("[keyset.c]", "[keyset.chat-c]\nmoved = { from = \"c\" }"),
    );
    place.ends(&["show", "b"], 0, "not declared");
    place.ends(&["show"], 0, "1 not declared any more");
    assert_eq!(
        place.json(&["show", "c"], 0)["keysets"][0]["declared"],
        true,
        "under another label"
    );

    place.declare("[keyset.only]\n");
    place.ends(&["show"], 1, "the configuration has");
    place.write("keyform.toml", &toml);
    place.ends(&["show", "aa"], 1, "no keyset `aa` in the state");
    place.ends(&["show", "--app", "chatt"], 1, "did you mean `chat`?");
    assert_eq!(place.json(&["show", "--app", "chatt"], 1)["kind"], "error");
}

#[test]
fn a_secret_that_is_missing_or_was_never_here_is_told() {
    let mut place = Place::new();
    place.declare(&project());
    place.ends(&["apply", "--yes"], 0, "3 secrets stored");
    // Another clone takes the keysets over, without their secrets.
    std::fs::remove_dir_all(place.dir().join("state")).expect("it is there");
    place.restart(&[]);
    place.ends(&["adopt", "--all"], 0, "3 keysets");
    place.ends(&["show"], 0, "secrets: 0 stored, 0 missing, 3 unknown");
    let shown = place.json(&["show", "a"], 0);
    assert_eq!(shown["keysets"][0]["secret"], json!({"status": "unknown"}));
    assert_eq!(shown["keysets"][0]["lastApply"], json!(null));

    let mut state = place.state();
    state["keysets"]["b"]["secret"] = json!({"status": "missing", "why": HOSTILE});
    state["checksum"] = json!("merged");
    place.write("state/keyform.json", &state.to_string());
    place.ends(&["show"], 0, "MISSING");
    place.ends(&["show", "--format", "markdown"], 0, "secrets: 0 stored, 1 missing, 2 unknown");
    assert_eq!(
        place.json(&["show", "b"], 0)["keysets"][0]["secret"],
        json!({"status": "missing", "why": HOSTILE})
    );
}
