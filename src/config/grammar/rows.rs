//! The rows. In the order in which they are listed to people.

use super::{APP, Fallback, IGNORE, KEYSET, Kind, List, PROFILE, Row, list, row};
use crate::config::codes;
use crate::config::notify::{Form, Occasion};
use crate::config::secrets::{DIR, ENVIRONMENT_MAX, SinkKind, TIMEOUT, TIMEOUT_MAX};
use crate::keyset::parity::RULES_MAX;
use crate::keyset::table::NAME_MAX;
use crate::keyset::{ApiVersion, Tier};

/// The help of a missing `url`, and of a bad one.
pub(in crate::config) const NO_WEBHOOK: &str = "put the address into a variable of the \
                                                environment and name that: \
                                                `url = \"env:KEYFORM_WEBHOOK\"`";

pub(in crate::config) static GRAMMAR: &[Row] = &[
    row("project", Kind::Table, "The project, which keyform.toml must have.").main_file(),
    row(
        "project.name",
        Kind::Label,
        "Keeps the project's secrets and state apart from others'. Not to be changed later.",
    )
    .required(),
    row(
        "project.include",
        list(&ANY_WORD, ""),
        "More files, relative to this one's folder; `*`, `?`, `[..]` and `**` stand for names.",
    ),
    row(
        "project.freeze",
        REASON,
        "Why anything of the project may not be changed for now: planned, and never applied.",
    ),
    row("api", Kind::Table, "The Admin API.").main_file(),
    row(
        "api.endpoint",
        Kind::Like { form: "`https://host`", pattern: "^https?://[^/?#@]+/?$", max: None },
        "https, or http on this machine; scheme, host and port only. KEYFORM_ENDPOINT overrides \
         it.",
    )
    .default(Fallback::Said("PubNub's")),
    row(
        "api.version",
        Kind::Like { form: "a date", pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", max: None },
        "The PubNub-Version header.",
    )
    .default(Fallback::Word(ApiVersion::DEFAULT))
    .examples(&ApiVersion::KNOWN),
    row(
        "api.tier",
        Kind::Word(|| Tier::ALL.map(Tier::name).to_vec()),
        "The account's billing plan: makes its limits errors.",
    ),
    row("secrets", Kind::Table, "Where secret keys go.").main_file(),
    row(
        "secrets.sinks",
        Kind::List(List {
            of: &Kind::Word(|| SinkKind::ALL.map(SinkKind::name).to_vec()),
            each: "",
            min: 1,
            max: None,
            unique: true,
        }),
        "In order of preference: the first that passes its probe is used.",
    )
    .default(Fallback::Words(&[SinkKind::Keyring.name()])),
    row("secrets.age", Kind::Table, "Files of the project, sealed with age."),
    row(
        "secrets.age.recipients",
        Kind::List(List {
            of: &Kind::Like {
                form: "a public key",
                pattern: "^(age1|ssh-ed25519 |ssh-rsa )",
                max: None,
            },
            each: "",
            min: 1,
            max: None,
            unique: true,
        }),
        "Public keys of those who may read the secrets: age1..., ssh-ed25519 ..., ssh-rsa .... \
         Never private keys.",
    )
    .required_or(
        codes::NO_RECIPIENT,
        "for whom to seal: `recipients = [\"age1...\"]`; `age-keygen` makes a key",
    ),
    row(
        "secrets.age.dir",
        Kind::Text { min: 1, max: Some(255) },
        "The folder of the sealed files, relative to the project.",
    )
    .default(Fallback::Word(DIR)),
    row("secrets.exec", Kind::Table, "A program that keeps secrets."),
    row(
        "secrets.exec.command",
        Kind::List(List { of: &ANY_TEXT, each: "", min: 1, max: None, unique: false }),
        "The program, then its arguments. Started in the project's folder, without a shell.",
    )
    .required_or(
        codes::BAD_COMMAND,
        "the program and its arguments: `command = [\"./sinks/vault\", \"--mount\", \"kv\"]`",
    ),
    row(
        "secrets.exec.timeout",
        Kind::Int { min: 1, max: TIMEOUT_MAX, unit: "seconds" },
        "Seconds for one call.",
    )
    .default(Fallback::Number(TIMEOUT)),
    row("secrets.mirror", Kind::Table, "Where copies of the secrets go."),
    row(
        "secrets.mirror.github",
        Kind::TableOrTables {
            each: "Copies for GitHub Actions: secrets of a repository or of one of its \
                   environments.",
        },
        "One table, or several.",
    ),
    row(
        "secrets.mirror.github.repo",
        Kind::Like {
            form: "`OWNER/NAME`",
            pattern: "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$",
            max: None,
        },
        "OWNER/NAME.",
    )
    .required_or(codes::MISSING_KEY, "where to: `repo = \"OWNER/NAME\"`"),
    row(
        "secrets.mirror.github.environment",
        Kind::Text { min: 1, max: Some(ENVIRONMENT_MAX) },
        "An environment of the repository.",
    )
    .default(Fallback::Said("the secret is the repository's")),
    row(
        "secrets.mirror.github.name",
        // Looser than GitHub's rule: what stands for `{label}` is not known to a schema.
        Kind::Like {
            form: "letters, digits and `_`",
            pattern: "^([A-Za-z_]|\\{label\\})([A-Za-z0-9_]|\\{label\\})*$",
            max: None,
        },
        "The secret's name. `{label}` stands for the keyset's label in upper case, with `_` for \
         other characters.",
    )
    .required_or(
        codes::MISSING_KEY,
        "the secret's name: `name = \"PUBNUB_{label}\"`, with `{label}` for the keyset's label",
    )
    .examples(&["PUBNUB_SECRET_KEY", "PUBNUB_{label}"]),
    row(
        "secrets.mirror.github.keysets",
        Kind::List(List {
            of: &Kind::Label,
            each: "A keyset's label.",
            min: 1,
            max: None,
            unique: true,
        }),
        "Labels of the keysets.",
    )
    .default(Fallback::Said("all")),
    row("limits", Kind::Table, "How much one apply may do.").main_file(),
    row("limits.create", Kind::Budget, "Most keysets to create."),
    row("limits.update", Kind::Budget, "Most keysets to update."),
    row(
        "limits.irreversible",
        Kind::Budget,
        "Most fields of keysets that exist to set once and for ever.",
    ),
    row("limits.delete", Kind::Budget, "Most keysets and apps to delete, with `apply --delete`.")
        .default(Fallback::Number(0)),
    row(
        "parity",
        Kind::Tables {
            max: RULES_MAX,
            each: "Two sides that are to be the same but for what is ignored.",
        },
        "What `keyform parity` compares.",
    )
    .main_file(),
    row(
        "parity.between",
        Kind::List(List {
            of: &Kind::Like {
                form: "a label, `app:LABEL`, or a pattern",
                // The rule of `keyset::parity::Side`.
                pattern: "^(app:[A-Za-z0-9][A-Za-z0-9._-]*|[A-Za-z0-9._-]*\\*?[A-Za-z0-9._-]*)$",
                max: None,
            },
            each: "A keyset's label; `app:LABEL`, whose keysets are paired by their names; or \
                   labels with one `*`, paired by what it stands for.",
            min: 2,
            max: Some(2),
            unique: true,
        }),
        "What is compared: two keysets, two apps, or two patterns.",
    )
    .required_or(codes::MISSING_KEY, "what is compared: `between = [\"*-staging\", \"*-prod\"]`")
    .examples(&["chat-prod", "app:chat", "*-prod"]),
    row("parity.ignore", Kind::Ignored, "Fields that may differ."),
    row("notify", Kind::Table, "Whom to tell.").main_file(),
    row(
        "notify.url",
        Kind::Like { form: "`env:NAME`", pattern: "^env:[A-Za-z_][A-Za-z0-9_]{0,199}$", max: None },
        "The variable of the environment that holds the webhook's address.",
    )
    .required_or(codes::MISSING_KEY, NO_WEBHOOK)
    .examples(&["env:KEYFORM_WEBHOOK"]),
    row(
        "notify.form",
        Kind::Word(|| Form::ALL.map(|(name, _)| name).to_vec()),
        "What the webhook takes.",
    )
    .default(Fallback::Word("json")),
    row(
        "notify.on",
        list(&Kind::Word(|| Occasion::ALL.map(|(name, _)| name).to_vec()), ""),
        "When: drift was found, an apply did something.",
    )
    .default(Fallback::Said("both")),
    row("app", Kind::Labelled, "Apps, by label.").any_file(),
    row(APP, Kind::Table, "An app."),
    row(
        "app.*.name",
        Kind::Text { min: 1, max: Some(NAME_MAX) },
        "keyform creates the app and keeps its name.",
    )
    .one_of(),
    row(
        "app.*.id",
        Kind::Like { form: "an app's id", pattern: "^[A-Za-z0-9._~:-]+$", max: Some(256) },
        "The app exists already; keyform only puts keysets in it.",
    )
    .one_of(),
    row(
        "app.*.freeze",
        REASON,
        "Why it and its keysets may not be changed for now: planned, and never applied.",
    ),
    row("app.*.moved", Kind::Table, MOVED),
    row("app.*.moved.from", Kind::LabelOrLabels, MOVED_FROM).required(),
    row("profile", Kind::Labelled, "Settings that keysets share, by name.").any_file(),
    row(
        PROFILE,
        Kind::Table,
        "A profile: what a keyset with this profile has, unless it says otherwise.",
    ),
    row("keyset", Kind::Labelled, "Keysets, by label.").any_file(),
    row(KEYSET, Kind::Table, "A keyset."),
    row("keyset.*.app", Kind::Label, "Label of the app that holds the keyset. Never changes.")
        .keyset_only()
        .required(),
    row(
        "keyset.*.profiles",
        Kind::List(List {
            of: &Kind::Label,
            each: "A profile's name.",
            min: 0,
            max: None,
            unique: true,
        }),
        "Profiles whose settings it has; later ones win, its own table wins over all.",
    )
    .keyset_only(),
    row("keyset.*.protect", Kind::Flag, "Never to be deleted.")
        .keyset_only()
        .default(Fallback::Said("true for production")),
    row(
        "keyset.*.freeze",
        REASON,
        "Why it may not be changed for now: planned, and never applied.",
    )
    .keyset_only(),
    row("keyset.*.moved", Kind::Table, MOVED).keyset_only(),
    row("keyset.*.moved.from", Kind::LabelOrLabels, MOVED_FROM).required(),
    row(IGNORE, Kind::Ignored, "Fields that others may change once the keyset exists."),
    row("keyset.*.ignore.field", ANY_WORD, "A field, such as `presence.interval`; or a section.")
        .required(),
    row("keyset.*.ignore.reason", ANY_WORD, "Why it is left alone."),
    row(
        "keyset.*.rotate",
        Kind::TableOrFalse { each: "How often it gets a new secret key, planned when it is due." },
        "Rotation of the secret key; `false`: none, whatever a profile says.",
    ),
    row("keyset.*.rotate.every", Kind::Duration { range: "" }, "From one to the next.")
        .required()
        .examples(DURATIONS),
    row(
        "keyset.*.rotate.overlap",
        Kind::Duration { range: "60s to 366d" },
        "How long the one of before works on. Needs a paid plan.",
    )
    .required()
    .examples(DURATIONS),
    row("keyset.*.push", Kind::Uploads, "Credentials of push services, uploaded from files."),
];

const ANY_TEXT: Kind = Kind::Text { min: 0, max: None };
const ANY_WORD: Kind = Kind::Text { min: 1, max: None };
const REASON: Kind = Kind::Text { min: 1, max: Some(NAME_MAX) };
const MOVED: &str = "The label is new: what is recorded under the old one becomes this one's.";
const MOVED_FROM: &str = "The label it had before, or several, newest first.";
const DURATIONS: &[&str] = &["90d", "24h", "1h 30m"];
