//! The client for copies of secrets at GitHub, against the stand-in.

use std::time::{Duration, Instant};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyform::keyset::{MirrorTarget, Secret};
use keyform::secrets::{Github, MirrorError};
use zeroize::Zeroizing;

use crate::support::github::{StandIn, json, said, text};

const TOKEN: &str = "github_pat_of-this-test";
const SECRET: &str = "sec-c-of-this-test";

fn client(stand_in: &StandIn) -> Github {
    let token = Secret::parse(Zeroizing::new(TOKEN.to_owned())).expect("a token");
    Github::new(&stand_in.url, token).expect("a client").first_pause(Duration::from_millis(5))
}

fn with(mut response: Response, name: &'static str, value: &str) -> Response {
    response.headers_mut().insert(name, value.parse().expect("a header"));
    response
}

fn repository(name: &str) -> MirrorTarget {
    MirrorTarget { repo: "acme/chat".into(), environment: None, name: name.into() }
}

fn environment(environment: &str) -> MirrorTarget {
    MirrorTarget { environment: Some(environment.into()), ..repository("KEY") }
}

fn secret(text: &str) -> Secret {
    Secret::parse(Zeroizing::new(text.to_owned())).expect("a secret")
}

/// Nothing of an error is secret, in any form.
async fn failing(github: &Github, target: &MirrorTarget) -> MirrorError {
    let error = github.put(target, &secret(SECRET)).await.expect_err("it is refused");
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(
            !text.contains(TOKEN) && !text.contains(SECRET) && !text.contains("of-this-test"),
            "{text}"
        );
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        assert!(text.len() < 2_000, "{} bytes", text.len());
    }
    error
}

#[tokio::test]
async fn a_secret_of_a_repository_is_sealed_and_put() {
    let stand_in = StandIn::new().await;
    let github = client(&stand_in);
    github.put(&repository("KEY_A"), &secret(SECRET)).await.expect("made");
    github.put(&repository("KEY_B"), &secret("sec-c-other")).await.expect("made");
    github.put(&repository("KEY_A"), &secret("sec-c-changed")).await.expect("changed");
    assert_eq!(
        stand_in.stored("/repos/acme/chat/actions/secrets/KEY_A").as_deref(),
        Some("sec-c-changed")
    );
    assert_eq!(
        stand_in.stored("/repos/acme/chat/actions/secrets/KEY_B").as_deref(),
        Some("sec-c-other")
    );

    for (line, headers) in &stand_in.world.lock().expect("not poisoned").asked {
        let header = |name: &str| {
            headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        assert_eq!(header("authorization"), format!("Bearer {TOKEN}"), "{line}");
        assert_eq!(header("accept"), "application/vnd.github+json", "{line}");
        assert_eq!(header("x-github-api-version"), "2022-11-28", "{line}");
        assert!(header("user-agent").starts_with("keyform/"), "{line}");
    }
    let lines = stand_in.asked();
    assert_eq!(
        lines,
        [
            "GET /repos/acme/chat/actions/secrets/public-key",
            "PUT /repos/acme/chat/actions/secrets/KEY_A",
            "PUT /repos/acme/chat/actions/secrets/KEY_B",
            "PUT /repos/acme/chat/actions/secrets/KEY_A",
        ],
        "the key is asked for once"
    );
}

#[tokio::test]
async fn each_environment_has_a_key_and_a_place_of_its_own() {
    let stand_in = StandIn::new().await;
    let github = client(&stand_in);
    for target in [repository("KEY"), environment("prod/eu 100%ü?#"), environment("prod")] {
        github.put(&target, &secret(SECRET)).await.expect("made");
    }
    assert_eq!(
        stand_in.asked(),
        [
            "GET /repos/acme/chat/actions/secrets/public-key",
            "PUT /repos/acme/chat/actions/secrets/KEY",
            "GET /repos/acme/chat/environments/prod%2Feu%20100%25%C3%BC%3F%23/secrets/public-key",
            "PUT /repos/acme/chat/environments/prod%2Feu%20100%25%C3%BC%3F%23/secrets/KEY",
            "GET /repos/acme/chat/environments/prod/secrets/public-key",
            "PUT /repos/acme/chat/environments/prod/secrets/KEY",
        ]
    );
    assert_eq!(
        stand_in.stored("/repos/acme/chat/environments/prod/secrets/KEY").as_deref(),
        Some(SECRET)
    );
}

#[tokio::test]
async fn a_key_that_was_changed_is_fetched_anew_once() {
    let stand_in = StandIn::new().await;
    let github = client(&stand_in);
    github.put(&repository("A"), &secret(SECRET)).await.expect("made");
    stand_in.rotate();
    github.put(&repository("B"), &secret(SECRET)).await.expect("made with the new key");
    assert_eq!(stand_in.stored("/repos/acme/chat/actions/secrets/B").as_deref(), Some(SECRET));
    let methods = |lines: Vec<String>| {
        lines.iter().map(|line| line[..3].to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(methods(stand_in.asked()), "GET PUT PUT GET PUT");

    // Not because of the key: it is not sent again, and the first refusal is told.
    stand_in.script([said(422, "no such luck")]);
    let error = failing(&github, &repository("C")).await;
    assert!(
        error.to_string().contains("422") && error.to_string().contains("no such luck"),
        "{error}"
    );
    assert_eq!(methods(stand_in.asked()), "PUT GET");

    let github = client(&stand_in);
    stand_in.script([json(
        200,
        &serde_json::json!({"key_id": "old", "key": STANDARD.encode([1; 32])}),
    )]);
    failing(&github, &repository("D")).await;
    assert_eq!(
        methods(stand_in.asked()),
        "GET PUT",
        "a key that came just now is not asked for again"
    );
}

#[tokio::test]
async fn a_refusal_says_what_is_missing() {
    for (status, target, says) in [
        (401, repository("A"), "the token is wrong, revoked or expired"),
        (403, repository("A"), "Secrets: write"),
        (403, environment("prod"), "Environments: write"),
        (403, repository("A"), "GITHUB_TOKEN of a workflow cannot"),
        (404, repository("A"), "no such repository, or the token"),
        (404, environment("prod"), "no such repository or environment"),
    ] {
        let stand_in = StandIn::new().await;
        stand_in.script([said(status, "Resource not accessible by integration")]);
        let error = failing(&client(&stand_in), &target).await;
        let shown = error.to_string();
        assert!(shown.contains(&status.to_string()) && shown.contains("acme/chat"), "{shown}");
        assert!(shown.contains("Resource not accessible by integration"), "{shown}");
        assert_eq!(shown.contains("environment `prod`"), target.environment.is_some(), "{shown}");
        assert!(
            error.help().is_some_and(|help| help.contains(says)),
            "{error:?}: {:?}",
            error.help()
        );
        assert_eq!(stand_in.asked().len(), 1, "asked once");
    }
}

#[tokio::test]
async fn what_github_says_is_shortened_and_harmless() {
    let hostile = format!("\u{1b}]0;x\u{7}red\r\n\u{202e}{}", "long ".repeat(10_000));
    for (message, says) in [
        (hostile.as_str(), "]0;x red long long"),
        (&format!("your token {TOKEN} is bad"), "withheld"),
        (&format!("{} {TOKEN}", "x".repeat(290)), "withheld"),
        (&format!("the value {SECRET} is bad"), "withheld"),
        ("the value sec-c-of-somebody is bad", "withheld"),
    ] {
        let stand_in = StandIn::new().await;
        stand_in.script([said(403, message)]);
        let error = failing(&client(&stand_in), &repository("A")).await;
        assert!(error.to_string().contains(says), "{error}");
    }
    for body in [
        "<html>sorry</html>".to_owned(),
        String::new(),
        format!("{{\"message\": \"{}", "x".repeat(3 << 20)),
    ] {
        let stand_in = StandIn::new().await;
        stand_in.script([text(404, body)]);
        let error = failing(&client(&stand_in), &repository("A")).await;
        assert!(
            error.to_string().contains("404") && error.to_string().contains("no message"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_no_key_is_told() {
    let key = |key: &str| json(200, &serde_json::json!({"key_id": "1", "key": key}));
    let long = "x".repeat(2 << 20);
    for (answer, says) in [
        (text(200, "{}"), "`key_id` and `key`"),
        (text(200, "\u{0}"), "`key_id` and `key`"),
        (key("!"), "32 bytes"),
        (key(&STANDARD.encode([1; 31])), "32 bytes"),
        (key(&long), "larger than 1 MiB"),
    ] {
        let stand_in = StandIn::new().await;
        stand_in.script([answer]);
        let error = failing(&client(&stand_in), &repository("A")).await;
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(stand_in.asked().len(), 1, "nothing was put");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let stand_in = StandIn::new().await;
    stand_in.script([
        said(500, "oops"),
        said(502, "oops"),
        with(said(403, "secondary rate limit"), "retry-after", "1"),
    ]);
    let begun = Instant::now();
    client(&stand_in).put(&repository("A"), &secret(SECRET)).await.expect("made");
    assert!(begun.elapsed() >= Duration::from_secs(1), "as long as it was asked to wait");
    assert_eq!(stand_in.asked().len(), 5);

    stand_in.script([(); 9].map(|()| said(503, "down")));
    let error = failing(&client(&stand_in), &repository("A")).await;
    assert!(
        error.to_string().contains("503")
            && error.help().is_some_and(|help| help.contains("later")),
        "{error}"
    );
    assert_eq!(stand_in.asked().len(), 5, "not for ever");

    for answer in [
        with(said(429, "slow down"), "retry-after", "3600"),
        with(said(403, "API rate limit exceeded"), "x-ratelimit-remaining", "0"),
        with(said(503, "maintenance"), "retry-after", "3600"),
    ] {
        let stand_in = StandIn::new().await;
        let limited = answer.status() != 503;
        stand_in.script([answer]);
        let error = failing(&client(&stand_in), &repository("A")).await;
        assert_eq!(
            error.help().is_some_and(|help| help.contains("too many requests")),
            limited,
            "{error}"
        );
        assert_eq!(stand_in.asked().len(), 1, "nobody waits for an hour");
    }

    let nobody = Github::new("http://127.0.0.1:1", secret(TOKEN))
        .expect("a client")
        .first_pause(Duration::from_millis(1));
    let error = failing(&nobody, &repository("A")).await;
    assert!(matches!(error, MirrorError::NoAnswer { tries: 5, .. }), "{error:?}");
}

#[tokio::test]
async fn the_token_goes_nowhere_else() {
    let (stand_in, elsewhere) = (StandIn::new().await, StandIn::new().await);
    stand_in.script([with(said(301, "Moved Permanently"), "location", &elsewhere.url)]);
    let error = failing(&client(&stand_in), &repository("A")).await;
    assert!(error.help().is_some_and(|help| help.contains("renamed or moved")), "{error}");
    assert_eq!(elsewhere.asked(), [] as [&str; 0]);

    for url in [
        "http://api.github.com",
        "http://10.0.0.1",
        "ftp://h",
        "https://u:p@h",
        "https://h?x",
        "https://h#x",
        "",
        "api.github.com",
    ] {
        assert!(matches!(Github::new(url, secret(TOKEN)), Err(MirrorError::BadAddress)), "{url}");
    }
    for url in ["https://api.github.com", "https://github.acme.com/api/v3/", "http://localhost:1"] {
        assert!(Github::new(url, secret(TOKEN)).is_ok(), "{url}");
    }

    let github = client(&stand_in);
    stand_in.asked();
    let bad = |repo: &str, name: &str| MirrorTarget {
        repo: repo.into(),
        environment: None,
        name: name.into(),
    };
    for target in [
        bad("acme", "A"),
        bad("acme/..", "A"),
        bad("../chat", "A"),
        bad("acme/chat/x", "A"),
        bad("acme/ch?t", "A"),
        bad("acme/chat", ""),
        bad("acme/chat", "../A"),
        bad("acme/chat", "A B"),
        environment(""),
        environment(".."),
        environment("a\nb"),
    ] {
        assert!(matches!(failing(&github, &target).await, MirrorError::BadTarget(_)), "{target:?}");
    }
    assert_eq!(stand_in.asked(), [] as [&str; 0], "nothing was sent");
}

#[tokio::test]
async fn a_server_of_ones_own_has_its_api_below_a_path() {
    let stand_in = StandIn::new().await;
    let github =
        Github::new(&format!("{}/api/v3/", stand_in.url), secret(TOKEN)).expect("a client");
    github.put(&repository("A"), &secret(SECRET)).await.expect("made");
    assert_eq!(
        stand_in.stored("/api/v3/repos/acme/chat/actions/secrets/A").as_deref(),
        Some(SECRET)
    );
}
