//! HTTP around the world: who is asking, what for, and every refusal in the API's one shape.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use futures_util::StreamExt;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::SandboxError;
use super::chance::{Given, given};
use super::faults::{self, Armed, Fault};
use super::shelf::Page;
use super::store::Store;
use super::world::{Answer, Refused, World, bad};
use crate::keyset::{ApiVersion, Secret};

/// Longest body that is read. A create with every field is about 2 KB.
const BODY_MAX: usize = 1 << 20;
/// What is read and thrown away of a longer one, so that its sender gets to see the answer.
const BODY_DRAINED: usize = 16 << 20;

pub struct Setup {
    pub api_key: Secret,
    pub seed: Option<u64>,
    pub latency: Duration,
    pub faults: Vec<Fault>,
    pub log: Option<File>,
    pub page_limit: u64,
    pub stopping: watch::Receiver<bool>,
}

pub struct Server {
    api_key: Secret,
    seed: Option<u64>,
    latency: Duration,
    faults: Vec<Armed>,
    log: Option<File>,
    page_limit: u64,
    stopping: watch::Receiver<bool>,
    /// `None` after the stop.
    account: Mutex<Option<Account>>,
}

struct Account {
    world: World,
    store: Option<Store>,
}

impl Server {
    pub fn new(setup: Setup, world: World, store: Option<Store>) -> Server {
        let Setup { api_key, seed, latency, faults, log, page_limit, stopping } = setup;
        let faults = faults.into_iter().map(Armed::new).collect();
        Server {
            api_key,
            seed,
            latency,
            faults,
            log,
            page_limit,
            stopping,
            account: Mutex::new(Some(Account { world, store })),
        }
    }

    /// Lets go of the data file; requests that are still on their way are refused from now on.
    pub fn close(&self) -> Result<(), SandboxError> {
        match self.account().take().and_then(|account| account.store) {
            Some(store) => store.close(),
            None => Ok(()),
        }
    }

    fn account(&self) -> MutexGuard<'_, Option<Account>> {
        // A change is applied as a whole or not at all, so a panic elsewhere has not spoiled it.
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act(&self, asked: &Asked) -> Reply {
        let place = match Place::of(&asked.path) {
            Some(place) => place,
            None => return Reply::error(404, vec!["there is no such path".to_owned()]),
        };
        if !place.methods().contains(&asked.method.as_str()) {
            let mut reply =
                Reply::error(405, vec![format!("the path takes {}", place.methods().join(", "))]);
            reply.allow = Some(place.methods());
            return reply;
        }
        let outcome = self.admit(asked).and_then(|()| {
            let mut account = self.account();
            let account = account.as_mut().ok_or_else(|| internal("the sandbox is stopping"))?;
            let given = given(self.seed, account.world.counters().changes)
                .map_err(|_| internal("there is no randomness"))?;
            let mut answer = place.answer(&account.world, asked, &given)?;
            if let Some(change) = answer.change.take() {
                if let Some(store) = &mut account.store {
                    store.append(&change).map_err(|_| {
                        internal("the data file cannot be written; nothing was changed")
                    })?;
                }
                account.world.apply(change);
            }
            Ok(answer)
        });
        match outcome {
            Ok(Answer { status, body, change: _ }) => Reply { status, body, allow: None },
            Err(Refused { status, messages }) => Reply::error(status, messages),
        }
    }

    /// Key and version. The key comes first: who has none learns nothing.
    fn admit(&self, asked: &Asked) -> Result<(), Refused> {
        let text = |name| asked.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        let key = text(header::AUTHORIZATION.as_str())
            .map(|text| text.strip_prefix("Bearer ").unwrap_or(text));
        if key != Some(self.api_key.expose_secret()) {
            return Err(Refused {
                status: 401,
                messages: vec![
                    "the API key in the Authorization header is missing or wrong".to_owned(),
                ],
            });
        }
        match text("pubnub-version") {
            Some(version) if ApiVersion::KNOWN.contains(&version) => Ok(()),
            Some(_) => Err(bad(vec![format!(
                "PubNub-Version must be one of {}",
                ApiVersion::KNOWN.join(", ")
            )])),
            None => Err(bad(vec!["the PubNub-Version header is required".to_owned()])),
        }
    }
}

/// Serves until `stopping` says so, or its sender is gone.
pub async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let router = Router::new().fallback(handle).with_state(server);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            let _ = stopping.wait_for(|stop| *stop).await;
        })
        .await
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let mut asked = Asked::read(request).await;
    asked.page.limit = asked.page.limit.min(server.page_limit);
    if let Some(mut log) = server.log.as_ref() {
        // One write, so that lines of several requests do not mix. A log that fails is no reason to
        // refuse a request.
        let _ = log.write_all(format!("{} {}\n", asked.method, asked.path).as_bytes());
    }
    if !server.latency.is_zero() {
        tokio::time::sleep(server.latency).await;
    }
    faults::play(&server.faults, asked, |asked| server.act(asked), server.stopping.clone()).await
}

/// A request, read as far as it can be read before it is known what it is about.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub page: Page,
    headers: HeaderMap,
    body: Result<Vec<u8>, Refused>,
    active_only: bool,
    query: Result<Vec<String>, Refused>,
}

impl Asked {
    async fn read(request: Request) -> Asked {
        let (head, body) = request.into_parts();
        let mut asked = Asked {
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            page: Page { page: 1, limit: 10 },
            headers: head.headers,
            body: read_body(body).await,
            active_only: false,
            query: Ok(Vec::new()),
        };
        asked.query = asked.read_query(&head.uri);
        asked
    }

    /// Answers the names of the parameters.
    fn read_query(&mut self, uri: &Uri) -> Result<Vec<String>, Refused> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| bad(vec!["the query cannot be read".to_owned()]))?;
        let mut names = Vec::new();
        for (name, value) in pairs {
            if names.contains(&name) {
                return Err(bad(vec!["a query parameter is given twice".to_owned()]));
            }
            match name.as_str() {
                "page" => self.page.page = counting_number("page", &value)?,
                "limit" => self.page.limit = counting_number("limit", &value)?,
                "activeOnly" => {
                    self.active_only = value
                        .parse()
                        .map_err(|_| bad(vec!["activeOnly must be true or false".to_owned()]))?;
                }
                _ => {}
            }
            names.push(name);
        }
        Ok(names)
    }

    /// Refuses parameters that the call does not know.
    fn parameters(&self, known: &[&str]) -> Result<(), Refused> {
        let names = self.query.as_ref().map_err(Refused::clone)?;
        match names.iter().all(|name| known.contains(&name.as_str())) {
            true => Ok(()),
            false => Err(bad(vec!["the call takes no such query parameter".to_owned()])),
        }
    }

    fn json(&self) -> Result<Json, Refused> {
        let content_type =
            self.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let essence = content_type.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(bad(vec!["Content-Type must be application/json".to_owned()]));
        }
        let body = self.body.as_ref().map_err(Refused::clone)?;
        serde_json::from_slice(body).map_err(|_| bad(vec!["the body is not JSON".to_owned()]))
    }
}

/// An answer before it becomes bytes.
pub struct Reply {
    status: u16,
    pub body: Json,
    allow: Option<&'static [&'static str]>,
}

impl Reply {
    pub fn error(status: u16, mut messages: Vec<String>) -> Reply {
        /// More would help nobody.
        const MESSAGES_MAX: usize = 20;
        messages.truncate(MESSAGES_MAX);
        let error = match status {
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            500.. => "InternalError",
            _ => "BadRequest",
        };
        Reply {
            status,
            body: json!({ "statusCode": status, "error": error, "message": messages }),
            allow: None,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.body.to_string().into_bytes()
    }

    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.bytes()));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(allow) =
            self.allow.and_then(|methods| HeaderValue::from_str(&methods.join(", ")).ok())
        {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}

/// What a path names.
enum Place<'a> {
    Apps,
    App(&'a str),
    Keysets,
    Keyset(&'a str),
    Config(&'a str),
    Upload(&'a str, &'a str),
    Secrets(&'a str),
    Secret(&'a str, &'a str),
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Option<Place<'a>> {
        let segments: Vec<&str> = path.strip_prefix("/v2/")?.split('/').collect();
        Some(match segments[..] {
            ["apps"] => Place::Apps,
            ["apps", id] => Place::App(id),
            ["keysets"] => Place::Keysets,
            ["keysets", id] => Place::Keyset(id),
            ["keysets", id, "config"] => Place::Config(id),
            ["keysets", id, "config", what] if World::UPLOADS.contains(&what) => {
                Place::Upload(id, what)
            }
            ["keysets", id, "secret-keys"] => Place::Secrets(id),
            ["keysets", id, "secret-keys", prefix] => Place::Secret(id, prefix),
            _ => return None,
        })
    }

    fn methods(&self) -> &'static [&'static str] {
        match self {
            Place::Apps | Place::Keysets | Place::Secrets(_) => &["GET", "POST"],
            Place::App(_) | Place::Keyset(_) => &["GET", "PATCH", "DELETE"],
            Place::Config(_) => &["GET", "PATCH"],
            Place::Upload(..) => &["POST"],
            Place::Secret(..) => &["PATCH", "DELETE"],
        }
    }

    fn answer(&self, world: &World, asked: &Asked, given: &Given) -> Result<Answer, Refused> {
        let method = asked.method.as_str();
        asked.parameters(match (self, method) {
            (Place::Apps | Place::Keysets, "GET") => &["page", "limit"],
            (Place::Secrets(_), "GET") => &["activeOnly"],
            _ => &[],
        })?;
        match (self, method) {
            (Place::Apps, "GET") => world.list_apps(asked.page),
            (Place::Apps, _) => world.create_app(&asked.json()?, given),
            (Place::App(id), "GET") => world.app(id),
            (Place::App(id), "DELETE") => world.delete_app(id),
            (Place::App(id), _) => world.update_app(id, &asked.json()?, given),
            (Place::Keysets, "GET") => world.list_keysets(asked.page),
            (Place::Keysets, _) => world.create_keyset(&asked.json()?, given),
            (Place::Keyset(id), "GET") => world.keyset(id),
            (Place::Keyset(id), "DELETE") => world.delete_keyset(id),
            (Place::Keyset(id), _) => world.update_keyset(id, &asked.json()?, given),
            (Place::Config(id), "GET") => world.config(id),
            (Place::Config(id), _) => world.update_config(id, &asked.json()?, given),
            (Place::Upload(id, what), _) => world.upload(id, what, &asked.json()?, given),
            (Place::Secrets(id), "GET") => world.list_secrets(id, asked.active_only, given),
            (Place::Secrets(id), _) => world.rotate(id, &asked.json()?, given),
            (Place::Secret(id, prefix), "DELETE") => world.delete_secret(id, prefix),
            (Place::Secret(id, prefix), _) => {
                world.change_expiry(id, prefix, &asked.json()?, given)
            }
        }
    }
}

async fn read_body(body: Body) -> Result<Vec<u8>, Refused> {
    let mut stream = body.into_data_stream();
    let (mut bytes, mut total) = (Vec::new(), 0_usize);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| bad(vec!["the body ends too early".to_owned()]))?;
        total = total.saturating_add(chunk.len());
        if total <= BODY_MAX {
            bytes.extend_from_slice(&chunk);
        } else if total > BODY_DRAINED {
            break;
        }
    }
    if total <= BODY_MAX {
        Ok(bytes)
    } else {
        Err(bad(vec!["the body is longer than 1 MiB".to_owned()]))
    }
}

/// Decimal digits without leading zero. What is too large to count means: past every end.
fn counting_number(name: &str, text: &str) -> Result<u64, Refused> {
    let digits =
        !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        return Err(bad(vec![format!("{name} must be a number from 1")]));
    }
    // JSON numbers of most languages end here.
    Ok(text.parse().unwrap_or(u64::MAX).min(i64::MAX as u64))
}

fn internal(what: &str) -> Refused {
    Refused { status: 500, messages: vec![what.to_owned()] }
}
