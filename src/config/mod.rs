//! TOML text -> Desired and problems. Pure but for `files`, which reads.
//!
//! `files` finds and reads, `parse` turns each file's tree into small tables and drops the tree,
//! `resolve` merges the tables into [`Project`], `rules` and `mirrors` judge what only the merged
//! picture shows. Which keys there are says `grammar`; `reader` has what all tables are read with,
//! and each table has a file that gives its keys their meaning.
//!
//! To add a key: a row in `grammar`, an arm in the file of its table. To add a rule: a code in
//! `codes`, a function in `rules`, a sample named after the code in `tests/samples/invalid/`.

mod age;
mod api;
mod app;
mod codes;
pub mod edit;
mod endpoint;
mod exec;
mod fields;
mod files;
mod github;
mod grammar;
mod ignore;
mod keyset;
mod limits;
mod mirrors;
mod moved;
mod nearest;
mod notify;
mod parity;
mod parse;
mod private;
mod problem;
mod project;
mod push;
mod reader;
mod recipients;
mod resolve;
mod rotate;
mod rules;
mod schema;
mod secrets;
mod source;
mod syntax;
mod tables;

use std::collections::BTreeMap;

use crate::keyset::parity::ParityRule;
use crate::keyset::views::Desired;
use crate::keyset::{ApiVersion, Bounded, Budget, Origin, Tier};

pub use codes::{CODES, Code};
pub use endpoint::check_endpoint;
pub use files::{MAIN_FILE, load};
pub use notify::{Form, Notify, Occasion};
pub use problem::{Fix, Problem, Severity};
pub use schema::{grammar_markdown, json_schema};
pub use secrets::{AgeSettings, ExecSettings, Secrets, SinkKind};
pub use source::{Place, Source, Sources};

/// Everything that `keyform.toml` and its includes say.
#[derive(Clone, Debug)]
pub struct Project {
    pub desired: Desired,
    pub api: ApiSettings,
    pub secrets: Secrets,
    pub limits: Limits,
    /// `[[parity]]`, in order. Each compares something.
    pub parity: Vec<ParityRule>,
    pub notify: Option<Notify>,
}

#[derive(Clone, Debug, Default)]
pub struct ApiSettings {
    /// An absolute URL without path, `https`, or `http` on loopback. `None`: the vendor's.
    pub endpoint: Option<(String, Origin)>,
    pub version: ApiVersion,
    pub tier: Option<Tier>,
}

/// `[limits]`: how much one apply may do, and where it says so. What is not named has no limit, but
/// for deletions.
pub type Limits = BTreeMap<Bounded, (Budget, Origin)>;

/// What reading a project gives: its files, what is wrong, and the project itself if nothing is
/// (warnings aside).
#[derive(Clone, Debug)]
pub struct Loaded {
    pub sources: Sources,
    /// Sorted by place.
    pub problems: Vec<Problem>,
    pub project: Option<Project>,
}

/// The same as [`load`] from texts that were read already; the first is `keyform.toml`. `include`
/// is not followed.
pub fn read(sources: Sources) -> Loaded {
    let mut parsed = tables::Parsed::default();
    for (file, source) in sources.files.iter().enumerate() {
        parsed.read_file(file, &source.text);
    }
    resolve::finish(parsed, sources)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::keyset::table::SECTIONS;
    use crate::keyset::views::AppSource;
    use crate::keyset::{FieldId, Kind, Label, Value};

    const HEAD: &str = "[project]\nname = \"acme\"\n";
    const APP: &str = "[app.chat]\nname = \"Chat\"\n";
    const MINIMAL: &str = "[project]\nname = \"acme\"\n[app.chat]\nname = \"Chat\"\n\
                           [keyset.a]\napp = \"chat\"\ntype = \"testing\"\n";
    const EVERYTHING: &str = include_str!("../../tests/samples/valid/everything.toml");

    fn read(text: &str) -> Loaded {
        super::read(Sources { files: vec![Source::new("keyform.toml", text)] })
    }

    fn codes(loaded: &Loaded) -> Vec<&'static str> {
        loaded.problems.iter().map(|p| p.code).collect()
    }

    #[test]
    fn profiles_merge_in_order_and_every_value_keeps_its_place() {
        let loaded = read(EVERYTHING);
        let project = loaded.project.expect("valid");
        let keyset =
            |label: &str| project.desired.keysets.get(&Label::parse(label).unwrap()).unwrap();
        let line_of = |label: &str, section: &str, field: &str| {
            let setting =
                keyset(label).settings.get(FieldId::find(section, field).unwrap()).unwrap();
            (setting.value.clone(), loaded.sources.place(setting.origin).unwrap().line)
        };
        assert_eq!(
            line_of("chat-dev", "files", "retention"),
            (Value::Int(0), 29),
            "the later profile wins"
        );
        assert_eq!(line_of("chat-dev", "files", "region").1, 26, "and leaves what it does not say");
        assert_eq!(
            line_of("chat-prod", "files", "retention"),
            (Value::Int(365), 42),
            "the keyset's own table wins"
        );
        assert_eq!(line_of("chat-prod", "keyset", "type"), (Value::Text("production".into()), 38));
        assert_eq!(
            line_of("chat-dev", "keyset", "name"),
            (Value::Text("chat-dev".into()), 31),
            "a keyset is called by its label"
        );
        let protected = |label| keyset(label).protect;
        assert_eq!(
            (protected("chat-dev"), protected("chat-prod"), protected("chat-old")),
            (false, true, false)
        );
        let app =
            |label: &str| &project.desired.apps.get(&Label::parse(label).unwrap()).unwrap().source;
        assert!(matches!(app("chat"), AppSource::Managed { name, .. } if &**name == "Acme Chat"));
        assert!(matches!(app("old"), AppSource::Existing { id, .. } if id.as_str() == "0123"));
        let limits = project
            .limits
            .iter()
            .map(|(kind, (budget, _))| (kind.name(), budget.to_string()))
            .collect::<Vec<_>>();
        assert_eq!(
            limits,
            [("create", "50".to_owned()), ("update", "100".to_owned()), ("delete", "0".to_owned())]
        );
        assert_eq!(project.api.endpoint.unwrap().0, "http://127.0.0.1:8080");
    }

    #[test]
    fn secrets_are_read_with_their_defaults() {
        let project = read(EVERYTHING).project.expect("valid");
        let secrets = project.secrets;
        assert_eq!(secrets.sinks, [SinkKind::Age, SinkKind::Exec, SinkKind::Keyring]);
        let age = secrets.age.expect("given");
        assert_eq!((age.recipients.len(), age.dir.as_path()), (2, Path::new("sealed/keys")));
        assert!(age.recipients[1].ends_with(" alice@rust"), "as it was written");
        let exec = secrets.exec.expect("given");
        assert_eq!(
            (exec.command.join(" ").as_str(), exec.timeout.as_secs()),
            ("./sinks/vault --mount kv", 45)
        );
        let mirrors = |label: &str| {
            let keyset = &project.desired.keysets[&Label::parse(label).unwrap()];
            keyset.mirrors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            mirrors("chat-prod"),
            ["github:acme/chat/prod/PUBNUB_SECRET_KEY", "github:acme/chat/PUBNUB_CHAT_PROD"]
        );
        assert_eq!(mirrors("chat-dev"), ["github:acme/chat/PUBNUB_CHAT_DEV"]);

        let secrets = read(MINIMAL).project.expect("valid").secrets;
        assert_eq!(secrets.sinks, [SinkKind::Keyring]);
        assert!(secrets.age.is_none() && secrets.exec.is_none());
        let age = "[secrets]\nsinks = [\"age\", \"exec\"]\nexec.command = [\"a\"]\nage.recipients = [\"age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm\"]\n";
        let secrets = read(&format!("{age}{MINIMAL}")).project.expect("valid").secrets;
        assert_eq!(
            (secrets.age.unwrap().dir.as_path(), secrets.exec.unwrap().timeout.as_secs()),
            (Path::new("secrets"), 30)
        );

        let schema = json_schema();
        let names: Vec<&str> = SinkKind::ALL.into_iter().map(SinkKind::name).collect();
        assert_eq!(
            schema["properties"]["secrets"]["properties"]["sinks"]["items"]["enum"],
            serde_json::json!(names)
        );
    }

    /// Holds for sections that are not in the table yet.
    #[test]
    fn each_section_asks_for_what_it_needs() {
        for section in SECTIONS.iter().filter(|s| !s.when_enabled.is_empty()) {
            let legal = |name: &str| {
                let field = section.fields.iter().find(|f| f.name == name).unwrap();
                match field.kind {
                    Kind::Flag => "true".to_owned(),
                    Kind::Int { min, .. } => min.to_string(),
                    Kind::OneOf(values) => values[0].to_string(),
                    Kind::Choice(words) => format!("\"{}\"", words[0]),
                    Kind::Text { .. } => "\"x\"".to_owned(),
                }
            };
            let project = |fields: &[&str]| {
                let fields: String =
                    fields.iter().map(|name| format!("{name} = {}\n", legal(name))).collect();
                read(&format!("{MINIMAL}[keyset.a.{}]\nenabled = true\n{fields}", section.name))
            };
            let codes = |loaded: &Loaded| {
                loaded
                    .problems
                    .iter()
                    .map(|p| p.code)
                    .filter(|code| *code != "KF051")
                    .collect::<Vec<_>>()
            };
            assert_eq!(codes(&project(section.when_enabled)), [] as [&str; 0], "{}", section.name);
            assert_eq!(codes(&project(&[])), ["KF050"], "{}", section.name);
        }
        for section in SECTIONS.iter().filter(|s| !s.needs.is_empty()) {
            let loaded = read(&format!("{MINIMAL}[keyset.a.{}]\nenabled = true\n", section.name));
            assert_eq!(
                loaded.problems.iter().filter(|p| p.code == "KF051").count(),
                section.needs.len(),
                "{}",
                section.name
            );
        }
    }

    #[test]
    fn a_mistake_in_a_broken_table_is_not_doubled() {
        let loaded = read(&format!(
            "{HEAD}{APP}[keyset.a]\napp = \"chat\"\ntype = testing\nretention = 3\n"
        ));
        assert_eq!(codes(&loaded), ["KF001"]);
        let loaded = read(&format!(
            "{MINIMAL}[keyset.a.files]\nenabled = true\nregion = \"us-east-1\"\nretention = 5\n"
        ));
        assert_eq!(codes(&loaded), ["KF021"], "a rejected value is not missing");
    }

    #[test]
    fn a_mistake_in_a_profile_is_shown_once() {
        let mut text =
            format!("{HEAD}{APP}[profile.p]\ntype = \"testing\"\nfiles.enabled = true\n");
        for n in 0..100 {
            let other = ["region = \"us-east-1\"", "retention = 7"][n % 2];
            text.push_str(&format!(
                "[keyset.k{n}]\napp = \"chat\"\nprofiles = [\"p\"]\nfiles.{other}\n"
            ));
        }
        let loaded = read(&text);
        assert_eq!(codes(&loaded), ["KF050", "KF050"], "once for each thing that is missing");
        assert!(
            loaded.problems.iter().all(|p| p
                .help
                .as_ref()
                .unwrap()
                .ends_with("; the same in 49 more"))
        );
    }

    #[test]
    fn deep_nesting_is_refused_before_it_hurts() {
        let cases = [
            format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
            format!("a = {}", "{a=".repeat(100_000)),
            format!("a{} = 1", ".a".repeat(100_000)),
            format!("[a{}]", ".a".repeat(100_000)),
            format!("[[a{}]]", ".a".repeat(100_000)),
            format!("a = {}1", format!("{{b{} = ", ".c".repeat(70)).repeat(70)),
            format!("a = [\n{}", "[\n".repeat(10_000)),
        ];
        for text in cases {
            assert_eq!(codes(&read(&text)), ["KF002"], "{}", &text[..20]);
        }
        let tables: String = (0..10_000)
            .map(|n| format!("[keyset.k{n}]\napp = \"chat\"\ntype = \"testing\"\n"))
            .collect();
        assert_eq!(
            codes(&read(&format!("{HEAD}{APP}{tables}"))),
            [] as [&str; 0],
            "wide is not deep"
        );
    }
}
