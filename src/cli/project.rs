//! The project that a command works on, and the arguments about reaching account and state.

use std::sync::Arc;
use std::time::Duration;

use super::Global;
use super::environment;
use super::format::Format;
use super::output::Output;
use super::repository::folder_in;
use crate::config::{Loaded, Severity};
use crate::ops::account::ConnectOptions;
use crate::ops::{self, Place, Workspace, Writing};
use crate::render::{github, problems};
use crate::storage::Holder;

/// Where the arguments say that the project is.
pub fn place(global: &Global, output: &Output) -> Place {
    let below = output.format().names_files_from_outside().then(|| folder_in(&global.dir));
    Place {
        dir: global.dir.clone(),
        sandbox: global.sandbox,
        shown_below: below.unwrap_or_default(),
    }
}

/// Reads the project. Problems are printed; errors among them end the command.
pub fn open(global: &Global, output: &Output) -> anyhow::Result<Workspace> {
    let place = place(global, output);
    let loaded = ops::read(&place);
    print_problems(&loaded, output);
    Ok(Workspace::new(loaded, &place, Arc::new(environment::read()))?)
}

fn print_problems(loaded: &Loaded, output: &Output) {
    let Loaded { problems: found, sources, .. } = loaded;
    let errors = found.iter().any(|problem| problem.severity == Severity::Error);
    if !found.is_empty() && (errors || !output.is_quiet()) {
        output.error(problems::human(found, sources, output.colors_stderr()).trim_end());
        output.error("");
    }
    if output.format_of_errors() == Format::Github {
        output.raw(&github::problems(found, sources));
    }
}

/// Flags about the connection.
#[derive(Clone, Debug, clap::Args)]
pub struct ConnectArgs {
    /// Requests in flight
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=256))]
    parallelism: u16,
    /// Seconds that one request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl ConnectArgs {
    pub fn options(&self) -> ConnectOptions {
        ConnectOptions {
            parallelism: usize::from(self.parallelism),
            timeout: Duration::from_secs(self.timeout),
        }
    }
}

/// Flags of the commands that write.
#[derive(Debug, clap::Args)]
pub struct LockArgs {
    /// Wait so long for another run to end, such as 90s or 5m
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    lock_timeout: Duration,
}

/// `7d`, `5m`, `90s`, `1h 30m`; without a unit it would not be known what is meant.
pub fn duration(text: &str) -> Result<Duration, String> {
    crate::keyset::duration::parse(text)
        .ok_or_else(|| "expected a duration such as 90s, 5m or 24h".to_owned())
}

impl LockArgs {
    /// How the command begins to write; whoever has to wait is told for whom.
    pub fn writing<'o>(&self, command: &'static str, output: &'o Output) -> Writing<'o> {
        let wait = self.lock_timeout;
        let on_wait = move |holder: &Holder| {
            if !wait.is_zero() {
                output
                    .say(&format!("Waiting up to {} s for another run: {holder}", wait.as_secs()));
            }
        };
        Writing { command, lock_timeout: wait, on_wait: Box::new(on_wait) }
    }
}
