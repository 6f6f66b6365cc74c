//! What the platform itself says of its keyring, before a first entry is written.
//!
//! On Linux and the BSDs D-Bus is asked, in an order that never causes a prompt. The store's own
//! `persistence()` answers "until deleted" there even for a collection kept in memory, where every
//! write succeeds and is gone at logout.

pub(super) use platform::{NO_STORE, UNLOCK, look, platform_failure, reopen, service};

/// The service name of entries that belong to no project: the API key, and the canary.
pub(super) const SERVICE: &str = "keyform";

#[cfg(all(unix, not(target_os = "macos")))]
mod platform {
    use std::error::Error as StdError;

    use secret_service::EncryptionType;
    use secret_service::blocking::SecretService;
    use zbus::blocking::Connection;
    use zbus::blocking::fdo::DBusProxy;

    use crate::ports::SinkError;

    pub(in crate::secrets) const UNLOCK: &str = "unlock it (log in to the desktop, or use its \
                                                 password tool; `with-keyring DIR COMMAND` on a \
                                                 machine without one) and run again";
    pub(in crate::secrets) const NO_STORE: &str = "the Secret Service could not be opened; start \
                                                   one (such as gnome-keyring), or run below \
                                                   `with-keyring DIR COMMAND`";
    const NO_BUS: &str = "there is no D-Bus session (headless machine, container, cron or ssh?); \
        install gnome-keyring and dbus and run below `with-keyring DIR COMMAND`";
    const NO_SERVICE: &str = "nobody offers org.freedesktop.secrets on the D-Bus session; \
        install and start gnome-keyring (or KWallet, KeePassXC), or run below `with-keyring DIR \
        COMMAND`";
    const NO_COLLECTION: &str = "the Secret Service has no default keyring yet; \
        create one with the desktop's password tool, or run below `with-keyring DIR COMMAND`";
    const MEMORY_ONLY: &str = "the default keyring is the `session` collection, which is gone at \
                               logout; \
        make a stored one the default with the desktop's password tool, or run below `with-keyring \
        DIR COMMAND`";

    const NAME: &str = "org.freedesktop.secrets";

    /// Whether there is a default collection that is unlocked and stored.
    pub(in crate::secrets) fn look() -> Result<(), SinkError> {
        let no_bus = || SinkError::Unavailable(NO_BUS.into());
        let bus = Connection::session().map_err(|_| no_bus())?;
        let names = DBusProxy::new(&bus).map_err(|_| no_bus())?;
        let running = names.list_names().is_ok_and(|all| all.iter().any(|n| n.as_str() == NAME));
        let startable = || {
            names.list_activatable_names().is_ok_and(|all| all.iter().any(|n| n.as_str() == NAME))
        };
        if !running && !startable() {
            return Err(SinkError::Unavailable(NO_SERVICE.into()));
        }
        // Plain: only names and flags are asked for, so the costly key exchange would protect
        // nothing.
        let service = SecretService::connect_with_existing(EncryptionType::Plain, bus)
            .map_err(|e| platform_failure(&e))?;
        let collection = service.get_collection_by_alias("default").map_err(|e| match e {
            secret_service::Error::NoResult => SinkError::Unavailable(NO_COLLECTION.into()),
            e => platform_failure(&e),
        })?;
        let path = collection.collection_path.as_str();
        let session = service.get_collection_by_alias("session");
        if path.ends_with("/collection/session")
            || session.is_ok_and(|s| s.collection_path.as_str() == path)
        {
            return Err(SinkError::Volatile(MEMORY_ONLY.into()));
        }
        match collection.is_locked() {
            Ok(false) => Ok(()),
            Ok(true) => Err(SinkError::Locked(UNLOCK.into())),
            Err(e) => Err(platform_failure(&e)),
        }
    }

    /// The process id of the service; `None`: the bus does not tell.
    pub(in crate::secrets) fn service() -> Option<u32> {
        let bus = Connection::session().ok()?;
        let name = NAME.try_into().ok()?;
        DBusProxy::new(&bus).ok()?.get_connection_unix_process_id(name).ok()
    }

    /// A new connection for the entries made from now on: the old one is dead once the service was
    /// restarted, and the `keyring` crate opens its own only once.
    pub(in crate::secrets) fn reopen() -> keyring::Result<()> {
        if keyring::Entry::store_status().is_err() {
            return Err(keyring::Error::NoDefaultStore);
        }
        keyring_core::set_default_store(zbus_secret_service_keyring_store::Store::new()?);
        Ok(())
    }

    /// By kind, never by text: D-Bus errors come from another program and may say anything.
    pub(in crate::secrets) fn platform_failure(
        cause: &(dyn StdError + Send + Sync + 'static),
    ) -> SinkError {
        use secret_service::Error;
        match cause.downcast_ref::<Error>() {
            Some(Error::Zbus(error)) => bus_failure(error),
            Some(Error::Unavailable) => SinkError::Unavailable(NO_BUS.into()),
            Some(Error::Locked | Error::Prompt | Error::PromptDisconnected) => {
                SinkError::Locked(UNLOCK.into())
            }
            Some(Error::NoResult) => SinkError::Unavailable(NO_COLLECTION.into()),
            _ => SinkError::Failed("the Secret Service gave an answer that makes no sense".into()),
        }
    }

    fn bus_failure(error: &zbus::Error) -> SinkError {
        match error {
            zbus::Error::MethodError(name, ..) => match name.as_str() {
                "org.freedesktop.DBus.Error.ServiceUnknown"
                | "org.freedesktop.DBus.Error.NameHasNoOwner" => {
                    SinkError::Unavailable(NO_SERVICE.into())
                }
                "org.freedesktop.DBus.Error.NoReply"
                | "org.freedesktop.DBus.Error.Disconnected" => SinkError::Failed(
                    "the Secret Service ended during the call; start it and run again".into(),
                ),
                "org.freedesktop.Secret.Error.IsLocked" => SinkError::Locked(UNLOCK.into()),
                name => SinkError::Failed(format!(
                    "the Secret Service answered {name}; is its disk full or read-only?"
                )),
            },
            zbus::Error::Connection(..) | zbus::Error::Address(_) => {
                SinkError::Unavailable(NO_BUS.into())
            }
            zbus::Error::InputOutput(io) => SinkError::Failed(format!(
                "the connection to the Secret Service broke ({})",
                io.kind()
            )),
            _ => SinkError::Failed("D-Bus gave an answer that makes no sense".into()),
        }
    }
}

/// macOS Keychain and Windows Credential Manager. Compiled there and not tried: written to need no
/// trying.
///
/// Windows takes at most 2,560 bytes an entry, as UTF-16: 1,280 characters, and
/// [`crate::keyset::Secret`] has at most 1,024.
#[cfg(any(windows, target_os = "macos"))]
mod platform {
    use std::error::Error as StdError;

    use keyring_core::CredentialPersistence;

    use crate::ports::SinkError;

    pub(in crate::secrets) const UNLOCK: &str = "unlock it, allow keyform to use it, and run again";
    pub(in crate::secrets) const NO_STORE: &str = "the keyring of the system could not be opened";

    /// Whether the system's store keeps entries until they are deleted. These stores tell the truth
    /// about it.
    pub(in crate::secrets) fn look() -> Result<(), SinkError> {
        let unavailable = || SinkError::Unavailable(NO_STORE.into());
        if keyring::Entry::store_status().is_err() {
            return Err(unavailable());
        }
        let store = keyring_core::get_default_store().ok_or_else(unavailable)?;
        match store.persistence() {
            CredentialPersistence::UntilDelete => Ok(()),
            _ => Err(SinkError::Volatile("entries are gone after a logout or restart".into())),
        }
    }

    /// There is one keyring of the system, and no service of one's own.
    pub(in crate::secrets) fn service() -> Option<u32> {
        None
    }

    /// There is no service that could be restarted below the store.
    pub(in crate::secrets) fn reopen() -> keyring::Result<()> {
        Ok(())
    }

    pub(in crate::secrets) fn platform_failure(
        _: &(dyn StdError + Send + Sync + 'static),
    ) -> SinkError {
        SinkError::Failed(
            "the system refused the call; is the keyring of this user intact and unlocked?".into(),
        )
    }
}
