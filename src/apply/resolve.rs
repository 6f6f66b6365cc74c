//! What became of creates whose answers are missing: the account is asked, never the request repeated. All of them together,
//! while nothing else is created, so that one complete listing answers for all.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use super::refresh;
use crate::keyset::views::{LiveApp, LiveKeyset};
use crate::keyset::{FieldId, KeysetId, Value};
use crate::ports::{Api, ApiError, Clock, Creation, Fresh, Intent, Unknown, absent};

/// The server's clock may be behind ours by this much, in seconds.
const CLOCK_SKEW: i64 = 300;
/// Between two listings at first; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// What complete listings say about an intent.
pub enum Resolution<T> {
    /// Exactly one entry can be the intent's.
    Mine(Unknown, Box<T>),
    /// Nothing can be, and enough time has passed for it to show up.
    Absent(Fresh),
    /// Which it is cannot be told; a person has to choose. Ids of the candidates.
    Ambiguous(Unknown, Vec<String>),
    /// The listing failed.
    NotAsked(Unknown, ApiError),
    /// Nothing can be so far, and the run was interrupted before it was certain.
    TooEarly(Unknown),
}

/// How much an entry speaks for being what an intent made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Likeness {
    No,
    /// It does not tell its name.
    Perhaps,
    Yes,
}

/// A create whose answer is missing, and when the server may have heard of it last.
pub struct Lost {
    pub unknown: Unknown,
    pub since: jiff::Timestamp,
}

/// How long is waited, and until what.
pub struct Patience<'a> {
    /// How long a create may take to show up in listings.
    pub settle: Duration,
    /// Once true, nothing is waited for.
    pub stop: &'a dyn Fn() -> bool,
}

/// Looks for the keysets of `lost`, again and again until they show up or have had `settle`. In the order of `lost`.
/// `taken`: ids that belong to other labels; what is found joins them.
pub async fn keysets<A: Api, C: Clock>(
    api: &A,
    clock: &C,
    lost: Vec<Lost>,
    taken: &RefCell<BTreeSet<KeysetId>>,
    patience: Patience<'_>,
) -> Vec<Resolution<LiveKeyset>> {
    let list = async || refresh::keysets(api).await.map(|all| all.into_values().collect());
    let likeness =
        |intent: &Intent, keyset: &LiveKeyset| if taken.borrow().contains(&keyset.id) { Likeness::No } else { likeness(intent, keyset) };
    let found = |keyset: &LiveKeyset| {
        taken.borrow_mut().insert(keyset.id.clone());
    };
    resolve(clock, lost, patience, list, likeness, |keyset| keyset.id.to_string(), found).await
}

/// The same for apps.
pub async fn apps<A: Api, C: Clock>(api: &A, clock: &C, lost: Vec<Lost>, patience: Patience<'_>) -> Vec<Resolution<LiveApp>> {
    let list = async || refresh::apps(api).await.map(|all| all.into_values().collect());
    let likeness = |intent: &Intent, app: &LiveApp| match &intent.what {
        Creation::App { name, known, .. } if app.name == *name && !known.contains(&app.id) => Likeness::Yes,
        _ => Likeness::No,
    };
    resolve(clock, lost, patience, list, likeness, |app| app.id.to_string(), |_| ()).await
}

async fn resolve<T: Clone, C: Clock>(
    clock: &C,
    lost: Vec<Lost>,
    patience: Patience<'_>,
    list: impl AsyncFn() -> Result<Vec<T>, ApiError>,
    likeness: impl Fn(&Intent, &T) -> Likeness,
    id: impl Fn(&T) -> String,
    found: impl Fn(&T),
) -> Vec<Resolution<T>> {
    let mut done: Vec<(usize, Resolution<T>)> = Vec::new();
    let mut pending: Vec<(usize, Lost)> = lost.into_iter().enumerate().collect();
    let mut pause = FIRST_PAUSE;
    while !pending.is_empty() {
        // Asked before the listing: what is not in it had this long to show up.
        let now = clock.now();
        let all = match list().await {
            Ok(all) => all,
            Err(error) => {
                done.extend(pending.drain(..).map(|(n, lost)| (n, Resolution::NotAsked(lost.unknown, error.clone()))));
                break;
            }
        };
        let mut wait = Duration::ZERO;
        let mut left = Vec::new();
        for (n, Lost { unknown, since }) in pending {
            let like: Vec<(Likeness, &T)> =
                all.iter().map(|entry| (likeness(unknown.intent(), entry), entry)).filter(|(l, _)| *l != Likeness::No).collect();
            let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
            match &like[..] {
                [(Likeness::Yes, entry)] => {
                    found(entry);
                    done.push((n, Resolution::Mine(unknown, Box::new((*entry).clone()))));
                }
                [] if age >= patience.settle => done.push((n, Resolution::Absent(absent(unknown)))),
                [] if (patience.stop)() => done.push((n, Resolution::TooEarly(unknown))),
                [] => {
                    wait = wait.max(patience.settle - age);
                    left.push((n, Lost { unknown, since }));
                }
                several => {
                    let ids = several.iter().map(|(_, entry)| id(entry)).collect();
                    done.push((n, Resolution::Ambiguous(unknown, ids)));
                }
            }
        }
        pending = left;
        if !pending.is_empty() {
            clock.sleep(pause.min(wait)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, resolution)| resolution).collect()
}

fn likeness(intent: &Intent, keyset: &LiveKeyset) -> Likeness {
    let Creation::Keyset { app_id, name, r#type, known, .. } = &intent.what else { return Likeness::No };
    let told = |field: &str| FieldId::find("keyset", field).and_then(|f| keyset.observed.get(f));
    // Responses mark name and type as optional: what is not told does not speak against it.
    let tells = |field: &str, text: &str| told(field).is_none_or(|value| *value == Value::Text(text.into()));
    let same = keyset.app_id == *app_id && !known.contains(&keyset.id) && tells("name", name) && tells("type", r#type);
    match told("name") {
        _ if !same => Likeness::No,
        // One of this name that was not there before the intent is newer than it, whatever the two clocks say.
        Some(_) => Likeness::Yes,
        None if keyset.created_at.is_none_or(|at| at.as_second() >= intent.at.as_second() - CLOCK_SKEW) => Likeness::Perhaps,
        None => Likeness::No,
    }
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
        let like = |name, at| likeness(&intent, &live(name, at));
        assert!(like(Some("chat"), before) == Likeness::Yes, "its name is new, so it is");
        assert!(like(Some("other"), "2026-05-01T12:00:01Z") == Likeness::No);
        assert!(like(None, before) == Likeness::No, "without a name only the time tells it apart");
        assert!(like(None, "2026-05-01T12:00:01Z") == Likeness::Perhaps, "and that is not enough to take it");
    }
}
