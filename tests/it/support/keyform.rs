//! The real binary in an environment of its own.

use std::path::Path;
use std::process::Command;

use super::Keyring;

/// Replaces the environment of `command` with a small known one: `keyform` on the path, a home
/// below `home`, and the keyring if there is one.
pub fn environment(command: &mut Command, home: &Path, keyring: Option<&Keyring>) {
    let binary = Path::new(env!("CARGO_BIN_EXE_keyform"));
    let folder = binary.parent().expect("the binary is in a folder").display().to_string();
    command
        .env_clear()
        .env("PATH", format!("{folder}:/usr/local/bin:/usr/bin:/bin"))
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .env("KEYFORM_SANDBOX_SEED", "7");
    if let Some(keyring) = keyring {
        command.envs(keyring.env());
    }
}

/// `keyform ARGS` in `project`.
pub fn command(args: &[&str], project: &Path, keyring: Option<&Keyring>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyform"));
    environment(&mut command, project, keyring);
    command.args(args).current_dir(project).stdin(std::process::Stdio::null());
    command
}

/// Whether a whole secret key is in there. The five characters of its prefix are no secret.
pub fn holds_secret(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"sec-c-";
    bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK).any(|(at, _)| {
        bytes[at + MARK.len()..].iter().take_while(|b| b.is_ascii_alphanumeric()).count() > 5
    })
}
