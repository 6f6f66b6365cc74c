//! The audit log: what every change leaves, that nothing else leaves anything, and that it tells
//! when somebody changed it.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::Place;
use crate::support::place::ended;

const KEYSETS: &str = "[app.chat]\nname = \"Chat\"\n[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n\
                       [keyset.b]\napp = \"chat\"\ntype = \"testing\"\n";

fn log(place: &Place) -> PathBuf {
    place.dir().join("state/keyform.audit.jsonl")
}

fn bytes(place: &Place) -> Vec<u8> {
    std::fs::read(log(place)).unwrap_or_default()
}

fn lines(place: &Place) -> Vec<String> {
    String::from_utf8(bytes(place)).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn applied() -> Place {
    let place = Place::new();
    place.declare(KEYSETS);
    place.ends(&["apply", "--yes"], 0, "2 keysets created");
    place
}

fn records(place: &Place) -> Vec<Value> {
    let log = place.json(&["log"], 0);
    assert_eq!(log["whole"], true, "{log}");
    log["records"].as_array().expect("records").clone()
}

fn of<'a>(records: &'a [Value], event: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["event"] == event).collect()
}

fn text<'a>(record: &'a Value, member: &str) -> &'a str {
    record[member].as_str().unwrap_or_else(|| panic!("no {member} in {record}"))
}

#[test]
fn it_says_who_did_what_when_on_which_commit_and_by_which_plan() {
    let place = Place::new();
    place.declare(KEYSETS);
    let hash = place.json(&["plan"], 0)["hash"].clone();
    let mut apply = place.command(&["apply", "--yes"]);
    apply
        .env("KEYFORM_ACTOR", "ada")
        .env("GITHUB_ACTOR", "bob")
        .env("KEYFORM_COMMIT", "0123456789abcdef0123456789abcdef01234567");
    ended(&apply.output().expect("keyform runs"), 0, "2 keysets created");

    let records = records(&place);
    let runs = of(&records, "run");
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (text(runs[0], "actor"), text(runs[0], "command"), text(runs[0], "project")),
        ("ada", "apply", "acme")
    );
    assert_eq!(text(runs[0], "commit"), "0123456789abcdef0123456789abcdef01234567");
    assert_eq!(text(runs[0], "endpoint"), place.sandbox().endpoint);
    let plan = of(&records, "plan");
    assert_eq!((&plan[0]["hash"], text(plan[0], "consent")), (&hash, "yes"));
    for record in &records {
        assert!(
            text(record, "at").parse::<jiff::Timestamp>().is_ok()
                && record["run"] == runs[0]["run"],
            "{record}"
        );
    }
    // What the server was asked to change, and nothing else.
    let mut noted: Vec<String> = of(&records, "request")
        .iter()
        .map(|r| format!("{} {}", text(r, "method"), text(r, "path")))
        .collect();
    let mut asked: Vec<String> =
        place.requests().into_iter().filter(|request| !request.starts_with("GET ")).collect();
    noted.sort();
    asked.sort();
    assert_eq!(noted, asked);
    assert!(of(&records, "answer").iter().all(|answer| answer["outcome"] == "done"));
    let recorded = of(&records, "recorded");
    let a = recorded.iter().find(|record| record["label"] == "a").expect("a");
    assert_eq!((text(a, "id"), text(a, "sink")), (place.id("a").as_str(), "age"));
    assert_eq!(a["fingerprint"], place.state()["keysets"]["a"]["secret"]["fingerprint"]);
    // Neither the file nor what is shown of it has a secret.
    assert!(!crate::support::keyform::holds_secret(&bytes(&place)));
    let shown = place.ends(&["log"], 0, "plan ");
    assert!(
        shown.contains("apply  ada on ")
            && shown.contains("commit 0123456789ab")
            && shown.contains("agreed to by --yes"),
        "{shown}"
    );
}

#[test]
fn the_commit_is_that_of_the_repository_and_of_nothing_that_looks_like_one() {
    let git = |dir: &std::path::Path, args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=Ada", "-c", "user.email=ada@localhost"])
            .args(args)
            .current_dir(dir);
        let done = git.env("GIT_CONFIG_GLOBAL", "/dev/null").output().expect("git runs");
        assert!(done.status.success(), "{args:?}");
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    };
    let place = Place::new();
    place.declare(KEYSETS);
    git(place.dir(), &["init", "-q"]);
    git(place.dir(), &["commit", "-q", "--allow-empty", "-m", "one"]);
    let head = git(place.dir(), &["rev-parse", "HEAD"]);
    place.ends(&["apply", "--yes"], 0, "2 keysets created");
    assert_eq!(of(&records(&place), "run")[0]["commit"], head);

    // As a pull request may bring it: the files of a bare repository, in the project's folder.
    let place = applied();
    git(place.dir(), &["init", "-q", "--bare", "."]);
    place.write("refs/heads/master", "0123456789abcdef0123456789abcdef01234567\n");
    place.write("HEAD", "ref: refs/heads/master\n");
    place.ends(&["state", "mv", "a", "c"], 0, "");
    let records = records(&place);
    assert_eq!(of(&records, "run")[1].get("commit"), None, "{records:?}");
}

#[test]
fn what_changes_nothing_leaves_no_trace() {
    let place = applied();
    let before = bytes(&place);
    let doctor = ["secrets", "doctor", "--live"];
    for command in [
        &["apply", "--yes"][..],
        &["plan"],
        &["drift"],
        &["log"],
        &["adopt", "--all"],
        &doctor,
        &["secrets", "get", "a"],
    ] {
        assert!(place.run(command).status.success(), "{command:?}");
        assert_eq!(bytes(&place), before, "{command:?}");
    }
}

#[test]
fn every_command_that_changes_something_is_in_it() {
    let place = applied();
    place.ends(&["secrets", "rotate", "a", "--overlap", "24h"], 0, "");
    let keys = place.json(&["secrets", "keys", "a"], 0);
    let old = keys["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .find(|key| key["stored"] == false)
        .expect("the old one");
    place.ends(&["secrets", "expire", "a", text(old, "prefix"), "--now"], 0, "works no more");
    place.ends(&["state", "mv", "a", "c"], 0, "");
    place.ends(&["state", "rm", "c", "--force"], 0, "");
    let records = records(&place);
    let commands: Vec<&str> = of(&records, "run").iter().map(|run| text(run, "command")).collect();
    assert_eq!(commands, ["apply", "secrets rotate", "secrets expire", "state mv", "state rm"]);
    let requests = of(&records, "request");
    let path = |n: usize| format!("{} {}", text(requests[n], "method"), text(requests[n], "path"));
    let id = text(
        of(&records, "recorded").iter().find(|record| record["label"] == "a").expect("a"),
        "id",
    );
    assert_eq!(path(requests.len() - 2), format!("POST /v2/keysets/{id}/secret-keys"));
    assert_eq!(
        path(requests.len() - 1),
        format!("DELETE /v2/keysets/{id}/secret-keys/{}", text(old, "prefix"))
    );
    let forgotten: Vec<&str> =
        of(&records, "forgotten").iter().map(|record| text(record, "label")).collect();
    assert_eq!(forgotten, ["a", "c"]);
    // Of one keyset, under every label that it had; of the last run.
    let shown = place.ends(&["log", "c"], 0, "recorded: keyset c");
    assert!(
        shown.contains(&format!("POST /v2/keysets/{id}/secret-keys"))
            && !shown.contains("keyset b"),
        "{shown}"
    );
    let last = place.ends(&["log", "-n", "1"], 0, "forgotten: keyset c");
    assert!(!last.contains("secrets rotate") && last.contains("state rm"), "{last}");
    place.ends(&["log", "nobody"], 1, "nothing in the log is about nobody");
}

#[test]
fn what_was_refused_and_what_may_have_been_done_are_told_apart() {
    let mut place = applied();
    let id = place.id("a");
    place.declare(&KEYSETS.replacen(
        "type = \"testing\"",
        "type = \"testing\"\npresence = { enabled = true, interval = 20 }",
        1,
    ));
    place.restart(&["--fault", &format!("PATCH /v2/keysets/{id}/config=status:403")]);
    place.ends(&["apply", "--yes"], 4, "403");
    let shown = place.ends(&["log", "-n", "1"], 0, "not done");
    assert!(
        shown.contains(&format!("PATCH /v2/keysets/{id}/config")) && shown.contains("403"),
        "{shown}"
    );
    // Its answer is lost; it is found by looking, and what was noted stays as it was.
    place.restart(&["--fault", "POST /v2/keysets$#1=cut-after"]);
    place.declare(&format!("{KEYSETS}[keyset.c]\napp = \"chat\"\ntype = \"testing\"\n"));
    place.ends(&["apply", "--yes"], 0, "1 keyset created");
    let shown = place.ends(&["log", "-n", "1"], 0, "perhaps done");
    assert!(shown.contains("recorded: keyset c"), "{shown}");
}

#[test]
fn a_killed_run_leaves_what_it_was_about_to_do() {
    let place = Place::new();
    place.declare(KEYSETS);
    let mut apply = place.command(&["apply", "--yes", "--parallelism", "1"]);
    assert_eq!(
        apply
            .env("KEYFORM_FAILPOINT", "create.answered=kill")
            .status()
            .expect("keyform runs")
            .code(),
        None
    );
    let before = lines(&place);
    place.ends(&["log"], 0, "recorded: app chat");
    // A power cut may leave half a line.
    std::fs::write(log(&place), [&bytes(&place)[..], &b"{\"prev\":[\"00"[..]].concat())
        .expect("it is written");
    place.ends(&["log"], 0, "each follows from the one before");
    place.ends(&["apply", "--yes", "--settle", "0"], 0, "");
    assert_eq!(lines(&place)[..before.len()], before);
    assert_eq!(of(&records(&place), "run").len(), 2);
    place.is_settled();

    // Killed while the line is written: the request that it tells of was not sent.
    place.declare(&KEYSETS.replace("testing", "production"));
    let mut apply = place.command(&["apply", "--yes", "--parallelism", "1"]);
    let sent = place.requests().len();
    assert_eq!(
        apply.env("KEYFORM_FAILPOINT", "log.write#3=torn").status().expect("keyform runs").code(),
        None
    );
    assert!(
        place.requests()[sent..].iter().all(|request| request.starts_with("GET ")),
        "{:?}",
        place.requests()
    );
    place.ends(&["apply", "--yes"], 0, "2 keysets updated");
    assert_eq!(of(&records(&place), "run").len(), 4);
}

#[test]
fn nothing_is_sent_that_cannot_be_noted() {
    for plant in ["folder", "link"] {
        let place = Place::new();
        place.declare(KEYSETS);
        place.write("outside", "not a log\n");
        std::fs::create_dir_all(place.dir().join("state")).expect("a folder");
        if plant == "folder" {
            std::fs::create_dir(log(&place)).expect("a folder");
        } else {
            std::os::unix::fs::symlink(place.dir().join("outside"), log(&place)).expect("a link");
        }
        place.ends(&["apply", "--yes"], 1, "cannot write the log");
        assert!(
            place.requests().iter().all(|request| request.starts_with("GET ")),
            "{:?}",
            place.requests()
        );
        assert_eq!(
            std::fs::read_to_string(place.dir().join("outside")).expect("it is there"),
            "not a log\n"
        );
    }
    // The disk gets full in the middle: what was begun is told, recorded, and nothing more is
    // begun.
    let place = Place::new();
    place.declare(KEYSETS);
    let mut apply = place.command(&["apply", "--yes", "--parallelism", "1"]);
    let said = ended(
        &apply.env("KEYFORM_FAILPOINT", "log.write#6=enospc").output().expect("keyform runs"),
        4,
        "cannot write the log",
    );
    assert_eq!(said.matches("has a gap").count(), 1, "{said}");
    let posts = place.requests().iter().filter(|request| request.starts_with("POST")).count();
    assert_eq!(posts, 1, "{said}");
    // The state knows the last record that there is.
    let whole = bytes(&place);
    let noted = lines(&place);
    std::fs::write(log(&place), noted[..noted.len() - 1].join("\n") + "\n").expect("it is written");
    place.ends(&["log"], 1, "is known, and not there");
    std::fs::write(log(&place), whole).expect("it is written");
    place.ends(&["log"], 0, "each follows from the one before");
    place.ends(&["apply", "--yes"], 0, "2 keysets created");
    records(&place);
    place.is_settled();
}

#[test]
fn a_log_that_was_changed_says_so() {
    let place = applied();
    place.ends(&["secrets", "rotate", "a", "--now"], 0, "");
    let good = lines(&place);
    let head = place.json(&["log"], 0)["heads"][0].as_str().expect("a head").to_owned();
    let write = |lines: &[String]| {
        std::fs::write(log(&place), lines.join("\n") + "\n").expect("it is written")
    };
    let changed = |n: usize, line: String| [&good[..n], &[line], &good[n + 1..]].concat();
    let last = good.len() - 1;
    let cases: Vec<(&str, Vec<String>, String)> = vec![
        (
            "a word is changed",
            changed(1, good[1].replace("yes", "hash")),
            "line 3 follows a record that is not there".into(),
        ),
        ("a line is no record", changed(1, "{}".into()), "line 2 is no record".into()),
        (
            "a line is taken out",
            [&good[..3], &good[4..]].concat(),
            "line 4 follows a record that is not there".into(),
        ),
        (
            "two lines change places",
            [&good[..2], &[good[3].clone(), good[2].clone()], &good[4..]].concat(),
            "line 3 follows".into(),
        ),
        (
            "the beginning is taken out",
            good[1..].to_vec(),
            "line 1 follows a record that is not there".into(),
        ),
        (
            "the end is taken out",
            good[..last].to_vec(),
            format!("record {head} is known, and not there"),
        ),
        (
            "the last line is changed",
            changed(last, good[last].replace("\"a\"", "\"b\"")),
            format!("record {head} is known"),
        ),
        ("all is taken out", vec![], format!("record {head} is known")),
    ];
    for (what, lines, says) in cases {
        assert_ne!(lines, good, "{what}");
        write(&lines);
        let said = place.ends(&["log"], 1, &says);
        assert!(said.contains("is not as it was written"), "{what}: {said}");
        let json = place.json(&["log"], 1);
        assert_eq!((&json["whole"], &json["exit_code"]), (&false.into(), &1.into()), "{what}");
        assert!(json["flaws"].to_string().contains(&says), "{what}: {json}");
    }
    std::fs::remove_file(log(&place)).expect("it is there");
    place.ends(&["log"], 1, &format!("record {head} is known"));
    write(&good);
    place.ends(&["log"], 0, &head);
    // Somebody who can write log and state cannot bring back a head that was noted elsewhere.
    place.ends(&["log", "--has", &head], 0, "");
    let forged = place.dir().join("state/keyform.json");
    let state = std::fs::read_to_string(&forged).expect("a state");
    let state: String = state.replace(&head, &"0".repeat(64));
    std::fs::write(&forged, state).expect("it is written");
    place.ends(&["log"], 1, "record 0000");
    place.ends(&["log", "--has", "0123"], 1, "64 hexadecimal digits");
    place.ends(&["log", "--has", &"ab".repeat(32)], 1, "record abab");
}
