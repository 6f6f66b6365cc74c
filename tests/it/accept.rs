//! `keyform drift --accept` and `ignore`, through the binary.

use serde_json::json;

use crate::support::Place;
use crate::support::place::ended;

const MAIN: &str = r#"
# The app.
[app.chat]
name = "Chat" # as in the portal

[profile.shared]
presence = { enabled = true, interval = 10, announceMax = 20 }
ignore = [{ field = "streamController", reason = "support changes it" }]

[keyset."a.b"]
app = "chat"
type = "testing"
profiles = ["shared"]

[keyset.b]
app = "chat"
type = "testing"
profiles = ["shared"]
streamController.channelGroupLimit = 50
messagePersistence = { enabled = true, retention = 7 } # a week
"#;

fn applied() -> Place {
    let place = Place::new();
    place.declare(MAIN);
    place.ends(&["apply", "--yes"], 0, "2 keysets created");
    place
}

fn in_the_portal(place: &Place, label: &str, config: &serde_json::Value) {
    place.sandbox().patch(&format!("/v2/keysets/{}/config", place.id(label)), config);
}

#[test]
fn what_the_account_has_is_written_where_it_belongs() {
    let place = applied();
    let before = place.toml();
    in_the_portal(
        &place,
        "b",
        &json!({"messagePersistence": {"retention": 30}, "presence": {"interval": 60}}),
    );
    in_the_portal(&place, "a.b", &json!({"presence": {"announceMax": 5}}));
    place.sandbox().patch("/v2/apps/101", &json!({"name": "Talk"}));

    place.ends(
        &["drift", "--accept", "b.messagePersistence"],
        0,
        "b.messagePersistence.retention: 7 -> 30",
    );
    assert_eq!(
        place.toml(),
        before.replace("retention = 7 } # a week", "retention = 30 } # a week")
    );
    // A profile's value is said otherwise in the keyset's own table: its other keysets did not
    // change.
    place.ends(&["drift", "--accept", "b"], 0, "1 value accepted");
    assert!(place.toml().contains("# a week\npresence.interval = 60\n"), "{}", place.toml());
    let json =
        place.json(&["drift", "--accept", "a.b.presence.announceMax", "--accept", "app:chat"], 0);
    assert_eq!(json["accepted"].as_array().map(Vec::len), Some(2), "{json}");
    assert_eq!(
        (&json["accepted"][0]["kind"], &json["accepted"][0]["to"]),
        (&json!("app"), &json!("Talk"))
    );
    assert!(place.toml().contains("name = \"Talk\" # as in the portal"), "{}", place.toml());
    place.ends(&["drift"], 0, "No drift: 3 in order");
    place.is_settled();

    let whole = place.toml();
    place.ends(&["drift", "--accept", "b"], 0, "0 values accepted");
    for (what, says) in [
        ("c", "no keyset `c` is declared"),
        ("a.c", "did you mean `a.b`?"),
        ("b.presence.intervall", "did you mean `b.presence.interval`?"),
        ("app:caht", "did you mean `chat`?"),
    ] {
        place.ends(&["drift", "--accept", what], 1, says);
    }
    assert_eq!(place.toml(), whole);
}

#[test]
fn what_cannot_be_declared_or_does_not_stand_alone_is_refused_whole() {
    let place = applied();
    let toml = place.toml();
    // Changed in the TOML since: only who names the field gets the account's value back.
    place.write("keyform.toml", &toml.replace("retention = 7", "retention = 1"));
    place.ends(&["drift", "--accept", "b"], 0, "was changed in the TOML and not in the account");
    place.ends(&["drift", "--accept", "b.messagePersistence.retention"], 0, "1 -> 7");
    assert_eq!(place.toml(), toml);

    in_the_portal(
        &place,
        "b",
        &json!({"messagePersistence": {"enabled": false}, "presence": {"enabled": false, "interval": 60}}),
    );
    let included = "[keyset.c]\napp = \"chat\"\ntype = \"testing\"\nfiles = { enabled = false }\n";
    place.write("more/c.toml", included);
    place.write(
        "keyform.toml",
        &toml.replace("[project]\n", "[project]\ninclude = [\"more/*.toml\"]\n"),
    );
    place.ends(&["apply", "--yes", "--target", "c"], 0, "1 keyset created");
    in_the_portal(
        &place,
        "c",
        &json!({"files": {"enabled": true, "retention": 7, "region": "us-east-1"}}),
    );
    // The rules ask for more beside it, and nobody declared that.
    place.ends(
        &["drift", "--accept", "c", "--accept", "b"],
        3,
        "would not be valid: nothing was written",
    );
    assert_eq!(
        std::fs::read_to_string(place.dir().join("more/c.toml")).expect("it is there"),
        included
    );
    place.write(
        "more/c.toml",
        &included.replace(
            "{ enabled = false }",
            "{ enabled = false, retention = 1, region = \"us-east-1\" }",
        ),
    );
    place.ends(&["drift", "--accept", "c", "--accept", "b"], 0, "5 values accepted");
    let text = std::fs::read_to_string(place.dir().join("more/c.toml")).expect("it is there");
    assert!(text.contains("{ enabled = true, retention = 7, region = \"us-east-1\" }"), "{text}");
    place.is_settled();
}

#[test]
fn a_file_that_somebody_edits_meanwhile_is_left_alone() {
    let mut place = applied();
    in_the_portal(&place, "b", &json!({"presence": {"interval": 60}}));
    place.restart(&["--latency", "400"]);
    let child = place
        .command(&["drift", "--accept", "b"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("keyform runs");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let edited = format!("{}# more\n", place.toml());
    place.write("keyform.toml", &edited);
    ended(
        &child.wait_with_output().expect("it ends"),
        3,
        "was changed meanwhile: nothing was written",
    );
    assert_eq!(place.toml(), edited);
}

#[test]
fn what_is_ignored_is_made_once_and_then_left_to_others() {
    let place = applied();
    in_the_portal(&place, "b", &json!({"streamController": {"channelGroupLimit": 70}}));
    place.ends(&["drift"], 0, "No drift: 3 in order, 1 difference ignored.");
    let json = place.json(&["drift"], 0);
    assert_eq!(
        json["ignored"],
        json!([{
            "label": "b", "field": "streamController.channelGroupLimit", "declared": 50, "live": 70, "reason": "support changes it"
        }])
    );
    place.is_settled();
    // Nor does a change beside it take it along.
    place.write("keyform.toml", &place.toml().replace("retention = 7", "retention = 1"));
    place.ends(&["apply", "--yes"], 0, "1 keyset updated");
    let config = place.sandbox().get(&format!("/v2/keysets/{}/config", place.id("b")));
    assert_eq!(
        (
            &config["streamController"]["channelGroupLimit"],
            &config["messagePersistence"]["retention"]
        ),
        (&json!(70), &json!(1))
    );
}

#[test]
fn a_file_that_is_linked_to_stays_where_it_is() {
    let place = applied();
    let main = place.dir().join("keyform.toml");
    std::fs::rename(&main, place.dir().join("real.toml")).expect("renamed");
    std::os::unix::fs::symlink("real.toml", &main).expect("linked");
    in_the_portal(&place, "b", &json!({"presence": {"interval": 60}}));
    place.ends(&["drift", "--accept", "b"], 0, "1 value accepted");
    assert!(main.symlink_metadata().expect("it is there").is_symlink());
    assert!(
        std::fs::read_to_string(place.dir().join("real.toml"))
            .expect("text")
            .contains("presence.interval = 60")
    );
}
