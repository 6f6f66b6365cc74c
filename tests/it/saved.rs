//! Plans as files, and plans approved by their hash: what runs is what was reviewed, once, or
//! nothing.

use serde_json::{Value, json};

use crate::support::Place;
use crate::support::place::ended;

const ONE: &str = "[app.chat]\nname = \"Chat\"\n[keyset.dev]\napp = \"chat\"\ntype = \"testing\"\npresence = { enabled = true, interval = 10 }\n";

fn place() -> Place {
    let place = Place::new();
    place.declare(ONE);
    place
}

fn read(place: &Place) -> String {
    std::fs::read_to_string(place.dir().join("plan.json")).expect("a plan")
}

fn edited(place: &Place, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_str(&read(place)).expect("JSON");
    change(&mut json);
    place.write("plan.json", &json.to_string());
}

#[test]
fn a_saved_plan_is_applied_once_also_as_the_first_thing_ever() {
    let place = place();
    place.ends(&["plan", "--out", "plan.json"], 0, "`keyform apply plan.json` does exactly this");
    assert!(!read(&place).contains("sec-c-"));
    // Nobody is asked: the file is the consent.
    place.ends(&["apply", "plan.json"], 0, "1 keyset created");
    place.is_settled();
    let before = std::fs::read(place.dir().join("state/keyform.json")).expect("a state");
    let told =
        place.ends(&["apply", "plan.json"], 3, "this plan, or something else, was applied already");
    assert!(told.contains("serial 0, now 1") && told.contains("keyform plan --out"), "{told}");
    assert_eq!(std::fs::read(place.dir().join("state/keyform.json")).expect("a state"), before);
    assert_eq!(place.sandbox().keysets(), ["dev"]);

    // A second one, on what is there.
    place.declare(&ONE.replace("interval = 10", "interval = 20"));
    place.ends(&["plan", "--out", "plan.json"], 0, "1 keyset to update");
    place.ends(&["apply", "plan.json"], 0, "1 keyset updated");
    place.ends(&["apply", "plan.json"], 3, "was applied already");
}

#[test]
fn what_was_changed_since_is_told_and_nothing_is_done() {
    let place = place();
    place.ends(&["apply", "--yes"], 0, "");
    let update = ONE.replace("interval = 10", "interval = 20");
    place.declare(&update);
    place.ends(&["plan", "--out", "plan.json"], 0, "");

    // The configuration, by as little as a comment.
    place.declare(&format!("{update}# reviewed\n"));
    place.ends(
        &["apply", "plan.json"],
        3,
        "the configuration was changed since: keyform.toml is not as it was",
    );
    place.declare(&update);

    // The account.
    let id = place.id("dev");
    place
        .sandbox()
        .patch(&format!("/v2/keysets/{id}/config"), &json!({"presence": {"interval": 30}}));
    let told = place.ends(&["apply", "plan.json"], 3, "the account was changed since");
    assert!(told.contains("update keyset dev: not as it was"), "{told}");
    place.sandbox().patch(
        &format!("/v2/keysets/{id}/config"),
        &json!({"presence": {"interval": 10, "announceMax": 5}}),
    );

    // The state.
    let state = std::fs::read(place.dir().join("state/keyform.json")).expect("a state");
    place.ends(&["secrets", "rotate", "dev", "--now"], 0, "");
    place.ends(&["apply", "plan.json"], 3, "the state was changed since");
    std::fs::write(place.dir().join("state/keyform.json"), state).expect("written");

    // Where it goes to.
    let output = place
        .command(&["apply", "plan.json"])
        .env("KEYFORM_ENDPOINT", "http://127.0.0.1:1")
        .output()
        .expect("keyform runs");
    ended(&output, 3, "and this would go to http://127.0.0.1:1");
    let config = place.sandbox().get(&format!("/v2/keysets/{id}/config"));
    assert_eq!(config["presence"]["interval"], 10);

    // As it was: it is carried out. What nobody declares was changed too, and does not count.
    place.ends(&["apply", "plan.json"], 0, "1 keyset updated");
}

#[test]
fn a_file_that_is_no_plan_of_this_project_and_keyform_is_refused() {
    let place = place();
    place.ends(&["apply", "plan.json"], 1, "there is no plan file plan.json");
    place.ends(&["plan", "--out", "plan.json"], 0, "");
    let good = read(&place);

    for length in [0, 1, good.len() / 2, good.len() - 3] {
        place.write("plan.json", &good[..length]);
        place.ends(&["apply", "plan.json"], 1, "it is not a saved plan: it ends too early");
    }
    place.write("plan.json", &good.replace("\"dev\"", "\"prod\""));
    place.ends(&["apply", "plan.json"], 1, "it was edited, or is not whole");
    place.write("plan.json", "{\"kind\": \"plan\"}");
    place.ends(&["apply", "plan.json"], 1, "it says that it is \"plan\"");
    place.write("plan.json", &good);
    edited(&place, |json| json["keyform"] = "9.9.9".into());
    place.ends(&["apply", "plan.json"], 3, "it was made by keyform 9.9.9");

    place.write("plan.json", &good);
    let toml = place.toml();
    place.write("keyform.toml", &toml.replace("name = \"acme\"", "name = \"other\""));
    place.ends(&["apply", "plan.json"], 3, "it is of project `acme`, and this is `other`");
    place.write("keyform.toml", &toml);
    assert_eq!(place.sandbox().keysets(), [] as [&str; 0]);
    place.ends(&["apply", "plan.json"], 0, "1 keyset created");
}

#[test]
fn a_plan_file_decides_nothing_by_itself() {
    // Whoever edits it and knows how to make the checksum good cannot have anything else done.
    let place = place();
    place.ends(&["plan", "--out", "plan.json"], 0, "");
    edited(&place, |json| {
        json["policy"]["delete"] = true.into();
        json["plan"]["actions"] = json!([]);
        json.as_object_mut().expect("an object").remove("checksum");
        let sum = <sha2::Sha256 as sha2::Digest>::digest(json.to_string());
        let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        json["checksum"] = format!("sha256:{hex}").into();
    });
    place.ends(&["apply", "plan.json"], 0, "1 keyset created");
    place.is_settled();
}

#[test]
fn what_the_command_line_allowed_is_part_of_the_plan() {
    let place = place();
    place.ends(&["apply", "--yes"], 0, "");
    place.declare(&format!(
        "{ONE}files = {{ enabled = true, region = \"us-east-1\", retention = 7 }}\n[keyset.other]\napp = \"chat\"\ntype = \"testing\"\n"
    ));
    let told = place.ends(&["plan", "--out", "plan.json"], 3, "plan.json was not written");
    assert!(
        told.contains("--allow-irreversible") && !place.dir().join("plan.json").exists(),
        "{told}"
    );
    place.ends(
        &["plan", "--allow-irreversible", "--target", "dev", "--out", "plan.json"],
        0,
        "1 keyset to update",
    );
    place.ends(&["apply", "plan.json", "--target", "other"], 1, "cannot be used with");
    let told = place.ends(&["apply", "plan.json"], 0, "1 keyset updated");
    assert!(!told.contains("keyset other created"), "{told}");
    place.ends(
        &["plan", "--refresh", "none", "--out", "plan.json"],
        1,
        "did not look at the account",
    );
}

#[test]
fn an_approved_hash_is_the_consent_to_that_plan_and_no_other() {
    let place = place();
    let hash = place.json(&["plan"], 0)["hash"].as_str().expect("a hash").to_owned();
    place.ends(
        &["apply", "--approve", &hash[1..]],
        1,
        "64 hexadecimal digits, and this has 63 characters",
    );
    place.ends(&["apply", "--approve", &"0".repeat(64)], 3, "is not the approved one");
    assert_eq!(place.sandbox().keysets(), [] as [&str; 0]);
    // Where it stands in the TOML is no part of it.
    place.declare(&format!("# moved down\n\n{ONE}"));
    place.ends(&["apply", "--approve", &hash], 0, "1 keyset created");
    place.ends(&["apply", "--approve", &hash], 3, "is not the approved one");
    // What is final is part of what was approved.
    place.declare(&format!(
        "{ONE}files = {{ enabled = true, region = \"us-east-1\", retention = 7 }}\n"
    ));
    assert!(place.json(&["plan"], 3)["hash"].is_null());
    let hash = place.json(&["plan", "--allow-irreversible"], 0)["hash"]
        .as_str()
        .expect("a hash")
        .to_owned();
    place.ends(&["apply", "--approve", &hash], 0, "1 keyset updated");
    place.is_settled();
}

#[test]
fn a_plan_made_after_a_crash_is_one_to_apply() {
    let place = place();
    let output = place
        .command(&["apply", "--yes"])
        .env("KEYFORM_FAILPOINT", "create.committed=kill")
        .output()
        .expect("keyform runs");
    assert_eq!(output.status.code(), None);
    place.declare(&ONE.replace("interval = 10", "interval = 20"));
    // The state is not folded yet, which is no change.
    place.ends(&["plan", "--out", "plan.json"], 0, "1 keyset to update");
    place.ends(&["apply", "plan.json"], 0, "1 keyset updated");
    place.is_settled();
}
