//! One notification to one webhook.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::Url;

use super::answer::plain;
use crate::keyset::Secret;
use crate::keyset::address::{is_loopback, is_secure};

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
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("keyform/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    if is_loopback(&url) {
        builder = builder.no_proxy();
    }
    let http = builder.build().map_err(|error| plain(&error))?;
    let bytes = serde_json::to_vec(body).map_err(|error| error.to_string())?;
    let send = || async {
        let sent = http
            .post(url.clone())
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(bytes.clone())
            .send()
            .await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let again = answer.status().is_server_error()
                    || matches!(answer.status().as_u16(), 408 | 429);
                Err((again, format!("the webhook answers {}", answer.status().as_u16())))
            }
            Err(error) => Err((true, plain(&error))),
        }
    };
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_times(TRIES - 1)
        .with_jitter();
    let sent = tokio::time::timeout(PATIENCE, send.retry(backoff).when(|(again, _)| *again)).await;
    sent.unwrap_or_else(|_| Err((false, "out of time".to_owned()))).map_err(|(_, why)| why)
}
