//! `[notify]`: whom to tell of what was found or done.

use toml::de::DeTable;

use super::codes;
use super::parse::{FileReader, Item};
use super::problem::{Problem, Quoted};
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
}

impl Occasion {
    pub const ALL: [(&'static str, Occasion); 2] =
        [("drift", Occasion::Drift), ("apply", Occasion::Apply)];
    pub fn name(self) -> &'static str {
        match self {
            Occasion::Drift => "drift",
            Occasion::Apply => "apply",
        }
    }
}

const HELP: &str = "put the address into a variable of the environment and name that: `url \
                    = \"env:KEYFORM_WEBHOOK\"`";

impl FileReader<'_> {
    pub(super) fn notify(&mut self, origin: Origin, table: &DeTable<'_>) {
        let (mut variable, mut form, mut on, mut slip) =
            (None, Form::default(), Occasion::ALL.map(|(_, on)| on).to_vec(), false);
        for (key, item) in table {
            match key.get_ref().as_ref() {
                "url" => variable = self.variable(item),
                "form" => {
                    let Some((text, at)) = self.string("notify.form", item) else { continue };
                    match Form::ALL.iter().find(|(name, _)| *name == text) {
                        Some((_, found)) => form = *found,
                        None => self.not_in_list(
                            "notify.form",
                            text,
                            &Form::ALL.map(|(name, _)| name),
                            at,
                        ),
                    }
                }
                "on" => {
                    let Some(words) = self.strings("notify.on", item) else { continue };
                    on.clear();
                    for word in words {
                        match Occasion::ALL.iter().find(|(name, _)| *name == &*word.text) {
                            Some((_, found)) if !on.contains(found) => on.push(*found),
                            Some(_) => {}
                            None => self.not_in_list(
                                "notify.on",
                                &word.text,
                                &Occasion::ALL.map(|(name, _)| name),
                                word.origin,
                            ),
                        }
                    }
                }
                _ => slip |= self.unknown_key(key, "key in `[notify]`", ["url", "form", "on"]),
            }
        }
        if table.get("url").is_none() && !slip {
            self.missing(codes::MISSING_KEY, origin, "notify", "url", HELP);
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
        self.report(problem.help(HELP));
        None
    }
}
