//! JSON Schemas of what keyform prints as JSON: of everything that a command may print, errors
//! included. They are derived from the structs.
//!
//! New members may come without another `format_version`, so the schemas allow members that they
//! do not name.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value as Json, json};

use super::adopt::{Accept, Adopt};
use super::apply::Apply;
use super::drift::Drift;
use super::error::Error;
use super::event::Line;
use super::inventory::Inventory;
use super::log::Log;
use super::notification::Notification;
use super::parity::Parity;
use super::plan::Plan;
use super::problems::Validate;
use super::secrets::{SecretsDoctor, SecretsList};
use super::state::{StateList, StateShow};
use super::{Document, Envelope};

/// What `keyform schema --of` knows, a row each.
pub static SCHEMAS: &[Described] = &[
    Described::new("plan", "keyform plan --format json", |all| all.document::<Plan>().error()),
    // A plan: there is nothing to do, or it is refused.
    Described::new("apply", "keyform apply --format json", |all| {
        all.document::<Apply>().document::<Plan>().error()
    }),
    // Of a line, not of all of them.
    Described::new("events", "a line of keyform apply --format jsonl", |all| all.one::<Line>()),
    Described::new("drift", "keyform drift --format json", |all| {
        all.document::<Drift>().document::<Accept>().error()
    }),
    Described::new("parity", "keyform parity --format json", |all| {
        all.document::<Parity>().error()
    }),
    Described::new("show", "keyform show --format json", |all| all.document::<Inventory>().error()),
    Described::new("validate", "keyform validate --format json", |all| {
        all.document::<Validate>().error()
    }),
    Described::new("state-list", "keyform state list --format json", |all| {
        all.document::<StateList>().error()
    }),
    Described::new("state-show", "keyform state show --format json", |all| {
        all.document::<StateShow>().error()
    }),
    Described::new("secrets-list", "keyform secrets list --format json", |all| {
        all.document::<SecretsList>().error()
    }),
    Described::new("secrets-doctor", "keyform secrets doctor --format json", |all| {
        all.document::<SecretsDoctor>().error()
    }),
    Described::new("adopt", "keyform adopt --format json", |all| all.document::<Adopt>().error()),
    Described::new("log", "keyform log --format json", |all| all.document::<Log>().error()),
    Described::new("error", "an error of any command with --format json", Alternatives::error),
    Described::new("notification", "the body of a notification", |all| {
        all.document::<Notification>()
    }),
];

/// What is printed, by the name of the command that prints it.
pub struct Described {
    pub name: &'static str,
    title: &'static str,
    alternatives: fn(Alternatives) -> Alternatives,
}

impl Described {
    const fn new(
        name: &'static str,
        title: &'static str,
        alternatives: fn(Alternatives) -> Alternatives,
    ) -> Described {
        Described { name, title, alternatives }
    }

    pub fn find(name: &str) -> Option<&'static Described> {
        SCHEMAS.iter().find(|described| described.name == name)
    }

    pub fn schema(&self) -> Json {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let none = Alternatives { generator: settings.into_generator(), schemas: Vec::new() };
        let Alternatives { mut generator, schemas } = (self.alternatives)(none);
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.title,
            "anyOf": schemas,
            "$defs": generator.take_definitions(true),
        })
    }
}

/// The documents that one command may print.
struct Alternatives {
    generator: SchemaGenerator,
    schemas: Vec<Schema>,
}

impl Alternatives {
    fn document<D: Document>(self) -> Alternatives {
        self.one::<Envelope<D>>()
    }
    fn one<T: JsonSchema>(mut self) -> Alternatives {
        self.schemas.push(self.generator.subschema_for::<T>());
        self
    }
    fn error(self) -> Alternatives {
        self.document::<Error>()
    }
}
