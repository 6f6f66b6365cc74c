//! `keyform drift` through the binary, against the sandbox.

use std::path::Path;
use std::process::Output;

use serde_json::json;

use crate::support::{Sandbox, keyform};

const PROJECT: &str = r#"
[project]
name = "drift"
[secrets]
sinks = ["age"]
[secrets.age]
recipients = ["age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm"]
[app.chat]
name = "Chat"
[keyset.prod]
app = "chat"
type = "testing"
presence.interval = 10
[keyset.dev]
app = "chat"
type = "testing"
"#;

struct Place {
    folder: tempfile::TempDir,
    sandbox: Option<Sandbox>,
}

impl Place {
    fn new() -> Place {
        let mut place = Place { folder: tempfile::tempdir().expect("a folder"), sandbox: None };
        std::fs::write(place.dir().join("keyform.toml"), PROJECT).expect("the project is written");
        place.restart(&[]);
        place
    }
    /// The account as it was, with these faults.
    fn restart(&mut self, faults: &[&str]) {
        self.sandbox = None;
        let data = self.dir().join("account.json").display().to_string();
        let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
        self.sandbox =
            Some(Sandbox::start(&["--data", &data].into_iter().chain(faults).collect::<Vec<_>>()));
    }
    fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().expect("it runs")
    }
    fn dir(&self) -> &Path {
        self.folder.path()
    }
    fn run(&self, args: &[&str]) -> Output {
        keyform::command(args, self.dir(), None)
            .envs(self.sandbox().env())
            .output()
            .expect("keyform runs")
    }
    #[track_caller]
    fn ends(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(
            output.status.code(),
            Some(code),
            "{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }
    fn id(&self, label: &str) -> String {
        let state: serde_json::Value = serde_json::from_slice(&self.state()).expect("JSON");
        state["keysets"][label]["id"].as_str().expect("an id").to_owned()
    }
    fn state(&self) -> Vec<u8> {
        std::fs::read(self.dir().join("state/keyform.json")).expect("a state")
    }
}

#[test]
fn what_somebody_did_in_the_portal_is_told_and_nothing_is_changed() {
    let place = Place::new();
    assert!(place.ends(&["drift"], 2).contains("not created yet"));
    place.ends(&["apply", "--yes"], 0);
    assert!(place.ends(&["drift"], 0).contains("No drift: 3 in order."));
    let (before, id) = (place.state(), place.id("prod"));

    // A declared field, undeclared ones, a name that is hostile to every format, and a keyset of
    // somebody else's.
    let config = json!({"presence": {"interval": 60, "debounce": 5}, "streamController": {"wildcardSubscribe": true}});
    place.sandbox().patch(&format!("/v2/keysets/{id}/config"), &config);
    place
        .sandbox()
        .patch(&format!("/v2/keysets/{}", place.id("dev")), &json!({"name": "dev, renamed: 1"}));
    let app = place.sandbox().get("/v2/apps")["apps"][0]["id"].clone();
    let hostile = "x | `y` </td> @team [a](b) 50%";
    place.sandbox().post(
        "/v2/keysets",
        &json!({"keyset": {"appId": app, "name": hostile, "type": "testing"}}),
    );

    let human = place.ends(&["drift"], 2);
    assert!(human.contains("presence.interval: declared 10, the account has 60"), "{human}");
    assert!(human.contains("changed in the account; keyform.toml:13:"), "{human}");
    assert!(
        human.contains("name: declared \"dev\", the account has \"dev, renamed: 1\""),
        "{human}"
    );
    assert!(
        human.contains("not managed:") && human.contains("3 differences, 1 in order."),
        "{human}"
    );
    assert!(
        !human.contains("debounce") && !human.contains("wildcardSubscribe"),
        "nobody declared these: {human}"
    );

    let json: serde_json::Value =
        serde_json::from_str(&place.ends(&["drift", "--format", "json"], 2)).expect("JSON");
    let field = json["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|f| f["field"] == "presence.interval")
        .expect("it is there");
    assert_eq!(
        (&field["by"], &field["declared"], &field["applied"], &field["live"]),
        (&json!("account"), &json!(10), &json!(10), &json!(60))
    );
    assert_eq!(
        (&field["place"]["path"], &field["place"]["line"]),
        (&json!("keyform.toml"), &json!(13))
    );

    let markdown = place.ends(&["drift", "--format", "markdown"], 2);
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 5, "{markdown}");
    for row in rows {
        // Cells are told apart by bars that are not escaped.
        assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
    }
    let github = place.ends(&["drift", "--format", "github"], 2);
    assert!(github.contains("::warning file=keyform.toml,line=13,col="), "{github}");
    assert!(
        github.contains("title=drift%3A keyset prod::presence.interval")
            && github.contains("50%25"),
        "{github}"
    );
    assert!(
        github.lines().all(|line| line.starts_with("::warning ") || line.starts_with("::notice ")),
        "{github}"
    );

    let quiet = place.ends(&["drift", "--managed-only"], 2);
    assert!(!quiet.contains("not managed"), "{quiet}");
    assert_eq!(place.state(), before, "it only looks");
    assert!(!place.dir().join("state/keyform.journal").exists());

    // An apply puts back what is declared.
    place.ends(&["apply", "--yes"], 0);
    place.ends(&["drift", "--managed-only"], 0);
}

#[test]
fn a_listing_that_cannot_be_trusted_is_no_drift() {
    let mut place = Place::new();
    place.ends(&["apply", "--yes"], 0);
    for fault in [
        "GET /v2/keysets$=short-list",
        "GET /v2/keysets$=empty-list",
        "GET /v2/keysets/=status:500",
        "GET /v2/=status:401",
    ] {
        place.restart(&[fault]);
        assert_eq!(place.ends(&["drift"], 1), "", "{fault}");
    }
    place.restart(&[]);
    place.ends(&["drift"], 0);
    let output = place.run(&["plan", "--format", "junit"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("`plan` does not have the format `junit`")
    );
}
