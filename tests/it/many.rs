//! More keysets than a keyring is made for.

use std::path::PathBuf;

use crate::support::{Keyring, Sandbox, keyform, read_tree};

const KEYSETS: usize = 120;

fn project(keysets: usize) -> String {
    let keysets: String = (0..keysets)
        .map(|n| format!("[keyset.k{n:03}]\napp = \"chat\"\ntype = \"testing\"\n"))
        .collect();
    format!("[project]\nname = \"many\"\n[app.chat]\nname = \"Chat\"\n{keysets}")
}

struct Place {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    keyring: Keyring,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            folder: tempfile::tempdir().expect("a folder"),
            sandbox: Sandbox::start(&[]),
            keyring: Keyring::start(),
        };
        place.declare(KEYSETS);
        place
    }
    fn declare(&self, keysets: usize) {
        std::fs::write(self.folder.path().join("keyform.toml"), project(keysets))
            .expect("the project is written");
    }
    fn data(&self) -> PathBuf {
        self.keyring.data()
    }
    #[track_caller]
    fn ends(&self, args: &[&str], point: Option<&str>, code: Option<i32>) -> String {
        self.ends_with(&self.keyring, args, point, code)
    }
    #[track_caller]
    fn ends_with(
        &self,
        keyring: &Keyring,
        args: &[&str],
        point: Option<&str>,
        code: Option<i32>,
    ) -> String {
        let mut command = keyform::command(args, self.folder.path(), Some(keyring));
        command.envs(self.sandbox.env()).envs(point.map(|point| ("KEYFORM_FAILPOINT", point)));
        let output = command.output().expect("keyform runs");
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), code, "{text}");
        assert!(args.contains(&"get") || !keyform::holds_secret(text.as_bytes()));
        text
    }
    #[track_caller]
    fn is_sound(&self) {
        let text = self.ends(&["secrets", "doctor", "--check", "--live"], None, Some(0));
        assert!(text.contains(" 0 not as they should be"), "{text}");
        let text = self.ends(&["plan", "--detailed-exitcode"], None, Some(0));
        assert!(text.contains("Nothing to do"), "{text}");
        for folder in [self.folder.path().to_owned(), self.data()] {
            for (path, bytes) in read_tree(&folder) {
                assert!(!keyform::holds_secret(&bytes), "{} holds a secret", path.display());
            }
        }
    }
}

/// Plays it; once more with a new keyring where the daemon of this one ended by itself.
fn played(story: impl Fn(&Place)) {
    for _ in 0..3 {
        let mut place = Place::new();
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| story(&place))) {
            Ok(()) => return,
            Err(_) if place.keyring.has_died() => println!("the daemon ended by itself; once more"),
            Err(failed) => std::panic::resume_unwind(failed),
        }
    }
    panic!("the daemon of the keyring ended again and again");
}

#[test]
fn their_secrets_are_in_files_that_one_entry_of_the_keyring_opens() {
    played(one_entry_opens_them);
}

fn one_entry_opens_them(place: &Place) {
    // The first few in the keyring itself, as in every small project.
    place.declare(3);
    place.ends(&["apply", "--yes"], None, Some(0));
    let before = place.keyring.items();
    assert_eq!(before, 4, "three secrets, and the key of the escrow");
    place.declare(KEYSETS);
    place.ends(&["apply", "--yes"], None, Some(0));
    assert_eq!(place.keyring.items(), before);
    let list = place.ends(&["secrets", "list"], None, Some(0));
    assert_eq!(list.matches("keyring-files").count(), KEYSETS - 3, "{list}");
    for label in ["k000", "k119"] {
        let secret = place.ends(&["secrets", "get", label], None, Some(0));
        assert!(keyform::holds_secret(secret.as_bytes()));
    }
    place.is_sound();
    place.ends(&["secrets", "rotate", "k000", "--now"], None, Some(0));
    place.ends(&["secrets", "rotate", "k119", "--now"], None, Some(0));
    place.is_sound();

    // They are the user's alone.
    #[cfg(unix)]
    for (path, _) in read_tree(&place.data().join("keyform/secrets")) {
        let mode =
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).expect("it is there"));
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }

    // Without the key nobody reads them, and nobody overwrites them.
    let text = place.ends_with(&Keyring::start(), &["secrets", "get", "k119"], None, Some(1));
    assert!(text.contains("keyring-files sink has no secret"), "{text}");
}

#[test]
fn a_crash_among_many_costs_none() {
    for point in ["create.stored#60=kill", "create.sealed#90=kill", "file.rename#100=kill"] {
        played(|place| {
            place.ends(&["apply", "--yes"], Some(point), None);
            place.ends(&["apply", "--yes", "--settle", "1"], None, Some(0));
            assert_eq!(place.sandbox.get("/v2/keysets")["total"], KEYSETS);
            place.is_sound();
        });
    }
}
