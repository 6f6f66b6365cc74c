//! In which formats results are written, and which command has which.

use clap::ValueEnum;

use super::Command;
use super::error::{Cause, Failure};
use crate::render::view::{self, View};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Human,
    /// One JSON document (`keyform schema --of` describes it)
    Json,
    /// A JSON object a line, while it happens
    Jsonl,
    /// For comments and issues; fits one
    Markdown,
    /// For GitHub Actions: annotations, step summary, outputs; variables for `env`
    Github,
    /// For GitLab: the merge request's widget of a plan, the code quality report of a check
    Gitlab,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML
    Junit,
    /// A plan as Terraform writes it, for tools that read that
    TerraformJson,
    /// `NAME=value`
    Dotenv,
    /// `export NAME='value'`
    Shell,
}

impl Format {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub fn view(self) -> &'static dyn View {
        match self {
            Format::Human => &view::Human,
            Format::Json => &view::JsonDocument,
            Format::Jsonl => &view::Jsonl,
            Format::Markdown => &view::Markdown,
            Format::Github => &view::Github,
            Format::Gitlab => &view::Gitlab,
            Format::Sarif => &view::Sarif,
            Format::Junit => &view::Junit,
            Format::TerraformJson => &view::TerraformJson,
            Format::Dotenv => &view::Dotenv,
            Format::Shell => &view::Shell,
        }
    }

    /// Paths in it are looked for by somebody who sees the whole repository.
    pub fn names_files_from_outside(self) -> bool {
        match self {
            Format::Markdown | Format::Github | Format::Gitlab | Format::Sarif | Format::Junit => {
                true
            }
            Format::Human
            | Format::Json
            | Format::Jsonl
            | Format::TerraformJson
            | Format::Dotenv
            | Format::Shell => false,
        }
    }

    /// What was asked for in arguments that cannot be understood otherwise.
    pub fn in_arguments(arguments: impl Iterator<Item = std::ffi::OsString>) -> Option<Format> {
        let mut arguments = arguments.take_while(|argument| argument != "--");
        while let Some(argument) = arguments.next() {
            let argument = argument.to_str()?.to_owned();
            let value = match argument.strip_prefix("--format") {
                Some("") => arguments.next()?.to_str()?.to_owned(),
                Some(value) => value.strip_prefix('=')?.to_owned(),
                None => continue,
            };
            return Format::from_str(&value, false).ok();
        }
        None
    }
}

/// Before anything is done.
pub fn check(command: &Command, format: Format) -> anyhow::Result<()> {
    if offers(command, format) {
        return Ok(());
    }
    let all = match command {
        Command::Env(_) => &super::env::FORMATS,
        _ => Format::value_variants(),
    };
    let offered = all.iter().filter(|format| offers(command, **format));
    let names: Vec<String> = offered.map(|format| format.name()).collect();
    let failure = Failure::new(
        Cause::Error,
        format!(
            "`{}` does not have the format `{}`: nothing was done",
            name(command),
            format.name()
        ),
    );
    Err(failure.help(format!("it has {}", names.join(", "))).into())
}

/// In which format an error is written to stdout. Where that is no place for a comment or
/// annotations, only JSON is: whoever asked for it reads nothing else.
pub fn of_errors(command: &Command, format: Format) -> Format {
    match format {
        Format::Json | Format::Jsonl => format,
        _ if matches!(command, Command::Env(_)) || !offers(command, format) => Format::Human,
        _ => format,
    }
}

/// Whether the command's result can be shown in this format: the view says it.
fn offers(command: &Command, format: Format) -> bool {
    let view = format.view();
    match command {
        Command::Validate(_) => view.problems().is_some(),
        Command::Plan(_) => view.plan().is_some(),
        Command::Apply(_) => view.report().is_some() && view.plan_of_apply().is_some(),
        Command::Drift(args) if args.accepts() => view.told().is_some(),
        Command::Drift(_) => view.drift().is_some(),
        Command::Parity(_) => view.parity().is_some(),
        Command::Show(_) => view.inventory().is_some(),
        Command::Log(_) => view.log().is_some(),
        // It writes keys, which no view sees.
        Command::Env(_) => super::env::FORMATS.contains(&format),
        Command::Init(_)
        | Command::Adopt(_)
        | Command::State(_)
        | Command::Run(_)
        | Command::Secrets(_)
        | Command::Login(_)
        | Command::Logout(_)
        | Command::Sandbox(_)
        | Command::Schema(_)
        | Command::Completions(_)
        | Command::Man(_) => view.told().is_some(),
    }
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Validate(_) => "validate",
        Command::Plan(_) => "plan",
        Command::Apply(_) => "apply",
        Command::Drift(args) if args.accepts() => "drift --accept",
        Command::Drift(_) => "drift",
        Command::Parity(_) => "parity",
        Command::Show(_) => "show",
        Command::Env(_) => "env",
        Command::Init(_) => "init",
        Command::Adopt(_) => "adopt",
        Command::Log(_) => "log",
        Command::State(_) => "state",
        Command::Run(_) => "run",
        Command::Secrets(_) => "secrets",
        Command::Login(_) => "login",
        Command::Logout(_) => "logout",
        Command::Sandbox(_) => "sandbox",
        Command::Schema(_) => "schema",
        Command::Completions(_) => "completions",
        Command::Man(_) => "man",
    }
}
