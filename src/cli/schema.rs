use super::error::Exit;
use super::output::Output;
use crate::config;
use crate::keyset::describe;
use crate::render::schema::{self, Document};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the field reference as Markdown instead
    #[arg(long, conflicts_with = "of")]
    reference: bool,
    /// The schema of what this command prints with --format json instead; `events`: of a line of
    /// apply --format jsonl
    #[arg(long, value_enum, value_name = "COMMAND")]
    of: Option<Of>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    Plan,
    Apply,
    Drift,
    Parity,
    Show,
    Validate,
    Events,
}

pub fn run(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    match args.of {
        Some(of) => output.raw(&format!("{:#}\n", schema::of(of.document()))),
        None if args.reference => output.raw(&describe::reference_markdown()),
        None => output.raw(&format!("{:#}\n", config::json_schema())),
    }
    Ok(Exit::Done)
}

impl Of {
    fn document(self) -> Document {
        match self {
            Of::Plan => Document::Plan,
            Of::Apply => Document::Apply,
            Of::Drift => Document::Drift,
            Of::Parity => Document::Parity,
            Of::Show => Document::Show,
            Of::Validate => Document::Validate,
            Of::Events => Document::Events,
        }
    }
}
