//! `[app.LABEL]`.

use toml::de::DeTable;

use super::codes;
use super::grammar::APP;
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item};
use super::tables::{AppTable, Checked};
use crate::keyset::table::NAME_MAX;
use crate::keyset::views::AppSource;
use crate::keyset::{AppId, Label, Origin};

impl FileReader<'_> {
    pub(super) fn app(&mut self, label: Option<Label>, at: Origin, table: &DeTable<'_>) {
        let (mut name, mut id) = (Checked::Absent, Checked::Absent);
        let (mut moved, mut freeze) = (Vec::new(), None);
        let entries = self.entries(APP, at, table);
        for (row, at, item) in entries.known {
            match row.name() {
                "name" => {
                    let text = self.text(row.shown(), NAME_MAX, item, None);
                    name =
                        Checked::read(text.map(|(text, origin)| AppSource::Managed {
                            name: text.into(),
                            origin,
                        }));
                }
                "id" => id = Checked::read(self.app_id(item)),
                "moved" => moved = self.moved("app.*.moved", at, item),
                _ => freeze = self.freeze(item),
            }
        }
        let source = match (name, id) {
            (Checked::Valid(_), Checked::Valid(_)) => {
                self.not_one_source(at, "has both");
                None
            }
            (Checked::Absent, Checked::Absent) => {
                // A slip is probably one for these two.
                if !entries.slip {
                    self.not_one_source(at, "has neither");
                }
                None
            }
            (Checked::Valid(source), Checked::Absent)
            | (Checked::Absent, Checked::Valid(source)) => Some(source),
            (Checked::Rejected, _) | (_, Checked::Rejected) => None,
        };
        if let Some(label) = label {
            self.out.apps.push(AppTable { label, origin: at, source, moved, freeze });
        }
    }

    fn app_id(&mut self, item: &Item<'_>) -> Option<AppSource> {
        let (text, origin) = self.string("id", item)?;
        match AppId::parse(text) {
            Ok(id) => Some(AppSource::Existing { id, origin }),
            Err(bad) => {
                let title = format!("bad app id {}", Quoted(text));
                self.report(Problem::new(codes::BAD_LABEL, origin, title, bad.to_string()));
                None
            }
        }
    }

    fn not_one_source(&mut self, at: Origin, label: &str) {
        let problem =
            Problem::new(codes::APP_SOURCE, at, "an app needs either a name or an id", label);
        self.report(problem.help(
            "`name = \"...\"` lets keyform create the app, `id = \"...\"` refers to one that \
             exists",
        ));
    }
}
