use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, anyhow};

use super::Global;
use super::error::{Cause, Exit, Failure};
use super::output::Output;
use crate::keyset::Label;
use crate::render::style::GOOD;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the project; default: the folder's
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Valid as it stands: `keyform plan --sandbox` works at once.
const STARTER: &str = include_str!("../../examples/starter/keyform.toml");
const STARTER_NAME: &str = "my-project";

pub fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let name = match &args.name {
        Some(name) => {
            Label::parse(name)
                .map_err(|bad| anyhow!(Failure::new(Cause::Error, format!("--name: {bad}"))))?;
            name.clone()
        }
        None => folder_name(global).unwrap_or_else(|| STARTER_NAME.to_owned()),
    };
    let path = global.dir.join("keyform.toml");
    write_new(&path, &STARTER.replace(STARTER_NAME, &name))?;
    output.result(&format!(
        "{GOOD}Wrote{GOOD:#} {}. Next: `keyform plan --sandbox`.\n",
        path.display()
    ));
    Ok(Exit::Done)
}

/// Never overwrites.
fn write_new(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    let open = OpenOptions::new().write(true).create_new(true).open(path);
    if open.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::AlreadyExists) {
        let failure = Failure::new(
            Cause::Error,
            format!("{} exists already; nothing was written", path.display()),
        );
        return Err(anyhow!(failure.help("remove it first, or use another folder with -C DIR")));
    }
    open.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The folder's name, if it is fit to be a project's.
fn folder_name(global: &Global) -> Option<String> {
    let path = std::path::absolute(&global.dir).ok()?;
    let name = path.components().next_back()?.as_os_str().to_str()?.to_owned();
    Label::parse(&name).is_ok().then_some(name)
}
