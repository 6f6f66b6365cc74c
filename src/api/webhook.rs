//! One notification to one webhook.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::http;
use crate::keyset::Secret;
use crate::keyset::address::is_secure;

/// For one try.
const TIMEOUT: Duration = Duration::from_secs(10);
/// For all of them: nobody waits for a notification.
const PATIENCE: Duration = Duration::from_secs(20);
const TRIES: usize = 3;

/// Posts it; repeated where the service says that another time may be better.
///
/// # Errors
/// Why it was not taken, in words that hold nothing of the address: who knows that can post.
pub async fn post(address: &Secret, body: &serde_json::Value) -> Result<(), String> {
    let url = Url::parse(address.expose_secret()).ok().filter(is_secure);
    let url = url.ok_or("it is not an address (https, or http on this machine)")?;
    let headers =
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let options = http::Options { headers, connect_timeout: TIMEOUT, timeout: TIMEOUT };
    let client = http::client(&url, options)?;
    let bytes = serde_json::to_vec(body).map_err(|error| error.to_string())?;
    let send = || async {
        let sent = client.post(url.clone()).body(bytes.clone()).send().await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let again = answer.status().is_server_error()
                    || matches!(answer.status().as_u16(), 408 | 429);
                Err((again, format!("the webhook answers {}", answer.status().as_u16())))
            }
            Err(error) => Err((true, http::innermost(&error))),
        }
    };
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_times(TRIES - 1)
        .with_jitter();
    let sent = tokio::time::timeout(PATIENCE, send.retry(backoff).when(|(again, _)| *again)).await;
    sent.unwrap_or_else(|_| Err((false, "out of time".to_owned()))).map_err(|(_, why)| why)
}
