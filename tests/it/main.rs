//! One test binary; a module a subject. `house::no_file_is_forgotten` checks that every file is
//! listed here.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests own their files and environment"
)]

mod accept;
mod accounts;
mod adopt;
mod api;
mod apply;
mod audit;
mod branches;
mod clones;
mod config;
mod contract;
mod corpus;
mod crash;
mod custody;
mod drift;
mod env;
mod examples;
mod exits;
mod github;
mod handed_on;
mod hostile;
mod house;
mod leaks;
mod lifecycle;
mod listings;
mod login;
mod many;
mod mirror;
mod notify;
mod outputs;
mod papers;
mod parity;
mod pipelines;
mod plan;
mod power;
mod push;
mod readme;
mod rotation;
mod sandbox;
mod saved;
mod schemas;
mod secrets;
mod secrets_commands;
mod show;
mod sinks;
mod state;
mod state_commands;
mod stories;
mod support;
mod survives;
