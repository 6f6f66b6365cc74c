//! What writing down, sealing and storing costs: an apply of many creates, against merely sending
//! the same requests.
//!
//! `cargo bench --bench apply` runs both sides in turn against a fresh sandbox each (a process of
//! its own, 50 ms a request), ten requests in flight, and prints medians and ratios. Goal: at most
//! 1.15x. The sink is `age`, and below a keyring (`tests/with-keyring DIR cargo bench --bench
//! apply`) the keyring too.
//!
//! Arguments after `--`: numbers of keysets (default 250 1000).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark prints and owns its files"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::json;

const ROUNDS: usize = 3;
const LATENCY_MS: &str = "50";
const IN_FLIGHT: usize = 10;
const API_KEY: &str = "bench";
/// Nobody reads what is sealed to it here.
const RECIPIENT: &str = "age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm";

fn main() {
    let mut sizes: Vec<usize> =
        std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![250, 1_000];
    }
    let keyring = std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some();
    println!("keysets   sink      bare requests   keyform apply   ratio   bytes written a keyset");
    for size in sizes {
        let sinks: &[&str] = if keyring { &["age", "keyring"] } else { &["age"] };
        let (mut bare, mut ours) = (Vec::new(), vec![Vec::new(); sinks.len()]);
        for round in 0..ROUNDS {
            bare.push(send(size));
            for (sink, runs) in sinks.iter().zip(&mut ours) {
                runs.push(apply(size, sink, round));
            }
        }
        let bare = median(bare);
        for (sink, runs) in sinks.iter().zip(ours) {
            let bytes = median(runs.iter().map(|run| run.1).collect());
            let time = median(runs.iter().map(|run| run.0).collect());
            println!(
                "{size:<9} {sink:<9} {bare:<15.2} {time:<15.2} {:<7.3} {:.0}",
                time / bare,
                bytes / size as f64
            );
        }
    }
    if !keyring {
        println!("keyring: not measured, there is no session bus");
    }
}

fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

struct Sandbox {
    child: Child,
    endpoint: String,
}

impl Sandbox {
    fn start() -> Sandbox {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyform"))
            .args(["sandbox", "--quiet", "--latency", LATENCY_MS])
            .env("KEYFORM_SANDBOX_KEY", API_KEY)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sandbox starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("it says where it listens");
        let endpoint = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        Sandbox { child, endpoint }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The requests alone: seconds.
fn send(size: usize) -> f64 {
    let sandbox = Sandbox::start();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let begin = Instant::now();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        let post = async |path: &str, body: serde_json::Value| {
            let request = client.post(format!("{}{path}", sandbox.endpoint)).body(body.to_string());
            let request = request.header("Authorization", API_KEY).header("PubNub-Version", "2026-03-23");
            let response = request.header("Content-Type", "application/json").send().await.expect("an answer");
            assert_eq!(response.status(), 201);
            response.bytes().await.expect("a body")
        };
        let app = post("/v2/apps", json!({"name": "Tenants"})).await;
        let app: serde_json::Value = serde_json::from_slice(&app).expect("JSON");
        let id = app["id"].as_str().or(app["app"]["id"].as_str()).expect("an id");
        let post = &post;
        stream::iter(0..size)
            .map(|n| async move {
                let name = format!("tenant-{n:06}");
                let config = json!({"messagePersistence": {"enabled": true, "retention": 7}});
                post("/v2/keysets", json!({"keyset": {"name": name, "type": "testing", "appId": id}, "config": config})).await
            })
            .buffer_unordered(IN_FLIGHT)
            .for_each(|_| async {})
            .await;
    });
    begin.elapsed().as_secs_f64()
}

/// A whole `keyform apply`, from its start to its end: seconds, and bytes written, to files and to
/// the network.
fn apply(size: usize, sink: &str, round: usize) -> (f64, f64) {
    let sandbox = Sandbox::start();
    // On a disk: /tmp may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    write_project(folder.path(), size, sink, round);
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyform"))
        .args(["apply", "--yes", "--quiet", "--parallelism", &IN_FLIGHT.to_string()])
        .current_dir(folder.path())
        .env("PUBNUB_API_KEY", API_KEY)
        .env("KEYFORM_ENDPOINT", &sandbox.endpoint)
        .env("XDG_DATA_HOME", folder.path().join("data"))
        .env_remove("CI")
        .stdout(Stdio::null())
        .spawn()
        .expect("keyform runs");
    let mut bytes = 0.0;
    let status = loop {
        bytes = written(child.id()).unwrap_or(bytes);
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let seconds = begin.elapsed().as_secs_f64();
    assert!(status.success(), "{status}");
    (seconds, bytes)
}

/// What a process has written so far, as the kernel counts it.
fn written(pid: u32) -> Option<f64> {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix("wchar: "))?.trim().parse().ok()
}

fn write_project(folder: &Path, size: usize, sink: &str, round: usize) {
    let age = if sink == "age" {
        format!("[secrets.age]\nrecipients = [\"{RECIPIENT}\"]\n")
    } else {
        String::new()
    };
    let mut toml = format!(
        "[project]\nname = \"bench-{size}-{round}\"\n[secrets]\nsinks = [\"{sink}\"]\n{age}[app.tenants]\nname = \"Tenants\"\n"
    );
    for n in 0..size {
        write!(
            toml,
            "[keyset.tenant-{n:06}]\napp = \"tenants\"\ntype = \"testing\"\nmessagePersistence = {{ enabled = true, retention = 7 }}\n"
        )
        .expect("writing to a string");
    }
    std::fs::write(folder.join("keyform.toml"), toml).expect("the TOML is written");
}
