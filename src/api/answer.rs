//! From an HTTP response to bytes or a typed error. The text of a body never gets into an error: it
//! may hold a secret.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use zeroize::Zeroizing;

use crate::http::innermost;
use crate::keyset::wire::{self, ErrorBody};
use crate::ports::ApiErrorKind;

/// Longest body taken. A page of 100 keysets has about 40 KiB.
pub const BODY_MAX: usize = 16 << 20;
/// Longest answer to a create or rotate; these have about 2 KiB.
pub const SECRET_BODY_MAX: usize = 1 << 20;
/// Most of an error's messages that are kept, and most characters of each.
const MESSAGES_MAX: usize = 20;
const MESSAGE_MAX: usize = 1_000;

/// The whole body of a 2xx answer, wiped when dropped. `key`: what no error may repeat.
pub async fn body(
    response: Response,
    max: usize,
    key: &HeaderValue,
) -> Result<Zeroizing<Vec<u8>>, ApiErrorKind> {
    let (status, headers) = (response.status(), response.headers().clone());
    if status.is_success() {
        return read(response, max).await;
    }
    // What an error says is worth a try; that it is unreadable changes nothing about the status.
    let body = read(response, SECRET_BODY_MAX).await.ok();
    Err(failure(status, &headers, body.as_deref().map(Vec::as_slice), key))
}

async fn read(mut response: Response, max: usize) -> Result<Zeroizing<Vec<u8>>, ApiErrorKind> {
    let told = response.content_length().unwrap_or(0);
    if told > max as u64 {
        return Err(ApiErrorKind::TooLarge { limit: max });
    }
    // Enough for the usual answer, so that no half-grown copy of a secret is left behind unwiped.
    let mut body = Zeroizing::new(Vec::with_capacity((told as usize).max(16 << 10)));
    while let Some(chunk) =
        response.chunk().await.map_err(|error| ApiErrorKind::NoAnswer(innermost(&error)))?
    {
        if body.len() + chunk.len() > max {
            return Err(ApiErrorKind::TooLarge { limit: max });
        }
        if body.len() + chunk.len() > body.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(
                (2 * body.capacity()).max(body.len() + chunk.len()),
            ));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failure(
    status: StatusCode,
    headers: &HeaderMap,
    body: Option<&[u8]>,
    key: &HeaderValue,
) -> ApiErrorKind {
    let parsed: Option<ErrorBody> = body.and_then(|bytes| wire::parse(bytes).ok());
    let (error, messages) = match parsed {
        Some(body) => (body.error, Vec::from(body.message)),
        None => {
            let kind = headers
                .get(CONTENT_TYPE)
                .and_then(|v| v.to_str().ok())
                .unwrap_or("no content type");
            (
                String::new(),
                vec![format!(
                    "no error of the Admin API in the answer ({kind}, {} bytes)",
                    body.map_or(0, <[u8]>::len)
                )],
            )
        }
    };
    let messages =
        messages.into_iter().take(MESSAGES_MAX).map(|m| told(m, MESSAGE_MAX, key)).collect();
    let error = told(error, 100, key);
    ApiErrorKind::Status {
        status: status.as_u16(),
        error,
        messages,
        retry_after: retry_after(headers),
    }
}

/// What the server says, at most `max` characters: not where it quotes the API key or a secret key.
/// Looked for before it is cut, so that no half of one is left.
fn told(text: String, max: usize, key: &HeaderValue) -> String {
    let quotes_key =
        text.as_bytes().windows(key.len().max(1)).any(|window| window == key.as_bytes());
    if quotes_key || text.contains("sec-c-") {
        "(withheld)".to_owned()
    } else {
        text.chars().take(max).collect()
    }
}

/// `Retry-After` as seconds or as an HTTP date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    // The server's own clock, where it tells it: ours may be off.
    let now = headers
        .get(reqwest::header::DATE)
        .and_then(|v| httpdate::parse_http_date(v.to_str().ok()?).ok());
    at.duration_since(now?).ok()
}

/// Seconds that the server's clock is ahead of ours, if it tells its time.
#[expect(clippy::disallowed_methods, reason = "two clocks are compared")]
pub fn clock_offset(headers: &HeaderMap) -> Option<i64> {
    let theirs =
        httpdate::parse_http_date(headers.get(reqwest::header::DATE)?.to_str().ok()?).ok()?;
    let seconds = |at: SystemTime| {
        at.duration_since(SystemTime::UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_secs()).ok())
    };
    Some(seconds(theirs)? - seconds(SystemTime::now())?)
}
