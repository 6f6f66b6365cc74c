//! The table of the kinds of steps: what is true of every step of a kind, once for all who ask.

use crate::keyset::Bounded;

/// Apps and keysets have labels of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    App,
    Keyset,
}

/// The kinds of steps: those that a plan holds, and two that only a report has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpKind {
    CreateApp,
    RenameApp,
    AdoptApp,
    CreateKeyset,
    UpdateKeyset,
    UploadPush,
    RotateSecret,
    MirrorSecret,
    MoveApp,
    MoveKeyset,
    ProtectKeyset,
    DeleteKeyset,
    DeleteApp,
    ForgetKeyset,
    ForgetApp,
    /// What an earlier run began, for a label for which this plan does nothing of the kind.
    Resolve,
    /// A sealed answer of an earlier run. Always the last one: [`OpKind::COUNT`] counts up to it.
    Recover,
}

impl OpKind {
    pub const COUNT: usize = OpKind::Recover as usize + 1;

    pub fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

/// What is true of every step of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub kind: OpKind,
    pub subject: Subject,
    /// `step` in the JSON of a report and of events.
    pub tag: &'static str,
    /// `action` and `kind` in the JSON of a plan; `None`: no plan holds it.
    pub planned: Option<(&'static str, &'static str)>,
    /// Members of such a step in the JSON of a plan, beside those that every step has.
    pub members: &'static [&'static str],
    /// Under which name the plan's summary counts it; some kinds are counted together.
    pub summary: &'static str,
    /// Under which title a plan shows it.
    pub section: Section,
    pub mark: Mark,
    /// What stands before the label: `app` as in "app main created".
    pub noun: &'static str,
    /// What a plan says after the label, where the kind has no words of its own in the view.
    pub remark: &'static str,
    /// What is counted, and the verb, before and after: "2 keysets to create", "1 label moved".
    pub to_do: (&'static str, &'static str),
    pub done: (&'static str, &'static str),
    /// How a step that failed is told: "keyset dev not created".
    pub not_done: &'static str,
    /// About what nobody declares any more: comes last, and only when all else went well.
    pub removal: bool,
    /// Its place among the steps of one label.
    pub rank: u8,
    /// How many requests go to the API at least; none where only the state changes.
    pub requests: u8,
    /// What `[limits]` counts it as.
    pub limit: Option<Bounded>,
    /// It makes a secret key, which needs a sink that takes it.
    pub makes_secret: bool,
    /// What is begun is in the journal first, so a later run looks for what became of it.
    pub intent: bool,
    /// Names a value in Terraform's JSON that is known only after the apply.
    pub unknown: Option<&'static str>,
}

/// Titles of a plan, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Moves,
    Apps,
    Creates,
    Updates,
    Uploads,
    Rotations,
    Copies,
    Protection,
    Removals,
}

impl Section {
    pub fn title(self) -> &'static str {
        match self {
            Section::Moves => "Labels that change",
            Section::Apps => "Apps",
            Section::Creates => "Keysets to create",
            Section::Updates => "Keysets to update",
            Section::Uploads => "Push credentials to upload",
            Section::Rotations => "Secret keys to replace",
            Section::Copies => "Copies of secret keys to send",
            Section::Protection => "Protection",
            Section::Removals => "To delete",
        }
    }
}

/// The sign before a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Create,
    Change,
    Upload,
    Move,
    Delete,
    Forget,
}

impl Mark {
    pub fn sign(self) -> char {
        match self {
            Mark::Create => '+',
            Mark::Change => '~',
            Mark::Upload => '^',
            Mark::Move => '>',
            Mark::Delete | Mark::Forget => '-',
        }
    }
}

/// One row for each kind, in the order of [`OpKind`], which is also the order of summaries.
pub static ROWS: [Row; OpKind::COUNT] = [
    Row {
        members: &["name", "reason"],
        summary: "create_apps",
        section: Section::Apps,
        mark: Mark::Create,
        to_do: ("app", "to create"),
        requests: 1,
        ..Row::app(OpKind::CreateApp, "create_app", "create", "created", "not created")
    },
    Row {
        members: &["id", "from", "to"],
        summary: "rename_apps",
        section: Section::Apps,
        to_do: ("app", "to rename"),
        requests: 1,
        ..Row::app(OpKind::RenameApp, "rename_app", "rename", "renamed", "not renamed")
    },
    Row {
        members: &["id", "name"],
        summary: "adopt_apps",
        section: Section::Apps,
        mark: Mark::Create,
        to_do: ("app", "to note in the state"),
        ..Row::app(OpKind::AdoptApp, "reference_app", "adopt", "referenced", "not referenced")
    },
    Row {
        members: &["app", "reason", "changes"],
        summary: "create",
        section: Section::Creates,
        mark: Mark::Create,
        to_do: ("keyset", "to create"),
        requests: 1,
        limit: Some(Bounded::Create),
        makes_secret: true,
        ..Row::keyset(OpKind::CreateKeyset, "create_keyset", "create", "created", "not created")
    },
    Row {
        members: &["id", "app", "changes"],
        summary: "update",
        to_do: ("keyset", "to update"),
        requests: 1,
        limit: Some(Bounded::Update),
        intent: false,
        ..Row::keyset(OpKind::UpdateKeyset, "update_keyset", "update", "updated", "not updated")
    },
    Row {
        planned: Some(("upload", "push")),
        members: &["app", "push", "file", "sha256", "texts", "switch_off", "reason"],
        summary: "upload",
        section: Section::Uploads,
        mark: Mark::Upload,
        noun: "push credentials of",
        to_do: ("push credential", "to upload"),
        done: ("push credential", "uploaded"),
        rank: 2,
        requests: 2,
        limit: Some(Bounded::Update),
        unknown: Some("push"),
        ..Row::keyset(OpKind::UploadPush, "upload_push", "upload", "uploaded", "not uploaded")
    },
    Row {
        planned: Some(("rotate", "secret_key")),
        members: &["id", "app", "reason"],
        summary: "rotate",
        section: Section::Rotations,
        noun: "secret key of",
        to_do: ("secret key", "to replace"),
        done: ("secret key", "replaced"),
        rank: 4,
        requests: 2,
        makes_secret: true,
        unknown: Some("secretKey"),
        ..Row::keyset(OpKind::RotateSecret, "rotate_secret", "rotate", "replaced", "not replaced")
    },
    Row {
        planned: Some(("mirror", "secret_key")),
        members: &["to", "reason"],
        summary: "mirror",
        section: Section::Copies,
        mark: Mark::Move,
        noun: "copy of the secret key of",
        to_do: ("copy", "to send"),
        done: ("secret", "mirrored"),
        rank: 5,
        requests: 1,
        unknown: Some("secretCopies"),
        ..Row::keyset(OpKind::MirrorSecret, "mirror_secret", "mirror", "mirrored", "not sent")
    },
    Row {
        members: &["id", "from"],
        summary: "move",
        section: Section::Moves,
        mark: Mark::Move,
        to_do: ("label", "to move"),
        done: ("label", "moved"),
        rank: 0,
        ..Row::app(OpKind::MoveApp, "move_app", "move", "moved", "not moved")
    },
    Row {
        members: &["id", "from"],
        summary: "move",
        section: Section::Moves,
        mark: Mark::Move,
        to_do: ("label", "to move"),
        done: ("label", "moved"),
        rank: 0,
        ..Row::keyset(OpKind::MoveKeyset, "move_keyset", "move", "moved", "not moved")
    },
    Row {
        members: &["id", "protect"],
        summary: "protect",
        section: Section::Protection,
        to_do: ("protection", "to note"),
        done: ("protection", "noted"),
        rank: 3,
        ..Row::keyset(OpKind::ProtectKeyset, "protect_keyset", "protect", "noted", "not noted")
    },
    Row {
        members: &["id", "app", "publishKey", "subscribeKey"],
        summary: "delete",
        section: Section::Removals,
        mark: Mark::Delete,
        to_do: ("keyset", "to DELETE"),
        removal: true,
        requests: 1,
        limit: Some(Bounded::Delete),
        intent: false,
        ..Row::keyset(OpKind::DeleteKeyset, "delete_keyset", "delete", "deleted", "not deleted")
    },
    Row {
        members: &["id", "name"],
        summary: "delete_apps",
        section: Section::Removals,
        mark: Mark::Delete,
        to_do: ("app", "to DELETE"),
        removal: true,
        requests: 2,
        limit: Some(Bounded::Delete),
        intent: false,
        ..Row::app(OpKind::DeleteApp, "delete_app", "delete", "deleted", "not deleted")
    },
    Row {
        members: &["id"],
        summary: "forget",
        section: Section::Removals,
        mark: Mark::Forget,
        remark: "gone at the server; its record goes too",
        to_do: ("record", "to forget"),
        done: ("record", "forgotten"),
        removal: true,
        ..Row::keyset(OpKind::ForgetKeyset, "forget_keyset", "forget", "forgotten", "not forgotten")
    },
    Row {
        members: &["id"],
        summary: "forget",
        section: Section::Removals,
        mark: Mark::Forget,
        remark: "gone at the server; its record goes too",
        to_do: ("record", "to forget"),
        done: ("record", "forgotten"),
        removal: true,
        ..Row::app(OpKind::ForgetApp, "forget_app", "forget", "forgotten", "not forgotten")
    },
    Row {
        planned: None,
        noun: "earlier step for",
        done: ("earlier step", "resolved"),
        ..Row::keyset(OpKind::Resolve, "resolve", "", "resolved", "not resolved")
    },
    Row {
        planned: None,
        noun: "sealed answer for",
        done: ("sealed answer", "recovered"),
        ..Row::keyset(OpKind::Recover, "recover", "", "recovered", "not opened")
    },
];

impl Row {
    /// A change of an app for which nothing is sent; rows say what differs from that.
    const fn app(
        kind: OpKind,
        tag: &'static str,
        action: &'static str,
        done: &'static str,
        not_done: &'static str,
    ) -> Row {
        Row {
            kind,
            subject: Subject::App,
            tag,
            planned: Some((action, "app")),
            members: &[],
            summary: "",
            section: Section::Apps,
            mark: Mark::Change,
            noun: "app",
            remark: "",
            to_do: ("app", ""),
            done: ("app", done),
            not_done,
            removal: false,
            rank: 1,
            requests: 0,
            limit: None,
            makes_secret: false,
            intent: true,
            unknown: None,
        }
    }

    /// Likewise of a keyset.
    const fn keyset(
        kind: OpKind,
        tag: &'static str,
        action: &'static str,
        done: &'static str,
        not_done: &'static str,
    ) -> Row {
        Row {
            subject: Subject::Keyset,
            planned: Some((action, "keyset")),
            section: Section::Updates,
            noun: "keyset",
            to_do: ("keyset", ""),
            done: ("keyset", done),
            ..Row::app(kind, tag, action, done, not_done)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_whole_row_at_its_place() {
        for (n, row) in ROWS.iter().enumerate() {
            assert_eq!(row.kind as usize, n, "{row:?}");
            assert_eq!(row.planned.is_some(), !row.summary.is_empty(), "{row:?}");
            assert_eq!(row.planned.is_some(), !row.to_do.1.is_empty(), "{row:?}");
            assert!(!row.makes_secret || row.requests > 0, "{row:?}");
            assert!(row.limit.is_none() || row.requests > 0, "{row:?}");
            let same = |other: &&Row| other.tag == row.tag || other.planned == row.planned;
            let twins = ROWS.iter().filter(same).filter(|other| other.planned.is_some()).count();
            assert!(twins <= 1, "{row:?}");
        }
    }
}
