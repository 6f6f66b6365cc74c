//! Every example is validated, planned, applied and found to be as declared afterwards.

use std::path::Path;

use crate::support::{Keyring, keyform, read_tree};

fn example(name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, bytes) in read_tree(&from) {
        let target = folder.path().join(path.strip_prefix(&from).expect("below the example"));
        std::fs::create_dir_all(target.parent().expect("has a parent")).expect("the folder is made");
        std::fs::write(target, bytes).expect("the file is written");
    }
    let keyring = Keyring::start();
    let run = |args: &[&str]| {
        let done = keyform::command(args, folder.path(), Some(&keyring)).output().expect("keyform runs");
        let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(done.status.code(), Some(0), "{name}: {args:?}: {text}");
        text
    };
    let valid = run(&["validate"]);
    assert!(!valid.contains("warning"), "{name}: {valid}");
    run(&["plan", "--refresh=none"]);
    run(&["apply", "--sandbox", "--yes"]);
    // Quiet: what was just applied is what is declared.
    run(&["plan", "--sandbox", "--detailed-exitcode"]);
    run(&["plan", "--sandbox", "--refresh=none", "--detailed-exitcode"]);
    assert!(!run(&["secrets", "list", "--sandbox"]).contains("MISSING"));
}

macro_rules! examples {
    ($($name:ident),*) => {
        $(#[test] fn $name() { example(stringify!($name)); })*

        #[test]
        fn every_example_is_tried() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
            let mut there: Vec<_> = std::fs::read_dir(folder)
                .expect("the folder is readable")
                .map(|e| e.expect("the entry is readable").path())
                .filter(|path| path.join("keyform.toml").exists())
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect();
            there.sort();
            assert_eq!(there, [$(stringify!($name)),*]);
        }
    };
}

examples!(environments, quickstart, starter, tenants);
