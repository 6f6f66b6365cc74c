//! Everything a plan depends on, as one value.

use super::model::{OpenCreates, Policy};
use crate::keyset::push::PushFiles;
use crate::keyset::views::{Desired, Live, LiveApp, LiveKeyset, Recorded};
use crate::keyset::{AppId, KeysetId, Label};

/// Everything a plan depends on.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub desired: &'a Desired,
    pub recorded: &'a Recorded,
    /// `None`: the account is not looked at (`--refresh=none`).
    pub live: Option<&'a Live>,
    pub open: &'a OpenCreates,
    pub policy: &'a Policy,
    pub now: jiff::Timestamp,
    /// Files with push credentials.
    pub push: &'a PushFiles,
}

/// What the server says of something that the state knows.
#[derive(Clone, Copy)]
pub(super) enum Seen<'a, T> {
    NotAsked,
    There(&'a T),
    Gone,
}

impl<'a, T> Seen<'a, T> {
    fn of(asked: bool, found: Option<&'a T>) -> Seen<'a, T> {
        match (asked, found) {
            (_, Some(found)) => Seen::There(found),
            (true, None) => Seen::Gone,
            (false, None) => Seen::NotAsked,
        }
    }
}

impl<'a> Inputs<'a> {
    pub(super) fn app_seen(&self, id: &AppId) -> Seen<'a, LiveApp> {
        Seen::of(self.live.is_some(), self.live.and_then(|live| live.apps.get(id)))
    }
    pub(super) fn keyset_seen(&self, id: &KeysetId) -> Seen<'a, LiveKeyset> {
        Seen::of(self.live.is_some(), self.live.and_then(|live| live.keysets.get(id)))
    }
    pub(super) fn in_scope(&self, label: &Label) -> bool {
        self.policy.covers(label)
    }
}
