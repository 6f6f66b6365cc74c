//! `[secrets.exec]`: a program that keeps secrets.

use std::time::Duration;

use toml::de::DeTable;

use super::codes;
use super::problem::Problem;
use super::reader::{FileReader, Item};
use super::secrets::{ExecSettings, TIMEOUT};
use super::tables::Checked;
use crate::keyset::Origin;

impl FileReader<'_> {
    pub(super) fn exec(&mut self, at: Origin, table: &DeTable<'_>) -> Option<ExecSettings> {
        let (mut command, mut timeout) = (Checked::Absent, Checked::Absent);
        for (row, _, item) in self.entries("secrets.exec", at, table).known {
            match row.name() {
                "command" => command = Checked::read(self.command(item)),
                _ => timeout = Checked::read(self.integer_in_range(row, item)),
            }
        }
        let timeout = match timeout {
            Checked::Absent => TIMEOUT,
            Checked::Valid(timeout) => timeout,
            Checked::Rejected => return None,
        };
        let timeout = Duration::from_secs(timeout);
        command.value().map(|command| ExecSettings { command, timeout })
    }

    fn command(&mut self, item: &Item<'_>) -> Option<Vec<String>> {
        let words = self.strings("secrets.exec.command", item)?;
        let (at, why) = match words.first() {
            None => (self.at(item.span()), "names no program"),
            Some(program) if program.text.trim().is_empty() => {
                (program.origin, "the program's name is empty")
            }
            Some(_) => match words.iter().find(|word| word.text.contains('\0')) {
                Some(word) => (word.origin, "no program takes a NUL character"),
                None => return Some(words.into_iter().map(|word| word.text.into()).collect()),
            },
        };
        self.report(
            Problem::new(codes::BAD_COMMAND, at, "wrong value for `secrets.exec.command`", why)
                .help(
                    "the program, then its arguments: `command = [\"./sinks/vault\", \"--mount\", \
                 \"kv\"]`",
                ),
        );
        None
    }
}
