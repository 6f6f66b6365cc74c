//! `[notify]`: whom to tell of what was found or done.

use toml::de::DeTable;

use super::codes;
use super::grammar::NO_WEBHOOK;
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item};
use crate::keyset::Origin;

/// Where a notification goes, in which form, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The variable of the environment that holds the webhook's address, which is a secret: who
    /// knows it can post.
    pub variable: Box<str>,
    pub form: Form,
    pub on: Vec<Occasion>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// An object of keyform's own.
    #[default]
    Json,
    /// `{"text": ...}`, as Slack and what is compatible with it take it.
    Slack,
}

/// When there is something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// `drift` found differences.
    Drift,
    /// `apply` did something, or tried to.
    Apply,
}

impl Form {
    pub const ALL: [(&'static str, Form); 2] = [("json", Form::Json), ("slack", Form::Slack)];

    fn find(text: &str) -> Option<Form> {
        Form::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, form)| form)
    }
}

impl Occasion {
    pub const ALL: [(&'static str, Occasion); 2] =
        [("drift", Occasion::Drift), ("apply", Occasion::Apply)];

    fn find(text: &str) -> Option<Occasion> {
        Occasion::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, occasion)| occasion)
    }

    pub fn name(self) -> &'static str {
        match self {
            Occasion::Drift => "drift",
            Occasion::Apply => "apply",
        }
    }
}

impl FileReader<'_> {
    pub(super) fn notify(&mut self, at: Origin, table: &DeTable<'_>) {
        let (mut variable, mut form) = (None, Form::default());
        let mut on = Occasion::ALL.map(|(_, on)| on).to_vec();
        for (row, _, item) in self.entries("notify", at, table).known {
            match row.name() {
                "url" => variable = self.variable(item),
                "form" => {
                    let named = self.word(row, item).and_then(|(text, _)| Form::find(text));
                    form = named.unwrap_or(form);
                }
                _ => {
                    let Some(words) = self.words(row, item) else { continue };
                    on.clear();
                    for occasion in words.iter().filter_map(|word| Occasion::find(&word.text)) {
                        if !on.contains(&occasion) {
                            on.push(occasion);
                        }
                    }
                }
            }
        }
        if let Some(variable) = variable {
            self.out.head.notify = Some(Notify { variable, form, on });
        }
    }

    /// `env:NAME`
    fn variable(&mut self, item: &Item<'_>) -> Option<Box<str>> {
        let (text, at) = self.string("notify.url", item)?;
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let problem = match text.strip_prefix("env:") {
            Some(name)
                if name.starts_with(first)
                    && name.len() <= 200
                    && name.chars().all(|c| first(c) || c.is_ascii_digit()) =>
            {
                return Some(name.into());
            }
            Some(name) => Problem::new(
                codes::BAD_WEBHOOK,
                at,
                format!("{} is not the name of a variable", Quoted(name)),
                "letters, digits and `_`",
            ),
            // It may be one that works: it is not repeated.
            None => Problem::new(
                codes::BAD_WEBHOOK,
                at,
                "the address of a webhook does not belong here",
                "whoever can read this file could post with it",
            ),
        };
        self.report(problem.help(NO_WEBHOOK));
        None
    }
}
