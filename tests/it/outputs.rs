//! What pipelines read: annotations, comments, reports. Whoever writes the TOML or names something
//! in the account may be hostile.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::support::{Place, keyform as program};

/// What would be a mention, a link, HTML, the end of a cell, code span or code block, a workflow
/// command (both kinds), a line for the file of outputs, and a terminal's escape.
const HOSTILE: &str = "@everyone [a](http://x) <img src=x> \\| | `y` ```` ::error::z ##[set-output name=changed;]no changed<<x & ]]> 50%";

fn project(more: &str) -> String {
    format!(
        "[app.chat]\nname = {}\n[keyset.dev]\napp = \"chat\"\ntype = \"testing\"\n{more}",
        toml::Value::from(HOSTILE)
    )
}

/// What is left of Markdown where something could be interpreted: no fenced blocks, no code spans.
fn outside_of_code(markdown: &str) -> String {
    let mut left = String::new();
    let mut fence: Option<String> = None;
    for line in markdown.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if ticks.len() >= open.len() && line == ticks => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => left.push_str(&(without_spans(line) + "\n")),
        }
    }
    assert!(fence.is_none(), "a block is open: {markdown}");
    left
}

/// Cells are split before code spans are seen, at bars with no backslash before them.
fn without_spans(line: &str) -> String {
    let mut cells = vec![String::new()];
    for c in line.chars() {
        let cell = cells.last_mut().expect("a cell");
        if c == '|' && !cell.ends_with('\\') { cells.push(String::new()) } else { cell.push(c) }
    }
    let spans = |cell: String| {
        let (mut left, mut rest) = (String::new(), cell.as_str());
        while let Some(start) = rest.find('`') {
            let ticks = rest[start..].chars().take_while(|c| *c == '`').count();
            let body = &rest[start + ticks..];
            let end = body
                .match_indices(&"`".repeat(ticks))
                .map(|(at, _)| at)
                .find(|at| !body[..*at].ends_with('`') && !body[at + ticks..].starts_with('`'));
            left.push_str(&rest[..start]);
            let end = end.unwrap_or_else(|| panic!("a code span is open: {line}"));
            rest = &body[end + ticks..];
        }
        left + rest
    };
    cells.into_iter().map(spans).collect::<Vec<_>>().join("|")
}

#[track_caller]
fn is_harmless(markdown: &str) {
    let left = outside_of_code(markdown);
    for word in ["@", "](", "<img", "::", "##[", "]]>", "`"] {
        assert!(!left.contains(word), "{word:?} is outside of code in:\n{left}\n\n{markdown}");
    }
    assert!(!markdown.contains('\u{1b}'));
}

fn stdout(place: &Place, args: &[&str], code: i32) -> String {
    let output = place.run(args);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(
        output.status.code(),
        Some(code),
        "{args:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        !String::from_utf8_lossy(&output.stderr).contains("##["),
        "a workflow command in the log"
    );
    text
}

/// Workflow commands as the runner reads them: nothing on stdout is anything else, and none is one
/// that we do not write.
#[track_caller]
fn are_annotations(text: &str) {
    for line in text.lines() {
        assert!(
            ["::error ", "::warning ", "::notice "].iter().any(|start| line.starts_with(start)),
            "{line}"
        );
        let (properties, _) = line[2..].split_once("::").expect("a command has a message");
        for property in properties.split_once(' ').expect("properties").1.split(',') {
            assert!(
                ["file", "line", "col", "title"].contains(&property.split('=').next().unwrap()),
                "{line}"
            );
        }
        assert!(!line.contains("##["), "{line}");
    }
}

#[test]
fn hostile_names_are_text_in_every_format() {
    let place = Place::new();
    place.declare(&project(""));
    let formats = |command: &[&str], code: i32| {
        is_harmless(&stdout(&place, &[command, &["--format", "markdown"]].concat(), code));
        are_annotations(&stdout(&place, &[command, &["--format", "github"]].concat(), code));
        assert!(!stdout(&place, command, code).contains("##["));
        let json = stdout(&place, &[command, &["--format", "json"]].concat(), code);
        assert!(!json.contains("##["));
        let json: Json = serde_json::from_str(&json).expect("JSON");
        json
    };
    let plan = formats(&["plan"], 0);
    assert_eq!(plan["actions"][0]["name"], HOSTILE, "JSON has it as it is");
    is_harmless(&stdout(&place, &["apply", "--yes", "--format", "markdown"], 0));
    is_harmless(&stdout(&place, &["show", "--format", "markdown"], 0));

    // Somebody else in the account; the sandbox, like the API, takes any text as a name.
    let escape = format!("{HOSTILE}\u{1b}[31m\n::set-output name=changed::no");
    place.sandbox().patch(&format!("/v2/keysets/{}", place.id("dev")), &json!({"name": escape}));
    let app = place.sandbox().get("/v2/apps")["apps"][0]["id"].clone();
    place.sandbox().post(
        "/v2/keysets",
        &json!({"keyset": {"appId": app, "name": format!("{escape} 2"), "type": "testing"}}),
    );
    formats(&["drift"], 2);
    formats(&["plan"], 0);
    place.declare(&project("[keyset.prod]\napp = \"chat\"\ntype = \"testing\"\npresence.activeNoticeChannel = \"`` | @x \\\\| <b>\"\n"));
    formats(&["parity", "dev", "prod"], 2);

    let xml = stdout(&place, &["drift", "--format", "junit"], 2);
    let report = quick_junit::Report::deserialize_from_str(&xml).expect("well-formed");
    let cases: BTreeMap<String, bool> = report.test_suites[0]
        .test_cases
        .iter()
        .map(|case| {
            (
                case.name.to_string(),
                matches!(case.status, quick_junit::TestCaseStatus::Success { .. }),
            )
        })
        .collect();
    assert_eq!(
        (cases["app chat"], cases["keyset dev"], cases["keyset prod"]),
        (true, false, false),
        "{xml}"
    );
    assert_eq!(cases.len(), 4, "{xml}");

    // A mistake that quotes hostile text.
    place.declare(&project(&format!("{} = 1\n", toml::Value::from(HOSTILE))));
    is_harmless(&stdout(&place, &["validate", "--format", "markdown"], 1));
    let annotations = stdout(&place, &["validate", "--format", "github"], 1);
    are_annotations(&annotations);
    assert!(annotations.contains("::error file=keyform.toml,line="), "{annotations}");
    for command in ["plan", "drift", "apply"] {
        is_harmless(&stdout(&place, &[command, "--format", "markdown"], 1));
        are_annotations(&stdout(&place, &[command, "--format", "github"], 1));
        assert!(!stdout(&place, &[command], 1).contains("##["));
    }
}

/// The file as the runner reads it.
fn read_outputs(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).expect("it is there");
    let mut lines = text.lines();
    let mut outputs = BTreeMap::new();
    while let Some(line) = lines.next() {
        let (name, mark) = line.split_once("<<").unwrap_or_else(|| panic!("{line} in {text}"));
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != mark).collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
    outputs
}

#[test]
fn a_step_of_a_workflow_hands_on_what_it_found() {
    let place = Place::new();
    place.declare(&project(""));
    let (out, page) = (place.dir().join("out"), place.dir().join("page"));
    let run = |args: &[&str], code: i32| {
        let _ = std::fs::remove_file(&out);
        let output = place
            .command(&[args, &["--format", "github"]].concat())
            .env("GITHUB_OUTPUT", &out)
            .env("GITHUB_STEP_SUMMARY", &page)
            .output();
        let output = output.expect("keyform runs");
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        are_annotations(&String::from_utf8_lossy(&output.stdout));
        let outputs = read_outputs(&out);
        assert_eq!(outputs["exit_code"], code.to_string());
        outputs
    };
    let plan = run(&["plan"], 0);
    assert_eq!(
        (plan["create_apps"].as_str(), plan["create"].as_str(), plan["changed"].as_str()),
        ("1", "1", "true")
    );
    let apply = run(&["apply", "--yes"], 0);
    assert_eq!(
        (apply["done"].as_str(), apply["failed"].as_str(), apply["changed"].as_str()),
        ("2", "0", "true")
    );
    assert_eq!(run(&["apply", "--yes"], 0)["changed"], "false");
    assert_eq!(run(&["plan"], 0)["changed"], "false");
    assert_eq!(run(&["drift"], 0)["differences"], "0");
    place.sandbox().patch(&format!("/v2/keysets/{}", place.id("dev")), &json!({"name": "renamed"}));
    assert_eq!(run(&["drift"], 2)["differences"], "1");
    // The message of an error is somebody's text on several lines.
    place.declare(&project("[parity]\n"));
    let error = run(&["drift"], 1);
    assert!(error["error"].contains("the configuration has 1 error"), "{error:?}");
    assert!(!error.contains_key("changed"), "nothing is known: {error:?}");
    let validate = run(&["validate"], 1);
    assert_eq!((validate["errors"].as_str(), validate["warnings"].as_str()), ("1", "0"));
    let page = std::fs::read_to_string(&page).expect("a page");
    is_harmless(&page);
    assert!(
        page.starts_with("**Plan: 1 app and 1 keyset to create, 0 unchanged.**\n")
            && page.contains("**Applied: "),
        "{page}"
    );

    // A file that cannot be written is no success.
    let output = place.command(&["show", "--format", "json"]).output().expect("keyform runs");
    assert_eq!(output.status.code(), Some(1), "the project still has its mistake");
    place.declare(&project(""));
    let output = place
        .command(&["plan", "--format", "github"])
        .env("GITHUB_OUTPUT", place.dir())
        .output()
        .expect("keyform runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("the file of GITHUB_OUTPUT could not be written")
    );
}

#[test]
fn annotations_name_files_as_the_repository_does() {
    let place = Place::new();
    place.declare("");
    let toml = std::fs::read_to_string(place.dir().join("keyform.toml")).expect("a project");
    place.write("infra/pub nub/keyform.toml", &format!("{toml}[project2]\n"));
    let repository = place.dir().display().to_string();
    let from = |dir: &Path, args: &[&str], variables: &[(&str, &str)]| {
        let mut command = program::command(args, dir, None);
        let output = command.envs(variables.iter().copied()).output().expect("keyform runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let inside = place.dir().join("infra/pub nub");
    let github = "::error file=infra/pub nub/keyform.toml,line=";
    assert!(
        from(place.dir(), &["-C", "infra/pub nub", "validate", "--format", "github"], &[])
            .starts_with(github)
    );
    assert!(
        from(&inside, &["validate", "--format", "github"], &[("GITHUB_WORKSPACE", &repository)])
            .starts_with(github)
    );
    let quality =
        from(&inside, &["validate", "--format", "gitlab"], &[("CI_PROJECT_DIR", &repository)]);
    assert!(quality.contains("\"path\": \"infra/pub nub/keyform.toml\""), "{quality}");
    assert!(
        from(&inside, &["validate", "--format", "sarif"], &[("GITHUB_WORKSPACE", &repository)])
            .contains("infra/pub%20nub/keyform.toml")
    );
    // JSON stays with the project: who reads it knows where that is.
    assert!(
        from(&inside, &["validate", "--format", "json"], &[("GITHUB_WORKSPACE", &repository)])
            .contains("\"path\": \"keyform.toml\"")
    );
}

#[test]
fn ten_thousand_keysets_fit_a_comment() {
    let place = Place::new();
    let keysets: String = (0..10_000).map(|n| format!("[keyset.tenant-{n:05}]\napp = \"chat\"\ntype = \"testing\"\nfiles = {{ enabled = true, retention = 7, region = \"us-east-1\" }}\n")).collect();
    place.declare(&format!("[limits]\ncreate = 50\n[app.chat]\nname = \"Chat\"\n{keysets}"));
    let comment = stdout(&place, &["plan", "--refresh=none", "--format", "markdown"], 3);
    assert!(comment.chars().count() <= 65_536 && comment.len() <= 65_536, "{}", comment.len());
    assert!(comment.len() > 55_000, "the room is used: {}", comment.len());
    let shown = comment.matches("+ keyset tenant-").count();
    let more = format!("*{} more not shown: a comment has no room for all of it.*", 10_000 - shown);
    assert!(shown > 300 && comment.contains(&more), "{shown} shown, and no {more:?}");
    // The refusal is the first of it, although it is the last on a terminal.
    assert!(comment.find("### Refused").unwrap() < comment.find("### Keysets to create").unwrap());
    is_harmless(&comment);
    let annotations = stdout(&place, &["plan", "--refresh=none", "--format", "github"], 3);
    assert_eq!(annotations.lines().count(), 2, "{annotations}");

    let drift = stdout(&place, &["drift", "--format", "markdown"], 2);
    assert!(drift.len() <= 65_536 && drift.contains(" more not shown: "), "{}", drift.len());
    let rows = drift.lines().filter(|line| line.starts_with("| `")).count();
    assert!(drift.contains(&format!("*{} more not shown", 10_001 - rows)), "{rows}");
    let annotations = stdout(&place, &["drift", "--format", "github"], 2);
    assert!(
        annotations.contains("9951 more annotations not shown")
            && annotations.lines().count() == 52,
        "{}",
        annotations.lines().count()
    );
}

#[test]
fn a_format_that_a_command_does_not_have_is_told_with_those_it_has() {
    let place = Place::new();
    place.declare(&project(""));
    for (args, has) in [
        (
            &["plan", "--format", "junit"][..],
            "human, json, markdown, github, gitlab, terraform-json",
        ),
        (&["apply", "--yes", "--format", "gitlab"], "human, json, jsonl, markdown, github"),
        (&["drift", "--format", "terraform-json"], "human, json, markdown, github, sarif, junit"),
        (&["drift", "--accept", "dev", "--format", "sarif"], "human, json"),
        (&["validate", "--format", "dotenv"], "human, json, markdown, github, gitlab, sarif"),
        (&["secrets", "list", "--format", "markdown"], "human, json"),
    ] {
        let text = place.ends(args, 1, &format!("help: it has {has}\n"));
        assert!(
            text.contains("does not have the format `") && text.contains("nothing was done"),
            "{text}"
        );
    }
    assert!(!place.dir().join("state").exists(), "nothing was done");
    // A report of these kinds that does not know would look like good news.
    place.write("keyform.toml", "[project]\n");
    for (command, format) in
        [("plan", "gitlab"), ("plan", "terraform-json"), ("drift", "sarif"), ("drift", "junit")]
    {
        assert_eq!(stdout(&place, &[command, "--format", format], 1), "", "{command} {format}");
    }
}

/// What people and annotations are told of an apply that went wrong.
#[test]
fn an_apply_in_part_is_told_where_it_failed() {
    let mut place = Place::new();
    place.declare(
        "[app.chat]\nname = \"Chat\"\n[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n[keyset.b]\napp = \"chat\"\ntype = \"testing\"\n",
    );
    place.restart(&["--fault", "POST /v2/keysets#1=status:400"]);
    let markdown =
        stdout(&place, &["apply", "--yes", "--parallelism", "1", "--format", "markdown"], 4);
    assert!(
        markdown.starts_with("**Applied in part: 1 app created, 1 keyset created"),
        "{markdown}"
    );
    assert!(
        markdown.find("### To look at").unwrap() < markdown.find("### Done").unwrap(),
        "{markdown}"
    );
    is_harmless(&markdown);
    place.restart(&["--fault", "POST /v2/keysets$=status:400"]);
    let github = stdout(&place, &["apply", "--yes", "--format", "github"], 4);
    are_annotations(&github);
    assert!(
        github.contains("::error title=apply%3A a::")
            || github.contains("::error title=apply%3A b::"),
        "{github}"
    );
}

/// Whatever a command is asked for, it prints something or says that it does not have that format.
/// Nothing on stdout and exit code 0 would be an empty report that looks like good news.
#[test]
fn every_command_has_every_format_or_refuses_it() {
    let place = Place::new();
    place.declare(&project(""));
    place.ends(&["apply", "--yes"], 0, "");
    let commands: &[&[&str]] = &[
        &["validate"],
        &["plan"],
        &["apply", "--yes"],
        &["drift"],
        &["drift", "--accept", "dev"],
        &["parity", "dev", "dev"],
        &["show"],
        &["env", "dev", "--publish", "A", "--subscribe", "B"],
        &["log"],
        &["state", "list"],
        &["state", "show", "dev"],
        &["secrets", "list"],
        &["secrets", "doctor"],
    ];
    let formats = [
        "human",
        "json",
        "jsonl",
        "markdown",
        "github",
        "gitlab",
        "sarif",
        "junit",
        "terraform-json",
        "dotenv",
        "shell",
    ];
    for command in commands {
        for format in formats {
            let output = place.run(&[command, &["--format", format][..]].concat());
            let stderr = String::from_utf8_lossy(&output.stderr);
            let refused =
                output.status.code() == Some(1) && stderr.contains("does not have the format");
            let printed = !output.stdout.is_empty();
            assert!(
                printed || refused || !output.status.success(),
                "{command:?} as {format}: {stderr}"
            );
        }
    }
}
