//! What each command asks the account for: nothing, or only to be told. Whoever may not write can
//! run all of these.

use crate::support::Place;
use crate::support::place::ended;

fn place() -> Place {
    let place = Place::new();
    place.declare(
        "[app.chat]\nname = \"Chat\"\n[keyset.a]\napp = \"chat\"\ntype = \"testing\"\npresence = { enabled = true, interval = 10 }\n\
         [keyset.b]\napp = \"chat\"\ntype = \"testing\"\n",
    );
    place.ends(&["apply", "--yes"], 0, "2 keysets created");
    place
}

#[test]
fn what_looks_asks_to_be_told_and_for_nothing_else() {
    let place = place();
    let id = place.id("a");
    place.sandbox().patch(
        &format!("/v2/keysets/{id}/config"),
        &serde_json::json!({"presence": {"interval": 30}}),
    );
    for command in [
        &["plan"][..],
        &["plan", "--detailed-exitcode", "--format", "json"],
        &["plan", "--out", "plan.json"],
        &["drift"],
        &["drift", "--format", "markdown"],
        &["drift", "--format", "github"],
        &["parity", "a", "b"],
        &["secrets", "keys", "a"],
        &["secrets", "doctor", "--check", "--live"],
        // These write TOML and state, and leave the account alone.
        &["drift", "--accept", "a"],
        &["adopt", "--all"],
    ] {
        let before = place.requests().len();
        let output = place.run(command);
        assert!(
            matches!(output.status.code(), Some(0 | 2)),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let asked = place.requests().split_off(before);
        assert!(
            !asked.is_empty() && asked.iter().all(|request| request.starts_with("GET ")),
            "{command:?}: {asked:?}"
        );
    }
}

#[test]
fn what_works_from_files_asks_nobody_and_needs_no_key() {
    let place = place();
    let before = place.requests().len();
    for (command, code) in [
        (&["validate"][..], 0),
        (&["plan", "--refresh=none"], 0),
        (&["parity", "a", "b", "--refresh=none"], 2),
        (&["show"], 0),
        (&["state", "list"], 0),
        (&["state", "show", "a"], 0),
        (&["env", "a"], 0),
        (&["secrets", "list"], 0),
        (&["schema"], 0),
        (&["run", "a", "--", "true"], 0),
    ] {
        let mut command_line = place.command(command);
        command_line.env_remove("PUBNUB_API_KEY").env("KEYFORM_ENDPOINT", "http://127.0.0.1:1");
        ended(&command_line.output().expect("keyform runs"), code, "");
    }
    assert_eq!(place.requests().len(), before);
}
