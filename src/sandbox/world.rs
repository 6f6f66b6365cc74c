//! The account: what every call answers, and what it changes. Pure: time and randomness are given.
//!
//! A call looks at the world and answers; what it would change is part of the answer. Who carries
//! the world writes the [`Change`] down and then lets [`World::apply`] make it true, so a restart
//! takes the same path as the first time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::chance::Given;
use super::rules;
use super::shelf::{Page, Shelf};
use crate::keyset::field::Call;
use crate::keyset::table::SECTIONS;
use crate::keyset::wire::observed_of;
use crate::keyset::{FieldId, Fingerprint, Kind, Observed, Secret, Section, Tier, Value};

pub struct World {
    tier: Tier,
    defaults: Observed,
    apps: Shelf<App>,
    keysets: Shelf<Keyset>,
    changes: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct App {
    id: u64,
    name: Box<str>,
    created: Timestamp,
    updated: Timestamp,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Keyset {
    id: u64,
    app: u64,
    name: Box<str>,
    r#type: Box<str>,
    publish_key: Box<str>,
    subscribe_key: Box<str>,
    created: Timestamp,
    updated: Timestamp,
    config: Observed,
    secrets: Vec<SecretRow>,
}

/// What stays of a secret key. The key itself is in the answer that made it and nowhere else.
#[derive(Clone, Serialize, Deserialize)]
struct SecretRow {
    /// `sec-c-` and five characters.
    prefix: Box<str>,
    fingerprint: Fingerprint,
    /// `None`: the permanent one.
    expires: Option<Timestamp>,
}

/// What a call does to the world.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    App(App),
    AppGone(u64),
    Keyset(Box<Keyset>),
    KeysetGone(u64),
}

/// Numbers that do not follow from the apps and keysets that are there.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    pub changes: u64,
    pub next_app: u64,
    pub next_keyset: u64,
}

pub struct Answer {
    pub status: u16,
    pub body: Json,
    pub change: Option<Change>,
}

/// A call that is answered with an error.
#[derive(Clone, Debug)]
pub struct Refused {
    pub status: u16,
    pub messages: Vec<String>,
}

type Outcome = Result<Answer, Refused>;

/// Values of the test fixture of the vendor's client; what the real defaults are is not documented.
/// The regions are null and their sections off, so that a fresh keyset can still choose. What is
/// not here follows from the kind of the field.
const DEFAULTS: &str = r#"{
    "accessManager": { "enabled": false, "tokenRevoke": null },
    "messagePersistence": { "enabled": true, "retention": 7, "includePresenceEvents": false, "deleteFromHistory": false },
    "appContext": { "enabled": false, "region": null, "userMetadataEvents": true, "channelMetadataEvents": true, "membershipEvents": true },
    "files": { "enabled": false, "retention": 7, "region": null },
    "streamController": { "enabled": true, "wildcardSubscribe": true, "channelGroupLimit": 100 },
    "presence": {
        "announceMax": 20, "interval": 10, "debounce": 2,
        "deltas": false, "generateLeaveOnDisconnect": false, "streamFiltering": false, "activeNoticeChannel": null
    }
}"#;

/// Keysets of an account on the lowest plan.
const FREE_KEYSETS: usize = 3;
/// Secret keys of a keyset that wait for their expiry.
const EXPIRING_KEYS: usize = 5;

impl World {
    pub fn new(tier: Tier) -> World {
        World {
            tier,
            defaults: defaults(),
            apps: Shelf::from_id(101),
            keysets: Shelf::from_id(1001),
            changes: 0,
        }
    }

    pub fn counters(&self) -> Counters {
        Counters {
            changes: self.changes,
            next_app: self.apps.next_id(),
            next_keyset: self.keysets.next_id(),
        }
    }

    /// Makes an empty world continue where another one was.
    pub fn resume(&mut self, counters: Counters) {
        self.changes = counters.changes;
        self.apps.skip_to(counters.next_app);
        self.keysets.skip_to(counters.next_keyset);
    }

    /// Everything there is, as the changes that would make it.
    pub fn snapshot(&self) -> impl Iterator<Item = Change> {
        let apps = self.apps.iter().cloned().map(Change::App);
        apps.chain(self.keysets.iter().cloned().map(|k| Change::Keyset(Box::new(k))))
    }

    /// How many changes [`World::snapshot`] holds.
    pub fn snapshot_len(&self) -> usize {
        self.apps.len() + self.keysets.len()
    }

    pub fn apply(&mut self, change: Change) {
        self.changes += 1;
        match change {
            Change::App(app) => self.apps.put(app.id, app),
            Change::AppGone(id) => self.apps.remove(id),
            Change::Keyset(mut keyset) => {
                // A file written before the table knew some section gets that section's defaults.
                let mut config = self.defaults.clone();
                config.absorb(&keyset.config);
                keyset.config = config;
                self.keysets.put(keyset.id, *keyset);
            }
            Change::KeysetGone(id) => self.keysets.remove(id),
        }
    }

    // ---------------------------------------------------------------------------------------------
    // apps

    pub fn list_apps(&self, page: Page) -> Outcome {
        Ok(ok(self.apps.page(page, "apps", App::json)))
    }

    pub fn create_app(&self, body: &Json, given: &Given) -> Outcome {
        let [name] = rules::texts(body, ["name"]).map_err(bad)?;
        let app = App {
            id: self.apps.next_id(),
            name: name.into(),
            created: given.now,
            updated: given.now,
        };
        Ok(Answer { status: 201, body: app.json(), change: Some(Change::App(app)) })
    }

    pub fn app(&self, id: &str) -> Outcome {
        Ok(ok(self.find_app(id)?.json()))
    }

    pub fn update_app(&self, id: &str, body: &Json, given: &Given) -> Outcome {
        let app = self.find_app(id)?;
        let [name] = rules::texts(body, ["name"]).map_err(bad)?;
        let app = App { name: name.into(), updated: given.now, ..app.clone() };
        Ok(Answer { status: 200, body: app.json(), change: Some(Change::App(app)) })
    }

    pub fn delete_app(&self, id: &str) -> Outcome {
        let app = self.find_app(id)?;
        match self.keysets.iter().filter(|k| k.app == app.id).count() {
            0 => Ok(Answer {
                status: 200,
                body: json!({ "success": true }),
                change: Some(Change::AppGone(app.id)),
            }),
            n => Err(bad(vec![format!("the app holds {n} keyset(s); delete them first")])),
        }
    }

    // ---------------------------------------------------------------------------------------------
    // keysets

    pub fn list_keysets(&self, page: Page) -> Outcome {
        Ok(ok(self.keysets.page(page, "keysets", Keyset::json)))
    }

    pub fn create_keyset(&self, body: &Json, given: &Given) -> Outcome {
        let mut problems = Vec::new();
        let Some(object) = body.as_object() else {
            return Err(bad(vec!["the body must be an object".to_owned()]));
        };
        rules::only(object, &["keyset", "config"], &mut problems);
        let own = object.get("keyset").unwrap_or(&Json::Null);
        let own = rules::identity(identity_section(), own, true, &mut problems);
        let wanted = object
            .get("config")
            .map(|config| rules::config(config, &mut problems))
            .unwrap_or_default();
        let mut config = self.defaults.clone();
        config.absorb(&observed_of(wanted.iter().map(|(f, v)| (*f, v))));
        rules::resulting(&config, &mut problems);
        self.check_plan(&own, &wanted, &mut problems);
        if self.tier == Tier::Free && self.keysets.len() >= FREE_KEYSETS {
            problems.push(format!("the free plan allows {FREE_KEYSETS} keysets; delete one first"));
        }
        if !problems.is_empty() {
            return Err(bad(problems));
        }
        let app = self.find_app(text_of(&own, "appId"))?;

        let [publish, subscribe] = [&given.random[..16], &given.random[16..32]].map(uuid_of);
        let (secret, row) = mint(given)?;
        let keyset = Keyset {
            id: self.keysets.next_id(),
            app: app.id,
            name: text_of(&own, "name").into(),
            r#type: text_of(&own, "type").into(),
            publish_key: format!("pub-c-{publish}").into(),
            subscribe_key: format!("sub-c-{subscribe}").into(),
            created: given.now,
            updated: given.now,
            config,
            secrets: vec![row],
        };
        let mut shown = keyset.json();
        shown["secretKeys"] = json!([{ "secretKey": secret.expose_secret(), "expiresAt": null }]);
        let body = json!({ "keyset": shown, "config": keyset.config });
        Ok(Answer { status: 201, body, change: Some(Change::Keyset(Box::new(keyset))) })
    }

    pub fn keyset(&self, id: &str) -> Outcome {
        Ok(ok(self.find_keyset(id)?.json()))
    }

    pub fn update_keyset(&self, id: &str, body: &Json, given: &Given) -> Outcome {
        let mut keyset = self.find_keyset(id)?.clone();
        let mut problems = Vec::new();
        let own = rules::identity(identity_section(), body, false, &mut problems);
        self.check_plan(&own, &[], &mut problems);
        if own.is_empty() && problems.is_empty() {
            problems.push("at least one of name and type is required".to_owned());
        }
        if !problems.is_empty() {
            return Err(bad(problems));
        }
        for (field, text) in own {
            match field {
                "name" => keyset.name = text.into(),
                _ => keyset.r#type = text.into(),
            }
        }
        keyset.updated = given.now;
        Ok(changed(200, keyset.json(), keyset))
    }

    pub fn delete_keyset(&self, id: &str) -> Outcome {
        let id = self.find_keyset(id)?.id;
        Ok(Answer {
            status: 200,
            body: json!({ "success": true }),
            change: Some(Change::KeysetGone(id)),
        })
    }

    // ---------------------------------------------------------------------------------------------
    // config

    pub fn config(&self, id: &str) -> Outcome {
        Ok(ok(json!(self.find_keyset(id)?.config)))
    }

    pub fn update_config(&self, id: &str, body: &Json, given: &Given) -> Outcome {
        let mut keyset = self.find_keyset(id)?.clone();
        let mut problems = Vec::new();
        let wanted = rules::config(body, &mut problems);
        rules::once_set(&keyset.config, &wanted, &mut problems);
        self.check_plan(&[], &wanted, &mut problems);
        keyset.config.absorb(&observed_of(wanted.iter().map(|(f, v)| (*f, v))));
        rules::resulting(&keyset.config, &mut problems);
        if !problems.is_empty() {
            return Err(bad(problems));
        }
        keyset.updated = given.now;
        Ok(changed(200, json!(keyset.config), keyset))
    }

    /// What can be uploaded: the last segment of the path.
    pub const UPLOADS: [&str; 2] = ["apns", "fcm"];

    /// Keeps what describes the token or key; its content is dropped. Every upload turns APNs on,
    /// FCM's too: documented.
    pub fn upload(&self, id: &str, what: &str, body: &Json, given: &Given) -> Outcome {
        let mut keyset = self.find_keyset(id)?.clone();
        let mut shown = match what {
            "apns" => {
                let [team, key, filename, _token] =
                    rules::texts(body, ["teamId", "authKeyId", "filename", "token"])
                        .map_err(bad)?;
                json!({ "apns": { "teamId": team, "authKeyId": key, "filename": filename } })
            }
            _ => {
                let [filename, _key] = rules::texts(body, ["filename", "key"]).map_err(bad)?;
                json!({ "fcm": { "filename": filename } })
            }
        };
        for described in [&shown, &json!({ "apns": { "enabled": true } })] {
            // Sections of fields, which is what an observed configuration is read from.
            keyset.config.absorb(&Observed::deserialize(described).map_err(|_| internal())?);
        }
        keyset.updated = given.now;
        Ok(changed(201, shown[what].take(), keyset))
    }

    // ---------------------------------------------------------------------------------------------
    // secret keys

    pub fn list_secrets(&self, id: &str, active_only: bool, given: &Given) -> Outcome {
        let keyset = self.find_numeric_keyset(id)?;
        let rows = keyset
            .secrets
            .iter()
            .filter(|row| !active_only || row.expires.is_none_or(|at| at > given.now));
        Ok(ok(json!({ "secretKeys": rows.map(SecretRow::json).collect::<Vec<_>>() })))
    }

    pub fn rotate(&self, id: &str, body: &Json, given: &Given) -> Outcome {
        let mut keyset = self.find_numeric_keyset(id)?.clone();
        let Some(object) = body.as_object() else {
            return Err(bad(vec!["the body must be an object".to_owned()]));
        };
        let mut problems = Vec::new();
        rules::only(object, &["expiresAt"], &mut problems);
        if !problems.is_empty() {
            return Err(bad(problems));
        }
        match object.get("expiresAt") {
            Some(at) => {
                let at = self.expiry(at, given)?;
                let waiting = keyset
                    .secrets
                    .iter()
                    .filter(|row| row.expires.is_some_and(|at| at > given.now))
                    .count();
                if waiting >= EXPIRING_KEYS {
                    return Err(bad(vec![format!(
                        "the keyset has {EXPIRING_KEYS} expiring secret keys already; delete one \
                         first"
                    )]));
                }
                keyset
                    .secrets
                    .iter_mut()
                    .filter(|row| row.expires.is_none())
                    .for_each(|row| row.expires = Some(at));
            }
            None => keyset.secrets.retain(|row| row.expires.is_some()),
        }
        let (secret, row) = mint(given)?;
        keyset.secrets.push(row);
        keyset.updated = given.now;
        Ok(changed(201, json!({ "secretKey": secret.expose_secret() }), keyset))
    }

    pub fn change_expiry(&self, id: &str, prefix: &str, body: &Json, given: &Given) -> Outcome {
        let mut keyset = self.find_numeric_keyset(id)?.clone();
        let at = find_secret(&keyset, prefix)?;
        let Some(object) = body.as_object() else {
            return Err(bad(vec!["the body must be an object".to_owned()]));
        };
        let mut problems = Vec::new();
        rules::only(object, &["expiresAt"], &mut problems);
        let Some(expiry) = object.get("expiresAt").filter(|_| problems.is_empty()) else {
            problems.push("expiresAt is required".to_owned());
            return Err(bad(problems));
        };
        let expiry = self.expiry(expiry, given)?;
        let Some(row) = keyset.secrets.get_mut(at).filter(|row| row.expires.is_some()) else {
            return Err(bad(vec![
                "the permanent secret key has no expiry that could be changed".to_owned(),
            ]));
        };
        row.expires = Some(expiry);
        let shown = json!({ "secretKey": row.json() });
        Ok(changed(200, shown, keyset))
    }

    pub fn delete_secret(&self, id: &str, prefix: &str) -> Outcome {
        let mut keyset = self.find_numeric_keyset(id)?.clone();
        let at = find_secret(&keyset, prefix)?;
        if keyset.secrets.remove(at).expires.is_none() {
            return Err(bad(vec![
                "the permanent secret key cannot be deleted; rotate it".to_owned(),
            ]));
        }
        Ok(changed(200, json!({ "success": true }), keyset))
    }

    // ---------------------------------------------------------------------------------------------
    // helpers

    fn find_app(&self, id: &str) -> Result<&App, Refused> {
        self.apps.find(id).ok_or_else(|| not_found("no such app"))
    }

    fn find_keyset(&self, id: &str) -> Result<&Keyset, Refused> {
        self.keysets.find(id).ok_or_else(|| not_found("no such keyset"))
    }

    /// The calls on secret keys document that the id is a number.
    fn find_numeric_keyset(&self, id: &str) -> Result<&Keyset, Refused> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad(vec!["keysetId must be digits".to_owned()]));
        }
        self.find_keyset(id)
    }

    fn check_plan(
        &self,
        own: &[(&'static str, &str)],
        wanted: &[(FieldId, Value)],
        problems: &mut Vec<String>,
    ) {
        let own: Vec<(&'static str, Value)> =
            own.iter().map(|(name, text)| (*name, Value::Text((*text).into()))).collect();
        let own = own.iter().filter_map(|(name, value)| {
            identity_section()
                .fields
                .iter()
                .find(|f| f.name == *name)
                .map(|field| (field, (*name).to_owned(), value))
        });
        rules::plan(
            self.tier,
            own.chain(wanted.iter().map(|(id, value)| (id.field(), id.to_string(), value))),
            problems,
        );
    }

    fn expiry(&self, json: &Json, given: &Given) -> Result<Timestamp, Refused> {
        let at = json
            .as_str()
            .filter(|text| is_expiry(text))
            .and_then(|text| text.parse::<Timestamp>().ok())
            .ok_or_else(|| {
                bad(vec!["expiresAt must be a time such as 2026-12-31T23:59:59Z".to_owned()])
            })?;
        if self.tier == Tier::Free {
            return Err(bad(vec![
                "secret keys that overlap need the starter plan; the account is on free".to_owned(),
            ]));
        }
        let ahead = at.duration_since(given.now);
        if ahead < SignedDuration::from_secs(60) || ahead > SignedDuration::from_hours(366 * 24) {
            return Err(bad(vec!["expiresAt must be 60 seconds to 366 days ahead".to_owned()]));
        }
        Ok(at)
    }
}

impl App {
    fn json(&self) -> Json {
        json!({ "id": self.id.to_string(), "name": self.name, "createdAt": self.created, "updatedAt": self.updated })
    }
}

impl Keyset {
    fn json(&self) -> Json {
        json!({
            "id": self.id.to_string(),
            "appId": self.app.to_string(),
            "name": self.name,
            "type": self.r#type,
            "publishKey": self.publish_key,
            "subscribeKey": self.subscribe_key,
            "createdAt": self.created,
            "updatedAt": self.updated,
        })
    }
}

impl SecretRow {
    fn json(&self) -> Json {
        let expires = self.expires.map(|at| {
            if at.subsec_nanosecond() == 0 { at.to_string() } else { format!("{at:.3}") }
        });
        json!({ "secretKey": format!("{}{}", self.prefix, "*".repeat(SECRET_LENGTH - 5)), "expiresAt": expires })
    }
}

fn defaults() -> Observed {
    let generic: Vec<(FieldId, Value)> = FieldId::all()
        .filter(|id| id.section().call == Call::Config)
        .map(|id| {
            let value = match id.field().kind {
                _ if id.field().nullable => Value::Null,
                Kind::Flag => Value::Bool(false),
                Kind::Int { min, .. } => Value::Int(min),
                Kind::OneOf(values) => values.first().map_or(Value::Null, |v| Value::Int(*v)),
                Kind::Choice(words) => {
                    words.first().map_or(Value::Null, |w| Value::Text((*w).into()))
                }
                Kind::Text { .. } => Value::Text("".into()),
            };
            (id, value)
        })
        .collect();
    let mut defaults = observed_of(generic.iter().map(|(id, value)| (*id, value)));
    defaults.absorb(&serde_json::from_str(DEFAULTS).expect("a constant that a test reads"));
    defaults
}

/// The section of the keyset's own fields.
fn identity_section() -> &'static Section {
    SECTIONS.iter().find(|s| s.call == Call::Keyset).expect("the table has it")
}

fn text_of<'a>(own: &[(&'static str, &'a str)], name: &str) -> &'a str {
    own.iter().find(|(n, _)| *n == name).map_or("", |(_, text)| text)
}

fn uuid_of(random: &[u8]) -> uuid::Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(random);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// Characters after `sec-c-`.
const SECRET_LENGTH: usize = 48;

/// A new secret key, and what stays of it.
fn mint(given: &Given) -> Result<(Secret, SecretRow), Refused> {
    const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut text = Zeroizing::new(String::with_capacity(64));
    text.push_str("sec-c-");
    text.extend(
        given.random[32..32 + SECRET_LENGTH]
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])),
    );
    let prefix = text[..PREFIX_LENGTH].into();
    let secret = Secret::parse(text).map_err(|_| internal())?;
    let row = SecretRow { prefix, fingerprint: secret.fingerprint(), expires: None };
    Ok((secret, row))
}

/// `sec-c-` and five characters.
const PREFIX_LENGTH: usize = 11;

fn find_secret(keyset: &Keyset, prefix: &str) -> Result<usize, Refused> {
    let letters = prefix.strip_prefix("sec-c-").unwrap_or("");
    if letters.len() != 5 || !letters.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(bad(vec![
            "secretKeyPrefix must be sec-c- and five letters or digits, never the whole key"
                .to_owned(),
        ]));
    }
    keyset
        .secrets
        .iter()
        .position(|row| *row.prefix == *prefix)
        .ok_or_else(|| not_found("no such secret key"))
}

/// `2026-12-31T23:59:59Z`, or with three digits of a second's fraction.
fn is_expiry(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00Z" || shape == "0000-00-00T00:00:00.000Z"
}

fn ok(body: Json) -> Answer {
    Answer { status: 200, body, change: None }
}

fn changed(status: u16, body: Json, keyset: Keyset) -> Answer {
    Answer { status, body, change: Some(Change::Keyset(Box::new(keyset))) }
}

pub fn bad(messages: Vec<String>) -> Refused {
    Refused { status: 400, messages }
}

fn internal() -> Refused {
    Refused { status: 500, messages: vec!["the sandbox made a mistake".to_owned()] }
}

fn not_found(what: &str) -> Refused {
    Refused { status: 404, messages: vec![what.to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_legal_state_of_rows_that_exist() {
        let defaults = defaults();
        assert_eq!(defaults.unknown().count(), 0);
        let mut problems = Vec::new();
        rules::resulting(&defaults, &mut problems);
        rules::plan(
            Tier::Free,
            defaults.iter().map(|(id, v)| (id.field(), id.to_string(), v)),
            &mut problems,
        );
        assert_eq!(problems, Vec::<String>::new());
    }
}
