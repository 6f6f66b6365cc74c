use super::Global;
use super::error::Exit;
use super::output::Output;
use super::repository::folder_in;
use crate::config::{self, Severity};
use crate::render::text::count;
use crate::render::view::Problems;

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
    let shown = Problems {
        problems: all,
        sources,
        errors,
        warnings,
        summary: &told(&loaded, errors, warnings),
        color: output.colors_stderr(),
        exit_code: exit as u8,
    };
    output.show(output.format().view().problems(), shown);
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
