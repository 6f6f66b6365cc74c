//! What keyform prints as JSON is what `keyform schema --of` says of it, to the last member; and
//! SARIF is SARIF.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keyform::config;
use keyform::documents::to_json;
use keyform::render::notify::Notice;
use keyform::render::{gitlab, sarif};
use serde_json::{Value as Json, json};

use crate::support::{Place, keyform as program};

/// Of keyform's own schemas: what they do not name must not be there. `part`: of an object whose
/// other members stand around it.
fn strict(schema: &mut Json, part: bool) {
    let Json::Object(members) = schema else { return };
    let object = members.get("type") == Some(&json!("object"));
    if object && !part && !members.contains_key("additionalProperties") {
        members.insert("unevaluatedProperties".to_owned(), json!(false));
    }
    for (keyword, value) in members.iter_mut() {
        match (keyword.as_str(), value) {
            ("oneOf" | "anyOf" | "allOf", Json::Array(parts)) => {
                parts.iter_mut().for_each(|one| strict(one, object));
            }
            ("properties" | "$defs", Json::Object(named)) => {
                named.values_mut().for_each(|one| strict(one, false));
            }
            (_, value) => strict(value, false),
        }
    }
}

/// The places in a document that its schema leaves to others: values of sections that keyform may
/// not know, and what was sent.
const OPEN: &[&str] = &["applied", "seen", "body"];

/// A member of another type than today's fails: the schema says something of every one.
#[track_caller]
fn says_something_of_every_member(schema: &jsonschema::Validator, json: &Json, what: &str) {
    let mut pointers = vec![String::new()];
    while let Some(pointer) = pointers.pop() {
        let inside: Vec<String> = match json.pointer(&pointer).expect("it is there") {
            Json::Object(members) => members.keys().cloned().collect(),
            Json::Array(items) => (0..items.len()).map(|n| n.to_string()).collect(),
            _ => Vec::new(),
        };
        for name in inside.into_iter().filter(|name| !OPEN.contains(&name.as_str())) {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            let mut wrong = json.clone();
            *wrong.pointer_mut(&pointer).expect("it is there") = json!({ "wrong": [[]] });
            assert!(!schema.is_valid(&wrong), "{what}: anything goes at {pointer}");
            pointers.push(pointer);
        }
    }
}

fn schema(of: &str) -> jsonschema::Validator {
    let output = program::command(&["schema", "--of", of], Path::new("."), None)
        .output()
        .expect("keyform runs");
    let mut schema: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    jsonschema::draft202012::meta::validate(&schema)
        .unwrap_or_else(|error| panic!("{of}: no schema: {error}"));
    strict(&mut schema, false);
    jsonschema::validator_for(&schema).expect("a schema")
}

#[track_caller]
fn fits(schema: &jsonschema::Validator, json: &Json, what: &str) {
    let wrong: Vec<String> = schema
        .iter_errors(json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{what}: {}\n{json:#}", wrong.join("\n"));
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let all = std::fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| entry.expect("an entry").path());
    let mut all: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

/// Every action, refusal, note and orphan there is.
#[test]
fn every_plan_is_as_its_schema_says() {
    let (plan, events) = (schema("plan"), schema("events"));
    let mut seen = BTreeSet::new();
    for path in
        files("tests/golden-plans", "json").iter().filter(|path| !path.ends_with("terraform.json"))
    {
        let mut json: Json =
            serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
        json["exit_code"] = 0.into();
        fits(&plan, &json, &path.display().to_string());
        for action in json["actions"].as_array().expect("a list") {
            seen.insert(format!(
                "{} {}",
                action["action"].as_str().unwrap(),
                action["kind"].as_str().unwrap()
            ));
            let event = json!({"format_version": 1, "kind": "event", "at": "now", "event": "planned", "action": action});
            fits(&events, &event, "an event");
        }
    }
    // A document with something that nobody has described fails; so does one without what is
    // described.
    let mut more: Json = serde_json::from_slice(
        &std::fs::read(&files("tests/golden-plans", "json")[0]).expect("readable"),
    )
    .expect("JSON");
    assert!(!plan.is_valid(&more), "it has no exit code");
    more["exit_code"] = 0.into();
    more["surprise"] = 0.into();
    assert!(!plan.is_valid(&more), "it has one more");
    let described = [
        "create app",
        "rename app",
        "adopt app",
        "create keyset",
        "update keyset",
        "rotate secret_key",
        "mirror secret_key",
    ]
    .into_iter()
    .chain([
        "move app",
        "move keyset",
        "protect keyset",
        "delete keyset",
        "delete app",
        "forget keyset",
        "forget app",
    ]);
    assert_eq!(seen, described.map(str::to_owned).collect(), "every action is in a golden plan");
}

/// `secrets list` and its like have a name of their own.
fn name_of(args: &[&str]) -> String {
    match args {
        [group @ ("state" | "secrets"), verb, ..] => format!("{group}-{verb}"),
        [command, ..] => (*command).to_owned(),
        [] => unreachable!("no command"),
    }
}

const APP: &str = "[app.chat]\nname = \"Chat\"\n[keyset.dev]\napp = \"chat\"\ntype = \"testing\"\n";

/// However a command ends, JSON was asked for and JSON comes, with the exit code in it.
#[test]
fn every_way_to_end_is_as_its_schema_says() {
    let mut place = Place::new();
    let run = |place: &Place, args: &[&str], code: i32| {
        let json = place.json(args, code);
        let schema = schema(&name_of(args));
        fits(&schema, &json, &args.join(" "));
        says_something_of_every_member(&schema, &json, &args.join(" "));
        assert_eq!(json["exit_code"], code, "{args:?}: {json}");
        json
    };
    place.declare(&format!("{APP}presence.enabled = 1\n"));
    assert_eq!(run(&place, &["validate"], 1)["kind"], "validate");
    for command in ["plan", "apply", "drift", "parity", "show"] {
        let json = run(&place, &[command], 1);
        assert_eq!(
            (&json["kind"], json["problems"][0]["code"].as_str()),
            (&json!("error"), Some("KF020")),
            "{command}"
        );
    }
    place.declare(APP);
    assert_eq!(run(&place, &["validate"], 0)["problems"], json!([]));
    assert_eq!(run(&place, &["plan", "--detailed-exitcode"], 2)["kind"], "plan");
    assert_eq!(run(&place, &["apply"], 3)["kind"], "error", "nobody consents");
    assert_eq!(
        run(&place, &["apply", "--yes", "--limit", "create=0"], 3)["kind"],
        "plan",
        "refused"
    );
    assert_eq!(run(&place, &["plan", "--nonsense"], 1)["kind"], "error");
    assert_eq!(run(&place, &["apply", "--yes"], 0)["kind"], "apply");
    assert_eq!(run(&place, &["apply", "--yes"], 0)["kind"], "plan", "nothing to do");
    run(&place, &["show"], 0);
    assert_eq!(run(&place, &["drift"], 0)["findings"], json!([]));
    place.declare("[app.chat]\nname = \"Chat two\"\n[keyset.dev]\napp = \"chat\"\ntype = \"testing\"\npresence.interval = 30\n[keyset.new]\napp = \"chat\"\ntype = \"testing\"\nname = \"x\"\n");
    let id = place.id("dev");
    place.sandbox().patch(&format!("/v2/keysets/{id}"), &json!({"name": "renamed"}));
    let app = place.sandbox().get("/v2/apps")["apps"][0]["id"].clone();
    place.sandbox().post(
        "/v2/keysets",
        &json!({"keyset": {"appId": app, "name": "theirs", "type": "testing"}}),
    );
    assert!(
        run(&place, &["drift"], 2)["findings"]
            .as_array()
            .is_some_and(|findings| findings.len() >= 4)
    );
    run(&place, &["parity", "dev", "new"], 2);

    // What is recorded.
    run(&place, &["state", "list"], 0);
    run(&place, &["secrets", "list"], 0);
    run(&place, &["secrets", "doctor"], 0);
    assert_eq!(run(&place, &["log"], 0)["whole"], true);
    assert_eq!(run(&place, &["state", "show", "nobody"], 1)["kind"], "error");
    run(&place, &["state", "show", "dev"], 0);
    let theirs = place.sandbox().get("/v2/keysets")["keysets"]
        .as_array()
        .and_then(|all| all.iter().find(|keyset| keyset["name"] == "theirs").cloned())
        .expect("it is there");
    let id = theirs["id"].as_str().expect("an id").to_owned();
    run(&place, &["adopt", "theirs", "--id", &id], 1);
    run(&place, &["adopt", "--all"], 0);
    run(&place, &["secrets", "list"], 0);
    run(&place, &["drift", "--accept", "dev"], 0);
    fits(&schema("error"), &place.json(&["drift", "--accept", "nobody"], 1), "an error");

    // Held by another process, as an apply holds it.
    let lock = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(place.dir().join("state/keyform.lock"));
    let lock = lock.expect("the lock file opens");
    lock.lock().expect("it is free");
    assert_eq!(run(&place, &["apply", "--yes"], 6)["kind"], "error");
    drop(lock);

    // A refused request, then nobody at the other end.
    place.restart(&["--fault", "POST /v2/keysets$=status:400"]);
    let failed = run(&place, &["apply", "--yes"], 4);
    assert!(
        failed["steps"]
            .as_array()
            .is_some_and(|steps| steps.iter().any(|step| step["outcome"] == "failed")),
        "{failed}"
    );
    place.restart(&["--fault", "GET /v2/=status:401"]);
    for command in ["plan", "apply", "drift"] {
        assert_eq!(run(&place, &[command], 1)["kind"], "error");
    }
}

#[test]
fn a_notification_is_as_its_schema_says() {
    let origin = keyform::audit::Origin { actor: "ada".into(), ..Default::default() };
    let notice = |run| Notice {
        occasion: config::Occasion::Drift,
        project: "acme",
        at: jiff::Timestamp::UNIX_EPOCH,
        origin: &origin,
        run,
        exit_code: 2,
        summary: "1 difference.".to_owned(),
        entries: vec!["keyset dev: gone".to_owned()],
    };
    let schema = schema("notification");
    for run in [None, Some("https://ci.example/1")] {
        let json = to_json(&notice(run).document());
        fits(&schema, &json, "a notification");
        says_something_of_every_member(&schema, &json, "a notification");
    }
    // Byte for byte.
    assert_eq!(
        to_json(&notice(None).document()).to_string(),
        r#"{"actor":"ada","at":"1970-01-01T00:00:00Z","commit":null,"entries":["keyset dev: gone"],"event":"drift","exit_code":2,"format_version":1,"host":"","kind":"notification","left_out":0,"project":"acme","run":null,"summary":"1 difference."}"#
    );
    assert_eq!(
        to_json(&notice(None).slack()).to_string(),
        "{\"text\":\"*keyform drift* of `acme`: 1 difference.\\n• `keyset dev: gone`\\nby `ada`\"}"
    );
}

/// Every name that `schema --of` offers has a schema, which takes no document of another kind.
#[test]
fn every_name_has_a_schema() {
    let help = program::command(&["schema", "--help"], Path::new("."), None).output();
    let help = String::from_utf8(help.expect("keyform runs").stdout).expect("UTF-8");
    let names = help.split("[possible values: ").nth(1).and_then(|rest| rest.split(']').next());
    let names: Vec<&str> = names.expect("a list").split(',').map(str::trim).collect();
    for name in [
        "plan",
        "apply",
        "events",
        "drift",
        "parity",
        "show",
        "validate",
        "state-list",
        "state-show",
        "secrets-list",
        "secrets-doctor",
        "adopt",
        "log",
        "error",
        "notification",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    for name in names {
        let schema = schema(name);
        assert!(!schema.is_valid(&json!({"format_version": 1, "kind": "x", "exit_code": 0})));
    }
}

/// Each line is written when it happens, fits the schema, and the last one says that it is the
/// last.
#[test]
fn an_apply_is_told_in_lines() {
    let place = Place::new();
    place.declare(APP);
    let schema = schema("events");
    let lines = |args: &[&str], code: i32| {
        let output = place.run(&[args, &["--format", "jsonl"]].concat());
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(!program::holds_secret(text.as_bytes()));
        let lines: Vec<Json> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        lines.iter().for_each(|line| fits(&schema, line, "a line"));
        let end = lines.last().expect("a line");
        assert_eq!((&end["event"], &end["exit_code"]), (&json!("end"), &json!(code)));
        lines
            .iter()
            .map(|line| line["event"].as_str().expect("a word").to_owned())
            .collect::<Vec<_>>()
    };
    let told = ["begin", "planned", "planned", "plan"];
    assert_eq!(lines(&["apply"], 3), [&told[..], &["error", "end"]].concat());
    assert_eq!(
        lines(&["apply", "--yes", "--limit", "create=0"], 3),
        [&told[..], &["refused", "plan", "end"]].concat()[..]
            .iter()
            .enumerate()
            .filter(|(n, _)| *n != 3)
            .map(|(_, e)| *e)
            .collect::<Vec<_>>()
    );
    let steps = ["started", "finished", "started", "finished", "report", "end"];
    assert_eq!(lines(&["apply", "--yes"], 0), [&told[..], &steps].concat());
    assert_eq!(lines(&["apply", "--yes"], 0), ["begin", "plan", "end"]);
    assert_eq!(lines(&["apply", "--nonsense"], 1), ["error", "end"]);
    place.write("keyform.toml", "[project]\n");
    assert_eq!(lines(&["apply", "--yes"], 1), ["error", "end"]);
}

fn published_sarif() -> jsonschema::Validator {
    let text = std::fs::read_to_string(files("tests/schemas", "json").remove(0)).expect("readable");
    let mut schema: Json = serde_json::from_str(&text).expect("JSON");
    // As published their pattern has a bracket that closes nothing, which JavaScript alone takes
    // for a regular expression.
    for part in ["run", "toolComponent"] {
        let language = schema["definitions"][part]["properties"]["language"]
            .as_object_mut()
            .expect("it is there");
        language.remove("pattern").expect("it has one");
    }
    jsonschema::validator_for(&schema).expect("a schema")
}

/// Nothing waits in a buffer: what was told before the process is killed has arrived, and the
/// missing end says that it was cut off.
#[test]
fn lines_are_written_when_it_happens() {
    let place = Place::new();
    place.declare(APP);
    let output = place
        .command(&["apply", "--yes", "--format", "jsonl"])
        .env("KEYFORM_FAILPOINT", "create.sealed=kill")
        .output();
    let text = String::from_utf8(output.expect("keyform runs").stdout).expect("UTF-8");
    let events: Vec<Json> =
        text.lines().map(|line| serde_json::from_str(line).expect("whole lines")).collect();
    let names: Vec<&str> =
        events.iter().map(|event| event["event"].as_str().expect("a word")).collect();
    assert_eq!(names, ["begin", "planned", "planned", "plan", "started", "finished", "started"]);
    assert_eq!(
        (&events[5]["step"], &events[6]["step"]),
        (&json!("create_app"), &json!("create_keyset"))
    );
}

/// Each sample of a mistake as SARIF, held against the published schema, and as GitLab's report.
#[test]
fn sarif_is_sarif_and_code_quality_is_code_quality() {
    let schema = published_sarif();
    let mut with_fix = 0;
    for path in files("tests/samples/invalid", "toml") {
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("readable")).into_owned();
        let loaded = config::read(config::Sources {
            files: vec![config::Source::new("a folder/keyform.toml", text)],
        });
        let json = to_json(&sarif::problems(&loaded.problems, &loaded.sources, "1.2.3"));
        fits(&schema, &json, &path.display().to_string());
        let results = json["runs"][0]["results"].as_array().expect("a list");
        assert_eq!(results.len(), loaded.problems.len());
        let rules: BTreeSet<&str> = json["runs"][0]["tool"]["driver"]["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["id"].as_str().unwrap())
            .collect();
        for result in results {
            assert!(rules.contains(result["ruleId"].as_str().unwrap()), "{result}");
            assert_eq!(
                result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
                "a%20folder/keyform.toml"
            );
            with_fix += usize::from(result.get("fixes").is_some());
        }

        let report = to_json(&gitlab::problems(&loaded.problems, &loaded.sources));
        let report = report.as_array().expect("a list");
        let fingerprints: BTreeSet<&str> =
            report.iter().map(|problem| problem["fingerprint"].as_str().unwrap()).collect();
        assert_eq!(fingerprints.len(), report.len(), "{}: one for each", path.display());
        for problem in report {
            let at = (
                problem["location"]["path"].as_str(),
                problem["location"]["lines"]["begin"].as_u64(),
            );
            assert!(
                at.0 == Some("a folder/keyform.toml") && at.1.is_some_and(|line| line > 0),
                "{problem}"
            );
            assert!(
                ["major", "minor"].contains(&problem["severity"].as_str().unwrap()),
                "{problem}"
            );
        }
    }
    assert!(with_fix > 5, "fixes come along");

    // More than GitHub takes.
    let one = config::read(config::Sources {
        files: vec![config::Source::new("keyform.toml", "x = 1\n")],
    });
    let many: Vec<_> = one.problems.iter().cycle().take(25_003).cloned().collect();
    let mut json = to_json(&sarif::problems(&many, &one.sources, "1.2.3"));
    assert_eq!(json["runs"][0]["results"].as_array().map(Vec::len), Some(25_000));
    let said =
        &json["runs"][0]["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
    assert_eq!(said, "3 more results not shown");
    json["runs"][0]["results"] = json!([]);
    fits(&schema, &json, "with a notification");
}

#[test]
fn sarif_of_drift_is_sarif() {
    let schema = published_sarif();
    let place = Place::new();
    place.declare(APP);
    place.ends(&["apply", "--yes"], 0, "");
    place
        .sandbox()
        .patch(&format!("/v2/keysets/{}", place.id("dev")), &json!({"name": "see [this](1)\\"}));
    place.sandbox().post("/v2/apps", &json!({"name": "theirs"}));
    let output = place.run(&["drift", "--format", "sarif"]);
    assert_eq!(output.status.code(), Some(2));
    let json: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    fits(&schema, &json, "drift");
    let results = json["runs"][0]["results"].as_array().expect("a list");
    assert_eq!(results.len(), 2, "{json:#}");
    let of = |rule: &str| {
        results
            .iter()
            .find(|result| result["ruleId"] == rule)
            .unwrap_or_else(|| panic!("no {rule}"))
    };
    assert!(
        of("field")["message"]["text"]
            .as_str()
            .is_some_and(|text| text.contains(r"see \[this\](1)")),
        "{results:?}"
    );
    // What stands in no file is shown at the top of the project.
    assert_eq!(of("app_unmanaged")["locations"][0]["physicalLocation"]["region"]["startLine"], 1);
}
