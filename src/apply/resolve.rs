//! What became of creates whose answers are missing: the account is asked, never the request
//! repeated. All of them together, while nothing else is created, so that one complete listing
//! answers for all.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::failure::StepError;
use super::refresh;
use super::report::Outcome;
use crate::keyset::views::{LiveApp, LiveKeyset};
use crate::keyset::{FieldId, KeysetId, Value};
use crate::ports::{Api, ApiError, Clock, Creation, Fresh, Unknown, absent};

/// How far a time that the server tells may be off, in seconds, after its clock was compared with
/// ours.
const SLACK: i64 = 10;
/// How long an earlier run may have waited, after it wrote a create down, before it sent it: the
/// server may have asked for that.
const HELD_BACK: Duration = Duration::from_secs(600);
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
    /// It does not tell its name, or was made at another time: somebody else may have made it.
    Perhaps,
    Yes,
}

/// A create whose answer is missing.
pub struct Lost {
    pub unknown: Unknown,
    /// How long ago the server may have heard of it last.
    age: Duration,
    /// When the server may have carried it out, by our clock.
    made: RangeInclusive<jiff::Timestamp>,
}

impl Lost {
    /// Of this run: `since` by [`Clock::monotonic`].
    pub fn now<C: Clock>(unknown: Unknown, clock: &C, since: Duration) -> Lost {
        let made = unknown.intent().at..=clock.now();
        Lost { unknown, age: clock.monotonic().saturating_sub(since), made }
    }

    /// Of an earlier run. `timeout`: how long a request may take.
    pub fn earlier<C: Clock>(unknown: Unknown, clock: &C, timeout: Duration) -> Lost {
        let (at, now) = (unknown.intent().at, clock.now());
        let after = |wait: Duration| at.saturating_add(wait).map_or(now, |end| end.min(now));
        // Until then it may have been sent, and have shown up in no listing yet.
        let last = after(timeout + HELD_BACK);
        let age = Duration::try_from(now.duration_since(last)).unwrap_or_default();
        Lost { unknown, age, made: at..=last }
    }

    /// Whether the server made something at a time at which it cannot have made this.
    fn excludes(&self, made: jiff::Timestamp, offset: i64) -> bool {
        let (made, first, last) =
            (made.as_second(), self.made.start().as_second(), self.made.end().as_second());
        made < first + offset - SLACK || made > last + offset + SLACK
    }
}

/// How long is waited, and until what.
pub struct Patience<'a> {
    /// How long a create may take to show up in listings.
    pub settle: Duration,
    /// Once true, nothing is waited for.
    pub stop: &'a dyn Fn() -> bool,
}

/// Looks for the keysets of `lost`, again and again until they show up or have had `settle`. In the
/// order of `lost`. `taken`: ids that belong to other labels; what is found joins them.
pub async fn keysets<A: Api, C: Clock>(
    api: &A,
    clock: &C,
    lost: Vec<Lost>,
    taken: &RefCell<BTreeSet<KeysetId>>,
    patience: Patience<'_>,
) -> Vec<Resolution<LiveKeyset>> {
    let list = async || refresh::keysets(api).await.map(|all| all.into_values().collect());
    let likeness = |lost: &Lost, keyset: &LiveKeyset| match taken.borrow().contains(&keyset.id) {
        true => Likeness::No,
        false => likeness(lost, keyset, api.clock_offset()),
    };
    let found = |keyset: &LiveKeyset| {
        taken.borrow_mut().insert(keyset.id.clone());
    };
    resolve(clock, lost, patience, list, likeness, |keyset| keyset.id.to_string(), found).await
}

/// The same for apps.
pub async fn apps<A: Api, C: Clock>(
    api: &A,
    clock: &C,
    lost: Vec<Lost>,
    patience: Patience<'_>,
) -> Vec<Resolution<LiveApp>> {
    let list = async || refresh::apps(api).await.map(|all| all.into_values().collect());
    let likeness = |lost: &Lost, app: &LiveApp| match &lost.unknown.intent().what {
        Creation::App { name, known, .. } if app.name == *name && !known.contains(&app.id) => {
            Likeness::Yes
        }
        _ => Likeness::No,
    };
    resolve(clock, lost, patience, list, likeness, |app| app.id.to_string(), |_| ()).await
}

async fn resolve<T: Clone, C: Clock>(
    clock: &C,
    lost: Vec<Lost>,
    patience: Patience<'_>,
    list: impl AsyncFn() -> Result<Vec<T>, ApiError>,
    likeness: impl Fn(&Lost, &T) -> Likeness,
    id: impl Fn(&T) -> String,
    found: impl Fn(&T),
) -> Vec<Resolution<T>> {
    let mut done: Vec<(usize, Resolution<T>)> = Vec::new();
    let mut pending: Vec<(usize, Lost)> = lost.into_iter().enumerate().collect();
    let mut pause = FIRST_PAUSE;
    let begin = clock.monotonic();
    while !pending.is_empty() {
        // Asked before the listing: what is not in it had this long to show up.
        let waited = clock.monotonic().saturating_sub(begin);
        let all = match list().await {
            Ok(all) => all,
            Err(error) => {
                done.extend(
                    pending
                        .drain(..)
                        .map(|(n, lost)| (n, Resolution::NotAsked(lost.unknown, error.clone()))),
                );
                break;
            }
        };
        let mut wait = Duration::ZERO;
        let mut left = Vec::new();
        for (n, lost) in pending {
            let like: Vec<(Likeness, &T)> = all
                .iter()
                .map(|entry| (likeness(&lost, entry), entry))
                .filter(|(l, _)| *l != Likeness::No)
                .collect();
            let age = lost.age + waited;
            match &like[..] {
                [(Likeness::Yes, entry)] => {
                    found(entry);
                    done.push((n, Resolution::Mine(lost.unknown, Box::new((*entry).clone()))));
                }
                [] if age >= patience.settle => {
                    done.push((n, Resolution::Absent(absent(lost.unknown))))
                }
                [] if (patience.stop)() => done.push((n, Resolution::TooEarly(lost.unknown))),
                [] => {
                    wait = wait.max(patience.settle - age);
                    left.push((n, lost));
                }
                several => {
                    let ids = several.iter().map(|(_, entry)| id(entry)).collect();
                    done.push((n, Resolution::Ambiguous(lost.unknown, ids)));
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

fn likeness(lost: &Lost, keyset: &LiveKeyset, offset: Option<i64>) -> Likeness {
    let Creation::Keyset { app_id, name, r#type, known, .. } = &lost.unknown.intent().what else {
        return Likeness::No;
    };
    let told = |field: &str| FieldId::find("keyset", field).and_then(|f| keyset.observed.get(f));
    // Responses mark name and type as optional: what is not told does not speak against it.
    let tells = |field: &str, text: &str| {
        told(field).is_none_or(|value| *value == Value::Text(text.into()))
    };
    let same = keyset.app_id == *app_id
        && !known.contains(&keyset.id)
        && tells("name", name)
        && tells("type", r#type);
    // Two clocks that were not compared say nothing.
    let at_another_time =
        keyset.created_at.zip(offset).is_some_and(|(at, offset)| lost.excludes(at, offset));
    match (told("name"), at_another_time) {
        _ if !same => Likeness::No,
        (None, true) => Likeness::No,
        (Some(_), false) => Likeness::Yes,
        // It has the name, and was made by somebody else, or nobody knows.
        (Some(_), true) | (None, false) => Likeness::Perhaps,
    }
}

/// How a step ends whose create could not be resolved.
pub fn unresolved<T>(
    lost: impl Into<StepError>,
    noun: &str,
    resolution: &Resolution<T>,
) -> Outcome {
    let lost = lost.into();
    match resolution {
        Resolution::Ambiguous(_, ids) => {
            let message = format!(
                "{}, and whether it made one of these {noun}, and which, cannot be told: {}",
                lost.message,
                ids.join(", ")
            );
            let help = "delete or rename in the portal those that are not wanted, then apply again";
            Outcome::failed(StepError { message, ..lost }.help(help))
        }
        Resolution::NotAsked(_, error) => {
            Outcome::unknown(lost.and(format!("looking for it failed: {error}")))
        }
        Resolution::TooEarly(_) => {
            Outcome::unknown(lost.and("interrupted before it was certain that it was not made"))
        }
        Resolution::Mine(..) | Resolution::Absent(_) => Outcome::unknown(lost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyset::wire;
    use crate::keyset::{AppId, Label};
    use crate::ports::{Intent, left_open};

    fn live(name: Option<&str>, created_at: &str) -> LiveKeyset {
        let mut json = serde_json::json!({
            "id": "1", "appId": "7", "publishKey": "pub-c-1", "subscribeKey": "sub-c-1", "createdAt": created_at,
        });
        if let Some(name) = name {
            json["name"] = name.into();
        }
        wire::parse(json.to_string().as_bytes()).expect("a keyset")
    }

    struct Noon;
    impl Clock for Noon {
        fn now(&self) -> jiff::Timestamp {
            "2026-05-01T12:00:00Z".parse().expect("a time")
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        async fn sleep(&self, _: Duration) {}
    }

    #[test]
    fn what_may_have_been_held_back_has_its_time_to_show_up() {
        let label = Label::parse("chat").expect("a label");
        let age = |minutes: i64| {
            let at = Noon
                .now()
                .saturating_sub(jiff::SignedDuration::from_mins(minutes))
                .expect("a time");
            let what =
                Creation::App { label: label.clone(), name: "Chat".into(), known: BTreeSet::new() };
            Lost::earlier(
                left_open(Intent { id: uuid::Uuid::nil(), at, what }),
                &Noon,
                Duration::from_secs(60),
            )
            .age
        };
        // One that waited for a Retry-After was sent long after it was written down.
        assert_eq!([age(0), age(2), age(11), age(12)].map(|age| age.as_secs()), [0, 0, 0, 60]);
    }

    #[test]
    fn who_made_it_is_told_by_name_and_by_a_clock_that_was_compared() {
        let what = Creation::Keyset {
            label: Label::parse("chat").expect("a label"),
            app: Label::parse("app").expect("a label"),
            app_id: AppId::parse("7").expect("an id"),
            name: "chat".into(),
            r#type: "testing".into(),
            body_digest: "".into(),
            known: BTreeSet::new(),
            replaces: None,
            protect: None,
        };
        let at =
            |text: &str| format!("2026-05-01T{text}Z").parse::<jiff::Timestamp>().expect("a time");
        let intent = Intent { id: uuid::Uuid::nil(), at: at("12:00:00"), what };
        let lost = Lost {
            unknown: left_open(intent),
            age: Duration::ZERO,
            made: at("12:00:00")..=at("12:01:00"),
        };
        let like = |name, time: &str, offset| {
            likeness(&lost, &live(name, &format!("2026-05-01T{time}Z")), offset)
        };
        for time in ["11:59:55", "12:00:30", "12:01:05"] {
            assert!(like(Some("chat"), time, Some(0)) == Likeness::Yes, "{time}");
            assert!(like(Some("other"), time, Some(0)) == Likeness::No);
            assert!(
                like(None, time, Some(0)) == Likeness::Perhaps,
                "without a name the time is not enough to take it"
            );
        }
        for time in ["11:59:00", "12:02:00"] {
            assert!(
                like(Some("chat"), time, Some(0)) == Likeness::Perhaps,
                "somebody else made one of that name: {time}"
            );
            assert!(like(None, time, Some(0)) == Likeness::No, "{time}");
        }
        // Our clock is two hours fast, and that is known, or it is not known.
        assert!(like(Some("chat"), "10:00:30", Some(-7200)) == Likeness::Yes);
        assert!(like(Some("chat"), "10:00:30", None) == Likeness::Yes);
    }
}
