//! The lock, for the commands that write.

use std::time::Duration;

use super::origin::origin;
use super::output::Output;
use super::session::Session;
use crate::state::{Snapshot, Store, Waiting};
use crate::storage::Holder;

/// Flags of the commands that write.
#[derive(Debug, clap::Args)]
pub struct LockArgs {
    /// Wait so long for another run to end, such as 90s or 5m
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    lock_timeout: Duration,
}

/// `7d`, `5m`, `90s`, `1h 30m`; without a unit it would not be known what is meant.
pub fn duration(text: &str) -> Result<Duration, String> {
    crate::keyset::duration::parse(text)
        .ok_or_else(|| "expected a duration such as 90s, 5m or 24h".to_owned())
}

impl LockArgs {
    /// Takes the lock and opens the state for writing.
    pub async fn open(
        &self,
        session: &Session,
        command: &str,
        output: &Output,
    ) -> anyhow::Result<(Store, Snapshot)> {
        let wait = self.lock_timeout;
        let told = |holder: &Holder| {
            if !wait.is_zero() {
                output
                    .say(&format!("Waiting up to {} s for another run: {holder}", wait.as_secs()));
            }
        };
        let (store, snapshot) = Store::open_within(
            session.storage(),
            &session.project.desired.project,
            command,
            Waiting { patience: wait, told: &told },
        )
        .await?;
        store.log().came_from(origin(session));
        Ok((store, snapshot))
    }
}
