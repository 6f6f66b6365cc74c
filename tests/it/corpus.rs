//! The corpus of the fuzz targets (tests/fuzz), played through the same checks.

use std::path::Path;

#[path = "../fuzz/checks.rs"]
mod checks;

fn play(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut played = 0;
    for entry in std::fs::read_dir(&folder).expect("there is a corpus") {
        let path = entry.expect("the entry is readable").path();
        let bytes = std::fs::read(&path).expect("readable");
        if let Err(error) = std::panic::catch_unwind(|| check(&bytes)) {
            eprintln!("{}", path.display());
            std::panic::resume_unwind(error);
        }
        played += 1;
    }
    assert!(played > 15, "{played} files in {}", folder.display());
}

#[test]
fn configurations() {
    play("config", checks::config);
}

#[test]
fn states() {
    play("state", checks::state);
}

#[test]
fn answers() {
    play("answer", checks::answer);
}
