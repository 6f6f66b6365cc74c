//! stdout for results, stderr for everything else, through one printer.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::error::Exit;
use super::format::Format;
use super::github;
use super::{Color, Global};
use crate::documents::event::Event;
use crate::documents::{Document, Envelope, to_json};
use crate::ops::SystemClock;
use crate::ports::Clock as _;
use crate::render::view::{Offer, Shown, StepResult};
use crate::render::{events, text};

/// A result did not get to where stdout leads.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether a part of the result could not be written, such as to a full disk. `| head` loses
/// nothing.
pub fn lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// A part of the result is lost, and the command is not done.
pub fn note_loss() {
    LOST.store(true, Ordering::Relaxed);
}

/// Where texts go. Styles are in the texts and are stripped here where they are not wanted.
#[derive(Clone, Copy)]
pub struct Output {
    format: Format,
    of_errors: Format,
    quiet: bool,
    stdout: anstream::ColorChoice,
    stderr: anstream::ColorChoice,
}

impl Output {
    /// `of_errors`: the format of errors.
    pub fn new(global: &Global, of_errors: Format) -> Output {
        let choice = |auto: anstream::ColorChoice| match global.color {
            Color::Auto => auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        Output {
            format: global.format,
            of_errors,
            quiet: global.quiet,
            stdout: choice(anstream::AutoStream::choice(&std::io::stdout())),
            stderr: choice(anstream::AutoStream::choice(&std::io::stderr())),
        }
    }

    pub fn format(&self) -> Format {
        self.format
    }
    pub fn format_of_errors(&self) -> Format {
        self.of_errors
    }
    pub fn is_human(&self) -> bool {
        self.format == Format::Human
    }
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }
    /// Whether text for stderr is coloured.
    pub fn colors_stderr(&self) -> bool {
        self.stderr != anstream::ColorChoice::Never
    }

    /// A result for people; nothing when the format is another.
    pub fn result(&self, text: &str) {
        if self.is_human() {
            written(&mut anstream::AutoStream::new(std::io::stdout().lock(), self.stdout), text);
        }
    }
    /// A result whatever the format: what the command exists to print.
    pub fn raw(&self, text: &str) {
        written(&mut std::io::stdout().lock(), text);
    }
    /// A result in the format that was asked for. Where it has none, which `format::check` refuses
    /// before anything is done, the result is lost.
    pub fn show<R>(&self, offer: Offer<R>, result: R) {
        let nothing = || Shown::Failed("this format does not have it".to_owned());
        match offer.map_or_else(nothing, |view| view(result)) {
            Shown::Text { stdout, stderr } => {
                if let Some(stderr) = stderr {
                    self.error(&stderr);
                }
                self.result(&stdout);
            }
            Shown::Raw(text) => self.raw(&text),
            Shown::Json(json) => self.json(&json),
            Shown::JsonLine(json) => self.json_line(&json),
            Shown::Events(events) => events.into_iter().for_each(|event| self.event(|| event)),
            Shown::Step(StepResult { annotations, summary, outputs }) => {
                github::tell(self, &annotations, &summary, &outputs);
            }
            Shown::Failed(why) => {
                self.error(&format!("the result could not be written: {why}"));
                note_loss();
            }
        }
    }
    /// A result for programs: one of keyform's own documents.
    pub fn document<D: Document>(&self, document: D, exit: Exit) {
        self.json(&Envelope::new(document, exit as u8));
    }
    /// A result for programs: JSON of any kind and a newline.
    pub fn json(&self, json: &impl Serialize) {
        let json = to_json(json);
        written(&mut std::io::stdout().lock(), &(text::json(&format!("{json:#}")) + "\n"));
    }
    /// The same on one line, for those who ask for that.
    pub fn json_line(&self, json: &impl Serialize) {
        let json = to_json(json);
        written(&mut std::io::stdout().lock(), &(text::json(&json.to_string()) + "\n"));
    }
    /// A line for programs that follow; nothing when the format is another. It is written at once.
    pub fn event(&self, event: impl FnOnce() -> Event) {
        if self.format == Format::Jsonl {
            written(
                &mut std::io::stdout().lock(),
                &format!("{}\n", events::line(event(), SystemClock.now())),
            );
        }
    }
    /// A line about how it goes; not with `--quiet`.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.error(text);
        }
    }
    /// A line that must be seen.
    pub fn error(&self, text: &str) {
        let mut to = anstream::AutoStream::new(std::io::stderr().lock(), self.stderr);
        // There is nobody left to tell.
        let _ = to.write_all(format!("{text}\n").as_bytes());
    }
}

fn written(stdout: &mut impl Write, text: &str) {
    let done = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    // Whoever reads has had enough (`| head`): a quiet end of printing, not of work.
    if let Err(error) = done
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        tracing::warn!("output: {error}");
        note_loss();
    }
}

/// Whether a person can be asked: both ends are a terminal.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// `-v` and `KEYFORM_LOG` decide what is logged; it goes to stderr.
pub fn start_log(global: &Global) {
    use tracing_subscriber::EnvFilter;
    let default = match global.verbose {
        0 if global.quiet => "off",
        0 => "keyform=warn",
        1 => "keyform=debug",
        _ => "keyform=trace,reqwest=debug,hyper_util=debug",
    };
    let filter = EnvFilter::builder()
        .with_env_var("KEYFORM_LOG")
        .try_from_env()
        .unwrap_or_else(|_| EnvFilter::new(default));
    let color = global.color == Color::Always
        || (global.color == Color::Auto && std::io::stderr().is_terminal());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(color);
    // A second start in one process (tests) keeps the first log.
    let _ = match global.verbose {
        0 => log.with_target(false).without_time().try_init(),
        _ => log.with_target(true).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(std::io::ErrorKind);
    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_loses_a_result_and_a_reader_who_left_does_not() {
        written(&mut Fails(std::io::ErrorKind::BrokenPipe), "text");
        assert!(!lost());
        written(&mut Fails(std::io::ErrorKind::StorageFull), "text");
        assert!(lost());
    }
}
