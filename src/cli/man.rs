use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory;

use super::Cli;
use super::error::{Cause, Exit, Failure};
use super::output::Output;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write the pages of all commands into this folder, which has to be there; without it the
    /// first page is printed
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn run(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        output.raw(&String::from_utf8(page)?);
        return Ok(Exit::Done);
    };
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(Failure::new(
            Cause::Error,
            format!("there is no folder {shown}: nothing was written"),
        )
        .into());
    }
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("cannot write into {shown}"))?;
    output.result(&format!("The pages are in {shown}.\n"));
    Ok(Exit::Done)
}
