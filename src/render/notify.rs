//! What a webhook is told. No secret: counts, labels, and the messages that stdout has too.

use serde::Serialize;

use super::drift;
use super::text::{count, terminal};
use crate::audit::Origin;
use crate::config::Occasion;
use crate::documents::Envelope;
use crate::documents::notification::Notification;
use crate::plan::Drift;

/// Entries that are told one by one.
const MOST: usize = 20;
/// Characters of an entry.
const LONGEST: usize = 300;

/// What happened, in which run.
pub struct Notice<'a> {
    pub occasion: Occasion,
    pub project: &'a str,
    pub at: jiff::Timestamp,
    pub origin: &'a Origin,
    /// The page of the pipeline's run, where it has one.
    pub run: Option<&'a str>,
    pub exit_code: u8,
    /// One line.
    pub summary: String,
    /// A line each.
    pub entries: Vec<String>,
}

/// What Slack, and what is compatible with it, takes.
#[derive(Debug, Serialize)]
pub struct SlackMessage {
    pub text: String,
}

impl Notice<'_> {
    /// The body of a webhook that takes keyform's own.
    pub fn document(&self) -> Envelope<Notification> {
        let notification = Notification {
            event: self.occasion.name(),
            project: self.project.to_owned(),
            at: format!("{:.0}", self.at),
            actor: self.origin.actor.to_string(),
            host: self.origin.host.to_string(),
            commit: self.origin.commit.as_deref().map(str::to_owned),
            run: self.run.map(str::to_owned),
            summary: self.summary.clone(),
            entries: self.entries().collect(),
            left_out: self.left_out(),
        };
        Envelope::new(notification, self.exit_code)
    }

    /// `{"text": "..."}`: in names and values of others nothing is a link, a mention or a format.
    pub fn slack(&self) -> SlackMessage {
        let mut text = format!(
            "*keyform {}* of {}: {}\n",
            self.occasion.name(),
            code(self.project),
            escaped(&self.summary)
        );
        for entry in self.entries() {
            text.push_str(&format!("• {}\n", code(&entry)));
        }
        if self.left_out() > 0 {
            text.push_str(&format!("and {} more\n", self.left_out()));
        }
        let commit = self.origin.commit.as_ref().map(|commit| {
            format!(", commit {}", code(&commit.chars().take(12).collect::<String>()))
        });
        text.push_str(&format!("by {}{}", code(&self.origin.actor), commit.unwrap_or_default()));
        if let Some(run) = self.run.filter(|run| is_link(run)) {
            text.push_str(&format!(" - <{run}|the run>"));
        }
        SlackMessage { text }
    }

    fn entries(&self) -> impl Iterator<Item = String> + '_ {
        self.entries.iter().take(MOST).map(|entry| {
            let text = terminal(entry);
            if text.chars().count() <= LONGEST {
                text.into_owned()
            } else {
                text.chars().take(LONGEST).chain(['…']).collect()
            }
        })
    }

    fn left_out(&self) -> usize {
        self.entries.len().saturating_sub(MOST)
    }
}

/// The three characters that mean something to Slack anywhere.
fn escaped(text: &str) -> String {
    terminal(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Shown as it is; a backtick would end it.
fn code(text: &str) -> String {
    format!("`{}`", escaped(text).replace('`', "'"))
}

fn is_link(text: &str) -> bool {
    text.starts_with("https://")
        && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '|' | '`'))
}

/// One line, and a line for each finding.
pub fn drift(found: &Drift) -> (String, Vec<String>) {
    let entries = found.findings.iter().map(drift::sentence).collect();
    (format!("{}.", count(found.findings.len(), "difference")), entries)
}
