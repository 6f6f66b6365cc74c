//! The Admin API over HTTP: the adapter of `ports::Api`.
