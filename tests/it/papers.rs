//! Manual pages and completions: of every command, without a project.

use crate::support::keyform;

fn run(args: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let done = keyform::command(args, folder.path(), None).output().expect("keyform runs");
    (
        done.status.code(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        ),
    )
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, text) = run(&["completions", shell]);
        assert!(
            code == Some(0)
                && ["rotate", "approve", "accept"].iter().all(|word| text.contains(word)),
            "{shell}: {text:.300}"
        );
    }
    let (code, text) = run(&["completions", "tcsh"]);
    assert!(code == Some(1) && text.contains("powershell"), "{text}");
}

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let done = keyform::command(&["man", "--out", "."], folder.path(), None)
        .output()
        .expect("keyform runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for name in ["keyform", "keyform-apply", "keyform-secrets-rotate"] {
        let page = std::fs::read_to_string(folder.path().join(format!("{name}.1")))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".SH NAME"), "{page:.300}");
    }
    assert!(run(&["man"]).1.contains(".TH keyform"));
    assert_eq!(run(&["man", "--out", "nowhere"]).0, Some(1));
}
