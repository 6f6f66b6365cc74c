use std::collections::BTreeMap;

use super::error::Exit;
use super::format::Format;
use super::output::Output;
use super::repository::folder_in;
use super::{Global, github as step};
use crate::config::{self, Severity};
use crate::documents::problems::{Problem, Validate};
use crate::render::github::{self, Level, annotation};
use crate::render::text::count;
use crate::render::{gitlab, problems, sarif, style::GOOD};

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(global: &Global, _args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let mut loaded = config::load(&global.dir);
    if output.format().names_files_from_outside() {
        loaded.sources.below(&folder_in(&global.dir));
    }
    let errors = loaded.problems.iter().filter(|p| p.severity == Severity::Error).count();
    let warnings = loaded.problems.len() - errors;
    let exit = if errors > 0 { Exit::Error } else { Exit::Done };
    let config::Loaded { sources, problems: all, .. } = &loaded;
    let counts = BTreeMap::from([("errors", errors), ("warnings", warnings)]);
    match output.format() {
        Format::Json => {
            let problems = Problem::all(all, sources);
            output.document(Validate { errors, warnings, problems }, exit);
        }
        Format::Markdown => {
            output.raw(&problems::for_markdown(all, sources, &told(&loaded, errors, warnings)))
        }
        Format::Github => {
            let told = told(&loaded, errors, warnings);
            let annotations = github::problems(all, sources)
                + &annotation(Level::Notice, None, "validate", &[&told]);
            let summary = problems::for_markdown(all, sources, &told);
            step::tell(output, &annotations, &summary, &step::outputs(&counts, false, exit));
        }
        Format::Gitlab => output.json(&gitlab::problems(all, sources)),
        Format::Sarif => output.json(&sarif::problems(all, sources, env!("CARGO_PKG_VERSION"))),
        _ => human(&loaded, errors, warnings, output),
    }
    Ok(exit)
}

/// In one line.
fn told(loaded: &config::Loaded, errors: usize, warnings: usize) -> String {
    let files = count(loaded.sources.files.len(), "file");
    match &loaded.project {
        Some(project) if errors == 0 => {
            let (apps, keysets) = (project.desired.apps.len(), project.desired.keysets.len());
            let warned = if warnings > 0 {
                format!(", {}", count(warnings, "warning"))
            } else {
                String::new()
            };
            format!(
                "Valid: {} and {} in {files}{warned}.",
                count(apps, "app"),
                count(keysets, "keyset")
            )
        }
        _ => format!("{} and {} in {files}.", count(errors, "error"), count(warnings, "warning")),
    }
}

fn human(loaded: &config::Loaded, errors: usize, warnings: usize, output: &Output) {
    if !loaded.problems.is_empty() {
        output.error(
            problems::human(&loaded.problems, &loaded.sources, output.colors_stderr()).trim_end(),
        );
    }
    let told = told(loaded, errors, warnings);
    match told.strip_prefix("Valid") {
        Some(rest) => output.result(&format!("{GOOD}Valid{GOOD:#}{rest}\n")),
        None => output.error(&format!("\n{told}")),
    }
}
