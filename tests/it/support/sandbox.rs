//! `keyform sandbox` as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Stopped by its process id when dropped.
pub struct Sandbox {
    child: Child,
    pub endpoint: String,
}

/// What it accepts; looks like a real key, so that tests can search for it.
pub const API_KEY: &str = "pnu-test-api-key-5f0c1d9e";

impl Sandbox {
    pub fn start(args: &[&str]) -> Sandbox {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyform"))
            .arg("sandbox")
            .arg("--quiet")
            .args(args)
            .env("KEYFORM_SANDBOX_KEY", API_KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sandbox starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("it says where it listens");
        let endpoint = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("unexpected: {line}"))
            .to_owned();
        Sandbox { child, endpoint }
    }

    /// The variables that lead `keyform` here.
    pub fn env(&self) -> [(&'static str, &str); 2] {
        [("PUBNUB_API_KEY", API_KEY), ("KEYFORM_ENDPOINT", &self.endpoint)]
    }

    /// `GET PATH` as JSON, with the key.
    pub fn get(&self, path: &str) -> serde_json::Value {
        self.ask(reqwest::Method::GET, path, None)
    }

    /// `POST PATH`, as somebody else who has the key.
    pub fn post(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        self.ask(reqwest::Method::POST, path, Some(body))
    }

    /// `PATCH PATH`, as somebody in the portal would.
    pub fn patch(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        self.ask(reqwest::Method::PATCH, path, Some(body))
    }

    /// `DELETE PATH`, likewise.
    pub fn delete(&self, path: &str) -> serde_json::Value {
        self.ask(reqwest::Method::DELETE, path, None)
    }

    fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> serde_json::Value {
        let url = format!("{}{path}", self.endpoint);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            let mut request = client
                .request(method, url)
                .header("Authorization", API_KEY)
                .header("PubNub-Version", "2026-03-23");
            if let Some(body) = body {
                request = request.header("Content-Type", "application/json").body(body.to_string());
            }
            let text = request.send().await.expect("it answers").text().await.expect("text");
            serde_json::from_str(&text).expect("JSON")
        })
    }

    /// Names of all keysets in the account, sorted: a name that is there twice was created twice.
    pub fn keysets(&self) -> Vec<String> {
        let page = self.get("/v2/keysets?limit=100");
        let names = page["keysets"].as_array().expect("a list").iter();
        let mut names: Vec<String> =
            names.map(|k| k["name"].as_str().expect("a name").to_owned()).collect();
        names.sort();
        names
    }
}

impl Sandbox {
    /// Ends it now. It has forgotten nothing that it answered, if it has a data file.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop();
    }
}
