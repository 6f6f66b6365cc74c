//! One test binary; a module a subject. `house::no_file_is_forgotten` checks that every file is listed here.

mod api;
mod config;
mod contract;
mod house;
mod plan;
mod sandbox;
mod secrets;
mod state;
mod stories;
mod support;
