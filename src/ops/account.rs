//! The way to the Admin API: the account's, or a sandbox in this process.

use std::sync::Arc;
use std::time::Duration;

use super::api_key;
use super::endpoint::Endpoint;
use super::workspace::{Workspace, ignore_in_git};
use crate::api::{Client, Options as ApiOptions};
use crate::keyset::{ApiVersion, Secret, Tier};
use crate::ports::Notes;
use crate::sandbox::{self, Running};

/// What the in-process sandbox accepts; it is no secret.
pub const SANDBOX_KEY: &str = "sandbox";

/// About the connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions {
    /// Requests in flight, at least 1.
    pub parallelism: usize,
    /// How long one request may take.
    pub timeout: Duration,
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

impl Workspace {
    /// Reaches the API - the account's, or a sandbox in this process - to be told, and for nothing
    /// else.
    pub async fn connect(&self, options: &ConnectOptions) -> anyhow::Result<Connection> {
        self.reach(options, None).await
    }

    /// The same for a use case that changes the account: each change is noted first.
    pub(super) async fn connect_to_change(
        &self,
        options: &ConnectOptions,
        notes: Arc<dyn Notes>,
    ) -> anyhow::Result<Connection> {
        self.reach(options, Some(notes)).await
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
                seed: self.environment.sandbox_seed,
                ..sandbox::Options::default()
            })
            .await?;
            let key = sandbox_secret(SANDBOX_KEY)?;
            let client = client(running.endpoint(), version, key, options, notes)?;
            return Ok(Connection { client, sandbox: Some(running) });
        }
        let endpoint = Endpoint::of(&self.environment, Some(&self.project))?;
        let key = api_key::find(&self.environment, &endpoint).await?;
        Ok(Connection {
            client: client(endpoint.url().to_owned(), version, key, options, notes)?,
            sandbox: None,
        })
    }
}

/// `notes`: where each change is noted first; without it none is sent.
pub fn client(
    endpoint: String,
    version: ApiVersion,
    key: Secret,
    options: &ConnectOptions,
    notes: Option<Arc<dyn Notes>>,
) -> anyhow::Result<Client> {
    Ok(Client::new(ApiOptions {
        timeout: options.timeout,
        notes,
        ..ApiOptions::new(endpoint, version, key)
    })?)
}

/// The sandbox's key as the client takes it.
pub fn sandbox_secret(text: &str) -> anyhow::Result<Secret> {
    Ok(Secret::parse(zeroize::Zeroizing::new(text.to_owned()))?)
}
