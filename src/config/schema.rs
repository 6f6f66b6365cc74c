//! The grammar told to others: the JSON Schema of keyform.toml, for editors, and the reference, for
//! people.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::grammar::{
    Fallback, GRAMMAR, IGNORE, KEYSET, Kind, List, Need, PROFILE, Place, Row, find, keys,
};
use crate::keyset::describe::schema_of_settings;
use crate::keyset::names::LABEL_MAX;
use crate::keyset::table::{NAME_MAX, PUSH, PushCall};
use crate::keyset::{Call, FieldId};

/// The JSON Schema (draft-07) of `keyform.toml` and of the files it includes.
///
/// It is looser than `keyform validate` where one file cannot tell: an included file has no
/// `[project]`, and what a section needs while it is enabled may come from a profile.
pub fn json_schema() -> Json {
    let mut schema = object(
        "keyform.toml, and the files it includes: those hold app, profile and keyset tables only.",
        "",
    );
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "keyform".into();
    schema
}

/// The reference of the keys that are no fields, as a table in Markdown.
pub fn grammar_markdown() -> String {
    let mut page =
        "| key | takes | without it | where | what it says |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    for row in GRAMMAR.iter().filter(|row| !row.path.ends_with('*')) {
        let cells = [
            format!("`{}`", row.path.replace('*', "LABEL")),
            takes(&row.kind),
            without(row),
            place(row).to_owned(),
            match one_of_many(&row.kind) {
                Some(each) => format!("{} {each}", row.doc),
                None => row.doc.to_owned(),
            },
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    page
}

// -------------------------------------------------------------------------------------------------
// the schema

/// A table with all of its keys.
fn object(description: &str, table: &str) -> Json {
    let mut members: Map<String, Json> =
        keys(table).map(|row| (row.name().to_owned(), schema_of(row))).collect();
    if [KEYSET, PROFILE].contains(&table) {
        members.extend(schema_of_settings());
    }
    if table == PROFILE {
        // A name is one keyset's own.
        members.retain(|name, _| FieldId::find("keyset", name).is_none_or(may_be_shared));
    }
    let required: Vec<&str> =
        keys(table).filter(|row| matches!(row.need, Need::Required(_))).map(Row::name).collect();
    let one_of: Vec<Json> = keys(table)
        .filter(|row| matches!(row.need, Need::OneOf))
        .map(|row| json!({ "required": [row.name()] }))
        .collect();
    let mut object = closed(description, members, &required);
    if !one_of.is_empty() {
        object["oneOf"] = one_of.into();
    }
    object
}

fn closed(description: &str, members: Map<String, Json>, required: &[&str]) -> Json {
    let mut object = json!({
        "description": description, "type": "object",
        "additionalProperties": false, "properties": members,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// Whether a field of a keyset's own may stand in a profile.
fn may_be_shared(id: FieldId) -> bool {
    id.section().call != Call::Keyset || Some(id) == super::fields::kind_of_keyset()
}

fn schema_of(row: &Row) -> Json {
    let mut schema = of_kind(&row.kind, row.path);
    let mut said = vec![row.doc.to_owned()];
    match row.kind {
        Kind::Budget => {
            said.push("A number, or a share of the keysets that the state records.".to_owned());
        }
        Kind::Duration { range } if !range.is_empty() => said.push(format!("{range}.")),
        _ => {}
    }
    match row.default {
        Fallback::None => {}
        Fallback::Word(word) => schema["default"] = word.into(),
        Fallback::Words(words) => schema["default"] = json!(words),
        Fallback::Number(number) => schema["default"] = number.into(),
        Fallback::Said(default) => said.push(format!("Default: {default}.")),
    }
    if row.place == Place::MainFile {
        said.push("Only in keyform.toml.".to_owned());
    }
    schema["description"] = said.join(" ").into();
    if !row.examples.is_empty() {
        let at = if matches!(row.kind, Kind::List(_)) { &mut schema["items"] } else { &mut schema };
        at["examples"] = json!(row.examples);
    }
    schema
}

fn of_kind(kind: &Kind, path: &str) -> Json {
    match *kind {
        Kind::Table => object(find(path).map_or("", |row| row.doc), path),
        Kind::Labelled => {
            let each = format!("{path}.*");
            json!({
                "type": "object", "additionalProperties": false,
                "patternProperties": { label_pattern(): of_kind(&Kind::Table, &each) },
            })
        }
        Kind::Tables { max, each } => {
            json!({ "type": "array", "items": object(each, path), "maxItems": max })
        }
        Kind::TableOrTables { each } => {
            let table = object(each, path);
            json!({ "oneOf": [table, { "type": "array", "items": table }] })
        }
        Kind::TableOrFalse { each } => json!({ "oneOf": [object(each, path), { "const": false }] }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Int { min, max, unit: _ } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Kind::Budget => json!({
            "oneOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": SHARE }],
        }),
        Kind::Duration { range: _ } => json!({ "type": "string", "pattern": DURATION }),
        Kind::Label => json!({ "type": "string", "pattern": label_pattern() }),
        Kind::Text { min: 0, max: None } => json!({ "type": "string" }),
        Kind::Text { min, max: None } => json!({ "type": "string", "minLength": min }),
        Kind::Text { min, max: Some(max) } => {
            json!({ "type": "string", "minLength": min, "maxLength": max })
        }
        Kind::Like { form: _, pattern, max: None } => {
            json!({ "type": "string", "pattern": pattern })
        }
        Kind::Like { form: _, pattern, max: Some(max) } => {
            json!({ "type": "string", "minLength": 1, "maxLength": max, "pattern": pattern })
        }
        Kind::Word(words) => json!({ "type": "string", "enum": words() }),
        Kind::List(list) => of_list(&list, path),
        Kind::LabelOrLabels => {
            let label = json!({
                "description": "A label.", "type": "string", "pattern": label_pattern(),
            });
            let labels = json!({
                "type": "array", "items": label, "minItems": 1, "uniqueItems": true,
            });
            json!({ "oneOf": [label, labels] })
        }
        Kind::Ignored => {
            let reasoned = object("A field and why it is left alone.", IGNORE);
            let field = reasoned["properties"]["field"].clone();
            json!({ "type": "array", "items": { "oneOf": [field, reasoned] } })
        }
        Kind::Uploads => {
            let calls = PUSH.iter().map(|call| (call.section.to_owned(), upload(call))).collect();
            closed("", calls, &[])
        }
    }
}

fn of_list(list: &List, path: &str) -> Json {
    let mut item = of_kind(list.of, path);
    if !list.each.is_empty() {
        item["description"] = list.each.into();
    }
    let mut schema = json!({ "type": "array", "items": item });
    if list.min > 0 {
        schema["minItems"] = list.min.into();
    }
    if let Some(max) = list.max {
        schema["maxItems"] = max.into();
    }
    if list.unique {
        schema["uniqueItems"] = true.into();
    }
    schema
}

/// A file to upload, with the texts that go with it.
fn upload(call: &PushCall) -> Json {
    let text = |description: &str| {
        json!({
            "description": description, "type": "string", "minLength": 1, "maxLength": NAME_MAX,
        })
    };
    let texts = call.texts.iter().map(|name| {
        let field = FieldId::find(call.section, name).map_or("", |field| field.field().doc);
        ((*name).to_owned(), text(field))
    });
    let file = text(
        "The file, relative to the project's folder and inside it. Keep it out of version control.",
    );
    let required: Vec<&str> = std::iter::once("file").chain(call.texts.iter().copied()).collect();
    closed(call.doc, texts.chain([("file".to_owned(), file)]).collect(), &required)
}

// -------------------------------------------------------------------------------------------------
// the reference

fn takes(kind: &Kind) -> String {
    match *kind {
        Kind::Table => "a table".to_owned(),
        Kind::Labelled => "tables by label".to_owned(),
        Kind::Tables { max, each: _ } => format!("up to {max} tables"),
        Kind::TableOrTables { .. } => "a table, or several".to_owned(),
        Kind::TableOrFalse { .. } => "a table, or `false`".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Int { min, max, unit } => format!("{min} to {max} {unit}"),
        Kind::Budget => "0 or more, or a share such as \"10%\"".to_owned(),
        Kind::Duration { range: "" } => "a duration such as \"90d\"".to_owned(),
        Kind::Duration { range } => format!("a duration, {range}"),
        Kind::Label => "a label".to_owned(),
        Kind::Text { min: _, max: None } => "text".to_owned(),
        Kind::Text { min, max: Some(max) } => format!("text of {min} to {max} characters"),
        Kind::Like { form, .. } => form.to_owned(),
        Kind::Word(words) => {
            words().iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
        }
        Kind::List(List { of, min, max: Some(max), .. }) if min == max => {
            format!("a list of {min}: {}", takes(of))
        }
        Kind::List(List { of, .. }) => format!("a list of: {}", takes(of)),
        Kind::LabelOrLabels => "a label, or a list of them".to_owned(),
        Kind::Ignored => "a list of fields, each perhaps with a reason".to_owned(),
        Kind::Uploads => {
            let names: Vec<String> =
                PUSH.iter().map(|call| format!("`{}`", call.section)).collect();
            format!("a table for each of {}", names.join(", "))
        }
    }
}

fn without(row: &Row) -> String {
    match (row.need, row.default) {
        (Need::Required(_), _) => "required".to_owned(),
        (Need::OneOf, _) => "one of these is required".to_owned(),
        (Need::Optional, Fallback::None) => String::new(),
        (Need::Optional, Fallback::Word(word)) => format!("\"{word}\""),
        (Need::Optional, Fallback::Number(number)) => number.to_string(),
        (Need::Optional, Fallback::Words(words)) => format!("{words:?}"),
        (Need::Optional, Fallback::Said(said)) => said.to_owned(),
    }
}

fn place(row: &Row) -> &'static str {
    match row.place {
        Place::InItsTable if keys(PROFILE).any(|shared| shared.path == row.path) => {
            "keysets and profiles"
        }
        Place::InItsTable => "",
        Place::AnyFile => "every file",
        Place::MainFile => "keyform.toml",
        Place::KeysetOnly => "keysets",
    }
}

fn one_of_many(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Tables { each, .. } | Kind::TableOrTables { each } | Kind::TableOrFalse { each } => {
            Some(each)
        }
        _ => None,
    }
}

/// The rule of [`crate::keyset::Label`].
fn label_pattern() -> String {
    format!("^[A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}$", LABEL_MAX - 1)
}

/// The rule of [`crate::keyset::Budget`].
const SHARE: &str = "^(100|[0-9]{1,2})%$";
/// Looser than [`crate::keyset::duration::parse`]: a number, and somewhere after it a unit.
const DURATION: &str = "^[+0-9Pp][0-9.,+ ]*[A-Za-zµμ:][0-9A-Za-zµμ.,:+ ]*$";

#[cfg(test)]
mod tests {
    use super::*;

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
            rotate = { every = "90 days", overlap = "1h 30m" }
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
            ("[profile.p]\nrotate = { every = \"90\", overlap = \"24h\" }", "rotate"),
            ("[profile.p]\nrotate = true", "rotate"),
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
