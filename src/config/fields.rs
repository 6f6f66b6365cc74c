//! The fields of the API, in the tables of keysets and profiles: what each takes says
//! [`crate::keyset::table`].

use toml::de::{DeTable, DeValue};

use super::codes;
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item, Key, Scalar, scalar};
use super::tables::Body;
use crate::keyset::table::SECTIONS;
use crate::keyset::{Call, FieldId, Kind, Life, Rejected, Value};

impl FileReader<'_> {
    pub(super) fn section(&mut self, body: &mut Body, section: usize, fields: &DeTable<'_>) {
        for (key, item) in fields {
            match FieldId::within(section, key.get_ref()) {
                Some(id) => self.field(body, id, item),
                None => self.unknown_field(body, section, key),
            }
        }
    }

    pub(super) fn field(&mut self, body: &mut Body, id: FieldId, item: &Item<'_>) {
        let at = self.at(item.span());
        let rejected = match scalar(item.get_ref()) {
            Scalar::Is(value) => match body.settings.set(id, value, at) {
                Ok(()) => return,
                Err(rejected) => rejected,
            },
            Scalar::Huge => {
                body.rejected.push(id);
                return self.huge(&id.to_string(), at);
            }
            // No scalar: asking for null tells what would have been right.
            Scalar::None => match id.field().accept(Value::Null) {
                Err(rejected) => rejected,
                Ok(_) => Rejected::OutOfRange,
            },
        };
        body.rejected.push(id);
        match rejected {
            Rejected::WrongType { expected } => {
                self.wrong_type(&id.to_string(), expected, item, unquoted(id, item.get_ref()))
            }
            Rejected::OutOfRange => self.out_of_range(id, item),
            Rejected::BadText(why) => {
                let problem =
                    Problem::new(codes::BAD_TEXT, at, format!("bad text for `{id}`"), why)
                        .help(format!("allowed: {}", id.field().legal()));
                self.report(problem);
            }
            Rejected::ReadOnly => {
                let problem = Problem::new(
                    codes::READ_ONLY,
                    at,
                    format!("`{id}` cannot be set"),
                    "only the server writes it",
                )
                .help("remove the line");
                self.report(problem);
            }
        }
    }

    fn out_of_range(&mut self, id: FieldId, item: &Item<'_>) {
        let (field, at) = (id.field(), self.at(item.span()));
        if let (Kind::Choice(words), Some(text)) = (field.kind, item.get_ref().as_str()) {
            // A field that takes any text says nothing about where this one belongs.
            let listed = |other: &FieldId| match other.field().kind {
                Kind::Choice(words) => words.contains(&text),
                _ => false,
            };
            let elsewhere = same_name_elsewhere(id).find(listed);
            return match elsewhere {
                Some(other) => {
                    let label = format!("{} is a value of `{other}`", Quoted(text));
                    self.report(
                        Problem::new(
                            codes::OUT_OF_RANGE,
                            at,
                            format!("wrong value for `{id}`"),
                            label,
                        )
                        .help(format!("allowed for `{id}`: {}", field.legal())),
                    );
                }
                None => self.not_in_list(&id.to_string(), text, words, at),
            };
        }
        let unit = field.unit.map(|unit| format!(" {unit}")).unwrap_or_default();
        let note = field.note.map(|note| format!(" ({note})")).unwrap_or_default();
        let mut problem = Problem::new(
            codes::OUT_OF_RANGE,
            at,
            format!("wrong value for `{id}`"),
            format!("allowed: {}{unit}{note}", field.legal()),
        );
        if let (Kind::OneOf(values), Scalar::Is(Value::Int(i))) =
            (field.kind, scalar(item.get_ref()))
            && let Some(near) = values.iter().min_by_key(|v| v.abs_diff(i))
        {
            problem = problem.help(format!("the nearest is {near}"));
        }
        self.report(problem);
    }

    fn unknown_field(&mut self, body: &mut Body, index: usize, key: &Key<'_>) {
        let Some(section) = SECTIONS.get(index) else { return };
        let word = key.get_ref().as_ref();
        let at = self.at(key.span());
        let mut problem = Problem::new(
            codes::UNKNOWN_FIELD,
            at,
            format!("unknown field in `{}`: {}", section.name, Quoted(word)),
            "not known to the Admin API",
        );
        if let Some(near) = self.out.nearest.of(word, section.fields.iter().map(|f| f.name)) {
            problem = problem.help(format!("did you mean `{near}`?")).fix(at, near);
            body.rejected.extend(FieldId::within(index, near));
        } else if let Some(help) = self.in_sections(word, |other| other != index) {
            problem = problem.help(help);
        } else {
            let known: Vec<String> = section
                .fields
                .iter()
                .filter(|f| f.life != Life::ReadOnly)
                .map(|f| format!("`{}`", f.name))
                .collect();
            problem = problem.help(match known.is_empty() {
                true => format!("`{}` has no field that can be set", section.name),
                false => format!("fields of `{}`: {}", section.name, known.join(", ")),
            });
        }
        self.report(problem);
    }

    /// "did you mean" among the fields of the sections that `among` wants.
    pub(super) fn in_sections(
        &mut self,
        word: &str,
        among: impl Fn(usize) -> bool,
    ) -> Option<String> {
        let fields: Vec<FieldId> = SECTIONS
            .iter()
            .enumerate()
            .filter(|(index, section)| section.call == Call::Config && among(*index))
            .flat_map(|(index, section)| {
                section.fields.iter().filter_map(move |field| FieldId::within(index, field.name))
            })
            .filter(|id| id.field().life != Life::ReadOnly)
            .collect();
        let near = self.out.nearest.of(word, fields.iter().map(|id| id.field().name))?;
        let places: Vec<String> = fields
            .iter()
            .filter(|id| id.field().name == near)
            .map(|id| format!("`{id}`"))
            .collect();
        // `enabled` is in nearly every section: a list of all of them helps nobody.
        (places.len() <= 3).then(|| format!("did you mean {}?", places.join(" or ")))
    }
}

/// Index of the section whose fields stand directly in `[keyset.LABEL]`.
pub(super) fn identity() -> Option<usize> {
    SECTIONS.iter().position(|section| section.call == Call::Keyset)
}

/// The one field of a keyset's own that a profile may hold.
pub(super) fn kind_of_keyset() -> Option<FieldId> {
    FieldId::find("keyset", "type")
}

fn same_name_elsewhere(id: FieldId) -> impl Iterator<Item = FieldId> {
    FieldId::all().filter(move |other| *other != id && other.field().name == id.field().name)
}

/// A quoted number or flag without its quotes, if it is then acceptable.
fn unquoted(id: FieldId, value: &DeValue<'_>) -> Option<String> {
    let text = value.as_str()?;
    let value = match id.field().kind {
        Kind::Flag => Value::Bool(text.parse().ok()?),
        Kind::Int { .. } | Kind::OneOf(_) => Value::Int(text.parse().ok()?),
        Kind::Choice(_) | Kind::Text { .. } => return None,
    };
    let value = id.field().accept(value).ok()?;
    Some(value.to_string())
}
