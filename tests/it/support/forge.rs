//! A stand-in for what the pipelines ask of GitHub and GitLab: pull requests, comments and issues,
//! in memory. It answers as their REST documentation says; what they do beyond it is not known to
//! these tests.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::serve::{Served, serve};

pub const TOKEN: &str = "forge-token-of-this-test";
pub const BOT: &str = "github-actions[bot]";

#[derive(Default)]
pub struct World {
    pub pulls: Vec<Pull>,
    pub comments: Vec<Comment>,
    pub issues: Vec<Issue>,
    /// Nothing can be written.
    pub read_only: bool,
    made: u64,
    pub asked: Vec<String>,
}

#[derive(Clone)]
pub struct Pull {
    pub number: u64,
    pub head: String,
    /// The commit on the default branch.
    pub merged: Option<String>,
    /// The branch that it is for.
    pub target: String,
}

#[derive(Clone, Debug)]
pub struct Comment {
    pub id: u64,
    /// Of a pull request or an issue.
    pub on: u64,
    pub author: String,
    pub body: String,
}

#[derive(Clone, Debug)]
pub struct Issue {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub open: bool,
}

/// Stopped when dropped.
pub struct Forge {
    pub served: Served,
    pub world: Arc<Mutex<World>>,
}

impl Forge {
    pub fn start() -> Forge {
        let world: Arc<Mutex<World>> = Arc::default();
        let shared = world.clone();
        let app = axum::Router::new().fallback(move |request: Request<Body>| {
            let world = shared.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
                let body = if bytes.is_empty() {
                    Value::Null
                } else {
                    serde_json::from_slice(&bytes).expect("JSON")
                };
                let header = |name: &str| {
                    parts
                        .headers
                        .get(name)
                        .and_then(|value| value.to_str().ok())
                        .unwrap_or_default()
                        .to_owned()
                };
                let known = header("authorization") == format!("Bearer {TOKEN}")
                    || header("private-token") == TOKEN;
                let mut world = world.lock().expect("not poisoned");
                world.asked.push(format!("{} {}", parts.method, parts.uri));
                let (status, answer) = match known {
                    true => world.answer(
                        &parts.method,
                        parts.uri.path(),
                        parts.uri.query().unwrap_or_default(),
                        &body,
                    ),
                    false => (401, json!({"message": "Bad credentials"})),
                };
                Response::builder()
                    .status(StatusCode::from_u16(status).expect("a status"))
                    .body(Body::from(answer.to_string()))
                    .expect("an answer")
            }
        });
        Forge { served: serve(app), world }
    }
    pub fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.world.lock().expect("not poisoned"))
    }
    /// What the bot wrote there, in order.
    pub fn said(&self, on: u64) -> Vec<String> {
        self.with(|world| {
            world
                .comments
                .iter()
                .filter(|comment| comment.on == on && comment.author == BOT)
                .map(|c| c.body.clone())
                .collect()
        })
    }
}

impl World {
    pub fn comment(&mut self, on: u64, author: &str, body: &str) -> u64 {
        self.made += 1;
        self.comments.push(Comment {
            id: self.made,
            on,
            author: author.to_owned(),
            body: body.to_owned(),
        });
        self.made
    }

    fn answer(&mut self, method: &Method, path: &str, query: &str, body: &Value) -> (u16, Value) {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if self.read_only && method != Method::GET {
            return (403, json!({"message": "Resource not accessible by integration"}));
        }
        let gitlab = parts[0] != "repos";
        let path: Vec<&str> = match &parts[..] {
            ["user"] => return (200, json!({"username": BOT})),
            ["repos", "acme", "keys", rest @ ..]
            | ["projects", "7", "repository", rest @ ..]
            | ["projects", "7", rest @ ..] => rest.to_vec(),
            _ => return (404, json!({"message": "Not Found"})),
        };
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        let page = query.split('&').find_map(|pair| pair.strip_prefix("page=")).map_or(1, number);
        match (method.as_str(), &path[..]) {
            ("GET", ["commits", sha, "pulls" | "merge_requests"]) => {
                let of = self
                    .pulls
                    .iter()
                    .filter(|pull| pull.merged.as_deref() == Some(*sha) || pull.head == *sha);
                let list: Vec<Value> = of
                    .map(|pull| {
                        let merged_at = pull.merged.as_ref().map(|_| "2026-11-24T00:00:00Z");
                        json!({"number": pull.number, "iid": pull.number, "head": {"sha": pull.head}, "sha": pull.head, "merged_at": merged_at,
                               "state": if pull.merged.is_some() { "merged" } else { "opened" },
                               "merge_commit_sha": pull.merged, "squash_commit_sha": null, "base": {"ref": pull.target}, "target_branch": pull.target})
                    })
                    .collect();
                (200, list.into())
            }
            ("GET", ["issues" | "merge_requests", on, "comments" | "notes"]) => {
                let all = self.comments.iter().filter(|comment| comment.on == number(on));
                let shown = all.skip((page as usize - 1) * 100).take(100);
                let author = |comment: &Comment| match gitlab {
                    true => {
                        json!({"id": comment.id, "body": comment.body, "author": {"username": comment.author}})
                    }
                    false => {
                        json!({"id": comment.id, "body": comment.body, "user": {"login": comment.author}})
                    }
                };
                (200, shown.map(author).collect())
            }
            ("POST", ["issues" | "merge_requests", on, "comments" | "notes"]) => {
                let id = self.comment(number(on), BOT, &text("body").expect("a body"));
                (201, json!({"id": id}))
            }
            ("PATCH", ["issues", "comments", id]) | ("PUT", ["merge_requests", _, "notes", id]) => {
                match self.comments.iter_mut().find(|comment| comment.id == number(id)) {
                    Some(comment) => {
                        assert_eq!(comment.author, BOT, "only the author may change it");
                        comment.body = text("body").expect("a body");
                        (200, json!({"id": comment.id}))
                    }
                    None => (404, json!({"message": "Not Found"})),
                }
            }
            ("GET", ["issues"]) => {
                assert!(query.contains("labels=keyform-drift"), "{query}");
                let open = self.issues.iter().filter(|issue| issue.open);
                let list = open.map(|issue| match gitlab {
                    true => json!({"iid": issue.number, "description": issue.body, "author": {"username": BOT}}),
                    false => json!({"number": issue.number, "body": issue.body, "user": {"login": BOT}}),
                });
                (200, list.collect())
            }
            ("POST", ["issues"]) => {
                let number = 100 + self.issues.len() as u64;
                let body = text("body").or_else(|| text("description")).expect("a body");
                self.issues.push(Issue {
                    number,
                    title: text("title").expect("a title"),
                    body,
                    open: true,
                });
                (201, json!({"number": number, "iid": number}))
            }
            ("PATCH" | "PUT", ["issues", of]) => {
                match self.issues.iter_mut().find(|issue| issue.number == number(of)) {
                    Some(issue) => {
                        issue.body = text("body")
                            .or_else(|| text("description"))
                            .unwrap_or_else(|| issue.body.clone());
                        issue.open &= body["state"] != "closed" && body["state_event"] != "close";
                        (200, json!({"number": issue.number}))
                    }
                    None => (404, json!({"message": "Not Found"})),
                }
            }
            _ => (404, json!({"message": "Not Found"})),
        }
    }
}
