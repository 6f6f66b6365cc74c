//! Time and randomness of one request, real or repeatable.

#![expect(clippy::disallowed_methods, reason = "a server has a clock of its own")]

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// What a call gets besides its input.
pub struct Given {
    /// Whole seconds.
    pub now: Timestamp,
    /// Enough for two uuids and a secret key.
    pub random: [u8; 96],
}

/// `changes`: how many the world has seen; with a seed, everything follows from the two.
pub fn given(seed: Option<u64>, changes: u64) -> Result<Given, getrandom::Error> {
    let mut random = [0; 96];
    let now = match seed {
        None => {
            getrandom::fill(&mut random)?;
            Timestamp::now()
        }
        Some(seed) => {
            for (block, chunk) in random.chunks_mut(32).enumerate() {
                let digest = Sha256::new()
                    .chain_update(b"keyform sandbox 1\0")
                    .chain_update(seed.to_be_bytes())
                    .chain_update(changes.to_be_bytes())
                    .chain_update([block as u8])
                    .finalize();
                chunk.copy_from_slice(&digest);
            }
            let start = Timestamp::constant(SEEDED_START, 0);
            start
                .saturating_add(SignedDuration::from_secs(
                    i64::try_from(changes).unwrap_or(i64::MAX),
                ))
                .unwrap_or(start)
        }
    };
    Ok(Given { now: Timestamp::from_second(now.as_second()).unwrap_or(now), random })
}

/// 2026-01-01T00:00:00Z
const SEEDED_START: i64 = 1_767_225_600;
