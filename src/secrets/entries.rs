//! The keyring's blocking calls, and their errors in keyform's words.
//!
//! An error of the keyring crates may hold the bytes of an entry (`BadEncoding`, `BadDataFormat`),
//! so none of them is ever formatted: they are told apart by variant, here, and dropped.

use std::path::PathBuf;

use keyring::{Entry, Error};
use zeroize::Zeroizing;

use super::daemons::{self, Claim};
use super::probe;
use crate::ports::SinkError;

/// The keyring as one thread sees it.
#[derive(Default)]
pub(super) struct Entries {
    /// Whether this thread has looked at the keyring and opened it.
    open: bool,
    /// The file beside the keyring in which its service is noted; `None`: there is no place for it.
    note: Option<PathBuf>,
    /// Made before the first write.
    claim: Option<Claim>,
}

impl Entries {
    /// `note`: the file in which the service that writes is noted, against two of them.
    pub(super) fn with_note(note: Option<PathBuf>) -> Entries {
        Entries { note, ..Entries::default() }
    }

    /// Finds out whether what is written can be read back and survives a restart. Writes, reads and
    /// deletes a canary.
    pub(super) fn probe(&mut self) -> Result<(), SinkError> {
        self.open()?;
        // With a blank, which neither a label nor a host has, so it is nobody's entry.
        let user = format!("canary {}", uuid::Uuid::new_v4());
        let value = uuid::Uuid::new_v4().to_string();
        self.put(probe::SERVICE, &user, &value)?;
        // Read with a new connection: the one that wrote might answer from memory.
        let read = self.open().and_then(|()| self.get(probe::SERVICE, &user));
        // Also after a failure: a canary that stays behind is litter in somebody's keyring.
        let deleted = self.delete(probe::SERVICE, &user);
        match read? {
            Some(back) if *back == value => {}
            _ => return Err(SinkError::Mismatch("keyring")),
        }
        if !deleted? || self.get(probe::SERVICE, &user)?.is_some() {
            return Err(SinkError::Failed("an entry could be written and not be deleted".into()));
        }
        Ok(())
    }

    pub(super) fn put(&mut self, service: &str, user: &str, text: &str) -> Result<(), SinkError> {
        self.claim()?;
        self.call(|| Entry::new(service, user)?.set_password(text))?;
        self.claim.iter().for_each(Claim::wrote);
        Ok(())
    }

    /// `None`: there is no such entry.
    pub(super) fn get(
        &mut self,
        service: &str,
        user: &str,
    ) -> Result<Option<Zeroizing<String>>, SinkError> {
        self.call(|| some_entry(Entry::new(service, user)?.get_password().map(Zeroizing::new)))
    }

    /// Whether there was such an entry.
    pub(super) fn delete(&mut self, service: &str, user: &str) -> Result<bool, SinkError> {
        self.claim()?;
        self.call(|| {
            some_entry(Entry::new(service, user)?.delete_credential()).map(|found| found.is_some())
        })
    }

    /// Nothing is written through a service beside which another one writes to the same keyring.
    fn claim(&mut self) -> Result<(), SinkError> {
        if let (None, Some(note)) = (&self.claim, &self.note)
            && let Some(pid) = probe::service()
            && let Some((daemon, started)) = daemons::identify(pid)
        {
            self.claim = Some(daemons::claim(note, &daemon, started)?);
        }
        Ok(())
    }

    fn call<T>(&mut self, call: impl Fn() -> keyring::Result<T>) -> Result<T, SinkError> {
        let opened_before = self.open;
        if !opened_before {
            self.open()?;
        }
        match call() {
            // A service that was restarted does not know the session of before. All calls may be
            // repeated.
            Err(Error::PlatformFailure(_)) if opened_before => {
                self.open()?;
                call().map_err(in_our_words)
            }
            result => result.map_err(in_our_words),
        }
    }

    /// Looks at the keyring, without causing a prompt, and opens a new connection to it.
    fn open(&mut self) -> Result<(), SinkError> {
        self.open = false;
        // The service may be another one by now.
        self.claim = None;
        probe::look()?;
        probe::reopen().map_err(in_our_words)?;
        self.open = true;
        Ok(())
    }
}

fn some_entry<T>(result: keyring::Result<T>) -> keyring::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(error),
    }
}

fn in_our_words(error: Error) -> SinkError {
    let failed = |what: &str| SinkError::Failed(what.to_owned());
    match error {
        Error::NoStorageAccess(_) => SinkError::Locked(probe::UNLOCK.to_owned()),
        Error::PlatformFailure(cause) => probe::platform_failure(cause.as_ref()),
        Error::NoDefaultStore => SinkError::Unavailable(probe::NO_STORE.to_owned()),
        Error::TooLong(_, limit) => {
            SinkError::Failed(format!("it takes at most {limit} characters, and this is longer"))
        }
        Error::Ambiguous(entries) => SinkError::Failed(format!(
            "{} entries have the same name; delete the surplus ones with the keyring's own tool",
            entries.len()
        )),
        Error::BadEncoding(_) | Error::BadDataFormat(..) => {
            failed("the entry holds something that keyform did not write")
        }
        Error::BadStoreFormat(_) => {
            failed("its file is damaged; repair it with the keyring's own tool")
        }
        Error::Invalid(..) => failed("it does not take such a name or value"),
        Error::NotSupportedByStore(_) => failed("it cannot do this"),
        Error::NoEntry => failed("the entry disappeared meanwhile"),
        _ => failed("for a reason that keyform does not know"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_carries_the_entry_is_put_in_words_without_it() {
        let bytes = || b"sec-c-canary".to_vec();
        for error in
            [Error::BadEncoding(bytes()), Error::BadDataFormat(bytes(), "sec-c-canary".into())]
        {
            let ours = in_our_words(error);
            let text = format!("{ours} {ours:?}");
            assert!(
                text.contains("did not write")
                    && !text.contains("canary")
                    && !text.contains("115, 101"),
                "{text}"
            );
        }
    }
}
