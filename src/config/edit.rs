//! One declared value of a file changed, and everything else left as it was: comments, order,
//! layout.

use toml_edit::{DocumentMut, InlineTable, Item, Table, Value as TomlValue};

use crate::keyset::{Call, FieldId, Label, Value};

/// What is to have another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Field(Label, FieldId),
    /// The name of an app.
    AppName(Label),
}

/// The text with `value` declared in the keyset's own table, whatever a profile says; or why that
/// cannot be written.
pub fn set(text: &str, target: &Target, value: &Value) -> Result<String, String> {
    let value = toml_value(value).ok_or("TOML has no null: take the line out by hand")?;
    let (mark, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    let mut document: DocumentMut =
        body.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let (kind, label, path) = match target {
        Target::Field(label, field) => ("keyset", label, path(*field)),
        Target::AppName(label) => ("app", label, vec!["name"]),
    };
    let table = document
        .get_mut(kind)
        .and_then(Item::as_table_like_mut)
        .and_then(|all| all.get_mut(label.as_str()));
    put(table.ok_or_else(|| format!("`[{kind}.{label}]` is not in this file"))?, &path, value);
    let mut edited = format!("{mark}{document}");
    if !text.ends_with('\n') && edited.ends_with('\n') {
        edited.pop();
    }
    // The editor writes newlines of its own.
    let crlf = text.contains("\r\n");
    Ok(if crlf { edited.replace("\r\n", "\n").replace('\n', "\r\n") } else { edited })
}

fn path(field: FieldId) -> Vec<&'static str> {
    match field.section().call {
        Call::Keyset => vec![field.field().name],
        Call::Config => vec![field.section().name, field.field().name],
    }
}

fn put(item: &mut Item, path: &[&str], mut value: TomlValue) {
    let inline = item.is_inline_table();
    let Some(table) = item.as_table_like_mut() else { return };
    if inline
        && path.first().is_some_and(|key| table.get(key).is_none())
        && let Some(last) = table.iter_mut().last().and_then(|(_, last)| last.as_value_mut())
    {
        // The blank before the brace is behind the last value, which this one is not any more.
        last.decor_mut().set_suffix("");
    }
    match path {
        [] => {}
        [key] => match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) => {
                // The comment behind it stays.
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
            None => _ = table.insert(key, Item::Value(value)),
        },
        [key, rest @ ..] => {
            if table.get(key).is_none() {
                // `section.field = value`, or in braces where the whole table is.
                let mut section = Table::new();
                section.set_dotted(true);
                table.insert(
                    key,
                    if inline {
                        Item::Value(InlineTable::new().into())
                    } else {
                        Item::Table(section)
                    },
                );
            }
            if let Some(inner) = table.get_mut(key) {
                put(inner, rest, value);
            }
        }
    }
}

fn toml_value(value: &Value) -> Option<TomlValue> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(int) => (*int).into(),
        Value::Text(text) => (&**text).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(path: &str) -> FieldId {
        let (section, name) = path.split_once('.').unwrap_or(("keyset", path));
        FieldId::find(section, name).expect("a field")
    }

    #[test]
    fn one_value_changes_and_nothing_else() {
        let target = |path: &str| Target::Field(Label::parse("a").expect("a label"), field(path));
        let cases = [
            // A value that is there, in every way to write it; the comment behind it stays.
            (
                "[keyset.a]\napp = 'x' # app\npresence.interval = 10  # slow\n",
                "presence.interval = 10",
                "presence.interval = 60",
            ),
            ("[keyset.a]\n[keyset.a.presence]\n\n  interval   =   10\n# end", "=   10", "=   60"),
            (
                "[keyset.a]\npresence = { enabled = true, interval = 10 } # x\n",
                "interval = 10",
                "interval = 60",
            ),
            ("keyset.a.presence.interval = 10\nkeyset.a.app = 'x'", "= 10", "= 60"),
            (
                "keyset = { a = { app = 'x', presence = { interval = 10 } } }\n",
                "interval = 10",
                "interval = 60",
            ),
            ("\u{feff}# top\r\n[keyset.a]\r\npresence.interval = 10\r\n", "= 10", "= 60"),
            // One that is not there yet.
            (
                "[keyset.a]\napp = 'x'\n\n# b\n[keyset.b]\n",
                "app = 'x'\n",
                "app = 'x'\npresence.interval = 60\n",
            ),
            (
                "[keyset.a]\napp = 'x'\n[keyset.a.files]\nenabled = false\n",
                "app = 'x'\n",
                "app = 'x'\npresence.interval = 60\n",
            ),
            (
                "[keyset.a]\n[keyset.a.presence]\nenabled = true # on\n",
                "true # on\n",
                "true # on\ninterval = 60\n",
            ),
            (
                "[keyset.a]\npresence = { enabled = true }\n",
                "enabled = true }",
                "enabled = true, interval = 60 }",
            ),
            (
                "keyset = { a = { app = 'x' } }\n",
                "app = 'x' }",
                "app = 'x', presence = { interval = 60 } }",
            ),
        ];
        for (text, old, new) in cases {
            let edited =
                set(text, &target("presence.interval"), &Value::Int(60)).expect("it can be edited");
            assert_eq!(edited, text.replacen(old, new, 1));
            assert_eq!(
                set(&edited, &target("presence.interval"), &Value::Int(60)).expect("again"),
                edited
            );
        }
        let text = "[keyset.a]\nname = \"one\"\n[app.a]\nname = 'Chat' # ours\n";
        assert_eq!(
            set(text, &target("name"), &Value::Text("\"two\"".into())).expect("edited"),
            text.replace("\"one\"", "'\"two\"'")
        );
        let app = Target::AppName(Label::parse("a").expect("a label"));
        assert_eq!(
            set(text, &app, &Value::Text("Talk".into())).expect("edited"),
            text.replace("'Chat'", "\"Talk\"")
        );
        assert!(set(text, &target("name"), &Value::Null).is_err());
        assert!(set("[keyset.b]\n", &target("name"), &Value::Bool(true)).is_err());
    }
}
