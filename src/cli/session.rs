//! Wiring: a project read, its state located, its API reached.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::error::{Exit, Failure};
use super::format::Format;
use super::output::Output;
use super::repository::folder_in;
use super::variables::variable;
use super::{Global, key};
use crate::api::{Client, Options as ApiOptions};
use crate::config::{self, Project, Severity, Sources};
use crate::documents::problems::Problem;
use crate::keyset::{ApiVersion, Secret, Tier};
use crate::ports::{Namespace, Notes};
use crate::render::{github, problems};
use crate::sandbox::{self, Running};
use crate::secrets::ApiKeyStore;
use crate::state::Store;
use crate::storage::Storage;
use crate::storage::local::{Local, Paths};

/// Beside the state, and of no use to anybody else.
const NOT_COMMITTED: &str = "*.backup\n*.journal\n*.lock\n.keyform-*\n";
/// The driver `keyform` is `keyform state merge`; where git was not told of it, it merges by lines
/// as ever.
const MERGED: &str = "keyform.json merge=keyform\nkeyform.audit.jsonl merge=union\n";
/// What the in-process sandbox accepts; it is no secret.
const SANDBOX_KEY: &str = "sandbox";

/// A project without errors.
pub struct Session {
    pub dir: PathBuf,
    pub sources: Sources,
    pub project: Project,
    pub sandbox: bool,
}

impl Session {
    /// Reads the project. Problems are printed; errors among them end the command.
    pub fn open(global: &Global, output: &Output) -> anyhow::Result<Session> {
        let mut loaded = config::load(&global.dir);
        if output.format().names_files_from_outside() {
            loaded.sources.below(&folder_in(&global.dir));
        }
        let errors = loaded.problems.iter().filter(|p| p.severity == Severity::Error).count();
        if !loaded.problems.is_empty() && (errors > 0 || !output.is_quiet()) {
            output.error(
                problems::human(&loaded.problems, &loaded.sources, output.colors_stderr())
                    .trim_end(),
            );
            output.error("");
        }
        if output.format_of_errors() == Format::Github {
            output.raw(&github::problems(&loaded.problems, &loaded.sources));
        }
        match loaded.project {
            Some(mut project) if errors == 0 => {
                if global.sandbox {
                    // What the sandbox gave out is of no use to anybody.
                    project
                        .desired
                        .keysets
                        .values_mut()
                        .for_each(|keyset| keyset.mirrors = Box::default());
                }
                Ok(Session {
                    dir: below(&global.dir),
                    sources: loaded.sources,
                    project,
                    sandbox: global.sandbox,
                })
            }
            _ => {
                let found = crate::render::text::count(errors, "error");
                let failure = Failure::new(
                    Exit::Error,
                    format!("the configuration has {found}; nothing was done"),
                );
                let comment = problems::for_markdown(
                    &loaded.problems,
                    &loaded.sources,
                    &format!("The configuration has {found}; nothing was done."),
                );
                Err(failure
                    .problems(Problem::all(&loaded.problems, &loaded.sources))
                    .markdown(comment)
                    .into())
            }
        }
    }

    /// The sandbox has a state of its own: what is tried there must never be taken for the account.
    pub fn storage(&self) -> Arc<dyn Storage> {
        let file = if self.sandbox {
            self.private().join("sandbox-state.json")
        } else {
            self.dir.join("state").join("keyform.json")
        };
        Arc::new(Local::new(Paths::new(file)))
    }

    /// Makes the folder of the state, with files that tell git what is not to be committed, and how
    /// the rest is merged. One that is there is left alone.
    pub fn prepare_state_folder(&self) -> anyhow::Result<()> {
        use anyhow::Context as _;
        if self.sandbox {
            return ignore_in_git(&self.private());
        }
        let folder = self.dir.join("state");
        let made = std::fs::create_dir_all(&folder)
            .and_then(|()| write_new(&folder.join(".gitignore"), NOT_COMMITTED))
            .and_then(|()| write_new(&folder.join(".gitattributes"), MERGED));
        made.with_context(|| format!("cannot prepare {}", folder.display()))
    }

    pub fn namespace(&self) -> Namespace {
        if self.sandbox { Namespace::Sandbox } else { Namespace::Account }
    }

    /// The project's folder for what is not to be committed.
    pub fn private(&self) -> PathBuf {
        self.dir.join(".keyform")
    }

    /// Reaches the API - the account's, or a sandbox in this process - to be told, and for nothing
    /// else.
    pub async fn connect(&self, options: &ConnectOptions) -> anyhow::Result<Connection> {
        self.reach(options, None).await
    }

    /// The same for a command that changes the account: each change is noted in the log of the
    /// state first.
    pub async fn connect_to_change(
        &self,
        options: &ConnectOptions,
        store: &Store,
    ) -> anyhow::Result<Connection> {
        self.reach(options, Some(store.log().clone())).await
    }

    async fn reach(
        &self,
        options: &ConnectOptions,
        notes: Option<Arc<dyn Notes>>,
    ) -> anyhow::Result<Connection> {
        let version = self.project.api.version.clone();
        if self.sandbox {
            ignore_in_git(&self.private())?;
            let running = sandbox::start(sandbox::Options {
                data: Some(self.private().join("sandbox.json")),
                api_key: sandbox_secret(SANDBOX_KEY)?,
                tier: self.project.api.tier.unwrap_or(Tier::Pro),
                seed: sandbox_seed(),
                ..sandbox::Options::default()
            })
            .await?;
            let key = sandbox_secret(SANDBOX_KEY)?;
            let client = client(running.endpoint(), version, key, options, notes)?;
            return Ok(Connection { client, sandbox: Some(running) });
        }
        let endpoint = Endpoint::of(Some(&self.project))?;
        let key = key::find(&endpoint, &api_key_store()).await?;
        Ok(Connection {
            client: client(endpoint.url().to_owned(), version, key, options, notes)?,
            sandbox: None,
        })
    }
}

/// Paths of the current folder are told without `./`.
fn below(dir: &Path) -> PathBuf {
    if dir == Path::new(".") { PathBuf::new() } else { dir.to_owned() }
}

/// Flags about the connection.
#[derive(Clone, Debug, clap::Args)]
pub struct ConnectOptions {
    /// Requests in flight
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallelism: u16,
    /// Seconds that one request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

/// A client, and the sandbox it talks to if there is one.
pub struct Connection {
    pub client: Client,
    sandbox: Option<Running>,
}

impl Connection {
    /// Lets the sandbox write down what it has.
    pub async fn close(self) -> anyhow::Result<()> {
        if let Some(running) = self.sandbox {
            running.stop().await?;
        }
        Ok(())
    }
}

pub fn client(
    endpoint: String,
    version: ApiVersion,
    key: Secret,
    options: &ConnectOptions,
    notes: Option<Arc<dyn Notes>>,
) -> anyhow::Result<Client> {
    Ok(Client::new(ApiOptions {
        timeout: Duration::from_secs(options.timeout),
        notes,
        ..ApiOptions::new(endpoint, version, key)
    })?)
}

pub fn api_key_store() -> ApiKeyStore {
    ApiKeyStore::new(super::places::note())
}

pub fn in_ci() -> bool {
    variable("CI").is_some_and(|v| v != "false" && v != "0")
}

/// The sandbox's key as the client takes it.
pub fn sandbox_secret(text: &str) -> anyhow::Result<Secret> {
    Ok(Secret::parse(zeroize::Zeroizing::new(text.to_owned()))?)
}

/// What `keyform sandbox` accepts as API key.
pub fn sandbox_key() -> String {
    variable("KEYFORM_SANDBOX_KEY").unwrap_or_else(|| SANDBOX_KEY.to_owned())
}

/// Makes the sandbox of `--sandbox` repeat itself, for transcripts.
fn sandbox_seed() -> Option<u64> {
    variable("KEYFORM_SANDBOX_SEED")?.parse().ok()
}

/// One that is there is left alone, and so is a link.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => std::io::Write::write_all(&mut file, text.as_bytes()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Sandbox data never belongs in a commit, whatever the project's own ignore file says.
fn ignore_in_git(folder: &Path) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let ignore = folder.join(".gitignore");
    let made = || -> std::io::Result<()> {
        // The project may be somebody else's: nothing is made where its links lead.
        if std::fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_symlink()) {
            return Err(std::io::Error::other("it is a symbolic link; remove it"));
        }
        std::fs::create_dir_all(folder)?;
        write_new(&ignore, "*\n")
    };
    made().with_context(|| format!("cannot prepare {}", folder.display()))
}
