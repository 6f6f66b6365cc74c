//! Every kind of mistake, with its stable code. A number is never given to another mistake.

use super::problem::Severity::{self, Error, Warning};

/// One kind of mistake.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// `KF` and three digits.
    pub code: &'static str,
    pub severity: Severity,
    pub title: &'static str,
    /// One sentence.
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal $severity:ident $title:literal $explanation:literal;)*) => {
        $(pub(super) const $name: Code = Code {
            code: $code,
            severity: $severity,
            title: $title,
            explanation: $explanation,
        };)*
        /// Every code, in order.
        pub const CODES: &[Code] = &[$($name),*];
    };
}

codes! {
    SYNTAX = "KF001" Error "not valid TOML"
        "The text cannot be read as TOML 1.1; nothing else is checked in the table it stands in.";
    NESTING = "KF002" Error "nested too deeply"
        "Tables and arrays are nested deeper than keyform ever needs; the file is not read \
         further.";
    MISSING = "KF003" Error "no keyform.toml"
        "A project is a folder with the file keyform.toml.";
    UNREADABLE = "KF004" Error "a file cannot be read"
        "The file is no regular file, may not be read, or reading failed.";
    NOT_UTF8 = "KF005" Error "not UTF-8"
        "TOML is UTF-8 text.";
    TOO_LARGE = "KF006" Error "too large"
        "A file is at most 64 MiB, a project at most 512 MiB.";
    OUTSIDE = "KF007" Error "outside the project"
        "An include, or a symbolic link it meets, leads out of the project's folder; keyform reads \
         nothing there.";
    NO_MATCH = "KF008" Warning "an include matches nothing"
        "No file of the project matches the pattern.";
    PATTERN = "KF009" Error "not a file pattern"
        "An include is a path relative to the project, in which `*`, `?`, `[..]` and `**` stand \
         for names.";

    UNKNOWN_KEY = "KF010" Error "unknown key"
        "No table, section or key of this name is known here.";
    UNKNOWN_FIELD = "KF011" Error "unknown field"
        "The section is known and has no such field.";
    MISPLACED = "KF012" Error "not allowed here"
        "The key is known, and belongs somewhere else.";

    WRONG_TYPE = "KF020" Error "wrong type"
        "The value is of another type than the key takes.";
    OUT_OF_RANGE = "KF021" Error "not an allowed value"
        "The value is outside the range or list of the key.";
    READ_ONLY = "KF022" Error "read-only field"
        "Only the server writes this field.";
    BAD_TEXT = "KF023" Error "bad text"
        "The text is empty, too long, or holds control, line-breaking or text-direction \
         characters.";
    HUGE_INTEGER = "KF024" Error "integer too large"
        "Integers have 64 bits.";
    BAD_LABEL = "KF025" Error "bad label or id"
        "Labels, the project name and app ids become part of file names, keyring entries and URLs, \
         and hold few characters.";

    NO_PROJECT_NAME = "KF030" Error "the project has no name"
        "The name keeps secrets and state of projects apart.";
    BAD_ENDPOINT = "KF031" Error "bad endpoint"
        "The endpoint is https, or http on this machine, with host and port only.";
    BAD_VERSION = "KF032" Error "bad API version"
        "An API version is a date, YYYY-MM-DD.";
    UNKNOWN_VERSION = "KF033" Warning "unknown API version"
        "keyform does not know this version of the API; it may work.";
    UNKNOWN_SINK = "KF034" Error "unknown sink"
        "Secrets go to `keyring`, `age` or `exec`.";
    SINK_TWICE = "KF035" Error "a sink is named twice"
        "`secrets.sinks` is an order of preference.";
    SINK_TABLE = "KF036" Error "a sink without its table"
        "`age` needs `[secrets.age]`, `exec` needs `[secrets.exec]`.";
    SINK_UNUSED = "KF037" Warning "a sink's table is not used"
        "`secrets.sinks` does not name the sink.";
    NO_RECIPIENT = "KF038" Error "no recipients"
        "What is sealed for nobody could be read by nobody.";
    BAD_RECIPIENT = "KF039" Error "not a recipient"
        "A recipient is a public key: age (x25519), ssh-ed25519 or ssh-rsa.";
    RECIPIENT_TWICE = "KF060" Warning "the same recipient twice"
        "It reads the secrets once as well.";
    PRIVATE_KEY = "KF061" Error "a private key in the configuration"
        "A private key in a file that is committed is known to everybody who can read the \
         repository.";
    BAD_DIR = "KF062" Error "not a folder of the project"
        "keyform writes nothing outside the project's folder.";
    BAD_COMMAND = "KF063" Error "no program"
        "The sink `exec` hands secrets to a program: its name, then its arguments.";
    BAD_REPO = "KF064" Error "not a repository"
        "A GitHub repository is named `OWNER/NAME`.";
    BAD_SECRET_NAME = "KF065" Error "bad name of a GitHub secret"
        "GitHub takes letters, digits and `_`, not a digit or `GITHUB_` at the start; checked with \
         `{label}` filled in.";
    ONE_NAME = "KF066" Error "one name for several keysets"
        "The secrets would overwrite each other; `{label}` in the name tells them apart.";
    SAME_TARGET = "KF067" Error "two secrets of one name"
        "Two mirrored secrets have one repository, environment and name, for GitHub, which ignores \
         case.";
    UNKNOWN_KEYSET = "KF068" Error "the keyset is not declared"
        "`keysets` are labels of `[keyset.LABEL]` tables.";
    TOO_MANY_SECRETS = "KF069" Error "more secrets than GitHub keeps"
        "A repository has at most 100 secrets, and so has an environment.";
    MISSING_KEY = "KF070" Error "a key is missing"
        "A mirror needs to know where to, and under which name.";
    SAME_FILE = "KF071" Error "two labels for one file"
        "The sink `age` names files after labels, and not every file system tells `A` from `a`.";

    MOVED_DECLARED = "KF072" Error "moved from a label that is declared"
        "What is recorded under the label belongs to the table that has it.";
    MOVED_TWICE = "KF073" Error "moved twice from one label"
        "What is recorded under the label can go to one table only.";
    PARITY_OF_NOTHING = "KF074" Error "parity of nothing"
        "A side is not declared or no label is like it, or nothing on one side has a partner on \
         the other.";
    BAD_PARITY = "KF075" Error "not two sides"
        "`between` is two different keysets, two apps, or two patterns with one `*` each.";
    PARITY_TWICE = "KF076" Error "parity declared twice"
        "What may differ between two sides stands in one place.";

    BAD_WEBHOOK = "KF077" Error "not a webhook's variable"
        "The address of a webhook is a secret: the TOML names the variable that holds it, \
         `env:NAME`.";

    DUPLICATE_LABEL = "KF040" Error "a label is declared twice"
        "A label names one app, profile or keyset in all files together.";
    APP_SOURCE = "KF041" Error "an app needs a name or an id"
        "`name` lets keyform create the app, `id` refers to one that exists; an app has exactly \
         one of them.";
    SAME_APP_NAME = "KF042" Error "two apps of one name"
        "keyform could not tell them apart when it looks for them in the account.";
    SAME_APP_ID = "KF043" Error "two labels for one app"
        "An app that exists has one label.";
    NO_APP = "KF044" Error "a keyset without an app"
        "Every keyset belongs to an app.";
    UNKNOWN_APP = "KF045" Error "the app is not declared"
        "`app` is the label of an `[app.LABEL]` table.";
    UNKNOWN_PROFILE = "KF046" Error "the profile is not declared"
        "`profiles` are labels of `[profile.NAME]` tables.";
    UNUSED_PROFILE = "KF047" Warning "a profile is not used"
        "No keyset names the profile.";
    NO_TYPE = "KF048" Error "a keyset without a type"
        "The API asks for `type` at creation.";
    SAME_KEYSET_NAME = "KF049" Error "two keysets of one app and name"
        "keyform could not tell them apart when it looks for them in the account.";
    COMPANION = "KF050" Error "enabled without what it needs"
        "A section that is enabled needs other fields of its own, after profiles are merged.";
    NEED = "KF051" Error "enabled without another section"
        "A section that is enabled needs a switch of another section to be on.";
    TIER = "KF052" Error "not on this tier"
        "The value is not part of the plan that `[api] tier` names.";
    FREE_TIER = "KF053" Error "too many keysets for the free tier"
        "The free plan allows three keysets.";
}
