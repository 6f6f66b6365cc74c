//! Stand-ins for two servers. They answer as the vendors' documentation says, to what the adapters
//! ask and nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crypto_box::SecretKey;
use serde_json::{Value as Json, json};

/// Ends with the test.
pub struct Server {
    /// `http://127.0.0.1:PORT`
    pub address: String,
    _runtime: tokio::runtime::Runtime,
}

struct Asked {
    method: String,
    path: String,
    headers: HeaderMap,
    body: Json,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

/// Status and body; no body for null.
type Told = (u16, Json);

/// Sends everybody to the same path at `to`.
pub fn redirecting(to: &str) -> Server {
    serve(|_| (307, Json::Null), Some(to.to_owned()))
}

/// `location`: where the answers point to, followed by the path that was asked for.
fn serve(
    answer: impl Fn(Asked) -> Told + Clone + Send + Sync + 'static,
    location: Option<String>,
) -> Server {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let router = axum::Router::new().fallback(move |request: Request| {
        let answer = answer.clone();
        let location = location.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.expect("a short body");
            let body = serde_json::from_slice(&body).unwrap_or(Json::Null);
            let path = parts.uri.path().to_owned();
            let location = location.map(|to| format!("{to}{path}"));
            let asked =
                Asked { method: parts.method.to_string(), path, headers: parts.headers, body };
            let (status, body) = answer(asked);
            let text = if body.is_null() { String::new() } else { body.to_string() };
            let mut response =
                Response::builder().status(status).header("content-type", "application/json");
            if let Some(location) = location {
                response = response.header("location", location);
            }
            response.body(Body::from(text)).expect("an answer")
        }
    });
    runtime.spawn(async move { axum::serve(listener, router).await });
    Server { address, _runtime: runtime }
}

/// HashiCorp Vault or OpenBao with a KV engine of version 2 at `kv` and one of version 1 at `old`.
#[derive(Clone, Default)]
pub struct Vault {
    /// What is stored, by path below the mount.
    pub entries: Arc<Mutex<BTreeMap<String, Json>>>,
    pub sealed: Arc<Mutex<bool>>,
}

impl Vault {
    pub const TOKEN: &str = "hvs.test-token-0123456789";

    pub fn start(&self) -> Server {
        let vault = self.clone();
        serve(move |asked| vault.answer(&asked), None)
    }

    fn answer(&self, asked: &Asked) -> Told {
        let errors = |status, texts: &[&str]| (status, json!({"errors": texts}));
        if *self.sealed.lock().expect("a lock") {
            return errors(503, &["Vault is sealed"]);
        }
        if asked.header("x-vault-token") != Some(Self::TOKEN)
            || asked.header("x-vault-namespace") != Some("team")
        {
            return errors(403, &["permission denied"]);
        }
        let Some(path) = asked.path.strip_prefix("/v1/") else { return errors(404, &[]) };
        match path {
            "sys/internal/ui/mounts/kv" => {
                return (
                    200,
                    json!({"data": {"type": "kv", "path": "kv/", "options": {"version": "2"}}}),
                );
            }
            "sys/internal/ui/mounts/old" => {
                return (
                    200,
                    json!({"data": {"type": "kv", "path": "old/", "options": {"version": "1"}}}),
                );
            }
            _ => {}
        }
        let mut entries = self.entries.lock().expect("a lock");
        let Some((kind, name)) = path.strip_prefix("kv/").and_then(|rest| rest.split_once('/'))
        else {
            return errors(404, &["no handler for route. route entry not found."]);
        };
        match (&*asked.method, kind) {
            ("POST", "data") if asked.body["data"].is_object() => {
                entries.insert(name.to_owned(), asked.body["data"].clone());
                (200, json!({"data": {"version": 1}}))
            }
            ("POST", "data") => errors(400, &["no data provided"]),
            ("GET", _) if !entries.contains_key(name) => errors(404, &[]),
            ("GET", "data") => {
                (200, json!({"data": {"data": entries[name], "metadata": {"version": 1}}}))
            }
            ("GET", "metadata") => (200, json!({"data": {"current_version": 1}})),
            // Whether there was one or not.
            ("DELETE", "metadata") => {
                entries.remove(name);
                (204, Json::Null)
            }
            _ => errors(405, &[]),
        }
    }
}

/// GitHub's endpoints for the secrets of the environment `prod` of `acme/chat`, of which it opens
/// what it is sent.
#[derive(Clone, Default)]
pub struct GitHub {
    pub secrets: Arc<Mutex<BTreeMap<String, String>>>,
}

impl GitHub {
    pub const TOKEN: &str = "ghp_test0123456789";
    const SECRETS: &str = "/repos/acme/chat/environments/prod/secrets";

    pub fn start(&self) -> Server {
        let github = self.clone();
        serve(move |asked| github.answer(&asked), None)
    }

    fn answer(&self, asked: &Asked) -> Told {
        let key = SecretKey::from([7; 32]);
        if asked.header("authorization") != Some(&format!("token {}", Self::TOKEN)) {
            return (401, json!({"message": "Bad credentials"}));
        }
        let mut secrets = self.secrets.lock().expect("a lock");
        let not_found = (404, json!({"message": "Not Found"}));
        let Some(rest) = asked.path.strip_prefix(Self::SECRETS) else { return not_found };
        match (&*asked.method, rest.trim_start_matches('/')) {
            ("GET", "public-key") => {
                (200, json!({"key_id": "12", "key": BASE64.encode(key.public_key().as_bytes())}))
            }
            ("GET", "") => {
                let list = secrets
                    .keys()
                    .map(|name| json!({"name": name, "updated_at": "2026-01-01T00:00:00Z"}));
                (200, json!({"total_count": secrets.len(), "secrets": list.collect::<Vec<_>>()}))
            }
            ("PUT", name) => {
                let sealed = BASE64
                    .decode(asked.body["encrypted_value"].as_str().expect("a text"))
                    .expect("base64");
                let secret = String::from_utf8(key.unseal(&sealed).expect("sealed with this key"))
                    .expect("UTF-8");
                secrets.insert(name.to_owned(), secret);
                (201, json!({}))
            }
            ("DELETE", name) if secrets.remove(name).is_some() => (204, Json::Null),
            _ => not_found,
        }
    }
}
