//! Notifications: what a webhook is told, when, and that a webhook that fails changes nothing.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::Place;
use crate::support::place::ended;
use crate::support::serve::{Served, serve};

/// A webhook: answers with these codes one after the other, then with 200.
struct Hook {
    url: String,
    world: Arc<Mutex<(Vec<u16>, Vec<Value>)>>,
    #[expect(dead_code, reason = "held: it ends when it is gone")]
    served: Served,
}

impl Hook {
    fn start(codes: &[u16]) -> Hook {
        let world: Arc<Mutex<(Vec<u16>, Vec<Value>)>> =
            Arc::new(Mutex::new((codes.to_vec(), Vec::new())));
        let shared = world.clone();
        let served = serve(axum::Router::new().fallback(move |body: axum::body::Bytes| {
            let world = shared.clone();
            async move {
                let mut world = world.lock().expect("not poisoned");
                world.1.push(serde_json::from_slice(&body).expect("JSON"));
                let code = if world.0.is_empty() { 200 } else { world.0.remove(0) };
                axum::http::StatusCode::from_u16(code).expect("a status")
            }
        }));
        Hook { url: format!("{}/services/secret-part", served.url), world, served }
    }
    fn told(&self) -> Vec<Value> {
        self.world.lock().expect("not poisoned").1.clone()
    }
}

fn project(notify: &str) -> Place {
    let place = Place::new();
    place.declare(&format!("[notify]\n{notify}\n{}", keysets(10)));
    place
}

fn keysets(interval: u32) -> String {
    format!(
        "[app.chat]\nname = \"Chat\"\n[keyset.a]\napp = \"chat\"\ntype = \"testing\"\nname = '<!channel> `x` *b* @team'\n\
         presence = {{ enabled = true, interval = {interval} }}\n"
    )
}

fn run(place: &Place, hook: &str, args: &[&str], code: i32, says: &str) -> String {
    let mut command = place.command(args);
    command.env("HOOK", hook).env("KEYFORM_ACTOR", "ada").env("KEYFORM_COMMIT", "9f3c2d61b7a84e50");
    command.env("KEYFORM_RUN_URL", "https://ci.example.test/runs/7");
    let said = ended(&command.output().expect("keyform runs"), code, says);
    // Who knows the address can post.
    assert!(!said.contains("secret-part"), "{said}");
    said
}

#[test]
fn what_was_done_and_what_was_found_is_told_once() {
    let (hook, place) = (Hook::start(&[]), project("url = \"env:HOOK\""));
    run(&place, &hook.url, &["plan"], 0, "");
    run(&place, &hook.url, &["validate"], 0, "");
    assert_eq!(hook.told(), [] as [Value; 0]);
    run(&place, &hook.url, &["apply", "--yes"], 0, "1 keyset created");
    let told = hook.told();
    assert_eq!(told.len(), 1, "{told:?}");
    let members: Vec<&str> =
        told[0].as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(
        members,
        [
            "actor",
            "at",
            "commit",
            "entries",
            "event",
            "exit_code",
            "format_version",
            "host",
            "kind",
            "left_out",
            "project",
            "run",
            "summary"
        ]
    );
    let text =
        |member: &str| told[0][member].as_str().unwrap_or_else(|| panic!("no {member}")).to_owned();
    assert_eq!(
        (text("event"), text("project"), text("actor"), text("commit")),
        ("apply".into(), "acme".into(), "ada".into(), "9f3c2d61b7a84e50".into())
    );
    assert_eq!(
        (text("summary").as_str(), text("run").as_str()),
        (
            "Applied: 1 app created, 1 keyset created, 1 secret stored.",
            "https://ci.example.test/runs/7"
        )
    );
    assert!(told[0]["entries"].as_array().is_some_and(|entries| entries.len() == 2), "{told:?}");
    assert!(!crate::support::keyform::holds_secret(told[0].to_string().as_bytes()));
    // Nothing is done, and nothing is found: nothing is told.
    run(&place, &hook.url, &["apply", "--yes"], 0, "Nothing to do");
    run(&place, &hook.url, &["drift"], 0, "No drift");
    assert_eq!(hook.told().len(), 1);

    let id = place.id("a");
    place.sandbox().patch(
        &format!("/v2/keysets/{id}/config"),
        &serde_json::json!({"presence": {"interval": 30}}),
    );
    run(&place, &hook.url, &["drift", "--format", "json"], 2, "");
    let told = hook.told();
    assert_eq!(
        (told.len(), &told[1]["event"], &told[1]["exit_code"]),
        (2, &"drift".into(), &2.into())
    );
    assert_eq!(
        told[1]["entries"],
        serde_json::json!([
            "keyset a: presence.interval: declared 10, the account has 30 (changed in the account)"
        ])
    );
    // Taking it over is no finding.
    run(&place, &hook.url, &["drift", "--accept", "a"], 0, "1 value accepted");
    assert_eq!(hook.told().len(), 2);
}

#[test]
fn slack_gets_text_in_which_nothing_of_others_means_anything() {
    let (hook, place) =
        (Hook::start(&[]), project("url = \"env:HOOK\"\nform = \"slack\"\non = [\"drift\"]"));
    run(&place, &hook.url, &["apply", "--yes"], 0, "1 keyset created");
    assert_eq!(hook.told(), [] as [Value; 0], "only of drift");
    let id = place.id("a");
    place.sandbox().patch(
        &format!("/v2/keysets/{id}"),
        &serde_json::json!({"name": "<!here> `y` <https://x.test|z>"}),
    );
    run(&place, &hook.url, &["drift"], 2, "");
    let told = hook.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].as_object().expect("an object").keys().collect::<Vec<_>>(), ["text"]);
    let text = told[0]["text"].as_str().expect("a text");
    assert!(text.starts_with("*keyform drift* of `acme`: 1 difference."), "{text}");
    assert!(
        text.contains("&lt;!here&gt; 'y' &lt;https://x.test|z&gt;")
            && text.contains("<https://ci.example.test/runs/7|the run>"),
        "{text}"
    );
    assert_eq!(text.matches('<').count(), 1, "{text}");
}

#[test]
fn a_webhook_that_fails_changes_nothing_but_a_line_on_stderr() {
    // It is tried again where that may help.
    let (hook, place) = (Hook::start(&[503, 429]), project("url = \"env:HOOK\""));
    let said = run(&place, &hook.url, &["apply", "--yes"], 0, "1 keyset created");
    assert!(hook.told().len() == 3 && !said.contains("no notification"), "{said}");

    place.declare(&format!("[notify]\nurl = \"env:HOOK\"\n{}", keysets(20)));
    let id = place.id("a");
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}/services/secret-part", listener.local_addr().expect("an address"))
    };
    let refuses = Hook::start(&[400, 400, 400, 400]);
    let moved = Hook::start(&[302, 302]);
    let hooks: [(&str, &str); 6] = [
        (&gone, "no notification was sent (HOOK): "),
        (&refuses.url, "the webhook answers 400"),
        (&moved.url, "the webhook answers 302"),
        ("not-an-address-of-secret-part", "it is not an address"),
        ("http://hooks.example.test/secret-part", "it is not an address"),
        ("", "it is not set"),
    ];
    for (n, (url, says)) in hooks.into_iter().enumerate() {
        place.sandbox().patch(
            &format!("/v2/keysets/{id}/config"),
            &serde_json::json!({"presence": {"interval": 30 + n}}),
        );
        let before = place.json(&["plan"], 0);
        run(&place, url, &["drift"], 2, says);
        assert_eq!(place.json(&["plan"], 0), before);
        run(&place, url, &["apply", "--yes"], 0, says);
    }
    // What cannot be read as JSON by whoever asked for it is no document.
    place.sandbox().patch(
        &format!("/v2/keysets/{id}/config"),
        &serde_json::json!({"presence": {"interval": 99}}),
    );
    assert_eq!(place.json(&["drift"], 2)["kind"], "drift");
}

#[test]
fn the_sandbox_of_a_project_tells_nobody() {
    let (hook, place) = (Hook::start(&[]), project("url = \"env:HOOK\""));
    run(&place, &hook.url, &["apply", "--yes", "--sandbox"], 0, "1 keyset created");
    assert_eq!(hook.told(), [] as [Value; 0]);
}
