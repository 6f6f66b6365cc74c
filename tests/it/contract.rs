//! What the vendor has published, written down as fixtures, held against `keyset::wire` and against
//! the sandbox alike.
//!
//! `tests/contract/*.json` are calls with their answers; `tests/contract/sections/NAME.json` holds
//! one section each: `read` as an answer shows it, `create` as a create sends it. A new section of
//! the table needs a fixture there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use keyform::keyset::field::Call;
use keyform::keyset::table::SECTIONS;
use keyform::keyset::views::{LiveApp, LiveKeyset};
use keyform::keyset::wire::{self, AppPage, ErrorBody, KeysetPage};
use keyform::keyset::{FieldId, Observed, RawAnswer};
use keyform::sandbox;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use crate::sandbox::Client;

/// Rows of the table that a published answer lacks, and why the table has them.
const NOT_IN_EVERY_ANSWER: &[(&str, &str)] =
    &[("presence.enabled", "in the page examples, not in the fixture of the vendor's client")];

#[test]
fn every_section_of_the_table_has_a_fixture_and_every_fixture_a_section() {
    let table: BTreeSet<&str> = config_sections().map(|s| s.name).collect();
    let sections = sections();
    let fixtures: BTreeSet<&str> = sections.keys().map(String::as_str).collect();
    assert_eq!(table, fixtures);
    for (name, fixture) in &sections {
        let row = SECTIONS.iter().find(|s| s.name == name).unwrap();
        let rows: BTreeSet<&str> = row.fields.iter().map(|f| f.name).collect();
        let read: BTreeSet<&str> = keys(&fixture["read"]).collect();
        assert_eq!(rows, read, "fields of {name}: table and fixture");
        for (field, value) in fixture["create"].as_object().unwrap() {
            let field = row
                .fields
                .iter()
                .find(|f| f.name == field)
                .unwrap_or_else(|| panic!("{name}.{field} is not in the table"));
            let observed: Observed =
                serde_json::from_value(json!({ name: { field.name: value } })).unwrap();
            let (_, value) = observed.iter().next().unwrap();
            assert!(
                field.accept(value.clone()).is_ok(),
                "the table refuses {name}.{} = {value}",
                field.name
            );
        }
    }
}

#[test]
fn configurations_survive_the_wire_unchanged_and_the_table_knows_every_field() {
    for (name, config) in [
        ("config-get", &call("config-get")["answer"]),
        ("config-update", &call("config-update")["answer"]),
        ("keyset-create", &call("keyset-create")["answer"]["config"]),
    ] {
        let observed: Observed = wire::parse(config.to_string().as_bytes()).unwrap();
        assert_eq!(
            observed.unknown().map(|(_, name, _)| name).collect::<Vec<_>>(),
            Vec::<&str>::new(),
            "{name}"
        );
        assert_eq!(serde_json::to_value(&observed).unwrap(), *config, "{name}");

        let covered: BTreeSet<&str> = keys(config).collect();
        let missing: Vec<String> = FieldId::all()
            .filter(|id| covered.contains(id.section().name) && observed.get(*id).is_none())
            .map(|id| id.to_string())
            .filter(|path| NOT_IN_EVERY_ANSWER.iter().all(|(known, _)| known != path))
            .collect();
        assert_eq!(missing, Vec::<String>::new(), "rows of the table that {name} does not show");
    }
}

#[test]
fn the_wire_reads_every_published_answer() {
    let text = |name: &str| call(name)["answer"].to_string();
    let app: LiveApp = wire::parse(text("app-get").as_bytes()).unwrap();
    assert_eq!((app.id.as_str(), &*app.name), ("100", "Test App"));
    let apps: AppPage = wire::parse(text("app-list").as_bytes()).unwrap();
    assert_eq!((apps.apps.len(), apps.total), (1, 1));
    let keysets: KeysetPage = wire::parse(text("keyset-list").as_bytes()).unwrap();
    assert_eq!((keysets.keysets.len(), keysets.total), (1, 1));
    let keyset: LiveKeyset = wire::parse(text("keyset-get").as_bytes()).unwrap();
    assert_eq!((keyset.id.as_str(), keyset.app_id.as_str()), ("1", "100"));
    assert!(keyset.created_at.is_some());

    let raw = |name: &str| RawAnswer::new(Zeroizing::new(text(name).into_bytes()));
    let (live, secret) = wire::created(&raw("keyset-create")).unwrap();
    assert!(live.with_config && live.observed.iter().count() > 30);
    let Ok(secret) = secret else { panic!("the create answer holds a secret") };
    let Ok(rotated) = wire::rotated(&raw("secret-rotate")) else {
        panic!("the rotate answer holds a secret")
    };
    assert!(secret.same(&rotated), "both fixtures use the same key");

    for name in ["error-bad-request", "error-unauthorized", "error-not-found"] {
        let body: ErrorBody = wire::parse(text(name).as_bytes()).unwrap();
        assert_eq!(Vec::from(body.message).len(), 1, "{name}");
        assert!(!body.error.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn the_sandbox_answers_in_the_published_shapes() {
    let running =
        sandbox::start(sandbox::Options { seed: Some(1), ..Default::default() }).await.unwrap();
    let client = Client::of(&running);
    let sections = sections();
    for path in json_files(&folder()) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let fixture = call(&name);
        // Its own keyset for each: some fixtures delete it.
        let app = client.app("shapes").await;
        let keyset = client.keyset(&app, "shapes").await;
        let (_, rotated) = client
            .send(
                "POST",
                &format!("/v2/keysets/{keyset}/secret-keys"),
                Some(json!({ "expiresAt": "2026-06-01T00:00:00Z" })),
            )
            .await;
        assert!(rotated["secretKey"].is_string());
        let (_, list) =
            client.send("GET", &format!("/v2/keysets/{keyset}/secret-keys"), None).await;
        let prefix = list["secretKeys"][0]["secretKey"].as_str().unwrap()[..11].to_owned();
        let fill = |text: &str| {
            text.replace("{app}", &app).replace("{keyset}", &keyset).replace("{prefix}", &prefix)
        };

        let (method, path) = fixture["call"].as_str().unwrap().split_once(' ').unwrap();
        let body = fixture
            .get("request")
            .map(|body| serde_json::from_str(&fill(&body.to_string())).unwrap());
        let nobody = Client { key: "wrong".to_owned(), ..client.clone() };
        let (path, client) = match path.strip_suffix("?as=nobody") {
            Some(path) => (path, &nobody),
            None => (path, &client),
        };
        let (status, answer) = client.send(method, &fill(path), body).await;
        assert_eq!(Json::from(status), fixture["status"], "{name}: {answer}");

        covers(&name, &fixture["answer"], &answer);
        // The other way round, the answer may hold what a section's own fixture shows.
        let mut reference = fixture["answer"].clone();
        let config = if reference.get("config").is_some() {
            &mut reference["config"]
        } else {
            &mut reference
        };
        if config.get("accessManager").is_some() {
            for (section, fixture) in &sections {
                config[section] = fixture["read"].clone();
            }
        }
        covers(&format!("{name}, reversed"), &answer, &reference);
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_sandbox_takes_and_shows_every_section() {
    let running = sandbox::start(sandbox::Options::default()).await.unwrap();
    let client = Client::of(&running);
    let app = client.app("sections").await;
    for (name, fixture) in sections() {
        let create = json!({ "keyset": { "name": name, "type": "testing", "appId": app }, "config": { &name: fixture["create"] } });
        let (status, answer) = client.send("POST", "/v2/keysets", Some(create)).await;
        assert_eq!(status, 201, "{name}: {answer}");
        let shown = &answer["config"][&name];
        covers(&name, &fixture["read"], shown);
        covers(&format!("{name}, reversed"), shown, &fixture["read"]);
        for (field, value) in fixture["create"].as_object().unwrap() {
            assert_eq!(&shown[field], value, "{name}.{field}");
        }
    }
    running.stop().await.unwrap();
}

/// Every member of `expected` is in `actual` and of its JSON type; null goes with every scalar. Of
/// lists, the first items.
fn covers(at: &str, expected: &Json, actual: &Json) {
    match (expected, actual) {
        (Json::Object(expected), Json::Object(actual)) => {
            for (key, expected) in expected {
                let actual = actual.get(key).unwrap_or_else(|| panic!("{at}: {key} is missing"));
                covers(&format!("{at}.{key}"), expected, actual);
            }
        }
        (Json::Array(expected), Json::Array(actual)) => {
            if let (Some(expected), Some(actual)) = (expected.first(), actual.first()) {
                covers(&format!("{at}[0]"), expected, actual);
            }
        }
        (Json::Null, scalar) | (scalar, Json::Null) => {
            assert!(!scalar.is_array() && !scalar.is_object(), "{at}")
        }
        (expected, actual) => {
            assert_eq!(
                std::mem::discriminant(expected),
                std::mem::discriminant(actual),
                "{at}: {expected} against {actual}"
            );
        }
    }
}

fn config_sections() -> impl Iterator<Item = &'static keyform::keyset::Section> {
    SECTIONS.iter().filter(|s| s.call == Call::Config)
}

fn keys(json: &Json) -> impl Iterator<Item = &str> {
    json.as_object().expect("an object").keys().map(String::as_str)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract")
}

fn call(name: &str) -> Json {
    serde_json::from_str(&fs::read_to_string(folder().join(format!("{name}.json"))).unwrap())
        .unwrap()
}

fn sections() -> BTreeMap<String, Json> {
    let files = json_files(&folder().join("sections")).into_iter();
    files
        .map(|path| {
            let fixture: Json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            let name = fixture["section"].as_str().unwrap().to_owned();
            assert_eq!(
                Some(name.as_str()),
                path.file_stem().and_then(|s| s.to_str()),
                "named after its section"
            );
            (name, fixture)
        })
        .collect()
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}
