//! One brake for all requests of a run: when the server asks one of them to wait, all wait.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Longest wait that a server is granted; beyond it the request is tried and may fail again.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Gate(Mutex<Option<Instant>>);

impl Gate {
    /// Returns when nothing speaks against sending.
    pub async fn pass(&self) {
        // Asked again after each wait: the server may have asked for a longer one meanwhile.
        while let Some(until) = self.until().filter(|until| *until > Instant::now()) {
            tokio::time::sleep_until(until).await;
        }
    }

    fn until(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Closes the gate for `wait` from now, at most a minute; never shortens an earlier wait.
    pub fn close(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST);
        let mut gate = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *gate = Some(gate.map_or(until, |before| before.max(until)));
    }
}
