//! Configuration: every kind of mistake as people see it, and what hostile input gets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keyform::config::{self, CODES, Loaded, Severity, Source, Sources};
use keyform::documents::problems::Problem;
use keyform::documents::to_json;
use keyform::render::problems::human;
use proptest::prelude::*;

/// Samples are `CODE-what.toml` or folders `CODE-what/` with a keyform.toml; `.stderr` beside is
/// what people see. `UPDATE_GOLDEN=1` writes it.
#[test]
fn every_mistake_is_shown_with_its_place() {
    let mut produced = BTreeSet::new();
    let mut differences = Vec::new();
    for sample in samples("invalid") {
        let loaded = load_sample(&sample);
        let name = sample.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!loaded.problems.is_empty(), "{name} has no problem");
        produced.extend(loaded.problems.iter().map(|p| p.code));
        if let Some(code) = name.strip_prefix("KF") {
            let code = format!("KF{}", &code[..3]);
            assert!(
                loaded.problems.iter().any(|p| p.code == code),
                "{name} does not show its own code"
            );
        }
        let errors = loaded.problems.iter().any(|p| p.severity == Severity::Error);
        assert_eq!(
            loaded.project.is_none(),
            errors,
            "{name}: a project exists exactly without errors"
        );

        let shown = human(&loaded.problems, &loaded.sources, false)
            .replace(&sample.canonicalize().unwrap().display().to_string(), "PROJECT");
        let golden = sample.with_file_name(format!("{name}.stderr"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &shown).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != shown {
            differences.push(format!("--- {name}\n{shown}"));
        }
    }
    assert!(
        differences.is_empty(),
        "set UPDATE_GOLDEN=1 if these are right:\n{}",
        differences.join("\n")
    );

    // Made by other tests: files too large to keep, and a rule that waits for a row of the table.
    produced.extend(["KF006", "KF051"]);
    let codes: BTreeSet<&str> = CODES.iter().map(|c| c.code).collect();
    assert_eq!(codes.len(), CODES.len(), "two codes of one number");
    assert_eq!(produced, codes);
}

#[test]
fn valid_samples_have_no_problems() {
    for sample in samples("valid") {
        let loaded = load_sample(&sample);
        assert!(
            loaded.problems.is_empty(),
            "{}:\n{}",
            sample.display(),
            human(&loaded.problems, &loaded.sources, false)
        );
        assert!(loaded.project.is_some());
    }
}

/// Wherever a private key was put, and whatever else is wrong beside it.
#[test]
fn a_private_key_is_never_shown() {
    const KEYS: [&str; 5] = [
        "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33",
        "age-secret-key-1gq9778vqxmmjve8sk7j6vt8uj4hdqajuvsfcwcm02d8gewq72pvq2y5j33",
        "-----BEGIN OPENSSH PRIVATE KEY-----GQ9778VQ-----END OPENSSH PRIVATE KEY-----",
        "sec-c-GQ9778VQ",
        "b3BlbnNzaC1rZXktdjEAAAAABGQ9778VQ",
    ];
    for key in KEYS {
        for place in [
            "[secrets.age]\nrecipients = [\"KEY\"]",
            "[secrets.age]\nrecipients = \"KEY\"",
            "[secrets.age]\nrecipients = [\"KEY\", 5]",
            "[secrets.age]\nrecipients = [\"KEY]",
            "[secrets.age]\nrecipients = KEY",
            "[secrets.age]\ndir = \"/KEY\"",
            "[secrets.age]\n\"KEY\" = 1",
            "[secrets]\nsinks = [\"KEY\"]",
            "[secrets]\nsinks = \"KEY\"",
            "[secrets.exec]\ncommand = \"KEY\"",
            "[secrets.mirror.github]\nrepo = \"https://github.com/KEY/x\"\nname = \"KEY\"\nenvironment = \"KEY\\u0000\"\nkeysets = [\"KEY\"]",
            "[app.KEY]\nname = \"\"",
            "[keyset.b]\napp = \"KEY\"\nprofiles = [\"KEY\"]\nfiles.region = \"KEY\"\nfiles.KEY = 1",
            "[KEY]",
            "[api]\nversion = \"KEY\"\ntier = \"KEY\"\nendpoint = \"KEY\"",
        ] {
            let loaded = read(&format!("{MINIMAL}{}\n", place.replace("KEY", key)));
            assert!(!loaded.problems.is_empty(), "{place}");
            let shown = human(&loaded.problems, &loaded.sources, false)
                + &to_json(&Problem::all(&loaded.problems, &loaded.sources)).to_string();
            assert!(!shown.to_lowercase().contains("gq9778vq"), "{place}:\n{shown}");
        }
    }
}

#[test]
fn fifty_mistakes_among_a_thousand_keysets_are_all_shown() {
    let mut text = format!("{HEAD}{APP}");
    let mut wrong = Vec::new();
    for n in 0..1000 {
        text.push_str(&format!(
            "[keyset.k{n:04}]\napp = \"chat\"\ntype = \"testing\"\n[keyset.k{n:04}.files]\n"
        ));
        if n % 20 == 7 {
            wrong.push(text.lines().count() + 1);
            text.push_str(
                [
                    "retention = 5\n",
                    "regoin = \"us-east-1\"\n",
                    "enabled = \"true\"\n",
                    "retention = 1.5\n",
                ][n / 20 % 4],
            );
        } else {
            text.push_str("retention = 7\n");
        }
    }
    let loaded = read(&text);
    let lines: Vec<usize> = loaded
        .problems
        .iter()
        .map(|p| loaded.sources.place(p.origin.unwrap()).unwrap())
        .map(|p| (p.line, p.column))
        .map(|(l, _)| l)
        .collect();
    assert_eq!(wrong.len(), 50);
    assert_eq!(lines, wrong);
    let shown = human(&loaded.problems, &loaded.sources, false);
    for line in &wrong {
        assert!(shown.contains(&format!("keyform.toml:{line}:")), "line {line} is not shown");
    }
    assert_eq!(shown.matches("error[KF").count(), 50);

    let many = text.replace("retention = 7", "retention = 6");
    let loaded = read(&many);
    assert!(
        human(&loaded.problems, &loaded.sources, false).ends_with("900 problems more not shown\n")
    );
    assert_eq!(
        to_json(&Problem::all(&loaded.problems, &loaded.sources)).as_array().unwrap().len(),
        1000
    );
}

#[test]
fn json_names_the_place_and_the_edit() {
    let loaded = read(&format!("{MINIMAL}presence = {{ intervall = 10 }}\n"));
    insta::assert_json_snapshot!(to_json(&Problem::all(&loaded.problems, &loaded.sources)), @r#"
    [
      {
        "code": "KF011",
        "column": 14,
        "fix": {
          "column": 14,
          "end_column": 23,
          "end_line": 8,
          "line": 8,
          "path": "keyform.toml",
          "with": "interval"
        },
        "help": "did you mean `interval`?",
        "label": "not known to the Admin API",
        "line": 8,
        "message": "unknown field in `presence`: `intervall`",
        "path": "keyform.toml",
        "severity": "error"
      }
    ]
    "#);
}

#[test]
fn hostile_text_comes_out_escaped_and_bounded() {
    let escapes = "\u{1b}]0;x\u{7}\u{202e}\u{200b}";
    let texts = [
        format!("{MINIMAL}# {escapes}\n\"{escapes}\" = 1 # {escapes}\n"),
        format!("{MINIMAL}name = '{escapes}'\n"),
        format!("{MINIMAL}name = \"{}\"\n", "x".repeat(10_000_000)),
        format!("{MINIMAL}\"{}\" = 1\n", "é".repeat(10_000)),
        format!("{MINIMAL}foo = \"\"\"\n{}\"\"\"\n", "\n".repeat(100_000)),
        format!("{MINIMAL}x = {{{}}}\n", "a = 1, ".repeat(100_000)),
        format!("{MINIMAL}profiles = [{}]\n", "\"p\", ".repeat(1_000)),
        "=\n".repeat(100_000),
        "\u{feff}".to_owned() + MINIMAL + "\r\nx = 1\r\n",
        "\0".to_owned(),
    ];
    for text in texts {
        let loaded = read(&text);
        assert!(loaded.project.is_none());
        let shown = human(&loaded.problems, &loaded.sources, false);
        assert!(!shown.is_empty() && shown.len() < 200_000, "{} bytes", shown.len());
        let bad = shown
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || "\u{202e}\u{200b}\u{feff}".contains(*c));
        assert_eq!(bad, None, "{shown}");
    }
    // The column is that of the text, not that of what is shown of it.
    let loaded = read(&format!("{MINIMAL}files = {{ {}colour = 1 }}\n", " ".repeat(1_000_000)));
    let shown = human(&loaded.problems, &loaded.sources, false);
    assert!(shown.contains("keyform.toml:8:1000011\n"), "{shown}");
    assert!(shown.contains('…'));
}

#[test]
fn nothing_outside_the_project_is_read() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("project");
    fs::create_dir(&dir).unwrap();
    fs::create_dir(outer.path().join("other")).unwrap();
    fs::write(outer.path().join("other/k.toml"), "secret").unwrap();
    let load = |include: &str| {
        fs::write(
            dir.join("keyform.toml"),
            format!("[project]\nname = \"acme\"\ninclude = [{include:?}]\n{APP}"),
        )
        .unwrap();
        config::load(&dir)
    };
    for include in ["../other/k.toml", "/etc/passwd", "a/../../other/*"] {
        assert_eq!(codes(&load(include)), ["KF007"], "{include}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(outer.path().join("other"), dir.join("link")).unwrap();
        std::os::unix::fs::symlink(outer.path().join("other/k.toml"), dir.join("k.toml")).unwrap();
        for include in ["link/*.toml", "link/k.toml", "k.toml", "l*/*.toml", "*.toml"] {
            let loaded = load(include);
            assert_eq!(codes(&loaded), ["KF007"], "{include}");
            assert_eq!(loaded.sources.files.len(), 1);
        }
        assert_eq!(codes(&load("**/k.toml")), ["KF007"]);
        fs::remove_file(dir.join("k.toml")).unwrap();
        assert_eq!(codes(&load("**/k.toml")), ["KF008"], "linked folders are not walked");

        assert!(
            std::process::Command::new("mkfifo")
                .arg(dir.join("pipe.toml"))
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(codes(&load("pipe.toml")), ["KF004"]);
    }
}

#[test]
fn sizes_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("keyform.toml"),
        "[project]\nname = \"acme\"\ninclude = [\"*.toml\"]\n",
    )
    .unwrap();
    // Sparse: costs no disk.
    fs::File::create(dir.path().join("big.toml")).unwrap().set_len(200 << 20).unwrap();
    assert_eq!(codes(&config::load(dir.path())), ["KF006"]);
    assert_eq!(codes(&config::load(&dir.path().join("nowhere"))), ["KF004"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Pieces of TOML in any order: never a panic, and every problem can be shown.
    #[test]
    fn no_text_panics(pieces in prop::collection::vec(prop_oneof![
        3 => prop::sample::select(vec![
            "[", "]", "{", "}", "=", ".", ",", "\n", "\"", "'", "\"\"\"", "#", " ", "\r", "ü", "\u{202e}", "keyset", "app", "profile", "profiles",
            "files", "enabled", "region", "type", "\n[keyset.a]\n", "\n[app.chat]\n", "name = \"x\"\n", "true", "1", "0x", "1.5", "2026-01-01", "project",
            "include", "api", "tier", "limits", "create", "secrets", "sinks", "a", "age", "exec",
            "recipients", "command", "\n[[secrets.mirror.github]]\n", "mirror", "github", "repo", "{label}", "keysets", "AGE-SECRET-KEY-1", "-----BEGIN",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ], 0..60)) {
        let loaded = read(&pieces.concat());
        human(&loaded.problems, &loaded.sources, false);
        to_json(&Problem::all(&loaded.problems, &loaded.sources));
    }
}

const HEAD: &str = "[project]\nname = \"acme\"\n";
const APP: &str = "[app.chat]\nname = \"Chat\"\n";
const MINIMAL: &str = "[project]\nname = \"acme\"\n[app.chat]\nname = \"Chat\"\n[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n";

fn read(text: &str) -> Loaded {
    config::read(Sources { files: vec![Source::new("keyform.toml", text)] })
}

fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded.problems.iter().map(|p| p.code).collect()
}

fn samples_dir(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(kind)
}

fn samples(kind: &str) -> Vec<PathBuf> {
    let mut samples: Vec<PathBuf> =
        fs::read_dir(samples_dir(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.retain(|path| path.is_dir() || path.extension().is_some_and(|e| e == "toml"));
    samples.sort();
    assert!(!samples.is_empty());
    samples
}

/// A single file is copied into a folder of its own first, so that files and folders take one way.
fn load_sample(sample: &Path) -> Loaded {
    if sample.is_dir() {
        return config::load(sample);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::copy(sample, dir.path().join("keyform.toml")).unwrap();
    config::load(dir.path())
}
