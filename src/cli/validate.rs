use super::Global;
use super::error::Exit;
use super::output::Output;
use crate::config::{self, Severity};
use crate::render::text::count;
use crate::render::{problems, style::GOOD};

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(global: &Global, _args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let loaded = config::load(&global.dir);
    let errors = loaded.problems.iter().filter(|p| p.severity == Severity::Error).count();
    let warnings = loaded.problems.len() - errors;
    let exit = if errors > 0 { Exit::Error } else { Exit::Done };
    if output.is_json() {
        output.json(&serde_json::json!({
            "format_version": 1,
            "kind": "validate",
            "exit_code": exit as u8,
            "errors": errors,
            "warnings": warnings,
            "problems": problems::json(&loaded.problems, &loaded.sources),
        }));
        return Ok(exit);
    }
    if !loaded.problems.is_empty() {
        output.error(problems::human(&loaded.problems, &loaded.sources, output.colors_stderr()).trim_end());
    }
    match &loaded.project {
        Some(project) if errors == 0 => {
            let (apps, keysets) = (project.desired.apps.len(), project.desired.keysets.len());
            let warned = if warnings > 0 { format!(", {}", count(warnings, "warning")) } else { String::new() };
            output.result(&format!(
                "{GOOD}Valid{GOOD:#}: {} and {} in {}{warned}.\n",
                count(apps, "app"),
                count(keysets, "keyset"),
                count(loaded.sources.files.len(), "file")
            ));
        }
        _ => output.error(&format!(
            "\n{} and {} in {}.",
            count(errors, "error"),
            count(warnings, "warning"),
            count(loaded.sources.files.len(), "file")
        )),
    }
    Ok(exit)
}
