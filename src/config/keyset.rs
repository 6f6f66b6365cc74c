//! `[keyset.LABEL]` and `[profile.LABEL]`.

use toml::de::DeTable;

use super::codes;
use super::fields::{identity, kind_of_keyset};
use super::grammar::{self, KEYSET, PROFILE, Place, Row};
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item, Key};
use super::tables::{Body, Checked, KeysetTable, ProfileTable, Word};
use crate::keyset::table::SECTIONS;
use crate::keyset::{Call, FieldId, Label, Life, Origin};

impl FileReader<'_> {
    pub(super) fn profile(&mut self, label: Option<Label>, at: Origin, table: &DeTable<'_>) {
        let body = self.settings(table, PROFILE, &mut |_, _, _| {});
        if let Some(label) = label {
            self.out.profiles.push(ProfileTable { label, origin: at, body });
        }
    }

    pub(super) fn keyset(&mut self, label: Option<Label>, at: Origin, table: &DeTable<'_>) {
        let (mut app, mut profiles, mut protect, mut freeze) =
            (Checked::Absent, Vec::new(), None, None);
        let (mut moved, mut incomplete) = (Vec::new(), false);
        let mut body = self.settings(table, KEYSET, &mut |reader, key, item| match key {
            "app" => {
                app = match reader.string(key, item) {
                    Some((text, origin)) => Checked::Valid(Word { text: text.into(), origin }),
                    None => Checked::Rejected,
                }
            }
            "profiles" => match reader.strings(key, item) {
                Some(words) => profiles = words,
                None => incomplete = true,
            },
            "moved" => moved = reader.moved("keyset.*.moved", reader.at(item.span()), item),
            "freeze" => freeze = reader.freeze(item),
            _ => protect = reader.flag(key, item),
        });
        body.incomplete |= incomplete;
        match label {
            Some(label) => self.out.keysets.push(KeysetTable {
                label,
                origin: at,
                app,
                profiles,
                protect,
                freeze,
                moved,
                body,
            }),
            None => self.out.named_profiles.extend(profiles.into_iter().map(|word| word.text)),
        }
    }

    /// What a profile or keyset says, by the path of its table; `own` takes the keys that only a
    /// keyset has.
    fn settings(
        &mut self,
        table: &DeTable<'_>,
        owner: &str,
        own: &mut dyn FnMut(&mut Self, &str, &Item<'_>),
    ) -> Body {
        let mut body = Body::default();
        for (key, item) in table {
            let word = key.get_ref().as_ref();
            let row = grammar::keys(KEYSET).find(|row| row.name() == word);
            if let Some(row) = row {
                match word {
                    "ignore" => body.ignored.extend(self.ignored(item)),
                    "rotate" => body.rotate = self.rotate(item),
                    "push" => body.push = self.push(item),
                    _ if row.place == Place::KeysetOnly && owner == PROFILE => self.misplaced(
                        key,
                        "not part of a profile",
                        &format!("write `{word}` in `[keyset.LABEL]`"),
                    ),
                    _ => own(self, word, item),
                }
            } else if let Some((index, section)) =
                SECTIONS.iter().enumerate().find(|(_, s)| s.call == Call::Config && s.name == word)
            {
                match self.table(section.name, item) {
                    Some(fields) => self.section(&mut body, index, fields),
                    None => body.incomplete = true,
                }
            } else if let Some(id) = identity().and_then(|section| FieldId::within(section, word)) {
                if id.field().life == Life::Fixed {
                    self.misplaced(
                        key,
                        "comes from the app",
                        "write `app = \"LABEL\"` and declare `[app.LABEL]`",
                    );
                } else if owner == PROFILE && Some(id) != kind_of_keyset() {
                    self.misplaced(
                        key,
                        "not part of a profile",
                        &format!("write `{word}` in `[keyset.LABEL]`"),
                    );
                } else {
                    self.field(&mut body, id, item);
                }
            } else {
                body.incomplete |= self.unknown_in_settings(key, item, owner);
            }
        }
        body.settings.shrink_to_fit();
        body
    }

    /// A key in a profile or keyset that is neither section nor field. Says whether something may
    /// be missing because of it.
    fn unknown_in_settings(&mut self, key: &Key<'_>, item: &Item<'_>, owner: &str) -> bool {
        let word = key.get_ref().as_ref();
        let at = self.at(key.span());
        let sections = SECTIONS.iter().filter(|s| s.call == Call::Config).map(|s| s.name);
        if item.get_ref().is_table() {
            let mut problem = Problem::new(
                codes::UNKNOWN_KEY,
                at,
                format!("unknown section {}", Quoted(word)),
                "not known to the Admin API",
            );
            problem = match self.out.nearest.of(word, sections.clone()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")).fix(at, near),
                None => problem.help(format!(
                    "sections: {}",
                    sections.map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", ")
                )),
            };
            self.report(problem);
            return true;
        }
        let own = grammar::keys(owner).map(Row::name);
        let identity = FieldId::all().filter(|id| {
            id.section().call == Call::Keyset
                && id.field().life != Life::Fixed
                && (owner == KEYSET || Some(*id) == kind_of_keyset())
        });
        let names: Vec<&str> = own.chain(identity.map(|id| id.field().name)).collect();
        let mut problem = Problem::new(
            codes::UNKNOWN_KEY,
            at,
            format!("unknown key {}", Quoted(word)),
            "not known to keyform",
        );
        let mut slip = false;
        if let Some(near) = self.out.nearest.of(word, names.iter().copied()) {
            problem = problem.help(format!("did you mean `{near}`?")).fix(at, near);
            slip = true;
        } else if let Some(help) = self.in_sections(word, |_| true) {
            problem = problem.help(help);
        } else {
            problem = problem.help(format!(
                "known here: {}, and sections",
                names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
            ));
        }
        self.report(problem);
        slip
    }
}
