//! Checks of what only the merged picture shows. Checks of single values are in the files
//! of their tables, where the grammar asks for them.

use std::collections::BTreeMap;

use super::codes;
use super::problem::{Problem, Severity};
use super::resolve::Apps;
use super::secrets::{SecretsTable, SinkKind};
use super::tables::{Checked, Head};
use crate::keyset::field::{Certainty, Need, Section, Tier};
use crate::keyset::table::SECTIONS;
use crate::keyset::views::{AppSource, DesiredKeyset, Rotate};
use crate::keyset::{Declared, FieldId, Label, Origin, Value};

/// The vendor's free plan allows three keysets per account, a hard limit (Admin API notes, section
/// 3; documented).
const FREE_KEYSETS: usize = 3;

/// What is only inferred warns.
fn severity(certainty: Certainty) -> Severity {
    match certainty {
        Certainty::Documented | Certainty::VendorClient => Severity::Error,
        Certainty::Inferred => Severity::Warning,
    }
}

/// A section that is on has the fields it cannot do without.
pub(super) fn companions(
    label: &Label,
    settings: &Declared,
    given: impl Fn(FieldId) -> bool,
    problems: &mut Vec<Problem>,
) {
    for on in settings.iter().filter(|setting| setting.value == Value::Bool(true)) {
        let missing: Vec<FieldId> = on.field.companions().filter(|id| !given(*id)).collect();
        if missing.is_empty() {
            continue;
        }
        let section = on.field.section();
        let names: Vec<String> = missing.iter().map(|id| format!("`{id}`")).collect();
        let values: Vec<String> = missing
            .iter()
            .map(|id| format!("`{}`: {}", id.field().name, id.field().legal()))
            .collect();
        problems.push(
            Problem::new(
                codes::COMPANION,
                on.origin,
                format!("`{}` is enabled without {}", section.name, names.join(" and ")),
                format!("needs {}", names.join(" and ")),
            )
            .help(format!("in keyset `{label}`, add {}", values.join("; ")))
            .severity(severity(section.when_enabled_certainty)),
        );
    }
}

/// A section that is on has the switches of other sections that it needs.
pub(super) fn needs(
    label: &Label,
    settings: &Declared,
    given: impl Fn(FieldId) -> bool,
    problems: &mut Vec<Problem>,
) {
    for section in SECTIONS.iter().filter(|section| !section.needs.is_empty()) {
        needs_of(section, section.needs, label, settings, &given, problems);
    }
}

fn needs_of(
    section: &Section,
    needs: &[Need],
    label: &Label,
    settings: &Declared,
    given: &impl Fn(FieldId) -> bool,
    problems: &mut Vec<Problem>,
) {
    let switch =
        section.switch().and_then(|switch| settings.get(FieldId::find(section.name, switch.name)?));
    let Some(on) = switch.filter(|on| on.value == Value::Bool(true)) else { return };
    for need in needs {
        let Some(id) = FieldId::find(need.section, need.field) else { continue };
        let met = match settings.get(id) {
            Some(setting) => setting.value == Value::Bool(true),
            // Rejected, and reported.
            None => given(id),
        };
        if !met {
            problems.push(
                Problem::new(
                    codes::NEED,
                    on.origin,
                    format!("`{}` is enabled without `{id}`", section.name),
                    need.why,
                )
                .help(format!("in keyset `{label}`, set `{id} = true`"))
                .severity(severity(need.certainty)),
            );
        }
    }
}

/// Values are part of the plan that `[api] tier` names; without it nothing is known.
pub(super) fn tier(settings: &Declared, tier: Option<Tier>, problems: &mut Vec<Problem>) {
    let Some(tier) = tier else { return };
    for setting in settings.iter() {
        let id = setting.field;
        let Some(lowest) = id.field().tier_for(&setting.value).filter(|lowest| *lowest > tier)
        else {
            continue;
        };
        problems.push(
            Problem::new(
                codes::TIER,
                setting.origin,
                format!("`{id} = {}` is not part of the {} tier", setting.value, tier.name()),
                format!("needs the {} tier", lowest.name()),
            )
            .help("choose another value, or set `[api] tier` to the tier of your account")
            .severity(severity(id.field().source.certainty)),
        );
    }
}

/// A secret key that works on beside the new one is part of the paid plans (Admin API: rotate
/// secret key; documented).
pub(super) fn rotation_tier(
    rotate: Option<&Rotate>,
    tier: Option<Tier>,
    problems: &mut Vec<Problem>,
) {
    if let (Some(rotate), Some(Tier::Free)) = (rotate, tier) {
        problems.push(
            Problem::new(
                codes::TIER,
                rotate.origin,
                "`rotate` with an overlap is not part of the free tier",
                "needs the starter tier",
            )
            .help("take it out, or set `[api] tier` to the tier of your account"),
        );
    }
}

pub(super) fn free_tier(keysets: usize, head: &Head, problems: &mut Vec<Problem>) {
    if head.api.tier == Some(Tier::Free) && keysets > FREE_KEYSETS {
        problems.push(
            Problem::new(
                codes::FREE_TIER,
                head.tier,
                "too many keysets for the free tier",
                format!("allows {FREE_KEYSETS} keysets, {keysets} are declared"),
            )
            .help("declare fewer, or set `[api] tier` to the tier of your account"),
        );
    }
}

/// A sink that needs a table has one, and no table describes a sink that is not used.
pub(super) fn sinks(secrets: &SecretsTable, problems: &mut Vec<Problem>) {
    let sinks = match &secrets.sinks {
        Checked::Valid(sinks) => sinks.as_slice(),
        Checked::Absent => &[],
        // A sink that is misspelt may be any of them.
        Checked::Rejected => return,
    };
    for kind in SinkKind::ALL {
        let Some(line) = kind.table_needs() else { continue };
        let name = kind.name();
        let used = sinks.iter().find(|(used, _)| *used == kind);
        match (used, secrets.tables.get(name)) {
            (Some((_, at)), None) => problems.push(
                Problem::new(
                    codes::SINK_TABLE,
                    *at,
                    format!("sink `{name}` without its table"),
                    format!("needs `[secrets.{name}]`"),
                )
                .help(format!("add `[secrets.{name}]` with `{line}`")),
            ),
            (None, Some(at)) => problems.push(
                Problem::new(
                    codes::SINK_UNUSED,
                    *at,
                    format!("`[secrets.{name}]` is not used"),
                    format!("`sinks` does not name `{name}`"),
                )
                .help(format!(
                    "write `sinks = [\"{name}\"]` in `[secrets]`; until then it \
                                   serves `secrets copy` and reading only"
                )),
            ),
            _ => {}
        }
    }
}

/// No two keysets have one sealed file, wherever the project is checked out.
pub(super) fn same_file(
    keysets: &BTreeMap<Label, DesiredKeyset>,
    secrets: &SecretsTable,
    place: impl Fn(Origin) -> String,
    problems: &mut Vec<Problem>,
) {
    let Checked::Valid(sinks) = &secrets.sinks else { return };
    if sinks.iter().all(|(kind, _)| *kind != SinkKind::Age) {
        return;
    }
    let mut files: BTreeMap<String, Origin> = BTreeMap::new();
    for (label, keyset) in keysets {
        if let Some(first) = files.insert(label.as_str().to_lowercase(), keyset.origin) {
            let also = format!("but for upper and lower case the label at {}", place(first));
            problems.push(
                Problem::new(
                    codes::SAME_FILE,
                    keyset.origin,
                    format!("`{label}.age` may be the file of another keyset"),
                    also,
                )
                .help("give one of them another label: the sink `age` names files after labels"),
            );
        }
    }
}

/// No two managed apps have one name, no two labels mean one app.
pub(super) fn same_app(apps: &Apps, place: impl Fn(Origin) -> String, problems: &mut Vec<Problem>) {
    let (mut names, mut ids) = (BTreeMap::new(), BTreeMap::new());
    let mut sources: Vec<&AppSource> =
        apps.values().filter_map(|app| app.source.as_ref()).collect();
    sources.sort_by_key(|source| source_origin(source));
    for source in sources {
        match source {
            AppSource::Managed { name, origin } => {
                if let Some(first) = names.get(name) {
                    problems.push(
                        Problem::new(
                            codes::SAME_APP_NAME,
                            *origin,
                            "two apps of one name",
                            format!("also at {}", place(*first)),
                        )
                        .help(
                            "keyform could not tell them apart in the account: give one of \
                                   them another name",
                        ),
                    );
                } else {
                    names.insert(name, *origin);
                }
            }
            AppSource::Existing { id, origin } => {
                if let Some(first) = ids.get(id) {
                    problems.push(
                        Problem::new(
                            codes::SAME_APP_ID,
                            *origin,
                            "two labels for one app",
                            format!("also at {}", place(*first)),
                        )
                        .help("use one label for both"),
                    );
                } else {
                    ids.insert(id, *origin);
                }
            }
        }
    }
}

fn source_origin(source: &AppSource) -> Origin {
    match source {
        AppSource::Managed { origin, .. } | AppSource::Existing { origin, .. } => *origin,
    }
}

/// No two keysets have one app and name: after a lost answer keyform looks for a keyset by them.
pub(super) fn same_keyset(
    keysets: &BTreeMap<Label, DesiredKeyset>,
    place: impl Fn(Origin) -> String,
    problems: &mut Vec<Problem>,
) {
    let Some(id) = FieldId::find("keyset", "name") else { return };
    let mut named: Vec<(&Label, &Value, Origin)> = keysets
        .values()
        .filter_map(|keyset| {
            keyset.settings.get(id).map(|name| (&keyset.app, &name.value, name.origin))
        })
        .collect();
    named.sort_by(|a, b| (a.0, text(a.1), a.2).cmp(&(b.0, text(b.1), b.2)));
    for same in named.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let Some(((.., first), rest)) = same.split_first() else { continue };
        for (app, _, origin) in rest {
            problems.push(
                Problem::new(
                    codes::SAME_KEYSET_NAME,
                    *origin,
                    format!("two keysets of one name in app `{app}`"),
                    format!("also at {}", place(*first)),
                )
                .help(
                    "keyform could not tell them apart in the account: give one of them another \
                       name",
                ),
            );
        }
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        Value::Null | Value::Bool(_) | Value::Int(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_met_by_the_other_switch_only() {
        let mut switches = SECTIONS.iter().filter_map(|section| Some((section, section.switch()?)));
        let ((section, switch), (other, needed)) =
            (switches.next().unwrap(), switches.next().unwrap());
        let needs = [Need {
            section: other.name,
            field: needed.name,
            why: "because",
            certainty: Certainty::Inferred,
        }];
        let (on, need) = (
            FieldId::find(section.name, switch.name).unwrap(),
            FieldId::find(other.name, needed.name).unwrap(),
        );
        let problems = |pairs: &[(FieldId, bool)], given: bool| {
            let mut settings = Declared::default();
            for (id, value) in pairs {
                settings
                    .set(*id, Value::Bool(*value), Origin { file: 0, start: 1, end: 2 })
                    .unwrap();
            }
            let mut problems = Vec::new();
            needs_of(
                section,
                &needs,
                &Label::parse("a").unwrap(),
                &settings,
                &|_| given,
                &mut problems,
            );
            problems
        };
        assert_eq!(problems(&[(on, true), (need, true)], false), []);
        assert_eq!(problems(&[(on, false)], false), []);
        assert_eq!(problems(&[(on, true)], true), [], "a rejected value is reported once");
        for unmet in [problems(&[(on, true)], false), problems(&[(on, true), (need, false)], true)]
        {
            assert_eq!(unmet.len(), 1);
            assert_eq!(
                (unmet[0].code, unmet[0].severity, unmet[0].label.as_str()),
                ("KF051", Severity::Warning, "because")
            );
        }
    }
}
