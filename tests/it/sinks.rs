//! The example adapters of `examples/sinks`, as keyform drives them: each through every operation,
//! what is hostile, what is broken, and what is missing. `pass` and `gh` are the real programs;
//! README.md there says what stands in for the rest.

mod desk;
mod servers;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use serde_json::json;

use desk::{Answer, Desk, OTHER, SECRET, installed, putting, request, sinks, stand_in};
use servers::{GitHub, Server, Vault};

const ADAPTERS: [&str; 4] = ["1password", "github-environment", "pass", "vault"];

fn vault(server: &Server) -> Desk {
    let desk = Desk::new("vault", &["--mount", "kv"], &[]);
    desk.env("VAULT_ADDR", &server.address)
        .env("VAULT_TOKEN", Vault::TOKEN)
        .env("VAULT_NAMESPACE", "team")
}

fn one_password() -> Desk {
    Desk::new("1password", &["--vault", "Keys"], &[&stand_in("op")])
        .env("OP_SERVICE_ACCOUNT_TOKEN", "ops_test")
}

/// The real `gh`. It speaks HTTP to one host only, `github.localhost`, and to that through the
/// proxy which the stand-in pretends to be.
fn github(server: &Server) -> Desk {
    Desk::new(
        "github-environment",
        &["--repo", "acme/chat", "--env", "prod"],
        &[&installed("gh", "gh")],
    )
    .env("GH_HOST", "github.localhost")
    .env("GH_TOKEN", GitHub::TOKEN)
    .env("http_proxy", &server.address)
}

/// An initialised password store with a key of its own, which needs no passphrase.
struct PasswordStore(Desk);

impl PasswordStore {
    fn new() -> PasswordStore {
        let tools = [installed("pass", "pass"), installed("gpg", "gnupg")];
        let store = PasswordStore(Desk::new("pass", &[], &[&tools[0], &tools[1]]));
        let gnupg = store.0.folder.path().join(".gnupg");
        assert!(
            Command::new("mkdir").args(["-m", "700"]).arg(gnupg).status().expect("mkdir").success()
        );
        store.run(
            "gpg",
            &[
                "--batch",
                "--quiet",
                "--passphrase",
                "",
                "--quick-gen-key",
                "keyform-test",
                "future-default",
                "default",
                "never",
            ],
        );
        store.run("pass", &["init", "keyform-test"]);
        store
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let done =
            self.0.command(program).args(args).stdin(Stdio::null()).output().expect("it runs");
        assert!(
            done.status.success(),
            "{program} {args:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).expect("UTF-8")
    }
}

impl Drop for PasswordStore {
    fn drop(&mut self) {
        // The agent that gpg has started for this store.
        let _ = self.0.command("gpgconf").args(["--kill", "all"]).stdin(Stdio::null()).output();
    }
}

/// What every sink does that can read back what it wrote.
fn keeps_secrets(desk: &Desk) {
    let ok = || json!({"ok": true});
    desk.ask("probe", "chat-prod").is(json!({"ok": true, "readable": true, "persistent": true}));
    desk.ask("get", "chat-prod").is_not_found();

    desk.put("chat-prod", SECRET).is(ok());
    desk.put("chat-prod", SECRET).is(ok());
    desk.ask("get", "chat-prod").is(json!({"ok": true, "secret": SECRET}));
    desk.put("chat-prod", OTHER).is(ok());
    desk.ask("get", "chat-prod").is(json!({"ok": true, "secret": OTHER}));
    desk.ask("get", "chat").is_not_found();

    // Of the same label: another project, the sandbox, a canary. And the one item that has no
    // label.
    let mut elsewhere = Vec::new();
    for (field, value) in
        [("project", "other"), ("namespace", "sandbox"), ("item", "canary"), ("item", "escrow-key")]
    {
        let mut put = putting("chat-prod", &format!("{SECRET}-{value}"));
        put[field] = json!(value);
        if value == "escrow-key" {
            put.as_object_mut().expect("an object").remove("label");
        }
        let ask = |op: &str| {
            let mut request = put.clone();
            request["op"] = json!(op);
            desk.send(request.to_string().as_bytes())
        };
        ask("get").is_not_found();
        ask("put").is(ok());
        elsewhere.push((put.clone(), ask("get")));
    }
    for (put, got) in elsewhere {
        got.is(json!({"ok": true, "secret": put["secret"]}));
    }
    desk.ask("get", "chat-prod").is(json!({"ok": true, "secret": OTHER}));

    // Any text comes back as it went in.
    let odd = format!("{SECRET}\n\"\\ $HOME `id` %s é\u{1f511}\n\n");
    desk.put("a.b_C-1", &odd).is(ok());
    desk.ask("get", "a.b_C-1").is(json!({"ok": true, "secret": odd}));

    desk.ask("delete", "chat-prod").is(ok());
    desk.ask("delete", "chat-prod").is_not_found();
    desk.ask("get", "chat-prod").is_not_found();
    desk.ask("get", "a.b_C-1").is(json!({"ok": true, "secret": odd}));
}

#[test]
fn pass_keeps_secrets() {
    let store = PasswordStore::new();
    keeps_secrets(&store.0);
    assert!(store.0.record().contains("argument: insert"), "the record has what was run");
    store.0.put("chat-prod", SECRET).is(json!({"ok": true}));
    assert_eq!(store.run("pass", &["show", "keyform/acme-chat/account/keyset/chat-prod"]), SECRET);
}

#[test]
fn pass_says_what_is_wrong_with_the_store() {
    let store = PasswordStore::new();
    store.0.put("chat-prod", SECRET).is(json!({"ok": true}));
    // A folder of an entry's name: `pass show` of it succeeds and shows a tree.
    store.run("pass", &["generate", "keyform/acme-chat/account/keyset/folder/entry"]);
    store.0.ask("get", "folder").is_not_found();
    store.0.ask("delete", "folder").is_not_found();

    std::fs::remove_dir_all(store.0.folder.path().join(".gnupg/private-keys-v1.d"))
        .expect("the private key is gone");
    store.run("gpgconf", &["--kill", "all"]);
    store.0.ask("get", "chat-prod").fails("No secret key");

    std::fs::remove_dir_all(store.0.folder.path().join(".password-store"))
        .expect("the store is gone");
    store.0.put("chat-prod", SECRET).fails("pass init");
    store.0.ask("get", "chat-prod").is_not_found();
}

#[test]
fn vault_keeps_secrets() {
    let server = Vault::default();
    let running = server.start();
    let desk = vault(&running);
    keeps_secrets(&desk);
    desk.put("chat-prod", SECRET).is(json!({"ok": true}));
    let entries = server.entries.lock().expect("a lock");
    let entry = &entries["keyform/acme-chat/account/keyset/chat-prod"];
    assert_eq!(
        *entry,
        json!({"secret": SECRET, "keyset_id": "1002", "publish_key": "pub-c-1", "subscribe_key": "sub-c-1"})
    );
}

#[test]
fn vault_says_what_is_wrong_with_the_server() {
    let server = Vault::default();
    let running = server.start();
    let probe = |args: &[&str], address: &str, token: &str| {
        let desk = Desk::new("vault", args, &[]);
        desk.env("VAULT_ADDR", address)
            .env("VAULT_TOKEN", token)
            .env("VAULT_NAMESPACE", "team")
            .ask("probe", "chat-prod")
    };
    let kv = ["--mount", "kv"];
    let address = &*running.address;
    probe(&kv, address, Vault::TOKEN).is(json!({"ok": true, "readable": true, "persistent": true}));
    probe(&["--mount", "old"], address, Vault::TOKEN).fails("not a KV engine of version 2");
    probe(&[], address, Vault::TOKEN).fails("--mount");
    let refused = probe(&kv, address, "hvs.wrong-token");
    refused.fails("VAULT_TOKEN has expired, or its policy lacks");
    assert!(!refused.json.to_string().contains("hvs.wrong-token"));
    probe(&kv, address, "hvs.two\nlines").fails("line end");
    probe(&kv, address, "").fails("VAULT_TOKEN is not set");
    probe(&kv, "", Vault::TOKEN).fails("VAULT_ADDR is not set");
    probe(&kv, "http://vault.example.com:8200", Vault::TOKEN)
        .fails("neither https nor http on loopback");
    probe(&kv, "http://127.0.0.1.example.com", Vault::TOKEN)
        .fails("neither https nor http on loopback");
    probe(&kv, "http://localhost@vault.example.com", Vault::TOKEN).fails("not an address");
    for address in [
        "vault.example.com",
        "file:///etc",
        "https://[::1",
        "https://vault.example.com:port",
        "https://vault/?x=1",
    ] {
        probe(&kv, address, Vault::TOKEN).fails("VAULT_ADDR");
    }
    // Nobody listens there; and one who does speaks no TLS.
    probe(&kv, "http://127.0.0.1:9", Vault::TOKEN).fails("could not be reached");
    probe(&kv, &address.replace("http:", "https:"), Vault::TOKEN).fails("could not be reached");
    probe(&["--mount", "kv/moved/.."], address, Vault::TOKEN).fails("secrets.exec.command");

    // An entry that is there, and was not made by this adapter.
    server
        .entries
        .lock()
        .expect("a lock")
        .insert("keyform/acme-chat/account/keyset/chat-prod".into(), json!({"password": SECRET}));
    vault(&running).ask("get", "chat-prod").fails("has no field `secret`");

    *server.sealed.lock().expect("a lock") = true;
    for answer in ["probe", "get", "delete"].map(|op| vault(&running).ask(op, "chat-prod")) {
        answer.fails("sealed");
    }
    vault(&running).put("chat-prod", SECRET).fails("sealed");
}

#[test]
fn vault_follows_no_redirect() {
    let server = Vault::default();
    let running = server.start();
    let desk = Desk::new("vault", &["--mount", "kv"], &[])
        .env("VAULT_TOKEN", Vault::TOKEN)
        .env("VAULT_NAMESPACE", "team");
    let moved = servers::redirecting(&running.address);
    let desk = desk.env("VAULT_ADDR", &moved.address);
    for answer in [
        desk.ask("probe", "chat-prod"),
        desk.put("chat-prod", SECRET),
        desk.ask("get", "chat-prod"),
    ] {
        answer.fails("redirects");
    }
    assert!(server.entries.lock().expect("a lock").is_empty());
}

#[test]
fn one_password_keeps_secrets() {
    let desk = one_password();
    keeps_secrets(&desk);
    assert!(desk.record().contains("argument: create"), "the record has what was run");
}

#[test]
fn one_password_keeps_what_a_person_added() {
    let desk = one_password();
    desk.put("chat-prod", SECRET).is(json!({"ok": true}));
    let file = desk.folder.path().join("bin/real/op.json");
    let read = || {
        serde_json::from_str::<serde_json::Value>(
            &std::fs::read_to_string(&file).expect("readable"),
        )
        .expect("JSON")
    };
    let mut items = read();
    assert_eq!(items["item0"]["title"], "keyform acme-chat account keyset chat-prod");
    let note = json!({"id": "x1", "type": "STRING", "label": "owner", "value": "the chat team"});
    items["item0"]["fields"].as_array_mut().expect("fields").push(note.clone());
    std::fs::write(&file, items.to_string()).expect("written");
    desk.put("chat-prod", OTHER).is(json!({"ok": true}));
    desk.ask("get", "chat-prod").is(json!({"ok": true, "secret": OTHER}));
    let fields = read()["item0"]["fields"].clone();
    assert!(fields.as_array().expect("fields").contains(&note), "{fields}");
    assert_eq!(fields.to_string().matches("pub-c-1").count(), 1, "{fields}");

    // Two items of one title: neither is the right one.
    let mut items = read();
    items["copy"] = items["item0"].clone();
    items["copy"]["id"] = json!("copy");
    std::fs::write(&file, items.to_string()).expect("written");
    for answer in [
        desk.ask("get", "chat-prod"),
        desk.put("chat-prod", SECRET),
        desk.ask("delete", "chat-prod"),
    ] {
        answer.fails("2 items");
    }
}

#[test]
fn one_password_says_what_is_wrong() {
    one_password()
        .env("OP_SERVICE_ACCOUNT_TOKEN", "")
        .ask("probe", "chat-prod")
        .fails("not currently signed in");
    let desk = Desk::new("1password", &["--vault", "Keyz"], &[&stand_in("op")])
        .env("OP_SERVICE_ACCOUNT_TOKEN", "ops_test");
    desk.ask("probe", "chat-prod").fails("isn't a vault");
    Desk::new("1password", &[], &[&stand_in("op")]).ask("probe", "chat-prod").fails("--vault");
}

#[test]
fn github_takes_secrets_and_shows_none() {
    let server = GitHub::default();
    let running = server.start();
    let desk = github(&running);
    let stored = |name: &str| server.secrets.lock().expect("a lock").get(name).cloned();
    desk.ask("probe", "chat-prod")
        .is(json!({"ok": true, "readable": false, "persistent": true, "exists": true}));

    desk.ask("exists", "chat-prod").is_not_found();
    for secret in [SECRET, SECRET, OTHER] {
        desk.put("chat-prod", secret).is(json!({"ok": true}));
        assert_eq!(stored("PUBNUB_ACME_CHAT__CHAT_PROD").as_deref(), Some(secret));
    }
    desk.ask("exists", "chat-prod").is(json!({"ok": true}));
    desk.ask("get", "chat-prod").fails("shows no secret again");
    desk.ask("get", "never-put").fails("shows no secret again");
    assert!(desk.record().contains("argument: set"), "the record has what was run");

    let mut escrow = putting("chat-prod", SECRET);
    escrow["item"] = json!("escrow-key");
    desk.send(escrow.to_string().as_bytes()).fails("must be readable");

    desk.ask("delete", "chat-prod").is(json!({"ok": true}));
    assert_eq!(stored("PUBNUB_ACME_CHAT__CHAT_PROD"), None);
    desk.ask("delete", "chat-prod").is_not_found();
}

#[test]
fn github_has_a_name_of_its_own_for_every_label() {
    let server = GitHub::default();
    let running = server.start();
    let desk = github(&running);
    let alike = ["a-b", "a_b", "a.b", "A-b", "a--b", "a-b-"];
    for label in alike {
        desk.put(label, SECRET).is(json!({"ok": true}));
    }
    for (field, value) in [("namespace", "sandbox"), ("item", "canary"), ("project", "acme_chat")] {
        let mut put = putting("a-b", SECRET);
        put[field] = json!(value);
        desk.send(put.to_string().as_bytes()).is(json!({"ok": true}));
    }
    let secrets = server.secrets.lock().expect("a lock");
    assert_eq!(secrets.len(), alike.len() + 3, "{:?}", secrets.keys());
    let allowed = |name: &str| {
        name.starts_with("PUBNUB_")
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    assert!(secrets.keys().all(|name| allowed(name)), "{:?}", secrets.keys());
}

#[test]
fn github_says_what_is_wrong() {
    let server = GitHub::default();
    let running = server.start();
    github(&running).env("GH_TOKEN", "ghp_wrong").put("chat-prod", SECRET).fails("401");
    let ask = |args: &[&str]| {
        let desk = Desk::new("github-environment", args, &[&installed("gh", "gh")])
            .env("GH_HOST", "github.localhost");
        desk.env("GH_TOKEN", GitHub::TOKEN)
            .env("http_proxy", &running.address)
            .ask("probe", "chat-prod")
    };
    ask(&["--repo", "acme/chat", "--env", "prod"])
        .is(json!({"ok": true, "readable": false, "persistent": true, "exists": true}));
    ask(&["--repo", "acme/chat", "--env", "production"]).fails("have the environment production");
    ask(&["--repo", "acme/chat/x/y", "--env", "prod"]).fails("OWNER/REPOSITORY");
    ask(&["--repo", "acme/chat", "--env", "prod", "--prefix", "github_"]).fails("--prefix");
    ask(&["--repo", "acme/chat"]).fails("--env");
}

/// Every adapter, in working order.
fn all(check: impl Fn(&Desk)) {
    let (vaults, hub) = (Vault::default(), GitHub::default());
    let (vaults, hub) = (vaults.start(), hub.start());
    let store = PasswordStore::new();
    for desk in [&vault(&vaults), &one_password(), &github(&hub), &store.0] {
        check(desk);
    }
}

#[test]
fn a_name_that_could_lead_elsewhere_goes_nowhere() {
    let long = "x".repeat(129);
    let hostile = [
        "..", "../x", "a/b", "/etc", "-rf", "--force", "", " a", "a b", "a\nb", "a\n", "a\0",
        ".hidden", "é", "$HOME", &long,
    ];
    let hostile =
        hostile.iter().map(|text| json!(text)).chain([json!(null), json!(7), json!(["a"])]);
    let mut requests: Vec<_> =
        hostile.map(|value| ("label", value, putting("chat-prod", SECRET))).collect();
    requests.extend(
        ["..", "a/b", "-rf"].map(|text| ("project", json!(text), putting("chat-prod", SECRET))),
    );
    requests.extend(["get", "delete"].map(|op| ("label", json!("../x"), request(op, "chat-prod"))));
    all(|desk| {
        let before = desk.record();
        for (field, value, request) in &requests {
            let mut request = request.clone();
            request[field] = value.clone();
            desk.send(request.to_string().as_bytes()).fails(field);
        }
        assert_eq!(desk.record(), before, "no program was started");
    });
}

#[test]
fn what_is_no_request_is_refused() {
    let mut half_a_pair = putting("chat-prod", "x").to_string();
    half_a_pair = half_a_pair.replace("\"x\"", "\"\\ud800\"");
    let mut broken: Vec<Vec<u8>> = ["", "{", "null", "[]", "7", "{} {}", &half_a_pair]
        .map(|text| text.as_bytes().to_vec())
        .into();
    broken.push(b"\xff\xfe{}".to_vec());
    broken.push("[".repeat(100_000).into());
    broken.push(vec![b' '; 3 << 20]);
    for (field, value) in [
        ("keyform_sink", json!(2)),
        ("keyform_sink", json!(null)),
        ("op", json!("list")),
        ("op", json!({})),
        ("namespace", json!("staging")),
        ("item", json!("../keyset")),
        ("secret", json!("")),
        ("secret", json!(["x"])),
    ] {
        let mut request = putting("chat-prod", SECRET);
        request[field] = value;
        broken.push(request.to_string().into());
    }
    all(|desk| {
        let before = desk.record();
        for stdin in &broken {
            desk.send(stdin).fails("");
        }
        assert_eq!(desk.record(), before, "no program was started");
    });
}

#[test]
fn a_missing_tool_is_named() {
    for (adapter, args, tool) in [
        ("pass", &[][..], "pass"),
        ("1password", &["--vault", "Keys"], "op"),
        ("github-environment", &["--repo", "acme/chat", "--env", "prod"], "gh"),
    ] {
        let desk = Desk::new(adapter, args, &[]).bare();
        for answer in [desk.ask("probe", "chat-prod"), desk.put("chat-prod", SECRET)] {
            answer.fails(&format!("the program `{tool}` is not on the PATH"));
        }
    }
}

#[test]
fn a_tool_that_quotes_the_secret_is_not_quoted() {
    for (adapter, args, tool) in [
        ("pass", &[][..], installed("pass", "pass")),
        ("github-environment", &["--repo", "acme/chat", "--env", "prod"], installed("gh", "gh")),
    ] {
        let desk = Desk::new(adapter, args, &[&tool])
            .with_blurting(tool.file_name().and_then(|name| name.to_str()).expect("a name"));
        desk.put("chat-prod", SECRET).fails("cannot take this: / [withheld]");
        desk.put("chat-prod", &format!("{SECRET}\n{OTHER}")).fails("[withheld]");
    }
}

#[test]
fn the_folder_works_where_it_is_copied_to() {
    let server = Vault::default();
    let running = server.start();
    let desk = vault(&running).copied();
    desk.put("chat-prod", SECRET).is(json!({"ok": true}));
    desk.ask("get", "chat-prod").is(json!({"ok": true, "secret": SECRET}));
    let (store, github) =
        (Desk::new("pass", &[], &[]).copied(), Desk::new("github-environment", &[], &[]).copied());
    let answers: [Answer; 3] = [
        one_password().copied().ask("probe", "x"),
        store.ask("get", "x"),
        github.ask("probe", "x"),
    ];
    assert_eq!(answers.map(|answer| answer.code), [Some(0), Some(3), Some(1)]);
}

#[test]
fn every_adapter_is_tried_compiles_and_is_documented() {
    use std::os::unix::fs::PermissionsExt;
    let readme = std::fs::read_to_string(sinks().join("README.md")).expect("there is a README");
    let mut there = BTreeSet::new();
    for entry in std::fs::read_dir(sinks()).expect("the folder is readable") {
        let path = entry.expect("the entry is readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        if name == "README.md" || name == "__pycache__" {
            continue;
        }
        // As `py_compile` does, without leaving a file; warnings, such as of a wrong escape, are
        // errors.
        let compile = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')";
        let done = Command::new(installed("python3", "python3"))
            .args(["-W", "error", "-c", compile])
            .arg(&path)
            .output()
            .expect("it runs");
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
        if name == "keyform_sink.py" {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let doc = text.split("\"\"\"").nth(1).expect("a docstring");
        assert!(
            doc.contains("[secrets.exec]") && doc.contains(&format!("\"./sinks/{name}\"")),
            "{name} says how it is configured"
        );
        assert!(
            path.metadata().expect("a file").permissions().mode() & 0o111 == 0o111,
            "{name} is executable"
        );
        assert!(readme.contains(&format!("[{name}]({name})")), "{name} is in the README");
        there.insert(name);
    }
    assert_eq!(there, ADAPTERS.map(str::to_owned).into());
}
