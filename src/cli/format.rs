//! In which formats results are written, and which command has which.

use clap::ValueEnum;

use super::Command;
use super::error::{Cause, Failure};

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
    let (name, formats) = of(command);
    if formats.contains(&format) {
        return Ok(());
    }
    let names: Vec<String> = formats.iter().map(|format| format.name()).collect();
    let failure = Failure::new(
        Cause::Error,
        format!("`{name}` does not have the format `{}`: nothing was done", format.name()),
    );
    Err(failure.help(format!("it has {}", names.join(", "))).into())
}

/// In which format an error is written to stdout. Where that is no place for a comment or
/// annotations, only JSON is: whoever asked for it reads nothing else.
pub fn of_errors(command: &Command, format: Format) -> Format {
    match format {
        Format::Json | Format::Jsonl => format,
        _ if matches!(command, Command::Env(_)) || !of(command).1.contains(&format) => {
            Format::Human
        }
        _ => format,
    }
}

/// The command's name and its formats.
fn of(command: &Command) -> (&'static str, &'static [Format]) {
    use Format::{
        Dotenv, Github, Gitlab, Human, Json, Jsonl, Junit, Markdown, Sarif, Shell, TerraformJson,
    };
    match command {
        Command::Validate(_) => ("validate", &[Human, Json, Markdown, Github, Gitlab, Sarif]),
        Command::Plan(_) => ("plan", &[Human, Json, Markdown, Github, Gitlab, TerraformJson]),
        Command::Apply(_) => ("apply", &[Human, Json, Jsonl, Markdown, Github]),
        Command::Drift(args) if args.accepts() => ("drift --accept", &[Human, Json]),
        Command::Drift(_) => ("drift", &[Human, Json, Markdown, Github, Sarif, Junit]),
        Command::Parity(_) => ("parity", &[Human, Json, Markdown, Github]),
        Command::Show(_) => ("show", &[Human, Json, Markdown]),
        Command::Env(_) => ("env", &[Human, Json, Dotenv, Shell, Github]),
        Command::Init(_) => ("init", &[Human, Json]),
        Command::Adopt(_) => ("adopt", &[Human, Json]),
        Command::Log(_) => ("log", &[Human, Json]),
        Command::State(_) => ("state", &[Human, Json]),
        Command::Run(_) => ("run", &[Human, Json]),
        Command::Secrets(_) => ("secrets", &[Human, Json]),
        Command::Login(_) => ("login", &[Human, Json]),
        Command::Logout(_) => ("logout", &[Human, Json]),
        Command::Sandbox(_) => ("sandbox", &[Human, Json]),
        Command::Schema(_) => ("schema", &[Human, Json]),
        Command::Completions(_) => ("completions", &[Human, Json]),
        Command::Man(_) => ("man", &[Human, Json]),
    }
}
