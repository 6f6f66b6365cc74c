//! The client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue,
};
use reqwest::{Method, Url};
use zeroize::Zeroizing;

use super::answer::{self, BODY_MAX, SECRET_BODY_MAX};
use super::gate::Gate;
use crate::audit::Ended;
use crate::http;
use crate::keyset::KeyPrefix;
use crate::keyset::address::{has_extras, is_secure};
use crate::keyset::push::{Push, PushTexts};
use crate::keyset::views::{LiveApp, LiveKeyset};
use crate::keyset::wire::{self, AppPage, KeysetPage, ListedKey};
use crate::keyset::{ApiVersion, AppId, KeysetId, Observed, PushContent, RawAnswer, Secret};
use crate::ports::{Api, ApiError, ApiErrorKind, Body, Notes};

/// Entries asked for per page. The maximum is not documented; the vendor's own client asks for 100.
const PAGE: u64 = 100;

/// How a client is made.
pub struct Options {
    /// `https://host[:port]`, or `http` on loopback.
    pub endpoint: String,
    pub version: ApiVersion,
    pub key: Secret,
    /// For one connection to be made.
    pub connect_timeout: Duration,
    /// For one whole request, answer included.
    pub timeout: Duration,
    /// Times a GET or PATCH is sent at most; a POST is sent once.
    pub tries: u32,
    /// Pause before the second try; it doubles from try to try, with jitter, up to 20 s.
    pub first_pause: Duration,
    /// Where everything but a GET is noted before it is sent. `None`: nothing but a GET is ever
    /// sent.
    pub notes: Option<Arc<dyn Notes>>,
}

impl Options {
    pub fn new(endpoint: String, version: ApiVersion, key: Secret) -> Options {
        Options {
            endpoint,
            version,
            key,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            tries: 5,
            first_pause: Duration::from_millis(500),
            notes: None,
        }
    }
}

/// The endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadEndpoint {
    #[error("the endpoint is not https://HOST[:PORT] (or http on loopback)")]
    NotAllowed,
    #[error("the API key cannot be sent in a header")]
    Key(#[source] InvalidHeaderValue),
    #[error(
        "the HTTP client cannot be set up: {0} (the certificates to trust are those of the system: \
         the package ca-certificates, or a file \
         that SSL_CERT_FILE names)"
    )]
    Setup(String),
}

/// `ports::Api` over HTTP.
pub struct Client {
    http: reqwest::Client,
    /// Marked as sensitive: its `Debug` does not show it.
    key: HeaderValue,
    base: Url,
    tries: u32,
    first_pause: Duration,
    gate: Gate,
    notes: Option<Arc<dyn Notes>>,
    /// As [`Api::clock_offset`].
    offset: Mutex<Option<i64>>,
}

impl Client {
    /// Connects to nothing yet.
    pub fn new(options: Options) -> Result<Client, BadEndpoint> {
        let base = endpoint(&options.endpoint)?;
        let mut key =
            HeaderValue::from_str(options.key.expose_secret()).map_err(BadEndpoint::Key)?;
        key.set_sensitive(true);
        let version = HeaderValue::from_str(options.version.as_str()).map_err(BadEndpoint::Key)?;
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, key.clone()),
            (HeaderName::from_static("pubnub-version"), version),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let (connect_timeout, timeout) = (options.connect_timeout, options.timeout);
        let http = http::client(&base, http::Options { headers, connect_timeout, timeout })
            .map_err(BadEndpoint::Setup)?;
        Ok(Client {
            http,
            key,
            base,
            tries: options.tries.max(1),
            first_pause: options.first_pause,
            gate: Gate::default(),
            notes: options.notes,
            offset: Mutex::default(),
        })
    }

    /// GET, PATCH and DELETE: repeated while it may help.
    async fn repeat(
        &self,
        method: Method,
        path: &str,
        body: Option<&Body>,
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let bytes = body
            .map(plain_body)
            .transpose()
            .map_err(|why| error(&method, path, 0, ApiErrorKind::NotSent(why)))?;
        if method == Method::GET {
            return self.repeat_bytes(method, path, bytes).await;
        }
        let noted = self.note(&method, path, body).await?;
        noted.ended(self.repeat_bytes(method, path, bytes).await).await
    }

    /// Nothing but a GET is sent before it is noted.
    async fn note(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Body>,
    ) -> Result<Noted<'_>, ApiError> {
        let failed = |why: String| error(method, path, 0, ApiErrorKind::NotSent(why));
        let notes =
            self.notes.as_deref().ok_or_else(|| failed("this command only reads".to_owned()))?;
        let request = notes
            .request(method.as_str(), path, body)
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok(Noted { notes, request })
    }

    async fn repeat_bytes(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let mut tries = 0;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.first_pause)
            .with_max_delay(Duration::from_secs(20))
            .with_max_times(self.tries as usize - 1)
            .with_jitter();
        let sent = (|| {
            tries += 1;
            self.send(method.clone(), path, body.clone(), BODY_MAX)
        })
        .retry(backoff)
        .when(ApiErrorKind::is_passing)
        // The gate keeps the wait that the server asked for; sleeping it here too would double it.
        // `Retry-After: 0` is no leave to hammer.
        .adjust(|kind, pause| {
            pause.map(|pause| pause.saturating_sub(wait_of(kind).unwrap_or_default()))
        })
        .notify(|kind, pause| tracing::debug!(%path, ?pause, wait = ?wait_of(kind), "trying again"))
        .await;
        sent.map_err(|kind| error(&method, path, tries, kind))
    }

    /// POST: once.
    async fn once(
        &self,
        path: &str,
        body: &Body,
        max: usize,
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let noted = self.note(&Method::POST, path, Some(body)).await?;
        let sent = async {
            self.send(
                Method::POST,
                path,
                Some(plain_body(body).map_err(ApiErrorKind::NotSent)?),
                max,
            )
            .await
        };
        noted.ended(sent.await.map_err(|kind| error(&Method::POST, path, 1, kind))).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        max: usize,
    ) -> Result<Zeroizing<Vec<u8>>, ApiErrorKind> {
        self.gate.pass().await;
        let url = self.base.join(path).map_err(|error| ApiErrorKind::NotSent(error.to_string()))?;
        let mut request = self.http.request(method.clone(), url);
        if let Some(body) = body {
            request = request.body(body);
        }
        let begun = tokio::time::Instant::now();
        let answer = match request.send().await {
            Ok(response) => {
                tracing::debug!(%method, path, status = response.status().as_u16(), ms = begun.elapsed().as_millis() as u64, "answered");
                if let Some(offset) = answer::clock_offset(response.headers()) {
                    *self.offset.lock().unwrap_or_else(PoisonError::into_inner) = Some(offset);
                }
                answer::body(response, max, &self.key).await
            }
            Err(error) => {
                let why = http::innermost(&error);
                tracing::debug!(%method, path, why, ms = begun.elapsed().as_millis() as u64, "not answered");
                if error.is_connect() || error.is_builder() {
                    Err(ApiErrorKind::NotSent(why))
                } else {
                    Err(ApiErrorKind::NoAnswer(why))
                }
            }
        };
        if let Err(kind) = &answer {
            // Too many requests, and not for how long: the others pause as this one does.
            let unasked = matches!(kind, ApiErrorKind::Status { status: 429, .. })
                .then_some(self.first_pause);
            if let Some(wait) = wait_of(kind).or(unasked) {
                self.gate.close(wait);
            }
        }
        answer
    }
}

impl Api for Client {
    fn clock_offset(&self) -> Option<i64> {
        *self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }
    async fn apps_page(&self, page: u64) -> Result<AppPage, ApiError> {
        self.list(format!("/v2/apps?page={page}&limit={PAGE}")).await
    }
    async fn keysets_page(&self, page: u64) -> Result<KeysetPage, ApiError> {
        self.list(format!("/v2/keysets?page={page}&limit={PAGE}")).await
    }
    async fn config(&self, id: &KeysetId) -> Result<Observed, ApiError> {
        self.list(format!("/v2/keysets/{id}/config")).await
    }
    async fn post_app(&self, name: &str) -> Result<LiveApp, ApiError> {
        let (path, body) = ("/v2/apps", named(name));
        parsed(&Method::POST, path, &self.once(path, &body, BODY_MAX).await?)
    }
    async fn patch_app(&self, id: &AppId, name: &str) -> Result<LiveApp, ApiError> {
        let path = format!("/v2/apps/{id}");
        let app: LiveApp = parsed(
            &Method::PATCH,
            &path,
            &self.repeat(Method::PATCH, &path, Some(&named(name))).await?,
        )?;
        same_id(&path, app.id == *id).map(|()| app)
    }
    async fn post_keyset(&self, body: &Body) -> Result<RawAnswer, ApiError> {
        self.once("/v2/keysets", body, SECRET_BODY_MAX).await.map(RawAnswer::new)
    }
    async fn rotate_secret_key(
        &self,
        id: &KeysetId,
        expires_at: Option<jiff::Timestamp>,
    ) -> Result<RawAnswer, ApiError> {
        let mut body = Body::new();
        if let Some(at) = expires_at {
            body.insert("expiresAt".to_owned(), format!("{at:.0}").into());
        }
        self.once(&format!("/v2/keysets/{id}/secret-keys"), &body, SECRET_BODY_MAX)
            .await
            .map(RawAnswer::new)
    }
    async fn secret_keys(&self, id: &KeysetId) -> Result<Vec<ListedKey>, ApiError> {
        let path = format!("/v2/keysets/{id}/secret-keys?activeOnly=true");
        let bytes = self.repeat(Method::GET, &path, None).await?;
        wire::listed_keys(&bytes)
            .map_err(|bad| error(&Method::GET, &path, 1, ApiErrorKind::BadAnswer(bad)))
    }
    async fn patch_keyset(&self, id: &KeysetId, body: &Body) -> Result<LiveKeyset, ApiError> {
        let path = format!("/v2/keysets/{id}");
        let keyset: LiveKeyset =
            parsed(&Method::PATCH, &path, &self.repeat(Method::PATCH, &path, Some(body)).await?)?;
        same_id(&path, keyset.id == *id).map(|()| keyset)
    }
    async fn expire_secret_key(
        &self,
        id: &KeysetId,
        prefix: &KeyPrefix,
        expires_at: jiff::Timestamp,
    ) -> Result<(), ApiError> {
        let path = format!("/v2/keysets/{id}/secret-keys/{prefix}");
        let body = Body::from_iter([("expiresAt".to_owned(), format!("{expires_at:.0}").into())]);
        self.repeat(Method::PATCH, &path, Some(&body)).await.map(drop)
    }
    async fn delete_secret_key(&self, id: &KeysetId, prefix: &KeyPrefix) -> Result<(), ApiError> {
        self.delete(format!("/v2/keysets/{id}/secret-keys/{prefix}")).await
    }
    async fn delete_keyset(&self, id: &KeysetId) -> Result<(), ApiError> {
        self.delete(format!("/v2/keysets/{id}")).await
    }
    async fn delete_app(&self, id: &AppId) -> Result<(), ApiError> {
        self.delete(format!("/v2/apps/{id}")).await
    }
    async fn upload_push(
        &self,
        id: &KeysetId,
        push: Push,
        texts: &PushTexts,
        content: &PushContent,
    ) -> Result<(), ApiError> {
        let path = format!("/v2/keysets/{id}/config/{push}");
        let body = upload_body(push, texts, content)
            .map_err(|why| error(&Method::POST, &path, 0, ApiErrorKind::NotSent(why)))?;
        let named = texts.iter().map(|(name, text)| (name.to_string(), (&**text).into())).collect();
        let noted = self.note(&Method::POST, &path, Some(&named)).await?;
        let mut sent = self.repeat_bytes(Method::POST, &path, Some(body)).await;
        if let Err(error) = &mut sent {
            withhold(&mut error.kind, content);
        }
        noted.ended(sent).await.map(drop)
    }
    async fn patch_config(&self, id: &KeysetId, body: &Body) -> Result<Observed, ApiError> {
        let path = format!("/v2/keysets/{id}/config");
        parsed(&Method::PATCH, &path, &self.repeat(Method::PATCH, &path, Some(body)).await?)
    }
}

impl Client {
    /// What is gone stays gone: a DELETE may be repeated.
    async fn delete(&self, path: String) -> Result<(), ApiError> {
        let answer: Done =
            parsed(&Method::DELETE, &path, &self.repeat(Method::DELETE, &path, None).await?)?;
        let kind = || ApiErrorKind::NotDone("the answer says so, without a reason".to_owned());
        if answer.success { Ok(()) } else { Err(error(&Method::DELETE, &path, 1, kind())) }
    }
    async fn list<T: serde::de::DeserializeOwned>(&self, path: String) -> Result<T, ApiError> {
        parsed(&Method::GET, &path, &self.repeat(Method::GET, &path, None).await?)
    }
}

/// A request that is in the log and has no end there yet.
struct Noted<'a> {
    notes: &'a dyn Notes,
    request: u64,
}

impl Noted<'_> {
    async fn ended<T>(self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        let (outcome, error) = match &result {
            Ok(_) => (Ended::Done, None),
            Err(error) if error.certainly_not_done() => (Ended::Refused, Some(error.to_string())),
            Err(error) => (Ended::Unknown, Some(error.to_string())),
        };
        self.notes.answer(self.request, outcome, error).await;
        result
    }
}

fn plain_body(body: &Body) -> Result<Bytes, String> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| error.to_string())
}

/// The body of an upload, wiped once it is sent.
fn upload_body(push: Push, texts: &PushTexts, content: &PushContent) -> Result<Bytes, String> {
    let mut members: BTreeMap<&str, &str> =
        texts.iter().map(|(name, text)| (&**name, &**text)).collect();
    members.insert(push.call().content, content.expose_text());
    // Room for all of it escaped, so that no copy is left behind where it grew.
    let length: usize = members.iter().map(|(name, text)| name.len() + 6 * text.len() + 8).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(length + 2));
    serde_json::to_writer(&mut *body, &members).map_err(|error| error.to_string())?;
    Ok(Bytes::from_owner(body))
}

/// A server that repeats what it was sent must not have it told.
fn withhold(kind: &mut ApiErrorKind, content: &PushContent) {
    if let ApiErrorKind::Status { error, messages, .. } = kind {
        for text in std::iter::once(error).chain(messages).filter(|text| content.is_in(text)) {
            *text = "(withheld: it repeats a part of the file)".to_owned();
        }
    }
}

/// `{"success": true}`
#[derive(serde::Deserialize)]
struct Done {
    success: bool,
}

fn named(name: &str) -> Body {
    Body::from_iter([("name".to_owned(), name.into())])
}

fn parsed<T: serde::de::DeserializeOwned>(
    method: &Method,
    path: &str,
    bytes: &[u8],
) -> Result<T, ApiError> {
    wire::parse(bytes).map_err(|bad| error(method, path, 1, ApiErrorKind::BadAnswer(bad)))
}

fn same_id(path: &str, same: bool) -> Result<(), ApiError> {
    let kind =
        || ApiErrorKind::NotDone("the answer is about another id than the request".to_owned());
    if same { Ok(()) } else { Err(error(&Method::PATCH, path, 1, kind())) }
}

fn error(method: &Method, path: &str, tries: u32, kind: ApiErrorKind) -> ApiError {
    let method = match *method {
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "GET",
    };
    ApiError { method, path: path.to_owned(), tries, kind }
}

/// How long the server asked everybody to wait.
fn wait_of(kind: &ApiErrorKind) -> Option<Duration> {
    match kind {
        ApiErrorKind::Status { retry_after, .. } => *retry_after,
        _ => None,
    }
}

fn endpoint(text: &str) -> Result<Url, BadEndpoint> {
    let url = Url::parse(text).map_err(|_| BadEndpoint::NotAllowed)?;
    let bare = url.path() == "/" && !has_extras(&url);
    if is_secure(&url) && bare { Ok(url) } else { Err(BadEndpoint::NotAllowed) }
}
