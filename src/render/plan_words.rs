//! What a plan's refusals and notes say, for people and for JSON alike.

use std::fmt::Display;

use crate::keyset::{Bounded, Budget, FieldId, Label, Life, Value, duration};
use crate::plan::{Mirroring, Note, Orphan, Reason, Refused, Rotation, Upload};

use super::text::{count, terminal};

/// A refusal in words.
pub(super) struct Words {
    /// What is refused, in one line.
    pub what: String,
    pub why: String,
    /// What can be done instead, best first.
    pub instead: Vec<String>,
}

/// Most names listed in one sentence.
const LISTED: usize = 5;

const NEW_KEYSET: &str = "or declare another keyset under a new label beside this one: it gets new \
                          keys, and the data stays with the old one";

pub(super) fn refused(why: &Refused) -> Words {
    match why {
        Refused::Immutable { field, from, to } => Words {
            what: format!("`{field}` is {} and cannot become {}", value(from), value(to)),
            why: match field.field().life {
                Life::Fixed => format!(
                    "`{field}` is given at creation and never changes. ({})",
                    field.field().source.place
                ),
                Life::OnceSet | Life::Mutable | Life::ReadOnly => {
                    format!(
                        "Once set, `{field}` never changes. ({}: {})",
                        field.field().source.certainty.name(),
                        field.field().source.place
                    )
                }
            },
            instead: vec![
                format!("put the value back: {}", assign(*field, from)),
                NEW_KEYSET.into(),
            ],
        },
        Refused::NeedsConsent { field, to } => Words {
            what: format!("`{field}` would become {}, and that is final", value(to)),
            why: format!("The keyset exists, and once set `{field}` never changes."),
            instead: vec![
                "agree to it: --allow-irreversible".into(),
                "or take the line out: undeclared fields are left alone".into(),
            ],
        },
        Refused::AppChanged { from, to } => Words {
            what: if from == to {
                format!("the keyset is in another app than the one that `{to}` stands for now")
            } else {
                format!("the keyset is in app `{from}` and cannot move to app `{to}`")
            },
            why: "The Admin API has no call that moves a keyset.".into(),
            instead: vec![
                if from == to {
                    format!("let `[app.{from}]` stand for the old app again")
                } else {
                    format!("put it back: app = \"{from}\"")
                },
                format!(
                    "or, if only the label is new, let `[app.{to}]` refer to the app by its \
                         id: id = \"...\""
                ),
                NEW_KEYSET.into(),
            ],
        },
        Refused::AppReplaced { app, from, to } => Words {
            what: format!("`{app}` stood for app {from} and now stands for {to}"),
            why: "It has keysets, and the Admin API has no call that moves a keyset.".into(),
            instead: vec![
                format!("put it back: id = \"{from}\""),
                format!("or declare app {to} under a label of its own"),
            ],
        },
        Refused::AppNotVisible { id } => Words {
            what: format!("the account does not show app {id}"),
            why: "It was deleted, or the API key belongs to another account or may not see it."
                .into(),
            instead: vec![
                "check which account the API key belongs to, and its permissions".into(),
                "or, if keyform made the app and it was deleted with its keysets: --recreate LABEL \
                 for each of these keysets".into(),
            ],
        },
        Refused::Vanished { gone, recorded } => Words {
            what: format!(
                "{} of {} are gone at the server: {}",
                gone.len(),
                count(*recorded, "recorded keyset"),
                list(gone, "", ", ")
            ),
            why: "So many at once look like another account. Made again they have new keys, and \
                  the old data is gone."
                .into(),
            instead: vec![
                "check which account the API key belongs to".into(),
                format!("or insist, naming each: {}", list(gone, "--recreate ", " ")),
            ],
        },
        Refused::MovedWhileSealed { from, since } => Words {
            what: format!(
                "the answer to what was begun {since} for `{from}` is sealed in the \
                           journal"
            ),
            why: "It holds the only copy of a secret key, which belongs to the old label until it \
                  is stored."
                .into(),
            instead: vec![
                "`keyform secrets recover`, where the private key is; then apply again".into(),
            ],
        },
        Refused::Protected { id } => Words {
            what: format!("keyset {id} is protected and is not deleted"),
            why: "It was declared as protected, which a production keyset is by default; deleted \
                  keys never work again."
                .into(),
            instead: vec![
                "put it back into the TOML; with `protect = false` and an apply it may be deleted \
                 afterwards"
                    .into(),
                "or let keyform forget it and leave it alone: keyform state rm LABEL".into(),
                "or delete the others only: --target LABEL".into(),
            ],
        },
        Refused::OtherKeys { id } => Words {
            what: format!("keyset {id} has other keys in the account than those that are recorded"),
            why: "So it is not the keyset that the state knows, and it is not deleted.".into(),
            instead: vec![
                "check which account the API key belongs to".into(),
                "or let keyform forget it and leave it alone: keyform state rm LABEL".into(),
            ],
        },
        Refused::OverLimit { kind, planned, limit, budget } => {
            let most = match budget {
                Budget::Count(_) => limit.to_string(),
                Budget::Percent(_) => format!("{limit} ({budget} of the keysets in the state)"),
            };
            let name = kind.name();
            Words {
                what: match kind {
                    Bounded::Create | Bounded::Update => format!(
                        "{} to {name}, and the limit is \
                                                                  {most}",
                        count(*planned, "keyset")
                    ),
                    Bounded::Irreversible => format!(
                        "{} to set for ever, and the limit is {most}",
                        count(*planned, "field")
                    ),
                    Bounded::Delete => format!("{planned} to delete, and the limit is {most}"),
                },
                why: match kind {
                    Bounded::Delete => "`[limits] delete` bounds what one apply may delete; it is \
                                        0 unless it says otherwise."
                        .into(),
                    _ => format!("`[limits] {name}` bounds what one apply may do."),
                },
                instead: vec![
                    format!("if it is meant: --limit {name}={planned}"),
                    "or do a part of it: --target LABEL".into(),
                    format!("or raise `{name}` in `[limits]`"),
                ],
            }
        }
        Refused::NoPushFile { push, file, why } => Words {
            what: format!(
                "{push} has to be uploaded, and {} cannot be: {}",
                quoted(file),
                terminal(why)
            ),
            why: "The account was given none, or another one, and an upload needs the file.".into(),
            instead: vec![
                "put the file there and plan again".into(),
                "or do the rest: --target LABEL".into(),
            ],
        },
        Refused::Frozen { reason, app: _ } => Words {
            what: format!("frozen: {}", quoted(reason)),
            why: "What is frozen is planned and never applied.".into(),
            instead: vec![
                "take `freeze` out when the reason is gone".into(),
                "or do the rest: --target LABEL".into(),
            ],
        },
        Refused::NameTaken { app, name, id, recorded_as } => Words {
            what: format!(
                "app `{app}` has a keyset named {} already: {id}{}",
                quoted(name),
                known_as(recorded_as)
            ),
            why: "A create would make a second one of the same name.".into(),
            instead: match recorded_as {
                Some(old) => {
                    vec![
                        format!("if only the label is new: moved = {{ from = \"{old}\" }}"),
                        "or give this keyset another `name`".into(),
                    ]
                }
                None => vec![
                    LOST_STATE.into(),
                    "or give this keyset another `name`".into(),
                    "or rename or delete the one in the account".into(),
                ],
            },
        },
        Refused::AppNameTaken { name, id, recorded_as } => Words {
            what: format!(
                "the account has an app named {} already: {id}{}",
                quoted(name),
                known_as(recorded_as)
            ),
            why: "A create would make a second one of the same name.".into(),
            instead: match recorded_as {
                Some(old) => {
                    vec![
                        format!("if only the label is new: moved = {{ from = \"{old}\" }}"),
                        "or give this app another `name`".into(),
                    ]
                }
                None => vec![
                    LOST_STATE.into(),
                    format!("or refer to it instead of `name`: id = \"{id}\""),
                    "or give this app another `name`".into(),
                ],
            },
        },
        Refused::UnknownLabel { label, nearest } => Words {
            what: format!("there is no keyset {}", quoted(label)),
            why: "It is neither declared nor in the state.".into(),
            instead: match nearest {
                Some(nearest) => vec![format!("did you mean {nearest}?")],
                None => {
                    vec!["give the label of a keyset: the LABEL of its `[keyset.LABEL]`".into()]
                }
            },
        },
    }
}

/// What was made by keyform, and is not known any more.
const LOST_STATE: &str =
    "if the state got lost or is an old one: bring it back, or rebuild it (keyform adopt --all)";

pub(super) fn reason(reason: &Reason) -> Option<String> {
    match reason {
        Reason::New => None,
        Reason::DeletedOutside { id } => {
            Some(format!("deleted outside (was {}): new keys, old data gone", terminal(id)))
        }
        Reason::Unfinished { since } => Some(format!(
            "begun {since}, end not known: looked for first, and created only if it is not there"
        )),
    }
}

pub(super) fn rotation(why: &Rotation) -> String {
    match why {
        Rotation::Missing { why } => {
            format!(
                "its secret is in no sink, so nobody can be using it; it gets a new one: {}",
                terminal(why)
            )
        }
        Rotation::Unfinished { since } => {
            format!(
                "a rotation was begun {since}, its end is not known: found out first, and done \
                 again only if its key is lost"
            )
        }
        Rotation::Due { since, every, overlap } => {
            format!(
                "the present one is of {since:.0}, and a new one is due every {}; it works on for \
                 {}",
                duration::show(*every),
                duration::show(*overlap)
            )
        }
    }
}

pub(super) fn upload(why: &Upload) -> String {
    match why {
        Upload::New => "not uploaded yet".to_owned(),
        Upload::Changed => "another one than was uploaded last".to_owned(),
        Upload::ChangedOutside { field, live } => {
            format!("the account has another one: {field} is {}", value(live))
        }
    }
}

pub(super) fn mirroring(why: Mirroring) -> &'static str {
    match why {
        Mirroring::New => "no copy was sent there yet",
        Mirroring::Outdated => "the copy there is of another secret key",
    }
}

/// A note as a sentence.
pub(super) fn note(note: &Note) -> String {
    match note {
        Note::Sealed { label, since } => format!(
            "keyset {label}: the answer to what was begun {since} is sealed in the journal; \
                 `keyform apply` or \
                 `keyform secrets recover` stores its secret and records it"
        ),
        Note::OrphanApp { label, id, holds: 0 } => format!(
            "app {label} ({id}) is not declared any more; it is left alone, and --delete would \
                 delete it"
        ),
        Note::OrphanApp { label, id, holds } => format!(
            "app {label} ({id}) is not declared any more; it is left alone, for it holds {}",
            count(*holds, "keyset")
        ),
        Note::NotCompared { label, file } => format!(
            "keyset {label}: {} is not here, so it is not known whether it is what was \
                 uploaded from it",
            quoted(file)
        ),
        Note::ChangedOutside { label, field, recorded, live } => {
            let now = live.as_ref().map_or("not shown".into(), value);
            format!(
                "keyset {label}: {field} was changed outside keyform, from {} to {now}",
                value(recorded)
            )
        }
        Note::Unfinished { label, since } => format!(
            "keyset {label}: something was begun {since}, its end is not known, and the label \
                 is not declared any more: \
                 the next apply finds out and records it"
        ),
    }
}

pub(super) fn orphan(orphan: &Orphan) -> String {
    let text = match (&orphan.declared_as, orphan.live) {
        (Some(label), _) => {
            return format!(
                "recorded as {label} too, which is declared: keyform state rm {} --force drops \
                 this record",
                orphan.label
            );
        }
        (None, Some(true)) => "not declared any more; it is left alone (--delete deletes it)",
        (None, Some(false)) => "not declared any more, and gone at the server",
        (None, None) => "not declared any more",
    };
    text.to_owned()
}

/// A value as TOML writes it, safe for a terminal.
pub(super) fn value(value: &Value) -> String {
    terminal(&value.to_string()).into_owned()
}

pub(super) fn quoted(text: &str) -> String {
    terminal(&format!("{text:?}")).into_owned()
}

fn assign(field: FieldId, to: &Value) -> String {
    format!("{field} = {}", value(to))
}

fn known_as(label: &Option<Label>) -> String {
    label.as_ref().map_or(String::new(), |label| format!(", known to the state as `{label}`"))
}

fn list<T: Display>(items: &[T], prefix: &str, separator: &str) -> String {
    let mut text = items
        .iter()
        .take(LISTED)
        .map(|item| format!("{prefix}{item}"))
        .collect::<Vec<_>>()
        .join(separator);
    if items.len() > LISTED {
        text.push_str(&format!("{separator}... ({} more)", items.len() - LISTED));
    }
    text
}
