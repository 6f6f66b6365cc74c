//! `[secrets.age]`: for whom secrets are sealed, and where.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::de::DeTable;

use super::codes;
use super::private::is_private;
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item};
use super::recipients::{self, Bad};
use super::secrets::{AgeSettings, DIR};
use super::tables::{Checked, Word};
use crate::keyset::Origin;
use crate::keyset::settings::bad_text;

impl FileReader<'_> {
    pub(super) fn age(&mut self, at: Origin, table: &DeTable<'_>) -> Option<AgeSettings> {
        let (mut recipients, mut dir) = (Checked::Absent, Checked::Absent);
        for (row, _, item) in self.entries("secrets.age", at, table).known {
            match row.name() {
                "recipients" => recipients = Checked::read(self.recipients(item)),
                _ => dir = Checked::read(self.folder(item)),
            }
        }
        let dir = match dir {
            Checked::Absent => DIR.into(),
            Checked::Valid(dir) => dir,
            Checked::Rejected => return None,
        };
        recipients.value().map(|recipients| AgeSettings { recipients, dir })
    }

    fn recipients(&mut self, item: &Item<'_>) -> Option<Vec<String>> {
        // Before anything else: this is not to wait until another mistake is mended.
        for item in item.get_ref().as_array().map_or(std::slice::from_ref(item), |items| items) {
            if item.get_ref().as_str().is_some_and(is_private) {
                self.private_key(self.at(item.span()));
            }
        }
        if item.get_ref().as_str().is_some_and(is_private) {
            return None;
        }
        let words = self.strings("secrets.age.recipients", item)?;
        if words.is_empty() {
            self.names_none(
                codes::NO_RECIPIENT,
                "secrets.age.recipients",
                "recipient",
                "nobody could open what is sealed: name at least one public key",
                item,
            );
            return None;
        }
        let mut seen: BTreeMap<String, Origin> = BTreeMap::new();
        let mut good = Some(Vec::new());
        for Word { text, origin } in words {
            match recipients::check(&text) {
                Ok(key) => {
                    if seen.insert(key, origin).is_some() {
                        let problem = Problem::new(
                            codes::RECIPIENT_TWICE,
                            origin,
                            "a recipient is named twice",
                            "the same key as before",
                        );
                        self.report(problem.help("remove one of the two"));
                    }
                    good.as_mut().into_iter().for_each(|good| good.push(text.clone().into()));
                    continue;
                }
                Err(Bad::Private) => {}
                Err(Bad::Other { label, help }) => {
                    self.report(
                        Problem::new(
                            codes::BAD_RECIPIENT,
                            origin,
                            format!("not a recipient: {}", Quoted(&text)),
                            label,
                        )
                        .help(help),
                    );
                }
            }
            good = None;
        }
        good
    }

    /// Says nothing of the key itself; the line it stands in is not shown either.
    fn private_key(&mut self, at: Origin) {
        let label = "this looks like a private key; its line is not shown";
        let problem = Problem::new(
            codes::PRIVATE_KEY,
            at,
            "a private key among the recipients",
            label,
        )
        .help(
            "write the public key instead (`age-keygen -y` prints it); if others could read this \
             file, make a new key pair and use the old \
             one no more",
        );
        self.report(problem);
    }

    fn folder(&mut self, item: &Item<'_>) -> Option<PathBuf> {
        let (text, at) = self.string("secrets.age.dir", item)?;
        let part = |wanted: &str| text.split('/').any(|part| part == wanted);
        let why = if let Some(why) = bad_text(text, 255) {
            why
        } else if text.starts_with(['/', '~']) || text.contains(['\\', ':']) {
            "is not relative to the project, with `/`"
        } else if text.split('/').all(|part| part.is_empty() || part == ".") {
            "is the project's own folder"
        } else if part("..") {
            "leads out of the folder it is in: `..`"
        } else {
            return Some(text.into());
        };
        self.report(
            Problem::new(codes::BAD_DIR, at, "wrong value for `secrets.age.dir`", why)
                .help("a folder of the project, such as `secrets`"),
        );
        None
    }
}
