//! The one way to a state that can be written, and to an account that can be changed.

use std::time::Duration;

use tokio::sync::OnceCell;

use super::account::{ConnectOptions, Connection};
use super::error::{Cause, Failure};
use super::origin::origin;
use super::workspace::Workspace;
use crate::api::Client;
use crate::keyset::Label;
use crate::keyset::views::Recorded;
use crate::state::{Snapshot, Store, Waiting};
use crate::storage::Holder;

/// How a writing use case begins.
pub struct Writing<'a> {
    /// What others are told who find the lock taken.
    pub command: &'static str,
    /// How long it waits for another run to end.
    pub lock_timeout: Duration,
    /// Hears once who is at work, where there is somebody.
    pub on_wait: Box<dyn Fn(&Holder) + 'a>,
}

/// What a use case is going to change in the account.
#[derive(Clone, Copy)]
pub enum Changes<'a> {
    /// What a plan says. The planner refuses what is frozen, and apply carries out no plan with a
    /// refusal.
    Planned,
    /// These keysets, because somebody asks for it by hand. `done`: what did not happen if it is
    /// refused, such as `nothing was rotated`.
    Keysets { labels: &'a [Label], refused: &'static str },
}

/// A scope in which state and account may be changed. It is there only inside [`Writer::run`].
pub struct Writer<'a> {
    workspace: &'a Workspace,
    store: Store,
    reading: OnceCell<Connection>,
    changing: OnceCell<Connection>,
}

/// What a use case came to, and whether its end could be written down.
#[must_use]
pub struct Finished<T> {
    pub value: T,
    /// Of what was done, all is in the journal. `Err`: it could not be folded into the state, or
    /// the sandbox could not write down what it has.
    pub closed: anyhow::Result<()>,
}

impl<T> Finished<T> {
    /// The value, if everything ended well.
    pub fn whole(self) -> anyhow::Result<T> {
        self.closed?;
        Ok(self.value)
    }
}

impl Writer<'_> {
    /// Takes the lock, opens the state, takes up the journal of a run that did not end, lets `work`
    /// act, and in any case folds the journal into the state and closes what was opened.
    ///
    /// Guarantees: nobody else writes meanwhile; what `work` appended is in the journal when it
    /// fails, and in the state if that can be written.
    ///
    /// Errors: that of `work` first; its value is given back together with what went wrong at the
    /// end.
    pub async fn run<T>(
        workspace: &Workspace,
        writing: Writing<'_>,
        work: impl AsyncFnOnce(&Writer<'_>, Snapshot) -> anyhow::Result<T>,
    ) -> anyhow::Result<Finished<T>> {
        workspace.prepare_state_folder()?;
        let (store, snapshot) = Store::open_within(
            workspace.storage(),
            &workspace.project.desired.project,
            writing.command,
            Waiting { patience: writing.lock_timeout, told: &*writing.on_wait },
        )
        .await?;
        store.log().came_from(origin(workspace));
        let (reading, changing) = (OnceCell::new(), OnceCell::new());
        let writer = Writer { workspace, store, reading, changing };
        let result = work(&writer, snapshot).await;
        let Writer { store, reading, changing, .. } = writer;
        // What was done is folded and written down whatever became of the rest.
        let mut closed = store.fold().await.map_err(anyhow::Error::from);
        for connection in [reading, changing].into_iter().filter_map(OnceCell::into_inner) {
            closed = closed.and(connection.close().await);
        }
        Ok(Finished { value: result?, closed })
    }

    /// Where what is done is recorded.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The account, to be told. What would change it is not sent.
    pub async fn account(&self, options: &ConnectOptions) -> anyhow::Result<&Client> {
        let connect = || self.workspace.connect(options);
        Ok(&self.reading.get_or_try_init(connect).await?.client)
    }

    /// The account, to be changed: each change is noted in the audit log first. What `freeze` holds
    /// back is refused.
    pub async fn account_to_change(
        &self,
        options: &ConnectOptions,
        changes: Changes<'_>,
    ) -> anyhow::Result<&Client> {
        match changes {
            Changes::Planned => {}
            Changes::Keysets { labels, refused } => {
                not_frozen(self.workspace, &self.store.snapshot().recorded, labels, refused)?;
            }
        }
        let connect = || self.workspace.connect_to_change(options, self.store.log().clone());
        Ok(&self.changing.get_or_try_init(connect).await?.client)
    }
}

/// `freeze` of a keyset, of its app or of the project holds for what is asked for by hand too.
fn not_frozen(
    workspace: &Workspace,
    recorded: &Recorded,
    labels: &[Label],
    refused: &str,
) -> anyhow::Result<()> {
    let desired = &workspace.project.desired;
    let freeze = |label: &Label| desired.keyset_freeze(label, &recorded.keysets.get(label)?.app);
    let Some((label, freeze)) = labels.iter().find_map(|label| Some((label, freeze(label)?)))
    else {
        return Ok(());
    };
    let place = workspace
        .sources
        .place(freeze.origin)
        .map(|at| format!("{}:{}:{}", at.path, at.line, at.column))
        .unwrap_or_default();
    let told = format!("`{label}` is frozen: \"{}\" ({place}): {refused}", freeze.reason);
    Err(Failure::new(Cause::Refused, told).help("take `freeze` out when the reason is gone").into())
}
