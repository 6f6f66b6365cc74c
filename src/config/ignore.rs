//! `ignore`: fields that are left to others, or that may differ.

use super::codes;
use super::grammar::IGNORE;
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item};
use crate::keyset::settings::bad_text;
use crate::keyset::table::NAME_MAX;
use crate::keyset::views::Ignored;
use crate::keyset::{Call, FieldId, Life, Origin};

impl FileReader<'_> {
    /// `ignore = ["presence.interval", { field = "files", reason = "..." }]`: fields, or sections
    /// with all of theirs.
    pub(super) fn ignored(&mut self, item: &Item<'_>) -> Vec<Ignored> {
        let mut all = Vec::new();
        let Some(array) = item.get_ref().as_array() else {
            self.wrong_type("ignore", "an array of field names", item, None);
            return all;
        };
        for item in array {
            let (mut field, mut reason) = (None, None);
            if item.get_ref().is_table() {
                let Some(table) = self.table("ignore", item) else { continue };
                for (row, _, item) in self.entries(IGNORE, self.at(item.span()), table).known {
                    let text = self.string(row.shown(), item);
                    *(if row.name() == "field" { &mut field } else { &mut reason }) = text;
                }
                if field.is_none() && table.get("field").is_none() {
                    let problem = Problem::new(
                        codes::MISSING_KEY,
                        self.at(item.span()),
                        "`ignore` without a field",
                        "names no field",
                    );
                    self.report(problem.help("add `field = \"...\"`"));
                }
            } else {
                field = self.string("ignore", item);
            }
            if let Some((text, at)) = reason.filter(|(text, _)| bad_text(text, NAME_MAX).is_some())
            {
                let why = bad_text(text, NAME_MAX).unwrap_or_default();
                self.report(Problem::new(codes::BAD_TEXT, at, "bad text for `ignore.reason`", why));
                continue;
            }
            let Some((text, origin)) = field else { continue };
            let fields = named_fields(text);
            if fields.is_empty() {
                self.no_such_field(text, origin);
            }
            let reason = reason.map(|(text, _)| text.into());
            all.extend(fields.into_iter().map(|field| Ignored {
                field,
                reason: reason.clone(),
                origin,
            }));
        }
        all
    }

    fn no_such_field(&mut self, text: &str, at: Origin) {
        let problem = Problem::new(
            codes::UNKNOWN_FIELD,
            at,
            format!("unknown field {}", Quoted(text)),
            "not known to the Admin API",
        );
        let names: Vec<String> =
            FieldId::all().filter(|id| ignorable(*id)).map(|id| id.to_string()).collect();
        let near = self.out.nearest.of(text, names.iter().map(String::as_str)).map(str::to_owned);
        self.report(match near {
            Some(near) => {
                problem.help(format!("did you mean `{near}`?")).fix(at, format!("\"{near}\""))
            }
            None => problem.help(
                "a field is named as in `files.retention`; a section stands for all of its \
                       fields; beside them `name` and `type`",
            ),
        });
    }
}

/// What may be left to others: what an update could change.
fn ignorable(id: FieldId) -> bool {
    matches!(id.field().life, Life::Mutable | Life::OnceSet)
}

/// The fields that a name stands for: one, or all of a section.
fn named_fields(text: &str) -> Vec<FieldId> {
    FieldId::all()
        .filter(|id| {
            ignorable(*id)
                && (id.to_string() == text
                    || (id.section().call == Call::Config && id.section().name == text))
        })
        .collect()
}
