//! Two branches of a repository, each with an apply of its own, become one: git calls `keyform
//! state merge`.

use std::process::Command;

use crate::support::Place;

const HEAD: &str = "[app.chat]\nname = \"Chat\"\n";

fn keyset(label: &str) -> String {
    format!("[keyset.{label}]\napp = \"chat\"\ntype = \"testing\"\n")
}

fn git(place: &Place, args: &[&str]) -> (bool, String) {
    let mut command = Command::new("git");
    command
        .args([
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@localhost",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args);
    command
        .current_dir(place.dir())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    let done = command.output().expect("git runs");
    (
        done.status.success(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        ),
    )
}

#[track_caller]
fn git_does(place: &Place, args: &[&str]) {
    let (good, text) = git(place, args);
    assert!(good, "git {args:?}: {text}");
}

/// One keyset is applied and committed; git has the driver.
fn repository() -> Place {
    let place = Place::new();
    place.declare(&format!("{HEAD}include_here\n").replace("include_here\n", ""));
    place.write("keysets/base.toml", &keyset("base"));
    let toml =
        place.toml().replace("name = \"acme\"", "name = \"acme\"\ninclude = [\"keysets/*.toml\"]");
    place.write("keyform.toml", &toml);
    place.write(".gitignore", "account.json\nrequests.log\n");
    place.ends(&["apply", "--yes"], 0, "1 keyset created");
    git_does(&place, &["init", "-q"]);
    let driver = format!("{} state merge %O %A %B", env!("CARGO_BIN_EXE_keyform"));
    git_does(&place, &["config", "merge.keyform.driver", &driver]);
    commit(&place, "base");
    place
}

fn commit(place: &Place, what: &str) {
    git_does(place, &["add", "-A"]);
    git_does(place, &["commit", "-q", "-m", what]);
}

#[test]
fn two_branches_that_add_different_keysets_merge_without_a_conflict() {
    let place = repository();
    git_does(&place, &["checkout", "-q", "-b", "one"]);
    place.write("keysets/one.toml", &keyset("one"));
    place.ends(&["apply", "--yes"], 0, "1 keyset created");
    commit(&place, "one");
    git_does(&place, &["checkout", "-q", "main"]);
    git_does(&place, &["checkout", "-q", "-b", "two"]);
    place.write("keysets/two.toml", &keyset("two"));
    place.ends(&["apply", "--yes"], 0, "1 keyset created");
    commit(&place, "two");
    git_does(&place, &["merge", "-q", "--no-edit", "one"]);
    let state = place.state();
    assert_eq!(
        state["keysets"].as_object().expect("keysets").keys().collect::<Vec<_>>(),
        ["base", "one", "two"]
    );
    assert_eq!(state["serial"], 3);
    place.ends(&["secrets", "doctor", "--check", "--live"], 0, " 0 not as they should be");
    place.is_settled();
    assert_eq!(place.sandbox().keysets(), ["base", "one", "two"]);
    // Both logs are one, and the next run follows from both.
    let log = place.json(&["log"], 0);
    assert_eq!(
        (&log["whole"], log["heads"].as_array().map(Vec::len)),
        (&true.into(), Some(2)),
        "{log}"
    );
    place.ends(&["secrets", "rotate", "base", "--now"], 0, "");
    let log = place.json(&["log"], 0);
    assert_eq!(
        (&log["whole"], log["heads"].as_array().map(Vec::len)),
        (&true.into(), Some(1)),
        "{log}"
    );
}

#[test]
fn what_both_changed_is_for_a_person() {
    let place = repository();
    git_does(&place, &["checkout", "-q", "-b", "one"]);
    place.ends(&["secrets", "rotate", "base", "--overlap", "24h"], 0, "");
    commit(&place, "one");
    git_does(&place, &["checkout", "-q", "main"]);
    place.ends(&["secrets", "rotate", "base", "--overlap", "24h"], 0, "");
    commit(&place, "two");
    let before = std::fs::read(place.dir().join("state/keyform.json")).expect("a state");
    let (good, text) = git(&place, &["merge", "--no-edit", "one"]);
    assert!(!good && text.contains("both sides changed keyset base"), "{text}");
    assert_eq!(
        std::fs::read(place.dir().join("state/keyform.json")).expect("a state"),
        before,
        "it is left as it was"
    );
}

#[test]
fn states_that_are_none_or_of_others_are_not_merged() {
    let place = repository();
    place.write("empty", "");
    let state = std::fs::read_to_string(place.dir().join("state/keyform.json")).expect("a state");
    place.write("torn", &state[..state.len() / 2]);
    let lineage = place.state()["lineage"].as_str().expect("a lineage").to_owned();
    place.write("other", &state.replace(&lineage, "00000000-0000-4000-8000-000000000000"));
    place.write("ours", &state);
    for (theirs, says) in [
        ("torn", "is not a state"),
        ("other", "other beginnings"),
        ("empty", "other beginnings"),
        ("nowhere", "other beginnings"),
    ] {
        place.ends(&["state", "merge", "empty", "ours", theirs], 1, says);
        assert_eq!(std::fs::read_to_string(place.dir().join("ours")).expect("it is there"), state);
    }
    place.ends(
        &["state", "merge", "empty", "ours", "state/keyform.json"],
        0,
        "the two states are one",
    );
}
