//! The command line: arguments, one file per command, errors to exit codes, wiring of the ports.

mod adopt;
mod apply;
mod arguments;
mod completions;
mod drift;
mod env;
mod environment;
mod error;
mod format;
mod github;
mod init;
mod log;
mod login;
mod man;
mod notify;
mod output;
mod parity;
mod plan;
mod plan_view;
mod progress;
mod project;
mod repository;
mod sandbox;
mod schema;
mod secrets;
mod show;
mod signals;
mod state;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::render::events;

use error::Exit;
use format::Format;
use output::Output;

/// Declarative PubNub keysets: plan, apply, and secrets that are never lost.
#[derive(Debug, Parser)]
#[command(name = "keyform", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 error, 2 differences found, 3 refused, 4 applied \
                          in part, \
                          5 no usable secret sink, 6 locked by another run, 130 interrupted";

#[derive(Clone, Debug, clap::Args)]
struct Global {
    /// Work on the project in this folder
    #[arg(short = 'C', long = "dir", global = true, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// How results are written to stdout
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// Tell more on stderr: -v requests, -vv everything (or set KEYFORM_LOG)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// No progress, only results and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Use the built-in sandbox of this project instead of the account; its data is kept in
    /// .keyform/
    #[arg(long, global = true)]
    sandbox: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented starter project
    Init(init::Args),
    /// Check the project's TOML: no network, no credentials
    Validate(validate::Args),
    /// Show what apply would do
    Plan(plan::Args),
    /// Carry the plan out: create what is missing, update what changed, store the secrets
    Apply(apply::Args),
    /// Take over keysets that exist: writes TOML and state, changes nothing in the account
    Adopt(adopt::Args),
    /// Show what is not as declared, and who changed it; changes nothing
    Drift(drift::Args),
    /// Show where two sides differ that are to be the same, such as staging and production; changes
    /// nothing
    Parity(parity::Args),
    /// Show what is managed, from the state alone: no network, no credentials, no secret
    Show(show::Args),
    /// Show what was changed, when and by whom, and whether anybody changed this log
    Log(log::Args),
    /// Look at what is recorded, and change the record alone
    State(state::Args),
    /// Print a keyset's keys as variables: dotenv, shell, json or github
    Env(env::EnvArgs),
    /// Run a command with a keyset's keys in its environment
    Run(env::RunArgs),
    /// Look after secrets
    Secrets(secrets::Args),
    /// Store the API key in the keyring of the operating system
    Login(login::LoginArgs),
    /// Remove the API key from the keyring
    Logout(login::LogoutArgs),
    /// Serve the Admin API on this machine, for trying things out and for tests
    ///
    /// It accepts the API key in KEYFORM_SANDBOX_KEY (default: sandbox).
    Sandbox(sandbox::Args),
    /// Print the JSON Schema of keyform.toml, for editors, or of what a command prints as JSON
    Schema(schema::Args),
    /// Print a script that completes commands and flags in a shell
    Completions(completions::Args),
    /// Print the manual page, or write those of all commands
    Man(man::Args),
}

/// Parses the arguments, runs the command, prints what went wrong.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results and go to stdout; usage mistakes are errors like any
            // other.
            let _ = error.print();
            if error.use_stderr() {
                error::usage(&error, Format::in_arguments(std::env::args_os().skip(1)));
            }
            return if error.use_stderr() { Exit::Error.into() } else { Exit::Done.into() };
        }
    };
    let output = Output::new(&cli.global, format::of_errors(&cli.command, cli.global.format));
    output::start_log(&cli.global);
    no_core_dumps();
    let result = runtime().and_then(|runtime| {
        let result = runtime.block_on(dispatch(&cli, &output));
        // A blocking call that hangs must not hold the process back.
        runtime.shutdown_timeout(std::time::Duration::from_millis(200));
        result
    });
    let exit = match result {
        Ok(Exit::Done | Exit::Differences) if output::lost() => {
            error::report(&anyhow::anyhow!("the result could not be written completely"), &output)
        }
        Ok(exit) => exit,
        Err(error) => error::report(&error, &output),
    };
    // The last line, however it ended.
    output.event(|| events::end(exit as u8));
    exit.into()
}

/// As it was found, for the program that `run` becomes.
#[cfg(unix)]
static CORE_LIMIT: std::sync::OnceLock<rustix::process::Rlimit> = std::sync::OnceLock::new();

/// A core file would hold the secrets that are in memory.
fn no_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let before = getrlimit(Resource::Core);
        let hard = before.maximum;
        let _ = CORE_LIMIT.set(before);
        if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: hard }) {
            tracing::debug!(%error, "core dumps could not be turned off");
        }
    }
    // Where a core goes to a program by pipe, the limit does not count. Nor may others of this user
    // look into the process.
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::debug!(%error, "core dumps could not be turned off");
    }
}

async fn dispatch(cli: &Cli, output: &Output) -> anyhow::Result<Exit> {
    let global = &cli.global;
    format::check(&cli.command, global.format)?;
    match &cli.command {
        Command::Init(args) => init::run(global, args, output),
        Command::Validate(args) => validate::run(global, args, output),
        Command::Plan(args) => plan::run(global, args, output).await,
        Command::Apply(args) => apply::run(global, args, output).await,
        Command::Adopt(args) => adopt::run(global, args, output).await,
        Command::Drift(args) => drift::run(global, args, output).await,
        Command::Parity(args) => parity::run(global, args, output).await,
        Command::Show(args) => show::run(global, args, output).await,
        Command::Log(args) => log::run(global, args, output).await,
        Command::State(args) => state::run(global, args, output).await,
        Command::Env(args) => env::env(global, args, output).await,
        Command::Run(args) => env::run(global, args, output).await,
        Command::Secrets(args) => secrets::run(global, args, output).await,
        Command::Login(args) => login::login(global, args, output).await,
        Command::Logout(args) => login::logout(global, args, output).await,
        Command::Sandbox(args) => sandbox::run(global, args, output).await,
        Command::Schema(args) => schema::run(args, output),
        Command::Completions(args) => completions::run(args, output),
        Command::Man(args) => man::run(args, output),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
