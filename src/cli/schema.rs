use super::error::Exit;
use super::output::Output;
use crate::keyset::describe;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the field reference as Markdown instead
    #[arg(long)]
    reference: bool,
}

pub fn run(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    if args.reference {
        output.raw(&describe::reference_markdown());
    } else {
        output.raw(&format!("{:#}\n", describe::json_schema()));
    }
    Ok(Exit::Done)
}
