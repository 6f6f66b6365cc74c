use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use super::error::Exit;
use super::output::Output;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keyform", &mut script);
    output.raw(&String::from_utf8(script)?);
    Ok(Exit::Done)
}
