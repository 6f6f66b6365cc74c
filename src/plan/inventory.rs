//! What is managed: the records of apps and keysets, and whether the TOML still declares them. The
//! account is not asked.

use std::collections::BTreeSet;

use crate::keyset::views::{Desired, Recorded, RecordedApp, RecordedKeyset};
use crate::keyset::{AppId, KeysetId, Label};

use super::moves::relabelled;

/// Apps and keysets of the state, each by label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory<'a> {
    pub apps: Vec<AppItem<'a>>,
    pub keysets: Vec<KeysetItem<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppItem<'a> {
    pub label: &'a Label,
    pub app: &'a RecordedApp,
    /// Perhaps under a label that it gets with the next apply.
    pub declared: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysetItem<'a> {
    pub label: &'a Label,
    pub keyset: &'a RecordedKeyset,
    /// Perhaps under a label that it gets with the next apply.
    pub declared: bool,
}

/// Everything that is recorded.
pub fn inventory<'a>(desired: &Desired, recorded: &'a Recorded) -> Inventory<'a> {
    let under_new_labels = relabelled(desired, recorded);
    let apps = under_new_labels.apps.iter().filter(|(label, _)| desired.apps.contains_key(label));
    let apps: BTreeSet<&AppId> = apps.map(|(_, app)| &app.id).collect();
    let keysets =
        under_new_labels.keysets.iter().filter(|(label, _)| desired.keysets.contains_key(label));
    let keysets: BTreeSet<&KeysetId> = keysets.map(|(_, keyset)| &keyset.id).collect();
    Inventory {
        apps: recorded
            .apps
            .iter()
            .map(|(label, app)| AppItem { label, app, declared: apps.contains(&app.id) })
            .collect(),
        keysets: recorded
            .keysets
            .iter()
            .map(|(label, keyset)| KeysetItem {
                label,
                keyset,
                declared: keysets.contains(&keyset.id),
            })
            .collect(),
    }
}

impl Inventory<'_> {
    /// Leaves these keysets (none named: all) of this app (none named: of any), and the apps that
    /// they are in.
    pub fn limit(&mut self, labels: &BTreeSet<&Label>, app: Option<&Label>) {
        self.keysets.retain(|item| labels.is_empty() || labels.contains(item.label));
        self.keysets.retain(|item| app.is_none_or(|app| item.keyset.app == *app));
        self.apps.retain(|item| app.is_none_or(|app| item.label == app));
        if !labels.is_empty() {
            self.apps
                .retain(|item| self.keysets.iter().any(|keyset| keyset.keyset.app == *item.label));
        }
    }
}
