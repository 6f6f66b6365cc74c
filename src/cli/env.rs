//! `env` and `run`: a keyset's keys for an application.

use std::io::Write as _;

use zeroize::Zeroizing;

use super::Global;
use super::environment::variable;
use super::error::{Cause, Exit, Failure};
use super::format::Format;
use super::output::Output;
use super::project::{self};
use crate::ops::find::{find, secret_of};
use crate::ops::sinks;

/// Which keys, under which names.
#[derive(Debug, clap::Args)]
pub struct Names {
    /// Name of the variable with the publish key
    #[arg(long, value_name = "NAME", default_value = "PUBNUB_PUBLISH_KEY", value_parser = name)]
    publish: String,
    /// Name of the variable with the subscribe key
    #[arg(long, value_name = "NAME", default_value = "PUBNUB_SUBSCRIBE_KEY", value_parser = name)]
    subscribe: String,
    /// The secret key too, under this name
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "PUBNUB_SECRET_KEY", value_parser = name)]
    secret: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct EnvArgs {
    /// The keyset's label
    label: String,
    #[command(flatten)]
    names: Names,
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The keyset's label
    label: String,
    #[command(flatten)]
    names: Names,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<std::ffi::OsString>,
}

fn name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !text.is_empty() && text.chars().all(good) && !text.starts_with(|c: char| c.is_ascii_digit())
    {
        return Ok(text.to_owned());
    }
    Err("a name has letters, digits and _, and does not start with a digit".to_owned())
}

/// One variable. Wiped when dropped: it may be the secret key.
struct Variable {
    name: String,
    value: Zeroizing<String>,
    is_secret: bool,
}

async fn variables(
    global: &Global,
    label: &str,
    names: &Names,
    output: &Output,
) -> anyhow::Result<Vec<Variable>> {
    let workspace = project::open(global, output)?;
    let snapshot = workspace.snapshot().await?;
    let (label, keyset) = find(&snapshot.recorded, label)?;
    let mut all = Vec::new();
    for (name, key) in
        [(&names.publish, &keyset.keys.publish_key), (&names.subscribe, &keyset.keys.subscribe_key)]
    {
        // What the API calls a key goes into files and shells.
        if !key.chars().all(|c| c.is_ascii_graphic() && !"'\"\\$`".contains(c)) {
            return Err(Failure::new(
                Cause::Error,
                format!("the keys of `{label}` hold characters that keys do not have"),
            )
            .into());
        }
        all.push(Variable {
            name: name.clone(),
            value: Zeroizing::new(key.to_string()),
            is_secret: false,
        });
    }
    if let Some(name) = &names.secret {
        let homes = sinks::homes(&workspace);
        let custody = sinks::custody(&workspace, &homes, &snapshot);
        let secret = secret_of(&custody, label, keyset).await?;
        all.push(Variable {
            name: name.clone(),
            value: Zeroizing::new(secret.expose_secret().to_owned()),
            is_secret: true,
        });
    }
    let mut seen: Vec<&str> = all.iter().map(|variable| variable.name.as_str()).collect();
    seen.sort_unstable();
    if seen.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Failure::new(Cause::Error, "two keys under one name")
            .help("give each a name of its own")
            .into());
    }
    Ok(all)
}

/// The formats in which keys can be printed.
pub const FORMATS: [Format; 5] =
    [Format::Human, Format::Json, Format::Dotenv, Format::Shell, Format::Github];

pub async fn env(global: &Global, args: &EnvArgs, output: &Output) -> anyhow::Result<Exit> {
    let variables = variables(global, &args.label, &args.names, output).await?;
    let mut text = Zeroizing::new(String::with_capacity(4096));
    match global.format {
        Format::Json => {
            text.push('{');
            for (n, Variable { name, value, .. }) in variables.iter().enumerate() {
                let value = Zeroizing::new(serde_json::to_string(&**value)?);
                text.push_str(if n > 0 { ",\n  " } else { "\n  " });
                text.push_str(&format!("\"{name}\": "));
                text.push_str(&value);
            }
            text.push_str("\n}\n");
        }
        Format::Shell => {
            for Variable { name, value, .. } in &variables {
                text.push_str(&format!("export {name}='"));
                text.push_str(&value.replace('\'', "'\\''"));
                text.push_str("'\n");
            }
        }
        Format::Human | Format::Dotenv => {
            for Variable { name, value, .. } in &variables {
                text.push_str(&format!("{name}="));
                text.push_str(value);
                text.push('\n');
            }
        }
        Format::Github => return to_github(&variables, output),
        Format::Jsonl
        | Format::Markdown
        | Format::Gitlab
        | Format::Sarif
        | Format::Junit
        | Format::TerraformJson => anyhow::bail!("`env` does not have this format"),
    }
    output.raw(&text);
    Ok(Exit::Done)
}

/// Into the file that the workflow's next steps get their variables from; the secret is masked in
/// the log first.
fn to_github(variables: &[Variable], output: &Output) -> anyhow::Result<Exit> {
    use anyhow::Context as _;
    let path = variable("GITHUB_ENV").ok_or_else(|| {
        Failure::new(Cause::Error, "GITHUB_ENV is not set: this is no step of a GitHub workflow")
            .help("formats for elsewhere: dotenv, shell, json")
    })?;
    for Variable { value, .. } in variables.iter().filter(|variable| variable.is_secret) {
        let mask = Zeroizing::new(format!("::add-mask::{}\n", **value));
        output.raw(&mask);
    }
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot open {path}"))?;
    for Variable { name, value, .. } in variables {
        let line = Zeroizing::new(format!("{name}={}\n", **value));
        file.write_all(line.as_bytes()).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(Exit::Done)
}

/// Becomes the command, where the platform can; the keys are in its environment and nowhere else.
pub async fn run(global: &Global, args: &RunArgs, output: &Output) -> anyhow::Result<Exit> {
    let variables = variables(global, &args.label, &args.names, output).await?;
    let Some((program, arguments)) = args.command.split_first() else { return Ok(Exit::Error) };
    let mut command = std::process::Command::new(program);
    command.args(arguments);
    for Variable { name, value, .. } in &variables {
        command.env(name, &**value);
    }
    let failed = |error: std::io::Error| {
        Failure::new(
            Cause::Error,
            format!("`{}` cannot be started: {error}", program.to_string_lossy()),
        )
    };
    #[cfg(unix)]
    {
        if let Some(before) = super::CORE_LIMIT.get() {
            // What it does with its own memory is its own business.
            let _ = rustix::process::setrlimit(rustix::process::Resource::Core, *before);
        }
        let error = std::os::unix::process::CommandExt::exec(&mut command);
        Err(failed(error).into())
    }
    #[cfg(not(unix))]
    {
        let status = command.status().map_err(failed)?;
        std::process::exit(status.code().unwrap_or(1));
    }
}
