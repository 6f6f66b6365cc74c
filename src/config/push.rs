//! `push`: files to upload, with the texts that go with them.

use toml::de::DeTable;

use super::codes;
use super::problem::Problem;
use super::reader::{FileReader, Item};
use crate::keyset::Origin;
use crate::keyset::push::{DeclaredPush, Push, PushTexts};
use crate::keyset::table::{NAME_MAX, PUSH};

impl FileReader<'_> {
    /// `push.SERVICE = { file = "...", ... }`
    pub(super) fn push(&mut self, item: &Item<'_>) -> Vec<DeclaredPush> {
        let mut all = Vec::new();
        let Some(table) = self.table("push", item) else { return all };
        for (key, item) in table {
            let Some(push) = Push::find(key.get_ref()) else {
                self.unknown_key(key, "key in `push`", PUSH.iter().map(|call| call.section));
                continue;
            };
            let Some(table) = self.table(&format!("push.{push}"), item) else { continue };
            all.extend(self.upload(push, self.at(key.span()), table));
        }
        all.sort_by_key(|declared| declared.push);
        all
    }

    fn upload(&mut self, push: Push, at: Origin, table: &DeTable<'_>) -> Option<DeclaredPush> {
        let path = format!("push.{push}");
        let wanted = || std::iter::once("file").chain(push.call().texts.iter().copied());
        let (mut file, mut texts, mut wrong) = (None, PushTexts::new(), false);
        for (key, item) in table {
            let word = key.get_ref().as_ref();
            if wanted().all(|name| name != word) {
                wrong |= self.unknown_key(key, &format!("key in `{path}`"), wanted());
                continue;
            }
            let text = self.text(&format!("{path}.{word}"), NAME_MAX, item, None);
            match text {
                None => wrong = true,
                Some((text, _)) if word != "file" => _ = texts.insert(word.into(), text.into()),
                Some((text, at)) if is_inside(text) => file = Some((text, at)),
                Some((_, at)) => {
                    let title = "a file outside the project";
                    let label = "leads out of the project's folder";
                    self.report(Problem::new(codes::OUTSIDE, at, title, label).help(
                        "the file's path is relative to the project, without `..`; copy it \
                         there, and keep it out of git",
                    ));
                    wrong = true;
                }
            }
        }
        if wrong {
            return None;
        }
        let is_there = |name: &str| match name {
            "file" => file.is_some(),
            text => texts.contains_key(text),
        };
        let missing: Vec<String> =
            wanted().filter(|name| !is_there(name)).map(|name| format!("`{name}`")).collect();
        let Some((file, origin)) = file.filter(|_| missing.is_empty()) else {
            let title = format!("`{path}` is not whole");
            let label = format!("missing: {}", missing.join(", "));
            self.report(
                Problem::new(codes::MISSING_KEY, at, title, label)
                    .help("an upload replaces all that is there, so it needs all of it"),
            );
            return None;
        };
        texts.extend([DeclaredPush::filename(file)]);
        Some(DeclaredPush { push, file: file.into(), texts, origin })
    }
}

/// Whether a path stays below the folder that it is relative to.
fn is_inside(path: &str) -> bool {
    use std::path::{Component, Path};
    let parts = Path::new(path).components();
    !path.contains('\\')
        && !path.ends_with('/')
        && parts.clone().count() > 0
        && parts.clone().all(|part| matches!(part, Component::Normal(_)))
}
