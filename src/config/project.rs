//! `[project]`.

use toml::de::DeTable;

use super::codes;
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item};
use super::tables::Checked;
use crate::keyset::{Origin, ProjectName};

impl FileReader<'_> {
    pub(super) fn project(&mut self, at: Origin, table: &DeTable<'_>) {
        self.out.head.project = Some(at);
        for (row, _, item) in self.entries("project", at, table).known {
            match row.name() {
                "name" => self.out.head.name = Checked::read(self.project_name(item)),
                "include" => match self.strings(row.shown(), item) {
                    Some(words) => self.out.head.include = words,
                    None => _ = self.out.broken.insert(self.file),
                },
                _ => self.out.head.freeze = self.freeze(item),
            }
        }
    }

    fn project_name(&mut self, item: &Item<'_>) -> Option<ProjectName> {
        let (text, at) = self.string("project.name", item)?;
        let name = ProjectName::parse(text);
        if let Err(bad) = &name {
            let title = format!("bad project name {}", Quoted(text));
            let problem = Problem::new(codes::BAD_LABEL, at, title, bad.to_string()).help(
                "a name is 1 to 128 of `a-z A-Z 0-9 . _ -` and starts with a letter or digit",
            );
            self.report(problem);
        }
        name.ok()
    }
}
