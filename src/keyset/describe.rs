//! The table told to others: a JSON Schema for editors, and the field reference for people.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::Tier;
use super::field::{Call, Field, Kind, Life, Section, TierRule};
use super::names::{ApiVersion, LABEL_MAX};
use super::parity::RULES_MAX;
use super::settings::FieldId;
use super::table::{NAME_MAX, PUSH, PushCall, SECTIONS};

/// The JSON Schema (draft-07) of `keyform.toml` and of the files it includes.
///
/// It is looser than `keyform validate` where one file cannot tell: an included file has no
/// `[project]`, and what a section needs while it is enabled may come from a profile.
pub fn json_schema() -> Json {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "keyform",
        "description": "keyform.toml, and the files it includes: those hold app, profile and \
                        keyset tables only.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "project": object("The project. Only in keyform.toml, which must have it.", &["name"], json!({
                "name": label("Keeps the project's secrets and state apart from others'. Not to be \
                               changed later."),
                "include": {
                    "description": "More files, relative to this one's folder; `*`, `?`, `[..]` \
                                    and `**` stand for names.",
                    "type": "array", "items": { "type": "string", "minLength": 1 }
                },
                "freeze": freeze("anything of the project")
            })),
            "api": object("The Admin API. Only in keyform.toml.", &[], json!({
                "endpoint": {
                    "description": "https, or http on this machine; scheme, host and port only. \
                                    KEYFORM_ENDPOINT overrides it.",
                    "type": "string", "pattern": "^https?://[^/?#@]+/?$"
                },
                "version": {
                    "description": "The PubNub-Version header.",
                    "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
                    "default": ApiVersion::DEFAULT, "examples": ApiVersion::KNOWN
                },
                "tier": {
                    "description": "The account's billing plan: makes its limits errors.",
                    "type": "string", "enum": Tier::ALL.map(Tier::name)
                }
            })),
            "secrets": secrets(),
            "limits": object("How much one apply may do. Only in keyform.toml.", &[], json!({
                "create": limit("Most keysets to create."),
                "update": limit("Most keysets to update."),
                "irreversible": limit("Most fields of keysets that exist to set once and for ever."),
                "delete": limit("Most keysets and apps to delete, with `apply --delete`. Default: \
                                 0.")
            })),
            "parity": parity(),
            "notify": object("Whom to tell. Only in keyform.toml.", &["url"], json!({
                "url": {
                    "description": "The variable of the environment that holds the webhook's \
                                    address.",
                    "type": "string", "pattern": VARIABLE, "examples": ["env:KEYFORM_WEBHOOK"]
                },
                "form": { "description": "What the webhook takes.", "type": "string", "enum": ["json", "slack"], "default": "json" },
                "on": {
                    "description": "When: drift was found, an apply did something. Default: both.",
                    "type": "array", "items": { "type": "string", "enum": ["drift", "apply"] }
                }
            })),
            "app": labelled("Apps, by label.", app()),
            "profile": labelled("Settings that keysets share, by name.", profile()),
            "keyset": labelled("Keysets, by label.", keyset())
        }
    })
}

/// The field reference as Markdown: a table for each section.
pub fn reference_markdown() -> String {
    let mut page = String::new();
    for section in SECTIONS {
        // Writing to a String cannot fail.
        let _ = write!(page, "### `{}`\n\n{}\n\n", section.name, sentences(section).join(" "));
        page.push_str(
            "| field | values | null | changes | since, plan | what it does | source |\n",
        );
        page.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for field in section.fields {
            let cells = [
                format!("`{}`", field.name),
                values(field),
                if field.nullable { "until set" } else { "" }.to_owned(),
                life(field.life).to_owned(),
                since_and_plan(field),
                field.doc.to_owned(),
                format!("{} ({})", field.source, field.certainty.name()),
            ];
            let _ =
                writeln!(page, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
        page.push('\n');
    }
    page
}

fn secrets() -> Json {
    let github = object(
        "Copies for GitHub Actions: secrets of a repository or of one of its environments.",
        &["repo", "name"],
        json!({
            "repo": { "description": "OWNER/NAME.", "type": "string", "pattern": REPO },
            "environment": {
                "description": "An environment of the repository. Default: the secret is the \
                                repository's.",
                "type": "string", "minLength": 1, "maxLength": 255
            },
            "name": {
                "description": "The secret's name. `{label}` stands for the keyset's label in \
                                upper case, with `_` for other characters.",
                "type": "string", "pattern": SECRET_NAME, "examples": ["PUBNUB_SECRET_KEY", "PUBNUB_{label}"]
            },
            "keysets": {
                "description": "Labels of the keysets. Default: all.",
                "type": "array", "items": label("A keyset's label."), "minItems": 1, "uniqueItems": true
            }
        }),
    );
    let several = json!({ "type": "array", "items": github });
    object(
        "Where secret keys go. Only in keyform.toml.",
        &[],
        json!({
            "sinks": {
                "description": "In order of preference: the first that passes its probe is used.",
                "type": "array", "items": { "type": "string", "enum": ["keyring", "age", "exec"] },
                "minItems": 1, "uniqueItems": true, "default": ["keyring"]
            },
            "age": object("Files of the project, sealed with age.", &["recipients"], json!({
                "recipients": {
                    "description": "Public keys of those who may read the secrets: age1..., \
                                    ssh-ed25519 ..., ssh-rsa .... Never private keys.",
                    "type": "array", "items": { "type": "string", "pattern": RECIPIENT }, "minItems": 1, "uniqueItems": true
                },
                "dir": {
                    "description": "The folder of the sealed files, relative to the project.",
                    "type": "string", "minLength": 1, "maxLength": 255, "default": "secrets"
                }
            })),
            "exec": object("A program that keeps secrets.", &["command"], json!({
                "command": {
                    "description": "The program, then its arguments. Started in the project's \
                                    folder, without a shell.",
                    "type": "array", "items": { "type": "string" }, "minItems": 1
                },
                "timeout": {
                    "description": "Seconds for one call.",
                    "type": "integer", "minimum": 1, "maximum": 600, "default": 30
                }
            })),
            "mirror": object("Where copies of the secrets go.", &[], json!({
                "github": { "description": "One table, or several.", "oneOf": [github, several] }
            }))
        }),
    )
}

fn app() -> Json {
    let mut app = object(
        "An app.",
        &[],
        json!({
            "name": {
                "description": "keyform creates the app and keeps its name.",
                "type": "string", "minLength": 1, "maxLength": NAME_MAX
            },
            "id": {
                "description": "The app exists already; keyform only puts keysets in it.",
                "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[A-Za-z0-9._~:-]+$"
            },
            "freeze": freeze("it and its keysets"),
            "moved": moved()
        }),
    );
    app["oneOf"] = json!([{ "required": ["name"] }, { "required": ["id"] }]);
    app
}

fn profile() -> Json {
    let mut fields = settings();
    fields.extend(for_profiles_too());
    // A name is one keyset's own.
    if let Some(name) = FieldId::find("keyset", "name") {
        fields.remove(name.field().name);
    }
    object(
        "A profile: what a keyset with this profile has, unless it says otherwise.",
        &[],
        Json::Object(fields),
    )
}

fn keyset() -> Json {
    let mut fields = settings();
    fields
        .insert("app".to_owned(), label("Label of the app that holds the keyset. Never changes."));
    fields.insert(
        "profiles".to_owned(),
        json!({ "description": "Profiles whose settings it has; later ones win, its own table wins \
                                over all.",
            "type": "array", "items": label("A profile's name."), "uniqueItems": true }),
    );
    fields.insert("protect".to_owned(), json!({ "description": "Never to be deleted. Default: true \
                                                                for production.", "type": "boolean" }));
    fields.insert("freeze".to_owned(), freeze("it"));
    fields.insert("moved".to_owned(), moved());
    fields.extend(for_profiles_too());
    object("A keyset.", &["app"], Json::Object(fields))
}

fn moved() -> Json {
    let from = json!({
        "description": "The label it had before, or several, newest first.",
        "oneOf": [label("A label."), { "type": "array", "items": label("A label."), "minItems": 1, "uniqueItems": true }]
    });
    object(
        "The label is new: what is recorded under the old one becomes this one's.",
        &["from"],
        json!({ "from": from }),
    )
}

/// What stands in a keyset or a profile and is no field.
fn for_profiles_too() -> Map<String, Json> {
    let duration = |description: &str| json!({ "description": description, "type": "string", "pattern": DURATION, "examples": ["90d", "24h"] });
    let every = object(
        "How often it gets a new secret key, planned when it is due.",
        &["every", "overlap"],
        json!({
            "every": duration("From one to the next."),
            "overlap": duration("How long the one of before works on: 60s to 366d. Needs a paid \
                                 plan.")
        }),
    );
    Map::from_iter([
        ("push".to_owned(), push()),
        ("ignore".to_owned(), ignored("Fields that others may change once the keyset exists.")),
        (
            "rotate".to_owned(),
            json!({ "description": "Rotation of the secret key; `false`: none, whatever a profile \
                                    says.", "oneOf": [every, { "const": false }] }),
        ),
    ])
}

/// Files to upload, each with the texts that go with it.
fn push() -> Json {
    let text = |description: &str| json!({ "description": description, "type": "string", "minLength": 1, "maxLength": NAME_MAX });
    let call = |call: &PushCall| {
        let texts = call.texts.iter().map(|name| {
            let field = FieldId::find(call.section, name).map_or("", |field| field.field().doc);
            ((*name).to_owned(), text(field))
        });
        let file = (
            "file".to_owned(),
            text(
                "The file, relative to the project's folder and inside it. Keep it out of version \
                 control.",
            ),
        );
        let required: Vec<&str> =
            std::iter::once("file").chain(call.texts.iter().copied()).collect();
        (
            call.section.to_owned(),
            object(call.doc, &required, Json::Object(texts.chain([file]).collect())),
        )
    };
    object(
        "Credentials of push services, uploaded from files.",
        &[],
        Json::Object(PUSH.iter().map(call).collect()),
    )
}

/// A list of fields, each perhaps with a reason.
fn ignored(description: &str) -> Json {
    let field = json!({ "description": "A field, such as `presence.interval`; or a section.", "type": "string", "minLength": 1 });
    let reasoned = object(
        "A field and why it is left alone.",
        &["field"],
        json!({ "field": field, "reason": { "type": "string", "minLength": 1 } }),
    );
    json!({ "description": description, "type": "array", "items": { "oneOf": [field, reasoned] } })
}

fn parity() -> Json {
    let side = json!({
        "description": "A keyset's label; `app:LABEL`, whose keysets are paired by their names; or \
                        labels with one `*`, paired by what it stands for.",
        "type": "string", "pattern": SIDE, "examples": ["chat-prod", "app:chat", "*-prod"]
    });
    let entry = object(
        "Two sides that are to be the same but for what is ignored.",
        &["between"],
        json!({
            "between": {
                "description": "What is compared: two keysets, two apps, or two patterns.",
                "type": "array", "items": side, "minItems": 2, "maxItems": 2, "uniqueItems": true
            },
            "ignore": ignored("Fields that may differ.")
        }),
    );
    json!({ "description": "What `keyform parity` compares. Only in keyform.toml.", "type": "array", "items": entry, "maxItems": RULES_MAX })
}

/// Every field a user may write, as it stands in a keyset's table: the identity's directly, the
/// others in their section.
fn settings() -> Map<String, Json> {
    let mut settings = Map::new();
    for section in SECTIONS {
        let fields: Map<String, Json> = section
            .fields
            .iter()
            .filter(|f| is_written(f))
            .map(|f| (f.name.to_owned(), schema_of(f)))
            .collect();
        match section.call {
            Call::Keyset => settings.extend(fields),
            // Nobody can write anything in it: a table of this name would always be a mistake.
            Call::Config if fields.is_empty() => {}
            Call::Config => {
                let description = sentences(section).join(" ");
                settings.insert(
                    section.name.to_owned(),
                    object(&description, &[], Json::Object(fields)),
                );
            }
        }
    }
    settings
}

/// Whether it stands in TOML under its own name. The fixed one, the app, stands there by its label.
fn is_written(field: &Field) -> bool {
    matches!(field.life, Life::Mutable | Life::OnceSet)
}

fn schema_of(field: &Field) -> Json {
    let mut schema = match field.kind {
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Int { min, max: Some(max) } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Kind::Int { min, max: None } => json!({ "type": "integer", "minimum": min }),
        Kind::OneOf(values) => json!({ "type": "integer", "enum": values }),
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
        Kind::Text { max } => json!({ "type": "string", "minLength": 1, "maxLength": max }),
    };
    let mut said = vec![field.doc.to_owned(), format!("Values: {}.", values(field))];
    if field.life == Life::OnceSet {
        said.push("Once set it never changes.".to_owned());
    }
    let since_and_plan = since_and_plan(field);
    if !since_and_plan.is_empty() {
        said.push(format!("Since, plan: {since_and_plan}."));
    }
    said.push(format!("Source: {} ({}).", field.source, field.certainty.name()));
    schema["description"] = said.join(" ").into();
    schema
}

fn sentences(section: &Section) -> Vec<String> {
    let mut said = vec![section.doc.to_owned()];
    if !section.when_enabled.is_empty() {
        let companions: Vec<String> =
            section.when_enabled.iter().map(|name| format!("`{name}`")).collect();
        said.push(format!(
            "While enabled it needs {} ({}).",
            companions.join(" and "),
            section.when_enabled_certainty.name()
        ));
    }
    for need in section.needs {
        said.push(format!(
            "While enabled it needs `{}.{}`: {} ({}).",
            need.section,
            need.field,
            need.why,
            need.certainty.name()
        ));
    }
    said
}

/// `0, 1, 7 days; 0 = unlimited`
fn values(field: &Field) -> String {
    let mut text = field.legal();
    if let Some(unit) = field.unit {
        let _ = write!(text, " {unit}");
    }
    if let Some(note) = field.note {
        let _ = write!(text, "; {note}");
    }
    text
}

fn life(life: Life) -> &'static str {
    match life {
        Life::Mutable => "any time",
        Life::OnceSet => "set once, then never",
        Life::Fixed => "never",
        Life::ReadOnly => "by the server only",
    }
}

/// `since 2026-03-01; 365, 0: pro`
fn since_and_plan(field: &Field) -> String {
    let since = field.since.map(|version| format!("since {version}"));
    let plans = field.tiers.iter().map(|rule| match rule {
        TierRule::Ints(values, tier) => {
            let values: Vec<String> = values.iter().map(i64::to_string).collect();
            format!("{}: {}", values.join(", "), tier.name())
        }
        TierRule::Above(limit, tier) => format!("above {limit}: {}", tier.name()),
        TierRule::Words(words, tier) => format!("{}: {}", words.join(", "), tier.name()),
    });
    since.into_iter().chain(plans).collect::<Vec<_>>().join("; ")
}

fn object(description: &str, required: &[&str], properties: Json) -> Json {
    let mut object = json!({ "description": description, "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn labelled(description: &str, each: Json) -> Json {
    json!({ "description": description, "type": "object", "additionalProperties": false, "patternProperties": { label_pattern(): each } })
}

fn label(description: &str) -> Json {
    json!({ "description": description, "type": "string", "pattern": label_pattern() })
}

fn limit(description: &str) -> Json {
    let description =
        format!("{description} A number, or a share of the keysets that the state records.");
    json!({ "description": description, "oneOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": SHARE }] })
}

fn freeze(what: &str) -> Json {
    json!({ "description": format!("Why {what} may not be changed for now: planned, and never \
                                    applied."),
        "type": "string", "minLength": 1, "maxLength": NAME_MAX })
}

/// The rule of [`super::budget::Budget`].
const SHARE: &str = "^(100|[0-9]{1,2})%$";
const REPO: &str = "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$";
/// Looser than GitHub's rule: what stands for `{label}` is not known here.
const SECRET_NAME: &str = "^([A-Za-z_]|\\{label\\})([A-Za-z0-9_]|\\{label\\})*$";
/// The rule of [`super::parity::Side`].
const SIDE: &str = "^(app:[A-Za-z0-9][A-Za-z0-9._-]*|[A-Za-z0-9._-]*\\*?[A-Za-z0-9._-]*)$";
const VARIABLE: &str = "^env:[A-Za-z_][A-Za-z0-9_]{0,199}$";
/// Looser than [`super::duration::parse`]: a number, and somewhere after it a unit.
const DURATION: &str = "^[+0-9Pp][0-9.,+ ]*[A-Za-zµμ:][0-9A-Za-zµμ.,:+ ]*$";
const RECIPIENT: &str = "^(age1|ssh-ed25519 |ssh-rsa )";

/// The rule of [`super::names::Label`].
fn label_pattern() -> String {
    format!("^[A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}$", LABEL_MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_told() {
        let schema = json_schema();
        let (keysets, page) = (
            &schema["properties"]["keyset"]["patternProperties"][label_pattern()]["properties"],
            reference_markdown(),
        );
        for id in FieldId::all() {
            let (section, field) = (id.section(), id.field());
            let place = match section.call {
                Call::Keyset => &keysets[field.name],
                Call::Config => &keysets[section.name]["properties"][field.name],
            };
            assert_eq!(
                place.is_object(),
                is_written(field),
                "{id} in the schema: what can be written, and nothing else"
            );
            if is_written(field) {
                let description = place["description"].as_str().unwrap_or_default();
                for fact in [field.doc, field.source, field.certainty.name()]
                    .into_iter()
                    .chain(field.unit)
                    .chain(field.note)
                {
                    assert!(
                        description.contains(fact),
                        "{id}: {fact:?} is missing in {description:?}"
                    );
                }
            }
            let section = page
                .split("### ")
                .find(|part| part.starts_with(&format!("`{}`\n", section.name)))
                .unwrap_or_default();
            let row =
                section.lines().find(|line| line.starts_with(&format!("| `{}` |", field.name)));
            assert!(
                row.is_some_and(|row| row.contains(field.doc) && row.contains(field.source)),
                "{id} in the reference: {row:?}"
            );
        }
    }

    #[test]
    fn the_schema_is_closed_everywhere() {
        fn closed(at: &str, schema: &Json) {
            if schema["type"] == "object" {
                assert_eq!(schema["additionalProperties"], false, "{at}");
            }
            for key in ["properties", "patternProperties"] {
                for (name, inner) in schema[key].as_object().into_iter().flatten() {
                    closed(&format!("{at}.{name}"), inner);
                }
            }
        }
        closed("keyform.toml", &json_schema());
    }

    #[test]
    fn a_good_project_is_accepted() {
        accept(
            r#"
            [project]
            name = "acme-chat"
            include = ["keysets/*.toml"]
            [api]
            endpoint = "http://127.0.0.1:8080"
            version = "2026-03-23"
            tier = "starter"
            [secrets]
            sinks = ["age", "exec", "keyring"]
            [secrets.age]
            recipients = ["age1qqq", "ssh-ed25519 AAAA me@host"]
            dir = "sealed"
            [secrets.exec]
            command = ["./sinks/vault", "--mount", ""]
            timeout = 600
            [[secrets.mirror.github]]
            repo = "acme/chat"
            environment = "prod"
            name = "PUBNUB_SECRET_KEY"
            keysets = ["chat-dev"]
            [[secrets.mirror.github]]
            repo = "acme/chat"
            name = "PUBNUB_{label}"
            [limits]
            create = 50
            [notify]
            url = "env:KEYFORM_WEBHOOK"
            form = "slack"
            on = ["drift"]
            [[parity]]
            between = ["*-dev", "*-prod"]
            ignore = ["type", { field = "files.retention", reason = "kept longer" }]
            [[parity]]
            between = ["app:chat", "app:old"]
            [app.chat]
            name = "Acme Chat"
            [app.old]
            id = "12345"
            [profile.standard]
            presence = { enabled = true, announceMax = 20, interval = 10 }
            [keyset.chat-dev]
            app = "chat"
            type = "testing"
            profiles = ["standard"]
            files = { enabled = true, retention = 7, region = "us-east-1" }
            "#,
        );
        accept("[secrets.mirror.github]\nrepo = \"a/b\"\nname = \"{label}\"");
        accept("[keyset.more]\napp = \"chat\"\ntype = \"production\"\nfiles.enabled = true");
    }

    #[test]
    fn mistakes_are_not() {
        for (toml, fault) in [
            ("[projekt]\nname = \"a\"", "projekt"),
            ("[project]\ninclude = []", "name"),
            ("[project]\nname = \"-a\"", "name"),
            ("[api]\ntier = \"gold\"", "tier"),
            ("[secrets]\nsinks = []", "sinks"),
            ("[secrets]\nsinks = [\"vault\"]", "sinks"),
            ("[secrets.age]\nrecipients = []", "recipients"),
            ("[secrets.age]\nrecipients = [\"me@host\"]", "recipients"),
            ("[secrets.age]\ndir = \"a\"", "recipients"),
            ("[secrets.exec]\ncommand = \"vault\"", "command"),
            ("[secrets.exec]\ncommand = [\"a\"]\ntimeout = 601", "timeout"),
            ("[secrets.mirror.github]\nrepo = \"acme\"\nname = \"A\"", "oneOf"),
            ("[secrets.mirror.github]\nrepo = \"a/b\"\nname = \"1A\"", "oneOf"),
            ("[[secrets.mirror.github]]\nname = \"A\"", "oneOf"),
            ("[secrets.mirror]\ngitlab = 1", "gitlab"),
            ("[limits]\ncreate = -1", "create"),
            ("[notify]\nurl = \"https://hooks.test/a\"", "url"),
            ("[notify]\nform = \"json\"", "url"),
            ("[notify]\nurl = \"env:A\"\nform = \"teams\"", "form"),
            ("[parity]\nbetween = [\"a\", \"b\"]", "parity"),
            ("[[parity]]\nignore = [\"type\"]", "between"),
            ("[[parity]]\nbetween = [\"a\"]", "between"),
            ("[[parity]]\nbetween = [\"a\", \"a\"]", "between"),
            ("[[parity]]\nbetween = [\"*-a\", \"*-*\"]", "between"),
            ("[[parity]]\nbetween = [\"a\", \"b\"]\nignore = \"type\"", "ignore"),
            ("[app.a]\n", "oneOf"),
            ("[app.a]\nname = \"A\"\nid = \"1\"", "oneOf"),
            ("[app.\"a b\"]\nname = \"A\"", "a b"),
            ("[profile.p]\nname = \"x\"", "name"),
            ("[keyset.k]\ntype = \"testing\"", "app"),
            ("[keyset.k]\napp = \"a\"\nfiles.retention = 5", "retention"),
            ("[keyset.k]\napp = \"a\"\nfiles.retention = \"7\"", "retention"),
            ("[keyset.k]\napp = \"a\"\npresence.announceMax = 101", "announceMax"),
            ("[keyset.k]\napp = \"a\"\npresence.intervall = 10", "intervall"),
            ("[keyset.k]\napp = \"a\"\nappId = \"1\"", "appId"),
            ("[keyset.k]\napp = \"a\"\napns.teamId = \"T\"", "teamId"),
            ("[keyset.k]\napp = \"a\"\nfcm.filename = \"f\"", "fcm"),
        ] {
            let found = check(&parse(toml));
            assert!(found.iter().any(|found| found.contains(fault)), "{toml}: {found:?}");
        }
    }

    fn accept(toml: &str) {
        assert_eq!(check(&parse(toml)), [] as [&str; 0]);
    }

    fn parse(toml: &str) -> Json {
        serde_json::to_value(toml::from_str::<toml::Table>(toml).expect("TOML")).expect("JSON")
    }

    /// What the schema says of the value.
    fn check(value: &Json) -> Vec<String> {
        let schema = json_schema();
        jsonschema::draft7::meta::validate(&schema).expect("a schema of draft-07");
        let validator = jsonschema::draft7::new(&schema).expect("a schema");
        validator
            .iter_errors(value)
            .map(|error| format!("{} ({}): {error}", error.instance_path(), error.schema_path()))
            .collect()
    }
}
