//! What tests stand on: a private Secret Service.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zbus::blocking::{Connection, Proxy, connection, fdo::DBusProxy};
use zbus::zvariant::{ObjectPath, OwnedObjectPath};

/// How long a daemon may take to come up. It takes 0.1 s; a machine full of builds takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
const SECRETS: &str = "org.freedesktop.secrets";
const SERVICE: &str = "/org/freedesktop/secrets";

/// A D-Bus session and, on it, a GNOME keyring on files of its own, for one test. Both end with it.
///
/// Every test has its own: two daemons on one keyring file lose each other's writes without an
/// error.
pub struct Keyring {
    dir: tempfile::TempDir,
    bus: Child,
    daemon: Option<Child>,
}

impl Keyring {
    /// Unlocked, and kept in a file: as on a desktop where somebody has logged in.
    pub fn start() -> Keyring {
        let mut keyring = Keyring::without_service();
        keyring.start_daemon();
        keyring
    }

    /// Another session of the same user: a bus and a service of its own, on the same file.
    pub fn beside(first: &Keyring) -> Keyring {
        let mut keyring = Keyring::without_service();
        std::fs::remove_dir(keyring.dir.path().join("data")).expect("empty");
        std::os::unix::fs::symlink(first.dir.path().join("data"), keyring.dir.path().join("data"))
            .expect("the same folder");
        keyring.start_daemon();
        keyring
    }

    /// A session bus on which nobody offers secrets.
    pub fn without_service() -> Keyring {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for sub in ["data", "config", "cache", "run"] {
            std::fs::create_dir(dir.path().join(sub)).expect("a folder");
        }
        let config = dir.path().join("bus.conf");
        std::fs::write(&config, bus_config(dir.path())).expect("the bus configuration");
        let mut bus = spawn(
            Command::new("dbus-daemon").arg("--config-file").arg(config).args([
                "--nofork",
                "--nopidfile",
                "--print-address=1",
            ]),
            "dbus",
        );
        // The address is printed once the bus listens.
        let mut line = String::new();
        BufReader::new(bus.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("the bus' address");
        assert!(line.starts_with("unix:"), "dbus-daemon did not come up");
        Keyring { dir, bus, daemon: None }
    }

    /// A service that is there, unlocked, and forgets: the default collection is the one in memory.
    pub fn session_collection_only() -> Keyring {
        let mut keyring = Keyring::without_service();
        keyring.spawn_daemon(None);
        let session =
            ObjectPath::try_from("/org/freedesktop/secrets/collection/session").expect("a path");
        keyring
            .proxy(SERVICE, "org.freedesktop.Secret.Service")
            .call::<_, _, ()>("SetAlias", &("default", session))
            .expect("the default collection is set");
        keyring
    }

    /// A service without any collection: a machine where nobody has ever logged in.
    pub fn without_collection() -> Keyring {
        let mut keyring = Keyring::without_service();
        keyring.spawn_daemon(None);
        keyring
    }

    /// What a program below needs in its environment to use this and nothing else.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let at = |sub: &str| self.dir.path().join(sub).display().to_string();
        vec![
            ("DBUS_SESSION_BUS_ADDRESS", self.address()),
            ("XDG_RUNTIME_DIR", at("run")),
            ("XDG_DATA_HOME", at("data")),
            ("XDG_CONFIG_HOME", at("config")),
            ("XDG_CACHE_HOME", at("cache")),
        ]
    }

    /// The daemon dies, its files stay.
    pub fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().and_then(|()| daemon.wait()).expect("the daemon is killed");
            self.wait_for("the daemon to leave the bus", |k| !k.has_service());
        }
    }

    /// Whether the daemon ended by itself. GNOME's does so now and then, most of all on a busy
    /// machine, and a test is not about it.
    pub fn has_died(&mut self) -> bool {
        self.daemon
            .as_mut()
            .is_some_and(|daemon| daemon.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// A new, unlocked daemon on the same files.
    pub fn start_daemon(&mut self) {
        self.spawn_daemon(Some("correct horse"));
        self.wait_for("the default collection to be unlocked", |k| k.locked() == Some(false));
    }

    /// The daemon comes back without a password: the collection is there, and locked.
    pub fn lock(&mut self) {
        self.kill_daemon();
        self.spawn_daemon(None);
        self.wait_for("the default collection to be locked", |k| k.locked() == Some(true));
    }

    /// The daemon stays on the bus and answers nobody any more.
    pub fn stop_daemon(&self) {
        let pid = self.daemon.as_ref().expect("a daemon").id().to_string();
        assert!(Command::new("kill").args(["-STOP", &pid]).status().expect("kill").success());
    }

    /// The file that holds the secrets, encrypted. Exists after the first start.
    pub fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("data/keyrings/login.keyring")
    }

    /// The user's data, as far as programs below this keyring see it.
    pub fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    /// How many items the default collection has, by the service's own word.
    pub fn items(&self) -> usize {
        let collection = self.default_collection().expect("a default collection");
        let items: Vec<OwnedObjectPath> = collection.get_property("Items").expect("its items");
        items.len()
    }

    fn spawn_daemon(&mut self, password: Option<&str>) {
        let mut command = Command::new("gnome-keyring-daemon");
        command
            .args(["--foreground", "--components=secrets", "--control-directory"])
            .arg(self.dir.path().join("run/keyring"));
        if password.is_some() {
            command.arg("--unlock");
        }
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.env());
        let mut daemon = spawn(&mut command, "gnome-keyring");
        let mut stdin = daemon.stdin.take().expect("piped");
        stdin.write_all(password.unwrap_or("").as_bytes()).expect("the password is passed on");
        drop(stdin);
        self.daemon = Some(daemon);
        self.wait_for("the daemon to be on the bus", Keyring::has_service);
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.dir.path().join("run/bus").display())
    }

    fn connection(&self) -> Connection {
        connection::Builder::address(&*self.address())
            .and_then(|builder| builder.method_timeout(Duration::from_secs(5)).build())
            .expect("the test's own bus")
    }

    fn proxy(&self, path: &str, interface: &str) -> Proxy<'static> {
        Proxy::new(&self.connection(), SECRETS, path.to_owned(), interface.to_owned())
            .expect("a proxy")
    }

    fn has_service(&self) -> bool {
        let names = DBusProxy::new(&self.connection())
            .and_then(|bus| Ok(bus.list_names()?))
            .expect("the names on the bus");
        names.iter().any(|name| name.as_str() == SECRETS)
    }

    /// `None`: there is no default collection (yet).
    fn locked(&self) -> Option<bool> {
        self.default_collection()?.get_property("Locked").ok()
    }

    fn default_collection(&self) -> Option<Proxy<'static>> {
        let path: OwnedObjectPath = self
            .proxy(SERVICE, "org.freedesktop.Secret.Service")
            .call("ReadAlias", &"default")
            .ok()?;
        Some(self.proxy(path.as_str(), "org.freedesktop.Secret.Collection"))
    }

    fn wait_for(&self, what: &str, done: impl Fn(&Keyring) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        for child in self.daemon.iter_mut().chain([&mut self.bus]) {
            // Also ends one that was stopped. Nothing to do if it is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn spawn(command: &mut Command, package: &str) -> Child {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    child.unwrap_or_else(|e| {
        panic!("{package} is needed ({e}): apt-get install -y gnome-keyring dbus libglib2.0-bin")
    })
}

/// A bus of its own, without service activation: a daemon that dies is to be an error, not to come
/// back locked.
fn bus_config(dir: &Path) -> String {
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={}</listen>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
"#,
        dir.join("run/bus").display()
    )
}
