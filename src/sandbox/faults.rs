//! What a network and a bad day do to answers, on request.
//!
//! `METHOD PATH[#N[-M]]=KIND`, for example `POST /v2/keysets$#2=cut-after`. The path is a prefix,
//! or the whole path if it ends in `$`; the method may be `*`. `#N` is the Nth request that
//! matches, from 1; without it, every one.

use std::convert::Infallible;
use std::io;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures_util::stream;
use serde_json::Value as Json;
use tokio::sync::watch;

use super::http::{Asked, Reply};

/// One fault: when, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    method: String,
    path: String,
    whole_path: bool,
    first: u64,
    last: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Status { status: StatusCode, retry_after: Option<u64> },
    CutBefore,
    CutAfter,
    Html,
    GarbageAfter,
    TruncateAfter,
    Huge,
    Delay(Duration),
    Late(Duration),
    Ignore,
    Hang,
    EmptyList,
    ShortList,
    LateList,
    RepeatPage,
    ReverseList,
    ReorderList,
    GrowList,
    ShrinkList,
    TotalHigh,
    TotalLow,
}

/// Every kind with what it does, for the command's help.
pub const KINDS: &[(&str, &str)] = &[
    ("status:CODE", "that status instead; 200 to 599"),
    ("status:CODE:retry-after=SECONDS", "the same with the header"),
    ("cut-before", "not carried out, the connection is closed without an answer"),
    ("cut-after", "carried out, the connection is closed without an answer"),
    ("html", "not carried out, success with a page of HTML"),
    ("garbage-after", "carried out, the right status, a body that is not JSON"),
    ("truncate-after", "carried out, half of the body, then the connection is closed"),
    ("huge", "not carried out, success with a body of 100 MB"),
    ("delay:MILLISECONDS", "carried out and answered after that time"),
    (
        "late:MILLISECONDS",
        "carried out at once, even if the caller goes away, and answered after that time",
    ),
    ("ignore", "a change that is not carried out, and answered with what is there"),
    ("hang", "not carried out, no answer until the sandbox stops"),
    ("empty-list", "a list without items"),
    ("short-list", "a page without its last item, the total as it is"),
    ("late-list", "a list that does not show its newest item yet, and a total that agrees"),
    ("repeat-page", "the items of page 1 on every page"),
    ("reverse-list", "the items of a page the other way round"),
    (
        "reorder-list",
        "behind page 1 another order than before it: the last item of a page is on the next one \
         again",
    ),
    (
        "grow-list",
        "as if an item had been made before this page was asked for: the items move on by one, the \
         total is one more",
    ),
    ("shrink-list", "as if an item of page 1 had been deleted before this page was asked for"),
    ("total-high", "a total that is one too many"),
    ("total-low", "a total that is one too few"),
];

/// Why a text is not a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no fault: {why}; write METHOD PATH[#N]=KIND, such as \"POST \
     /v2/keysets#2=cut-after\""
)]
pub struct BadFault {
    text: String,
    why: &'static str,
}

impl Fault {
    pub fn parse(text: &str) -> Result<Fault, BadFault> {
        read(text).map_err(|why| BadFault { text: text.chars().take(80).collect(), why })
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        (self.method == "*" || self.method == method)
            && if self.whole_path { path == self.path } else { path.starts_with(&self.path) }
    }
}

impl FromStr for Fault {
    type Err = BadFault;
    fn from_str(text: &str) -> Result<Fault, BadFault> {
        Fault::parse(text)
    }
}

/// A fault and how many requests it has seen.
pub struct Armed {
    fault: Fault,
    seen: AtomicU64,
}

impl Armed {
    pub fn new(fault: Fault) -> Armed {
        Armed { fault, seen: AtomicU64::new(0) }
    }

    /// Counts the request, if it is one of the fault's.
    fn strikes(&self, method: &str, path: &str) -> bool {
        self.fault.matches(method, path) && {
            let nth = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
            (self.fault.first..=self.fault.last).contains(&nth)
        }
    }
}

/// Answers a request as the faults want it; the first that strikes decides.
pub async fn play(
    armed: &[Armed],
    mut asked: Asked,
    act: impl Fn(&Asked) -> Reply,
    mut stopping: watch::Receiver<bool>,
) -> Response<Body> {
    // Not `find`: every fault counts every request.
    let striking: Vec<Kind> = armed
        .iter()
        .filter(|a| a.strikes(asked.method.as_str(), &asked.path))
        .map(|a| a.fault.kind)
        .collect();
    let Some(kind) = striking.first() else {
        return act(&asked).into_response();
    };
    match *kind {
        Kind::Status { status, retry_after } => {
            let mut response =
                Reply::error(status.as_u16(), vec!["a fault of the sandbox".to_owned()])
                    .into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Kind::CutBefore => cut(),
        Kind::CutAfter => {
            act(&asked);
            cut()
        }
        Kind::Html => page(
            &asked,
            "text/html",
            Body::from("<!DOCTYPE html><html><body><h1>Please sign in</h1></body></html>\n"),
        ),
        Kind::GarbageAfter => {
            let mut response = act(&asked).into_response();
            *response.body_mut() = Body::from("{\"keyset\": oops");
            response
        }
        Kind::TruncateAfter => truncated(act(&asked)),
        Kind::Huge => page(&asked, "application/json", huge(stopping)),
        Kind::Delay(duration) => {
            tokio::select! {
                () = tokio::time::sleep(duration) => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
            act(&asked).into_response()
        }
        Kind::Late(duration) => {
            let reply = act(&asked);
            tokio::select! {
                () = tokio::time::sleep(duration) => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
            reply.into_response()
        }
        Kind::Ignore => {
            "GET".clone_into(&mut asked.method);
            act(&asked).into_response()
        }
        Kind::Hang => {
            // An error means that the sandbox is gone, which ends the hanging too.
            let _ = stopping.wait_for(|stop| *stop).await;
            cut()
        }
        Kind::EmptyList => edited(act(&asked), |list| {
            items(list).into_iter().for_each(Vec::clear);
            list["total"] = Json::from(0);
        }),
        Kind::ShortList => edited(act(&asked), |list| {
            items(list).into_iter().for_each(|items| drop(items.pop()));
        }),
        Kind::LateList => edited(act(&asked), |list| {
            let told = |list: &Json, word: &str| list[word].as_u64().unwrap_or(0);
            let total = told(list, "total");
            if total > 0 && told(list, "page") * told(list, "limit") >= total {
                items(list).into_iter().for_each(|items| drop(items.pop()));
            }
            list["total"] = Json::from(total.saturating_sub(1));
        }),
        Kind::ReverseList => {
            edited(act(&asked), |list| items(list).into_iter().for_each(|items| items.reverse()))
        }
        Kind::ReorderList => moved_on(&mut asked, 0, act),
        Kind::GrowList => moved_on(&mut asked, 1, act),
        Kind::ShrinkList => moved_up(&mut asked, act),
        Kind::TotalHigh => edited(act(&asked), |list| total(list, 1)),
        Kind::TotalLow => edited(act(&asked), |list| total(list, -1)),
        Kind::RepeatPage => {
            let page = std::mem::replace(&mut asked.page.page, 1);
            edited(act(&asked), |list| list["page"] = Json::from(page))
        }
    }
}

/// A response that fails before its head is sent: the client sees the connection end and not one
/// byte.
fn cut() -> Response<Body> {
    Response::new(Body::from_stream(stream::once(async {
        Err::<Bytes, _>(io::Error::other("cut"))
    })))
}

fn page(asked: &Asked, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() =
        if asked.method == "POST" { StatusCode::CREATED } else { StatusCode::OK };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn truncated(reply: Reply) -> Response<Body> {
    let mut bytes = reply.bytes();
    let length = bytes.len();
    let mut response = reply.into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    bytes.truncate(length / 2);
    *response.body_mut() =
        Body::from_stream(stream::unfold(Some(Bytes::from(bytes)), async |half| match half {
            Some(half) => Some((Ok(half), None)),
            None => {
                // The server has to send the half before it learns that there is no more.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(io::Error::other("cut")), None))
            }
        }));
    response
}

fn huge(stopping: watch::Receiver<bool>) -> Body {
    const CHUNK: usize = 64 << 10;
    const CHUNKS: usize = 100_000_000 / CHUNK;
    let spaces = Bytes::from(vec![b' '; CHUNK]);
    Body::from_stream(stream::unfold(0, move |sent| {
        let go_on = sent < CHUNKS && !*stopping.borrow();
        let chunk = spaces.clone();
        async move { go_on.then_some((Ok::<_, Infallible>(chunk), sent + 1)) }
    }))
}

/// Changes a list; an answer that is none stays as it is.
fn edited(mut reply: Reply, edit: impl FnOnce(&mut Json)) -> Response<Body> {
    if reply.body.get("total").is_some() {
        edit(&mut reply.body);
    }
    reply.into_response()
}

/// Behind page 1, what stood one place before; and so many more in all.
fn moved_on(asked: &mut Asked, more: i64, act: impl Fn(&Asked) -> Reply) -> Response<Body> {
    if asked.page.page <= 1 {
        return act(asked).into_response();
    }
    let here = act(asked);
    asked.page.page -= 1;
    let mut before = act(asked).body;
    let last = items(&mut before).and_then(Vec::pop);
    edited(here, |list| {
        if let (Some(items), Some(last)) = (items(list), last) {
            items.insert(0, last);
            items.pop();
        }
        total(list, more);
    })
}

/// Behind page 1, what stood one place after; and one less in all.
fn moved_up(asked: &mut Asked, act: impl Fn(&Asked) -> Reply) -> Response<Body> {
    if asked.page.page <= 1 {
        return act(asked).into_response();
    }
    let here = act(asked);
    asked.page.page += 1;
    let mut after = act(asked).body;
    let first = items(&mut after).filter(|items| !items.is_empty()).map(|items| items.remove(0));
    edited(here, |list| {
        if let Some(items) = items(list).filter(|items| !items.is_empty()) {
            items.remove(0);
            items.extend(first);
        }
        total(list, -1);
    })
}

fn total(list: &mut Json, more: i64) {
    list["total"] = Json::from(list["total"].as_u64().unwrap_or(0).saturating_add_signed(more));
}

fn items(list: &mut Json) -> Option<&mut Vec<Json>> {
    list.as_object_mut()?.values_mut().find_map(Json::as_array_mut)
}

fn read(text: &str) -> Result<Fault, &'static str> {
    let (target, kind) = text.split_once('=').ok_or("there is no `=`")?;
    let (method, path) = target.trim().split_once(' ').ok_or("method and path are two words")?;
    let (path, times) = match path.trim().split_once('#') {
        Some((path, times)) => (path, Some(times)),
        None => (path.trim(), None),
    };
    if method != "*" && !["GET", "POST", "PATCH", "DELETE"].contains(&method) {
        return Err("the method is GET, POST, PATCH, DELETE or *");
    }
    if !path.starts_with('/') {
        return Err("the path starts with `/`");
    }
    let count = |text: &str| {
        text.parse()
            .ok()
            .filter(|n: &u64| *n > 0)
            .ok_or("after `#` comes a number from 1, or two with `-` between")
    };
    let (first, last) = match times.map(|t| t.split_once('-').unwrap_or((t, t))) {
        None => (1, u64::MAX),
        Some((first, last)) => (count(first)?, count(last)?),
    };
    if first > last {
        return Err("the range is the wrong way round");
    }
    let whole_path = path.ends_with('$');
    let path = path.trim_end_matches('$').to_owned();
    Ok(Fault {
        method: method.to_owned(),
        path,
        whole_path,
        first,
        last,
        kind: read_kind(kind.trim())?,
    })
}

fn read_kind(text: &str) -> Result<Kind, &'static str> {
    let (name, argument) = match text.split_once(':') {
        Some((name, argument)) => (name, Some(argument)),
        None => (text, None),
    };
    Ok(match (name, argument) {
        ("status", Some(argument)) => {
            let (code, retry) = match argument.split_once(':') {
                Some((code, retry)) => (code, Some(retry)),
                None => (argument, None),
            };
            let status = code
                .parse()
                .ok()
                .filter(|code| (200..600).contains(code))
                .and_then(|code| StatusCode::from_u16(code).ok());
            let retry_after = retry
                .map(|r| {
                    r.strip_prefix("retry-after=")
                        .and_then(|s| s.parse().ok())
                        .ok_or("after the status comes retry-after=SECONDS")
                })
                .transpose()?;
            Kind::Status { status: status.ok_or("a status is 200 to 599")?, retry_after }
        }
        ("delay" | "late", Some(argument)) => {
            let millis = argument.trim_end_matches("ms").parse().ok().filter(|ms| *ms <= 3_600_000);
            let wait = Duration::from_millis(millis.ok_or("a delay is 0 to 3600000 milliseconds")?);
            if name == "late" { Kind::Late(wait) } else { Kind::Delay(wait) }
        }
        ("ignore", None) => Kind::Ignore,
        ("cut-before", None) => Kind::CutBefore,
        ("cut-after", None) => Kind::CutAfter,
        ("html", None) => Kind::Html,
        ("garbage-after", None) => Kind::GarbageAfter,
        ("truncate-after", None) => Kind::TruncateAfter,
        ("huge", None) => Kind::Huge,
        ("hang", None) => Kind::Hang,
        ("empty-list", None) => Kind::EmptyList,
        ("short-list", None) => Kind::ShortList,
        ("late-list", None) => Kind::LateList,
        ("repeat-page", None) => Kind::RepeatPage,
        ("reverse-list", None) => Kind::ReverseList,
        ("reorder-list", None) => Kind::ReorderList,
        ("grow-list", None) => Kind::GrowList,
        ("shrink-list", None) => Kind::ShrinkList,
        ("total-high", None) => Kind::TotalHigh,
        ("total-low", None) => Kind::TotalLow,
        _ => return Err("there is no such kind"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_kind_can_be_written_and_nothing_else() {
        for (kind, _) in KINDS {
            let kind =
                kind.replace("CODE", "503").replace("MILLISECONDS", "10").replace("SECONDS", "1");
            assert!(Fault::parse(&format!("GET /v2/apps={kind}")).is_ok(), "{kind}");
        }
        for bad in [
            "",
            "GET /v2/apps",
            "GET=hang",
            "PUT /x=hang",
            "GET x=hang",
            "GET /x#0=hang",
            "GET /x#3-2=hang",
            "GET /x=status:199",
            "GET /x=what",
            "GET /x=status:429:after=1",
            "GET /x=delay:-1",
            "GET /x=hang:1",
        ] {
            assert!(Fault::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fault_strikes_the_requests_it_names() {
        let strikes = |text: &str, requests: &[&str]| -> Vec<bool> {
            let armed = Armed::new(Fault::parse(text).unwrap());
            requests
                .iter()
                .map(|r| r.split_once(' ').unwrap())
                .map(|(m, p)| armed.strikes(m, p))
                .collect()
        };
        let posts = [
            "POST /v2/keysets",
            "GET /v2/keysets",
            "POST /v2/keysets",
            "POST /v2/keysets/1/secret-keys",
        ];
        assert_eq!(strikes("POST /v2/keysets=hang", &posts), [true, false, true, true]);
        assert_eq!(strikes("POST /v2/keysets#2=hang", &posts), [false, false, true, false]);
        assert_eq!(strikes("POST /v2/keysets#2-3=hang", &posts), [false, false, true, true]);
        assert_eq!(strikes("* /v2/keysets$=hang", &posts), [true, true, true, false]);
    }
}
