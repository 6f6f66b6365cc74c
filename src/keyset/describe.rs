//! The table told to others: a JSON Schema of what a keyset's table may hold, and the field
//! reference for people.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::field::{Call, Field, Kind, Life, Section, TierRule};
use super::table::SECTIONS;

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
                field.source.to_string(),
            ];
            let _ =
                writeln!(page, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
        page.push('\n');
    }
    page
}

/// Every field a user may write, as it stands in a keyset's table: the identity's directly, the
/// others in their section.
pub fn schema_of_settings() -> Map<String, Json> {
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
                let table = json!({
                    "description": description, "type": "object",
                    "additionalProperties": false, "properties": fields,
                });
                settings.insert(section.name.to_owned(), table);
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
    said.push(format!("Source: {}.", field.source));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyset::FieldId;

    #[test]
    fn every_row_is_told() {
        let (keysets, page) = (Json::Object(schema_of_settings()), reference_markdown());
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
                for fact in [field.doc, field.source.place, field.source.certainty.name()]
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
                row.is_some_and(|row| row.contains(field.doc) && row.contains(field.source.place)),
                "{id} in the reference: {row:?}"
            );
        }
    }
}
