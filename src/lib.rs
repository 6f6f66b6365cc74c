//! keyform: declarative PubNub keysets. The map of the house.
//!
//! | module | holds | may import |
//! | --- | --- | --- |
//! | [`keyset`] | vocabulary: the field table, values, names, desired/recorded/live, secrets as a type | - |
//! | [`audit`] | the audit log as values: records, and the chain they make | `keyset` |
//! | [`ports`] | the narrow traits, and the proofs made around them | `keyset`, `audit`, `protocol` |
//! | [`protocol`] | the steps of the never-lose protocol by name, where tests end the process | - |
//! | [`disk`] | whole-file writes that a crash cannot tear | `protocol` |
//! | [`http`] | the one builder of HTTP clients, and its rules | `keyset` |
//! | [`config`] | TOML text to desired and problems | `keyset` |
//! | [`plan`] | desired + recorded + live to a plan | `keyset` |
//! | [`apply`] | the verbs that act, against ports only | `keyset`, `plan`, `ports`, `protocol` |
//! | [`storage`] | where a state lives, as traits; local files | `disk`, `protocol` |
//! | [`state`] | the state's document, its journal, and the one writer | `keyset`, `ports`, `audit`, `storage` |
//! | [`api`] | the Admin API over HTTP | `keyset`, `ports`, `audit`, `http` |
//! | [`secrets`] | sinks and escrow | `keyset`, `ports`, `disk`, `http`, `protocol` |
//! | [`sandbox`] | the Admin API as a server | `keyset` |
//! | [`documents`] | what is printed as JSON, as types; their schemas | `keyset`, `config`, `plan`, `apply`, `audit` |
//! | [`render`] | values to text | `keyset`, `config`, `plan`, `apply`, `audit`, `documents` |
//! | [`ops`] | one file per use case: values and ports in, a typed result out | all but `cli` |
//! | [`cli`] | arguments, prompts, progress, views, errors to exit codes | all |

#![forbid(unsafe_code)]

pub mod api;
pub mod apply;
pub mod audit;
pub mod cli;
pub mod config;
pub mod disk;
pub mod documents;
pub mod http;
pub mod keyset;
pub mod ops;
pub mod plan;
pub mod ports;
pub mod protocol;
pub mod render;
pub mod sandbox;
pub mod secrets;
pub mod state;
pub mod storage;
