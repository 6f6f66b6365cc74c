//! A stand-in for GitHub's API: it answers as its REST documentation says and opens what was sealed
//! with the private half of its key. GitHub itself is not asked: what it does beyond its
//! documentation is not known to these tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use crypto_box::aead::OsRng;

#[derive(Default)]
pub struct World {
    /// Private halves, with their ids, by the path of the folder of secrets.
    keys: BTreeMap<String, (String, SecretKey)>,
    made: usize,
    /// What was opened, by path.
    secrets: BTreeMap<String, String>,
    /// `METHOD path`, and headers.
    pub asked: Vec<(String, HeaderMap)>,
    /// Given instead of the usual answer, one a request.
    pub script: VecDeque<Response>,
}

/// Stopped when dropped, or with the runtime it was made in.
pub struct StandIn {
    pub url: String,
    pub world: Arc<Mutex<World>>,
    #[expect(dead_code, reason = "held: the thread ends when it is gone")]
    thread: Option<tokio::sync::oneshot::Sender<()>>,
}

impl StandIn {
    pub async fn new() -> StandIn {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let world: Arc<Mutex<World>> = Arc::default();
        let shared = world.clone();
        let app = axum::Router::new().fallback(move |request: Request| {
            let world = shared.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
                world.lock().expect("not poisoned").answer(
                    &parts.method,
                    parts.uri.path(),
                    parts.headers,
                    &body,
                )
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        StandIn { url, world, thread: None }
    }
    /// In a thread of its own, for tests that are not async.
    pub fn start() -> StandIn {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let (thread, gone) = tokio::sync::oneshot::channel();
                sender
                    .send(StandIn { thread: Some(thread), ..StandIn::new().await })
                    .expect("somebody waits");
                let _ = gone.await;
            });
        });
        receiver.recv().expect("it starts")
    }
    pub fn script(&self, answers: impl IntoIterator<Item = Response>) {
        self.world.lock().expect("not poisoned").script.extend(answers);
    }
    pub fn asked(&self) -> Vec<String> {
        self.world.lock().expect("not poisoned").asked.drain(..).map(|(line, _)| line).collect()
    }
    pub fn stored(&self, path: &str) -> Option<String> {
        self.world.lock().expect("not poisoned").secrets.get(path).cloned()
    }
    /// The usual answer to who asks for the key of this folder of secrets.
    pub fn public_key(&self, folder: &str) -> Response {
        let path = format!("{folder}/public-key");
        self.world.lock().expect("not poisoned").answer(&Method::GET, &path, HeaderMap::new(), &[])
    }
    /// GitHub changes its keys.
    pub fn rotate(&self) {
        self.world.lock().expect("not poisoned").keys.clear();
    }
}

impl World {
    fn answer(&mut self, method: &Method, path: &str, headers: HeaderMap, body: &[u8]) -> Response {
        self.asked.push((format!("{method} {path}"), headers));
        if let Some(answer) = self.script.pop_front() {
            return answer;
        }
        let (folder, name) = path.rsplit_once('/').expect("a path");
        let made = &mut self.made;
        let (id, key) = self.keys.entry(folder.to_owned()).or_insert_with(|| {
            *made += 1;
            (format!("key-{made}"), SecretKey::generate(&mut OsRng))
        });
        if *method == Method::GET && name == "public-key" {
            return json(
                200,
                &serde_json::json!({"key_id": id, "key": STANDARD.encode(key.public_key().as_bytes())}),
            );
        }
        assert_eq!(*method, Method::PUT);
        let body: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        let sealed =
            STANDARD.decode(body["encrypted_value"].as_str().expect("text")).expect("base64");
        match key.unseal(&sealed) {
            Ok(opened) if body["key_id"] == **id => {
                let before =
                    self.secrets.insert(path.to_owned(), String::from_utf8(opened).expect("UTF-8"));
                text(if before.is_some() { 204 } else { 201 }, "")
            }
            _ => said(422, "Bad request - validation failed due to an improperly encrypted secret"),
        }
    }
}

pub fn text(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).expect("an answer")
}

pub fn json(status: u16, body: &serde_json::Value) -> Response {
    text(status, body.to_string())
}

pub fn said(status: u16, message: &str) -> Response {
    json(
        status,
        &serde_json::json!({"message": message, "documentation_url": "https://docs.github.com/rest"}),
    )
}
