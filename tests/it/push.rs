//! Push credentials: uploaded from files of the project, compared by their digest, never told.

use serde_json::json;

use crate::support::place::ended;
use crate::support::{Place, read_tree};

const TOKEN: &str = "-----BEGIN PRIVATE KEY-----\nMIGTAgEAMBMGByqGSM49of-this-test-only\n-----END PRIVATE KEY-----\n";
const KEY: &str = "{\n  \"type\": \"service_account\",\n  \"private_key\": \"firebase-key-of-this-test-only\"\n}\n";
const TOML: &str = "[app.chat]\nname = \"Chat\"\n[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n\
    [keyset.a.push.apns]\nfile = \"push/key.p8\"\nteamId = \"TEAM123456\"\nauthKeyId = \"KEY1234567\"\n\
    [keyset.a.push.fcm]\nfile = \"push/fcm.json\"\n";

fn place() -> Place {
    let place = Place::new();
    place.declare(TOML);
    place.write("push/key.p8", TOKEN);
    place.write("push/fcm.json", KEY);
    place
}

fn live(place: &Place) -> serde_json::Value {
    place.sandbox().get(&format!("/v2/keysets/{}/config", place.id("a")))
}

fn uploads(place: &Place) -> usize {
    place
        .requests()
        .iter()
        .filter(|line| {
            line.starts_with("POST")
                && (line.ends_with("/config/apns") || line.ends_with("/config/fcm"))
        })
        .count()
}

/// No text that keyform says or writes holds a part of the files.
fn tells_nothing(place: &Place, said: &[String]) {
    let parts = ["MIGTAgEAMBMGByqGSM49", "firebase-key-of-this-test-only"];
    for (path, bytes) in read_tree(place.dir()) {
        let text = String::from_utf8_lossy(&bytes);
        let own = path.to_string_lossy().contains("push/");
        assert!(
            own || parts.iter().all(|part| !text.contains(part)),
            "{} holds it",
            path.display()
        );
    }
    for text in said {
        assert!(parts.iter().all(|part| !text.contains(part)), "{text}");
    }
}

#[test]
fn a_new_keyset_gets_its_credentials_and_they_are_uploaded_once() {
    let place = place();
    let plan = place.ends(&["plan"], 0, "Push credentials to upload");
    assert!(
        plan.contains("teamId: \"TEAM123456\"")
            && plan.contains("apns.enabled: turned on by the upload"),
        "{plan}"
    );
    let output = place.command(&["apply", "--yes", "-vv"]).output().expect("keyform runs");
    let said = ended(&output, 0, "2 push credentials uploaded");
    tells_nothing(&place, &[plan, said]);
    let config = live(&place);
    assert_eq!(
        (&config["apns"]["filename"], &config["fcm"]["filename"]),
        (&json!("key.p8"), &json!("fcm.json"))
    );
    assert_eq!(config["apns"]["enabled"], true);
    place.is_settled();
    place.ends(&["drift"], 0, "No drift");
    assert_eq!(uploads(&place), 2);
    let recorded = &place.state()["keysets"]["a"]["push"]["apns"];
    assert_eq!(
        (recorded["teamId"].as_str(), recorded["filename"].as_str()),
        (Some("TEAM123456"), Some("key.p8"))
    );
}

#[test]
fn what_changed_is_uploaded_again_and_nothing_else() {
    let place = place();
    place.ends(&["apply", "--yes"], 0, "");
    place.write("push/key.p8", &TOKEN.replace("test", "next"));
    place.ends(&["drift"], 2, "apns: another one than was uploaded last");
    place.ends(&["apply", "--yes"], 0, "1 push credential uploaded");
    // What the TOML says of it.
    place.declare(&TOML.replace("KEY1234567", "KEY7654321"));
    place.ends(&["apply", "--yes"], 0, "1 push credential uploaded");
    assert_eq!(live(&place)["apns"]["authKeyId"], "KEY7654321");
    // Somebody uploads another one in the portal.
    let path = format!("/v2/keysets/{}/config/fcm", place.id("a"));
    place.sandbox().post(&path, &json!({"filename": "theirs.json", "key": "x"}));
    let drift = place.json(&["drift"], 2);
    assert_eq!(
        (drift["findings"][0]["what"].as_str(), drift["findings"][0]["by"].as_str()),
        (Some("push"), Some("account")),
        "{drift}"
    );
    place.ends(&["apply", "--yes"], 0, "1 push credential uploaded");
    assert_eq!(live(&place)["fcm"]["filename"], "fcm.json");
    place.is_settled();
}

#[test]
fn the_switch_stays_as_it_is_declared() {
    let place = place();
    place.declare(
        &TOML.replace("type = \"testing\"\n", "type = \"testing\"\napns.enabled = false\n"),
    );
    place.ends(&["plan"], 0, "off again afterwards");
    place.ends(&["apply", "--yes"], 0, "2 push credentials uploaded");
    assert_eq!(live(&place)["apns"]["enabled"], false);
    place.is_settled();
    place.ends(&["drift"], 0, "No drift");
}

#[test]
fn a_runner_without_the_files_does_the_rest() {
    let place = place();
    std::fs::remove_dir_all(place.dir().join("push")).expect("it was there");
    let told = place.ends(&["apply", "--yes"], 3, "there is no such file here");
    assert!(told.contains("at keyform.toml:") && told.contains("put the file there"), "{told}");
    assert_eq!(place.sandbox().keysets(), [] as [&str; 0]);
    place.write("push/key.p8", TOKEN);
    place.write("push/fcm.json", KEY);
    place.ends(&["apply", "--yes"], 0, "");
    // They were uploaded, and are kept elsewhere from then on.
    std::fs::remove_dir_all(place.dir().join("push")).expect("it was there");
    place.ends(
        &["plan", "--detailed-exitcode"],
        0,
        "it is not known whether it is what was uploaded from it",
    );
    place.declare(
        &TOML.replace("type = \"testing\"\n", "type = \"testing\"\npresence.enabled = true\n"),
    );
    place.ends(&["apply", "--yes"], 0, "1 keyset updated");
    place.ends(&["drift"], 0, "No drift");
    // At night, on such a runner too.
    let path = format!("/v2/keysets/{}/config/fcm", place.id("a"));
    place.sandbox().post(&path, &json!({"filename": "theirs.json", "key": "x"}));
    place.ends(&["drift"], 2, "fcm: the account has another one: fcm.filename is \"theirs.json\"");
}

#[test]
fn a_switch_that_is_left_to_others_stays_as_they_have_it() {
    let place = place();
    let toml = TOML.replace(
        "type = \"testing\"\n",
        "type = \"testing\"\napns.enabled = false\nignore = [\"apns.enabled\"]\n",
    );
    place.declare(&toml);
    place.ends(&["apply", "--yes"], 0, "2 push credentials uploaded");
    assert_eq!(live(&place)["apns"]["enabled"], false);
    place.sandbox().patch(
        &format!("/v2/keysets/{}/config", place.id("a")),
        &json!({"apns": {"enabled": true}}),
    );
    place.write("push/key.p8", &TOKEN.replace("test", "next"));
    place.ends(&["apply", "--yes"], 0, "1 push credential uploaded");
    assert_eq!(live(&place)["apns"]["enabled"], true);
    place.is_settled();
}

#[test]
fn uploads_are_bounded_by_the_keysets_that_they_change() {
    let place = place();
    place.declare(&format!("[limits]\nupdate = 1\n{TOML}"));
    place.ends(&["apply", "--yes"], 0, "2 push credentials uploaded");
    place.write("push/key.p8", &TOKEN.replace("test", "next"));
    place.write("push/fcm.json", &KEY.replace("test", "next"));
    place.ends(&["apply", "--yes"], 0, "2 push credentials uploaded");
    place.write("push/key.p8", TOKEN);
    place.ends(
        &["apply", "--yes", "--limit", "update=0"],
        3,
        "1 keyset to update, and the limit is 0",
    );
}

#[test]
fn nothing_outside_the_project_is_read_and_nothing_that_is_no_file() {
    let place = place();
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::write(outside.path().join("key.p8"), TOKEN).expect("written");
    let file = place.dir().join("push/key.p8");
    let instead = |make: &dyn Fn()| {
        let _ = std::fs::remove_file(&file);
        make();
    };
    instead(&|| std::os::unix::fs::symlink(outside.path().join("key.p8"), &file).expect("a link"));
    place.ends(&["apply", "--yes"], 3, "leads out of the project's folder");
    instead(&|| {
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&file)
                .status()
                .expect("mkfifo runs")
                .success()
        )
    });
    place.ends(&["apply", "--yes"], 3, "not a regular file");
    instead(&|| std::fs::write(&file, "x".repeat(70_000)).expect("written"));
    place.ends(&["apply", "--yes"], 3, "larger than 65536 bytes");
    instead(&|| std::fs::write(&file, [0xff, 0xfe]).expect("written"));
    place.ends(&["apply", "--yes"], 3, "it is not a text");
    instead(&|| std::fs::write(&file, "\n").expect("written"));
    place.ends(&["apply", "--yes"], 3, "it is empty");
    assert_eq!(uploads(&place), 0);
    for path in ["../key.p8", "/etc/hostname", "push/../../key.p8", "push/", "."] {
        place.declare(&TOML.replace("push/key.p8", path));
        place.ends(&["validate"], 1, "a file outside the project");
    }
}

#[test]
fn a_refused_upload_is_told_and_the_rest_goes_on() {
    let mut place = place();
    place.restart(&["--fault", "POST /v2/keysets/#1=status:400"]);
    let said = place.ends(&["apply", "--yes"], 4, "1 push credential uploaded");
    assert!(
        said.contains("not uploaded: POST /v2/keysets/") && said.contains("1 keyset created"),
        "{said}"
    );
    tells_nothing(&place, &[said]);
    place.ends(&["apply", "--yes"], 0, "1 push credential uploaded");
    place.is_settled();
}

#[test]
fn an_upload_whose_record_is_lost_is_done_again() {
    let place = place();
    let output = place
        .command(&["apply", "--yes"])
        .env("KEYFORM_FAILPOINT", "upload.answered=kill")
        .output()
        .expect("keyform runs");
    assert_eq!(output.status.code(), None);
    place.ends(&["apply", "--yes"], 0, "2 push credentials uploaded");
    assert_eq!(uploads(&place), 3);
    place.is_settled();
}

#[test]
fn credentials_are_shared_by_a_profile_and_part_of_a_reviewed_plan() {
    let place = place();
    let toml = TOML
        .replace("[keyset.a.push", "[profile.mobile.push")
        .replace("type = \"testing\"\n", "type = \"testing\"\nprofiles = [\"mobile\"]\n");
    place.declare(&toml);
    place.ends(&["plan", "--out", "plan.json"], 0, "2 push credentials to upload");
    tells_nothing(&place, &[]);
    // Another file than the one that was reviewed.
    place.write("push/key.p8", &TOKEN.replace("test", "evil"));
    let told = place.ends(&["apply", "plan.json"], 3, "cannot be applied");
    assert!(told.contains("upload push a: not as it was"), "{told}");
    place.write("push/key.p8", TOKEN);
    place.ends(&["apply", "plan.json"], 0, "2 push credentials uploaded");
}
