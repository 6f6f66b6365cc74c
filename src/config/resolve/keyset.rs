//! `[keyset.LABEL]` with its profiles -> [`DesiredKeyset`].

use std::collections::{BTreeMap, BTreeSet};

use super::{Apps, Profiles, Resolver};
use crate::config::codes;
use crate::config::fields::kind_of_keyset;
use crate::config::problem::Problem;
use crate::config::rules;
use crate::config::tables::{Body, Checked, Head, KeysetTable, Word};
use crate::keyset::views::{DesiredKeyset, is_protected_type};
use crate::keyset::{Declared, FieldId, Label, Origin, Value};

impl Resolver<'_> {
    pub(super) fn keysets(
        &mut self,
        mut tables: Vec<KeysetTable>,
        apps: &Apps,
        profiles: &Profiles,
        head: &Head,
    ) -> BTreeMap<Label, DesiredKeyset> {
        // Stable, so that the first declaration stays first; and a map is built fastest from sorted
        // pairs.
        tables.sort_by(|a, b| a.label.cmp(&b.label));
        let mut keysets = Vec::with_capacity(tables.len());
        // Most projects have none of them, and some have very many labels.
        let declared: BTreeSet<Label> = match tables.iter().any(|table| !table.moved.is_empty()) {
            true => tables.iter().map(|table| table.label.clone()).collect(),
            false => BTreeSet::new(),
        };
        let mut given = BTreeMap::new();
        let mut last: Option<(Label, Origin)> = None;
        for table in tables {
            let moved_from =
                self.moved("keyset", &table.moved, |label| declared.contains(label), &mut given);
            match &last {
                Some((label, first)) if *label == table.label => {
                    self.duplicate("keyset", label, table.origin, *first)
                }
                _ => {
                    last = Some((table.label.clone(), table.origin));
                    let read = self.keyset(table, apps, profiles, head);
                    keysets.extend(
                        read.map(|(label, keyset)| (label, DesiredKeyset { moved_from, ..keyset })),
                    );
                }
            }
        }
        keysets.into_iter().collect()
    }

    fn keyset(
        &mut self,
        table: KeysetTable,
        apps: &Apps,
        profiles: &Profiles,
        head: &Head,
    ) -> Option<(Label, DesiredKeyset)> {
        let KeysetTable { label, origin, app, profiles: named, protect, freeze, moved: _, body } =
            table;
        let mut body = self.with_profiles(body, named, profiles);
        body.incomplete |= self.broken.contains(&origin.file);
        self.default_name(&mut body.settings, &label, origin, &body.rejected);
        let rotate = body.rotate.flatten();
        rules::rotation_tier(rotate.as_ref(), head.api.tier, &mut self.problems);
        if !body.incomplete {
            self.check_complete(&label, origin, &body);
        }
        rules::tier(&body.settings, head.api.tier, &mut self.problems);
        body.settings.shrink_to_fit();
        let protect = protect.unwrap_or_else(|| {
            let kind = kind_of_keyset().and_then(|id| body.settings.get(id));
            kind.is_some_and(|setting| is_protected_type(&setting.value))
        });
        let (app, app_origin) = self.app_of(&label, origin, app, apps)?;
        let keyset = DesiredKeyset {
            app,
            app_origin,
            settings: body.settings,
            protect,
            freeze,
            mirrors: Box::default(),
            moved_from: Box::default(),
            ignored: body.ignored.into(),
            rotate,
            push: body.push.into(),
            origin,
        };
        Some((label, keyset))
    }

    /// What a keyset's own table says, over what its profiles say.
    fn with_profiles(&mut self, own: Body, named: Vec<Word>, profiles: &Profiles) -> Body {
        let Body {
            settings: own_settings,
            ignored: mut own_ignored,
            rotate: own_rotate,
            push: own_push,
            rejected,
            incomplete,
        } = own;
        let mut body = Body { rejected, incomplete, ..Body::default() };
        let mut push = BTreeMap::new();
        for word in named {
            match find(profiles, &word.text) {
                Some((profile, declared_at)) => {
                    merge(&mut body.settings, &profile.settings);
                    body.ignored.extend_from_slice(&profile.ignored);
                    body.rotate = profile.rotate.or(body.rotate);
                    push.extend(profile.push.iter().map(|push| (push.push, push.clone())));
                    body.rejected.extend_from_slice(&profile.rejected);
                    body.incomplete |=
                        profile.incomplete || self.broken.contains(&declared_at.file);
                }
                None => {
                    body.incomplete = true;
                    self.unknown(codes::UNKNOWN_PROFILE, "profile", &word, profiles.keys());
                }
            }
            self.used.insert(word.text);
        }
        if body.settings.is_empty() {
            body.settings = own_settings;
        } else {
            merge(&mut body.settings, &own_settings);
        }
        // The keyset's own reason is the one that counts.
        own_ignored.append(&mut body.ignored);
        own_ignored.sort_by_key(|ignored| ignored.field);
        own_ignored.dedup_by_key(|ignored| ignored.field);
        body.ignored = own_ignored;
        body.rotate = own_rotate.or(body.rotate);
        push.extend(own_push.into_iter().map(|declared| (declared.push, declared)));
        body.push = push.into_values().collect();
        body
    }

    /// Reports what it needs and does not have, of itself or of its profiles.
    fn check_complete(&mut self, label: &Label, origin: Origin, body: &Body) {
        let Body { settings, rejected, .. } = body;
        let given = |id: FieldId| settings.get(id).is_some() || rejected.contains(&id);
        if let Some(id) = kind_of_keyset()
            && !given(id)
        {
            let title = format!("keyset `{label}` has no `{id}`");
            let problem =
                Problem::new(codes::NO_TYPE, origin, title, "the API asks for it at creation");
            let legal = id.field().legal();
            self.problems
                .push(problem.help(format!("add `{id} = ...`: {legal}; or a profile that has it")));
        }
        rules::companions(label, settings, given, &mut self.problems);
        rules::needs(label, settings, given, &mut self.problems);
    }

    /// The app that it names, and where; `None`: reported.
    fn app_of(
        &mut self,
        label: &Label,
        origin: Origin,
        named: Checked<Word>,
        apps: &Apps,
    ) -> Option<(Label, Origin)> {
        let word = match named {
            Checked::Valid(word) => word,
            Checked::Rejected => return None,
            Checked::Absent => {
                if !self.broken.contains(&origin.file) {
                    let title = format!("keyset `{label}` has no app");
                    self.problems.push(
                        Problem::new(codes::NO_APP, origin, title, "belongs to which app?")
                            .help("add `app = \"LABEL\"`, the label of an `[app.LABEL]` table"),
                    );
                }
                return None;
            }
        };
        let app = Label::parse(&word.text).ok().filter(|app| apps.contains_key(app));
        if app.is_none() {
            self.unknown(codes::UNKNOWN_APP, "app", &word, apps.keys());
        }
        app.map(|app| (app, word.origin))
    }

    /// A keyset is called by its label unless it says otherwise.
    fn default_name(
        &mut self,
        settings: &mut Declared,
        label: &Label,
        origin: Origin,
        rejected: &[FieldId],
    ) {
        let Some(id) = FieldId::find("keyset", "name") else { return };
        if settings.get(id).is_none()
            && !rejected.contains(&id)
            && settings.set(id, Value::Text(label.as_str().into()), origin).is_err()
        {
            self.problems.push(
                Problem::new(
                    codes::BAD_TEXT,
                    origin,
                    format!("bad text for `{id}`"),
                    "the label is no name",
                )
                .help("add a name"),
            );
        }
    }
}

fn find<'m, T>(map: &'m BTreeMap<Label, T>, text: &str) -> Option<&'m T> {
    map.get(&Label::parse(text).ok()?)
}

/// Later settings win. They were accepted once and are again.
fn merge(into: &mut Declared, from: &Declared) {
    for setting in from.iter() {
        let accepted = into.set(setting.field, setting.value.clone(), setting.origin);
        debug_assert!(accepted.is_ok(), "accepted values stay acceptable");
    }
}
