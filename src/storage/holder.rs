//! Who holds a lock.
#![expect(clippy::disallowed_methods, reason = "a lock says where and since when it is held")]

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who holds the lock, as far as the storage tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub command: String,
    pub pid: u32,
    pub host: String,
    pub since: Option<jiff::Timestamp>,
}

impl Holder {
    /// This process, from now on. `command`: what others are told that it does.
    pub fn this(command: &str) -> Holder {
        Holder {
            command: command.to_owned(),
            pid: std::process::id(),
            host: host(),
            since: Some(jiff::Timestamp::now()),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("who it is, the lock file does not tell");
        }
        write!(f, "`keyform {}`, process {} on {}", self.command, self.pid, self.host)?;
        match self.since {
            Some(since) => write!(f, ", since {since:.0}"),
            None => Ok(()),
        }
    }
}

/// The name of this machine.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map(|name| name.trim().chars().take(255).collect())
        .unwrap_or_else(|| "an unnamed host".to_owned())
}
