//! Random accounts, through the binary: what is adopted needs nothing, what somebody changes in the
//! portal is told and nothing else is, what is accepted is in order again, and a lost state comes
//! back. `KEYFORM_ACCOUNT_SEED` and `KEYFORM_ACCOUNT_CASES` ask for others and for more.

use std::collections::BTreeSet;

use ::keyform::keyset::field::{Call, Kind, Life};
use ::keyform::keyset::{FieldId, Value as FieldValue, wire::to_json};
use serde_json::{Value, json};

use crate::crash::{number, random_from};
use crate::support::Place;

struct Case {
    place: Place,
    next: Box<dyn FnMut(u64) -> u64>,
}

impl Case {
    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[(self.next)(from.len() as u64) as usize]
    }

    /// Some acceptable value.
    fn value(&mut self, field: FieldId) -> FieldValue {
        match field.field().kind {
            Kind::Flag => FieldValue::Bool((self.next)(2) == 1),
            Kind::Int { min, max } => FieldValue::Int(
                min + (self.next)((max.unwrap_or(min + 50) - min + 1) as u64) as i64,
            ),
            Kind::OneOf(values) => FieldValue::Int(*self.pick(values)),
            Kind::Choice(words) => FieldValue::Text((*self.pick(words)).into()),
            Kind::Text { .. } => {
                let texts = [
                    "plain",
                    "wïth \"quotes\" and \\",
                    "x | `y` [a](b)",
                    "日本",
                    "a = 1 # b",
                    "'''",
                ];
                let text = *self.pick(&texts);
                FieldValue::Text(format!("{text} {}", (self.next)(1000)).into())
            }
        }
    }

    /// A configuration that the account takes, most of it left to the server.
    fn config(&mut self) -> Value {
        let mut config = json!({});
        for id in fields().filter(|id| id.section().call == Call::Config) {
            if (self.next)(5) == 0 {
                config[id.section().name][id.field().name] = to_json(&self.value(id));
            }
        }
        // What a section that is on cannot do without.
        for id in fields().filter(|id| id.section().call == Call::Config) {
            let section = id.section().name;
            if id.switch() == Some(id) && config[section]["enabled"] == true {
                for companion in id.companions() {
                    if config[section][companion.field().name].is_null() {
                        config[section][companion.field().name] = to_json(&self.value(companion));
                    }
                }
            }
        }
        if config["dataSync"]["enabled"] == true {
            config["accessManager"]["enabled"] = true.into();
        }
        config
    }

    fn account(&mut self) {
        for n in 0..1 + (self.next)(2) {
            let names = ["Chat", "Games & more", "日本 \"x\""];
            let name = if (self.next)(6) == 0 {
                "Chat".to_owned()
            } else {
                format!("{} {n}", self.pick(&names))
            };
            let app = self.place.sandbox().post("/v2/apps", &json!({"name": name}))["id"].clone();
            for n in 0..(self.next)(4) {
                let names = ["prod", "Prod", "dev (old)", "日本", "a.b"];
                let name = format!("{} {n}", self.pick(&names));
                let kind = *self.pick(&["testing", "production"]);
                let body = json!({"keyset": {"appId": app, "name": name, "type": kind}, "config": self.config()});
                let made = self.place.sandbox().post("/v2/keysets", &body);
                assert!(made["keyset"]["id"].is_string(), "{made} {body}");
            }
        }
    }

    /// Changes a field of some keyset in the portal: of those that `declared` wants. Gives back
    /// label and field.
    fn edit(&mut self, declared: bool) -> Option<(String, FieldId)> {
        for _ in 0..50 {
            let state = self.place.state();
            let labels: Vec<String> = state["keysets"].as_object()?.keys().cloned().collect();
            if labels.is_empty() {
                return None;
            }
            let label = self.pick(&labels).clone();
            let keyset = &state["keysets"][&label];
            let all: Vec<FieldId> =
                fields().filter(|id| id.field().life == Life::Mutable).collect();
            let field = *self.pick(&all);
            let (section, name) = (field.section().name, field.field().name);
            if keyset["applied"][section][name].is_null() == declared {
                continue;
            }
            let path = format!("/v2/keysets/{}", keyset["id"].as_str()?);
            let now = match field.section().call {
                Call::Keyset => self.place.sandbox().get(&path)[name].clone(),
                Call::Config => {
                    self.place.sandbox().get(&format!("{path}/config"))[section][name].clone()
                }
            };
            let value = to_json(&self.value(field));
            if value == now {
                continue;
            }
            let answer = match field.section().call {
                Call::Keyset => {
                    self.place.sandbox().patch(&path, &json!({name: value}))[name].clone()
                }
                Call::Config => self
                    .place
                    .sandbox()
                    .patch(&format!("{path}/config"), &json!({section: {name: value}}))[section]
                    [name]
                    .clone(),
            };
            // Some values need others beside them, and are refused.
            if answer == value {
                return Some((label, field));
            }
        }
        None
    }

    fn findings(&self, code: i32) -> Vec<(String, String)> {
        let drift = self.place.json(&["drift", "--managed-only"], code);
        let text = |json: &Value| json.as_str().unwrap_or_default().to_owned();
        let one = |finding: &Value| {
            assert_eq!(finding["by"], "account", "{finding}");
            (text(&finding["label"]), text(&finding["field"]))
        };
        drift["findings"].as_array().expect("a list").iter().map(one).collect()
    }

    fn run(&mut self) {
        self.account();
        self.place.ends(&["adopt", "--all"], 0, "");
        self.place.is_settled();
        if self.place.sandbox().keysets().is_empty() {
            return;
        }
        let (toml, state) = (self.place.toml(), self.place.state());
        self.place.ends(&["adopt", "--all"], 0, "Nothing to adopt");
        assert_eq!(
            (self.place.toml(), self.place.state()),
            (toml.clone(), state.clone()),
            "a second time changes nothing"
        );

        if self.edit(false).is_some() {
            assert_eq!(self.findings(0), [], "nobody declared it");
            self.place.is_settled();
        }
        let Some((label, field)) = self.edit(true) else { return };
        let expected = vec![(label.clone(), field.to_string())];
        assert_eq!(self.findings(2), expected, "exactly what was changed");

        let before: Vec<String> = self.place.toml().lines().map(str::to_owned).collect();
        self.place.ends(&["drift", "--accept", &format!("{label}.{field}")], 0, "1 value accepted");
        let accepted = self.place.toml();
        let after: BTreeSet<&str> = accepted.lines().collect();
        let lost = before.iter().filter(|line| !after.contains(line.as_str())).count();
        assert!(lost <= 1, "{lost} lines changed:\n{accepted}");
        assert_eq!(self.findings(0), []);
        self.place.is_settled();

        // The state is lost, and comes back from the account.
        let labels = |state: &Value| {
            state["keysets"].as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
        };
        std::fs::remove_dir_all(self.place.dir().join("state")).expect("lost");
        self.place.ends(&["adopt", "--all"], 0, "");
        assert_eq!(self.place.toml(), accepted);
        assert_eq!(labels(&self.place.state()), labels(&state));
        self.place.is_settled();
    }
}

/// What a user may write.
fn fields() -> impl Iterator<Item = FieldId> {
    // Known to a later version of the API than the one that is asked.
    let known = |id: &FieldId| id.field().since.is_none();
    FieldId::all()
        .filter(|id| matches!(id.field().life, Life::Mutable | Life::OnceSet))
        .filter(known)
}

#[test]
fn any_account_is_taken_over_watched_and_brought_back() {
    let (seed, cases) = (number("KEYFORM_ACCOUNT_SEED", 1), number("KEYFORM_ACCOUNT_CASES", 40));
    for case in 0..cases {
        println!("KEYFORM_ACCOUNT_SEED={} KEYFORM_ACCOUNT_CASES=1", seed + case);
        Case { place: Place::new(), next: Box::new(random_from(seed + case)) }.run();
    }
}
