use clap::builder::PossibleValuesParser;

use super::error::Exit;
use super::output::Output;
use crate::config;
use crate::documents::schema::{Described, SCHEMAS};
use crate::keyset::describe;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the field reference as Markdown instead
    #[arg(long, conflicts_with = "of")]
    reference: bool,
    /// The schema of what this command prints with --format json instead; `events`: of a line of
    /// apply --format jsonl
    #[arg(long, value_name = "COMMAND", value_parser = names())]
    of: Option<String>,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(SCHEMAS.iter().map(|described| described.name))
}

pub fn run(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    match args.of.as_deref().and_then(Described::find).map(Described::schema) {
        Some(schema) => output.raw(&format!("{schema:#}\n")),
        None if args.reference => output.raw(&describe::reference_markdown()),
        None => output.raw(&format!("{:#}\n", config::json_schema())),
    }
    Ok(Exit::Done)
}
