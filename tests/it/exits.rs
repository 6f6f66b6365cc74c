//! Every exit code of every command, each reached by the binary. The table in the README is made of
//! this one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::github::StandIn;
use crate::support::keyform as program;
use crate::support::{Keyring, Place};

/// A command, what it ends with, and a way to get there: what is done before, then its arguments.
type Row = (&'static str, i32, fn(&mut World) -> Command);

const TWO: &str = "[app.chat]\nname = \"Chat\"\n[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n\
                   [keyset.b]\napp = \"chat\"\ntype = \"testing\"\n";

struct World {
    place: Place,
    /// Held while another run is to be at work.
    lock: Option<File>,
    keyring: Option<Keyring>,
    /// Stdin, and signals to be sent once the sandbox was asked for this.
    stdin: String,
    interrupt: Option<&'static str>,
    /// Keeps connections open and says nothing.
    silent: Option<std::net::TcpListener>,
    github: Option<StandIn>,
}

impl World {
    fn new() -> World {
        let place = Place::new();
        place.declare(TWO);
        World {
            place,
            lock: None,
            keyring: None,
            stdin: String::new(),
            interrupt: None,
            silent: None,
            github: None,
        }
    }
    fn apply(&mut self) -> &mut World {
        self.place.ends(&["apply", "--yes"], 0, "2 keysets created");
        self
    }
    fn run(&mut self, args: &[&str]) -> Command {
        self.place.command(args)
    }
    /// Without what opens the secrets.
    fn blind(&mut self, args: &[&str]) -> Command {
        let mut command = self.run(args);
        command.env_remove("KEYFORM_AGE_IDENTITY");
        command
    }
    fn broken(&mut self, args: &[&str]) -> Command {
        self.place.declare("[keyset.a]\napp = 1\n");
        self.run(args)
    }
    /// The key is not taken.
    fn unknown(&mut self, args: &[&str]) -> Command {
        self.place.restart(&["--fault", "GET /=status:401"]);
        self.run(args)
    }
    fn locked(&mut self, args: &[&str]) -> Command {
        std::fs::create_dir_all(self.place.dir().join("state")).expect("a folder");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.place.dir().join("state/keyform.lock"));
        let file = file.expect("a lock");
        file.lock().expect("nobody has it");
        self.lock = Some(file);
        self.run(args)
    }
    fn keyset(&mut self, more: &str) -> &mut World {
        self.place.declare(&TWO.replacen(
            "type = \"testing\"",
            &format!("type = \"testing\"\n{more}"),
            1,
        ));
        self
    }
    /// A keyring that is not there.
    fn without_sink(&mut self) -> &mut World {
        let toml = self.place.toml().replace("sinks = [\"age\"]", "sinks = [\"keyring\"]");
        self.place.write("keyform.toml", &toml);
        self
    }
    fn with_keyring(&mut self, args: &[&str]) -> Command {
        let keyring = self.keyring.get_or_insert_with(Keyring::start);
        let env = keyring.env();
        let mut command = self.run(args);
        command.envs(env).env_remove("PUBNUB_API_KEY");
        command
    }
    /// A create that ended before its answer was stored; its answer is sealed in the journal.
    fn sealed(&mut self) -> &mut World {
        let mut apply = self.run(&["apply", "--yes", "--parallelism", "1"]);
        let ended =
            apply.env("KEYFORM_FAILPOINT", "create.sealed=kill").output().expect("keyform runs");
        assert_eq!(ended.status.code(), None);
        self
    }
    fn prefix(&mut self, stored: bool) -> String {
        let keys = self.place.json(&["secrets", "keys", "a"], 0);
        let keys = keys["keys"].as_array().expect("keys").clone();
        keys.iter().find(|key| key["stored"] == stored).expect("such a key")["prefix"]
            .as_str()
            .expect("a prefix")
            .to_owned()
    }
    fn mirrored(&mut self) -> &mut World {
        let toml = format!(
            "{}[[secrets.mirror.github]]\nrepo = \"acme/chat\"\nname = \"K_{{label}}\"\n",
            self.place.toml()
        );
        self.place.write("keyform.toml", &toml);
        self
    }
    fn github(&mut self, args: &[&str]) -> Command {
        let url = self.github.get_or_insert_with(StandIn::start).url.clone();
        let mut command = self.run(args);
        command.env("GITHUB_API_URL", url).env("KEYFORM_GITHUB_TOKEN", "github_pat_of-this-test");
        command
    }
}

const ROWS: &[Row] = &[
    ("init", 0, |w| {
        std::fs::remove_file(w.place.dir().join("keyform.toml")).expect("it is there");
        w.run(&["init"])
    }),
    ("init", 1, |w| w.run(&["init"])),
    ("validate", 0, |w| w.run(&["validate"])),
    ("validate", 1, |w| w.broken(&["validate"])),
    ("plan", 0, |w| w.run(&["plan"])),
    ("plan", 1, |w| w.broken(&["plan"])),
    ("plan", 1, |w| w.unknown(&["plan"])),
    ("plan", 2, |w| w.run(&["plan", "--detailed-exitcode"])),
    ("plan", 3, |w| w.run(&["plan", "--limit", "create=1"])),
    ("plan", 3, |w| w.run(&["plan", "--detailed-exitcode", "--limit", "create=1"])),
    ("apply", 0, |w| w.run(&["apply", "--yes"])),
    ("apply", 1, |w| w.broken(&["apply", "--yes"])),
    ("apply", 1, |w| w.run(&["apply", "--approve", "0123"])),
    ("apply", 1, |w| w.run(&["apply", "no-plan.json"])),
    ("apply", 3, |w| w.run(&["apply"])),
    ("apply", 3, |w| w.run(&["apply", "--yes", "--limit", "create=1"])),
    ("apply", 3, |w| {
        let hash = "0".repeat(64);
        w.run(&["apply", "--approve", &hash])
    }),
    ("apply", 4, |w| {
        w.place.restart(&["--fault", "POST /v2/keysets$#2=status:403"]);
        w.run(&["apply", "--yes", "--parallelism", "1"])
    }),
    ("apply", 5, |w| w.without_sink().run(&["apply", "--yes"])),
    ("apply", 6, |w| w.locked(&["apply", "--yes"])),
    ("apply", 130, |w| {
        w.place.restart(&["--fault", "POST /v2/keysets$#1=delay:1500"]);
        w.interrupt = Some("POST /v2/keysets");
        w.run(&["apply", "--yes", "--parallelism", "1"])
    }),
    ("adopt", 0, |w| w.apply().run(&["adopt", "--all"])),
    ("adopt", 1, |w| w.run(&["adopt", "--id", "999"])),
    ("adopt", 1, |w| w.unknown(&["adopt", "--all"])),
    ("adopt", 3, |w| {
        let id = w.apply().place.id("a");
        w.run(&["adopt", "--id", &id])
    }),
    ("adopt", 6, |w| w.locked(&["adopt", "--all"])),
    ("drift", 0, |w| w.apply().run(&["drift"])),
    ("drift", 1, |w| w.apply().unknown(&["drift"])),
    ("drift", 2, |w| w.run(&["drift"])),
    ("drift", 3, |w| {
        // What is to be written stands in a profile, where others would get it too.
        let shared = "[profile.p]\npresence = { enabled = true, interval = 10 }\n";
        let keysets = TWO.replace("type = \"testing\"", "type = \"testing\"\nprofiles = [\"p\"]");
        w.place.declare(&format!("{shared}{keysets}"));
        w.place.ends(&["apply", "--yes"], 0, "2 keysets created");
        let id = w.place.id("a");
        w.place.sandbox().patch(&format!("/v2/keysets/{id}"), &json!({"type": "production"}));
        w.place.sandbox().patch(
            &format!("/v2/keysets/{id}/config"),
            &json!({"files": {"enabled": true, "region": "us-east-1", "retention": 7}}),
        );
        let text = w
            .place
            .toml()
            .replace("type = \"testing\"", "type = \"testing\"\nfiles.enabled = false");
        w.place.write("keyform.toml", &text);
        w.run(&["drift", "--accept", "a.files.enabled"])
    }),
    ("parity", 0, |w| w.run(&["parity", "a", "b", "--refresh=none"])),
    ("parity", 1, |w| w.run(&["parity", "a", "nobody", "--refresh=none"])),
    ("parity", 2, |w| {
        w.keyset("presence = { enabled = true, interval = 10 }").run(&[
            "parity",
            "a",
            "b",
            "--refresh=none",
        ])
    }),
    ("show", 0, |w| w.run(&["show"])),
    ("show", 1, |w| w.run(&["show", "nobody"])),
    ("log", 0, |w| w.run(&["log"])),
    ("log", 1, |w| {
        w.apply();
        w.place.write("state/keyform.audit.jsonl", "");
        w.run(&["log"])
    }),
    ("state list", 0, |w| w.run(&["state", "list"])),
    ("state list", 1, |w| w.broken(&["state", "list"])),
    ("state show", 0, |w| w.apply().run(&["state", "show", "a"])),
    ("state show", 1, |w| w.run(&["state", "show", "a"])),
    ("state mv", 0, |w| w.apply().run(&["state", "mv", "a", "c"])),
    ("state mv", 1, |w| w.run(&["state", "mv", "a", "c"])),
    ("state mv", 3, |w| w.apply().run(&["state", "mv", "a", "b"])),
    ("state mv", 5, |w| w.apply().blind(&["state", "mv", "a", "c"])),
    ("state mv", 6, |w| w.locked(&["state", "mv", "a", "c"])),
    ("state rm", 0, |w| w.apply().run(&["state", "rm", "a", "--force"])),
    ("state rm", 1, |w| w.run(&["state", "rm", "a"])),
    ("state rm", 3, |w| w.apply().run(&["state", "rm", "a"])),
    ("state rm", 6, |w| w.locked(&["state", "rm", "a"])),
    ("state merge", 0, |w| {
        w.apply();
        std::fs::copy(w.place.dir().join("state/keyform.json"), w.place.dir().join("ours"))
            .expect("copied");
        w.run(&["state", "merge", "ours", "ours", "state/keyform.json"])
    }),
    ("state merge", 1, |w| w.run(&["state", "merge", "a", "b", "c"])),
    ("env", 0, |w| w.apply().run(&["env", "a"])),
    ("env", 1, |w| w.run(&["env", "a"])),
    ("env", 5, |w| w.apply().blind(&["env", "a", "--secret"])),
    ("run", 0, |w| w.apply().run(&["run", "a", "--", "true"])),
    ("run", 1, |w| w.run(&["run", "a", "--", "true"])),
    ("run", 5, |w| w.apply().blind(&["run", "a", "--secret", "--", "true"])),
    ("secrets list", 0, |w| w.run(&["secrets", "list"])),
    ("secrets list", 1, |w| w.broken(&["secrets", "list"])),
    ("secrets get", 0, |w| w.apply().run(&["secrets", "get", "a"])),
    ("secrets get", 1, |w| w.run(&["secrets", "get", "a"])),
    ("secrets get", 5, |w| w.apply().blind(&["secrets", "get", "a"])),
    ("secrets doctor", 0, |w| w.apply().run(&["secrets", "doctor"])),
    ("secrets doctor", 1, |w| w.broken(&["secrets", "doctor"])),
    ("secrets doctor", 4, |w| {
        w.apply();
        std::fs::remove_file(w.place.dir().join("secrets/a.age")).expect("it is there");
        w.run(&["secrets", "doctor"])
    }),
    ("secrets doctor", 5, |w| w.sealed().without_sink().run(&["secrets", "doctor"])),
    ("secrets doctor", 6, |w| w.locked(&["secrets", "doctor"])),
    ("secrets recover", 0, |w| w.sealed().run(&["secrets", "recover"])),
    ("secrets recover", 1, |w| w.broken(&["secrets", "recover"])),
    ("secrets recover", 4, |w| w.sealed().blind(&["secrets", "recover"])),
    ("secrets recover", 5, |w| w.sealed().without_sink().run(&["secrets", "recover"])),
    ("secrets recover", 6, |w| w.locked(&["secrets", "recover"])),
    ("secrets import", 0, |w| {
        w.stdin = w.apply().place.secret("a");
        w.run(&["secrets", "import", "a"])
    }),
    ("secrets import", 1, |w| w.run(&["secrets", "import", "a"])),
    ("secrets import", 3, |w| {
        w.stdin = w.apply().place.secret("b");
        w.run(&["secrets", "import", "a"])
    }),
    ("secrets import", 5, |w| {
        w.stdin = w.apply().place.secret("a");
        w.without_sink().run(&["secrets", "import", "a"])
    }),
    ("secrets import", 6, |w| {
        w.stdin = "sec-c-of-nobody".to_owned();
        w.locked(&["secrets", "import", "a"])
    }),
    ("secrets rotate", 0, |w| w.apply().run(&["secrets", "rotate", "a", "--now"])),
    ("secrets rotate", 1, |w| w.run(&["secrets", "rotate", "a", "--now"])),
    ("secrets rotate", 3, |w| {
        w.apply().keyset("freeze = \"until Monday\"").run(&["secrets", "rotate", "a", "--now"])
    }),
    ("secrets rotate", 4, |w| {
        w.apply();
        w.place.restart(&["--fault", "POST /v2/keysets/=status:403"]);
        w.run(&["secrets", "rotate", "a", "--now"])
    }),
    ("secrets rotate", 5, |w| w.apply().without_sink().run(&["secrets", "rotate", "a", "--now"])),
    ("secrets rotate", 6, |w| w.locked(&["secrets", "rotate", "a", "--now"])),
    ("secrets rotate", 130, |w| {
        w.apply();
        w.place.restart(&["--fault", "POST /v2/keysets/#1=delay:1500"]);
        w.interrupt = Some("POST /v2/keysets/");
        w.run(&["secrets", "rotate", "--all", "--now"])
    }),
    ("secrets keys", 0, |w| w.apply().run(&["secrets", "keys", "a"])),
    ("secrets keys", 1, |w| w.run(&["secrets", "keys", "a"])),
    ("secrets expire", 0, |w| {
        w.apply().place.ends(&["secrets", "rotate", "a", "--overlap", "1h"], 0, "");
        let old = w.prefix(false);
        w.run(&["secrets", "expire", "a", &old, "--now"])
    }),
    ("secrets expire", 1, |w| w.apply().run(&["secrets", "expire", "a", "sec-c-abcde", "--now"])),
    ("secrets expire", 3, |w| {
        let now = w.apply().prefix(true);
        w.run(&["secrets", "expire", "a", &now, "--now"])
    }),
    ("secrets expire", 6, |w| w.locked(&["secrets", "expire", "a", "sec-c-abcde", "--now"])),
    ("secrets mirror", 0, |w| w.apply().mirrored().github(&["secrets", "mirror"])),
    ("secrets mirror", 1, |w| w.apply().mirrored().run(&["secrets", "mirror"])),
    ("secrets mirror", 4, |w| {
        w.apply().mirrored();
        std::fs::remove_file(w.place.dir().join("secrets/a.age")).expect("it is there");
        w.github(&["secrets", "mirror"])
    }),
    ("secrets mirror", 6, |w| w.locked(&["secrets", "mirror"])),
    ("secrets mirror", 130, |w| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        w.silent = Some(listener);
        w.interrupt = Some("");
        let mut command = w.apply().mirrored().github(&["secrets", "mirror"]);
        command.env("GITHUB_API_URL", url);
        command
    }),
    ("secrets copy", 0, |w| w.apply().run(&["secrets", "copy", "--to", "age"])),
    ("secrets copy", 1, |w| w.run(&["secrets", "copy", "--to", "nowhere"])),
    ("secrets copy", 4, |w| {
        w.apply();
        crate::support::program::write(w.place.dir());
        w.place.write(
            "keyform.toml",
            &w.place
                .toml()
                .replace("[app.chat]", "[secrets.exec]\ncommand = [\"./program\"]\n[app.chat]"),
        );
        w.place.write(
            "keyform.toml",
            &w.place.toml().replace("sinks = [\"age\"]", "sinks = [\"age\", \"exec\"]"),
        );
        std::fs::remove_file(w.place.dir().join("secrets/a.age")).expect("it is there");
        w.run(&["secrets", "copy", "--to", "exec"])
    }),
    ("secrets copy", 5, |w| w.apply().run(&["secrets", "copy", "--to", "keyring"])),
    ("secrets copy", 6, |w| w.locked(&["secrets", "copy", "--to", "age"])),
    ("login", 0, |w| {
        w.stdin = crate::support::sandbox::API_KEY.to_owned();
        w.with_keyring(&["login"])
    }),
    ("login", 1, |w| w.with_keyring(&["login"])),
    ("login", 5, |w| {
        w.stdin = crate::support::sandbox::API_KEY.to_owned();
        w.run(&["login"])
    }),
    ("logout", 0, |w| w.with_keyring(&["logout"])),
    ("logout", 1, |w| w.run(&["logout", "--sandbox"])),
    ("logout", 5, |w| w.run(&["logout"])),
    ("sandbox", 0, |w| {
        w.interrupt = Some("");
        w.run(&["sandbox"])
    }),
    ("sandbox", 1, |w| {
        let port = w.place.sandbox().endpoint.rsplit(':').next().expect("a port").to_owned();
        w.run(&["sandbox", "--port", &port])
    }),
    ("schema", 0, |w| w.run(&["schema"])),
    ("schema", 1, |w| w.run(&["schema", "--of", "nothing"])),
    ("completions", 0, |w| w.run(&["completions", "bash"])),
    ("completions", 1, |w| w.run(&["completions", "cmd"])),
    ("man", 0, |w| w.run(&["man"])),
    ("man", 1, |w| w.run(&["man", "--out", "keyform.toml"])),
];

/// What prints something else than a document of its own.
const NO_DOCUMENT: &[&str] = &[
    "sandbox",
    "schema",
    "completions",
    "man",
    "run",
    "login",
    "logout",
    "init",
    "secrets get",
    "secrets mirror",
];

fn play(command: &str, code: i32, how: fn(&mut World) -> Command) -> Result<(), String> {
    let mut world = World::new();
    let mut keyform = how(&mut world);
    // `run` hands what follows `--` to the program.
    if command != "run" {
        keyform.args(["--format", "json"]);
    }
    let asked = world.place.requests().len();
    let mut child = keyform
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keyform runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // Who does not read is told so by its exit code.
    let _ = std::io::Write::write_all(&mut stdin, world.stdin.as_bytes());
    drop(stdin);
    if let Some(request) = world.interrupt {
        let begun = Instant::now();
        while !world.place.requests()[asked..].iter().any(|line| line.starts_with(request))
            && !request.is_empty()
        {
            assert!(begun.elapsed() < Duration::from_secs(20), "{command} asks for {request}");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(500));
        let killed = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(killed.success(), "{command} has ended already");
    }
    let output = child.wait_with_output().expect("it ends");
    judge(command, code, &output)
}

fn judge(command: &str, code: i32, output: &Output) -> Result<(), String> {
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let wrong = |what: &str| {
        Err(format!("{command}, {code}: {what} ({:?})\n{stdout}{stderr}", output.status))
    };
    // What has nothing to finish ends by the signal itself, which shells tell as this code too.
    let ended = output.status.code().or(output.status.signal().map(|signal| 128 + signal));
    if ended != Some(code) {
        return wrong("another exit code");
    }
    if command != "secrets get"
        && program::holds_secret(&[&output.stdout[..], &output.stderr[..]].concat())
    {
        return wrong("a secret is shown");
    }
    if code == 0 && NO_DOCUMENT.contains(&command)
        || command == "run"
        || stdout.is_empty() && code == 130
    {
        return Ok(());
    }
    match serde_json::from_str::<Value>(&stdout) {
        Ok(document) if code == 0 && matches!(command, "env" | "state show") => {
            if document.is_object() { Ok(()) } else { wrong("no object") }
        }
        Ok(document) if document["kind"] == "error" && stderr.is_empty() => {
            wrong("people are told nothing")
        }
        Ok(document) if document["exit_code"] == code && document["kind"].is_string() => Ok(()),
        Ok(_) => wrong("another exit_code"),
        Err(error) => wrong(&format!("no document: {error}")),
    }
}

#[test]
fn every_row_is_reached() {
    // Most of the time they wait.
    let played = |rows: &[Row]| -> Vec<String> {
        rows.iter().filter_map(|(command, code, how)| play(command, *code, *how).err()).collect()
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = ROWS
            .chunks(ROWS.len().div_ceil(4))
            .map(|rows| scope.spawn(move || played(rows)))
            .collect();
        running.into_iter().flat_map(|thread| thread.join().expect("every row is played")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Commands and sub-commands, as the program lists them.
fn commands() -> BTreeSet<String> {
    let listed = |args: &[&str]| -> Vec<String> {
        let help = program::command(&[args, &["--help"]].concat(), Path::new("."), None)
            .output()
            .expect("keyform runs");
        let help = String::from_utf8(help.stdout).expect("UTF-8");
        let Some((_, rest)) = help.split_once("\nCommands:\n") else { return Vec::new() };
        let names = rest
            .lines()
            .take_while(|line| line.starts_with("  "))
            .filter(|line| !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next());
        names.filter(|name| *name != "help").map(str::to_owned).collect()
    };
    let mut all = BTreeSet::new();
    for name in listed(&[]) {
        let below = listed(&[&name]);
        match below.is_empty() {
            true => _ = all.insert(name),
            false => all.extend(below.iter().map(|sub| format!("{name} {sub}"))),
        }
    }
    all
}

#[test]
fn every_command_has_its_rows() {
    let told: BTreeSet<String> = ROWS.iter().map(|(command, ..)| (*command).to_owned()).collect();
    assert_eq!(told, commands());
    for command in &told {
        for code in [0, 1] {
            assert!(
                ROWS.iter().any(|(name, found, _)| name == command && *found == code),
                "{command} has no row for {code}"
            );
        }
    }
    let codes: BTreeSet<i32> = ROWS.iter().map(|(_, code, _)| *code).collect();
    assert_eq!(codes, MEANINGS.iter().map(|(code, _)| *code).collect());
}

const MEANINGS: [(i32, &str); 8] = [
    (0, "done; for `plan --detailed-exitcode`: no difference"),
    (1, "error: arguments, configuration, network, API, I/O"),
    (2, "differences found (`plan` with `--detailed-exitcode`)"),
    (
        3,
        "refused: immutable change, missing consent, budget, `freeze`, what looks like the wrong account, a saved plan that does not fit any more, or what would lose something",
    ),
    (
        4,
        "done in part: some steps failed, or something needs to be looked at; everything done is recorded",
    ),
    (
        5,
        "no usable sink for secrets, or it does not give back what is asked for; nothing was created",
    ),
    (6, "locked by another run"),
    (130, "interrupted; everything done is recorded"),
];

/// For the README.
pub fn table() -> String {
    let mut by_code: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
    for (command, code, _) in ROWS {
        let commands = by_code.entry(*code).or_default();
        if !commands.contains(command) {
            commands.push(command);
        }
    }
    let rows = MEANINGS.iter().map(|(code, meaning)| {
        let of = match code {
            0 | 1 => "all".to_owned(),
            _ => by_code[code]
                .iter()
                .map(|command| format!("`{command}`"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        format!("| {code} | {meaning} | {of} |")
    });
    std::iter::once("| code | meaning | commands |\n| --- | --- | --- |".to_owned())
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}
