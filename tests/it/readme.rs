//! The README tells the truth: its generated parts are generated, its transcripts are real, its
//! commands exist. `UPDATE_GOLDEN=1 cargo test --test it readme` writes them.

use std::path::{Path, PathBuf};

use crate::support::keyform as program;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

fn readme() -> String {
    std::fs::read_to_string(path()).expect("there is a README")
}

/// Compares, or writes, what stands between `<!-- NAME -->` and `<!-- /NAME -->`. Written all at
/// once: one file.
fn blocks() -> Vec<(&'static str, String)> {
    vec![
        ("fields", keyform::keyset::describe::reference_markdown()),
        ("grammar", keyform::config::grammar_markdown()),
        ("codes", codes()),
        ("steps", steps()),
        ("exits", crate::exits::table()),
        (
            "try",
            fenced(&story(
                "first-apply",
                &[
                    "keyform plan --sandbox",
                    "keyform apply",
                    "keyform secrets list",
                    "keyform plan --sandbox --det",
                ],
            )),
        ),
        (
            "saved",
            fenced(&story(
                "saved-plan",
                &["keyform plan --sandbox --out", "keyform apply --sandbox plan.json --par"],
            )),
        ),
        ("log", fenced(&story("log", &["keyform log --sandbox --runs 1 |"]))),
        ("mistake", fenced(&first_mistakes())),
        (
            "annotations",
            fenced(&story("pipelines", &["keyform -C mistakes validate --format github"])),
        ),
        ("lines", fenced(&story("pipelines", &["keyform apply"]))),
    ]
}

#[test]
fn the_generated_parts_are_as_generated() {
    let mut text = readme();
    for (name, content) in blocks() {
        let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
        let start = text.find(&open).unwrap_or_else(|| panic!("no {open}")) + open.len();
        let end = text.find(&close).unwrap_or_else(|| panic!("no {close}"));
        text.replace_range(start..end, &format!("\n{}\n", content.trim()));
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path(), &text).expect("the README is written");
    }
    let diff =
        similar::TextDiff::from_lines(readme().as_str(), text.as_str()).unified_diff().to_string();
    assert!(diff.is_empty(), "the README is behind:\n{diff}");
}

const COMMANDS: [&str; 35] = [
    "log",
    "state merge",
    "completions",
    "man",
    "",
    "init",
    "validate",
    "plan",
    "apply",
    "adopt",
    "drift",
    "parity",
    "show",
    "state",
    "state list",
    "state show",
    "state mv",
    "state rm",
    "env",
    "run",
    "secrets",
    "secrets list",
    "secrets get",
    "secrets doctor",
    "secrets recover",
    "secrets import",
    "secrets rotate",
    "secrets keys",
    "secrets expire",
    "secrets mirror",
    "secrets copy",
    "login",
    "logout",
    "sandbox",
    "schema",
];

#[test]
fn every_command_and_flag_is_documented() {
    let text = readme();
    for command in COMMANDS {
        let args: Vec<&str> =
            command.split(' ').chain(["--help"]).filter(|a| !a.is_empty()).collect();
        let done = keyform_command(&args);
        for word in done.split_whitespace() {
            // `--flag[=<VALUE>]` is `--flag`.
            let flag = word
                .split('[')
                .next()
                .unwrap_or(word)
                .trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            if flag.starts_with("--")
                && !["--help", "--version", "--dir", "--verbose", "--quiet"].contains(&flag)
            {
                assert!(text.contains(flag), "`{command}` has {flag}, and the README does not");
            }
        }
        assert!(text.contains(command));
    }
}

fn keyform_command(args: &[&str]) -> String {
    let done = program::command(args, Path::new("."), None).output().expect("keyform runs");
    assert!(done.status.success());
    String::from_utf8(done.stdout).expect("UTF-8")
}

/// The steps of the protocol, from the list that the crash tests go through.
fn steps() -> String {
    let rows = keyform::protocol::POINTS
        .iter()
        .map(|(_, row)| format!("| `{}` | {} | {} |", row.name, row.what, row.then));
    std::iter::once("| step | a crash when | the next run |\n| --- | --- | --- |".to_owned())
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

fn codes() -> String {
    let rows = keyform::config::CODES
        .iter()
        .map(|c| format!("| {} | {} | {} |", c.code, c.title, c.explanation.replace('|', "\\|")));
    std::iter::once("| code | what | when |\n| --- | --- | --- |".to_owned())
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The commands of a story's transcript that begin with one of `wanted`, with all they print; each
/// once.
fn story(name: &str, wanted: &[&str]) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).join("transcript");
    let text = std::fs::read_to_string(path).expect("there is a transcript");
    let mut parts: Vec<&str> = Vec::new();
    for want in wanted {
        let start = text.find(&format!("$ {want}")).unwrap_or_else(|| panic!("no {want}"));
        let part =
            text[start..].split("\n\n$ ").next().unwrap_or("").split("\n\n# ").next().unwrap_or("");
        parts.push(part.trim_end());
    }
    // The apply shows the plan again: once is enough for a reader. What goes to stderr is marked in
    // transcripts.
    let shown: Vec<String> = parts
        .iter()
        .map(|part| match part.split_once("unchanged.\nApplied") {
            Some((plan, rest)) if part.starts_with("$ keyform apply") => {
                let command = plan.lines().next().unwrap_or("").replace(" --parallelism 1", "");
                let (applied, steps) = rest.split_once('\n').unwrap_or((rest, ""));
                format!("{command}\n...\n{}\nApplied{applied}", steps.replace("! ", ""))
            }
            _ => part.replace(" --parallelism 1", ""),
        })
        .collect();
    shown.join("\n\n")
}

fn first_mistakes() -> String {
    let text = story("configuration-mistakes", &["keyform validate"]);
    let lines: Vec<&str> =
        text.lines().map(|l| l.strip_prefix("! ").or(l.strip_prefix('!')).unwrap_or(l)).collect();
    let second = lines
        .iter()
        .enumerate()
        .filter(|(_, l)| l.starts_with("error["))
        .nth(3)
        .map_or(lines.len(), |(n, _)| n);
    format!("{}\n...", lines[..second].join("\n").trim_end())
}

fn fenced(text: &str) -> String {
    format!("```text\n{text}\n```")
}
