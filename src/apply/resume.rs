//! What became of a create whose answer is missing: the account is asked, never the request repeated.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use super::refresh;
use crate::keyset::views::{LiveApp, LiveKeyset};
use crate::keyset::{FieldId, KeysetId, Value};
use crate::ports::{Api, ApiError, Clock, Creation, Fresh, Intent, Unknown, absent};

/// The server's clock may be behind ours by this much, in seconds.
const CLOCK_SKEW: i64 = 300;

/// What a complete listing says about an intent.
pub enum Resolution<T> {
    /// Exactly one entry can be the intent's.
    Mine(Unknown, Box<T>),
    /// Nothing can be, and enough time has passed for it to show up.
    Absent(Fresh),
    /// More than one can be; a person has to choose. Ids of the candidates.
    Ambiguous(Unknown, Vec<String>),
    /// The listing failed.
    NotAsked(Unknown, ApiError),
}

/// Looks for the keyset of `unknown`, again and again until it shows up or `settle` has passed since now.
/// `taken`: ids that belong to other labels.
pub async fn keyset<A: Api, C: Clock>(
    api: &A,
    clock: &C,
    unknown: Unknown,
    taken: &RefCell<BTreeSet<KeysetId>>,
    settle: Duration,
) -> Resolution<LiveKeyset> {
    let intent = unknown.intent().clone();
    resolve(clock, unknown, settle, || async {
        let all = refresh::keysets(api).await?;
        Ok(all.into_values().filter(|k| could_be(&intent, k) && !taken.borrow().contains(&k.id)).map(|k| (k.id.to_string(), k)).collect())
    })
    .await
}

/// The same for an app.
pub async fn app<A: Api, C: Clock>(api: &A, clock: &C, unknown: Unknown, settle: Duration) -> Resolution<LiveApp> {
    let what = unknown.intent().what.clone();
    resolve(clock, unknown, settle, || async {
        let Creation::App { name, known, .. } = &what else { return Ok(Vec::new()) };
        let all = refresh::apps(api).await?;
        Ok(all.into_values().filter(|a| a.name == *name && !known.contains(&a.id)).map(|a| (a.id.to_string(), a)).collect())
    })
    .await
}

async fn resolve<T, C: Clock, F>(clock: &C, unknown: Unknown, settle: Duration, candidates: impl Fn() -> F) -> Resolution<T>
where
    F: Future<Output = Result<Vec<(String, T)>, ApiError>>,
{
    let mut waited = Duration::ZERO;
    let mut pause = Duration::from_millis(250);
    loop {
        let mut found = match candidates().await {
            Ok(found) => found,
            Err(error) => return Resolution::NotAsked(unknown, error),
        };
        match found.len() {
            0 if waited >= settle => return Resolution::Absent(absent(unknown)),
            0 => {}
            1 => {
                let (_, entry) = found.remove(0);
                return Resolution::Mine(unknown, Box::new(entry));
            }
            _ => return Resolution::Ambiguous(unknown, found.into_iter().map(|(id, _)| id).collect()),
        }
        let nap = pause.min(settle - waited);
        clock.sleep(nap).await;
        waited += nap;
        pause *= 2;
    }
}

fn could_be(intent: &Intent, keyset: &LiveKeyset) -> bool {
    let Creation::Keyset { app_id, name, r#type, known, .. } = &intent.what else { return false };
    let told = |field: &str| FieldId::find("keyset", field).and_then(|f| keyset.observed.get(f));
    // Responses mark name and type as optional: what is not told does not speak against it.
    let tells = |field: &str, text: &str| told(field).is_none_or(|value| *value == Value::Text(text.into()));
    // One of this name that was not there before the intent is newer than it, whatever the two clocks say.
    let new = || told("name").is_some() || keyset.created_at.is_none_or(|at| at.as_second() >= intent.at.as_second() - CLOCK_SKEW);
    keyset.app_id == *app_id && !known.contains(&keyset.id) && tells("name", name) && tells("type", r#type) && new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyset::wire;
    use crate::keyset::{AppId, Label};

    fn live(name: Option<&str>, created_at: &str) -> LiveKeyset {
        let mut json = serde_json::json!({
            "id": "1", "appId": "7", "publishKey": "pub-c-1", "subscribeKey": "sub-c-1", "createdAt": created_at,
        });
        if let Some(name) = name {
            json["name"] = name.into();
        }
        wire::parse(json.to_string().as_bytes()).expect("a keyset")
    }

    #[test]
    fn a_clock_that_is_fast_does_not_hide_what_was_made() {
        let what = Creation::Keyset {
            label: Label::parse("chat").expect("a label"),
            app: Label::parse("app").expect("a label"),
            app_id: AppId::parse("7").expect("an id"),
            name: "chat".into(),
            r#type: "testing".into(),
            body_digest: "".into(),
            known: BTreeSet::new(),
        };
        let intent = Intent { id: uuid::Uuid::nil(), at: "2026-05-01T12:00:00Z".parse().expect("a time"), what };
        let before = "2026-05-01T10:00:00Z";
        assert!(could_be(&intent, &live(Some("chat"), before)), "its name is new, so it is");
        assert!(!could_be(&intent, &live(Some("other"), "2026-05-01T12:00:01Z")));
        assert!(!could_be(&intent, &live(None, before)), "without a name only the time tells it apart");
        assert!(could_be(&intent, &live(None, "2026-05-01T12:00:01Z")));
    }
}
