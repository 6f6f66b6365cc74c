//! The Admin API as a server: for trying keyform, for tests, and for users' own CI.
//!
//! It reads the same table as the rest of keyform, so it would agree with keyform's mistakes; the
//! fixtures and the contract under `tests/contract/` judge both.
//!
//! What it does not imitate:
//! - permissions (403), accounts, users: there is one key, and it may do everything;
//! - rate limits, outages, delays and half answers, unless they are asked for as [`Fault`]s;
//! - limits of names and other texts: any text is taken, a name must not be empty;
//! - the keys' use: nothing can be published with them, and a data file never holds a secret key,
//!   so the list of secret keys shows prefixes only;
//! - rules between sections that concern the data plane (such as one that needs Access Manager to
//!   be on);
//! - sorting, eventual consistency: lists are by id, and what was written is seen at once.
//!
//! Where the vendor's documentation is silent it decides, strictly where that finds mistakes:
//! unknown sections and fields are refused, an app that holds keysets cannot be deleted, what a
//! plan does not allow is a 400, a `limit` above 100 means 100.

mod chance;
mod faults;
mod http;
mod rules;
mod shelf;
mod store;
mod world;

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::keyset::{Secret, Tier};

pub use faults::{BadFault, Fault, KINDS as FAULT_KINDS};

/// How long [`Running::stop`] waits for requests in flight before it cuts them.
const STOP_WITHIN: Duration = Duration::from_secs(2);

pub struct Options {
    /// 0: any free port.
    pub port: u16,
    /// Where apps and keysets are kept; `None`: in memory only.
    pub data: Option<PathBuf>,
    /// A line for each request is appended here: method and path.
    pub log: Option<PathBuf>,
    /// Most entries of a page, whatever is asked for; at least 1.
    pub page_limit: u64,
    /// The one key that is let in.
    pub api_key: Secret,
    /// The account's plan, whose limits are enforced.
    pub tier: Tier,
    /// Makes keys and times repeat from run to run: time starts at 2026-01-01 and moves one second
    /// with every change.
    pub seed: Option<u64>,
    /// Waited before every answer.
    pub latency: Duration,
    pub faults: Vec<Fault>,
}

impl Options {
    /// The key when none is given.
    pub const API_KEY: &'static str = "sandbox";
}

impl Default for Options {
    fn default() -> Self {
        Options {
            port: 0,
            data: None,
            log: None,
            page_limit: u64::MAX,
            api_key: Secret::parse(Zeroizing::new(Options::API_KEY.to_owned()))
                .expect("the word is a key"),
            tier: Tier::Pro,
            seed: None,
            latency: Duration::ZERO,
            faults: Vec::new(),
        }
    }
}

/// Why a sandbox did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(
        "the sandbox cannot listen on 127.0.0.1:{port}: {why}; choose another port, or 0 for any"
    )]
    Listen { port: u16, why: std::io::Error },
    #[error("{} is in use by another sandbox; stop that one or use another data file", path.display())]
    InUse { path: PathBuf },
    #[error("{}: {what}: {why}", path.display())]
    Io { path: PathBuf, what: &'static str, why: std::io::Error },
    #[error("{}, line {line}: {why}; move the file away to start with an empty sandbox", path.display())]
    BadData { path: PathBuf, line: usize, why: &'static str },
}

/// Starts the sandbox inside the running tokio runtime. When this returns, it takes connections.
pub async fn start(options: Options) -> Result<Running, SandboxError> {
    let Options { port, data, log, page_limit, api_key, tier, seed, latency, faults } = options;
    let (world, store) = match data {
        Some(path) => store::open(path, tier).map(|(store, world)| (world, Some(store)))?,
        None => (world::World::new(tier), None),
    };
    let log = log.map(open_log).transpose()?;
    let listen = |why| SandboxError::Listen { port, why };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
    let addr = listener.local_addr().map_err(listen)?;

    let (stop, stopping) = watch::channel(false);
    let server = Arc::new(http::Server::new(
        http::Setup { api_key, seed, latency, faults, log, page_limit, stopping: stopping.clone() },
        world,
        store,
    ));
    let task = tokio::spawn(http::serve(listener, Arc::clone(&server), stopping));
    Ok(Running { addr, server, stop, task })
}

fn open_log(path: PathBuf) -> Result<File, SandboxError> {
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened.map_err(|why| SandboxError::Io { path, what: "cannot write the log", why })
}

/// A running sandbox. Dropping it stops it too, some time later; [`Running::stop`] waits for that.
pub struct Running {
    pub addr: SocketAddr,
    server: Arc<http::Server>,
    stop: watch::Sender<bool>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// What `[api] endpoint` and `KEYFORM_ENDPOINT` take.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Takes no more requests, waits up to two seconds for those in flight, and lets go of the data
    /// file.
    pub async fn stop(mut self) -> Result<(), SandboxError> {
        self.stop.send_replace(true);
        if tokio::time::timeout(STOP_WITHIN, &mut self.task).await.is_err() {
            self.task.abort();
        }
        self.server.close()
    }
}
