//! The sandbox over real HTTP.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keyform::keyset::{Secret, Tier};
use keyform::sandbox::{self, Fault, Options, Running, SandboxError};
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

/// A client that knows nothing of keyform's own.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub endpoint: String,
    pub key: String,
    pub version: Option<&'static str>,
}

impl Client {
    pub fn of(running: &Running) -> Client {
        let http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        Client {
            http,
            endpoint: running.endpoint(),
            key: Options::API_KEY.to_owned(),
            version: Some("2026-03-23"),
        }
    }

    pub fn request(&self, method: &str, path: &str, body: Option<Json>) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.endpoint));
        if !self.key.is_empty() {
            request = request.header("Authorization", &self.key);
        }
        if let Some(version) = self.version {
            request = request.header("PubNub-Version", version);
        }
        match body {
            Some(body) => request.header("Content-Type", "application/json").body(body.to_string()),
            None => request,
        }
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Json>) -> (u16, Json) {
        let response = self.request(method, path, body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    /// Refused with this status, in the one shape; answers the messages.
    pub async fn refused(
        &self,
        expected: u16,
        method: &str,
        path: &str,
        body: Option<Json>,
    ) -> String {
        let (status, answer) = self.send(method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
        assert_eq!(answer["statusCode"], expected);
        assert!(answer["error"].is_string(), "{answer}");
        let messages: Vec<&str> =
            answer["message"].as_array().unwrap().iter().map(|m| m.as_str().unwrap()).collect();
        assert!(!messages.is_empty());
        messages.join("; ")
    }

    /// Makes an app; answers its id.
    pub async fn app(&self, name: &str) -> String {
        let (status, app) = self.send("POST", "/v2/apps", Some(json!({ "name": name }))).await;
        assert_eq!(status, 201, "{app}");
        app["id"].as_str().unwrap().to_owned()
    }

    /// Makes a testing keyset; answers its id.
    pub async fn keyset(&self, app: &str, name: &str) -> String {
        let (status, made) = self.create(app, name, json!({})).await;
        assert_eq!(status, 201, "{made}");
        made["keyset"]["id"].as_str().unwrap().to_owned()
    }

    async fn create(&self, app: &str, name: &str, config: Json) -> (u16, Json) {
        let body = json!({ "keyset": { "name": name, "type": "testing", "appId": app }, "config": config });
        self.send("POST", "/v2/keysets", Some(body)).await
    }
}

async fn running(options: Options) -> (Running, Client) {
    let running = sandbox::start(options).await.unwrap();
    let client = Client::of(&running);
    (running, client)
}

async fn with_faults(faults: &[&str]) -> (Running, Client) {
    let faults = faults.iter().map(|f| Fault::parse(f).unwrap()).collect();
    running(Options { faults, ..Options::default() }).await
}

#[tokio::test]
async fn the_key_and_the_version_are_asked_for() {
    let (running, client) =
        running(Options { api_key: secret("the-key"), ..Options::default() }).await;
    assert!(running.addr.ip().is_loopback());
    let with = |key: &str, version| Client { key: key.to_owned(), version, ..client.clone() };
    let good = Some("2026-03-23");
    for key in ["", "wrong", "the-key2", "the-ke", "Basic the-key"] {
        with(key, good).refused(401, "GET", "/v2/apps", None).await;
    }
    for key in ["the-key", "Bearer the-key"] {
        assert_eq!(with(key, good).send("GET", "/v2/apps", None).await.0, 200);
    }
    for version in [None, Some("2026-03-24"), Some("2"), Some("")] {
        assert!(
            with("the-key", version)
                .refused(400, "GET", "/v2/apps", None)
                .await
                .contains("PubNub-Version")
        );
    }
    with("", None).refused(401, "GET", "/v2/apps", None).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_no_call_of_the_api_is_refused_in_the_apis_shape() {
    let (running, client) = running(Options::default()).await;
    for path in
        ["/", "/v2", "/v2/apps/", "/v1/apps", "/v2/keysets/1/config/other", "/v2/apps/101/x"]
    {
        client.refused(404, "GET", path, None).await;
    }
    client.refused(405, "DELETE", "/v2/apps", None).await;
    client.refused(405, "PUT", "/v2/keysets/1/config", Some(json!({}))).await;
    let response = client.request("DELETE", "/v2/apps", None).send().await.unwrap();
    assert_eq!(response.headers()["allow"], "GET, POST");

    let post = |content_type: Option<&str>, body: Vec<u8>| {
        let request = client.request("POST", "/v2/apps", None).body(body);
        let request = match content_type {
            Some(content_type) => request.header("Content-Type", content_type),
            None => request,
        };
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let body = || br#"{"name":"a"}"#.to_vec();
    assert_eq!(post(Some("application/json; charset=utf-8"), body()).await, 201);
    assert_eq!(post(Some("text/plain"), body()).await, 400);
    assert_eq!(post(None, body()).await, 400);
    assert_eq!(post(Some("application/json"), b"{\"name\":".to_vec()).await, 400);
    assert_eq!(post(Some("application/json"), b"\xff\xfe".to_vec()).await, 400);
    assert_eq!(post(Some("application/json"), vec![b'['; 100_000]).await, 400);
    assert_eq!(post(Some("application/json"), vec![b' '; (1 << 20) + 1]).await, 400);
    assert_eq!(post(Some("application/json"), vec![b' '; 12 << 20]).await, 400);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn lists_come_in_pages() {
    let (running, client) = running(Options::default()).await;
    for n in 0..12 {
        client.app(&format!("app {n}")).await;
    }
    let list = async |query: &str| client.send("GET", &format!("/v2/apps{query}"), None).await.1;
    let ids = |list: &Json| -> Vec<u64> {
        list["apps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["id"].as_str().unwrap().parse().unwrap())
            .collect()
    };

    let first = list("").await;
    assert_eq!(
        (&first["total"], &first["page"], &first["limit"]),
        (&json!(12), &json!(1), &json!(10))
    );
    assert_eq!(ids(&first), (101..=110).collect::<Vec<_>>());
    assert_eq!(ids(&list("?page=2").await), [111, 112]);
    assert_eq!(ids(&list("?page=2&limit=5").await), [106, 107, 108, 109, 110]);
    let past = list("?page=99999999999999999999&limit=100").await;
    assert_eq!((past["total"].as_u64(), ids(&past)), (Some(12), vec![]));
    assert_eq!(list("?limit=1000").await["limit"], 100);

    client.send("DELETE", "/v2/apps/103", None).await;
    assert_eq!(ids(&list("?limit=3").await), [101, 102, 104]);
    assert_eq!(client.app("new").await, "113");
    for query in [
        "?page=0",
        "?page=-1",
        "?page=x",
        "?page=",
        "?limit=0",
        "?limit=01",
        "?page=1&page=2",
        "?filter=x",
        "?limit=%zz",
    ] {
        client.refused(400, "GET", &format!("/v2/apps{query}"), None).await;
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn apps_live_and_die() {
    let (running, client) = running(Options::default()).await;
    let app = client.app("one").await;
    let path = format!("/v2/apps/{app}");
    let (status, renamed) =
        client.send("PATCH", &path, Some(json!({ "name": "zwei\u{202e}\n" }))).await;
    assert_eq!((status, &renamed["name"]), (200, &json!("zwei\u{202e}\n")));
    assert_eq!(client.send("GET", &path, None).await.1, renamed);
    for body in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": 1 }),
        json!({ "name": null }),
        json!({ "name": "a", "x": 1 }),
        json!([]),
        json!(null),
    ] {
        client.refused(400, "PATCH", &path, Some(body.clone())).await;
        client.refused(400, "POST", "/v2/apps", Some(body)).await;
    }
    let keyset = client.keyset(&app, "k").await;
    assert!(client.refused(400, "DELETE", &path, None).await.contains("keyset"));
    assert_eq!(
        client.send("DELETE", &format!("/v2/keysets/{keyset}"), None).await,
        (200, json!({ "success": true }))
    );
    assert_eq!(client.send("DELETE", &path, None).await, (200, json!({ "success": true })));
    for method in ["GET", "DELETE"] {
        client.refused(404, method, &path, None).await;
        client.refused(404, method, &format!("/v2/keysets/{keyset}"), None).await;
    }
    for id in ["0101", "+101", "abc", "%31", "18446744073709551616"] {
        client.refused(404, "GET", &format!("/v2/apps/{id}"), None).await;
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_create_is_checked_field_by_field() {
    let (running, client) = running(Options::default()).await;
    let app = client.app("a").await;
    let refused = async |config: Json, says: &str| {
        let body =
            json!({ "keyset": { "name": "k", "type": "testing", "appId": app }, "config": config });
        let messages = client.refused(400, "POST", "/v2/keysets", Some(body)).await;
        assert!(messages.contains(says), "{messages:?} does not say {says:?}");
    };
    refused(
        json!({ "files": { "enabled": true, "retention": 7 } }),
        "files.enabled needs files.region",
    )
    .await;
    refused(
        json!({ "files": { "enabled": true, "region": "us-east-1", "retention": null } }),
        "files.enabled needs files.retention",
    )
    .await;
    refused(
        json!({ "appContext": { "enabled": true } }),
        "appContext.enabled needs appContext.region",
    )
    .await;
    refused(json!({ "files": { "region": "aws-iad-1" } }), "files.region must be").await;
    refused(json!({ "files": { "retention": 8 } }), "files.retention must be").await;
    refused(json!({ "files": { "retention": "7" } }), "files.retention must be").await;
    refused(json!({ "files": { "retention": 7.5 } }), "files.retention must be").await;
    refused(json!({ "files": { "enabled": null } }), "files.enabled must be").await;
    refused(json!({ "files": { "enabled": [true] } }), "files.enabled must be").await;
    refused(json!({ "files": { "colour": 1 } }), "files.\"colour\" is not a field").await;
    refused(json!({ "file": {} }), "\"file\" is not a section").await;
    refused(json!({ "keyset": { "name": "x" } }), "\"keyset\" is not a section").await;
    refused(json!({ "files": null }), "files must be an object").await;
    refused(json!(null), "config must be an object").await;
    refused(
        json!({ "presence": { "interval": 9, "announceMax": 101 } }),
        "presence.interval must be 10 or more",
    )
    .await;
    refused(json!({ "apns": { "teamId": "x" } }), "apns.teamId is set by an upload").await;
    // All mistakes at once.
    refused(
        json!({ "presence": { "interval": 9, "announceMax": 101 } }),
        "presence.announceMax must be 0 to 100",
    )
    .await;

    let own = async |keyset: Json, says: &str| {
        let messages =
            client.refused(400, "POST", "/v2/keysets", Some(json!({ "keyset": keyset }))).await;
        assert!(messages.contains(says), "{messages:?} does not say {says:?}");
    };
    own(json!({ "type": "testing", "appId": app }), "name is required").await;
    own(json!({ "name": "", "type": "testing", "appId": app }), "name must not be empty").await;
    own(json!({ "name": "k", "type": "staging", "appId": app }), "type must be").await;
    own(json!({ "name": "k", "type": "testing", "appId": 101 }), "appId must be").await;
    own(
        json!({ "name": "k", "type": "testing", "appId": app, "id": "7" }),
        "\"id\" is not a field",
    )
    .await;
    own(json!([]), "keyset must be an object").await;
    client.refused(400, "POST", "/v2/keysets", Some(json!({ "config": {} }))).await;
    client
        .refused(
            404,
            "POST",
            "/v2/keysets",
            Some(json!({ "keyset": { "name": "k", "type": "testing", "appId": "1" } })),
        )
        .await;
    assert_eq!(
        client.send("GET", "/v2/keysets", None).await.1["total"],
        0,
        "nothing of all this was made"
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_a_region_only_once() {
    let (running, client) = running(Options::default()).await;
    let app = client.app("a").await;
    let keyset = client.keyset(&app, "k").await;
    let path = format!("/v2/keysets/{keyset}/config");
    let patch = async |body: Json| client.send("PATCH", &path, Some(body)).await;

    let before = client.send("GET", &path, None).await.1;
    assert_eq!(
        (&before["files"]["region"], &before["files"]["enabled"]),
        (&json!(null), &json!(false))
    );
    let (status, after) = patch(json!({ "presence": { "interval": 30 } })).await;
    assert_eq!(status, 200);
    let mut expected = before.clone();
    expected["presence"]["interval"] = json!(30);
    assert_eq!(after, expected, "only that field has changed");
    assert_eq!(client.send("GET", &path, None).await.1, expected);

    client.refused(400, "PATCH", &path, Some(json!({ "files": { "enabled": true } }))).await;
    assert_eq!(patch(json!({ "files": { "region": "us-east-1" } })).await.0, 200);
    assert_eq!(
        patch(json!({ "files": { "enabled": true } })).await.0,
        200,
        "the rule is about the resulting state"
    );
    assert_eq!(patch(json!({ "files": { "region": "us-east-1" } })).await.0, 200, "the same again");
    for region in [json!("eu-central-1"), json!(null)] {
        let messages = client
            .refused(
                400,
                "PATCH",
                &path,
                Some(json!({ "files": { "region": region, "retention": 30 } })),
            )
            .await;
        assert!(messages.contains("files.region cannot be changed"), "{messages}");
    }
    client.refused(400, "PATCH", &path, Some(json!({ "files": { "retention": null } }))).await;
    assert_eq!(
        client.send("GET", &path, None).await.1["files"],
        json!({ "enabled": true, "retention": 7, "region": "us-east-1" })
    );
    assert_eq!(patch(json!({})).await.0, 200);
    let (_, whole) = patch(json!({ "presence": { "interval": 40.0 } })).await;
    assert_eq!(whole["presence"]["interval"].as_i64(), Some(40));
    client.refused(404, "PATCH", "/v2/keysets/1/config", Some(json!({}))).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_keyset_changes_name_and_type_and_nothing_else() {
    let (running, client) = running(Options::default()).await;
    let app = client.app("a").await;
    let keyset = client.keyset(&app, "k").await;
    let path = format!("/v2/keysets/{keyset}");
    let before = client.send("GET", &path, None).await.1;
    assert!(before.get("secretKeys").is_none() && before.get("config").is_none());
    let (_, after) = client.send("PATCH", &path, Some(json!({ "type": "production" }))).await;
    assert_eq!(
        (&after["type"], &after["name"], &after["publishKey"]),
        (&json!("production"), &json!("k"), &before["publishKey"])
    );
    for body in [
        json!({}),
        json!({ "appId": app }),
        json!({ "name": "" }),
        json!({ "name": "x", "publishKey": "pub-c-x" }),
        json!({ "type": "x" }),
    ] {
        client.refused(400, "PATCH", &path, Some(body)).await;
    }
    assert_eq!(client.send("GET", &path, None).await.1["name"], "k");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_plan_of_the_account_has_limits() {
    let (running, client) = running(Options { tier: Tier::Free, ..Options::default() }).await;
    let app = client.app("a").await;
    let body = json!({ "keyset": { "name": "k", "type": "production", "appId": app } });
    assert!(client.refused(400, "POST", "/v2/keysets", Some(body)).await.contains("starter plan"));
    let keyset = client.keyset(&app, "1").await;
    for body in [
        json!({ "files": { "retention": 30 } }),
        json!({ "streamController": { "channelGroupLimit": 101 } }),
    ] {
        assert!(
            client
                .refused(400, "PATCH", &format!("/v2/keysets/{keyset}/config"), Some(body))
                .await
                .contains("starter plan")
        );
    }
    let body = json!({ "expiresAt": in_days(1) });
    assert!(
        client
            .refused(400, "POST", &format!("/v2/keysets/{keyset}/secret-keys"), Some(body))
            .await
            .contains("starter plan")
    );
    client.keyset(&app, "2").await;
    client.keyset(&app, "3").await;
    let (status, answer) = client.create(&app, "4", json!({})).await;
    assert_eq!(status, 400, "{answer}");
    client.send("DELETE", &format!("/v2/keysets/{keyset}"), None).await;
    client.keyset(&app, "4").await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn secret_keys_are_shown_once_and_live_as_documented() {
    let (running, client) = running(Options::default()).await;
    let app = client.app("a").await;
    let (_, made) = client.create(&app, "k", json!({})).await;
    let secret = made["keyset"]["secretKeys"][0]["secretKey"].as_str().unwrap().to_owned();
    assert_eq!(made["keyset"]["secretKeys"][0]["expiresAt"], json!(null));
    assert!(secret.starts_with("sec-c-") && secret.len() == 54);
    let path = format!("/v2/keysets/{}/secret-keys", made["keyset"]["id"].as_str().unwrap());
    let list =
        async || client.send("GET", &path, None).await.1["secretKeys"].as_array().unwrap().clone();

    let shown = list().await;
    assert_eq!(shown.len(), 1);
    assert!(shown[0]["secretKey"].as_str().unwrap().starts_with(&secret[..11]));
    assert_ne!(shown[0]["secretKey"], json!(secret));

    // At once: the old one is gone.
    let (status, rotated) = client.send("POST", &path, Some(json!({}))).await;
    assert_eq!(status, 201);
    let second = rotated["secretKey"].as_str().unwrap().to_owned();
    assert_ne!(second, secret);
    assert_eq!(list().await.len(), 1);

    // With expiry: at most five wait.
    for waiting in 1..=5 {
        assert_eq!(
            client.send("POST", &path, Some(json!({ "expiresAt": in_days(1) }))).await.0,
            201
        );
        let expiring = list().await.iter().filter(|key| key["expiresAt"].is_string()).count();
        assert_eq!(expiring, waiting);
    }
    assert!(
        client
            .refused(400, "POST", &path, Some(json!({ "expiresAt": in_days(1) })))
            .await
            .contains('5')
    );
    for at in [
        json!(in_days(367)),
        json!("2020-01-01T00:00:00Z"),
        json!("2030-01-01"),
        json!("2026-13-01T00:00:00Z"),
        json!(null),
        json!(1),
    ] {
        client.refused(400, "POST", &path, Some(json!({ "expiresAt": at }))).await;
    }

    let one = format!("{path}/{}", &second[..11]);
    let later = in_days(2);
    let (status, moved) = client.send("PATCH", &one, Some(json!({ "expiresAt": later }))).await;
    assert_eq!((status, &moved["secretKey"]["expiresAt"]), (200, &json!(later)));
    client.refused(400, "PATCH", &one, Some(json!({}))).await;
    assert_eq!(client.send("DELETE", &one, None).await, (200, json!({ "success": true })));
    client.refused(404, "DELETE", &one, None).await;
    let permanent =
        list().await.iter().find(|key| key["expiresAt"].is_null()).unwrap()["secretKey"]
            .as_str()
            .unwrap()[..11]
            .to_owned();
    client.refused(400, "DELETE", &format!("{path}/{permanent}"), None).await;
    client
        .refused(400, "PATCH", &format!("{path}/{permanent}"), Some(json!({ "expiresAt": later })))
        .await;
    client.refused(400, "DELETE", &format!("{path}/{second}"), None).await;
    client.refused(400, "GET", "/v2/keysets/abc/secret-keys", None).await;
    client.refused(404, "GET", "/v2/keysets/1/secret-keys", None).await;
    for query in ["true", "false"] {
        assert_eq!(client.send("GET", &format!("{path}?activeOnly={query}"), None).await.0, 200);
    }
    client.refused(400, "GET", &format!("{path}?activeOnly=yes"), None).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn uploads_show_what_describes_them_and_turn_apns_on() {
    let (running, client) = running(Options::default()).await;
    let app = client.app("a").await;
    let keyset = client.keyset(&app, "k").await;
    let path = format!("/v2/keysets/{keyset}/config");
    let fcm = json!({ "filename": "f.json", "key": "FCM-CONTENT" });
    assert_eq!(
        client.send("POST", &format!("{path}/fcm"), Some(fcm)).await,
        (201, json!({ "filename": "f.json" }))
    );
    let config = client.send("GET", &path, None).await.1;
    assert_eq!(
        (&config["fcm"]["filename"], &config["apns"]["enabled"]),
        (&json!("f.json"), &json!(true))
    );
    let apns =
        json!({ "teamId": "T", "authKeyId": "K", "filename": "a.p8", "token": "APNS-CONTENT" });
    for field in ["teamId", "authKeyId", "filename", "token"] {
        let mut without = apns.clone();
        without.as_object_mut().unwrap().remove(field);
        assert!(
            client
                .refused(400, "POST", &format!("{path}/apns"), Some(without))
                .await
                .contains(field)
        );
    }
    assert_eq!(client.send("POST", &format!("{path}/apns"), Some(apns)).await.0, 201);
    let config = client.send("GET", &path, None).await.1;
    assert_eq!(
        config["apns"],
        json!({ "enabled": true, "teamId": "T", "authKeyId": "K", "filename": "a.p8" })
    );
    assert!(!config.to_string().contains("CONTENT"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_data_file_outlives_the_sandbox_and_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep/sandbox.json");
    let options = || Options { data: Some(data.clone()), ..Options::default() };

    let (first, client) = running(options()).await;
    let app = client.app("a").await;
    let (_, made) = client.create(&app, "k", json!({ "presence": { "interval": 77 } })).await;
    let id = made["keyset"]["id"].as_str().unwrap();
    let (_, rotated) = client
        .send(
            "POST",
            &format!("/v2/keysets/{id}/secret-keys"),
            Some(json!({ "expiresAt": in_days(1) })),
        )
        .await;
    client
        .send(
            "POST",
            &format!("/v2/keysets/{id}/config/apns"),
            Some(json!({ "teamId": "T", "authKeyId": "K", "filename": "a.p8", "token": "APNS-CONTENT" })),
        )
        .await;
    let gone = client.keyset(&app, "gone").await;
    client.send("DELETE", &format!("/v2/keysets/{gone}"), None).await;
    let everything = async |client: &Client| {
        let mut all = Vec::new();
        for path in [
            "/v2/apps",
            "/v2/keysets",
            &format!("/v2/keysets/{id}/config"),
            &format!("/v2/keysets/{id}/secret-keys"),
        ] {
            all.push(client.send("GET", path, None).await);
        }
        all
    };
    let before = everything(&client).await;

    let Err(SandboxError::InUse { path }) = sandbox::start(options()).await else {
        panic!("two sandboxes share a file")
    };
    assert_eq!(path, data);
    // What a kill leaves behind is what is on the disk now; the last line is one that was never
    // answered.
    let killed = folder.path().join("killed.json");
    let mut bytes = fs::read(&data).unwrap();
    bytes.extend_from_slice(b"{\"keysetGone\":10");
    fs::write(&killed, bytes).unwrap();
    first.stop().await.unwrap();

    for path in [&data, &killed] {
        for _ in 0..2 {
            let (again, client) =
                running(Options { data: Some(path.clone()), ..Options::default() }).await;
            assert_eq!(everything(&client).await, before);
            again.stop().await.unwrap();
        }
    }
    let (again, client) = running(options()).await;
    assert_eq!(client.keyset(&app, "new").await, "1003", "an id is never used twice");
    again.stop().await.unwrap();

    for file in [&data, &killed] {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains("\"interval\":77"));
        for secret in [&made["keyset"]["secretKeys"][0]["secretKey"], &rotated["secretKey"]] {
            let secret = secret.as_str().unwrap();
            assert!(
                text.contains(&secret[..11]) && !text.contains(&secret[11..]),
                "only the prefix is kept"
            );
        }
        assert!(!text.contains("CONTENT"));
    }
}

/// A child process has its parent's open files until it runs its program.
#[test]
fn a_stopped_sandbox_leaves_its_file_also_while_processes_are_started() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("sandbox.json");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::process::Command::new("true").status().unwrap();
                }
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let started: Result<(), SandboxError> = runtime.block_on(async {
            for _ in 0..300 {
                let running =
                    sandbox::start(Options { data: Some(data.clone()), ..Options::default() })
                        .await?;
                running.stop().await?;
            }
            Ok(())
        });
        stop.store(true, Ordering::Relaxed);
        started.unwrap();
    });
}

#[tokio::test]
async fn a_file_that_is_none_of_its_own_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (content, line) in [
        ("hello\n", 1),
        ("", 0),
        ("{\"keyformSandbox\":2,\"changes\":0,\"nextApp\":1,\"nextKeyset\":1}\n", 1),
        ("no end", 1),
        ("{}\n", 1),
    ] {
        let data = folder.path().join("data");
        fs::write(&data, content).unwrap();
        let started =
            sandbox::start(Options { data: Some(data.clone()), ..Options::default() }).await;
        match (started, line) {
            (Ok(running), 0) => running.stop().await.unwrap(),
            (Err(error @ SandboxError::BadData { .. }), 1) => {
                assert!(error.to_string().contains("line 1"), "{error}");
                assert_eq!(fs::read_to_string(&data).unwrap(), content);
            }
            _ => panic!("{content:?}"),
        }
    }
    let data = folder.path().join("damaged");
    let (running, client) =
        running(Options { data: Some(data.clone()), ..Options::default() }).await;
    client.app("a").await;
    running.stop().await.unwrap();
    let text = fs::read_to_string(&data).unwrap();
    fs::write(&data, format!("{text}{{}}\n{{\"appGone\":101}}\n")).unwrap();
    let Err(error) = sandbox::start(Options { data: Some(data), ..Options::default() }).await
    else {
        panic!("a damaged line was skipped")
    };
    assert!(error.to_string().contains("line 3"), "{error}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error() {
    let (running, _) = running(Options::default()).await;
    let Err(error) =
        sandbox::start(Options { port: running.addr.port(), ..Options::default() }).await
    else {
        panic!("one port, two sandboxes")
    };
    assert!(error.to_string().contains(&running.addr.port().to_string()));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_seed_makes_everything_repeat() {
    let story = async |seed| {
        let (running, client) = running(Options { seed, ..Options::default() }).await;
        let app = client.app("a").await;
        let mut told = vec![
            client.create(&app, "k", json!({})).await.1,
            client.create(&app, "k", json!({})).await.1,
        ];
        told.push(client.send("POST", "/v2/keysets/1001/secret-keys", Some(json!({}))).await.1);
        told.push(client.send("GET", "/v2/keysets", None).await.1);
        running.stop().await.unwrap();
        told
    };
    let told = story(Some(7)).await;
    assert_eq!(told, story(Some(7)).await);
    assert_ne!(told[0], story(Some(8)).await[0]);
    assert_ne!(story(None).await[0], story(None).await[0]);
    assert_ne!(told[0]["keyset"]["secretKeys"], told[1]["keyset"]["secretKeys"]);
    assert_eq!(told[0]["keyset"]["createdAt"], "2026-01-01T00:00:01Z");
    assert_eq!(told[1]["keyset"]["createdAt"], "2026-01-01T00:00:02Z");
}

#[tokio::test]
async fn a_seeded_story_goes_on_after_a_restart_also_when_the_file_was_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let options = |data| Options { seed: Some(7), data, ..Options::default() };
    let (first, client) = running(options(Some(data.clone()))).await;
    let app = client.app("a").await;
    // More history than keysets: the next start rewrites the file.
    for n in 0..1100 {
        client
            .send("PATCH", &format!("/v2/apps/{app}"), Some(json!({ "name": n.to_string() })))
            .await;
    }
    first.stop().await.unwrap();
    let long = fs::metadata(&data).unwrap().len();
    let (again, client) = running(options(Some(data.clone()))).await;
    assert!(fs::metadata(&data).unwrap().len() < long / 100, "history is dropped");
    let (_, made) = client.create(&app, "k", json!({})).await;
    assert_eq!(
        made["keyset"]["createdAt"], "2026-01-01T00:18:21Z",
        "1,101 changes after the start"
    );
    again.stop().await.unwrap();
}

#[tokio::test]
async fn the_data_file_grows_with_the_keysets_not_with_their_square() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (running, client) =
        running(Options { data: Some(data.clone()), ..Options::default() }).await;
    let app = client.app("a").await;
    for n in 0..50 {
        client.keyset(&app, &n.to_string()).await;
    }
    let after_50 = fs::metadata(&data).unwrap().len();
    for n in 50..100 {
        client.keyset(&app, &n.to_string()).await;
    }
    let after_100 = fs::metadata(&data).unwrap().len();
    assert!(
        after_100 < after_50 * 3,
        "every keyset costs the same: {after_50} bytes for 50, {after_100} for 100"
    );
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_cut_the_wire() {
    let (running, client) = with_faults(&[
        "POST /v2/apps#1=cut-before",
        "POST /v2/apps#2=cut-after",
        "POST /v2/apps#3=truncate-after",
    ])
    .await;
    let post = || raw(&running, "POST /v2/apps", r#"{"name":"x"}"#);
    assert_eq!(post(), "", "not one byte");
    assert_eq!(client.send("GET", "/v2/apps", None).await.1["total"], 0);
    assert_eq!(post(), "");
    assert_eq!(client.send("GET", "/v2/apps", None).await.1["total"], 1);
    let half = post();
    let (head, body) = half.split_once("\r\n\r\n").unwrap();
    let length: usize =
        head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    assert!(head.starts_with("HTTP/1.1 201") && body.len() == length / 2, "{half}");
    assert_eq!(client.send("GET", "/v2/apps", None).await.1["total"], 2);
    let whole = post();
    assert!(
        whole.starts_with("HTTP/1.1 201") && whole.ends_with('}'),
        "the fourth is as usual: {whole}"
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn faults_answer_something_else() {
    let (running, client) = with_faults(&[
        "POST /v2/apps#1=status:500",
        "POST /v2/apps#2=status:429:retry-after=3",
        "POST /v2/apps#3=html",
        "POST /v2/apps#4=garbage-after",
        "POST /v2/apps#5=delay:150",
        "GET /v2/keysets$=huge",
    ])
    .await;
    let post = async || {
        client.request("POST", "/v2/apps", Some(json!({ "name": "x" }))).send().await.unwrap()
    };
    let total = async || client.send("GET", "/v2/apps", None).await.1["total"].clone();
    client.refused(500, "POST", "/v2/apps", Some(json!({ "name": "x" }))).await;
    let slow_down = post().await;
    assert_eq!(
        (slow_down.status().as_u16(), &slow_down.headers()["retry-after"]),
        (429, &"3".parse().unwrap())
    );
    let html = post().await;
    assert_eq!(
        (html.status().as_u16(), html.headers()["content-type"].to_str().unwrap()),
        (201, "text/html")
    );
    assert!(html.text().await.unwrap().contains("<html>"));
    assert_eq!(total().await, 0);
    let garbage = post().await;
    assert_eq!(garbage.status().as_u16(), 201);
    assert!(serde_json::from_str::<Json>(&garbage.text().await.unwrap()).is_err());
    assert_eq!(total().await, 1);
    let since = Instant::now();
    assert_eq!(post().await.status().as_u16(), 201);
    assert!(since.elapsed() >= Duration::from_millis(150));
    assert_eq!(total().await, 2);

    let mut huge = client.request("GET", "/v2/keysets", None).send().await.unwrap();
    let mut read = 0;
    while let Some(chunk) = huge.chunk().await.unwrap() {
        read += chunk.len();
        if read > 5 << 20 {
            break;
        }
    }
    assert!(read > 5 << 20);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn faults_falsify_lists() {
    let (running, client) = with_faults(&[
        "GET /v2/apps#1=empty-list",
        "GET /v2/apps#2=short-list",
        "GET /v2/apps#3-4=repeat-page",
    ])
    .await;
    for name in ["a", "b", "c"] {
        client.app(name).await;
    }
    let list = async |query: &str| {
        let list = client.send("GET", &format!("/v2/apps{query}"), None).await.1;
        let names: String =
            list["apps"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
        (names, list["total"].as_u64().unwrap(), list["page"].as_u64().unwrap())
    };
    assert_eq!(list("").await, (String::new(), 0, 1));
    assert_eq!(list("").await, ("ab".to_owned(), 3, 1));
    assert_eq!(list("?limit=2").await, ("ab".to_owned(), 3, 1));
    assert_eq!(list("?limit=2&page=2").await, ("ab".to_owned(), 3, 2));
    assert_eq!(list("?limit=2&page=2").await, ("c".to_owned(), 3, 2));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_hanging_answer_hangs_until_the_stop_and_the_stop_is_quick() {
    let (running, client) = with_faults(&["GET /v2/apps=hang"]).await;
    let request = client.request("GET", "/v2/apps", None);
    let mut hanging = tokio::spawn(request.send());
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut hanging).await.is_err(),
        "it hangs"
    );
    let since = Instant::now();
    running.stop().await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(3));
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_client_that_does_not_read() {
    let (running, _) = with_faults(&["GET /v2/apps=huge"]).await;
    let mut stream = TcpStream::connect(running.addr).unwrap();
    stream.write_all(b"GET /v2/apps HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let since = Instant::now();
    running.stop().await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(4));
}

/// What comes back on the wire until the connection ends.
fn raw(running: &Running, target: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(running.addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let head = format!(
        "{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: sandbox\r\nPubNub-Version: 2026-03-23\r\n"
    );
    write!(
        stream,
        "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::parse(Zeroizing::new(text.to_owned())).unwrap()
}

fn in_days(days: i64) -> String {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
    jiff::Timestamp::from_second(at.as_second()).unwrap().to_string()
}
