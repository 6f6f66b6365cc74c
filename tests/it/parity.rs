//! `keyform parity` through the binary, against the sandbox: staging and production, and where they
//! differ.

use serde_json::{Value, json};

use crate::support::keyform;
use crate::support::place::{Place, ended};

const HOSTILE: &str = "x | `y` </td> @team [a](b) 50%";

/// Lines from 7 on; the head of a [`Place`] has six.
const TWO: &str = r#"[app.chat]
name = "Chat"
[profile.base]
presence.interval = 10
[keyset.chat-staging]
app = "chat"
type = "testing"
profiles = ["base"]
[keyset.chat-prod]
app = "chat"
type = "production"
profiles = ["base"]
"#;

const ENTRY: &str = r#"[[parity]]
between = ["*-staging", "*-prod"]
ignore = ["type", { field = "messagePersistence.retention", reason = "production keeps longer" }]
"#;

fn declared(toml: &str) -> Place {
    let place = Place::new();
    place.declare(toml);
    place
}

fn applied(toml: &str) -> Place {
    let place = declared(toml);
    place.ends(&["apply", "--yes"], 0, "stored");
    place
}

/// Without a key: nobody can be asked.
fn alone(place: &Place, args: &[&str], code: i32, says: &str) -> String {
    let args = [&["parity", "--refresh", "none"], args].concat();
    ended(&keyform::command(&args, place.dir(), None).output().expect("keyform runs"), code, says)
}

fn patch(place: &Place, label: &str, config: &Value) {
    place.sandbox().patch(&format!("/v2/keysets/{}/config", place.id(label)), config);
}

fn fields(json: &Value, of: &str) -> Vec<String> {
    let found = json["comparisons"][0][of].as_array().expect("a list").iter();
    found
        .map(|finding| {
            finding["field"]
                .as_str()
                .unwrap_or_else(|| finding["label"].as_str().expect("a label"))
                .to_owned()
        })
        .collect()
}

#[test]
fn staging_and_production_are_kept_alike() {
    let place = applied(&format!("{ENTRY}{TWO}"));
    let alike = place.ends(&["parity"], 0, "Parity: 1 pair alike, 1 difference ignored.");
    assert!(!alike.contains("type"), "{alike}");
    let two = place.ends(
        &["parity", "chat-staging", "chat-prod"],
        2,
        "type: chat-staging declares \"testing\", chat-prod declares \"production\"",
    );
    assert!(
        !two.contains("in the account") && two.contains("1 difference, 0 of 1 pair alike."),
        "the account has what is declared: {two}"
    );
    assert!(!two.contains("name"), "names are to differ: {two}");
    let state = place.state();

    // One of them is changed in the portal: a field that is declared, one that is not, one that may
    // differ.
    let config = json!({"presence": {"interval": 60, "debounce": 5}, "messagePersistence": {"enabled": true, "retention": 30}});
    patch(&place, "chat-prod", &config);
    let human = place.ends(&["parity"], 2, "in the account chat-staging has 10, chat-prod has 60");
    assert!(human.contains("presence.debounce: in the account"), "{human}");
    assert!(human.contains("keyform.toml:13\n"), "one place of both: {human}");
    let json = place.json(&["parity"], 2);
    assert_eq!(
        (&json["kind"], &json["exit_code"], &json["live"]),
        (&json!("parity"), &json!(2), &json!(true))
    );
    assert_eq!(fields(&json, "findings"), ["presence.interval", "presence.debounce"]);
    assert_eq!(fields(&json, "ignored"), ["type", "messagePersistence.retention"]);
    let ignored = &json["comparisons"][0]["ignored"];
    assert_eq!(
        (&ignored[0]["declared"], &ignored[0]["reason"]),
        (&json!(["testing", "production"]), &json!(null))
    );
    assert_eq!(
        (&ignored[1]["declared"], &ignored[1]["reason"]),
        (&json!(null), &json!("production keeps longer"))
    );
    let finding = &json["comparisons"][0]["findings"][0];
    assert_eq!((&finding["declared"], &finding["live"]), (&json!(null), &json!([10, 60])));
    assert_eq!(finding["pair"], json!(["chat-staging", "chat-prod"]));
    alone(
        &place,
        &[],
        0,
        "Parity: 1 pair alike, 1 difference ignored (only what is declared was compared).",
    );

    // What one declares and the other does not, or otherwise.
    let toml = place.toml();
    place.write(
        "keyform.toml",
        &toml.replace("[profile.base]\n", "[profile.base]\npresence.deltas = true\n"),
    );
    alone(&place, &[], 0, "alike");
    place.write(
        "keyform.toml",
        &format!("{toml}presence.interval = 20\nfiles = {{ enabled = false }}\n"),
    );
    let human = alone(
        &place,
        &[],
        2,
        "files.enabled: chat-staging does not declare it, chat-prod declares false",
    );
    assert!(
        human.contains("presence.interval: chat-staging declares 10, chat-prod declares 20\n"),
        "{human}"
    );
    assert!(human.contains("keyform.toml:13, keyform.toml:22\n"), "{human}");
    place.ends(
        &["parity"],
        2,
        "chat-prod declares 20; in the account chat-staging has 10, chat-prod has 60",
    );
    assert_eq!(place.state(), state, "it only looks");
    assert!(!place.dir().join("state/keyform.journal").exists());
}

#[test]
fn what_has_no_partner_is_a_difference_and_what_is_not_there_yet_is_none() {
    let one = |label: &str, more: &str| {
        format!("[keyset.{label}]\napp = \"chat\"\ntype = \"testing\"\n{more}")
    };
    let head = "[app.chat]\nname = \"Chat\"\n";
    let place = applied(&format!("{head}{}{}", one("prod-a", ""), one("prod", "")));
    // Staging is written, and not applied.
    let staging = [one("staging-a", ""), one("staging", ""), one("staging-b", "")].concat();
    let toml = format!(
        "[[parity]]\nbetween = [\"prod*\", \"staging*\"]\n{}{staging}",
        &place.toml()[place.toml().find("[app").expect("an app")..]
    );
    place.declare(&toml);
    let human =
        place.ends(&["parity"], 2, "only in staging*: keyset staging-b; prod* has none for \"-b\"");
    assert!(
        human.contains(
            "note: keyset staging-a is not created yet: only what is declared was compared"
        ),
        "{human}"
    );
    assert!(human.contains("1 difference, 2 of 2 pairs alike."), "{human}");
    let json = place.json(&["parity", "staging*", "prod*"], 2);
    let notes: Vec<_> = json["comparisons"][0]["notes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|note| (&note["what"], &note["label"]))
        .collect();
    assert_eq!(
        notes,
        [(&json!("not_created"), &json!("staging")), (&json!("not_created"), &json!("staging-a"))]
    );
    assert_eq!(json["comparisons"][0]["findings"][0]["side"], "staging*");

    // One that is gone in the account has nothing to be compared either.
    place.ends(&["apply", "--yes"], 0, "3 keysets created");
    place.sandbox().delete(&format!("/v2/keysets/{}", place.id("prod-a")));
    place.ends(&["parity", "prod-a", "staging-a"], 0, "note: keyset prod-a is gone in the account");
    // Under a label that is new it is the same keyset.
    place.declare(&toml.replace(
        "[keyset.staging]\n",
        "[keyset.staging-c]\nname = \"staging\"\nmoved = { from = \"staging\" }\n",
    ));
    patch(&place, "staging", &json!({"presence": {"interval": 60}}));
    place.ends(&["parity", "prod", "staging-c"], 2, "presence.interval: in the account");
}

#[test]
fn apps_are_paired_by_the_names_of_their_keysets() {
    let keyset = |label: &str, app: &str, name: &str, more: &str| {
        format!("[keyset.{label}]\napp = \"{app}\"\nname = '{name}'\ntype = \"testing\"\n{more}")
    };
    let toml = [
        "[app.staging]\nname = \"Staging\"\n[app.prod]\nname = \"Production\"\n".to_owned(),
        keyset("s1", "staging", HOSTILE, "presence.interval = 10\n"),
        keyset("s2", "staging", &format!("{HOSTILE} two"), ""),
        keyset(
            "p1",
            "prod",
            HOSTILE,
            &format!("presence = {{ interval = 20, activeNoticeChannel = '{HOSTILE}' }}\n"),
        ),
    ]
    .concat();
    let place = applied(&toml);
    let human = place.ends(
        &["parity", "app:staging", "app:prod"],
        2,
        "presence.interval: s1 declares 10, p1 declares 20",
    );
    assert!(
        human.contains(
            "only in app:staging: keyset s2; app:prod has no keyset with the name \"x | `y`"
        ),
        "{human}"
    );
    assert!(human.contains("3 differences, 0 of 1 pair alike."), "{human}");

    let markdown = place.ends(
        &["parity", "app:staging", "app:prod", "--format", "markdown"],
        2,
        "**3 differences",
    );
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 5, "{markdown}");
    for row in rows {
        // Cells are told apart by bars that are not escaped.
        assert_eq!(row.replace("\\|", "").matches('|').count(), 4, "{row}");
    }
    assert!(
        markdown.contains("`` keyset") || markdown.matches("``").count() >= 2,
        "backticks are fenced: {markdown}"
    );

    let github =
        place.ends(&["parity", "app:staging", "app:prod", "--format", "github"], 2, "50%25");
    assert!(
        github.lines().all(|line| line.starts_with("::warning ") || line.starts_with("::notice ")),
        "{github}"
    );
    assert!(github.contains("::warning file=keyform.toml,line=15,col=21,title=parity%3A keysets s1 and p1::presence.interval"), "{github}");
    let json = place.json(&["parity", "app:prod", "app:staging"], 2);
    assert_eq!(json["comparisons"][0]["findings"][2]["key"], format!("{HOSTILE} two"));
    assert_eq!(json["comparisons"][0]["findings"][1]["declared"], json!([HOSTILE, null]));
    assert_eq!(json["comparisons"][0]["findings"][0]["places"].as_array().map(Vec::len), Some(2));
    place.ends(&["parity", "--format", "dotenv"], 1, "`parity` does not have the format `dotenv`");
}

#[test]
fn the_entry_of_the_same_two_sides_tells_what_may_differ() {
    let place =
        declared(&format!("{ENTRY}[[parity]]\nbetween = [\"chat-staging\", \"chat-prod\"]\n{TWO}"));
    let both = alone(&place, &[], 2, "1 difference, 1 of 2 pairs alike, 1 difference ignored");
    assert_eq!(both.matches("type:").count(), 1, "{both}");
    alone(&place, &["*-prod", "*-staging"], 0, "1 difference ignored");
    alone(
        &place,
        &["chat-prod", "chat-staging"],
        2,
        "chat-prod declares \"production\", chat-staging declares \"testing\"",
    );
    // What both patterns fit is of the one that says more.
    place.declare("[app.a]\nname = \"A\"\n[keyset.x]\napp = \"a\"\ntype = \"testing\"\n[keyset.x-copy]\napp = \"a\"\ntype = \"testing\"\n");
    alone(&place, &["*", "*-copy"], 0, "Parity: 1 pair alike");
}

#[test]
fn sides_that_cannot_be_compared_are_errors() {
    let place = declared(&format!("{TWO}[app.empty]\nname = \"Empty\"\n"));
    alone(&place, &[], 1, "keyform.toml has no `[[parity]]`, and no two sides are given");
    for (sides, says) in [
        (["chat-stagin", "chat-prod"], "did you mean `chat-staging`?"),
        (["app:chta", "app:empty"], "did you mean `app:chat`?"),
        (["app:chat", "app:empty"], "no keyset is declared in `app:empty`"),
        (["*-staging", "*-live"], "no keyset has a label like `*-live`"),
        (["chat-prod", "chat-prod"], "is compared with itself"),
        (["*-*", "*-prod"], "has one `*`"),
        (["*-staging", "chat-prod"], "a pattern with a pattern"),
        (["app:chat", "chat-prod"], "an app with an app"),
        (["\u{1b}[31m", "chat-prod"], "nothing that can be compared"),
    ] {
        let text = alone(&place, &sides, 1, says);
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    alone(&place, &["chat-prod"], 1, "required arguments were not provided");
    alone(&place, &["a", "b", "c", "d"], 1, "unexpected argument");
    // In the TOML it is told at its place, by every command.
    place.declare(&format!("[[parity]]\nbetween = [\"*-staging\", \"*-live\"]\n{TWO}"));
    place.ends(&["validate"], 1, "no keyset has a label like `*-live`");
    place.ends(&["parity"], 1, "keyform.toml:8:25");
    place.declare(&format!(
        "{}{TWO}",
        "[[parity]]\nbetween = [\"*-staging\", \"*-prod\"]\n".repeat(201)
    ));
    place.ends(&["validate"], 1, "too many `[[parity]]` tables");
}

#[test]
fn a_listing_that_cannot_be_trusted_is_no_comparison() {
    let mut place = applied(TWO);
    for fault in [
        "GET /v2/keysets$=short-list",
        "GET /v2/keysets$=empty-list",
        "GET /v2/keysets/=status:500",
        "GET /v2/=status:401",
    ] {
        place.restart(&["--fault", fault]);
        let output = place.run(&["parity", "chat-staging", "chat-prod"]);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &[][..]), "{fault}");
    }
    place.restart(&[]);
    place.ends(&["parity", "chat-staging", "chat-prod"], 2, "type");
}
