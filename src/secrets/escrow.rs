//! Where raw answers wait between their arrival and their commit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::keyset::RawAnswer;
use crate::ports::{Escrow, EscrowError, Intent};

/// An escrow in memory. It survives nothing: an answer that was kept here is lost with the process, and the keyset it
/// told of has to be found by listing, without its secret. A sealed file is to take its place behind the same port.
#[derive(Default)]
pub struct MemoryEscrow(Mutex<HashMap<uuid::Uuid, RawAnswer>>);

impl Escrow for MemoryEscrow {
    async fn keep(&self, intent: &Intent, raw: RawAnswer) -> Result<(), EscrowError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(intent.id, raw);
        Ok(())
    }

    /// Each answer is handed out once.
    async fn take(&self, intent: &Intent) -> Result<Option<RawAnswer>, EscrowError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&intent.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyset::Label;
    use crate::ports::Creation;

    #[tokio::test]
    async fn an_answer_is_handed_out_once_and_to_its_intent_only() {
        let intent = || Intent {
            id: uuid::Uuid::new_v4(),
            at: jiff::Timestamp::UNIX_EPOCH,
            what: Creation::App { label: Label::parse("chat").expect("a label"), name: "Chat".into(), known: Default::default() },
        };
        let (mine, other) = (intent(), intent());
        let escrow = MemoryEscrow::default();
        escrow.keep(&mine, RawAnswer::new(b"answer".to_vec().into())).await.expect("kept");
        assert!(escrow.take(&other).await.expect("looked").is_none());
        let taken = escrow.take(&mine).await.expect("looked");
        assert_eq!(taken.as_ref().map(RawAnswer::expose_bytes), Some(&b"answer"[..]));
        assert!(escrow.take(&mine).await.expect("looked").is_none());
    }
}
