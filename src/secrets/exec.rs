//! The sink `exec`: a program of the user's. One process an operation, one JSON object in, one out;
//! `examples/sinks` has the contract and adapters that follow it. No shell; a secret is never in an
//! argument or variable.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::{Zeroize, Zeroizing};

use crate::keyset::Secret;
use crate::ports::{Item, Namespace, Owner, SecretName, Sink, SinkError, SinkType};

const NAME: &str = SinkType::Exec.name();
/// Longest answer and longest complaint that are read, in bytes.
const OUT_MAX: u64 = 64 << 10;
/// Most characters of its own words that are passed on.
const WORDS_MAX: usize = 500;
/// Its exit code for an entry that is not there.
const NOT_FOUND: i32 = 3;

/// Variables that keyform gets and a sink needs none of.
const NOT_ITS_BUSINESS: [&str; 5] = [
    "PUBNUB_API_KEY",
    "PUBNUB_API_KEY_FILE",
    "KEYFORM_AGE_IDENTITY",
    "KEYFORM_AGE_IDENTITY_FILE",
    "KEYFORM_GITHUB_TOKEN",
];

/// Hands secrets to a program.
pub struct ExecSink {
    command: Vec<String>,
    /// Where it is started: the project's folder.
    dir: PathBuf,
    /// For one operation.
    timeout: Duration,
    project: String,
    namespace: Namespace,
    readable: AtomicBool,
    /// Whether it knows the operation `exists`. Known after the probe: a program that does not know
    /// an operation may do anything when it is asked for it.
    tells_existence: AtomicBool,
}

#[derive(Serialize)]
struct Question<'a> {
    keyform_sink: u32,
    op: &'static str,
    project: &'a str,
    namespace: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyset_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publish_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribe_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    readable: bool,
    #[serde(default)]
    persistent: bool,
    #[serde(default)]
    exists: bool,
    #[serde(default)]
    secret: Option<String>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

fn failed(why: impl Into<String>) -> SinkError {
    SinkError::Broken { sink: NAME, why: why.into() }
}

impl ExecSink {
    /// `command`: the program and its arguments; a program with a `/` is looked for below `dir`,
    /// any other on the path.
    pub fn new(
        command: Vec<String>,
        dir: PathBuf,
        timeout: Duration,
        project: String,
        namespace: Namespace,
    ) -> ExecSink {
        ExecSink {
            command,
            dir,
            timeout,
            project,
            namespace,
            readable: AtomicBool::new(true),
            tells_existence: AtomicBool::new(false),
        }
    }

    fn question<'a>(&'a self, op: &'static str) -> Question<'a> {
        let namespace = match self.namespace {
            Namespace::Account => "account",
            Namespace::Sandbox => "sandbox",
        };
        Question {
            keyform_sink: 1,
            op,
            project: &self.project,
            namespace,
            item: None,
            label: None,
            keyset_id: None,
            publish_key: None,
            subscribe_key: None,
            secret: None,
        }
    }

    fn about<'a>(&'a self, op: &'static str, name: &'a SecretName) -> Question<'a> {
        let (item, label) = match &name.item {
            Item::Keyset(label) => ("keyset", Some(label.as_str())),
            Item::EscrowKey => ("escrow-key", None),
        };
        Question { item: Some(item), label, ..self.question(op) }
    }

    /// `None`: there is no such entry.
    async fn ask(&self, question: &Question<'_>) -> Result<Option<Answer>, SinkError> {
        let run = self.run(question);
        match tokio::time::timeout(self.timeout, run).await {
            Ok(result) => result,
            Err(_) => Err(SinkError::Hanging { sink: NAME, deadline: self.timeout }),
        }
    }

    async fn run(&self, question: &Question<'_>) -> Result<Option<Answer>, SinkError> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(failed("there is no command"));
        };
        let path =
            if program.contains('/') { self.dir.join(program) } else { PathBuf::from(program) };
        let mut command = Command::new(&path);
        NOT_ITS_BUSINESS.iter().for_each(|name| _ = command.env_remove(name));
        let mut child = command
            .args(arguments)
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("`{program}` cannot be started: {error}")))?;
        let mut input = Zeroizing::new(Vec::with_capacity(4096));
        serde_json::to_writer(&mut *input, question).map_err(|error| failed(error.to_string()))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that answers without reading has closed its end: its answer counts.
                let _ = stdin.write_all(&input).await;
                let _ = stdin.shutdown().await;
            }
        };
        let mut out = Zeroizing::new(Vec::with_capacity(OUT_MAX as usize + 1));
        let mut complaint = Zeroizing::new(Vec::with_capacity(4096));
        let read_out = async {
            if let Some(stdout) = stdout {
                let _ = stdout.take(OUT_MAX + 1).read_to_end(&mut out).await;
            }
        };
        let read_err = async {
            if let Some(stderr) = stderr {
                let _ = stderr.take(OUT_MAX).read_to_end(&mut complaint).await;
            }
        };
        tokio::join!(write, read_out, read_err);
        let status = child.wait().await.map_err(|error| failed(format!("`{program}`: {error}")))?;
        if out.len() as u64 > OUT_MAX {
            return Err(failed(format!("`{program}` answered more than {OUT_MAX} bytes")));
        }
        if status.code() == Some(NOT_FOUND) {
            return Ok(None);
        }
        let answer: Option<Answer> = serde_json::from_slice(&out).ok();
        match answer {
            Some(answer) if answer.ok && status.success() => Ok(Some(answer)),
            Some(answer) if !answer.error.is_empty() => {
                Err(complaint_of(format!("`{program}` refused"), &answer.error, question))
            }
            _ => {
                let last = String::from_utf8_lossy(&complaint);
                let last = last.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
                let why = format!(
                    "`{program}` ended with {status} and no answer that could be understood"
                );
                Err(if last.is_empty() { failed(why) } else { complaint_of(why, last, question) })
            }
        }
    }
}

fn complaint_of(why: String, words: &str, question: &Question<'_>) -> SinkError {
    SinkError::Complaint { sink: NAME, why, words: harmless(words, question) }
}

/// Characters of a secret in a row that are too many to be repeated.
const PIECE: usize = 8;

/// What the program says, unless it repeats the secret or a piece of it.
fn harmless(text: &str, question: &Question<'_>) -> String {
    let secret = question.secret.unwrap_or_default().as_bytes();
    let repeats = secret
        .windows(PIECE)
        .any(|piece| text.as_bytes().windows(PIECE).any(|window| window == piece));
    if repeats || text.contains("sec-c-") || text.contains("AGE-SECRET-KEY-") {
        return "(withheld: it repeats a secret)".to_owned();
    }
    text.trim().chars().take(WORDS_MAX).collect()
}

impl Sink for ExecSink {
    fn kind(&self) -> SinkType {
        SinkType::Exec
    }

    async fn probe(&self) -> Result<(), SinkError> {
        let answer = self
            .ask(&self.question("probe"))
            .await?
            .ok_or_else(|| failed("it does not know the operation `probe`"))?;
        if !answer.persistent {
            return Err(failed("it says that it does not keep what it is given"));
        }
        self.readable.store(answer.readable, Ordering::Relaxed);
        self.tells_existence.store(answer.exists, Ordering::Relaxed);
        if !answer.readable {
            return Ok(());
        }
        let label = format!("canary-{}", uuid::Uuid::new_v4());
        let value = uuid::Uuid::new_v4().to_string();
        let about =
            |op| Question { item: Some("canary"), label: Some(&label), ..self.question(op) };
        self.ask(&Question { secret: Some(&value), ..about("put") }).await?;
        let back = self.ask(&about("get")).await;
        // Also after a failure: a canary that stays behind is litter in somebody's vault.
        let deleted = self.ask(&about("delete")).await;
        match back? {
            Some(answer) if answer.secret.as_deref() == Some(&*value) => {}
            _ => return Err(SinkError::Mismatch(NAME)),
        }
        match deleted? {
            Some(_) => Ok(()),
            None => Err(failed("an entry could be written and not be deleted")),
        }
    }

    fn readable(&self) -> bool {
        self.readable.load(Ordering::Relaxed)
    }

    async fn put(
        &self,
        name: &SecretName,
        owner: Option<Owner<'_>>,
        secret: &Secret,
    ) -> Result<(), SinkError> {
        let question = Question {
            keyset_id: owner.map(|owner| owner.id.as_str()),
            publish_key: owner.map(|owner| &*owner.keys.publish_key),
            subscribe_key: owner.map(|owner| &*owner.keys.subscribe_key),
            secret: Some(secret.expose_secret()),
            ..self.about("put", name)
        };
        self.ask(&question)
            .await?
            .map(drop)
            .ok_or_else(|| failed("it says that it found nothing to write to"))
    }

    async fn has(&self, name: &SecretName) -> Result<Option<bool>, SinkError> {
        if self.readable() {
            return self.get(name).await.map(|found| Some(found.is_some()));
        }
        if !self.tells_existence.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.ask(&self.about("exists", name)).await.map(|answer| Some(answer.is_some()))
    }

    async fn remove(&self, name: &SecretName) -> Result<bool, SinkError> {
        self.ask(&self.about("delete", name)).await.map(|answer| answer.is_some())
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SinkError> {
        let Some(mut answer) = self.ask(&self.about("get", name)).await? else { return Ok(None) };
        let text = Zeroizing::new(answer.secret.take().unwrap_or_default());
        if text.is_empty() {
            // A put that was cut off leaves an entry without content.
            return Ok(None);
        }
        Secret::parse(text).map(Some).map_err(|_| failed("it answered something that is no key"))
    }
}
