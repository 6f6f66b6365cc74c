//! From errors to what a person reads and what a program gets: the one place that prints an error.

use std::process::ExitCode;

use crate::apply::Report;
use crate::documents::error as documents;
use crate::documents::{Envelope, problems::Problem};
use crate::ops::{InvalidConfiguration, SystemClock, sinks::SINK_HELP};
use crate::ports::{ApiError, Clock as _, SinkError};
use crate::render::style::{BAD, BOLD};
use crate::render::text::terminal;
use crate::render::{errors, events, problems};
use crate::state::StateError;

use super::format::Format;
use super::github;
use super::output::Output;

pub use crate::ops::{Cause, Failure};

/// Exit codes, as the README lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Error = 1,
    Differences = 2,
    Refused = 3,
    Partial = 4,
    NoSink = 5,
    Locked = 6,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// What a run ends with that did what it could.
pub fn exit_of(report: &Report) -> Exit {
    if report.interrupted {
        Exit::Interrupted
    } else if report.all_good() {
        Exit::Done
    } else {
        Exit::Partial
    }
}

impl From<Cause> for Exit {
    fn from(cause: Cause) -> Exit {
        match cause {
            Cause::Error => Exit::Error,
            Cause::Refused => Exit::Refused,
            Cause::Partial => Exit::Partial,
            Cause::NoSink => Exit::NoSink,
        }
    }
}

/// Prints the error to stderr, or as JSON to stdout, and says with what code to exit.
pub fn report(error: &anyhow::Error, output: &Output) -> Exit {
    let (exit, help) = classify(error);
    let message = error.chain().map(ToString::to_string).collect::<Vec<_>>();
    let whole = message.join(": ");
    let invalid = error.downcast_ref::<InvalidConfiguration>();
    // Says it better than the message.
    let markdown = || match invalid {
        Some(invalid) => {
            let told = format!("The configuration has {}; nothing was done.", invalid.found());
            problems::for_markdown(&invalid.problems, &invalid.sources, &told)
        }
        None => errors::for_markdown(&whole, &help),
    };
    match output.format_of_errors() {
        Format::Json => {
            let problems = invalid.map(|all| Problem::all(&all.problems, &all.sources));
            let (message, help) = (whole.clone(), help.clone());
            output.document(documents::Error { message, help, problems }, exit);
        }
        Format::Jsonl => output.event(|| events::error(&whole, &help)),
        Format::Markdown => output.raw(&markdown()),
        Format::Github => {
            let outputs = vec![
                ("error".to_owned(), whole.clone()),
                ("exit_code".to_owned(), (exit as u8).to_string()),
            ];
            github::tell(output, &errors::for_github(&whole, &help), &markdown(), &outputs);
        }
        // Reports of these formats that say nothing of errors would look like good news.
        Format::Gitlab | Format::Sarif | Format::Junit | Format::TerraformJson => {}
        Format::Human | Format::Dotenv | Format::Shell => {}
    }
    let mut text = format!("{BAD}error{BAD:#}: {}", terminal(&message[0]));
    // Some errors tell their cause themselves.
    for cause in message[1..].iter().filter(|cause| !message[0].contains(*cause)) {
        text.push_str(&format!("\n  cause: {}", terminal(cause)));
    }
    for line in &help {
        text.push_str(&format!("\n  {BOLD}help{BOLD:#}: {}", terminal(line)));
    }
    output.error(&text);
    exit
}

/// A mistake in the arguments, for the program that has made it. People are told already.
pub fn usage(error: &clap::Error, format: Option<Format>) {
    let text = error.render().to_string();
    let text = text.trim_start_matches("error: ").trim_end();
    // The one place without a printer: there are no arguments to make one of.
    let text = match format {
        Some(Format::Json) => {
            let (message, help) = (text.to_owned(), Vec::new());
            let error = documents::Error { message, help, problems: None };
            format!("{:#}\n", Envelope::new(error, Exit::Error as u8).to_json())
        }
        Some(Format::Jsonl) => {
            let lines = [events::error(text, &[]), events::end(Exit::Error as u8)];
            lines.map(|event| format!("{}\n", events::line(event, SystemClock.now()))).concat()
        }
        _ => return,
    };
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}

fn classify(error: &anyhow::Error) -> (Exit, Vec<String>) {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return (failure.cause.into(), failure.help.clone());
    }
    if let Some(api) = error.downcast_ref::<ApiError>() {
        return (Exit::Error, api.help().into_iter().collect());
    }
    if error.downcast_ref::<SinkError>().is_some() {
        return (Exit::NoSink, vec![SINK_HELP.to_owned()]);
    }
    if let Some(StateError::Locked { .. }) = error.downcast_ref::<StateError>() {
        return (
            Exit::Locked,
            vec!["wait until it ends; the lock goes with its process".to_owned()],
        );
    }
    (Exit::Error, Vec::new())
}
