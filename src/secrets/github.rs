//! Copies of secrets at GitHub: secrets of Actions, in a repository or in one of its environments.
//!
//! GitHub takes a secret only sealed for a public key of that repository or environment, and never
//! gives it back. The answers' shapes are those of its REST documentation (Actions, Secrets;
//! version 2022-11-28).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::PublicKey;
use crypto_box::aead::OsRng;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode, Url};
use zeroize::Zeroizing;

use crate::http;
use crate::keyset::address::{has_extras, is_secure};
use crate::keyset::settings::{bad_text, is_format};
use crate::keyset::{MirrorTarget, Secret};
use crate::ports::{CopyFailed, Mirror};

/// Longest answer taken, in bytes. A public key has about 100.
const BODY_MAX: usize = 1 << 20;
/// Most characters kept of what GitHub says.
const MESSAGE_MAX: usize = 300;
/// Longest wait that is granted; GitHub's hourly limit asks for up to an hour.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Times a request is sent at most. All of them may be repeated: to put a secret again changes
/// nothing.
const TRIES: usize = 5;

/// What GitHub's API is asked with. It connects to nothing until the first [`Github::put`].
pub struct Github {
    http: reqwest::Client,
    base: Url,
    /// No error may repeat it.
    token: Secret,
    first_pause: Duration,
    /// By the address they come from: each repository and environment has its own.
    keys: Mutex<BTreeMap<String, SealKey>>,
}

/// A secret could not be put. Texts come from keyform and, shortened and without control
/// characters, from GitHub; never the token or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    #[error("the address of GitHub's API is not https://HOST (or http on this machine)")]
    BadAddress,
    #[error("the HTTP client for GitHub cannot be set up: {0}")]
    Setup(String),
    /// Nothing was sent.
    #[error("not a secret at GitHub: {0}")]
    BadTarget(&'static str),
    #[error("no answer from GitHub {what} (tries: {tries}): {why}")]
    NoAnswer { what: String, why: String, tries: u32 },
    #[error("GitHub answers {status} {what}: {message}")]
    Refused { what: String, status: u16, message: String, environment: bool, limited: bool },
    #[error("GitHub's answer makes no sense {what}: {why}")]
    BadAnswer { what: String, why: &'static str },
}

impl MirrorError {
    /// What to do.
    pub fn help(&self) -> Option<&'static str> {
        let MirrorError::Refused { status, environment, limited, .. } = self else {
            return match self {
                MirrorError::BadAddress => Some(
                    "GITHUB_API_URL is https://api.github.com, or https://HOST/api/v3 of a server \
                     of your own",
                ),
                MirrorError::NoAnswer { .. } => {
                    Some("check the network and the proxy, and try again: nothing is lost")
                }
                _ => None,
            };
        };
        if *limited {
            return Some("too many requests for this token: try again later, nothing is lost");
        }
        match (status, environment) {
            (301 | 302 | 307 | 308, _) => Some(
                "the repository was renamed or moved: write its present name; no redirect is \
                 followed with a token",
            ),
            (401, _) => Some("the token is wrong, revoked or expired: make a new one"),
            (403, false) => Some(
                "a fine-grained token needs the repository permission Secrets: write, a classic \
                 one the scope repo; the GITHUB_TOKEN of \
                 a workflow cannot write secrets",
            ),
            (403, true) => Some(
                "a fine-grained token needs the repository permissions Secrets: write and \
                 Environments: write, a classic one the scope \
                 repo; the GITHUB_TOKEN of a workflow cannot write secrets",
            ),
            (404, false) => Some(
                "there is no such repository, or the token may not see it: GitHub answers the same \
                 to both",
            ),
            (404, true) => Some(
                "there is no such repository or environment, or the token may not see it: GitHub \
                 answers the same to both. keyform makes \
                 no environments",
            ),
            (500.., _) => Some("GitHub has a problem of its own: try again later, nothing is lost"),
            _ => None,
        }
    }
}

/// What secrets of one scope are sealed for.
#[derive(Clone)]
struct SealKey {
    id: String,
    key: PublicKey,
}

#[derive(serde::Deserialize)]
struct KeyBody {
    key_id: String,
    key: String,
}

#[derive(serde::Serialize)]
struct PutBody<'a> {
    encrypted_value: &'a str,
    key_id: &'a str,
}

#[derive(serde::Deserialize)]
struct ErrorBody {
    message: String,
}

impl Mirror for Github {
    async fn put(&self, to: &MirrorTarget, secret: &Secret) -> Result<(), CopyFailed> {
        Github::put(self, to, secret).await.map_err(|error| CopyFailed {
            why: error.to_string(),
            help: error.help().map(Into::into),
        })
    }
}

impl Github {
    /// `base_url`: `https://api.github.com`, or with a path; http on loopback only.
    pub fn new(base_url: &str, token: Secret) -> Result<Github, MirrorError> {
        let base = Url::parse(base_url).map_err(|_| MirrorError::BadAddress)?;
        if !is_secure(&base) || has_extras(&base) {
            return Err(MirrorError::BadAddress);
        }
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        let mut bearer = HeaderValue::from_str(&bearer)
            .map_err(|error| MirrorError::Setup(error.to_string()))?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, bearer),
            (ACCEPT, HeaderValue::from_static("application/vnd.github+json")),
            (
                HeaderName::from_static("x-github-api-version"),
                HeaderValue::from_static("2022-11-28"),
            ),
        ]);
        let (connect_timeout, timeout) = (Duration::from_secs(10), Duration::from_secs(30));
        let http = http::client(&base, http::Options { headers, connect_timeout, timeout })
            .map_err(MirrorError::Setup)?;
        Ok(Github {
            http,
            base,
            token,
            first_pause: Duration::from_millis(500),
            keys: Mutex::default(),
        })
    }

    /// The pause before the second try of a request; it doubles from try to try, with jitter.
    /// Default: half a second.
    pub fn first_pause(mut self, pause: Duration) -> Github {
        self.first_pause = pause;
        self
    }

    /// Finds out whether secrets can be put there at all, as far as GitHub tells: asks for the key
    /// they are sealed for.
    pub async fn reach(&self, target: &MirrorTarget) -> Result<(), MirrorError> {
        let ask = Ask::new(&self.base, target)?;
        if self.known(&ask).is_some() {
            return Ok(());
        }
        self.fetch(&ask, None).await.map(drop)
    }

    /// Makes the secret, or gives it this value.
    pub async fn put(&self, target: &MirrorTarget, secret: &Secret) -> Result<(), MirrorError> {
        let ask = Ask::new(&self.base, target)?;
        let known = self.known(&ask);
        let fresh = known.is_none();
        let key = match known {
            Some(key) => key,
            None => self.fetch(&ask, Some(secret)).await?,
        };
        let refused = match self.put_sealed(&ask, &key, secret).await {
            Err(error @ MirrorError::Refused { status: 400 | 409 | 422, .. }) => error,
            done => return done,
        };
        // Perhaps GitHub has changed the key since; one that came just now is the right one.
        if fresh {
            return Err(refused);
        }
        let renewed = self.fetch(&ask, Some(secret)).await?;
        if renewed.id == key.id {
            Err(refused)
        } else {
            self.put_sealed(&ask, &renewed, secret).await
        }
    }

    fn known(&self, ask: &Ask) -> Option<SealKey> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(ask.key.as_str()).cloned()
    }

    async fn fetch(&self, ask: &Ask, secret: Option<&Secret>) -> Result<SealKey, MirrorError> {
        let what = format!("for the public key of {}", ask.scope);
        let body = self.repeat(Method::GET, &ask.key, None, &what, ask.environment, secret).await?;
        let bad = |why| MirrorError::BadAnswer { what: what.clone(), why };
        let parsed: KeyBody =
            serde_json::from_slice(&body).map_err(|_| bad("it has no `key_id` and `key`"))?;
        let bytes =
            STANDARD.decode(parsed.key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = SealKey {
            id: parsed.key_id,
            key: bytes.ok_or_else(|| bad("`key` is not 32 bytes in base64"))?.into(),
        };
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(ask.key.to_string(), key.clone());
        Ok(key)
    }

    async fn put_sealed(
        &self,
        ask: &Ask,
        key: &SealKey,
        secret: &Secret,
    ) -> Result<(), MirrorError> {
        // Sealed straight from the secret: the one copy that is made is encrypted where it stands.
        let sealed = key.key.seal(&mut OsRng, secret.expose_secret().as_bytes());
        let sealed =
            sealed.map_err(|_| MirrorError::Setup("a secret could not be sealed".to_owned()))?;
        let body = PutBody { encrypted_value: &STANDARD.encode(sealed), key_id: &key.id };
        let body =
            serde_json::to_vec(&body).map_err(|error| MirrorError::Setup(error.to_string()))?;
        self.repeat(Method::PUT, &ask.secret, Some(body), &ask.what, ask.environment, Some(secret))
            .await
            .map(drop)
    }

    /// Sends while it may help. `what` says in errors what it was about; `secret` is what no error
    /// repeats.
    async fn repeat(
        &self,
        method: Method,
        url: &Url,
        body: Option<Vec<u8>>,
        what: &str,
        environment: bool,
        secret: Option<&Secret>,
    ) -> Result<Vec<u8>, MirrorError> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.first_pause)
            .with_max_delay(Duration::from_secs(20))
            .with_max_times(TRIES - 1)
            .with_jitter();
        let mut tries = 0;
        let sent = (|| {
            tries += 1;
            self.send(method.clone(), url, body.clone())
        })
        .retry(backoff)
        .when(Failure::may_pass)
        .adjust(|failure, pause| pause.map(|pause| pause.max(failure.wait().unwrap_or_default())))
        .notify(|_, pause| tracing::debug!(%method, path = url.path(), ?pause, "trying again"))
        .await;
        let what = what.to_owned();
        sent.map_err(|failure| match failure {
            Failure::NoAnswer(why) => MirrorError::NoAnswer { what, why, tries },
            Failure::TooLarge => MirrorError::BadAnswer { what, why: "it is larger than 1 MiB" },
            Failure::Status { status, limited, wait, body } => {
                let asked = wait
                    .map(|wait| format!(" (it asks to wait {} s)", wait.as_secs()))
                    .unwrap_or_default();
                let message = self.told(&body, secret) + &asked;
                MirrorError::Refused {
                    what,
                    status: status.as_u16(),
                    message,
                    environment,
                    limited,
                }
            }
        })
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        body: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Failure> {
        let expected: &[u16] = if method == Method::PUT { &[201, 204] } else { &[200] };
        let mut request = self.http.request(method.clone(), url.clone());
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response =
            request.send().await.map_err(|error| Failure::NoAnswer(http::innermost(&error)))?;
        let (status, (limited, wait)) = (response.status(), limits(&response));
        tracing::debug!(%method, path = url.path(), status = status.as_u16(), "answered");
        let body = read(response).await;
        if expected.contains(&status.as_u16()) {
            return body;
        }
        // That its text cannot be read changes nothing about the status.
        Err(Failure::Status { status, limited, wait, body: body.unwrap_or_default() })
    }

    /// What GitHub says: one line, not too long, and not where it quotes the token or a secret.
    /// Looked for before it is cut, so that no half of one is left.
    fn told(&self, body: &[u8], secret: Option<&Secret>) -> String {
        let Ok(ErrorBody { message }) = serde_json::from_slice(body) else {
            return format!("no message of GitHub's in the answer ({} bytes)", body.len());
        };
        let private =
            [Some(self.token.expose_secret()), secret.map(Secret::expose_secret), Some("sec-c-")];
        if private.into_iter().flatten().any(|private| message.contains(private)) {
            return "(withheld: it quotes a secret)".to_owned();
        }
        let harmless = |c: char| if c.is_control() || is_format(c) { ' ' } else { c };
        let line: String = message.chars().take(MESSAGE_MAX).map(harmless).collect();
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if message.chars().nth(MESSAGE_MAX).is_some() { line + "…" } else { line }
    }
}

/// The addresses of a target.
struct Ask {
    key: Url,
    secret: Url,
    /// For errors.
    scope: String,
    what: String,
    environment: bool,
}

impl Ask {
    fn new(base: &Url, target: &MirrorTarget) -> Result<Ask, MirrorError> {
        // A segment of dots is a step in the path, however it is written.
        let dots = |text: &str| text.bytes().all(|b| b == b'.');
        let part = |text: &str| {
            !dots(text) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        let named = |(owner, name): &(&str, &str)| part(owner) && part(name);
        let (owner, repo) = target
            .repo
            .split_once('/')
            .filter(named)
            .ok_or(MirrorError::BadTarget("the repository is not OWNER/NAME"))?;
        if target.name.is_empty()
            || !target.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            return Err(MirrorError::BadTarget("a name holds letters, digits and `_` only"));
        }
        if target
            .environment
            .as_deref()
            .is_some_and(|name| dots(name) || bad_text(name, 255).is_some())
        {
            return Err(MirrorError::BadTarget("no environment has this name"));
        }
        let folder = match &target.environment {
            Some(environment) => vec!["repos", owner, repo, "environments", environment, "secrets"],
            None => vec!["repos", owner, repo, "actions", "secrets"],
        };
        let url = |last: &str| {
            let mut url = base.clone();
            url.path_segments_mut()
                .map_err(|()| MirrorError::BadAddress)?
                .pop_if_empty()
                .extend(&folder)
                .push(last);
            Ok(url)
        };
        let scope = match &target.environment {
            Some(environment) => format!("environment `{environment}` of {}", target.repo),
            None => target.repo.to_string(),
        };
        Ok(Ask {
            key: url("public-key")?,
            secret: url(&target.name)?,
            what: format!("for secret {} of {scope}", target.name),
            scope,
            environment: target.environment.is_some(),
        })
    }
}

/// How one request ended.
#[derive(Debug)]
enum Failure {
    NoAnswer(String),
    TooLarge,
    /// `limited`: too many requests. `wait`: as long as GitHub asks for.
    Status {
        status: StatusCode,
        limited: bool,
        wait: Option<Duration>,
        body: Vec<u8>,
    },
}

impl Failure {
    fn wait(&self) -> Option<Duration> {
        match self {
            Failure::Status { wait, .. } => *wait,
            _ => None,
        }
    }

    /// Whether another try may end better, soon.
    fn may_pass(&self) -> bool {
        match self {
            Failure::NoAnswer(_) => true,
            Failure::TooLarge => false,
            Failure::Status { wait: Some(wait), .. } if *wait > WAIT_MAX => false,
            // A limit without a word about its end is the hourly one, unless it says 429.
            Failure::Status { status, limited, wait, .. } => {
                (*limited && wait.is_some())
                    || matches!(status.as_u16(), 408 | 425 | 429 | 500..=599)
            }
        }
    }
}

/// Whether it was too many requests - GitHub says 403 or 429 to that - and how long to wait.
fn limits(response: &Response) -> (bool, Option<Duration>) {
    let number =
        |name: &str| response.headers().get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let wait = number(RETRY_AFTER.as_str()).map(Duration::from_secs);
    let limited = match response.status().as_u16() {
        429 => true,
        403 => wait.is_some() || number("x-ratelimit-remaining") == Some(0),
        _ => false,
    };
    (limited, wait)
}

async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| Failure::NoAnswer(http::innermost(&error)))?
    {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
