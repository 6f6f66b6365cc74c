//! What a step of a GitHub workflow leaves behind: a part of the summary page, and outputs for the
//! next steps.

use std::fs::OpenOptions;
use std::io::Write as _;

use super::environment::variable;
use super::output::{self, Output};
use crate::render::github;

/// Values that the next steps can ask for, by name.
pub type Outputs = Vec<(String, String)>;

/// Annotations go to stdout, the rest to the files of the step, where it has any.
pub fn tell(output: &Output, annotations: &str, summary: &str, outputs: &Outputs) {
    output.raw(annotations);
    // Random and used once: no text can hold the line that ends it.
    let mark = format!("keyform-{}", uuid::Uuid::new_v4());
    for (name, text) in [
        ("GITHUB_STEP_SUMMARY", format!("{summary}\n")),
        ("GITHUB_OUTPUT", github::outputs(outputs, &mark)),
    ] {
        let Some(path) = variable(name) else { continue };
        let written = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        if let Err(error) = written {
            output.error(&format!("the file of {name} could not be written: {error}"));
            output::note_loss();
        }
    }
}
